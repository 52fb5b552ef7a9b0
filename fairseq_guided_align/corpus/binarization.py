"""Files of links to the binary files of a data folder, checked against its text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from fairseq_guided_align.corpus.fairseq_data import TextLengths
from fairseq_guided_align.corpus.link_counts import LinkCounts
from fairseq_guided_align.errors import AlignmentLengthError
from fairseq_guided_align.files.byte_lines import Block, PathLike, lines_of, locate_blocks, read_blocks
from fairseq_guided_align.links.end_links import take_off_end_links
from fairseq_guided_align.links.link import CorpusLinks
from fairseq_guided_align.links.outside import first_outside, is_outside
from fairseq_guided_align.links.pharaoh import parse_block
from fairseq_guided_align.links.store import LinkWriter


@dataclass(frozen=True)
class LinkFile:
    """A file of alignment text, and the lengths of the text that it aligns.

    :param path: as messages name it.
    :param one_based: positions count from 1.
    :param inverted: the file holds target-source.
    :param lengths: of the source and the target text; None: nothing is checked.
    :param max_dropped: share of the links, in [0, 1], that may be dropped before it is an error.
    :param pharaoh: Pharaoh text, where the file at ``path`` is none.
    """

    path: PathLike
    one_based: bool = False
    inverted: bool = False
    lengths: tuple[TextLengths, TextLengths] | None = None
    max_dropped: float = 0.1
    pharaoh: PathLike | None = None


def binarize_file(file: LinkFile, writer: LinkWriter, counts: LinkCounts) -> Iterator[int]:
    """Give the file's links to the writer; those that point outside their sentence pair are counted and left out.

    :param counts: filled in on the way.
    :return: the number of sentence pairs of each block that is done.
    :raises AlignmentFormatError, AlignmentRangeError: with file and line; or too many links were dropped.
    :raises AlignmentLengthError: the text has another number of sentences.
    """
    path = file.path if file.pharaoh is None else file.pharaoh
    blocks = read_blocks(path) if writer.workers == 1 else locate_blocks(path)
    for seen in writer.append_all(_read, ((file, first_line, block) for first_line, block in blocks)):
        counts.add(seen)
        yield seen.sentences
    if file.lengths is not None and counts.sentences != len(file.lengths[0]):
        raise AlignmentLengthError(
            f"{file.path}: expected {len(file.lengths[0])} lines, one for each sentence pair of the text; got"
            f" {counts.sentences}"
        )
    counts.check(file.path, file.max_dropped)


def _read(task: tuple[LinkFile, int, Block]) -> tuple[CorpusLinks, LinkCounts]:
    file, first_line, block = task
    links = parse_block(lines_of(block), file.path, first_line, file.one_based)
    if file.inverted:
        links = links.inverted()
    seen = LinkCounts()
    lines = slice(first_line - 1, first_line - 1 + len(links))
    # Lines beyond the text's are an error of the whole file, which says more.
    sizes = [side[lines] for side in file.lengths] if file.lengths and lines.stop <= len(file.lengths[0]) else None
    if sizes:
        links, seen.end_links = take_off_end_links(links, *sizes)
    seen.add_read(links)
    if sizes:
        links = _inside(links, sizes, file.path, first_line, seen)
    seen.sentences_with_links = int(np.count_nonzero(np.diff(links.offsets)))
    return links, seen


def _inside(
    links: CorpusLinks, sizes: Sequence[np.ndarray], path: PathLike, first_line: int, seen: LinkCounts
) -> CorpusLinks:
    """The links inside their sentence pairs; the others are counted.

    :param sizes: (sentences,) tokens of each source and of each target.
    """
    sources, targets = sizes
    outside = is_outside(links, sources, targets)
    first = first_outside(links, sources, targets) if outside.any() else None
    if first is None:
        return links
    seen.examples.append(
        f"{path}:{first_line + first.sentence}: link {first.source}-{first.target} (from 0) was dropped: the pair has"
        f" {sources[first.sentence]} source and {targets[first.sentence]} target tokens"
    )
    seen.out_of_range = int(outside.sum())
    return links.where(~outside)
