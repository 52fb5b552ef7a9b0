"""The links of a split of one language pair: found, checked against its text, counted, and put beside it."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any, List, Mapping, Optional, Tuple

import numpy as np
from fairseq.data import ConcatDataset, LanguagePairDataset
from fairseq.data.indexed_dataset import IndexedRawTextDataset, MMapIndexedDataset

from fairseq_guided_align.errors import AlignmentRangeError, GuidedAlignError
from fairseq_guided_align.links.coverage import LinkCoverage, measure_coverage
from fairseq_guided_align.links.end_links import take_off_end_links, told_end_links
from fairseq_guided_align.links.link import CorpusLinks
from fairseq_guided_align.links.one_based import one_based_warning
from fairseq_guided_align.links.outside import CHUNK, first_outside
from fairseq_guided_align.links.sources import ConcatenatedLinks, Links, find_links
from fairseq_guided_align.links.store import LinkStore
from fairseq_guided_align.subwords.word_positions import WordPositions, word_ends
from fairseq_guided_align.training.dataset import GuidedPairDataset, pair_counts, token_counts

logger = logging.getLogger(__name__)

LOOKED_AT = 1000
"""Sentence pairs with links of each shard that are looked at for signs of wrong links."""


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
        shards, repeats = _shards(pairs.src)
        sizes = [len(shard) for shard in shards]
        found = [self._find(split + (str(k) if k else ""), data_dir, size) for k, size in enumerate(sizes)]
        if all(links is None for links in found):
            return None
        parts = [links if links is not None else CorpusLinks.empty(size) for links, size in zip(found, sizes)]
        parts, end_links = _without_end_links(pairs, parts)
        coverage = _coverage(name, pairs, parts, repeats)
        logger.info(f"links of {name}: {coverage}{told_end_links(end_links)}")
        _warn(name, pairs, parts, coverage)
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


def _without_end_links(pairs: LanguagePairDataset, parts: List[Links]) -> Tuple[List[Links], int]:
    """Links that others' files gave, without those of ``</s>``, and the number of these."""
    found, total = [], 0
    for links, source, target in zip(parts, _shards(pairs.src)[0], _shards(pairs.tgt)[0]):
        # Our own files have none: whatever writes them has taken them off.
        if isinstance(links, CorpusLinks) and not isinstance(links, LinkStore):
            links, taken = take_off_end_links(links, token_counts(source).written, token_counts(target).written)
            total += taken
        found.append(links)
    return found, total


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


def _warn(name: str, pairs: LanguagePairDataset, parts: List[Links], coverage: LinkCoverage) -> None:
    """Say what looks wrong about links that can be used, of all shards together."""
    sources, targets = _shards(pairs.src)[0], _shards(pairs.tgt)[0]
    source_ends, target_ends = word_ends(pairs.src_dict.symbols), word_ends(pairs.tgt_dict.symbols)
    in_source, in_target = WordPositions(), WordPositions()
    linked = at_zero = 0
    if coverage.outside:
        _warn_of_outside(name, parts, sources, targets)
    for part, source, target in zip(parts, sources, targets):
        some = np.flatnonzero(np.diff(part.offsets[: CHUNK + 1]))[:LOOKED_AT].tolist()
        links = [part[i] for i in some]
        linked += len(links)
        at_zero += sum(0 in one.source or 0 in one.target for one in links)
        _count_words(in_source, source, source_ends, some, [one.source for one in links])
        _count_words(in_target, target, target_ends, some, [one.target for one in links])
    advice = "say --alignment-one-based beside --alignment-files, or binarise it with --one-based"
    suspicion = one_based_warning(f"links of {name!r}", linked, at_zero, advice)
    if suspicion:
        logger.warning(suspicion)
    cut = [side for side, seen in (("source", in_source), ("target", in_target)) if seen.suspicious]
    if cut:
        logger.warning(
            f"the links of {name!r} seem to count words, but the {' and the '.join(cut)} text is in subword pieces: in "
            f"none of {max(in_source.sentences, in_target.sentences)} sentences that were cut into pieces does a link "
            "reach beyond the number of words; make links between pieces with fairseq-guided-align preprocess, "
            "project, or binarize --level words"
        )


def _warn_of_outside(name: str, parts: List[Links], sources: List[Any], targets: List[Any]) -> None:
    for number, (part, source, target) in enumerate(zip(parts, sources, targets), start=1):
        lengths = token_counts(source).written, token_counts(target).written
        first = first_outside(part, *lengths)
        if first:
            logger.warning(
                f"links of {name!r} that point outside their sentences are left out; the first is on line "
                f"{first.sentence + 1}{f' of shard {number}' if len(parts) > 1 else ''}: {first.source}-{first.target} "
                f"(from 0), in a pair of {lengths[0][first.sentence]} source and {lengths[1][first.sentence]} target "
                "tokens"
            )
            return


def _count_words(
    seen: WordPositions, text: Any, ends: Optional[np.ndarray], sentences: List[int], positions: List[np.ndarray]
) -> None:
    while hasattr(text, "dataset"):
        text = text.dataset
    # other kinds read through a file that worker processes would share
    if ends is None or not sentences or not isinstance(text, (MMapIndexedDataset, IndexedRawTextDataset)):
        return
    tokens = [np.asarray(text[i])[:-1] for i in sentences]
    seen.add(
        np.array([len(one) for one in tokens]),
        np.array([int(ends[one].sum()) for one in tokens]),
        np.repeat(np.arange(len(sentences)), [len(one) for one in positions]),
        np.concatenate(positions),
    )


def _shards(text: Any) -> Tuple[List[Any], List[int]]:
    """What fairseq reads of the shards of one side, and how often each is repeated."""
    while not isinstance(text, ConcatDataset) and hasattr(text, "dataset"):
        text = text.dataset
    if isinstance(text, ConcatDataset):
        return list(text.datasets), list(text.sample_ratios)
    return [text], [1]


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
