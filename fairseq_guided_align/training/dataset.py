"""Sentence pairs with their links: a wrapper around fairseq's ``LanguagePairDataset``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from fairseq.data import (
    AppendTokenDataset,
    BaseWrapperDataset,
    BucketPadLengthDataset,
    ConcatDataset,
    LanguagePairDataset,
    PrependTokenDataset,
    StripTokenDataset,
    TruncateDataset,
)

from fairseq_guided_align.links.link import SentenceLinks
from fairseq_guided_align.links.sources import ConcatenatedLinks, ShardLinks
from fairseq_guided_align.losses.batching import collate_links


class TokenCounts(NamedTuple):
    """What the items of a fairseq dataset hold: tokens that links count, and how many stand before them.

    :param written: (sentences,) aligned tokens as written.
    :param kept: (sentences,) those that are left after truncation.
    :param prefix: tokens before them in each item (a prepended BOS or language id).
    """

    written: np.ndarray
    kept: np.ndarray
    prefix: int


def token_counts(dataset: Any) -> TokenCounts:
    """Counts of one side of a sentence-pair dataset, through the wrappers that fairseq's tasks put around it."""
    if isinstance(dataset, (BucketPadLengthDataset, StripTokenDataset, AppendTokenDataset)):
        return token_counts(dataset.dataset)  # What stands after the tokens moves none of them.
    if isinstance(dataset, TruncateDataset):
        inner = token_counts(dataset.dataset)
        return inner._replace(kept=np.minimum(inner.kept, dataset.truncation_length - inner.prefix))
    if isinstance(dataset, PrependTokenDataset):
        inner = token_counts(dataset.dataset)
        return inner if dataset.token is None else inner._replace(prefix=inner.prefix + 1)
    if isinstance(dataset, ConcatDataset):
        parts = [token_counts(part) for part in dataset.datasets]
        written, kept = (
            np.concatenate([np.tile(counts[column], n) for counts, n in zip(parts, dataset.sample_ratios)])
            for column in (0, 1)
        )
        return TokenCounts(written, kept, parts[0].prefix)
    # fairseq-preprocess ends every sentence with </s>.
    written = np.maximum(np.asarray(dataset.sizes) - 1, 0)
    return TokenCounts(written, written, 0)


def pair_counts(pairs: LanguagePairDataset) -> tuple[TokenCounts, TokenCounts]:
    """Counts of both sides of a sentence-pair dataset."""
    source, target = token_counts(pairs.src), token_counts(pairs.tgt)
    if pairs.append_bos:
        source, target = source._replace(prefix=source.prefix + 1), target._replace(prefix=target.prefix + 1)
    return source, target


class GuidedPairDataset(BaseWrapperDataset):
    """A ``LanguagePairDataset`` whose batches also carry links, see :mod:`~fairseq_guided_align.losses.batching`.

    Links that point outside a sentence (or beyond the cut of ``--truncate-source``) are left out and counted.

    :param pairs: the sentence pairs; its own ``align_dataset`` is not used.
    :param links: links of every sentence pair, in the same order.
    """

    def __init__(self, pairs: LanguagePairDataset, links: ShardLinks | ConcatenatedLinks) -> None:
        super().__init__(pairs)
        self.links = links
        self._source, self._target = pair_counts(pairs)
        # fairseq-generate and fairseq's language tokens read these.
        self.src, self.tgt = pairs.src, pairs.tgt
        self.left_pad_source, self.left_pad_target = pairs.left_pad_source, pairs.left_pad_target

    def __getitem__(self, index: int) -> dict[str, Any]:
        item = self.dataset[index]
        links = self.links[index]
        inside = (links.source < self._source.kept[index]) & (links.target < self._target.kept[index])
        item["links_dropped"] = len(inside) - int(np.count_nonzero(inside))
        item["links"] = _chosen(links, inside) if item["links_dropped"] else links
        return item

    def collater(self, samples: list[dict[str, Any]], **options: Any) -> dict[str, Any]:
        """The batch of these items; an empty dictionary for none."""
        batch = self.dataset.collater(samples, **options)
        if not batch:
            return batch
        by_id = {item["id"]: item for item in samples}
        items = [by_id[index] for index in batch["id"].tolist()]
        padding = self.dataset.src_dict.pad()
        source, target = batch["net_input"]["src_tokens"], batch["target"]
        # Buckets pad the sentences themselves.
        bucketed = self.dataset.buckets is not None
        sources, targets = (None if bucketed else [item[side] for item in items] for side in ("source", "target"))
        links = [item["links"] for item in items]
        dropped = sum(item["links_dropped"] for item in items)
        if _has_padding_within(source, sources, padding) or _has_padding_within(target, targets, padding):
            before = sum(map(len, links))
            links = [self._without_padding(item, padding) for item in items]
            dropped += before - sum(map(len, links))
        source_offsets = _offsets(source, sources, padding) * self.left_pad_source + self._source.prefix
        target_offsets = _offsets(target, targets, padding) * self.left_pad_target + self._target.prefix
        batch.update(collate_links(links, source_offsets, target_offsets, target.size(1), dropped))
        return batch

    def _without_padding(self, item: dict[str, Any], padding: int) -> SentenceLinks:
        """A sentence's links without those of words that fairseq takes for padding, which nothing attends to."""
        links = item["links"]
        source = item["source"].numpy()[links.source + self._source.prefix]
        target = item["target"].numpy()[links.target + self._target.prefix]
        return _chosen(links, (source != padding) & (target != padding))


def _chosen(links: SentenceLinks, kept: np.ndarray) -> SentenceLinks:
    return SentenceLinks(links.source[kept], links.target[kept], links.weight[kept], links.sure[kept])


def _has_padding_within(tokens: torch.Tensor, sentences: Sequence[torch.Tensor] | None, padding: int) -> bool:
    """Whether a text has words that are spelled like padding, as a folder of stock ``fairseq-preprocess`` may.

    :param tokens: (batch, width), the sentences padded.
    :param sentences: None where they are padded themselves: nothing can be said.
    """
    return sentences is not None and int(tokens.eq(padding).sum()) > tokens.numel() - sum(map(len, sentences))


def _offsets(tokens: torch.Tensor, sentences: Sequence[torch.Tensor] | None, padding: int) -> np.ndarray:
    """(batch,) int64, tokens of padding on the left of each sentence, if it is padded there.

    :param tokens: (batch, width), the sentences padded.
    :param sentences: None where they are padded themselves.
    """
    if sentences is None:
        return tokens.eq(padding).sum(dim=1).numpy()
    return tokens.size(1) - np.array([len(sentence) for sentence in sentences], np.int64)
