"""Files of links to the binary files beside a data folder's text, checked against that text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Optional

import numpy as np

from fairseq_guided_align.byte_lines import PathLike, read_blocks
from fairseq_guided_align.errors import AlignmentLengthError, check_links_dropped
from fairseq_guided_align.links import CorpusLinks
from fairseq_guided_align.pharaoh import parse_block
from fairseq_guided_align.worker_processes import map_in_order


@dataclass
class BinarizedCounts:
    """What was read; ``examples`` holds the first links dropped, with file and line."""

    sentences: int = 0
    sentences_with_links: int = 0
    links: int = 0
    out_of_range: int = 0
    at_position_zero: int = 0
    examples: list[str] = field(default_factory=list)

    def summary(self, name: str) -> str:
        share = f" ({100 * self.sentences_with_links / self.sentences:.1f} %)" if self.sentences else ""
        dropped = f"{self.out_of_range} outside their sentence" if self.out_of_range else "none"
        return (
            f"{name}: {self.sentences} sentence pairs, {self.sentences_with_links}{share} with links;"
            f" {self.links} links; links dropped: {dropped}"
        )


def read_in_parallel(
    path: PathLike, one_based: bool = False, inverted: bool = False, workers: int = 1
) -> Iterator[CorpusLinks]:
    """The links of a file of alignment text, some thousand lines at a time, parsed by several processes.

    :param inverted: the file holds target-source.
    :raises AlignmentFormatError, AlignmentRangeError: with file and line.
    """
    tasks = ((block, str(path), first_line, one_based, inverted) for first_line, block in read_blocks(path))
    return map_in_order(_parse, tasks, workers)


def links_inside(
    chunks: Iterator[CorpusLinks],
    path: PathLike,
    source_lengths: Optional[np.ndarray],
    target_lengths: Optional[np.ndarray],
    counts: BinarizedCounts,
    max_dropped: float = 0.1,
) -> Iterator[CorpusLinks]:
    """The chunks without links that point outside their sentence pair; those are counted.

    :param source_lengths: (sentences,) tokens of the text; None where they are not known: nothing is checked then.
    :param counts: filled in on the way.
    :param max_dropped: share of the links, in [0, 1], that may be dropped before it is an error.
    :raises AlignmentLengthError: the text has another number of sentences.
    :raises AlignmentRangeError: too many links were dropped.
    """
    for chunk in chunks:
        first = counts.sentences
        counts.sentences += len(chunk)
        counts.at_position_zero += int(((chunk.source == 0) | (chunk.target == 0)).sum())
        if source_lengths is not None and target_lengths is not None and counts.sentences <= len(source_lengths):
            sentence = chunk.sentence()
            sources, targets = source_lengths[first + sentence], target_lengths[first + sentence]
            inside = (chunk.source < sources) & (chunk.target < targets)
            if not inside.all():
                row = int(np.argmin(inside))
                if len(counts.examples) < 5:
                    counts.examples.append(
                        f"{path}:{first + sentence[row] + 1}: link {chunk.source[row]}-{chunk.target[row]} (from 0)"
                        f" was dropped: the pair has {sources[row]} source and {targets[row]} target tokens"
                    )
                counts.out_of_range += int((~inside).sum())
                chunk = CorpusLinks.from_columns(
                    len(chunk),
                    sentence[inside],
                    chunk.source[inside],
                    chunk.target[inside],
                    None if chunk.weight is None else chunk.weight[inside],
                    None if chunk.sure is None else chunk.sure[inside],
                )
        counts.sentences_with_links += int((np.diff(chunk.offsets) > 0).sum())
        counts.links += len(chunk.source)
        yield chunk
    if source_lengths is not None and counts.sentences != len(source_lengths):
        raise AlignmentLengthError(
            f"{path}: expected {len(source_lengths)} lines, one for each sentence pair of the text; got"
            f" {counts.sentences}"
        )
    check_links_dropped(path, counts.out_of_range, counts.links + counts.out_of_range, max_dropped)


def _parse(task: tuple[bytes, str, int, bool, bool]) -> CorpusLinks:
    block, path, first_line, one_based, inverted = task
    links = parse_block(block, path, first_line, one_based)
    return links.inverted() if inverted else links
