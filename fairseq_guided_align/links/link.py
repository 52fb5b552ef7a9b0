"""What a link is: a pair of 0-based positions, (source, target), with a weight, sure or only possible.

Links of one sentence pair are a set: unique by (source, target), and kept sorted by (target, source).
Where two links meet on the same pair of positions, the larger weight stays, and the link is sure if either was.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Optional, Union, overload

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
        weights: Optional[Sequence[float]] = None,
        sure: Optional[Sequence[bool]] = None,
    ) -> SentenceLinks:
        """Links from (source, target) pairs in any order, with duplicates allowed.

        :param pairs: 0-based (source, target).
        :param weights: one a pair, finite and > 0; 1 each when None.
        :param sure: one a pair; all sure when None.
        :raises AlignmentRangeError: an index is below 0 or above ``MAX_INDEX``.
        :raises AlignmentFormatError: a weight is not a finite number above 0, or the lengths differ.
        """
        table = np.array(list(pairs), dtype=np.int64).reshape(-1, 2)
        return cls.from_columns(
            table[:, 0],
            table[:, 1],
            None if weights is None else np.asarray(weights),
            None if sure is None else np.asarray(sure),
        )

    @classmethod
    def from_columns(
        cls,
        source: np.ndarray,
        target: np.ndarray,
        weight: Optional[np.ndarray] = None,
        sure: Optional[np.ndarray] = None,
    ) -> SentenceLinks:
        """As :meth:`from_pairs`, from arrays of one length."""
        sentence = np.zeros(len(source), dtype=np.int64)
        return CorpusLinks.from_columns(1, sentence, source, target, weight, sure)[0]

    def inverted(self) -> SentenceLinks:
        """The same links of the pair read the other way round: source becomes target."""
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
        return (
            np.array_equal(self.source, other.source)
            and np.array_equal(self.target, other.target)
            and np.array_equal(self.weight, other.weight)
            and np.array_equal(self.sure, other.sure)
        )

    __hash__ = None  # type: ignore[assignment]  # arrays can be changed

    def __repr__(self) -> str:
        shown = [
            f"{s}{'-' if is_sure else '?'}{t}" + ("" if w == 1 else f":{w:g}")
            for s, t, w, is_sure in zip(
                self.source.tolist(), self.target.tolist(), self.weight.tolist(), self.sure.tolist()
            )
        ]
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
    weight: Optional[np.ndarray] = None
    sure: Optional[np.ndarray] = None

    @classmethod
    def from_columns(
        cls,
        sentences: int,
        sentence: np.ndarray,
        source: np.ndarray,
        target: np.ndarray,
        weight: Optional[np.ndarray] = None,
        sure: Optional[np.ndarray] = None,
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
        n = len(source)
        columns = (sentence, target, weight, sure)
        if any(column is not None and len(column) != n for column in columns):
            got = [None if column is None else len(column) for column in columns]
            raise AlignmentFormatError(
                f"expected columns of one length; got {n} sources with [sentences, targets, weights, sure] = {got}"
            )
        if n:
            _check_range("source", source)
            _check_range("target", target)
        if weight is not None:
            weight = np.asarray(weight, dtype=np.float32)
            bad = ~(np.isfinite(weight) & (weight > 0))
            if bad.any():
                raise AlignmentFormatError(f"expected weights that are finite numbers above 0; got {weight[bad][0]}")
            if bool((weight == 1).all()):
                weight = None
        if sure is not None:
            sure = np.asarray(sure, dtype=bool)
            if bool(sure.all()):
                sure = None
        if weight is None and sure is None:
            sentence, source, target = _sorted_unique(sentences, sentence, source, target)
        elif n:
            order = np.lexsort((source, target, sentence))
            sentence, source, target = sentence[order], source[order], target[order]
            first = np.ones(n, dtype=bool)
            first[1:] = (np.diff(sentence) != 0) | (np.diff(target) != 0) | (np.diff(source) != 0)
            starts = np.flatnonzero(first)
            sentence, source, target = sentence[starts], source[starts], target[starts]
            if weight is not None:
                weight = np.maximum.reduceat(weight[order], starts)
            if sure is not None:
                sure = np.logical_or.reduceat(sure[order], starts)
        offsets = np.zeros(sentences + 1, dtype=np.int64)
        np.cumsum(np.bincount(sentence, minlength=sentences), out=offsets[1:])
        return cls(offsets, source.astype(np.int32, copy=False), target.astype(np.int32, copy=False), weight, sure)

    @classmethod
    def from_sentences(cls, sentences: Iterable[SentenceLinks]) -> CorpusLinks:
        """Flat arrays of the given sentences, in their order."""
        every = list(sentences)
        offsets = np.zeros(len(every) + 1, dtype=np.int64)
        np.cumsum([len(links) for links in every], out=offsets[1:])
        if not every:
            return cls(offsets, np.empty(0, np.int32), np.empty(0, np.int32))
        weight = np.concatenate([links.weight for links in every])
        sure = np.concatenate([links.sure for links in every])
        return cls(
            offsets,
            np.concatenate([links.source for links in every]),
            np.concatenate([links.target for links in every]),
            None if bool((weight == 1).all()) else weight,
            None if bool(sure.all()) else sure,
        )

    @classmethod
    def concatenated(cls, parts: Iterable[CorpusLinks]) -> CorpusLinks:
        """One corpus of several, in their order. With no parts, a corpus of no sentences."""
        every = list(parts)
        if len(every) == 1:
            return every[0]
        offsets = np.cumsum(np.concatenate([np.zeros(1, np.int64), *(np.diff(part.offsets) for part in every)]))
        weight: Optional[np.ndarray] = None
        sure: Optional[np.ndarray] = None
        if any(part.weight is not None for part in every):
            weight = np.concatenate([part.weights() for part in every])
        if any(part.sure is not None for part in every):
            sure = np.concatenate([part.sures() for part in every])
        empty = [np.empty(0, np.int32)]
        return cls(
            offsets,
            np.concatenate([part.source for part in every] or empty),
            np.concatenate([part.target for part in every] or empty),
            weight,
            sure,
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
        offsets = np.zeros(len(sentences) + 1, np.int64)
        np.cumsum(counts, out=offsets[1:])
        rows = np.repeat(self.offsets[sentences] - offsets[:-1], counts) + np.arange(offsets[-1])
        return CorpusLinks(
            offsets,
            self.source[rows],
            self.target[rows],
            None if self.weight is None else self.weight[rows],
            None if self.sure is None else self.sure[rows],
        )

    def where(self, kept: np.ndarray) -> CorpusLinks:
        """Some of the links.

        :param kept: (n,) bool.
        """
        offsets = np.append(0, np.cumsum(kept))[self.offsets]
        return CorpusLinks(
            offsets,
            self.source[kept],
            self.target[kept],
            None if self.weight is None else self.weight[kept],
            None if self.sure is None else self.sure[kept],
        )

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
        """The same links of the pairs read the other way round."""
        return CorpusLinks.from_columns(len(self), self.sentence(), self.target, self.source, self.weight, self.sure)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @overload
    def __getitem__(self, index: int) -> SentenceLinks: ...

    @overload
    def __getitem__(self, index: slice) -> CorpusLinks: ...

    def __getitem__(self, index: Union[int, slice]) -> Union[SentenceLinks, CorpusLinks]:
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            if step != 1:
                raise ValueError(f"expected a slice of step 1; got step {step}")
            stop = max(start, stop)
            first, last = int(self.offsets[start]), int(self.offsets[stop])
            return CorpusLinks(
                self.offsets[start : stop + 1] - first,
                self.source[first:last],
                self.target[first:last],
                None if self.weight is None else self.weight[first:last],
                None if self.sure is None else self.sure[first:last],
            )
        return sentence_of(self.offsets, self.source, self.target, self.weight, self.sure, index)

    def __iter__(self) -> Iterator[SentenceLinks]:
        for index in range(len(self)):
            yield self[index]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CorpusLinks):
            return NotImplemented
        return (
            np.array_equal(self.offsets, other.offsets)
            and np.array_equal(self.source, other.source)
            and np.array_equal(self.target, other.target)
            and np.array_equal(self.weights(), other.weights())
            and np.array_equal(self.sures(), other.sures())
        )

    __hash__ = None  # type: ignore[assignment]  # arrays can be changed


def sentence_of(
    offsets: np.ndarray,
    source: np.ndarray,
    target: np.ndarray,
    weight: Optional[np.ndarray],
    sure: Optional[np.ndarray],
    index: int,
) -> SentenceLinks:
    """The links of sentence pair ``index`` out of columns as in :class:`CorpusLinks`; negative counts from the end.

    :raises IndexError: there is no such pair.
    """
    sentences = len(offsets) - 1
    if not -sentences <= index < sentences:
        raise IndexError(f"expected a sentence index in [0, {sentences}); got {index}")
    index = int(index) % sentences
    first, last = int(offsets[index]), int(offsets[index + 1])
    count = last - first
    return SentenceLinks(
        np.asarray(source[first:last]),
        np.asarray(target[first:last]),
        _ones(count, _EVERY_WEIGHT) if weight is None else np.asarray(weight[first:last]),
        _ones(count, _ALL_SURE) if sure is None else np.asarray(sure[first:last]),
    )


def _read_only_ones(dtype: type) -> np.ndarray:
    found: np.ndarray = np.ones(1024, dtype)
    found.flags.writeable = False
    return found


# A part of one array is had ten times faster than an array of its own, once for every sentence pair of a batch.
_EVERY_WEIGHT, _ALL_SURE = _read_only_ones(np.float32), _read_only_ones(bool)


def _ones(count: int, shared: np.ndarray) -> np.ndarray:
    return shared[:count] if count <= len(shared) else np.ones(count, shared.dtype)


def _check_range(side: str, indices: np.ndarray) -> None:
    for extreme in (int(indices.min()), int(indices.max())):
        if not 0 <= extreme <= MAX_INDEX:
            raise AlignmentRangeError(f"expected {side} indices in [0, {MAX_INDEX}]; got {extreme}")


def _sorted_unique(
    sentences: int, sentence: np.ndarray, source: np.ndarray, target: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sorted by (sentence, target, source), duplicates gone."""
    if not len(source):
        return sentence, source, target
    source_bits = int(source.max()).bit_length()
    target_bits = int(target.max()).bit_length()
    if sentences.bit_length() + source_bits + target_bits > 63:
        order = np.lexsort((source, target, sentence))
        sentence, source, target = sentence[order], source[order], target[order]
        kept = np.ones(len(source), dtype=bool)
        kept[1:] = (np.diff(sentence) != 0) | (np.diff(target) != 0) | (np.diff(source) != 0)
        return sentence[kept], source[kept], target[kept]
    # One int64 holds all three: sorting numbers is several times faster than lexsort.
    key = sentence.astype(np.int64) << (source_bits + target_bits)
    key |= target.astype(np.int64) << source_bits
    key |= source
    if not bool((key[1:] > key[:-1]).all()):
        # Sentences come in order, and most files are sorted within them: merging runs is much faster here.
        key.sort(kind="stable")
        fresh = np.ones(len(key), dtype=bool)
        np.not_equal(key[1:], key[:-1], out=fresh[1:])
        if not bool(fresh.all()):
            key = key[fresh]
    return (
        key >> (source_bits + target_bits),
        (key & ((1 << source_bits) - 1)).astype(np.int32),
        ((key >> source_bits) & ((1 << target_bits) - 1)).astype(np.int32),
    )
