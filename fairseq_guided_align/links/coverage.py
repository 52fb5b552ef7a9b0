"""How much of a text its links cover, and which links fall outside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Optional, Protocol

import numpy as np

CHUNK = 100_000
"""Sentences looked at together: memory stays flat in the size of the corpus."""


class LinkColumns(Protocol):
    """Links as columns: those of sentence i are rows offsets[i] to offsets[i + 1]."""

    @property
    def offsets(self) -> np.ndarray: ...

    @property
    def source(self) -> np.ndarray: ...

    @property
    def target(self) -> np.ndarray: ...


@dataclass(frozen=True)
class LinkCoverage:
    """Counts over the sentences of a split, each counted once.

    :param sentences: sentence pairs.
    :param sentences_with_links: pairs that keep a link or more.
    :param target_tokens: target tokens, without ``</s>`` and other added tokens.
    :param linked_tokens: target tokens that keep a link or more.
    :param links: links that are kept.
    :param beyond_cut: links dropped because ``--truncate-source`` cut their source token off.
    :param outside_source: links dropped because the source sentence is shorter.
    :param outside_target: links dropped because the target sentence is shorter.
    """

    sentences: int = 0
    sentences_with_links: int = 0
    target_tokens: int = 0
    linked_tokens: int = 0
    links: int = 0
    beyond_cut: int = 0
    outside_source: int = 0
    outside_target: int = 0

    @property
    def outside(self) -> int:
        """Links that point outside the text as it was written."""
        return self.outside_source + self.outside_target

    def __add__(self, other: LinkCoverage) -> LinkCoverage:
        return LinkCoverage(*(a + b for a, b in zip(_counts(self), _counts(other))))

    def __str__(self) -> str:
        def share(part: int, whole: int) -> str:
            return f"{part:,} of {whole:,} ({100 * part / whole if whole else 0:.1f} %)"

        dropped = [
            f"{count:,} {why}"
            for count, why in (
                (self.beyond_cut, "beyond --truncate-source's cut"),
                (self.outside_source, "outside the source sentence"),
                (self.outside_target, "outside the target sentence"),
            )
            if count
        ]
        return (
            f"sentences with links {share(self.sentences_with_links, self.sentences)}, "
            f"target tokens with links {share(self.linked_tokens, self.target_tokens)}, {self.links:,} links, "
            f"dropped {', '.join(dropped) or '0'}"
        )


def _counts(coverage: LinkCoverage) -> tuple[int, ...]:
    return tuple(vars(coverage).values())


def measure_coverage(
    links: LinkColumns, source_lengths: np.ndarray, source_kept: np.ndarray, target_lengths: np.ndarray
) -> LinkCoverage:
    """Coverage of a text by its links.

    :param links: one entry a sentence pair.
    :param source_lengths: (sentences,) source tokens of each pair as written.
    :param source_kept: (sentences,) source tokens that are left after truncation.
    :param target_lengths: (sentences,) target tokens.
    """
    total = LinkCoverage()
    offsets = links.offsets
    for start in range(0, len(source_lengths), CHUNK):
        stop = min(start + CHUNK, len(source_lengths))
        counts = np.diff(offsets[start : stop + 1])
        sentence = np.repeat(np.arange(start, stop), counts)
        first, last = int(offsets[start]), int(offsets[stop])
        source, target = np.asarray(links.source[first:last]), np.asarray(links.target[first:last])
        in_source = source < source_lengths[sentence]
        in_target = target < target_lengths[sentence]
        kept = in_target & (source < source_kept[sentence])
        starts = np.zeros(stop - start + 1, dtype=np.int64)
        np.cumsum(target_lengths[start:stop], out=starts[1:])
        linked = np.zeros(starts[-1], dtype=bool)
        linked[starts[sentence[kept] - start] + target[kept]] = True
        total += LinkCoverage(
            stop - start,
            len(np.unique(sentence[kept])),
            int(starts[-1]),
            int(linked.sum()),
            int(kept.sum()),
            int((in_source & in_target & ~kept).sum()),
            int((~in_source).sum()),
            int((in_source & ~in_target).sum()),
        )
    return total


class OutsideLink(NamedTuple):
    """A link that points outside its sentence pair; everything counts from 0."""

    sentence: int
    source: int
    target: int


def first_outside(links: LinkColumns, source_lengths: np.ndarray, target_lengths: np.ndarray) -> Optional[OutsideLink]:
    """The first link that points outside the text; None where there is none.

    :param links: one entry a sentence pair.
    :param source_lengths: (sentences,) source tokens of each pair.
    :param target_lengths: (sentences,) target tokens.
    """
    offsets = links.offsets
    for start in range(0, len(source_lengths), CHUNK):
        stop = min(start + CHUNK, len(source_lengths))
        sentence = np.repeat(np.arange(start, stop), np.diff(offsets[start : stop + 1]))
        rows = slice(int(offsets[start]), int(offsets[stop]))
        source, target = np.asarray(links.source[rows]), np.asarray(links.target[rows])
        outside = (source >= source_lengths[sentence]) | (target >= target_lengths[sentence])
        if outside.any():
            row = int(outside.argmax())
            return OutsideLink(int(sentence[row]), int(source[row]), int(target[row]))
    return None
