"""Gradients that are summed over chunks of tokens; torch only."""

from __future__ import annotations

import torch
from torch import Tensor

from fairseq_guided_align.losses.half_products import add_product, product

SCALE = {torch.float16: 2.0**14}
"""Factor of p - q, which lies within [-1, 1]: near the top of its range, float16 resolves more of the small
probabilities."""


class ChunkGradients:
    """Gradients of features, weights and bias, summed over chunks; None where they are not wanted.

    :param mask: (tokens,) 1 for real tokens, 0 for padding, of the exact type.
    """

    def __init__(
        self,
        features: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        mask: Tensor,
        wanted: tuple[bool, bool, bool],
    ) -> None:
        self._features, self._weight, self._mask = features, weight, mask
        self._mask_column = mask.to(features.dtype).unsqueeze(1)
        self._scale = SCALE.get(features.dtype, 1.0)
        self.found = [
            torch.zeros_like(x, dtype=mask.dtype) if x is not None and one else None
            for x, one in zip((features, weight, bias), wanted)
        ]

    def add_of_bias(self, difference: Tensor, part: slice) -> None:
        """From a chunk's ``p - q`` (tokens, V), but for what q puts on every token, in the exact type."""
        of_bias = self.found[2]
        if of_bias is not None:
            of_bias.addmv_(difference.t(), self._mask[part])

    def operand(self, difference: Tensor) -> Tensor:
        """A chunk's ``p - q`` as the products take it: of the features' type, and scaled where that is another."""
        if difference.dtype == self._features.dtype:
            return difference
        # Scaled in float32 and cast at once, so that the matrix is read once.
        return torch.mul(difference, self._scale, out=torch.empty_like(difference, dtype=self._features.dtype))

    def add_of_products(self, difference: Tensor, part: slice) -> None:
        """From a chunk's ``p - q`` as :meth:`operand` made it."""
        of_features, of_weight, _ = self.found
        if of_features is not None:
            product(difference, self._weight, of_features[part])
        if of_weight is not None:
            x = self._features[part] * self._mask_column[part]
            add_product(of_weight, difference.t(), x, 1 / self._scale)

    def finish(self, others: float, weight_sum: Tensor | None) -> None:
        """Leave padding out of the features' gradient, and subtract what q puts on every token of the vocabulary."""
        mask = self._mask
        of_features, of_weight, of_bias = self.found
        if of_features is not None:
            of_features *= (mask / self._scale).unsqueeze(1)
        if weight_sum is None:
            return
        if of_features is not None:
            of_features.addr_(mask, weight_sum, alpha=-others)
        if of_weight is not None:
            of_weight -= others * torch.mv(self._features.t().to(mask.dtype), mask)
        if of_bias is not None:
            of_bias -= others * mask.sum()
