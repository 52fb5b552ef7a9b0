"""Which pieces spell each word, for one side of some sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class WordPieces:
    """Which pieces spell each word; a word's pieces are neighbours. All arrays are int64.

    :param word_offsets: (sentences + 1,); the words of sentence i are rows word_offsets[i] to [i + 1].
    :param pieces: (sentences,) pieces in each sentence.
    :param start: (words,) the word's first piece, counted from the start of its sentence.
    :param count: (words,) number of its pieces; 0 where the text of a word is gone from the pieces.
    :param first: (words,) its first piece that has text: not a lone ``▁``.
    """

    word_offsets: np.ndarray
    pieces: np.ndarray
    start: np.ndarray
    count: np.ndarray
    first: np.ndarray

    def __len__(self) -> int:
        return len(self.pieces)

    @property
    def words(self) -> np.ndarray:
        """(sentences,) words in each sentence."""
        return np.diff(self.word_offsets)

    def select(self, sentences: np.ndarray) -> WordPieces:
        """The given sentences, in the given order.

        :param sentences: (m,) integers in [0, len(self)).
        """
        words = self.words[sentences]
        offsets = np.append(0, np.cumsum(words))
        rows = np.repeat(self.word_offsets[sentences] - offsets[:-1], words) + np.arange(offsets[-1])
        return WordPieces(offsets, self.pieces[sentences], self.start[rows], self.count[rows], self.first[rows])

    def word_of_piece(self, sentence: int) -> np.ndarray:
        """For each piece of a sentence the index of its first word, -1 where it has none: (pieces,) int64.

        ``pieces.word_of_piece`` finds other words where a normaliser put spaces into words.
        """
        own = slice(int(self.word_offsets[sentence]), int(self.word_offsets[sentence + 1]))
        word = np.full(int(self.pieces[sentence]), -1, np.int64)
        spans = enumerate(zip(self.start[own].tolist(), self.count[own].tolist()))
        for index, (start, count) in reversed(list(spans)):
            word[start : start + count] = index
        return word

    @classmethod
    def concatenated(cls, parts: Sequence[WordPieces]) -> WordPieces:
        """The sentences of several, in their order; at least one part."""
        words = np.concatenate([part.words for part in parts])
        columns = ("pieces", "start", "count", "first")
        rest = (np.concatenate([getattr(part, column) for part in parts]) for column in columns)
        return cls(np.append(0, np.cumsum(words)), *rest)

    @classmethod
    def of_one_sentence(cls, pieces: int, start: np.ndarray, count: np.ndarray) -> WordPieces:
        """One sentence whose words begin with pieces that have text.

        :param pieces: their number.
        """
        return cls(np.array([0, len(start)]), np.array([pieces]), start, count, start)
