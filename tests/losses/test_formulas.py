"""The formulas: by hand, against slow loops, against torch's own, and their derivatives."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import smoothed_cross_entropy

from fairseq_guided_align.losses.formulas import (
    guided_alignment_cross_entropy,
    guided_alignment_mean_squared_error,
    keras_probabilities,
    label_smoothed_cross_entropy,
    merge_duplicate_links,
    shares,
)

SMOOTHING = st.sampled_from([0.0, 0.1, 0.5, 0.99])
TINY = torch.finfo(torch.float32).tiny


def doubles(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


# Label-smoothed cross-entropy


@settings(deadline=None)
@given(st.integers(0, 10**6), SMOOTHING, st.integers(2, 9))
def test_smoothed_cross_entropy_equals_the_slow_loop(seed: int, e: float, vocabulary: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, 3, vocabulary, dtype=torch.float64, generator=generator) * 3
    target = torch.randint(vocabulary, (2, 3), generator=generator)
    smoothed, plain = label_smoothed_cross_entropy(logits.log_softmax(-1), target, e)
    for b in range(2):
        for t in range(3):
            row, label = logits[b, t].tolist(), int(target[b, t])
            assert float(smoothed[b, t]) == pytest.approx(smoothed_cross_entropy(row, label, e), rel=1e-12)
            assert float(plain[b, t]) == pytest.approx(smoothed_cross_entropy(row, label, 0.0), rel=1e-12)


@pytest.mark.parametrize("e", [0.0, 0.1, 0.3])
def test_smoothed_cross_entropy_equals_torchs(e: float) -> None:
    torch.manual_seed(0)
    logits, target = torch.randn(4, 5, 11, dtype=torch.float64), torch.randint(2, 11, (4, 5))
    target[:, 3:] = 1
    ours, _ = label_smoothed_cross_entropy(logits.log_softmax(-1), target, e, padding_index=1)
    # torch spreads the share over the label as well
    theirs = torch.nn.functional.cross_entropy(
        logits.view(-1, 11), target.view(-1), label_smoothing=e * 11 / 10, ignore_index=1, reduction="none"
    )
    torch.testing.assert_close(ours.view(-1), theirs, rtol=1e-12, atol=1e-12)
    assert not ours[:, 3:].any()


def test_smoothed_cross_entropy_by_hand() -> None:
    # 0.8 * ln 2 on the label, 0.1 * ln 4 on each of the other two
    smoothed, plain = label_smoothed_cross_entropy(doubles(0.5, 0.25, 0.25).log(), torch.tensor(0), 0.2)
    assert float(smoothed) == pytest.approx(0.8 * math.log(2) + 0.2 * math.log(4))
    assert float(plain) == pytest.approx(math.log(2))


def test_padding_costs_nothing_even_where_its_probability_is_zero() -> None:
    log_probabilities = torch.tensor([[0.5, 0.5, 0.0], [0.5, 0.5, 0.0]]).log().requires_grad_()
    target = torch.tensor([0, 2])
    smoothed, plain = label_smoothed_cross_entropy(log_probabilities, target, 0.0, padding_index=2)
    torch.testing.assert_close(smoothed, torch.tensor([math.log(2), 0.0]))
    torch.testing.assert_close(plain, smoothed)
    counted, _ = label_smoothed_cross_entropy(log_probabilities, target, 0.0)
    assert float(counted[1].detach()) == math.inf


# Gold rows


def test_links_of_a_token_share_the_weight_one() -> None:
    got = shares(doubles(5, 1, 1, 2), doubles(5, 0, 4, 0), torch.tensor([0, 2, 2, 2]))
    torch.testing.assert_close(got, doubles(1, 0.25, 0.25, 0.5))


def test_rows_of_weight_zero_stay_zero() -> None:
    got = shares(doubles(0, 0, 3), doubles(0, 3), torch.tensor([0, 1, 1]))
    torch.testing.assert_close(got, doubles(0, 0, 1))


@given(
    st.lists(st.tuples(st.integers(0, 4), st.floats(0.001, 10)), max_size=12),
    st.booleans(),
)
def test_merging_counts_each_cell_once(links: list[tuple[int, float]], add: bool) -> None:
    keys, gold = torch.tensor([k for k, _ in links], dtype=torch.int64), doubles(*[g for _, g in links])
    merged = merge_duplicate_links(keys, gold, add)
    wanted: dict[int, float] = {}
    for key, value in links:
        wanted[key] = wanted.get(key, 0.0) + value if add else wanted.get(key, value)
    for key, value in wanted.items():
        own = merged[keys == key]
        assert float(own[0]) == pytest.approx(value)
        assert not own[1:].any()


# Costs


def test_two_links_and_uniform_attention_over_four_words() -> None:
    cost = guided_alignment_cross_entropy(doubles(0.25, 0.25), torch.tensor([0, 2]), doubles(1, 1), 3)
    torch.testing.assert_close(cost, doubles(math.log(4), 0, math.log(4)))


def test_squared_error_by_hand() -> None:
    attention = doubles(0.5, 0.25, 0.25, 0, 1, 0).view(2, 3)
    cost = guided_alignment_mean_squared_error(
        attention, doubles(0.25, 0.25), torch.tensor([0, 0]), doubles(0.5, 0.5), torch.tensor([3, 2])
    )
    # row 0: (0.5^2 + 0.25^2 + 0.25^2) / 3; row 1 has no links: 1 / 2
    torch.testing.assert_close(cost, doubles(0.375 / 3, 0.5))


def test_keras_divides_by_the_row_and_clips() -> None:
    got = keras_probabilities(doubles(0.2, 0.0, 0.5), doubles(0.4, 1.0, 0.5))
    torch.testing.assert_close(got, doubles(0.5, 1e-7, 1 - 1e-7), rtol=1e-12, atol=0)


def test_a_row_of_zeros_is_not_nan() -> None:
    assert float(keras_probabilities(doubles(0.0), doubles(0.0))) == pytest.approx(1e-7)


def test_derivatives() -> None:
    torch.manual_seed(1)
    logits = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    rows, columns = torch.tensor([0, 0, 2]), torch.tensor([1, 3, 0])
    gold, sizes, label = doubles(0.5, 0.5, 2.0), torch.tensor([4, 4, 3]), torch.tensor([0, 3, 2])

    def cross_entropy(x: torch.Tensor) -> torch.Tensor:
        return guided_alignment_cross_entropy(x.softmax(-1)[rows, columns], rows, gold, 3)

    def keras(x: torch.Tensor) -> torch.Tensor:
        p = keras_probabilities(x.exp()[rows, columns], x.exp().sum(-1)[rows])
        return guided_alignment_cross_entropy(p, rows, gold, 3)

    def squared(x: torch.Tensor) -> torch.Tensor:
        p = x.softmax(-1)
        return guided_alignment_mean_squared_error(p, p[rows, columns], rows, gold, sizes)

    def smoothed(x: torch.Tensor) -> torch.Tensor:
        return label_smoothed_cross_entropy(x.log_softmax(-1), label, 0.1)[0]

    for cost in (cross_entropy, keras, squared, smoothed):
        assert torch.autograd.gradcheck(cost, logits)
        assert torch.autograd.gradgradcheck(cost, logits)


def cost_and_gradient(logits: torch.Tensor, scale: float = 1.0) -> tuple[float, torch.Tensor]:
    """Cost of a link on column 0 of one row of attention logits, and its gradient, unscaled."""
    logits = logits.clone().requires_grad_()
    link = torch.zeros(1, dtype=torch.int64)
    cost = guided_alignment_cross_entropy(logits.softmax(-1)[0, :1], link, torch.ones(1), 1).sum()
    (cost * scale).backward()
    assert logits.grad is not None
    return float(cost.detach()), logits.grad / scale


def test_the_gradient_is_whole_where_the_attention_is_most_wrong() -> None:
    for probability in (1e-3, 1e-12, 1e-30, 2e-38):
        cost, gradient = cost_and_gradient(torch.tensor([[math.log(probability), 0.0]]))
        assert cost == pytest.approx(math.log1p(probability) - math.log(probability), rel=1e-6)
        wanted = 1 / (1 + probability)
        torch.testing.assert_close(gradient, torch.tensor([[-wanted, wanted]]), rtol=1e-5, atol=0)


def test_nothing_overflows_under_a_loss_scale() -> None:
    for gap in (80.0, 87.0, 95.0, 103.0, 200.0, 65504.0):
        for scale in (1.0, 128.0, 2.0**24):
            cost, gradient = cost_and_gradient(torch.tensor([[-gap, 0.0]]), scale)
            assert math.isfinite(cost), (gap, scale)
            assert torch.isfinite(gradient).all(), (gap, scale)
            assert float(gradient[0, 0]) <= 0 <= float(gradient[0, 1]), (gap, scale)


def test_the_floor_is_the_smallest_normal_number() -> None:
    cost = guided_alignment_cross_entropy(torch.zeros(1), torch.tensor([0]), torch.ones(1), 1)
    assert float(cost) == pytest.approx(-math.log(TINY), rel=1e-6)
