"""From a batch's attention and links to the guided-alignment cost of each target token; torch only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import torch
from torch import Tensor

from fairseq_guided_align.batching import BatchLinks
from fairseq_guided_align.losses import (
    gold_rows,
    guided_alignment_cross_entropy,
    guided_alignment_mean_squared_error,
    keras_probabilities,
    merge_duplicate_links,
)


@dataclass(frozen=True)
class TokenCosts:
    """Costs and counts of a batch.

    :param cost: (batch, target) cost of each target token: nats for ``ce``, no unit for ``mse``.
    :param guided: (batch, target) whether the token carries a cost.
    :param linked: (batch, target) whether the token has a link.
    :param alignable: (batch, target) real target tokens without ``</s>``: those that could have a link.
    """

    cost: Tensor
    guided: Tensor
    linked: Tensor
    alignable: Tensor


@dataclass(frozen=True)
class GuidedCost:
    """The guided-alignment cost as the options choose it.

    :param squared_error: mean squared error instead of cross-entropy.
    :param normalized: a token's links share the weight 1, instead of each keeping its own.
    :param opennmt_tf: OpenNMT-tf's arithmetic: Keras' clipping for the cross-entropy; for the squared error, a mean
        over the padded source, and tokens without links cost as well (their gold row is zero).
    :param next_row: a token is guided on the decoder's row after the one that predicts it.
    :param unlinked_to_eos: tokens without links, in sentences that have some, are guided to the source's last token.
    :param ignore_prefix_size: target tokens at the start that are left alone.
    """

    squared_error: bool = False
    normalized: bool = True
    opennmt_tf: bool = False
    next_row: bool = False
    unlinked_to_eos: bool = False
    ignore_prefix_size: int = 0

    def __call__(
        self, attention: Tensor, links: BatchLinks, target_is_real: Tensor, source_is_real: Optional[Tensor]
    ) -> TokenCosts:
        """Costs of a batch.

        :param attention: (batch, target, source) probabilities; computed with in float32, or float64 if given so.
        :param links: see :mod:`~fairseq_guided_align.batching`.
        :param target_is_real: (batch, target) False on padding; the last real token is ``</s>``, never guided.
        :param source_is_real: (batch, source) False on padding; None: every column is real.
        """
        if attention.dtype != torch.float64:
            attention = attention.float()
        batch, width, columns = attention.shape
        if source_is_real is None:
            source_is_real = torch.ones(batch, columns, dtype=torch.bool, device=attention.device)
        alignable = torch.zeros_like(target_is_real)
        alignable[:, :-1] = target_is_real[:, :-1] & target_is_real[:, 1:]
        alignable[:, : self.ignore_prefix_size] = False

        sentence, position, source = links.sentence, links.target, links.source
        rows = sentence * width + position
        weight = links.weight.to(attention.dtype) * alignable.view(-1).index_select(0, rows)
        gold = gold_rows(rows, weight, batch * width, self.normalized)
        linked = (
            torch.zeros(batch * width, dtype=attention.dtype, device=attention.device)
            .index_add(0, rows, weight)
            .view(batch, width)
            > 0
        )
        if not links.unique and (self.squared_error or not self.normalized):
            gold = merge_duplicate_links(rows * columns + source, gold, add=self.normalized)
        guided = linked
        if self.unlinked_to_eos:
            pulled = alignable & ~linked & linked.any(dim=1, keepdim=True)
            guided = linked | pulled
            last = (source_is_real * torch.arange(columns, device=attention.device)).amax(dim=1)
            everywhere = torch.arange(batch * width, device=attention.device)
            rows = torch.cat([rows, everywhere])
            sentence, position = torch.div(rows, width, rounding_mode="floor"), rows % width
            source = torch.cat([source, last.repeat_interleave(width)])
            gold = torch.cat([gold, pulled.view(-1).to(gold.dtype)])

        if self.next_row:
            # the last row has no next one, but it is never alignable
            position = (position + 1).clamp(max=width - 1)
        probabilities = attention[sentence, position, source]
        if self.squared_error:
            shifted = attention.roll(-1, dims=1) if self.next_row else attention
            if self.opennmt_tf:
                guided = alignable
                sizes = torch.full((batch,), columns, device=attention.device)
            else:
                sizes = source_is_real.sum(dim=1)
                shifted = shifted * source_is_real.unsqueeze(1)
            cost = guided_alignment_mean_squared_error(
                shifted.reshape(batch * width, columns),
                probabilities,
                rows,
                gold,
                sizes.clamp(min=1).repeat_interleave(width),
            ) * guided.view(-1)
        else:
            if self.opennmt_tf:
                probabilities = keras_probabilities(probabilities, attention.sum(dim=-1)[sentence, position])
            cost = guided_alignment_cross_entropy(probabilities, rows, gold, batch * width)
        return TokenCosts(cost.view(batch, width), guided, linked, alignable)
