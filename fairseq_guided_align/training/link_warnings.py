"""What looks wrong about links that can be used, said before a training begins."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from fairseq.data.indexed_dataset import IndexedRawTextDataset, MMapIndexedDataset

from fairseq_guided_align.links.one_based import one_based_warning
from fairseq_guided_align.links.outside import PAIRS_AT_ONCE, first_outside
from fairseq_guided_align.links.sources import ShardLinks
from fairseq_guided_align.subwords.word_positions import WordPositions, word_ends
from fairseq_guided_align.training.dataset import token_counts

logger = logging.getLogger(__name__)

LOOKED_AT = 1000
"""Sentence pairs with links of each shard that are looked at for signs of wrong links."""


class LinkedShard(NamedTuple):
    """Links of a shard of text, with fairseq's datasets of its two sides."""

    links: ShardLinks
    source: Any
    target: Any


def warn_of_links(name: str, shards: Sequence[LinkedShard], dictionaries: Sequence[Any], any_outside: bool) -> None:
    """Log what looks wrong, of all shards together.

    :param name: what messages call the split.
    :param dictionaries: fairseq's, of source and target.
    :param any_outside: links point outside their sentences.
    """
    if any_outside:
        _warn_of_outside(name, shards)
    source_ends, target_ends = (word_ends(dictionary.symbols) for dictionary in dictionaries)
    in_source, in_target = WordPositions(), WordPositions()
    linked = at_zero = 0
    for shard in shards:
        some = np.flatnonzero(np.diff(shard.links.offsets[: PAIRS_AT_ONCE + 1]))[:LOOKED_AT].tolist()
        links = [shard.links[i] for i in some]
        linked += len(links)
        at_zero += sum(0 in sentence.source or 0 in sentence.target for sentence in links)
        _count_words(in_source, shard.source, source_ends, some, [sentence.source for sentence in links])
        _count_words(in_target, shard.target, target_ends, some, [sentence.target for sentence in links])
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


def _warn_of_outside(name: str, shards: Sequence[LinkedShard]) -> None:
    for number, shard in enumerate(shards, start=1):
        lengths = token_counts(shard.source).written, token_counts(shard.target).written
        first = first_outside(shard.links, *lengths)
        if first:
            logger.warning(
                f"links of {name!r} that point outside their sentences are left out; the first is on line "
                f"{first.sentence + 1}{f' of shard {number}' if len(shards) > 1 else ''}: {first.source}-{first.target}"
                f" (from 0), in a pair of {lengths[0][first.sentence]} source and {lengths[1][first.sentence]} target "
                "tokens"
            )
            return


def _count_words(
    seen: WordPositions, text: Any, ends: np.ndarray | None, sentences: list[int], positions: list[np.ndarray]
) -> None:
    """Count what tells links between words from links between pieces.

    :param ends: (symbols,) whether a piece ends a word; None: words are not cut.
    :param positions: of each sentence, the positions that its links join on this side.
    """
    while hasattr(text, "dataset"):
        text = text.dataset
    # Other kinds read through a file that worker processes would share.
    if ends is None or not sentences or not isinstance(text, (MMapIndexedDataset, IndexedRawTextDataset)):
        return
    tokens = [np.asarray(text[i])[:-1] for i in sentences]
    seen.add(
        np.array([len(sentence) for sentence in tokens]),
        np.array([int(ends[sentence].sum()) for sentence in tokens]),
        np.repeat(np.arange(len(sentences)), [len(linked) for linked in positions]),
        np.concatenate(positions),
    )
