"""Files of links to the binary files beside a data folder's text, checked against that text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Optional

import numpy as np

from fairseq_guided_align.corpus.fairseq_data import TextLengths
from fairseq_guided_align.corpus.link_counts import LinkCounts
from fairseq_guided_align.errors import AlignmentLengthError
from fairseq_guided_align.files.byte_lines import Block, PathLike, lines_of, locate_blocks, read_blocks
from fairseq_guided_align.links.end_links import take_off_end_links
from fairseq_guided_align.links.link import CorpusLinks
from fairseq_guided_align.links.pharaoh import parse_block
from fairseq_guided_align.links.store import LinkWriter


@dataclass(frozen=True)
class LinkFile:
    """A file of alignment text, and the text that it is of.

    :param path: as messages name it.
    :param one_based: positions count from 1.
    :param inverted: the file holds target-source.
    :param lengths: of the source and the target text; None where they are not known: nothing is checked then.
    :param max_dropped: share of the links, in [0, 1], that may be dropped before it is an error.
    :param pharaoh: Pharaoh text, where the file at ``path`` is none.
    """

    path: PathLike
    one_based: bool = False
    inverted: bool = False
    lengths: Optional[tuple[TextLengths, TextLengths]] = None
    max_dropped: float = 0.1
    pharaoh: Optional[PathLike] = None


class _Task(NamedTuple):
    file: LinkFile
    first_line: int
    block: Block


def binarize_file(file: LinkFile, writer: LinkWriter, counts: LinkCounts) -> Iterator[int]:
    """Give the file's links to the writer, without those that point outside their sentence pair, which are counted.

    :param counts: filled in on the way.
    :return: the number of sentence pairs of each block that is done.
    :raises AlignmentFormatError, AlignmentRangeError: with file and line; or too many links were dropped.
    :raises AlignmentLengthError: the text has another number of sentences.
    """
    path = file.path if file.pharaoh is None else file.pharaoh
    blocks = read_blocks(path) if writer.workers == 1 else locate_blocks(path)
    tasks = (_Task(file, first_line, block) for first_line, block in blocks)
    for seen in writer.append_all(_read, tasks):
        counts.add(seen)
        yield seen.sentences
    if file.lengths is not None and counts.sentences != len(file.lengths[0]):
        raise AlignmentLengthError(
            f"{file.path}: expected {len(file.lengths[0])} lines, one for each sentence pair of the text; got"
            f" {counts.sentences}"
        )
    counts.check(file.path, file.max_dropped)


def _read(task: _Task) -> tuple[CorpusLinks, LinkCounts]:
    file, first = task.file, task.first_line - 1
    links = parse_block(lines_of(task.block), file.path, task.first_line, file.one_based)
    if file.inverted:
        links = links.inverted()
    seen = LinkCounts()
    known = file.lengths is not None and first + len(links) <= len(file.lengths[0])
    if known:
        assert file.lengths is not None
        sizes = [side[first : first + len(links)] for side in file.lengths]
        links, seen.end_links = take_off_end_links(links, sizes[0], sizes[1])
    seen.add_read(links)
    if known:
        sentence = links.sentence()
        sources, targets = (side[sentence] for side in sizes)
        inside = (links.source < sources) & (links.target < targets)
        if not inside.all():
            row = int(np.argmin(inside))
            seen.examples.append(
                f"{file.path}:{first + sentence[row] + 1}: link {links.source[row]}-{links.target[row]} (from 0)"
                f" was dropped: the pair has {sources[row]} source and {targets[row]} target tokens"
            )
            seen.out_of_range = int((~inside).sum())
            links = links.where(inside)
    seen.sentences_with_links = int((np.diff(links.offsets) > 0).sum())
    return links, seen
