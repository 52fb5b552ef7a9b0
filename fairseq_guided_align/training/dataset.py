"""Sentence pairs with their links: a wrapper around fairseq's ``LanguagePairDataset``."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, Protocol, Sequence, Tuple

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
from fairseq_guided_align.losses.batching import collate_links


class SentenceLinkSequence(Protocol):
    """Links by sentence number."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> SentenceLinks: ...


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
        return token_counts(dataset.dataset)  # what stands after the tokens moves none of them
    if isinstance(dataset, TruncateDataset):
        inner = token_counts(dataset.dataset)
        return inner._replace(kept=np.minimum(inner.kept, dataset.truncation_length - inner.prefix))
    if isinstance(dataset, PrependTokenDataset):
        inner = token_counts(dataset.dataset)
        return inner if dataset.token is None else inner._replace(prefix=inner.prefix + 1)
    if isinstance(dataset, ConcatDataset):
        parts = [token_counts(part) for part in dataset.datasets]
        return TokenCounts(
            np.concatenate([np.tile(part.written, n) for part, n in zip(parts, dataset.sample_ratios)]),
            np.concatenate([np.tile(part.kept, n) for part, n in zip(parts, dataset.sample_ratios)]),
            parts[0].prefix,
        )
    # fairseq-preprocess ends every sentence with </s>
    written = np.maximum(np.asarray(dataset.sizes) - 1, 0)
    return TokenCounts(written, written, 0)


def pair_counts(pairs: LanguagePairDataset) -> Tuple[TokenCounts, TokenCounts]:
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

    def __init__(self, pairs: LanguagePairDataset, links: SentenceLinkSequence) -> None:
        super().__init__(pairs)
        self.links = links
        self._source, self._target = pair_counts(pairs)

    @property
    def src(self) -> Any:
        """The source side, which ``fairseq-generate`` reads."""
        return self.dataset.src

    @property
    def tgt(self) -> Any:
        """The target side, which ``fairseq-generate`` reads."""
        return self.dataset.tgt

    @property
    def left_pad_source(self) -> bool:
        """Whether sources are padded on the left, which fairseq's language tokens depend on."""
        return self.dataset.left_pad_source

    @property
    def left_pad_target(self) -> bool:
        """Likewise of targets."""
        return self.dataset.left_pad_target

    def __getitem__(self, index: int) -> Dict[str, Any]:
        item = self.dataset[index]
        links = self.links[index]
        inside = (links.source < self._source.kept[index]) & (links.target < self._target.kept[index])
        item["links_dropped"] = len(inside) - int(np.count_nonzero(inside))
        if item["links_dropped"]:
            links = SentenceLinks(links.source[inside], links.target[inside], links.weight[inside], links.sure[inside])
        item["links"] = links
        return item

    def collater(self, samples: List[Dict[str, Any]], **options: Any) -> Dict[str, Any]:
        """The batch of these items; an empty dictionary for none."""
        batch = self.dataset.collater(samples, **options)
        if not batch:
            return batch
        by_id = {item["id"]: item for item in samples}
        ordered = [by_id[index] for index in batch["id"].tolist()]
        padding = self.dataset.src_dict.pad()
        source, target = batch["net_input"]["src_tokens"], batch["target"]
        links = [item["links"] for item in ordered]
        dropped = sum(item["links_dropped"] for item in ordered)
        bucketed = self.dataset.buckets is not None
        if not bucketed and any(
            _has_padding_within(tokens, [item[side] for item in ordered], padding)
            for side, tokens in (("source", source), ("target", target))
        ):
            before = sum(map(len, links))
            links = [self._without_padding(item, padding) for item in ordered]
            dropped += before - sum(map(len, links))
        batch.update(
            collate_links(
                links,
                _offsets(source, None if bucketed else [item["source"] for item in ordered], padding)
                * self.dataset.left_pad_source
                + self._source.prefix,
                _offsets(target, None if bucketed else [item["target"] for item in ordered], padding)
                * self.dataset.left_pad_target
                + self._target.prefix,
                target.size(1),
                dropped,
            )
        )
        return batch

    def _without_padding(self, item: Dict[str, Any], padding: int) -> SentenceLinks:
        """A sentence's links without those of words that fairseq takes for padding, which nothing attends to."""
        links = item["links"]
        kept = np.ones(len(links), bool)
        for side, positions, prefix in (
            ("source", links.source, self._source.prefix),
            ("target", links.target, self._target.prefix),
        ):
            kept &= item[side].numpy()[positions + prefix] != padding
        return SentenceLinks(links.source[kept], links.target[kept], links.weight[kept], links.sure[kept])


def _has_padding_within(tokens: torch.Tensor, sentences: Sequence[torch.Tensor], padding: int) -> bool:
    """Whether a text has words that are spelled like padding, as a folder of stock ``fairseq-preprocess`` may.

    :param tokens: (batch, width), the sentences padded.
    """
    return int(tokens.eq(padding).sum()) > tokens.numel() - sum(map(len, sentences))


def _offsets(tokens: torch.Tensor, sentences: Optional[Sequence[torch.Tensor]], padding: int) -> np.ndarray:
    """(batch,) int64, tokens of padding on the left of each sentence, for what is padded there.

    :param tokens: (batch, width), the sentences padded.
    :param sentences: None where they are padded themselves.
    """
    if sentences is None:
        return tokens.eq(padding).sum(dim=1).numpy()
    return tokens.size(1) - np.array([len(sentence) for sentence in sentences], np.int64)
