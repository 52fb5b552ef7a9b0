"""The figures of fairseq's log: one table of what they are, and how they come from the sums of every batch.

A batch logs sums, also where they are 0: fairseq adds the entries of all workers by the names of the first batch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from fairseq.logging import metrics
from torch import Tensor

from fairseq_guided_align.losses.guided_cost import TokenCosts
from fairseq_guided_align.training.log_values import ratio


@dataclass(frozen=True)
class Figure:
    """What ``--best-checkpoint-metric`` has to know of a figure.

    :param higher_is_better: the best checkpoint has the highest value.
    :param option: makes the validation measure it; None: it always does.
    """

    higher_is_better: bool = False
    option: str | None = None


FIGURES: Mapping[str, Figure] = {
    "loss": Figure(),
    "nll_loss": Figure(),
    "ppl": Figure(),
    "alignment_loss": Figure(),
    "loss_per_token": Figure(),
    "aer": Figure(option="--eval-aer"),
    "alignment_precision": Figure(True, "--eval-aer"),
    "alignment_recall": Figure(True, "--eval-aer"),
    "accuracy": Figure(True, "--report-accuracy"),
    "bleu": Figure(True, "--eval-bleu"),
}
"""Figures that can be better or worse; ``link_coverage``, for one, tells of the data."""

SUMS: Mapping[str, Sequence[str]] = {
    "alignment_loss": ["alignment_loss"],
    "guided_tokens": ["guided_tokens"],
    "objective": ["loss", "weighted_alignment_loss"],
    "tokens": ["ntokens"],
    "linked_tokens": ["linked_tokens"],
    "alignable_tokens": ["alignable_tokens"],
    "correct": ["n_correct"],
    "counted": ["total"],
}
"""Summed meters, and the entries of a batch's log that each adds up."""

RATIOS: Mapping[str, tuple[str, str, float]] = {
    "alignment_loss": ("alignment_loss", "guided_tokens", 1.0),
    "loss_per_token": ("objective", "tokens", 1.0),
    "link_coverage": ("linked_tokens", "alignable_tokens", 1.0),
    "accuracy": ("correct", "counted", 100.0),
}
"""Printed figures: a sum over another, times a scale."""


def alignment_entries(costs: TokenCosts | None, weight: float, device: torch.device) -> dict[str, Tensor]:
    """What a batch logs of its guided-alignment cost, without waiting for the device.

    :param costs: None where nothing is guided.
    :param weight: of the cost in the loss.
    """
    if costs is None:
        zero = torch.zeros((), dtype=torch.float64, device=device)
        cost, guided, linked, alignable = zero, zero, zero, zero
    else:
        # An epoch's sum in float32 would lose the decimals that are printed.
        cost = costs.cost.detach().sum(dtype=torch.float64)
        guided, linked, alignable = (mask.sum() for mask in (costs.guided, costs.linked, costs.alignable))
    return {
        "alignment_loss": cost,
        "weighted_alignment_loss": weight * cost,
        "guided_tokens": guided,
        "linked_tokens": linked,
        "alignable_tokens": alignable,
    }


def total(outputs: Sequence[Mapping[str, Any]], entry: str) -> Any:
    """Sum of an entry over the logs of batches or workers; 0 where it is missing."""
    return sum(log.get(entry, 0) for log in outputs)


def log_bits(outputs: Sequence[Mapping[str, Any]], figure: str, units: str, of: str = "") -> None:
    """Log a sum of nats as bits per unit.

    :param units: the entry that counts them.
    :param of: begins the names, such as ``de-en:`` for one of several language pairs.
    """
    count = total(outputs, of + units)
    metrics.log_scalar(of + figure, total(outputs, of + figure) / count / math.log(2), count, round=3)


def log_ratios(outputs: Sequence[Mapping[str, Any]], *figures: str, of: str = "") -> None:
    """Log some of :data:`RATIOS` from the sums over all workers.

    :param of: begins the names, as in :func:`log_bits`.
    """
    for figure in figures:
        above, below, scale = RATIOS[figure]
        for meter in (above, below):
            metrics.log_scalar_sum(f"_{of}{meter}", sum(total(outputs, of + entry) for entry in SUMS[meter]))
        metrics.log_derived(of + figure, ratio(f"_{of}{above}", f"_{of}{below}", scale))
