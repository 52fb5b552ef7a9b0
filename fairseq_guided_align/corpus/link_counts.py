"""Counts of the links that were read for a corpus, added up block by block, and what to tell of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields

import numpy as np

from fairseq_guided_align.errors import check_links_dropped
from fairseq_guided_align.files.byte_lines import PathLike
from fairseq_guided_align.links.end_links import told_end_links
from fairseq_guided_align.links.link import CorpusLinks
from fairseq_guided_align.links.one_based import one_based_warning

EXAMPLES = 5


@dataclass
class LinkCounts:
    """What was read; ``examples`` holds the first of what was lost, with file and line.

    ``sentences_with_links_read`` had links in the file, ``sentences_with_links`` still have some. ``end_links`` are of
    ``</s>``, as Marian writes them; they were taken off first, and count nowhere else.
    """

    sentences: int = 0
    sentences_with_links_read: int = 0
    sentences_with_links: int = 0
    links_read: int = 0
    out_of_range: int = 0
    at_position_zero: int = 0
    end_links: int = 0
    examples: list[str] = field(default_factory=list)

    def add_read(self, links: CorpusLinks) -> None:
        """Count links as they were read, before any are dropped."""
        self.sentences += len(links)
        self.sentences_with_links_read += int((np.diff(links.offsets) > 0).sum())
        self.links_read += len(links.source)
        self.at_position_zero += int(((links.source == 0) | (links.target == 0)).sum())

    def add(self, other: LinkCounts) -> None:
        """Add the counts of another part of the corpus.

        :param other: of the same class.
        """
        for one in fields(self):
            if one.name != "examples":
                setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))
        self.examples = (self.examples + other.examples)[:EXAMPLES]

    @property
    def dropped(self) -> int:
        return self.out_of_range

    def check(self, path: PathLike, max_dropped: float) -> None:
        """:raises AlignmentRangeError: more than this share of the links of the file was dropped."""
        check_links_dropped(path, self.dropped, self.links_read, max_dropped, next(iter(self.examples), ""))

    def warnings(self, path: PathLike, one_based: bool) -> Iterator[str]:
        """What to tell the user besides the summary.

        :param one_based: positions were taken to count from 1.
        """
        yield from self.examples
        if not one_based:
            suspicion = one_based_warning(path, self.sentences_with_links_read, self.at_position_zero)
            if suspicion:
                yield suspicion

    def summary(self, name: str) -> str:
        """One line: sentences with links, links, links lost and why."""
        dropped = f"{self.out_of_range} outside their sentence" if self.out_of_range else "none"
        return (
            f"{name}: {self.sentences} sentence pairs, {share(self.sentences_with_links, self.sentences)} with links;"
            f" {self.links_read - self.dropped} links; links dropped: {dropped}"
            f"{told_end_links(self.end_links)}"
        )


def share(part: int, whole: int) -> str:
    """A count, with its share of a whole."""
    return f"{part} ({100 * part / whole:.1f} %)" if whole else "0"
