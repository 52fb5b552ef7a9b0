"""The arithmetic of guided-alignment training: tensors in, tensors out; torch only, no fairseq.

The costs are twice differentiable and hold one value per target token, so that the caller decides on sums, masks
and divisors. Probabilities of attention are floored at the smallest normal number of their precision
(1.2e-38 in float32): above it, the logarithm and its gradient are exact; at zero, cost and gradient stay finite.
"""

from __future__ import annotations

import torch
from torch import Tensor

KERAS_EPSILON = 1e-7
"""``keras.backend.epsilon()``: Keras clips probabilities to [1e-7, 1 - 1e-7] in its categorical cross-entropy."""


def label_smoothed_cross_entropy(
    log_probabilities: Tensor, target: Tensor, label_smoothing: float, padding_index: int | None = None
) -> tuple[Tensor, Tensor]:
    """Label-smoothed cross-entropy and negative log-likelihood of each target token, in nats.

    The smoothed target distribution q puts ``1 - e`` on the label and ``e / (V - 1)`` on each other token of the
    vocabulary of V tokens; the cross-entropy is ``-sum_v q_v log p_v`` (Szegedy et al. 2016, arXiv:1512.00567,
    section 7, with the label's share as in fairseq and OpenNMT-tf).

    :param log_probabilities: (..., V) natural logarithms; each row's exp sums to 1.
    :param target: (...) int64 labels.
    :param label_smoothing: e, in [0, 1).
    :param padding_index: tokens with this label cost 0; None counts every token.
    :return: (smoothed, negative log-likelihood), both (...), at least 0.
    """
    label = log_probabilities.gather(-1, target.unsqueeze(-1)).squeeze(-1)
    negative_log_likelihood = -label
    if label_smoothing > 0:
        others = label_smoothing / (log_probabilities.size(-1) - 1)
        smoothed = -(1.0 - label_smoothing - others) * label - others * log_probabilities.sum(-1)
    else:
        smoothed = negative_log_likelihood
    if padding_index is None:
        return smoothed, negative_log_likelihood
    padding = target.eq(padding_index)
    return smoothed.masked_fill(padding, 0.0), negative_log_likelihood.masked_fill(padding, 0.0)


def shares(weights: Tensor, totals: Tensor, rows: Tensor) -> Tensor:
    """Entries of normalised gold rows: the links of a target token share the weight 1 (fairseq, Marian, OpenNMT-py).

    :param weights: (n,) weights of the links, at least 0; 1 for a plain link.
    :param totals: (R,) sum of the weights of each target token's links.
    :param rows: (n,) int64, each link's target token as an index into the batch's target tokens.
    :return: (n,) entries ``w / sum of the token's w``; links of weight 0 get 0.
    """
    return weights / totals.clamp(min=torch.finfo(weights.dtype).tiny).index_select(0, rows)


def merge_duplicate_links(keys: Tensor, gold: Tensor, add: bool) -> Tensor:
    """Gold entries with which each cell of the attention matrix is counted once.

    :param keys: (n,) int64, the same number for the same cell (target token, source position).
    :param gold: (n,) entries.
    :param add: True: the first link of a cell gets the sum of the cell's entries; False: it keeps its own.
    :return: (n,) entries, 0 for all but one link of each cell.
    """
    ordered, order = keys.sort(stable=True)
    first = torch.ones_like(ordered)
    first[1:] = ordered[1:] != ordered[:-1]
    values = gold.index_select(0, order)
    if add:
        run = first.cumsum(0) - 1
        values = torch.zeros_like(values).index_add(0, run, values).index_select(0, run)
    return torch.zeros_like(gold).index_copy(0, order, values * first)


def _finite_gradient(gradient: Tensor | None) -> Tensor | None:
    """Keep ``1 / p``, times the loss scale of half-precision training, from becoming infinite."""
    if gradient is None:
        return None
    limit = torch.finfo(gradient.dtype).max / 4
    return gradient.clamp(-limit, limit)


def guided_alignment_cross_entropy(probabilities: Tensor, rows: Tensor, gold: Tensor, number_of_rows: int) -> Tensor:
    """Cross-entropy between gold links and attention for each target token, in nats: ``-sum_s g_s log p_s``.

    Chen et al. 2016, arXiv:1607.01628, section 3.

    :param probabilities: (n,) attention of each link's target token on its source position, in [0, 1].
    :param rows: (n,) int64, each link's target token.
    :param gold: (n,) entries of the gold rows; a link with entry 0 costs nothing.
    :param number_of_rows: target tokens of the batch, padding included.
    :return: (number_of_rows,) cost of each target token; 0 for tokens without links.
    """
    floored = probabilities.clamp(min=torch.finfo(probabilities.dtype).tiny)
    if floored.requires_grad:
        floored.register_hook(_finite_gradient)
    cost = -gold * floored.log()
    return cost.new_zeros(number_of_rows).index_add(0, rows, cost)


def guided_alignment_mean_squared_error(
    attention: Tensor, probabilities: Tensor, rows: Tensor, gold: Tensor, source_positions: Tensor
) -> Tensor:
    """Mean over source positions of ``(g_s - p_s)^2`` for each target token; no unit.

    Computed from sparse links as ``(sum p^2 - 2 sum g p + sum g^2) / S``. Chen et al. 2016, arXiv:1607.01628,
    section 3 (squared error).

    :param attention: (R, S) attention of every target token, 0 on padding.
    :param probabilities: (n,) attention at the links, ``attention[rows, source]``.
    :param rows: (n,) int64, each link's target token.
    :param gold: (n,) entries of the gold rows; at most one link with a non-zero entry for each cell.
    :param source_positions: (R,) number of source positions that the mean is taken over, at least 1.
    :return: (R,) cost of each target token, with or without links, at least 0.
    """
    cost = attention.square().sum(-1).index_add(0, rows, gold * (gold - 2 * probabilities))
    return cost / source_positions


def keras_probabilities(probabilities: Tensor, row_totals: Tensor) -> Tensor:
    """Probabilities as Keras' categorical cross-entropy sees them, for OpenNMT-tf's exact numbers.

    Keras divides a row by its sum, then clips it to [1e-7, 1 - 1e-7]; the gradient is 0 where it clips, as in
    OpenNMT-tf. A row of zeros, which Keras makes NaN, stays 0 before the clipping.

    :param probabilities: (n,) attention at the links.
    :param row_totals: (n,) sum of the attention over the source for each link's target token.
    :return: (n,) probabilities in [1e-7, 1 - 1e-7].
    """
    row_totals = row_totals.clamp(min=torch.finfo(row_totals.dtype).tiny)
    return (probabilities / row_totals).clamp(KERAS_EPSILON, 1.0 - KERAS_EPSILON)
