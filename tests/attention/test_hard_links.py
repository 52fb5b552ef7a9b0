"""Links from attention: against loops over the cells, and as properties of any matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairseq_guided_align.attention.guided_heads import UNLINKED, GuidedHeads
from fairseq_guided_align.attention.hard_links import (
    argmax_links,
    linkable,
    mean_of_directions,
    merge_pieces,
    mutual_argmax_links,
    threshold_links,
)
from fairseq_guided_align.errors import AlignmentRangeError, GuidedAlignError
from fairseq_guided_align.links.link import SentenceLinks


def distribution(rng: np.random.Generator, targets: int, sources: int) -> np.ndarray:
    """Rows that sum to 1, coarse enough that ties occur."""
    raw = rng.integers(0, 4, (targets, sources)) + 0.25
    return raw / raw.sum(axis=1, keepdims=True)


@st.composite
def attentions(draw: st.DrawFn) -> np.ndarray:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return distribution(rng, draw(st.integers(0, 6)), draw(st.integers(1, 6)))


def slow_argmax(rows: list[list[float]], null: int | None) -> list[tuple[int, int]]:
    found = []
    for t, row in enumerate(rows):
        best = max(range(len(row)), key=lambda s: (row[s], -s))
        if best != null:
            found.append((best, t))
    return found


@given(attentions(), st.booleans())
def test_argmax(attention: np.ndarray, with_null: bool) -> None:
    last = attention.shape[1] - 1
    for null in (last, -1) if with_null else (None,):
        links = argmax_links(attention, null)
        assert links.pairs() == slow_argmax(attention.tolist(), last if with_null else None)
        assert links == SentenceLinks.from_pairs(links.pairs())


def test_a_null_column_silences_only_the_tokens_that_prefer_it() -> None:
    attention = [[0.7, 0.1, 0.2], [0.2, 0.3, 0.5], [0.4, 0.2, 0.4]]
    assert argmax_links(attention, null_column=2).pairs() == [(0, 0), (0, 2)]
    assert argmax_links(attention).pairs() == [(0, 0), (2, 1), (0, 2)]
    # In the middle, too; the other columns keep their numbers.
    assert argmax_links(attention, null_column=0).pairs() == [(2, 1)]


@given(attentions(), st.booleans())
def test_mutual_argmax(attention: np.ndarray, with_null: bool) -> None:
    null = attention.shape[1] - 1 if with_null else None
    rows = attention.tolist()
    by_row = set(slow_argmax(rows, null))
    columns = [list(column) for column in zip(*rows)]
    by_column = {(s, t) for t, s in slow_argmax(columns, None)}
    links = mutual_argmax_links(attention, null)
    assert set(links.pairs()) == by_row & by_column
    assert len(set(links.source.tolist())) == len(set(links.target.tolist())) == len(links)


@given(attentions(), st.integers(0, 2**32 - 1))
def test_mutual_argmax_of_the_transpose_is_the_inverse(attention: np.ndarray, seed: int) -> None:
    distinct = attention + np.random.default_rng(seed).random(attention.shape) * 1e-3
    turned = mutual_argmax_links(distinct.T) if distinct.size else argmax_links(distinct)
    assert turned == mutual_argmax_links(distinct).inverted()


@given(attentions(), st.floats(0.01, 1), st.booleans())
def test_threshold(attention: np.ndarray, threshold: float, with_null: bool) -> None:
    null = attention.shape[1] - 1 if with_null else None
    links = threshold_links(attention, threshold, null)
    expected = {
        (s, t): value
        for t, row in enumerate(attention.tolist())
        for s, value in enumerate(row)
        if value >= threshold and s != null
    }
    assert set(links.pairs()) == set(expected)
    for pair, weight in zip(links.pairs(), links.weight):
        assert weight == np.float32(expected[pair])
    assert links == SentenceLinks.from_pairs(links.pairs(), weights=links.weight)
    higher = threshold_links(attention, min(1.0, threshold * 1.5), null)
    assert set(higher.pairs()) <= set(links.pairs())


@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 5))
def test_the_mean_of_both_directions(seed: int, targets: int, sources: int) -> None:
    rng = np.random.default_rng(seed)
    forward, back = distribution(rng, targets, sources), distribution(rng, sources, targets)
    both = mean_of_directions(forward, back)
    assert both.tolist() == [[(forward[t, s] + back[s, t]) / 2 for s in range(sources)] for t in range(targets)]


def test_the_end_of_the_source_means_no_link_only_where_it_was_guided() -> None:
    attention = np.array([[0.3, 0.1, 0.6], [0.2, 0.7, 0.1]])
    found = {
        unlinked: argmax_links(*linkable(attention, GuidedHeads((0,), (0,), unlinked=unlinked))).pairs()
        for unlinked in UNLINKED
    }
    assert found == {"ignore": [(0, 0), (1, 1)], "eos": [(1, 1)]}


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (2, 0)])
def test_without_tokens_on_a_side_there_are_no_links(shape: tuple[int, int]) -> None:
    nothing, none = np.zeros(shape), SentenceLinks.from_pairs([])
    assert argmax_links(nothing) == mutual_argmax_links(nothing) == threshold_links(nothing, 0.5) == none


def test_merging_by_hand() -> None:
    """Source words (0 1) (2), target words (0) (1 2): 4 cells."""
    attention = [[0.2, 0.3, 0.5], [0.1, 0.1, 0.8], [0.6, 0.2, 0.2]]
    merged = merge_pieces(attention, [0, 0, 1], [0, 1, 1])
    np.testing.assert_allclose(merged, [[0.5, 0.5], [0.5, 0.5]], atol=1e-7)


@given(st.integers(0, 2**32 - 1), st.integers(1, 7), st.integers(1, 7))
def test_merged_rows_still_sum_to_one(seed: int, targets: int, sources: int) -> None:
    rng = np.random.default_rng(seed)
    source_words = np.unique(rng.integers(0, 4, sources), return_inverse=True)[1]
    target_words = np.unique(rng.integers(0, 4, targets), return_inverse=True)[1]
    merged = merge_pieces(distribution(rng, targets, sources), source_words, target_words)
    assert merged.shape == (target_words.max() + 1, source_words.max() + 1)
    np.testing.assert_allclose(merged.sum(axis=1), 1, rtol=1e-6)


@given(attentions())
def test_words_of_one_piece_change_nothing(attention: np.ndarray) -> None:
    targets, sources = attention.shape
    merged = merge_pieces(attention, range(sources), range(targets))
    np.testing.assert_array_equal(merged, attention)


def test_pieces_of_no_word_are_dropped_and_words_of_no_piece_are_zero() -> None:
    attention = np.array([[0.25, 0.75], [0.5, 0.5]])
    np.testing.assert_array_equal(merge_pieces(attention, [-1, 1], [0, -1]), [[0, 0.75]])
    np.testing.assert_array_equal(merge_pieces(attention, [0, 1], [1, -1]), [[0, 0], [0.25, 0.75]])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: argmax_links([[0.5, 0.5, float("nan")]]), GuidedAlignError, "1 of 3 infinite or NaN"),
        (lambda: argmax_links([0.5, 0.5]), GuidedAlignError, r"two axes; got shape \(2,\)"),
        (lambda: argmax_links([[0.5, 0.5]], 2), AlignmentRangeError, r"in \[-2, 2\); got 2"),
        (lambda: threshold_links([[1.0]], 0.0), GuidedAlignError, "above 0 and at most 1; got 0.0"),
        (lambda: threshold_links([[1.0]], 1.5), GuidedAlignError, "at most 1; got 1.5"),
        (lambda: mean_of_directions([[1.0]], [[1.0], [1.0]]), AlignmentRangeError, r"\(1, 1\) .* \(2, 1\)"),
        (lambda: merge_pieces([[1.0]], [0, 0], [0]), AlignmentRangeError, "each of 1 source pieces"),
        (lambda: merge_pieces([[1.0]], [-2], [0]), AlignmentRangeError, r"got \[-2\]"),
    ],
)
def test_wrong_arguments_are_named(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_any_precision(dtype: type) -> None:
    attention = np.array([[0.25, 0.75]], dtype=dtype)
    assert argmax_links(attention).pairs() == [(1, 0)]
    assert threshold_links(attention, 0.25).weight.tolist() == [0.25, 0.75]
    for links in (argmax_links(attention), mutual_argmax_links(attention), threshold_links(attention, 0.25)):
        dtypes = [column.dtype for column in (links.source, links.target, links.weight, links.sure)]
        assert dtypes == [np.int32, np.int32, np.float32, bool]
    merged = merge_pieces(attention, [0, 1], [0])
    assert merged.dtype == (np.float64 if dtype is np.float64 else np.float32)


def test_whole_numbers_are_probabilities_too() -> None:
    np.testing.assert_array_equal(merge_pieces([[1, 0], [0, 0]], [0, 1], [0, 0]), [[0.5, 0]])
