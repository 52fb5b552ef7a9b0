"""The weight conversions that the guide states, with numbers."""

from __future__ import annotations

import argparse
import math
from typing import Any

import pytest
import torch
from fairseq.criterions import build_criterion
from stand_in import FairseqModel, batch, criterion

LABELS = [[4, 5, 6, 7, 2], [6, 4, 2]]
LINKS = [[(0, 0, 1.0), (2, 1, 1.0), (1, 1, 1.0), (3, 3, 1.0)], [(1, 0, 1.0)]]
TOKENS, TOKENS_WITHOUT_END = 8, 6


class ListedAttention(FairseqModel):
    """As fairseq's Transformers give it."""

    def forward(self, **net_input: torch.Tensor) -> Any:
        return self.logits, {"attn": [self.attention]}


def model() -> ListedAttention:
    torch.manual_seed(1)
    return ListedAttention(
        torch.randn(2, 5, 9, dtype=torch.float64), torch.randn(2, 5, 5, dtype=torch.float64).softmax(dim=-1)
    )


def sample(form: str = "ours") -> dict[str, Any]:
    return batch(LABELS, [5, 5], LINKS, width=5, columns=5, form=form)


def ours(**options: Any) -> float:
    loss, _, _ = criterion(**options)(model(), sample())
    return float(loss)


def test_fairseqs_weight_is_ours() -> None:
    from types import SimpleNamespace

    from fairseq.data import Dictionary

    theirs = build_criterion(
        argparse.Namespace(
            criterion="label_smoothed_cross_entropy_with_alignment",
            label_smoothing=0.1,
            alignment_lambda=0.3,
            report_accuracy=False,
            ignore_prefix_size=0,
            sentence_avg=False,
        ),
        SimpleNamespace(target_dictionary=Dictionary()),
    )
    net = model()
    net.get_normalized_probs = lambda output, log_probs, sample=None: output[0].log_softmax(-1)  # type: ignore
    wanted, sample_size, _ = theirs(net, sample("stock"))
    assert sample_size == TOKENS
    assert ours(label_smoothing=0.1, guided_alignment_weight=0.3) == pytest.approx(float(wanted), rel=1e-6)
    assert ours(label_smoothing=0.1, guided_alignment_weight=0.3) != pytest.approx(ours(label_smoothing=0.1), rel=1e-3)


@pytest.mark.parametrize("weight", [1.0, 20.0])
def test_opennmt_tfs_weight_is_divided_by_the_tokens_of_a_batch(weight: float) -> None:
    theirs = ours(
        guided_alignment_weight=weight,
        guided_alignment_normalization="opennmt-tf",
        guided_alignment_rows="binary",
    )
    converted = ours(guided_alignment_weight=weight / TOKENS_WITHOUT_END, guided_alignment_rows="binary")
    assert converted == pytest.approx(theirs, rel=1e-6)


def test_marians_total_is_ours_but_for_its_length_and_the_link_of_the_end() -> None:
    """(CE + w A) / (N + w L), from marian's formula, token by token."""
    weight, net = 0.1, model()
    log_probabilities = net.logits.log_softmax(-1)
    cross_entropy = -sum(
        float(log_probabilities[b, t, label]) for b, labels in enumerate(LABELS) for t, label in enumerate(labels)
    )
    cost, of_ends, links = 0.0, 0.0, 0
    for b, (labels, of_sentence) in enumerate(zip(LABELS, LINKS)):
        with_end = [*of_sentence, (4, len(labels) - 1, 1.0)]
        for s, t, _ in with_end:
            share = 1 / sum(target == t for _, target, _ in with_end)
            cost -= share * math.log(float(net.attention[b, t, s]) + 1e-6)
        of_ends -= math.log(float(net.attention[b, len(labels) - 1, 4]) + 1e-6)
        links += len(with_end)
    marian = (cross_entropy + weight * cost) / (TOKENS + weight * links)
    converted = ours(guided_alignment_weight=weight) + weight * of_ends
    assert converted / TOKENS * TOKENS / (TOKENS + weight * links) == pytest.approx(marian, rel=1e-5)
