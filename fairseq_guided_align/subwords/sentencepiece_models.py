"""SentencePiece models: read one, train one, and ask which part of a line each piece stands for."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.files.atomic import atomic_file
from fairseq_guided_align.files.byte_lines import PathLike
from fairseq_guided_align.subwords.coded_lines import CodedLines
from fairseq_guided_align.subwords.pieces import byte_of

MODEL_TYPES = ("unigram", "bpe")

SENTENCES_TO_TRAIN_ON = 2_000_000
"""A model is trained on a sample of this many lines of a larger text: SentencePiece holds them in memory."""

OLDEST = (0, 2, 2)
"""The first version of sentencepiece that gives pieces with their places in the line; setup.py names it too."""


class PieceEncoder:
    """A SentencePiece model that cuts lines into the pieces that fairseq reads.

    :param path: the ``.model`` file.
    :raises GuidedAlignError: the file is missing or is no SentencePiece model, or the package is not installed or
        older than :data:`OLDEST`.
    """

    def __init__(self, path: PathLike) -> None:
        sentencepiece = _sentencepiece()
        self.path = Path(path)
        if not self.path.is_file():
            raise GuidedAlignError(f"{path}: cannot be read: no such file")
        try:
            # Its content: sentencepiece takes no file whose name is not UTF-8.
            self._model = sentencepiece.SentencePieceProcessor(model_proto=self.path.read_bytes())
        except (RuntimeError, OSError) as error:
            raise GuidedAlignError(f"{path}: expected a SentencePiece model; cannot be read as one") from error

    def encode(self, lines: Sequence[str]) -> list[list[str]]:
        """The pieces of each line, as fairseq will read them: whitespace inside a piece cuts it."""
        cut: list[list[str]] = self._model.encode(list(lines), out_type=str, num_threads=1)
        return [" ".join(pieces).split() for pieces in cut]

    def encode_coded(self, lines: Sequence[str]) -> CodedLines:
        """What :meth:`encode` gives, in less time: SentencePiece's numbers, where they say all."""
        cut: list[list[int]] = self._model.encode(list(lines), out_type=int, num_threads=1)
        lengths = np.fromiter(map(len, cut), np.int32, len(cut))
        rows = np.fromiter(chain.from_iterable(cut), np.int32, int(lengths.sum()))
        pieces, says_all = self._pieces
        by_text = np.zeros(len(cut), bool)
        by_text[np.repeat(np.arange(len(cut)), lengths)[~says_all[rows]]] = True
        coded = CodedLines.of_table(pieces, rows[np.repeat(~by_text, lengths)], lengths[~by_text])
        if not by_text.any():
            return coded
        others = self.encode([line for line, is_other in zip(lines, by_text) if is_other])
        return CodedLines.interleaved(coded, CodedLines.of_tokens(others), by_text)

    @cached_property
    def _pieces(self) -> tuple[list[str], np.ndarray]:
        """The pieces by their numbers, and (pieces,) bool: it is one token, which every text with it has.

        Not so for an unknown piece, whose letters the text alone has, and for one with white space.
        """
        model = self._model
        pieces = list(map(model.id_to_piece, range(model.get_piece_size())))
        says_all = [piece.split() == [piece] and not model.is_unknown(i) for i, piece in enumerate(pieces)]
        return pieces, np.array(says_all, bool)

    def normalized(self, lines: Sequence[str]) -> list[str]:
        """The text of each line that the model cuts, with ``▁`` for spaces."""
        return list(self._model.normalize(list(lines)))

    def vocabulary(self) -> list[str]:
        """Every piece that the model can give, without ``<unk>``, ``<s>`` and their like."""
        model = self._model
        every = range(model.get_piece_size())
        return [model.id_to_piece(i) for i in every if not (model.is_control(i) or model.is_unknown(i))]

    def places_of(self, line: str, pieces: Sequence[str]) -> tuple[np.ndarray, np.ndarray] | None:
        """The part of ``line`` that each piece stands for: (pieces,) its first character, and the one after its last.

        It is empty for a dummy space, and for all but the last of the pieces that one character became. None where the
        model can cut the line into no such pieces.
        """
        cut = self._model.encode(line, out_type="offset_mapping")
        found, starts, ends = [], [], []
        for piece, (start, end) in zip(cut["pieces"], cut["offsets"]):
            tokens = piece.split()
            found += tokens
            starts += [start] * len(tokens)
            # What whitespace cuts in two stands for the same part, which the last of them gets.
            ends += ([start] * (len(tokens) - 1) + [end]) if tokens else []
        if found != list(pieces):
            return self._places_of_other_cut(line, pieces)
        return np.array(starts, np.int64), np.array(ends, np.int64)

    def _places_of_other_cut(self, line: str, pieces: Sequence[str]) -> tuple[np.ndarray, np.ndarray] | None:
        """The same of pieces that were drawn at random, by the places of the characters in the text that is cut."""
        text, places = self._model.normalize(line, with_offsets=True)
        starts, ends = [], []
        position, pending = 0, b""
        for piece in pieces:
            while position < len(text) and text[position].isspace():
                position += 1  # What fairseq reads as the end of a piece
            byte = byte_of(piece)
            before = position
            if byte and not text.startswith(piece, position):
                pending += byte
                if position < len(text) and pending == text[position].encode():
                    position, pending = position + 1, b""
                elif position == len(text) or not text[position].encode().startswith(pending):
                    return None
            elif pending or not text.startswith(piece, position):
                return None
            else:
                position += len(piece)
            starts.append(places[before])
            ends.append(places[position])
        if pending or text[position:].strip():
            return None
        return np.array(starts, np.int64), np.array(ends, np.int64)


def train_model(lines: Iterable[str], path: PathLike, vocab_size: int, model_type: str = "unigram") -> None:
    """Train a model on lines of text and write it to ``path``.

    Settings other than those named are SentencePiece's own, but for ``hard_vocab_limit``: where the text gives fewer
    pieces than ``vocab_size``, unigram models are smaller.

    :param vocab_size: pieces of the model, with its 3 special ones.
    :param model_type: one of :data:`MODEL_TYPES`.
    :raises GuidedAlignError: SentencePiece cannot train on this text; the message is its own. Also whatever ``lines``
        raises.
    """
    sentencepiece = _sentencepiece()
    if model_type not in MODEL_TYPES:
        raise GuidedAlignError(f"expected a model type out of {', '.join(MODEL_TYPES)}; got {model_type!r}")
    model = io.BytesIO()
    unreadable: list[GuidedAlignError] = []

    def readable() -> Iterator[str]:
        try:
            yield from lines
        except GuidedAlignError as error:
            unreadable.append(error)  # SentencePiece makes a RuntimeError of it
            raise

    settings: dict[str, Any] = {"hard_vocab_limit": False} if model_type == "unigram" else {}
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=readable(),
            model_writer=model,
            vocab_size=vocab_size,
            model_type=model_type,
            input_sentence_size=SENTENCES_TO_TRAIN_ON,
            shuffle_input_sentence=True,
            minloglevel=2,
            **settings,
        )
    except (RuntimeError, OSError) as error:
        if unreadable:
            raise unreadable[0] from error
        if "sentences_.empty()" in str(error):
            raise GuidedAlignError(
                f"{path}: SentencePiece cannot train a model: the training text is empty, or all of its lines are"
                " longer than the 4192 bytes that it takes"
            ) from error
        raise GuidedAlignError(
            f"{path}: SentencePiece cannot train a {model_type} model of {vocab_size} pieces: {error}"
        ) from error
    with atomic_file(path) as stream:
        stream.write(model.getvalue())


def _sentencepiece() -> Any:
    try:
        import sentencepiece
    except ImportError as error:
        raise GuidedAlignError(
            "SentencePiece is not installed: pip install 'fairseq-guided-align[sentencepiece]', or use text that is"
            " already cut, with --subwords words or bpe"
        ) from error
    if _numbers(sentencepiece.__version__) < OLDEST:
        raise GuidedAlignError(
            f"expected sentencepiece {'.'.join(map(str, OLDEST))} or newer, which tells the places of pieces in a line"
            f" without the package protobuf; got {sentencepiece.__version__}; pip install --upgrade sentencepiece"
        )
    return sentencepiece


def _numbers(version: str) -> tuple[int, ...]:
    """The numbers that a version begins with: (0, 2, 3) of 0.2.3.dev1."""
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in found[0].split(".")) if found else ()
