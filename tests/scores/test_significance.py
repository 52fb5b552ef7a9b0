"""Bootstrap intervals and paired comparisons against a slow loop, against theory, and on known systems."""

from __future__ import annotations

import functools
import math
import time
from typing import Any

import numpy as np
import pytest

from fairseq_guided_align.errors import AlignmentLengthError, GuidedAlignError
from fairseq_guided_align.scores import significance
from fairseq_guided_align.scores.metrics import COLUMNS, AlignmentCounts
from fairseq_guided_align.scores.significance import METRICS, bootstrap_interval, paired_bootstrap


def system(rng: np.random.Generator, sentences: int, skill: float) -> np.ndarray:
    """Counts of a system that finds each of ten sure links of a pair with probability ``skill``."""
    hits = rng.binomial(10, skill, sentences)
    ten = np.full(sentences, 10)
    return np.stack([ten, ten, ten, hits, hits], axis=1)


def slow_scores(counts: np.ndarray, metric: str, samples: int, seed: int) -> list[float]:
    """Sentence by sentence, with the same generator."""
    rng = np.random.default_rng(seed)
    scores = []
    for drawn in rng.integers(len(counts), size=(samples, len(counts))).tolist():
        total = AlignmentCounts()
        for row in drawn:
            total = total + AlignmentCounts(*counts[row].tolist())
        scores.append(getattr(total, metric))
    return scores


@pytest.mark.parametrize("metric", METRICS)
def test_interval_equals_that_of_a_slow_loop(metric: str) -> None:
    counts = np.random.default_rng(3).integers(0, 9, (13, len(COLUMNS)))
    counts[:, 3] = np.minimum(counts[:, 3], np.minimum(counts[:, 0], counts[:, 1]))
    counts[:, 4] = np.maximum(counts[:, 3], np.minimum(counts[:, 4], counts[:, 0]))
    expected = slow_scores(counts, metric, 60, 7)
    got = bootstrap_interval(counts, metric, level=0.9, samples=60, seed=7)
    assert got.score == getattr(AlignmentCounts.from_array(counts), metric)
    np.testing.assert_allclose([got.low, got.high], np.quantile(expected, [0.05, 0.95]), rtol=1e-12)


def test_interval_has_the_width_that_theory_gives() -> None:
    """Ten links a pair found with p = 0.7 in 400 pairs: AER 0.3, standard error sqrt(0.7 * 0.3 / 4000)."""
    counts = system(np.random.default_rng(0), 400, 0.7)
    got = bootstrap_interval(counts, samples=4000)
    width = 2 * 1.96 * math.sqrt(0.7 * 0.3 / 4000)
    assert got.high - got.low == pytest.approx(width, rel=0.1)
    assert got.low < got.score < got.high


def test_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    covered = 0
    for seed in range(200):
        got = bootstrap_interval(system(rng, 60, 0.6), level=0.9, samples=300, seed=seed)
        covered += got.low <= 0.4 <= got.high
    assert 165 <= covered <= 195  # 180 expected, standard deviation 4


@pytest.mark.parametrize("block", [1, 170])
def test_blocks_do_not_change_the_result(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = system(np.random.default_rng(1), 50, 0.5)
    whole = bootstrap_interval(counts, samples=100)
    monkeypatch.setattr(significance, "DRAWS_AT_ONCE", block)
    assert bootstrap_interval(counts, samples=100) == whole


def test_the_seed_decides() -> None:
    counts = system(np.random.default_rng(1), 50, 0.5)
    assert bootstrap_interval(counts, seed=1) == bootstrap_interval(counts, seed=1)
    assert bootstrap_interval(counts, seed=1) != bootstrap_interval(counts, seed=2)


def test_a_system_does_not_differ_from_itself() -> None:
    counts = system(np.random.default_rng(1), 100, 0.5)
    got = paired_bootstrap(counts, counts)
    assert (got.difference.score, got.difference.low, got.difference.high) == (0, 0, 0)
    assert (got.p_value, got.first_wins, got.second_wins) == (1, 0, 0)
    assert all(type(value) is float for value in (*vars(got.difference).values(), *list(vars(got).values())[1:]))


@pytest.mark.parametrize("metric", METRICS)
def test_a_clearly_better_system_wins_and_the_comparison_is_antisymmetric(metric: str) -> None:
    rng = np.random.default_rng(2)
    weak, strong = system(rng, 300, 0.5), system(rng, 300, 0.7)
    got = paired_bootstrap(weak, strong, metric)
    assert (got.second_wins, got.first_wins) == (1, 0)
    assert got.p_value == 1 / 1001
    assert got.difference.score * (-1 if metric == "aer" else 1) == pytest.approx(0.2, abs=0.03)
    assert got.difference.low < got.difference.score < got.difference.high
    back = paired_bootstrap(strong, weak, metric)
    assert (back.first_wins, back.second_wins, back.p_value) == (1, 0, got.p_value)
    assert back.difference.low == pytest.approx(-got.difference.high)


def test_pairing_sees_what_two_intervals_do_not() -> None:
    """One system adds one link in every tenth pair: certain, though the intervals overlap."""
    base = system(np.random.default_rng(4), 300, 0.5)
    better = base.copy()
    better[::10, 3:] += 1
    assert bootstrap_interval(base).low < bootstrap_interval(better).high < bootstrap_interval(base).high
    assert paired_bootstrap(base, better).second_wins == 1


def test_p_values_of_equally_good_systems_are_spread_evenly() -> None:
    rng = np.random.default_rng(6)
    p = [paired_bootstrap(system(rng, 80, 0.6), system(rng, 80, 0.6), samples=200).p_value for _ in range(200)]
    assert 2 <= sum(value <= 0.05 for value in p) <= 22  # 10 expected
    assert 80 <= sum(value <= 0.5 for value in p) <= 120


def test_a_thousand_samples_of_a_test_set_take_a_moment() -> None:
    counts = system(np.random.default_rng(1), 3000, 0.5)
    start = time.perf_counter()
    paired_bootstrap(counts, counts)
    assert time.perf_counter() - start < 3  # 0.1 s on one slow core


@pytest.mark.parametrize("systems", [1, 2])
def test_wrong_arguments_are_named(systems: int) -> None:
    counts = system(np.random.default_rng(1), 5, 0.5)
    call: Any = bootstrap_interval if systems == 1 else functools.partial(paired_bootstrap, counts)
    with pytest.raises(GuidedAlignError, match="got 'bleu'"):
        call(counts, "bleu")
    for level in (0, 1, 95):
        with pytest.raises(GuidedAlignError, match=rf"between 0 and 1, .*; got {level}"):
            call(counts, level=level)
    with pytest.raises(GuidedAlignError, match="at least one bootstrap sample; got 0"):
        call(counts, samples=0)
    with pytest.raises(GuidedAlignError, match="at least one sentence pair"):
        bootstrap_interval(counts[:0])
    with pytest.raises(AlignmentLengthError, match="5 and 4 pairs"):
        paired_bootstrap(counts, counts[:4])


def test_one_sample_is_enough() -> None:
    counts = system(np.random.default_rng(1), 5, 0.5)
    assert bootstrap_interval(counts, samples=1).low == bootstrap_interval(counts, samples=1).high
