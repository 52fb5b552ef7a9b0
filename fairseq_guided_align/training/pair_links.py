"""The links of a split of one language pair: found, checked against its text, counted, and put beside it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fairseq.data import ConcatDataset, LanguagePairDataset

from fairseq_guided_align.errors import AlignmentRangeError, GuidedAlignError
from fairseq_guided_align.links.coverage import LinkCoverage, measure_coverage
from fairseq_guided_align.links.end_links import take_off_end_links, told_end_links
from fairseq_guided_align.links.link import CorpusLinks
from fairseq_guided_align.links.sources import ConcatenatedLinks, ShardLinks, find_links
from fairseq_guided_align.links.store import LinkStore
from fairseq_guided_align.training.dataset import GuidedPairDataset, pair_counts, token_counts
from fairseq_guided_align.training.link_warnings import LinkedShard, warn_of_links

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
    dataset_impl: str | None = None

    def beside(
        self, pairs: LanguagePairDataset, split: str, data_dir: str, name: str
    ) -> tuple[GuidedPairDataset, LinkCoverage] | None:
        """The split with its links, and how much of it they cover, which is also logged; None without links.

        :param pairs: the split as fairseq loaded it, with target.
        :param name: what messages call it.
        :raises GuidedAlignError: no links, another number of lines, or links of the wrong direction.
        """
        sources, repeats = _shards(pairs.src)
        targets, _ = _shards(pairs.tgt)
        sizes = [len(shard) for shard in sources]
        found = [self._find(split + (str(k) if k else ""), data_dir, size) for k, size in enumerate(sizes)]
        if all(links is None for links in found):
            return None
        shards, end_links = [], 0
        for links, source, target in zip(found, sources, targets):
            if links is None:
                links = CorpusLinks.empty(len(source))
            # Our own files have no links of </s>: whatever writes them has taken them off.
            if isinstance(links, CorpusLinks) and not isinstance(links, LinkStore):
                links, taken = take_off_end_links(links, token_counts(source).written, token_counts(target).written)
                end_links += taken
            shards.append(LinkedShard(links, source, target))
        parts = [shard.links for shard in shards]
        coverage = _coverage(name, pairs, parts, repeats)
        logger.info(f"links of {name}: {coverage}{told_end_links(end_links)}")
        warn_of_links(name, shards, (pairs.src_dict, pairs.tgt_dict), any_outside=bool(coverage.outside))
        if self.required and not coverage.links:
            raise GuidedAlignError(
                f"the alignments of {name!r} hold no usable link, so nothing would be guided; look at them with "
                "fairseq-guided-align check; --allow-missing-alignments goes on without them"
            )
        return GuidedPairDataset(pairs, ConcatenatedLinks(parts, repeats)), coverage

    def _find(self, shard: str, data_dir: str, sentences: int) -> ShardLinks | None:
        file, one_based, inverted = self.files.get(shard), self.one_based, self.inverted
        links = find_links(
            data_dir, shard, self.source, self.target, sentences, file, one_based, inverted, self.dataset_impl
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


def _shards(text: Any) -> tuple[list[Any], list[int]]:
    """What fairseq reads of the shards of one side, and how often each is repeated."""
    while not isinstance(text, ConcatDataset) and hasattr(text, "dataset"):
        text = text.dataset
    if isinstance(text, ConcatDataset):
        return list(text.datasets), list(text.sample_ratios)
    return [text], [1]


def _coverage(name: str, pairs: LanguagePairDataset, parts: list[ShardLinks], repeats: list[int]) -> LinkCoverage:
    """Coverage of each shard once, however often it is repeated.

    :raises AlignmentRangeError: links are of the other direction.
    """
    source, target = pair_counts(pairs)
    total, start = LinkCoverage(), 0
    for links, times in zip(parts, repeats):
        span = slice(start, start + len(links))
        lengths = source.written[span], source.kept[span], target.written[span]
        coverage = measure_coverage(links, *lengths)
        if coverage.outside > 0.01 * coverage.links:
            inverted = measure_coverage(CorpusLinks(links.offsets, links.target, links.source), *lengths)
            if inverted.outside * 10 < coverage.outside:
                raise AlignmentRangeError(
                    f"the links of {name!r} are of the other direction: {coverage.outside:,} of them point outside "
                    f"their sentences, and {inverted.outside:,} would if each source-target pair were a target-source "
                    "pair; binarise them with --inverted, or give --alignment-inverted with --alignment-files"
                )
        total += coverage
        start += len(links) * times
    return total
