"""From a batch's attention and links to the guided-alignment cost of each target token; torch only."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from fairseq_guided_align.losses.batching import BatchLinks
from fairseq_guided_align.losses.formulas import (
    guided_alignment_cross_entropy,
    guided_alignment_mean_squared_error,
    keras_probabilities,
    merge_duplicate_links,
    shares,
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

    squared_error: bool
    normalized: bool
    opennmt_tf: bool
    next_row: bool
    unlinked_to_eos: bool
    ignore_prefix_size: int

    def __call__(
        self, attention: Tensor, links: BatchLinks, target_is_real: Tensor, source_is_real: Tensor | None
    ) -> TokenCosts:
        """Costs of a batch.

        :param attention: (batch, target, source) probabilities; computed with in float32, or float64 if given so.
        :param links: see :mod:`~fairseq_guided_align.losses.batching`.
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
        if self.ignore_prefix_size:
            alignable[:, : self.ignore_prefix_size] = False

        rows, source = links.rows, links.source
        gold, linked = self._gold_of_links(links, rows, alignable, attention)
        guided = linked
        if self.unlinked_to_eos:
            pulled = alignable & ~linked & linked.any(dim=1, keepdim=True)
            guided = linked | pulled
            last = (source_is_real * torch.arange(columns, device=attention.device)).amax(dim=1)
            rows = torch.cat([rows, torch.arange(batch * width, device=attention.device)])
            source = torch.cat([source, last.repeat_interleave(width)])
            gold = torch.cat([gold, pulled.view(-1)])

        # The roll gives the last row the first one's attention; the last row is never alignable.
        own = attention.roll(-1, dims=1) if self.next_row else attention
        matrix = own.reshape(batch * width, columns)
        probabilities = matrix[rows, source]
        if self.squared_error:
            if self.opennmt_tf:
                guided = alignable
                sizes = torch.full((batch,), columns, device=attention.device)
            else:
                matrix = (own * source_is_real.unsqueeze(1)).reshape(batch * width, columns)
                # For a source without tokens, 0 / 0 would be NaN.
                sizes = source_is_real.sum(dim=1).clamp(min=1)
            cost = guided_alignment_mean_squared_error(
                matrix, probabilities, rows, gold, sizes.repeat_interleave(width)
            ) * guided.view(-1)
        else:
            if self.opennmt_tf:
                probabilities = keras_probabilities(probabilities, matrix.sum(dim=-1)[rows])
            cost = guided_alignment_cross_entropy(probabilities, rows, gold, batch * width)
        return TokenCosts(cost.view(batch, width), guided, linked, alignable)

    def _gold_of_links(
        self, links: BatchLinks, rows: Tensor, alignable: Tensor, attention: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Entries of the gold rows, (n,), 0 for links of tokens that are not alignable; and ``TokenCosts.linked``.

        :param rows: (n,) int64, each link's target token as an index into the batch's target tokens.
        """
        weight = links.weight.to(attention.dtype) * alignable.view(-1).index_select(0, rows)
        total = weight.new_zeros(alignable.numel()).index_add(0, rows, weight)
        gold = shares(weight, total, rows) if self.normalized else weight
        if not links.unique and (self.squared_error or not self.normalized):
            gold = merge_duplicate_links(rows * attention.size(2) + links.source, gold, add=self.normalized)
        return gold, total.view(alignable.shape) > 0
