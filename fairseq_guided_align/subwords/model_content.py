"""What is in a SentencePiece model's file: its kind, its pieces and their scores.

The package sentencepiece tells none of ``kind`` and ``whole`` below, unless the package protobuf is installed, too. The
fields are those of ``sentencepiece_model.proto``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.files.byte_lines import PathLike

TYPE_OF_NUMBER = {1: "unigram", 2: "bpe", 3: "word", 4: "char"}

_PIECES, _TRAINING = 1, 2
_TEXT, _SCORE, _TYPE = 1, 2, 3
_MODEL_KIND = 3
_NORMAL, _USER_DEFINED, _BYTE = 1, 4, 6

_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5


@dataclass
class ModelContent:
    """What a model cuts with.

    :param kind: one of the values of :data:`TYPE_OF_NUMBER`.
    :param scores: of the ordinary pieces: logarithms of probabilities in a unigram model, and in a BPE model larger
        where a merge comes first.
    :param whole: symbols that are never cut, which their user defined.
    :param has_bytes: a character without a piece becomes pieces such as ``<0xE4>``.
    """

    kind: str = "unigram"
    scores: dict[str, float] = field(default_factory=dict)
    whole: list[str] = field(default_factory=list)
    has_bytes: bool = False


def model_content(model: bytes, path: PathLike) -> ModelContent:
    """Read a model.

    :param model: the file's content.
    :param path: for messages.
    :raises GuidedAlignError: it is no SentencePiece model.
    """
    content = ModelContent()
    try:
        for number, value in _fields(model):
            if number == _PIECES:
                _add_piece(content, dict(_fields(value)))
            elif number == _TRAINING:
                content.kind = TYPE_OF_NUMBER[dict(_fields(value)).get(_MODEL_KIND, 1)]
    except (IndexError, KeyError, TypeError, ValueError, struct.error) as error:
        raise GuidedAlignError(f"{path}: expected a SentencePiece model; cannot be read as one") from error
    return content


def _add_piece(content: ModelContent, piece: dict) -> None:
    kind, text = piece.get(_TYPE, _NORMAL), piece[_TEXT].decode()
    if kind == _NORMAL:
        content.scores[text] = struct.unpack("<f", piece.get(_SCORE, bytes(4)))[0]
    elif kind == _USER_DEFINED:
        content.whole.append(text)
    content.has_bytes |= kind == _BYTE


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Numbers and values, int or bytes, of the fields of a message, as protobuf's wire format has them."""
    position = 0
    value: Any
    while position < len(message):
        key, position = _varint(message, position)
        wire = key & 7
        if wire == _VARINT:
            value, position = _varint(message, position)
        else:
            if wire == _BYTES:
                size, position = _varint(message, position)
            else:
                size = {_EIGHT_BYTES: 8, _FOUR_BYTES: 4}[wire]
            value = message[position : position + size]
            position += size
        yield key >> 3, value


def _varint(message: bytes, position: int) -> tuple[int, int]:
    """A number of seven bits a byte, lowest first, and the position after it."""
    value = shift = 0
    while True:
        byte = message[position]
        position += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, position
