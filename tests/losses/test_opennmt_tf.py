"""OpenNMT-tf's numbers through the criterion; the cases were computed by OpenNMT-tf 2.32.0 itself."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from stand_in import MODELS, PlainModel, batch, criterion, figures, printed

CASES = json.loads((Path(__file__).parents[1] / "data" / "opennmt_tf.json").read_text(encoding="utf-8"))["cases"]
OPENNMT_TF = {"guided_alignment_normalization": "opennmt-tf", "guided_alignment_rows": "binary"}


def links_of(line: str) -> list[tuple[int, int, float]]:
    pairs = [pair.split("-") for pair in line.split()]
    return [(int(s), int(t), 1.0) for s, t in pairs]


def sample_of(case: dict[str, Any], form: str) -> dict[str, Any]:
    lengths = case["target_lengths_with_eos"]
    attention = torch.tensor(case["attention"])
    return batch(
        [row[:length] for row, length in zip(case["labels"], lengths)],
        case["source_lengths"],
        [links_of(line) for line in case["pharaoh"]],
        attention.size(1),
        attention.size(2),
        form,
    )


def opennmt_tf(kind: str, smoothing: float, weight: float) -> Any:
    return criterion(
        label_smoothing=smoothing, guided_alignment_type=kind, guided_alignment_weight=weight, **OPENNMT_TF
    )


@pytest.mark.parametrize("kind", ["ce", "mse"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"seed {case['seed']}")
def test_golden_cases(case: dict[str, Any], kind: str) -> None:
    for model, form in ((MODELS[0], "stock"), (MODELS[1], "ours")):
        check_golden_case(case, kind, model, form)


def check_golden_case(case: dict[str, Any], kind: str, model: Any, form: str) -> None:
    expected = case["expected"]
    guided = opennmt_tf(kind, case["label_smoothing"], case["guided_alignment_weight"])
    net = model(torch.tensor(case["logits"]), torch.tensor(case["attention"]))
    loss, sample_size, log = guided(net, sample_of(case, form))
    wanted = expected[kind]
    assert float(log["loss"]) == pytest.approx(expected["cross_entropy_sum"], rel=1e-6)
    assert float(log["nll_loss"]) == pytest.approx(expected["nll_sum"], rel=1e-6)
    cost = float(log["weighted_alignment_loss"])
    assert cost == pytest.approx(wanted["guided_alignment_cost"], rel=2e-6)
    assert float(loss) == pytest.approx(wanted["total"], rel=1e-6)
    assert sample_size == expected["loss_token_normalizer"]
    assert float(loss) / sample_size == pytest.approx(wanted["loss_per_token"], rel=1e-6)
    stats = figures([log], guided)
    assert stats["loss_per_token"] == pytest.approx(wanted["loss_per_token"], rel=1e-6, abs=5e-7)


def worked_example() -> tuple[PlainModel, dict[str, Any]]:
    """Cross-entropy sum 39.6399841 over 12 tokens; alignment cost sum 9.00836372 over 9."""
    vocabulary, tokens = 9, 12
    p = math.exp(-39.6399841 / tokens)
    logits = torch.full((3, 4, vocabulary), math.log((1 - p) / (vocabulary - 1)), dtype=torch.float64)
    logits[..., 4] = math.log(p)
    p = math.exp(-9.00836372 / 9)
    attention = torch.full((3, 4, 3), (1 - p) / 2, dtype=torch.float64)
    for i in range(3):
        attention[:, i, i] = p
    sample = batch([[4] * 4] * 3, [3] * 3, [[(i, i, 1.0) for i in range(3)]] * 3, 4, 3)
    return PlainModel(logits, attention), sample


def test_worked_example() -> None:
    model, sample = worked_example()
    guided = opennmt_tf("ce", 0.0, 1.0)
    loss, sample_size, log = guided(model, sample)
    assert float(log["loss"]) == pytest.approx(39.6399841, rel=1e-9)
    assert float(log["weighted_alignment_loss"]) == pytest.approx(1.00092936, rel=1e-7)
    assert float(loss) == pytest.approx(40.6409149, rel=1e-7)
    assert sample_size == 12
    stats = figures([log], guided)
    assert "loss_per_token 3.386743" in printed(stats)
    assert json.loads(printed(stats, "json"))["train_loss_per_token"] == "3.386743"


def test_worked_example_in_single_precision() -> None:
    model, sample = worked_example()
    model.logits, model.attention = model.logits.float(), model.attention.float()
    guided = opennmt_tf("ce", 0.0, 1.0)
    assert "loss_per_token 3.386743" in printed(figures([guided(model, sample)[2]], guided))


def test_the_compatible_cost_depends_on_the_batch() -> None:
    """Why it is not the default: a batch in three parts has three times the alignment cost."""
    model, sample = worked_example()
    guided = opennmt_tf("ce", 0.0, 1.0)
    whole = guided(model, sample)[2]
    part = batch([[4] * 4], [3], [[(i, i, 1.0) for i in range(3)]], 4, 3)
    one = guided(PlainModel(model.logits[:1], model.attention[:1]), part)[2]
    torch.testing.assert_close(one["weighted_alignment_loss"], whole["weighted_alignment_loss"])
    assert figures([one] * 3, guided)["loss_per_token"] == pytest.approx((39.6399841 + 3 * 1.00092936) / 12)


def test_options_are_refused_that_contradict_it() -> None:
    from fairseq_guided_align.errors import GuidedAlignError

    with pytest.raises(GuidedAlignError, match="--sentence-avg"):
        criterion(sentence_avg=True, **OPENNMT_TF)
