"""Links of sentences and corpora, against sets and dictionaries of pairs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_guided_align.errors import AlignmentFormatError, AlignmentRangeError
from fairseq_guided_align.links.link import CorpusLinks, SentenceLinks

WEIGHTS = st.sampled_from([0.25, 0.5, 1.0, 2.0])
LINK = st.tuples(st.integers(0, 6), st.integers(0, 6), WEIGHTS, st.booleans())
SENTENCE = st.lists(LINK, max_size=12)


def made(rows: list[tuple[int, int, float, bool]]) -> SentenceLinks:
    return SentenceLinks.from_pairs(
        [(s, t) for s, t, _, _ in rows], [w for _, _, w, _ in rows], [sure for _, _, _, sure in rows]
    )


def as_dict(links: SentenceLinks) -> dict[tuple[int, int], tuple[float, bool]]:
    return {
        pair: (weight, sure) for pair, weight, sure in zip(links.pairs(), links.weight.tolist(), links.sure.tolist())
    }


@settings(deadline=None)
@given(SENTENCE)
def test_from_pairs_sorts_and_merges(rows: list[tuple[int, int, float, bool]]) -> None:
    expected: dict[tuple[int, int], tuple[float, bool]] = {}
    for s, t, weight, sure in rows:
        old_weight, old_sure = expected.get((s, t), (0.0, False))
        expected[s, t] = (max(weight, old_weight), sure or old_sure)
    links = made(rows)
    assert as_dict(links) == expected
    assert links.pairs() == sorted(expected, key=lambda pair: (pair[1], pair[0]))
    assert [links.source.dtype, links.target.dtype, links.weight.dtype, links.sure.dtype] == [
        np.int32,
        np.int32,
        np.float32,
        bool,
    ]


@settings(deadline=None)
@given(SENTENCE)
def test_inverted_swaps_sides(rows: list[tuple[int, int, float, bool]]) -> None:
    links = made(rows)
    assert links.inverted() == made([(t, s, w, sure) for s, t, w, sure in rows])
    assert links.inverted().inverted() == links


@settings(deadline=None)
@given(st.lists(SENTENCE, max_size=6), st.integers(-8, 8), st.integers(-8, 8), st.lists(st.integers(0, 9)))
def test_corpus_is_its_sentences(
    corpus: list[list[tuple[int, int, float, bool]]], a: int, b: int, numbers: list[int]
) -> None:
    sentences = [made(rows) for rows in corpus]
    links = CorpusLinks.from_sentences(sentences)
    assert list(links) == sentences
    assert links != sentences
    assert list(links.inverted()) == [sentence.inverted() for sentence in sentences]
    assert list(links[a:b]) == sentences[a:b]
    assert CorpusLinks.concatenated([links[:2], links[2:3], links[3:]]) == links
    assert CorpusLinks.concatenated([]) == CorpusLinks.from_sentences([])
    assert list(links.where(links.source < links.target)) == [
        made([row for row in rows if row[0] < row[1]]) for rows in corpus
    ]
    order = [number for number in numbers if number < len(sentences)]
    assert list(links.select(np.array(order, np.int64))) == [sentences[number] for number in order]
    if sentences:
        assert links[-1] == sentences[-1]
    with pytest.raises(IndexError):
        links[len(sentences)]


def test_indices_as_large_as_they_may_be() -> None:
    largest = 2**31 - 1
    links = SentenceLinks.from_pairs([(largest, largest), (0, largest), (largest, largest)])
    assert links.pairs() == [(0, largest), (largest, largest)]


@pytest.mark.parametrize("pair", [(-1, 0), (0, -1), (2**31, 0), (0, 2**40)])
def test_index_out_of_range(pair: tuple[int, int]) -> None:
    with pytest.raises(AlignmentRangeError, match=str(max(pair, key=abs))):
        SentenceLinks.from_pairs([(0, 0), pair])


@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan"), float("inf")])
def test_weights_that_are_none(weight: float) -> None:
    with pytest.raises(AlignmentFormatError, match="above 0"):
        SentenceLinks.from_pairs([(0, 0), (1, 1)], [1.0, weight])


def test_columns_of_different_lengths() -> None:
    with pytest.raises(AlignmentFormatError, match="one length"):
        SentenceLinks.from_pairs([(0, 0), (1, 1)], [1.0])
