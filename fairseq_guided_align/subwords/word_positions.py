"""Links that count words where the text is in subword pieces: nothing fails, but nearly every link is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fairseq_guided_align.links.one_based import ENOUGH_PAIRS
from fairseq_guided_align.subwords.pieces import SPACE_MARK, goes_on

MORE_PIECES = 3
"""Pieces that a sentence must have beyond its words: the last one or two are often a full stop without links."""


def word_ends(symbols: Sequence[str]) -> np.ndarray | None:
    """Which pieces begin a word (``▁``) or end one (without ``@@``), so that they count as one.

    :param symbols: the pieces of a dictionary.
    :return: (symbols,) bool; None where no piece is marked, as in text of words.
    """
    marked = np.array([symbol.startswith(SPACE_MARK) for symbol in symbols], bool)
    if marked.any():
        return marked
    continued = np.array([goes_on(symbol) for symbol in symbols], bool)
    return ~continued if continued.any() else None


@dataclass
class WordPositions:
    """Evidence from one side of a text.

    :param sentences: those with links that have at least ``MORE_PIECES`` pieces more than words.
    :param beyond: those of them in which a link lies at a position that only pieces have.
    """

    sentences: int = 0
    beyond: int = 0

    @property
    def suspicious(self) -> bool:
        """Whether the links of many sentences stay below the number of words, without an exception."""
        return self.sentences >= ENOUGH_PAIRS and self.beyond == 0

    def add(self, pieces: np.ndarray, words: np.ndarray, sentence: np.ndarray, position: np.ndarray) -> None:
        """Count some sentences.

        :param pieces: (sentences,) pieces in each.
        :param words: (sentences,) words in each.
        :param sentence: (links,) sentence of each link, from 0.
        :param position: (links,) its position on this side.
        """
        cut = pieces >= words + MORE_PIECES
        linked, beyond = np.zeros(len(pieces), bool), np.zeros(len(pieces), bool)
        linked[sentence] = True
        beyond[sentence[position >= words[sentence]]] = True
        self.sentences += int((linked & cut).sum())
        self.beyond += int((beyond & cut).sum())
