"""Sentences as a model reads them: subword pieces, and the word of the text that each of them spells."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np

from fairseq_guided_align.errors import GuidedAlignError, SubwordMismatchError
from fairseq_guided_align.sentencepiece_models import PieceEncoder
from fairseq_guided_align.spelling import match_sentence, split_words
from fairseq_guided_align.subword_settings import settings_path, subword_kind, subword_settings
from fairseq_guided_align.subwords import SPACE_MARK, word_of_piece


@dataclass(frozen=True)
class PiecedSentence:
    """A sentence cut into pieces.

    :param pieces: as fairseq reads them, without ``</s>``.
    :param word: (pieces,) int64, the word of each piece, from 0; -1 for a piece of none.
    :param words: number of words.
    """

    pieces: list[str]
    word: np.ndarray
    words: int

    @classmethod
    def of_pieces(cls, pieces: Sequence[str], kind: str) -> PiecedSentence:
        """Words found from the pieces alone."""
        word = word_of_piece(pieces, kind)
        return cls(list(pieces), word, int(word.max(initial=-1)) + 1)


@dataclass(frozen=True)
class TextCutter:
    """Cuts the lines of a text as the training text was cut.

    :param kind: one of ``subwords.KINDS``.
    :param model: SentencePiece model; None: lines are pieces already, separated by spaces.
    """

    kind: str
    model: Optional[PieceEncoder] = None

    def __call__(self, lines: Sequence[str]) -> list[PiecedSentence]:
        """:raises SubwordMismatchError: the model's pieces do not spell a line's words; ``lines`` tells which."""
        if self.model is None:
            return [PiecedSentence.of_pieces(line.split(), self.kind) for line in lines]
        return [self._matched(line, pieces) for line, pieces in zip(lines, self.model.encode(lines))]

    def _matched(self, line: str, pieces: list[str]) -> PiecedSentence:
        words = split_words(line)
        assert self.model is not None
        try:
            spelling = match_sentence(words, pieces, self.kind, self.model.surfaces_of)
        except SubwordMismatchError as error:
            raise SubwordMismatchError(f"{line!r}: {error}; give another SentencePiece model") from error
        word = np.full(len(pieces), -1, dtype=np.int64)
        for number in reversed(range(len(words))):
            word[spelling.start[number] : spelling.start[number] + spelling.count[number]] = number
        return PiecedSentence(pieces, word, len(words))

    def joined(self, pieces: Sequence[str]) -> str:
        """The text that pieces spell."""
        if self.kind == "sentencepiece":
            return "".join(pieces).replace(SPACE_MARK, " ").strip()
        line = " ".join(pieces)
        return re.sub(r"@@( |$)", "", line) if self.kind == "bpe" else line


def text_cutters(
    data: str,
    kind: Optional[str] = None,
    models: Sequence[Optional[str]] = (None, None),
    cut_already: bool = False,
    kind_option: str = "--subwords",
) -> tuple[TextCutter, TextCutter]:
    """How the source and the target text of a data folder are cut.

    :param data: the folder; what it does not say has to be given.
    :param kind: as :func:`~fairseq_guided_align.subword_settings.subword_kind`.
    :param models: SentencePiece models of both sides, instead of the folder's.
    :param cut_already: the text is pieces, also where they are SentencePiece's.
    :raises GuidedAlignError: the kind is unknown, or a SentencePiece model is missing.
    """
    kind = subword_kind(data, kind, kind_option)
    if kind != "sentencepiece" or cut_already:
        return TextCutter(kind), TextCutter(kind)
    settings: dict[str, Any] = subword_settings(data)
    cutters = []
    for given, side in zip(models, ("source", "target")):
        name = settings.get(f"{side}_sentencepiece_model")
        path = given or (settings_path(data).parent / name if name else None)
        if path is None:
            raise GuidedAlignError(
                f"{settings_path(data)}: expected the name of the SentencePiece model of the {side} text; give "
                f"the model, or text that is cut into pieces already"
            )
        cutters.append(TextCutter(kind, PieceEncoder(path)))
    return cutters[0], cutters[1]


