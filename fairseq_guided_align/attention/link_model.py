"""Probability of each link, given the attention around it: a log-linear model, fitted on text whose links are known.

A cell of an attention matrix says more when its neighbours are looked at, too: links run along diagonals, rivals in the
same row and column speak against a cell, words far from the diagonal are rarely linked. Log-linear models that combine
such evidence: Ayan and Dorr 2006, "A Maximum Entropy Approach to Combining Word Alignments", with the links of aligners
as evidence; here it is the attention of one model, or of two of opposite directions.

A sentence pair's matrices are (target, source + 1) probabilities of a model and, of two, (source, target + 1) of the
opposite one; the last column of each is ``</s>``'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from fairseq_guided_align.errors import AlignmentRangeError, GuidedAlignError

SMALLEST = 1e-3
"""Added to probabilities before their logarithm is taken: below it, attention is noise."""

PENALTY = 1.0
"""Half of it times the sum of squared weights is added to the negative log-likelihood, in nats."""

STEPS = 50
TOLERANCE = 1e-6


def features(matrices: Sequence[np.ndarray]) -> np.ndarray:
    """What the model looks at: (target, source, features) float64.

    :param matrices: one or two, see above.
    :raises AlignmentRangeError: two that are not of the same tokens.
    """
    forward = np.asarray(matrices[0], dtype=np.float64)
    attention, ends = [forward[:, :-1]], [forward[:, -1:]]
    if len(matrices) == 2:
        reverse = np.asarray(matrices[1], dtype=np.float64).T
        attention.append(reverse[:-1])
        ends.append(reverse[-1:])
        if attention[0].shape != attention[1].shape:
            raise AlignmentRangeError(
                f"expected matrices of the same tokens; got {attention[0].shape} (target, source) and"
                f" {attention[1].shape[::-1]} (source, target)"
            )
        attention.append((attention[0] + attention[1]) / 2)
    found = [np.ones_like(attention[0]), *(_log(end) for end in ends), *_places(*attention[0].shape)]
    for matrix in attention:
        found += [matrix, _log(matrix), *_shares_of_best(matrix)]
    if len(matrices) == 2:
        found.append(attention[0] * attention[1])
    found += _neighbours(attention[-1])
    return np.stack(np.broadcast_arrays(*found), axis=-1)


def _log(values: np.ndarray) -> np.ndarray:
    return np.log(values + SMALLEST)


def _places(targets: int, sources: int) -> list[np.ndarray]:
    """Distance from the diagonal, as a share of the sentence; its logarithm."""
    target, source = (np.arange(targets) + 0.5) / max(targets, 1), (np.arange(sources) + 0.5) / max(sources, 1)
    distance = np.abs(target[:, None] - source[None, :])
    return [distance, _log(distance)]


def _shares_of_best(matrix: np.ndarray) -> list[np.ndarray]:
    """Each cell as a share of the best one of its row, and of its column; and these best ones."""
    rows, columns = (matrix.max(axis=axis, keepdims=True, initial=0.0) for axis in (1, 0))
    return [matrix / (rows + SMALLEST), matrix / (columns + SMALLEST), rows, columns]


def _neighbours(matrix: np.ndarray) -> list[np.ndarray]:
    """Sums over the two neighbours of each cell along both diagonals, the row and the column; their logarithms."""
    padded = np.pad(matrix, 1)
    rows, columns = matrix.shape

    def moved(down: int, right: int) -> np.ndarray:
        return padded[1 + down : 1 + down + rows, 1 + right : 1 + right + columns]

    sums = [moved(down, right) + moved(-down, -right) for down, right in ((1, 1), (1, -1), (0, 1), (1, 0))]
    return [*sums, *map(_log, sums)]


@dataclass(frozen=True)
class LinkModel:
    """A fitted model.

    :param weights: of the features, each measured from its mean in units of its standard deviation.
    :param directions: 1, or 2 where it was fitted on matrices of both.
    """

    weights: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray
    directions: int

    def probabilities(self, matrices: Sequence[np.ndarray]) -> np.ndarray:
        """(target, source) probability of each link, from 0 to 1; rows do not sum to 1.

        :raises GuidedAlignError: matrices of another number of directions than it was fitted on.
        """
        if len(matrices) != self.directions:
            raise GuidedAlignError(f"expected attention of {self.directions} models; got that of {len(matrices)}")
        found: np.ndarray = _logistic((features(matrices) - self.mean) / self.deviation @ self.weights)
        return found


def fit(pairs: Iterable[tuple[Sequence[np.ndarray], np.ndarray, np.ndarray]]) -> LinkModel:
    """The model under which the given links are likeliest, with :data:`PENALTY`; by Newton's method.

    :param pairs: of each sentence pair its matrices; (target, source) bool of its sure links; (target, source) bool of
        the cells to learn from, which are all but those of possible links.
    :raises GuidedAlignError: no links, or links everywhere.
    """
    rows, labels, directions = [], [], 0
    for matrices, linked, counts in pairs:
        rows.append(features(matrices)[counts])
        labels.append(linked[counts])
        directions = len(matrices)
    label = np.concatenate(labels).astype(np.float64) if labels else np.zeros(0)
    if not 0 < label.sum() < len(label):
        raise GuidedAlignError(f"expected text with some links to learn from; got {int(label.sum())} links")
    values = np.concatenate(rows)
    mean, deviation = values.mean(axis=0), values.std(axis=0)
    # The constant, and what is the same in all of the text, keep their values.
    fixed = deviation < 1e-9
    mean[fixed], deviation[fixed] = 0.0, 1.0
    values = (values - mean) / deviation
    weights = np.zeros(values.shape[1])
    for _ in range(STEPS):
        probability = _logistic(values @ weights)
        gradient = values.T @ (probability - label) + PENALTY * weights
        curvature = (values * (probability * (1 - probability))[:, None]).T @ values + PENALTY * np.eye(len(weights))
        step = np.linalg.solve(curvature, gradient)
        weights -= step
        if np.abs(step).max() < TOLERANCE:
            break
    return LinkModel(weights, mean, deviation, directions)


def _logistic(values: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)), without overflow."""
    found: np.ndarray = 0.5 * (1 + np.tanh(0.5 * values))
    return found


def best_threshold(probabilities: Iterable[np.ndarray]) -> float:
    """The least probability of a link for the highest expected F1 (1 - AER, where all links are sure).

    It needs no gold links: with the k likeliest links, the expected F1 is about 2 * (sum of their probabilities) /
    (k + sum of all probabilities). Half of the highest F1 is the best threshold (Lipton et al. 2014, "Optimal
    Thresholding of Classifiers to Maximize F1 Measure", theorem 1).

    :param probabilities: of each sentence pair's links.
    :raises GuidedAlignError: none given.
    """
    sorted_ = np.sort(np.concatenate([one.ravel() for one in probabilities] or [np.zeros(0)]))[::-1]
    if not len(sorted_):
        raise GuidedAlignError("expected probabilities of links; got none")
    hits = sorted_.cumsum()
    expected = 2 * hits / (np.arange(1, len(hits) + 1) + hits[-1])
    return float(sorted_[expected.argmax()])
