"""Links of segments, one segment after the other, with the words that they count."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from fairseq_guided_align.files.byte_lines import PathLike
from fairseq_guided_align.links import pharaoh

Link = tuple[int, int, float]
"""Source, target, weight above 0. The positions, from 0, are of words, or of units where it is said."""


class SegmentTexts(NamedTuple):
    """What links of a segment are made of: its lines in the words files, or its text without tags where there are none.

    :param line: from 1.
    """

    line: int
    source: str
    target: str


class SegmentLinks(NamedTuple):
    """The links of a segment.

    :param links: ``(source, target, weight)``: 0-based positions of words; weights > 0.
    :param source_words: the words that the links count, which spell the text; what stands between white space when
        None; ``target_words`` likewise.
    """

    links: list[Link]
    source_words: Sequence[str] | None = None
    target_words: Sequence[str] | None = None


def links_of_file(path: PathLike, one_based: bool) -> Iterator[list[Link]]:
    """Links of Pharaoh text, line by line, as in :class:`SegmentLinks`.

    :param one_based: positions in the file count from 1.
    :raises AlignmentFormatError, AlignmentRangeError: a link cannot be read; with file and line.
    :raises GuidedAlignError: the file cannot be read.
    """
    for chunk in pharaoh.read_chunks(path, one_based):
        source, target = chunk.source.tolist(), chunk.target.tolist()
        weights = [1.0] * len(source) if chunk.weight is None else chunk.weight.tolist()
        every = list(zip(source, target, weights))
        offsets = chunk.offsets.tolist()
        for start, stop in zip(offsets, offsets[1:]):
            yield every[start:stop]
