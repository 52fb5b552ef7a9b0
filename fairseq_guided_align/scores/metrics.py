"""Links against gold links: counts, which are summed over sentences, shards and workers; scores of the sums.

With A the predicted links, S the sure gold links and P all gold links (sure and possible: S is part of P)::

    precision = |A & P| / |A|        recall = |A & S| / |S|
    AER = 1 - (|A & S| + |A & P|) / (|A| + |S|)

Och and Ney 2003, "A Systematic Comparison of Various Statistical Alignment Models", equations 22 to 24.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields
from typing import Any

import numpy as np

from fairseq_guided_align.errors import AlignmentLengthError, AlignmentRangeError
from fairseq_guided_align.links.link import CorpusLinks, SentenceLinks


@dataclass(frozen=True)
class AlignmentCounts:
    """Sizes of the link sets of one or many sentence pairs; counts of several parts are added with ``+``.

    Scores are fractions in 0..1. Precision without predicted links is 1, recall without sure gold links is 1, and AER
    without both is 0. So a system that predicts nothing has precision 1, recall 0, F1 0 and AER 1.

    :param predicted: size of A, the predicted links.
    :param sure: size of S, the sure gold links.
    :param possible: size of P, all gold links, sure and possible.
    :param hit_sure: size of A & S, the predicted links that are sure gold links.
    :param hit_possible: size of A & P, the predicted links that are gold links, sure or possible.
    """

    predicted: int = 0
    sure: int = 0
    possible: int = 0
    hit_sure: int = 0
    hit_possible: int = 0

    def __add__(self, other: AlignmentCounts) -> AlignmentCounts:
        return AlignmentCounts(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other))))

    def __radd__(self, other: Any) -> AlignmentCounts:
        """``sum(counts)`` starts from the number 0."""
        return self if other == 0 else NotImplemented

    @classmethod
    def from_array(cls, counts: np.ndarray) -> AlignmentCounts:
        """Sum of rows as :func:`count_corpus` gives them.

        :param counts: (5,) or (sentences, 5) integers, columns in the order of the fields.
        """
        return cls(*(int(value) for value in np.asarray(counts).reshape(-1, len(COLUMNS)).sum(axis=0)))

    @property
    def precision(self) -> float:
        return self._score("precision")

    @property
    def recall(self) -> float:
        return self._score("recall")

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 0 where both are 0."""
        return self._score("f1")

    @property
    def aer(self) -> float:
        """Alignment error rate: 0 is best; with sure links only it is 1 - F1."""
        return self._score("aer")

    def _score(self, name: str) -> float:
        return float(score_table(np.array(astuple(self)))[name])


COLUMNS = tuple(field.name for field in fields(AlignmentCounts))
"""Columns of a table of counts with a row for each sentence pair."""

PAIRS_AT_ONCE = 100_000
"""Sentence pairs counted at once: the memory for it does not grow with the corpus."""


def count_links(predicted: SentenceLinks, gold: SentenceLinks) -> AlignmentCounts:
    """Counts of one sentence pair. Weights play no part, nor does ``predicted.sure``."""
    table = count_corpus(CorpusLinks.from_sentences([predicted]), CorpusLinks.from_sentences([gold]))
    return AlignmentCounts.from_array(table)


def count_corpus(predicted: CorpusLinks, gold: CorpusLinks) -> np.ndarray:
    """As :func:`count_links` for each sentence pair of a corpus.

    :return: (sentences, 5) int64, columns in the order of :data:`COLUMNS`.
    :raises AlignmentLengthError: the two have different numbers of sentence pairs.
    :raises AlignmentRangeError: :data:`PAIRS_AT_ONCE` * sources * targets passes 2**63, beyond what int64 keys hold.
    """
    if len(predicted) != len(gold):
        raise AlignmentLengthError(
            f"expected predicted and gold links of the same sentence pairs; got {len(predicted)} predicted"
            f" and {len(gold)} gold"
        )
    blocks = [
        _count_block(predicted[start : start + PAIRS_AT_ONCE], gold[start : start + PAIRS_AT_ONCE])
        for start in range(0, len(gold), PAIRS_AT_ONCE)
    ]
    return np.concatenate(blocks) if blocks else np.zeros((0, len(COLUMNS)), np.int64)


def _count_block(predicted: CorpusLinks, gold: CorpusLinks) -> np.ndarray:
    sentences = len(gold)
    sources = 1 + max(int(links.source.max(initial=0)) for links in (predicted, gold))
    targets = 1 + max(int(links.target.max(initial=0)) for links in (predicted, gold))
    if sentences * sources * targets >= 2**63:
        raise AlignmentRangeError(
            f"expected links that fit 63-bit keys; got {sentences} sentence pairs with indices up to"
            f" {sources - 1} and {targets - 1}: count the corpus in parts"
        )
    answers, keys = (
        (links.sentence() * targets + links.target) * sources + links.source for links in (predicted, gold)
    )
    # Both are sorted, because links are, so each gold link finds its answer by bisection.
    place = np.searchsorted(answers, keys)
    hit = np.append(answers, -1)[place] == keys
    sure, sentence = gold.sures(), gold.sentence()
    of_gold = (np.bincount(sentence[chosen], minlength=sentences) for chosen in (sure, hit & sure, hit))
    sure_links, hit_sure, hit_possible = of_gold
    columns = [np.diff(predicted.offsets), sure_links, np.diff(gold.offsets), hit_sure, hit_possible]
    return np.stack(columns, axis=1)


def score_table(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Scores of many counts at once, with the conventions of :class:`AlignmentCounts`.

    :param counts: (..., 5), columns in the order of :data:`COLUMNS`; integers or floats.
    :return: ``precision``, ``recall``, ``f1`` and ``aer``, each (...) float64 in 0..1.
    """
    predicted, sure, _, hit_sure, hit_possible = np.moveaxis(np.asarray(counts, dtype=np.float64), -1, 0)

    def ratio(numerator: np.ndarray, denominator: np.ndarray, if_empty: float) -> np.ndarray:
        result = np.full(denominator.shape, if_empty)
        np.divide(numerator, denominator, out=result, where=denominator > 0)
        return result

    precision = ratio(hit_possible, predicted, 1.0)
    recall = ratio(hit_sure, sure, 1.0)
    return {
        "precision": precision,
        "recall": recall,
        "f1": ratio(2 * precision * recall, precision + recall, 0.0),
        "aer": 1 - ratio(hit_sure + hit_possible, predicted + sure, 1.0),
    }
