"""Where the links of a split come from: our binary files, fairseq's own, or text; one direction or the other."""

from __future__ import annotations

import bisect
import os
from collections.abc import Sequence

import numpy as np

from fairseq_guided_align.errors import AlignmentLengthError, GuidedAlignError
from fairseq_guided_align.links.link import CorpusLinks, InvertedLinks, SentenceLinks
from fairseq_guided_align.links.reading import read_link_file
from fairseq_guided_align.links.store import LinkStore, links_path

ShardLinks = CorpusLinks | InvertedLinks


class ConcatenatedLinks:
    """Links of several shards, each repeated as often as fairseq's ``ConcatDataset`` repeats its text.

    :param parts: links of each shard.
    :param repeats: how often each shard counts, at least 1 (``--upsample-primary`` for the first one).
    """

    def __init__(self, parts: Sequence[ShardLinks], repeats: Sequence[int]) -> None:
        self._parts = list(parts)
        self._ends = np.cumsum([len(part) * times for part, times in zip(parts, repeats)]).tolist()

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, index: int) -> SentenceLinks:
        part = bisect.bisect_right(self._ends, index)
        start = self._ends[part - 1] if part else 0
        return self._parts[part][(index - start) % len(self._parts[part])]


def find_links(
    data_dir: str,
    split: str,
    source_lang: str,
    target_lang: str,
    sentences: int,
    text_file: str | None = None,
    one_based: bool = False,
    inverted: bool = False,
    dataset_impl: str | None = None,
) -> ShardLinks | None:
    """Links of one shard of a split in the direction of training, or None where there are none.

    Looked for in this order: the text file if one is named; ``{split}.links.{source}-{target}`` of this package;
    ``{split}.align.{source}-{target}`` of fairseq; the same two for the reversed pair, which are then inverted.

    :param sentences: sentence pairs of the text.
    :param one_based: positions of the text file start at 1.
    :param inverted: the text file holds target-source pairs.
    :raises AlignmentLengthError: another number of lines than the text has.
    """
    links: ShardLinks | None
    if text_file is not None:
        path, links = text_file, read_link_file(text_file, one_based, sentences)
        links = links.inverted() if inverted else links
    else:
        path, links = _stored(data_dir, split, source_lang, target_lang, dataset_impl)
        if links is None:
            path, reversed_links = _stored(data_dir, split, target_lang, source_lang, dataset_impl)
            links = None if reversed_links is None else InvertedLinks(reversed_links)
    if links is not None and len(links) != sentences:
        raise AlignmentLengthError(
            f"{path}: expected {sentences} lines, one for each sentence pair of {split!r} in {data_dir}; got "
            f"{len(links)}; align and binarise the text that was binarised, with empty lines where there are no links"
        )
    return links


def _stored(
    data_dir: str, split: str, source: str, target: str, dataset_impl: str | None
) -> tuple[str, CorpusLinks | None]:
    """Binary links, ours or fairseq's, and where they were found; None where there are none."""
    ours = links_path(data_dir, split, source, target)
    if ours.exists():
        return str(ours), LinkStore(ours)
    theirs = os.path.join(data_dir, f"{split}.align.{source}-{target}")
    there = os.path.exists(theirs + ".idx") or os.path.exists(theirs)
    return theirs, _fairseq_links(theirs, dataset_impl) if there else None


def _fairseq_links(path: str, dataset_impl: str | None) -> CorpusLinks:
    from fairseq.data import data_utils
    from fairseq.data.indexed_dataset import index_file_path

    try:
        dataset = data_utils.load_indexed_dataset(path, None, dataset_impl)
    except ValueError as error:
        if "empty file" not in str(error):
            raise
        # fairseq writes a data file of no bytes when no sentence has a link, and cannot map it. Its index begins with
        # 9 bytes of magic, 8 of version and 1 of type; the number of items follows.
        return CorpusLinks.empty(int(np.fromfile(index_file_path(path), "<i8", 1, offset=18)[0]))
    if dataset is None:
        raise GuidedAlignError(f"{path}: fairseq cannot read these binarised alignments")
    if dataset.supports_prefetch:
        # Its format of before mmap is read as a cache, which has to be filled.
        dataset.prefetch(range(len(dataset)))
    items = [np.asarray(dataset[i]).reshape(-1, 2) for i in range(len(dataset))]
    pairs = np.concatenate([np.empty((0, 2), np.int64), *items])
    sentence = np.repeat(np.arange(len(items)), np.array([len(item) for item in items], np.int64))
    return CorpusLinks.from_columns(len(items), sentence, pairs[:, 0], pairs[:, 1])
