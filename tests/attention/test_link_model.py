"""The log-linear model of links: its features by a slow loop, its fit by a gradient, its threshold by trying all."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fairseq_guided_align.attention.link_model import PENALTY, SMALLEST, LinkModel, best_threshold, features, fit
from fairseq_guided_align.errors import AlignmentRangeError, GuidedAlignError


def random_matrices(targets: int, sources: int, seed: int, directions: int = 2) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    shapes = [(targets, sources + 1), (sources, targets + 1)][:directions]
    return [generator.dirichlet(np.full(columns, 0.3), rows).astype(np.float32) for rows, columns in shapes]


def slow_features(matrices: list[np.ndarray], t: int, s: int) -> list[float]:
    """All features of one cell, each by its definition."""
    forward = matrices[0].astype(float)
    targets, sources = forward.shape[0], forward.shape[1] - 1

    def log(value: float) -> float:
        return float(np.log(value + SMALLEST))

    kinds = [lambda i, j: forward[i, j]]
    ends = [forward[t, -1]]
    if len(matrices) == 2:
        reverse = matrices[1].astype(float)
        kinds += [lambda i, j: reverse[j, i], lambda i, j: (forward[i, j] + reverse[j, i]) / 2]
        ends.append(reverse[s, -1])
    distance = abs((t + 0.5) / targets - (s + 0.5) / sources)
    found = [1.0, *map(log, ends), distance, log(distance)]
    for value in kinds:
        row = max(value(t, j) for j in range(sources))
        column = max(value(i, s) for i in range(targets))
        found += [value(t, s), log(value(t, s)), value(t, s) / (row + SMALLEST), value(t, s) / (column + SMALLEST)]
        found += [row, column]
    if len(matrices) == 2:
        found.append(kinds[0](t, s) * kinds[1](t, s))
    sums = []
    for down, right in ((1, 1), (1, -1), (0, 1), (1, 0)):
        places = [(t + down, s + right), (t - down, s - right)]
        sums.append(sum(kinds[-1](i, j) for i, j in places if 0 <= i < targets and 0 <= j < sources))
    return [*found, *sums, *map(log, sums)]


@pytest.mark.parametrize("directions", [1, 2])
def test_features_of_each_cell(directions: int) -> None:
    for targets, sources in ((5, 7), (4, 1), (1, 1)):
        matrices = random_matrices(targets, sources, seed=targets, directions=directions)
        found = features(matrices)
        for t in range(targets):
            for s in range(sources):
                np.testing.assert_allclose(found[t, s], slow_features(matrices, t, s), rtol=1e-9, atol=1e-12)
    assert features([np.zeros((0, 3), np.float32), np.zeros((2, 1), np.float32)][:directions]).shape[:2] == (0, 2)


def test_two_matrices_have_to_be_of_the_same_tokens() -> None:
    with pytest.raises(AlignmentRangeError, match=r"\(3, 4\) \(target, source\) and \(5, 3\) \(source, target\)"):
        features([np.zeros((3, 5), np.float32), np.zeros((5, 4), np.float32)])


Cells = tuple[list[np.ndarray], np.ndarray, np.ndarray]


def made_up(count: int, seed: int, directions: int = 2) -> list[Cells]:
    """Noisy attention around links along the diagonal; in every third pair a link is only possible."""
    generator = np.random.default_rng(seed)
    found = []
    for number in range(count):
        size = int(generator.integers(4, 9))
        linked = np.eye(size, dtype=bool)
        linked[generator.integers(size), generator.integers(size)] = True
        counts = np.ones_like(linked)
        if number % 3 == 0:
            linked[0, 0], counts[0, 0] = False, False
        matrices = []
        for gold in (np.eye(size) + linked, (np.eye(size) + linked).T)[:directions]:
            weight = np.pad(gold, ((0, 0), (0, 1))) + generator.gamma(0.4, 2.5, (size, size + 1))
            matrices.append((weight / weight.sum(axis=1, keepdims=True)).astype(np.float32))
        found.append((matrices, linked, counts))
    return found


def test_fit_is_the_minimum_of_the_penalised_likelihood() -> None:
    """Another implementation's gradient is zero there; cells that do not count play no part."""
    pairs = made_up(40, seed=1)
    model = fit(pairs)
    values = np.concatenate([(features(m)[counts] - model.mean) / model.deviation for m, _, counts in pairs])
    labels = torch.tensor(np.concatenate([linked[counts] for _, linked, counts in pairs]), dtype=torch.float64)
    weights = torch.tensor(model.weights, requires_grad=True)
    loss = (
        torch.nn.functional.binary_cross_entropy_with_logits(torch.tensor(values) @ weights, labels, reduction="sum")
        + PENALTY / 2 * weights.square().sum()
    )
    (gradient,) = torch.autograd.grad(loss, weights)
    assert gradient.abs().max() < 1e-4
    # Columns have mean 0 and deviation 1, but for the constant.
    np.testing.assert_allclose(values[:, 1:].mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(values[:, 1:].std(axis=0), 1, atol=1e-9)
    assert (values[:, 0] == 1).all()


def test_probabilities_are_calibrated_and_better_than_any_threshold_of_the_mean() -> None:
    learnt_from, others = made_up(150, seed=2), made_up(150, seed=3)
    model = fit(learnt_from)
    probabilities = np.concatenate([model.probabilities(m).ravel() for m, _, _ in others])
    linked = np.concatenate([gold.ravel() for _, gold, _ in others])
    assert abs(probabilities.mean() - linked.mean()) < 0.02
    mean = np.concatenate([((m[0][:, :-1] + m[1][:, :-1].T) / 2).ravel() for m, _, _ in others])

    def f1(chosen: np.ndarray) -> float:
        return float(2 * (chosen & linked).sum() / (chosen.sum() + linked.sum()))

    threshold = best_threshold(model.probabilities(m) for m, _, _ in learnt_from)
    assert f1(probabilities >= threshold) > max(f1(mean >= at) for at in np.arange(0.05, 1, 0.05)) + 0.02


def test_best_threshold_has_the_highest_expected_f1() -> None:
    probabilities = np.random.default_rng(4).beta(0.3, 1.0, 500)
    found = best_threshold([probabilities[:200].reshape(20, 10), probabilities[200:].reshape(10, 30)])

    def expected(threshold: float) -> float:
        chosen = probabilities >= threshold
        return float(2 * probabilities[chosen].sum() / (chosen.sum() + probabilities.sum()))

    assert expected(found) == pytest.approx(max(map(expected, probabilities)), rel=1e-12)
    # Lipton et al. 2014: half of the highest F1, up to the gap to the next probability.
    assert abs(found - expected(found) / 2) < 0.01
    with pytest.raises(GuidedAlignError, match="expected probabilities"):
        best_threshold([])


def test_what_cannot_be_learnt_from_is_refused() -> None:
    matrices = random_matrices(3, 3, seed=5)
    everything = np.ones((3, 3), dtype=bool)
    for pairs in ([], [(matrices, ~everything, everything)], [(matrices, everything, everything)]):
        with pytest.raises(GuidedAlignError, match="expected text with some links to learn from"):
            fit(pairs)


def test_another_number_of_models_is_refused() -> None:
    model = LinkModel(np.zeros(1), np.zeros(1), np.ones(1), directions=2)
    with pytest.raises(GuidedAlignError, match="expected attention of 2 models; got that of 1"):
        model.probabilities(random_matrices(2, 2, seed=6, directions=1))
