"""From a batch's attention and links to the guided-alignment cost of each target token; torch only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from fairseq_guided_align.attention.token_rows import alignable_tokens, last_real
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
class GoldEntries:
    """Entries of a batch's gold rows, beside the attention that they are compared with. Every other entry is 0.

    :param attention: (batch, target, source) probabilities, each target token's in its own row.
    :param source_is_real: (batch, source) False on padding.
    :param rows: (n,) int64, each entry's target token as an index into the batch's target tokens.
    :param source: (n,) int64, each entry's source column.
    :param gold: (n,) entries, 0 or more; 0 for links of tokens that are not guided.
    """

    attention: Tensor
    source_is_real: Tensor
    rows: Tensor
    source: Tensor
    gold: Tensor

    def cross_entropy(self, opennmt_tf: bool) -> Tensor:
        """(batch * target,) cross-entropy of each target token, in nats."""
        matrix = self.attention.flatten(0, 1)
        probabilities = matrix[self.rows, self.source]
        if opennmt_tf:
            probabilities = keras_probabilities(probabilities, matrix.sum(dim=-1)[self.rows])
        return guided_alignment_cross_entropy(probabilities, self.rows, self.gold, len(matrix))

    def mean_squared_error(self, opennmt_tf: bool) -> Tensor:
        """(batch * target,) squared error of each target token, a mean over its source (OpenNMT-tf: with padding)."""
        batch, width, columns = self.attention.shape
        probabilities = self.attention.flatten(0, 1)[self.rows, self.source]
        if opennmt_tf:
            attention, sizes = self.attention, torch.full((batch,), columns, device=self.attention.device)
        else:
            attention = self.attention * self.source_is_real.unsqueeze(1)
            # A source without tokens has no links, and would make 0 / 0, which is not a number.
            sizes = self.source_is_real.sum(dim=1).clamp(min=1)
        return guided_alignment_mean_squared_error(
            attention.flatten(0, 1), probabilities, self.rows, self.gold, sizes.repeat_interleave(width)
        )


class Cost(NamedTuple):
    """A way to compare attention with gold rows.

    :param of_tokens: (batch * target,) cost of every target token, whether it is guided or not; of the entries, and of
        whether the arithmetic is OpenNMT-tf's.
    :param adds_up: the cost of a token is a sum over its entries, each times its gold, so that two entries of one cell
        cost as much as one with the sum of their gold.
    :param unlinked_in_opennmt_tf: in OpenNMT-tf, tokens without links cost as well.
    """

    of_tokens: Callable[[GoldEntries, bool], Tensor]
    adds_up: bool
    unlinked_in_opennmt_tf: bool


COSTS = {
    "ce": Cost(GoldEntries.cross_entropy, adds_up=True, unlinked_in_opennmt_tf=False),
    "mse": Cost(GoldEntries.mean_squared_error, adds_up=False, unlinked_in_opennmt_tf=True),
}
"""By the names of ``--guided-alignment-type``.

A new one has its formula in ``losses/formulas.py`` and its row here. It and its unit are named in the help of the
option (``training/criterion_options.py``), in ``TokenCosts``, in ``GuidedAlignmentCrossEntropy.reduce_metrics``, in the
README and in page 7 of the guide. ``tests/reference.py`` needs it too: until then, the tests of all choices fail.
"""


@dataclass(frozen=True)
class GuidedCost:
    """The guided-alignment cost as the options choose it.

    :param type: one of :data:`COSTS`.
    :param normalized: a token's links share the weight 1, instead of each keeping its own.
    :param opennmt_tf: OpenNMT-tf's arithmetic: Keras' clipping for the cross-entropy; for the squared error, a mean
        over the padded source, and tokens without links cost as well (their gold row is zero).
    :param unlinked_to_eos: tokens without links, in sentences that have some, are guided to the source's last token.
    :param ignore_prefix_size: target tokens at the start that are left alone.
    """

    type: str
    normalized: bool
    opennmt_tf: bool
    unlinked_to_eos: bool
    ignore_prefix_size: int

    def __call__(
        self, attention: Tensor, links: BatchLinks, target_is_real: Tensor, source_is_real: Tensor | None
    ) -> TokenCosts:
        """Costs of a batch.

        :param attention: (batch, target, source) probabilities, each target token's in its own row; computed with in
            float32, or float64 if given so.
        :param links: see :mod:`~fairseq_guided_align.losses.batching`.
        :param target_is_real: (batch, target) False on padding; the last real token is ``</s>``, never guided.
        :param source_is_real: (batch, source) False on padding; None: every column is real.
        """
        if attention.dtype != torch.float64:
            attention = attention.float()
        batch, width, columns = attention.shape
        if source_is_real is None:
            source_is_real = torch.ones(batch, columns, dtype=torch.bool, device=attention.device)
        alignable = alignable_tokens(target_is_real)
        if self.ignore_prefix_size:
            alignable[:, : self.ignore_prefix_size] = False

        rows, source = links.rows, links.source
        gold, linked = self._gold_of_links(links, alignable, attention)
        guided = linked
        if self.unlinked_to_eos:
            pulled = alignable & ~linked & linked.any(dim=1, keepdim=True)
            guided = linked | pulled
            rows = torch.cat([rows, torch.arange(batch * width, device=attention.device)])
            source = torch.cat([source, last_real(source_is_real).repeat_interleave(width)])
            gold = torch.cat([gold, pulled.view(-1)])
        kind = COSTS[self.type]
        if self.opennmt_tf and kind.unlinked_in_opennmt_tf:
            guided = alignable

        cost = kind.of_tokens(GoldEntries(attention, source_is_real, rows, source, gold), self.opennmt_tf)
        return TokenCosts(cost.view(batch, width) * guided, guided, linked, alignable)

    def _gold_of_links(self, links: BatchLinks, alignable: Tensor, attention: Tensor) -> tuple[Tensor, Tensor]:
        """Entries of the gold rows, (n,), 0 for links of tokens that are not alignable; and ``TokenCosts.linked``."""
        weight = links.weight.to(attention.dtype) * alignable.view(-1).index_select(0, links.rows)
        total = weight.new_zeros(alignable.numel()).index_add(0, links.rows, weight)
        gold = shares(weight, total, links.rows) if self.normalized else weight
        # Of a double link, shares are added, which some costs do by themselves; of weights one is kept.
        if not links.unique and not (self.normalized and COSTS[self.type].adds_up):
            gold = merge_duplicate_links(links.rows * attention.size(2) + links.source, gold, add=self.normalized)
        return gold, total.view(alignable.shape) > 0
