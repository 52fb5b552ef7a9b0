"""The links of a split of one language pair: found, checked against its text, counted, and put beside it."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import List, Mapping, Optional, Tuple

import numpy as np
from fairseq.data import ConcatDataset, LanguagePairDataset

from fairseq_guided_align.coverage import LinkCoverage, measure_coverage
from fairseq_guided_align.dataset import GuidedPairDataset, pair_counts
from fairseq_guided_align.errors import AlignmentRangeError, GuidedAlignError
from fairseq_guided_align.link_sources import ConcatenatedLinks, Links, find_links
from fairseq_guided_align.links import CorpusLinks

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PairLinks:
    """Where the links of a language pair come from, and what may be missing.

    :param source: source language.
    :param target: target language.
    :param files: text files by shard (``train``, ``train1``, ...), instead of binary links.
    :param one_based: positions of the text files start at 1.
    :param inverted: the text files hold target-source pairs.
    :param required: a shard without links and a split without a usable link are errors.
    :param dataset_impl: fairseq's ``--dataset-impl``.
    """

    source: str
    target: str
    files: Mapping[str, str] = field(default_factory=dict)
    one_based: bool = False
    inverted: bool = False
    required: bool = True
    dataset_impl: Optional[str] = None

    def beside(
        self, pairs: LanguagePairDataset, split: str, data_dir: str, name: str
    ) -> Optional[Tuple[GuidedPairDataset, LinkCoverage]]:
        """The split with its links, and how much of it they cover, which is also logged; None without links.

        :param pairs: the split as fairseq loaded it, with target.
        :param name: what messages call it.
        :raises GuidedAlignError: no links, another number of lines, or links of the wrong direction.
        """
        shards = pairs.src
        while not isinstance(shards, ConcatDataset) and hasattr(shards, "dataset"):
            shards = shards.dataset
        if isinstance(shards, ConcatDataset):
            sizes, repeats = [len(part) for part in shards.datasets], list(shards.sample_ratios)
        else:
            sizes, repeats = [len(shards)], [1]
        found = [self._find(split + (str(k) if k else ""), data_dir, size) for k, size in enumerate(sizes)]
        if all(links is None for links in found):
            return None
        parts = [links if links is not None else _no_links(size) for links, size in zip(found, sizes)]
        coverage = _coverage(name, pairs, parts, repeats)
        logger.info(f"links of {name}: {coverage}")
        if self.required and not coverage.links:
            raise GuidedAlignError(
                f"the alignments of {name!r} hold no usable link, so nothing would be guided; look at them with "
                "fairseq-guided-align check; --allow-missing-alignments goes on without them"
            )
        return GuidedPairDataset(pairs, ConcatenatedLinks(parts, repeats)), coverage

    def _find(self, shard: str, data_dir: str, sentences: int) -> Optional[Links]:
        links = find_links(
            data_dir,
            shard,
            self.source,
            self.target,
            sentences,
            self.files.get(shard),
            self.one_based,
            self.inverted,
            self.dataset_impl,
        )
        if links is None and self.required:
            pair = f"{self.source}-{self.target}"
            raise GuidedAlignError(
                f"no alignments for {shard!r} in {data_dir}: expected {shard}.links.{pair} (written by "
                f"fairseq-guided-align preprocess or binarize), {shard}.align.{pair}.idx (written by "
                f"fairseq-preprocess --align-suffix), or --alignment-files with a file for {shard!r}; "
                "--allow-missing-alignments goes on without them"
            )
        return links


def _coverage(name: str, pairs: LanguagePairDataset, parts: List[Links], repeats: List[int]) -> LinkCoverage:
    source, target = pair_counts(pairs)
    total, start = LinkCoverage(), 0
    for part, times in zip(parts, repeats):
        span = slice(start, start + len(part))
        lengths = source.written[span], source.kept[span], target.written[span]
        coverage = measure_coverage(part, *lengths)
        if coverage.outside > 0.01 * coverage.links:
            _refuse_other_direction(name, part, coverage, *lengths)
        total += coverage
        start += len(part) * times
    return total


def _no_links(sentences: int) -> CorpusLinks:
    return CorpusLinks(np.zeros(sentences + 1, np.int64), np.empty(0, np.int32), np.empty(0, np.int32))


def _refuse_other_direction(
    name: str,
    links: Links,
    coverage: LinkCoverage,
    source_lengths: np.ndarray,
    source_kept: np.ndarray,
    target_lengths: np.ndarray,
) -> None:
    inverted = measure_coverage(
        CorpusLinks(links.offsets, links.target, links.source), source_lengths, source_kept, target_lengths
    )
    if inverted.outside * 10 < coverage.outside:
        raise AlignmentRangeError(
            f"the links of {name!r} are of the other direction: {coverage.outside:,} of them point outside their "
            f"sentences, and {inverted.outside:,} would if each source-target pair were a target-source pair; "
            "binarise them with --inverted, or give --alignment-inverted with --alignment-files"
        )
