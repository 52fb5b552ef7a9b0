"""The sequence loss of a batch: in chunks of target tokens where the model allows it, else from all its logits."""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import Tensor, nn

from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.losses.chunked_cross_entropy import SequenceLoss, why_not_by_kernel
from fairseq_guided_align.losses.formulas import label_smoothed_cross_entropy
from fairseq_guided_align.losses.output_projection import ProjectionToLoss, find_output_projection

logger = logging.getLogger(__name__)


class VocabularySoftmax:
    """Label-smoothed cross-entropy, the way that ``--vocabulary-softmax`` asks for; the first batch logs which way.

    :param choice: ``auto``, ``chunked`` or ``full``.
    :param label_smoothing: in [0, 1).
    :param padding_index: target tokens with this label cost nothing.
    :param count_correct: count the target tokens whose label is the most probable one.
    """

    def __init__(self, choice: str, label_smoothing: float, padding_index: int, count_correct: bool) -> None:
        self._choice = choice
        self._label_smoothing = label_smoothing
        self._padding_index = padding_index
        self._count_correct = count_correct
        self._logged = False

    def in_forward_pass(self, model: nn.Module, target: Tensor, summed: bool) -> ProjectionToLoss | None:
        """What the model's forward pass runs in, to give the loss instead of logits; None where it gives logits.

        :param target: (batch, target) labels.
        :param summed: True: the caller needs only the gradient of the sum over the target tokens. False: that of each
            token's loss.
        :raises GuidedAlignError: ``chunked`` was asked for, and is not possible.
        """
        found = "as --vocabulary-softmax asks" if self._choice == "full" else find_output_projection(model)
        if isinstance(found, str) and self._choice == "chunked":
            raise GuidedAlignError(
                f"--vocabulary-softmax chunked is not possible: {found}; use --vocabulary-softmax auto"
            )
        if not self._logged:
            self._logged = True
            logger.info(
                f"vocabulary softmax: on all target tokens at once ({found})"
                if isinstance(found, str)
                else "vocabulary softmax: in chunks of target tokens, without the matrix of [tokens, vocabulary]"
                f"{_way_between_products(found)}"
            )
        # In chunks the gradients are summed over the tokens, so those of one token's loss are lost.
        if isinstance(found, str) or (not summed and torch.is_grad_enabled()):
            return None
        return ProjectionToLoss(found, target, self._label_smoothing, self._padding_index, self._count_correct)

    def of_logits(self, model: nn.Module, net_output: Any, target: Tensor) -> SequenceLoss:
        """The loss from what the forward pass returned, on all target tokens at once."""
        log_probabilities = _log_probabilities(model, net_output).view(*target.shape, -1)
        smoothed, likelihood = label_smoothed_cross_entropy(
            log_probabilities, target, self._label_smoothing, self._padding_index
        )
        correct = None
        if self._count_correct:
            correct = (log_probabilities.argmax(-1).eq(target) & target.ne(self._padding_index)).sum()
        return SequenceLoss(smoothed.sum(), smoothed.view(-1), likelihood.view(-1), correct)


def _way_between_products(projection: nn.Linear) -> str:
    """What is said of a GPU, where more than one way is possible."""
    weight = projection.weight
    if weight.device.type != "cuda":
        return ""
    reason = why_not_by_kernel(weight.device, weight.dtype, projection.bias is not None)
    return ", by our own kernel" if reason is None else f", by torch's operators ({reason})"


def _log_probabilities(model: Any, net_output: Any) -> Tensor:
    """(batch, target, vocabulary), in float32 at least; by the model's own method where it has one."""
    normalized = getattr(model, "get_normalized_probs", None)
    if normalized is not None:
        try:
            return normalized(net_output, log_probs=True)
        except NotImplementedError:
            # The method of fairseq's base class serves models with a decoder only.
            pass
    logits = net_output[0]
    return torch.log_softmax(logits if logits.dtype == torch.float64 else logits.float(), dim=-1)
