"""Lines of tokens as numbers: each token of a text is written once, and its places are codes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np

from fairseq_guided_align.subwords.special_tokens import TAKEN, spelled_for_fairseq


class CodedLines(NamedTuple):
    """Tokens of consecutive lines.

    :param tokens: the different ones, each of which occurs; without white space.
    :param codes: (all tokens,) int32, rows of ``tokens``, line after line.
    :param lengths: (lines,) int32, tokens of each line.
    """

    tokens: list[str]
    codes: np.ndarray
    lengths: np.ndarray

    @classmethod
    def of_tokens(cls, lines: Sequence[Sequence[str]]) -> CodedLines:
        """The same tokens, coded in the order in which they first occur."""
        lengths = np.fromiter(map(len, lines), np.int32, len(lines))
        code: defaultdict[str, int] = defaultdict()
        code.default_factory = code.__len__
        codes = np.fromiter(map(code.__getitem__, chain.from_iterable(lines)), np.int32, int(lengths.sum()))
        return cls(list(code), codes, lengths)

    @classmethod
    def of_table(cls, table: Sequence[str], rows: np.ndarray, lengths: np.ndarray) -> CodedLines:
        """Tokens of a table that holds more than occur.

        :param rows: (all tokens,) integers, rows of the table.
        """
        present = np.flatnonzero(np.bincount(rows, minlength=len(table)))
        code = np.zeros(len(table), np.int32)
        code[present] = np.arange(len(present))
        return cls([table[row] for row in present.tolist()], code[rows], lengths)

    @classmethod
    def interleaved(cls, some: CodedLines, others: CodedLines, of_others: np.ndarray) -> CodedLines:
        """The lines of both.

        :param of_others: (lines of both,) bool: which of the lines are ``others``.
        """
        both = cls.of_tokens([some.tokens + others.tokens])
        lengths = np.empty(len(of_others), np.int32)
        lengths[~of_others], lengths[of_others] = some.lengths, others.lengths
        codes = np.empty(len(some.codes) + len(others.codes), np.int32)
        place = np.repeat(of_others, lengths)
        codes[~place] = both.codes[: len(some.tokens)][some.codes]
        codes[place] = both.codes[len(some.tokens) :][others.codes]
        return cls(both.tokens, codes, lengths)

    def counts(self) -> np.ndarray:
        """(tokens,) int64: how often each of ``tokens`` occurs."""
        return np.bincount(self.codes, minlength=len(self.tokens))

    def select(self, kept: np.ndarray) -> CodedLines:
        """Some of the lines.

        :param kept: (lines,) bool.
        """
        return CodedLines.of_table(self.tokens, self.codes[np.repeat(kept, self.lengths)], self.lengths[kept])

    def for_fairseq(self, own: frozenset[str]) -> tuple[CodedLines, int]:
        """The lines as they are written for fairseq, and the number of tokens whose brackets were changed.

        :param own: tokens that the dictionary has symbols of its own for, see ``special_tokens.flagged_symbols``.
        """
        if not set(TAKEN).intersection(self.tokens):
            return self, 0
        tokens = [token if token in own else spelled_for_fairseq(token) for token in self.tokens]
        changed = np.array(list(map(str.__ne__, tokens, self.tokens)))
        as_written = CodedLines.of_tokens([tokens])  # Fewer, where the text has both spellings
        return CodedLines(as_written.tokens, as_written.codes[self.codes], self.lengths), int(changed[self.codes].sum())

    def text(self) -> bytes:
        """The lines, tokens separated by spaces, each line ended by a line feed."""
        tokens = list(map(self.tokens.__getitem__, self.codes.tolist()))
        ends = np.cumsum(self.lengths).tolist()
        return "".join([" ".join(tokens[start:end]) + "\n" for start, end in zip([0, *ends], ends)]).encode()
