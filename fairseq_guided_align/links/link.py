"""What a link is: a pair of 0-based positions, (source, target), with a weight, sure or only possible.

Links of a sentence pair are unique by (source, target), and sorted by (target, source). Where several are given for
one pair of positions, the largest weight stays, and the link is sure if any of them was.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np

from fairseq_guided_align.errors import AlignmentFormatError, AlignmentRangeError

MAX_INDEX = 2**31 - 1
"""The largest position a link can hold."""


@dataclass(frozen=True, eq=False)
class SentenceLinks:
    """Links of one sentence pair, 0-based, unique by (source, target), sorted by (target, source).

    :param source: (n,) int32, positions in the source sentence, >= 0.
    :param target: (n,) int32, positions in the target sentence, >= 0.
    :param weight: (n,) float32, finite and > 0; 1 for a plain link.
    :param sure: (n,) bool; False for a possible link.

    Build from unordered links with :meth:`from_pairs`; the constructor trusts its arguments.
    """

    source: np.ndarray
    target: np.ndarray
    weight: np.ndarray
    sure: np.ndarray

    @classmethod
    def from_pairs(
        cls,
        pairs: Iterable[tuple[int, int]],
        weights: Sequence[float] | None = None,
        sure: Sequence[bool] | None = None,
    ) -> SentenceLinks:
        """Links from (source, target) pairs in any order, with duplicates allowed.

        :param pairs: 0-based (source, target).
        :param weights: of each pair, finite and > 0; 1 each when None.
        :param sure: of each pair; all sure when None.
        :raises AlignmentRangeError: an index is below 0 or above ``MAX_INDEX``.
        :raises AlignmentFormatError: a weight is not a finite number above 0, or the lengths differ.
        """
        table = np.array(list(pairs), dtype=np.int64).reshape(-1, 2)
        columns = (None if column is None else np.asarray(column) for column in (weights, sure))
        return cls.from_columns(table[:, 0], table[:, 1], *columns)

    @classmethod
    def from_columns(
        cls,
        source: np.ndarray,
        target: np.ndarray,
        weight: np.ndarray | None = None,
        sure: np.ndarray | None = None,
    ) -> SentenceLinks:
        """As :meth:`from_pairs`, from arrays of one length."""
        sentence = np.zeros(len(source), dtype=np.int64)
        return CorpusLinks.from_columns(1, sentence, source, target, weight, sure)[0]

    def inverted(self) -> SentenceLinks:
        """The same links with source and target swapped."""
        order = np.lexsort((self.target, self.source))
        return SentenceLinks(self.target[order], self.source[order], self.weight[order], self.sure[order])

    def pairs(self) -> list[tuple[int, int]]:
        """The links as (source, target) tuples, in their order."""
        return list(zip(self.source.tolist(), self.target.tolist()))

    def __len__(self) -> int:
        return len(self.source)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SentenceLinks):
            return NotImplemented
        return all(np.array_equal(one, vars(other)[name]) for name, one in vars(self).items())

    __hash__ = None  # type: ignore[assignment]  # Arrays can be changed.

    def __repr__(self) -> str:
        columns = zip(self.pairs(), self.weight.tolist(), self.sure.tolist())
        shown = [f"{s}{'-' if sure else '?'}{t}" + ("" if w == 1 else f":{w:g}") for (s, t), w, sure in columns]
        return f"SentenceLinks({' '.join(shown)})"


@dataclass(frozen=True, eq=False)
class CorpusLinks:
    """Links of many sentence pairs in flat arrays: those of pair i are rows offsets[i] to offsets[i + 1].

    :param offsets: (sentences + 1,) int64, from 0, not decreasing, ending at n.
    :param source: (n,) int32, within a sentence sorted as :class:`SentenceLinks` is.
    :param target: (n,) int32.
    :param weight: (n,) float32 > 0, or None when every weight is 1.
    :param sure: (n,) bool, or None when every link is sure.
    """

    offsets: np.ndarray
    source: np.ndarray
    target: np.ndarray
    weight: np.ndarray | None = None
    sure: np.ndarray | None = None

    @classmethod
    def from_columns(
        cls,
        sentences: int,
        sentence: np.ndarray,
        source: np.ndarray,
        target: np.ndarray,
        weight: np.ndarray | None = None,
        sure: np.ndarray | None = None,
    ) -> CorpusLinks:
        """Sort, merge and check links given as columns of one length, in any order.

        :param sentences: number of sentence pairs.
        :param sentence: (n,) integers in [0, sentences): the pair each link belongs to.
        :param source: (n,) integers, 0-based.
        :param target: (n,) integers, 0-based.
        :param weight: (n,) or None for all 1.
        :param sure: (n,) bool or None for all sure.
        :raises AlignmentRangeError: an index is below 0 or above ``MAX_INDEX``.
        :raises AlignmentFormatError: a weight is not a finite number above 0, or the lengths differ.
        """
        lengths = [None if column is None else len(column) for column in (sentence, target, weight, sure)]
        if any(length not in (None, len(source)) for length in lengths):
            raise AlignmentFormatError(
                f"expected columns of one length; got {len(source)} sources with [sentences, targets, weights, sure]"
                f" = {lengths}"
            )
        bits = [_checked_bits("source", source), _checked_bits("target", target)]
        if weight is not None:
            weight = np.asarray(weight, dtype=np.float32)
            bad = ~(np.isfinite(weight) & (weight > 0))
            if bad.any():
                raise AlignmentFormatError(f"expected weights that are finite numbers above 0; got {weight[bad][0]}")
        weight, sure = _if_needed(weight), _if_needed(None if sure is None else np.asarray(sure, bool))
        if weight is None and sure is None and sentences.bit_length() + sum(bits) <= 63:
            sentence, source, target = _sorted_unique(sentence, source, target, *bits)
        else:
            order = np.lexsort((source, target, sentence))
            sentence, source, target = sentence[order], source[order], target[order]
            differs = (np.diff(sentence) != 0) | (np.diff(target) != 0) | (np.diff(source) != 0)
            starts = np.flatnonzero(np.append(True, differs))
            sentence, source, target = sentence[starts], source[starts], target[starts]
            weight = None if weight is None else np.maximum.reduceat(weight[order], starts)
            sure = None if sure is None else np.logical_or.reduceat(sure[order], starts)
        offsets = _offsets(np.bincount(sentence, minlength=sentences))
        return cls(offsets, source.astype(np.int32, copy=False), target.astype(np.int32, copy=False), weight, sure)

    @classmethod
    def from_sentences(cls, sentences: Iterable[SentenceLinks]) -> CorpusLinks:
        """Flat arrays of the given sentences, in their order."""
        found = cls.concatenated(
            cls(np.array([0, len(one)]), one.source, one.target, one.weight, one.sure) for one in sentences
        )
        return cls(found.offsets, found.source, found.target, _if_needed(found.weight), _if_needed(found.sure))

    @classmethod
    def concatenated(cls, parts: Iterable[CorpusLinks]) -> CorpusLinks:
        """One corpus of several, in their order. With no parts, a corpus of no sentences."""
        every = list(parts) or [cls.empty(0)]
        if len(every) == 1:
            return every[0]
        has_weight, has_sure = (any(getattr(part, name) is not None for part in every) for name in ("weight", "sure"))
        return cls(
            _offsets(np.concatenate([np.diff(part.offsets) for part in every])),
            np.concatenate([part.source for part in every]),
            np.concatenate([part.target for part in every]),
            np.concatenate([part.weights() for part in every]) if has_weight else None,
            np.concatenate([part.sures() for part in every]) if has_sure else None,
        )

    @classmethod
    def empty(cls, sentences: int) -> CorpusLinks:
        """Sentence pairs without links."""
        return cls(np.zeros(sentences + 1, np.int64), np.empty(0, np.int32), np.empty(0, np.int32))

    def select(self, sentences: np.ndarray) -> CorpusLinks:
        """The given sentence pairs, in the given order.

        :param sentences: (m,) integers in [0, len(self)).
        """
        counts = np.diff(self.offsets)[sentences]
        offsets = _offsets(counts)
        return self._rows(offsets, np.repeat(self.offsets[sentences] - offsets[:-1], counts) + np.arange(offsets[-1]))

    def where(self, kept: np.ndarray) -> CorpusLinks:
        """Some of the links.

        :param kept: (n,) bool.
        """
        return self._rows(_offsets(kept)[self.offsets], kept)

    def _rows(self, offsets: np.ndarray, rows: np.ndarray | slice) -> CorpusLinks:
        columns = (self.source, self.target, self.weight, self.sure)
        return CorpusLinks(offsets, *(None if column is None else column[rows] for column in columns))  # type: ignore[arg-type]

    def weights(self) -> np.ndarray:
        """(n,) float32: the weights, also when ``weight`` is None."""
        return np.ones(len(self.source), np.float32) if self.weight is None else self.weight

    def sures(self) -> np.ndarray:
        """(n,) bool: the sure flags, also when ``sure`` is None."""
        return np.ones(len(self.source), bool) if self.sure is None else self.sure

    def sentence(self) -> np.ndarray:
        """(n,) int64: the sentence pair of each link."""
        return np.repeat(np.arange(len(self), dtype=np.int64), np.diff(self.offsets))

    def inverted(self) -> CorpusLinks:
        """The same links with source and target swapped."""
        return CorpusLinks.from_columns(len(self), self.sentence(), self.target, self.source, self.weight, self.sure)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @overload
    def __getitem__(self, index: int) -> SentenceLinks: ...

    @overload
    def __getitem__(self, index: slice) -> CorpusLinks: ...

    def __getitem__(self, index: int | slice) -> SentenceLinks | CorpusLinks:
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            if step != 1:
                raise ValueError(f"expected a slice of step 1; got step {step}")
            offsets = self.offsets[start : max(start, stop) + 1]
            first, last = int(offsets[0]), int(offsets[-1])
            return self._rows(offsets - first, slice(first, last))
        if not -len(self) <= index < len(self):
            raise IndexError(f"expected a sentence index in [0, {len(self)}); got {index}")
        index = int(index) % len(self)
        first, last = int(self.offsets[index]), int(self.offsets[index + 1])
        return SentenceLinks(
            self.source[first:last],
            self.target[first:last],
            _ones(last - first, _EVERY_WEIGHT) if self.weight is None else self.weight[first:last],
            _ones(last - first, _ALL_SURE) if self.sure is None else self.sure[first:last],
        )

    def __iter__(self) -> Iterator[SentenceLinks]:
        return (self[index] for index in range(len(self)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CorpusLinks):
            return NotImplemented
        sides = [(one.offsets, one.source, one.target, one.weights(), one.sures()) for one in (self, other)]
        return all(map(np.array_equal, *sides))

    __hash__ = None  # type: ignore[assignment]  # Arrays can be changed.


class InvertedLinks:
    """Links of many sentence pairs with source and target swapped, each pair when it is asked for; no copy is made."""

    def __init__(self, links: CorpusLinks) -> None:
        self._links = links
        self.offsets, self.source, self.target = links.offsets, links.target, links.source

    def __len__(self) -> int:
        return len(self._links)

    def __getitem__(self, index: int) -> SentenceLinks:
        return self._links[index].inverted()


def _read_only_ones(dtype: type) -> np.ndarray:
    found: np.ndarray = np.ones(1024, dtype)
    found.flags.writeable = False
    return found


# A slice of one array is made ten times faster than a new array, and each sentence pair of a batch needs one.
_EVERY_WEIGHT, _ALL_SURE = _read_only_ones(np.float32), _read_only_ones(bool)


def _ones(count: int, shared: np.ndarray) -> np.ndarray:
    return shared[:count] if count <= len(shared) else np.ones(count, shared.dtype)


def _if_needed(column: np.ndarray | None) -> np.ndarray | None:
    """The column, or None where all of it is 1."""
    return None if column is None or bool((column == 1).all()) else column


def _offsets(counts: np.ndarray) -> np.ndarray:
    offsets = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=offsets[1:])
    return offsets


def _checked_bits(side: str, indices: np.ndarray) -> int:
    """Bits that hold every index."""
    largest = int(indices.max(initial=0))
    for extreme in (int(indices.min(initial=0)), largest):
        if not 0 <= extreme <= MAX_INDEX:
            raise AlignmentRangeError(f"expected {side} indices in [0, {MAX_INDEX}]; got {extreme}")
    return largest.bit_length()


def _sorted_unique(
    sentence: np.ndarray, source: np.ndarray, target: np.ndarray, source_bits: int, target_bits: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The links sorted by (sentence, target, source), without duplicates. One int64 holds all three numbers.

    Several times faster than ``np.lexsort``.
    """
    key = sentence.astype(np.int64) << (source_bits + target_bits)
    key |= target.astype(np.int64) << source_bits
    key |= source
    if not bool((key[1:] > key[:-1]).all()):
        # Sentences come in order, and most files are sorted within them: merging runs is faster than sorting anew.
        key.sort(kind="stable")
        fresh = np.append(True, key[1:] != key[:-1])
        if not bool(fresh.all()):
            key = key[fresh]
    return (
        key >> (source_bits + target_bits),
        (key & ((1 << source_bits) - 1)).astype(np.int32),
        ((key >> source_bits) & ((1 << target_bits) - 1)).astype(np.int32),
    )
