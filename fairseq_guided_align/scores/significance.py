"""How sure a score is: bootstrap over the sentence pairs of a test set, from counts of each pair.

A resample draws as many sentence pairs as there are, with replacement; its score comes from summed counts.
Efron and Tibshirani 1993, chapter 13 (percentile interval); Koehn 2004, "Statistical Significance Tests for
Machine Translation Evaluation" (paired resampling).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fairseq_guided_align.errors import AlignmentLengthError, GuidedAlignError
from fairseq_guided_align.scores.metrics import score_table


@dataclass(frozen=True)
class Measures:
    """What can be resampled: scores that come from summed counts.

    :param names: of the scores.
    :param lower_is_better: those of them where a lower score is the better one.
    :param table: from (..., columns) counts to a dictionary of (...) scores, one entry for each name.
    """

    names: tuple[str, ...]
    lower_is_better: tuple[str, ...]
    table: Callable[[np.ndarray], dict[str, np.ndarray]]


METRICS = ("aer", "precision", "recall", "f1")
LINK_MEASURES = Measures(METRICS, ("aer",), score_table)
"""Of links against gold links; counts as :func:`~fairseq_guided_align.scores.metrics.count_corpus` gives them."""

DRAWS_AT_ONCE = 1 << 22  # Bounds the memory to some 64 MB


@dataclass(frozen=True)
class Interval:
    """Bootstrap percentile interval of a score.

    :param score: of the sentence pairs as they are, a fraction in 0..1.
    :param low: lower end; a share of (1 - level) / 2 of the resamples lies below it.
    :param high: upper end; the same share lies above it.
    :param level: confidence, such as 0.95.
    """

    score: float
    low: float
    high: float
    level: float


@dataclass(frozen=True)
class Comparison:
    """Two systems on the same sentence pairs, by paired bootstrap resampling.

    :param difference: second system's score minus the first's, with its interval.
    :param p_value: two-sided: the share of resamples whose difference, less the mean of all resamples, is at least as
        large as the observed one, whichever its sign; (hits + 1) / (samples + 1), so above 0.
    :param first_wins: share of the resamples in which the first system is better (Koehn 2004).
    :param second_wins: share in which the second is; the rest are ties.
    """

    difference: Interval
    p_value: float
    first_wins: float
    second_wins: float


def bootstrap_interval(
    counts: np.ndarray,
    metric: str = "aer",
    level: float = 0.95,
    samples: int = 1000,
    seed: int = 12345,
    measures: Measures = LINK_MEASURES,
) -> Interval:
    """Confidence interval of a corpus score.

    :param counts: (sentences, columns) integers, with the columns that ``measures`` reads.
    :param metric: one of the names of ``measures``; with its default, one of :data:`METRICS`.
    :param level: confidence, between 0 and 1.
    :param samples: number of resamples.
    :param seed: the same seed gives the same interval.
    :param measures: how counts become scores.
    :raises GuidedAlignError: no sentence pairs, no such metric, a level or a number of samples out of range.
    """
    _check(measures, metric, level, samples)
    table = np.asarray(counts)
    scores = measures.table(_resampled(table, samples, seed))[metric]
    return _interval(_score(measures, metric, table), scores, level)


def paired_bootstrap(
    first: np.ndarray,
    second: np.ndarray,
    metric: str = "aer",
    level: float = 0.95,
    samples: int = 1000,
    seed: int = 12345,
    measures: Measures = LINK_MEASURES,
) -> Comparison:
    """Whether the second system is better or worse than the first beyond chance.

    :param first: (sentences, columns) integers, with the columns that ``measures`` reads.
    :param second: the same of the other system, for the same sentence pairs.
    :param measures: how counts become scores.
    :raises AlignmentLengthError: the two have different numbers of sentence pairs.
    :raises GuidedAlignError: as :func:`bootstrap_interval`.
    """
    _check(measures, metric, level, samples)
    if len(first) != len(second):
        raise AlignmentLengthError(
            f"expected two systems on the same sentence pairs; got {len(first)} and {len(second)} pairs"
        )
    sums = _resampled(np.concatenate([first, second], axis=1), samples, seed)
    width = first.shape[1]
    differences = measures.table(sums[:, width:])[metric] - measures.table(sums[:, :width])[metric]
    observed = _score(measures, metric, second) - _score(measures, metric, first)
    # Differences that are as large but for rounding count, hence 1e-12.
    as_large = np.abs(differences - differences.mean()) >= abs(observed) - 1e-12
    better = -1 if metric in measures.lower_is_better else 1
    return Comparison(
        difference=_interval(observed, differences, level),
        p_value=(int(as_large.sum()) + 1) / (samples + 1),
        first_wins=float((differences * better < 0).mean()),
        second_wins=float((differences * better > 0).mean()),
    )


def _score(measures: Measures, metric: str, counts: np.ndarray) -> float:
    return float(measures.table(counts.sum(axis=0))[metric])


def _resampled(counts: np.ndarray, samples: int, seed: int) -> np.ndarray:
    """(samples, columns) float64: column sums of resampled rows. Exact: sums stay far below 2**53."""
    sentences = len(counts)
    if not sentences:
        raise GuidedAlignError("expected at least one sentence pair to resample; got none")
    table = counts.astype(np.float64)
    rng = np.random.default_rng(seed)
    sums = np.empty((samples, counts.shape[1]))
    at_once = max(1, DRAWS_AT_ONCE // sentences)
    for start in range(0, samples, at_once):
        rows = min(at_once, samples - start)
        drawn = rng.integers(sentences, size=(rows, sentences))
        drawn += np.arange(rows)[:, None] * sentences
        times = np.bincount(drawn.ravel(), minlength=rows * sentences).reshape(rows, sentences)
        sums[start : start + rows] = times @ table
    return sums


def _interval(score: float, resampled: np.ndarray, level: float) -> Interval:
    tail = (1 - level) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return Interval(float(score), float(low), float(high), level)


def _check(measures: Measures, metric: str, level: float, samples: int) -> None:
    if metric not in measures.names:
        raise GuidedAlignError(f"expected a metric out of {', '.join(measures.names)}; got {metric!r}")
    if not 0 < level < 1:
        raise GuidedAlignError(f"expected a confidence level between 0 and 1, such as 0.95; got {level}")
    if samples < 1:
        raise GuidedAlignError(f"expected at least one bootstrap sample; got {samples}")
