"""The guided-alignment cost of a batch against slow loops, and what must not change it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import (
    Choice,
    Collated,
    Padding,
    Sentence,
    all_choices,
    collate,
    random_sentences,
    token_costs,
)

from fairseq_guided_align.attention.guided_heads import POSITIONS
from fairseq_guided_align.attention.token_rows import rows_of_tokens
from fairseq_guided_align.losses.batching import BatchLinks
from fairseq_guided_align.losses.guided_cost import GuidedCost, TokenCosts

SEEDS = st.integers(0, 2**32 - 1)
CHOICES = st.sampled_from(all_choices())
QUICK = settings(max_examples=60, deadline=None)


def our_cost(choice: Choice) -> GuidedCost:
    return GuidedCost(
        type=choice.type,
        normalized=choice.rows == "normalized",
        opennmt_tf=choice.normalization == "opennmt-tf",
        unlinked_to_eos=choice.unlinked == "eos",
        ignore_prefix_size=choice.prefix,
    )


def batch_links(batch: Collated, unique: bool) -> BatchLinks:
    sentence, target, source = batch.links.unbind(dim=1)
    width = batch.target_is_real.size(1)
    return BatchLinks(sentence * width + target, source, batch.weights, unique, width)


def costs_of(
    batch: Collated, choice: Choice, unique: bool = True, attention: Any = None, masked: bool = True
) -> TokenCosts:
    rows = batch.attention if attention is None else attention
    return our_cost(choice)(
        rows_of_tokens(rows, POSITIONS[choice.position], batch.target_is_real),
        batch_links(batch, unique),
        batch.target_is_real,
        batch.source_is_real if masked else None,
    )


def check_against_reference(sentences: Sequence[Sentence], choice: Choice, padding: Padding, unique: bool) -> None:
    batch = collate(sentences, padding)
    got = costs_of(batch, choice, unique)
    guided = 0
    for b, sentence in enumerate(sentences):
        length = sentence.lengths[0]
        wanted = token_costs(sentence, choice, batch.attention.size(2))
        torch.testing.assert_close(
            batch.sentence_rows(got.cost, b, length),
            torch.tensor([cost or 0.0 for cost in wanted], dtype=torch.float64),
            rtol=1e-12,
            atol=1e-12,
        )
        assert batch.sentence_rows(got.guided, b, length).tolist() == [cost is not None for cost in wanted]
        linked = {t for _, t, w in sentence.links if w > 0 and choice.prefix <= t < length - 1}
        assert batch.sentence_rows(got.linked, b, length).tolist() == [t in linked for t in range(length)]
        alignable = [choice.prefix <= t < length - 1 for t in range(length)]
        assert batch.sentence_rows(got.alignable, b, length).tolist() == alignable
        guided += sum(cost is not None for cost in wanted)
    # nothing outside the sentences
    assert int(got.guided.sum()) == guided
    assert not got.cost[~got.guided].any()
    assert not (got.linked & ~batch.target_is_real).any()
    assert not (got.alignable & ~batch.target_is_real).any()


@QUICK
@given(SEEDS, st.integers(1, 4), CHOICES, st.booleans(), st.integers(0, 2), st.integers(0, 2))
def test_every_combination_of_options_equals_the_slow_loop(
    seed: int, count: int, choice: Choice, left: bool, source: int, target: int
) -> None:
    sentences = random_sentences(seed, count)
    check_against_reference(sentences, choice, Padding(left, source, False, target), unique=True)


def test_every_combination_on_one_batch() -> None:
    for choice in all_choices():
        check_against_reference(random_sentences(7, 5), choice, Padding(True, 1, False, 2), unique=True)


@QUICK
@given(SEEDS, st.integers(1, 3), CHOICES)
def test_links_that_are_there_twice(seed: int, count: int, choice: Choice) -> None:
    """As in stock fairseq's batches: normalised rows count them twice, 0/1 rows stay 0/1."""
    sentences = random_sentences(seed, count, duplicates=True, weighted=False)
    check_against_reference(sentences, choice, Padding(), unique=False)


def test_a_double_link_by_hand() -> None:
    attention = torch.tensor([[[0.5, 0.3, 0.2], [0.2, 0.2, 0.6]]], dtype=torch.float64)
    double = Collated(
        attention,
        torch.tensor([[0, 0, 0], [0, 0, 0], [0, 0, 1]]),
        torch.ones(3, dtype=torch.float64),
        torch.ones(1, 2, dtype=torch.bool),
        torch.ones(1, 3, dtype=torch.bool),
        [0],
    )

    def cost(**options: str) -> float:
        return float(costs_of(double, Choice(**options), unique=False).cost.sum())  # type: ignore[arg-type]

    assert cost() == pytest.approx(-(2 * math.log(0.5) + math.log(0.3)) / 3)
    assert cost(rows="binary") == pytest.approx(-math.log(0.5) - math.log(0.3))
    assert cost(type="mse") == pytest.approx(((2 / 3 - 0.5) ** 2 + (1 / 3 - 0.3) ** 2 + 0.2**2) / 3)
    assert cost(type="mse", rows="binary") == pytest.approx((0.5**2 + 0.7**2 + 0.2**2) / 3)


@QUICK
@given(
    SEEDS,
    st.integers(1, 4),
    CHOICES,
    st.builds(Padding, st.booleans(), st.integers(0, 5), st.booleans(), st.integers(0, 5)),
)
def test_padding_changes_nothing(seed: int, count: int, choice: Choice, padding: Padding) -> None:
    if choice.type == "mse" and choice.normalization == "opennmt-tf":
        # OpenNMT-tf's mean over the padded width is what that option asks for
        choice = choice.but(normalization="tokens")
    if padding.target_left:
        # the prefix is the batch's first columns, in fairseq too
        choice = choice.but(prefix=0)
    sentences = random_sentences(seed, count)
    plain, padded = collate(sentences), collate(sentences, padding)
    one, other = costs_of(plain, choice), costs_of(padded, choice)
    for b, sentence in enumerate(sentences):
        torch.testing.assert_close(
            plain.sentence_rows(one.cost, b, sentence.lengths[0]),
            padded.sentence_rows(other.cost, b, sentence.lengths[0]),
            rtol=1e-13,
            atol=1e-13,
        )
    assert int(one.guided.sum()) == int(other.guided.sum())


@QUICK
@given(SEEDS, CHOICES, st.permutations(range(4)), st.integers(1, 3))
def test_order_and_splits_change_nothing(seed: int, choice: Choice, order: list[int], cut: int) -> None:
    if choice.type == "mse" and choice.normalization == "opennmt-tf":
        choice = choice.but(normalization="tokens")
    sentences = random_sentences(seed, 4)
    mixed = [sentences[i] for i in order]
    whole = float(costs_of(collate(sentences), choice).cost.sum())
    assert float(costs_of(collate(mixed), choice).cost.sum()) == pytest.approx(whole, rel=1e-12)
    parts = [collate(mixed[:cut]), collate(mixed[cut:])]
    assert sum(float(costs_of(part, choice).cost.sum()) for part in parts) == pytest.approx(whole, rel=1e-12)


@settings(max_examples=30, deadline=None)
@given(SEEDS, CHOICES, st.integers(1, 3), st.booleans())
def test_the_gradient_is_the_sum_over_any_split(seed: int, choice: Choice, cut: int, left: bool) -> None:
    if choice.type == "mse" and choice.normalization == "opennmt-tf":
        choice = choice.but(normalization="tokens")
    sentences = random_sentences(seed, 4)

    def gradients(part: Sequence[Sentence]) -> list[torch.Tensor]:
        batch = collate(part, Padding(source_left=left))
        attention = batch.attention.clone().requires_grad_()
        costs_of(batch, choice, attention=attention).cost.sum().backward()
        assert attention.grad is not None
        own = []
        for b, sentence in enumerate(part):
            rows, columns = sentence.lengths
            first = attention.size(2) - columns if left else 0
            own.append(attention.grad[b, :rows, first : first + columns])
            outside = attention.grad[b].clone()
            outside[:rows, first : first + columns] = 0
            # Keras divides by the sum of the whole row; softmax stops that gradient, as it is times p = 0
            assert not (outside * batch.attention[b]).any(), "padding has a gradient"
            assert choice.normalization == "opennmt-tf" or not outside.any(), "padding has a gradient"
        return own

    whole = gradients(sentences)
    for one, other in zip(whole, gradients(sentences[:cut]) + gradients(sentences[cut:])):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("type", ["ce", "mse"])
@pytest.mark.parametrize("normalization", ["tokens", "opennmt-tf"])
def test_first_and_second_derivatives(type: str, normalization: str) -> None:
    """Other options choose rows and links, and are in no other formula."""
    choice = Choice(type, "binary", normalization, "next", "eos")
    uniform = torch.full((3, 2), 0.5).double().numpy()
    sentences = [Sentence(uniform, ((0, 0, 1.0), (1, 0, 0.5))), Sentence(uniform[:2], ())]
    batch = collate(sentences, Padding(True, 1, False, 1))
    padding = ~batch.source_is_real.unsqueeze(1)

    def cost(logits: torch.Tensor) -> torch.Tensor:
        attention = logits.masked_fill(padding, -math.inf).softmax(dim=-1)
        return costs_of(batch, choice, attention=attention).cost

    torch.manual_seed(0)
    logits = torch.randn(batch.attention.shape, dtype=torch.float64, requires_grad=True)
    assert int(costs_of(batch, choice).guided.sum()) > 0
    assert torch.autograd.gradcheck(cost, logits)
    assert torch.autograd.gradgradcheck(cost, logits)


def test_batches_without_links_cost_nothing() -> None:
    batch = collate([Sentence(one.attention, ()) for one in random_sentences(3, 3)])
    for choice in all_choices():
        if choice.type == "mse" and choice.normalization == "opennmt-tf":
            continue
        attention = batch.attention.clone().requires_grad_()
        costs = costs_of(batch, choice, attention=attention)
        assert not any(bool(one.any()) for one in (costs.cost, costs.guided, costs.linked))
        costs.cost.sum().backward()
        assert attention.grad is not None
        assert not attention.grad.any()


def test_links_of_weight_zero_are_no_links() -> None:
    sentences = [Sentence(one.attention, ()) for one in random_sentences(5, 1)]
    with_zero = [Sentence(sentences[0].attention, ((0, 0, 0.0),))]
    for choice in all_choices():
        got = costs_of(collate(with_zero), choice)
        torch.testing.assert_close(got.cost, costs_of(collate(sentences), choice).cost)
        assert not got.linked.any()


def test_attention_on_source_padding_is_not_looked_at() -> None:
    batch = collate(random_sentences(13, 4), Padding(True, 2))
    junk = torch.where(batch.source_is_real.unsqueeze(1), batch.attention, torch.full((), 0.7).double())
    for choice in all_choices():
        if choice.normalization == "tokens":
            torch.testing.assert_close(costs_of(batch, choice, attention=junk).cost, costs_of(batch, choice).cost)


def test_a_source_without_tokens_costs_nothing() -> None:
    batch = collate([random_sentences(13, 1)[0], Sentence(random_sentences(14, 1)[0].attention, ())])
    batch.source_is_real[1] = False
    for choice in all_choices():
        costs = costs_of(batch, choice)
        assert bool(costs.cost.isfinite().all())
        if choice.normalization == "tokens":
            assert not costs.cost[1].any()


def test_without_a_source_mask_every_column_is_real() -> None:
    sentences = [one for one in random_sentences(17, 20) if one.lengths[1] == 4]
    batch = collate(sentences)
    for choice in all_choices():
        got = costs_of(batch, choice, masked=False)
        torch.testing.assert_close(got.cost, costs_of(batch, choice).cost)


def test_single_precision_unless_double_is_given() -> None:
    batch = collate(random_sentences(19, 3))
    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        assert costs_of(batch, Choice(), attention=batch.attention.to(dtype)).cost.dtype == torch.float32
    assert costs_of(batch, Choice()).cost.dtype == torch.float64
