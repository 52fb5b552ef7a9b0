"""Where the links of a split come from: our binary files, fairseq's own, or text; one direction or the other."""

from __future__ import annotations

import bisect
import os
from pathlib import Path
from typing import Iterator, List, Mapping, Optional, Sequence, Union

import numpy as np

from fairseq_guided_align.errors import AlignmentLengthError, GuidedAlignError
from fairseq_guided_align.links.link import CorpusLinks, SentenceLinks
from fairseq_guided_align.links.reading import read_link_file
from fairseq_guided_align.links.store import LinkStore, links_path


class InvertedLinks:
    """Links of the reverse direction, read the other way round; nothing is copied."""

    def __init__(self, links: Union[LinkStore, CorpusLinks]) -> None:
        self._links = links
        self.offsets, self.source, self.target = links.offsets, links.target, links.source

    def __len__(self) -> int:
        return len(self._links)

    def __getitem__(self, index: int) -> SentenceLinks:
        return self._links[index].inverted()


Links = Union[LinkStore, CorpusLinks, InvertedLinks]


class ConcatenatedLinks:
    """Links of several shards, each repeated as often as fairseq's ``ConcatDataset`` repeats its text.

    :param parts: links of each shard.
    :param repeats: how often each shard counts, at least 1 (``--upsample-primary`` for the first one).
    """

    def __init__(self, parts: Sequence[Links], repeats: Sequence[int]) -> None:
        self._parts = list(parts)
        self._ends = np.cumsum([len(part) * times for part, times in zip(parts, repeats)]).tolist()

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, index: int) -> SentenceLinks:
        part = bisect.bisect_right(self._ends, index)
        start = self._ends[part - 1] if part else 0
        return self._parts[part][(index - start) % len(self._parts[part])]


def parse_alignment_files(text: Optional[str]) -> Mapping[str, str]:
    """Files by split, of ``train=FILE,valid=FILE``; a comma in the name of a file that is there separates nothing.

    :raises GuidedAlignError: an entry without a split or a file, or a split named twice.
    """
    files = {}
    for entry in _entries(text or ""):
        split, separator, path = entry.strip().partition("=")
        if not (split and separator and path) or split in files:
            raise GuidedAlignError(
                f"--alignment-files: expected SPLIT=FILE entries separated by commas, each split once, such as "
                f"train=train.align,valid=valid.align; got {entry.strip()!r} in {text!r}"
            )
        files[split] = path
    return files


def _entries(text: str) -> Iterator[str]:
    parts = text.split(",")
    while parts:
        lengths = range(1, len(parts) + 1)
        whole = (n for n in lengths if os.path.isfile(",".join(parts[:n]).strip().partition("=")[2]))
        taken = next(whole, 1)
        entry, parts = ",".join(parts[:taken]), parts[taken:]
        if entry.strip():
            yield entry


def check_alignment_files(files: Mapping[str, str], data_dirs: Sequence[str], train_subset: str) -> None:
    """Refuse files that no split of the training would read, or that several folders would.

    :param files: by split or shard.
    :param data_dirs: of which ``train_subset`` is read in turn.
    :raises GuidedAlignError: names the split.
    """
    for split in files:
        if not any(name.startswith(split + ".") for folder in data_dirs for name in os.listdir(folder)):
            raise GuidedAlignError(
                f"--alignment-files: expected splits of {':'.join(data_dirs)}, such as {train_subset}; got {split!r}"
            )
        if len(data_dirs) > 1 and split.rstrip("0123456789") == train_subset:
            raise GuidedAlignError(
                f"--alignment-files: {len(data_dirs)} data folders take turns, and {split!r} names one file; put the "
                "links into the folders with fairseq-guided-align binarize"
            )


def find_links(
    data_dir: str,
    split: str,
    source_lang: str,
    target_lang: str,
    sentences: int,
    text_file: Optional[str] = None,
    one_based: bool = False,
    inverted: bool = False,
    dataset_impl: Optional[str] = None,
) -> Optional[Links]:
    """Links of one shard of a split in the direction of training, or None where there are none.

    Looked for in this order: the text file if one is named; ``{split}.links.{source}-{target}`` of this package;
    ``{split}.align.{source}-{target}`` of fairseq; the same two for the reversed pair, which are then inverted.

    :param sentences: sentence pairs of the text.
    :param one_based: positions of the text file start at 1.
    :param inverted: the text file holds target-source pairs.
    :raises AlignmentLengthError: another number of lines than the text has.
    """
    if text_file is not None:
        text = read_link_file(text_file, one_based, sentences)
        links: Links = text.inverted() if inverted else text
        found: Union[str, Path] = text_file
    else:
        for source, target in ((source_lang, target_lang), (target_lang, source_lang)):
            ours = links_path(data_dir, split, source, target)
            theirs = os.path.join(data_dir, f"{split}.align.{source}-{target}")
            stored: Union[LinkStore, CorpusLinks]
            if ours.exists():
                found, stored = ours, LinkStore(ours)
            elif os.path.exists(theirs + ".idx") or os.path.exists(theirs):
                found, stored = theirs, _fairseq_links(theirs, dataset_impl)
            else:
                continue
            links = stored if (source, target) == (source_lang, target_lang) else InvertedLinks(stored)
            break
        else:
            return None
    if len(links) != sentences:
        raise AlignmentLengthError(
            f"{found}: expected {sentences} lines, one for each sentence pair of {split!r} in {data_dir}; got "
            f"{len(links)}; align and binarise the text that was binarised, with empty lines where there are no links"
        )
    return links


def _fairseq_links(path: str, dataset_impl: Optional[str]) -> CorpusLinks:
    from fairseq.data import data_utils

    try:
        dataset = data_utils.load_indexed_dataset(path, None, dataset_impl)
    except ValueError as error:
        if "empty file" not in str(error):
            raise
        # fairseq writes a data file of no bytes when no sentence has a link, and cannot map it
        from fairseq.data.indexed_dataset import index_file_path

        return CorpusLinks(np.zeros(_items(index_file_path(path)) + 1, np.int64), *[np.empty(0, np.int32)] * 2)
    if dataset is None:
        raise GuidedAlignError(f"{path}: fairseq cannot read these binarised alignments")
    if dataset.supports_prefetch:
        # its format of before mmap is read as a cache, which has to be filled
        dataset.prefetch(range(len(dataset)))
    items: List[np.ndarray] = [np.asarray(dataset[i]).reshape(-1, 2) for i in range(len(dataset))]
    pairs = np.concatenate(items) if items else np.empty((0, 2), np.int64)
    sentence = np.repeat(np.arange(len(items)), [len(item) for item in items])
    return CorpusLinks.from_columns(len(items), sentence, pairs[:, 0], pairs[:, 1])


def _items(index_file: str) -> int:
    """Items of fairseq's memory-mapped index: magic (9 bytes), version (8), type code (1), number of items (8)."""
    with open(index_file, "rb") as stream:
        stream.seek(18)
        return int.from_bytes(stream.read(8), "little")
