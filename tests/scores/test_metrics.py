"""Counts and scores of links, against a slow loop over every cell and against published arithmetic."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_guided_align.errors import AlignmentLengthError, AlignmentRangeError
from fairseq_guided_align.links.link import CorpusLinks, SentenceLinks
from fairseq_guided_align.scores import metrics
from fairseq_guided_align.scores.metrics import COLUMNS, AlignmentCounts, count_corpus, count_links, score_table

pair_lists = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 5)), max_size=14)


@st.composite
def gold_links(draw: st.DrawFn) -> SentenceLinks:
    pairs = draw(pair_lists)
    sure = draw(st.lists(st.booleans(), min_size=len(pairs), max_size=len(pairs)))
    return SentenceLinks.from_pairs(pairs, sure=sure)


def slow_counts(predicted: SentenceLinks, gold: SentenceLinks) -> AlignmentCounts:
    """Every cell of the matrix, one by one."""
    counts = dict.fromkeys(COLUMNS, 0)
    for s in range(7):
        for t in range(6):
            answered = any(a == s and b == t for a, b in predicted.pairs())
            marks = [bool(is_sure) for (a, b), is_sure in zip(gold.pairs(), gold.sure) if (a, b) == (s, t)]
            counts["predicted"] += answered
            counts["sure"] += marks == [True]
            counts["possible"] += len(marks)
            counts["hit_sure"] += answered and marks == [True]
            counts["hit_possible"] += answered and len(marks) == 1
    return AlignmentCounts(**counts)


@given(pair_lists, gold_links())
def test_counts_equal_those_of_a_loop_over_the_matrix(pairs: list, gold: SentenceLinks) -> None:
    predicted = SentenceLinks.from_pairs(pairs)
    assert count_links(predicted, gold) == slow_counts(predicted, gold)


@given(st.lists(st.tuples(pair_lists, gold_links()), max_size=6))
def test_a_corpus_counts_as_its_sentences_do(corpus: list) -> None:
    predicted = [SentenceLinks.from_pairs(pairs) for pairs, _ in corpus]
    gold = [links for _, links in corpus]
    table = count_corpus(CorpusLinks.from_sentences(predicted), CorpusLinks.from_sentences(gold))
    assert table.shape == (len(corpus), len(COLUMNS))
    each = [count_links(a, g) for a, g in zip(predicted, gold)]
    assert [AlignmentCounts.from_array(row) for row in table] == each
    total = AlignmentCounts.from_array(table)
    assert total == sum(each, AlignmentCounts())
    assert all(type(count) is int for count in vars(total).values())  # not numpy's, which JSON does not know


def test_the_score_of_a_corpus_comes_from_summed_counts_not_from_averaged_scores() -> None:
    good = count_links(SentenceLinks.from_pairs([(0, 0)]), SentenceLinks.from_pairs([(0, 0)]))
    wrong = SentenceLinks.from_pairs([(i, 0) for i in range(9)])
    bad = count_links(wrong, SentenceLinks.from_pairs([(9, 9)]))
    assert sum([good, bad]).aer == pytest.approx(1 - 2 / 12)
    assert (good.aer + bad.aer) / 2 == 0.5


def test_och_and_ney_by_hand() -> None:
    """A = {a, b, c, d}, S = {a, b, e}, P = S + {c, f}: 2 sure hits, 3 hits; AER = 1 - (2 + 3) / (4 + 3)."""
    gold = SentenceLinks.from_pairs([(0, 0), (1, 1), (4, 4), (2, 2), (5, 5)], sure=[True, True, True, False, False])
    counts = count_links(SentenceLinks.from_pairs([(0, 0), (1, 1), (2, 2), (3, 3)]), gold)
    assert counts == AlignmentCounts(predicted=4, sure=3, possible=5, hit_sure=2, hit_possible=3)
    assert counts.precision == 3 / 4
    assert counts.recall == 2 / 3
    assert counts.f1 == pytest.approx(2 * 0.75 * (2 / 3) / (0.75 + 2 / 3))
    assert counts.aer == pytest.approx(2 / 7)


def test_the_example_in_nltks_documentation() -> None:
    """nltk.translate.metrics.alignment_error_rate: 0-0 1-1 2-2 against 0-0 1-2 2-1 is 0.6666666666666667."""
    gold = SentenceLinks.from_pairs([(0, 0), (1, 1), (2, 2)])
    answer = SentenceLinks.from_pairs([(0, 0), (1, 2), (2, 1)])
    assert count_links(answer, gold).aer == pytest.approx(0.6666666666666667, abs=1e-15)


def test_a_possible_link_is_neither_missed_nor_wrong() -> None:
    """Och and Ney's point: leaving out or adding links of P without S costs nothing."""
    gold = SentenceLinks.from_pairs([(0, 0), (1, 1)], sure=[True, False])
    for answer in ([(0, 0)], [(0, 0), (1, 1)]):
        assert count_links(SentenceLinks.from_pairs(answer), gold).aer == 0


@pytest.mark.parametrize(
    ("counts", "precision", "recall", "f1", "aer"),
    [
        (AlignmentCounts(), 1, 1, 1, 0),
        (AlignmentCounts(sure=3, possible=3), 1, 0, 0, 1),
        (AlignmentCounts(predicted=3), 0, 1, 0, 1),
        (AlignmentCounts(predicted=3, possible=3, hit_possible=3), 1, 1, 1, 0),
        (AlignmentCounts(predicted=2, sure=2, possible=2), 0, 0, 0, 1),
    ],
)
def test_empty_sets(counts: AlignmentCounts, precision: float, recall: float, f1: float, aer: float) -> None:
    assert (counts.precision, counts.recall, counts.f1, counts.aer) == (precision, recall, f1, aer)


@given(pair_lists, pair_lists)
def test_with_sure_links_only_aer_is_one_minus_f1(answer: list, gold: list) -> None:
    counts = count_links(SentenceLinks.from_pairs(answer), SentenceLinks.from_pairs(gold))
    if counts.predicted and counts.sure:
        assert counts.aer == pytest.approx(1 - counts.f1)


@given(st.lists(st.tuples(pair_lists, gold_links()), min_size=1, max_size=5))
def test_score_table_equals_the_properties(corpus: list) -> None:
    each = [count_links(SentenceLinks.from_pairs(pairs), gold) for pairs, gold in corpus]
    table = score_table(np.array([[getattr(c, name) for name in COLUMNS] for c in each]))
    for name, values in table.items():
        np.testing.assert_allclose(values, [getattr(c, name) for c in each], rtol=1e-14, atol=1e-15)
        one = score_table(np.array([getattr(each[0], name) for name in COLUMNS]))[name]
        assert one == values[0]


@pytest.mark.parametrize("outside", [(0, 1), (1, 0)])
def test_a_link_of_the_next_sentence_is_no_hit(outside: tuple[int, int]) -> None:
    """Indices that only the gold links reach."""
    predicted, gold = ([SentenceLinks.from_pairs(p) for p in side] for side in ([[], [(0, 0)]], [[outside], []]))
    table = count_corpus(CorpusLinks.from_sentences(predicted), CorpusLinks.from_sentences(gold))
    assert AlignmentCounts.from_array(table) == AlignmentCounts(predicted=1, sure=1, possible=1)


def test_indices_that_no_key_holds_are_refused() -> None:
    """The largest ones that links hold take 62 bits."""
    far = SentenceLinks.from_pairs([(2**31 - 1, 2**31 - 1)])
    one, two = CorpusLinks.from_sentences([far]), CorpusLinks.from_sentences([far, far])
    assert AlignmentCounts.from_array(count_corpus(one, one)).hit_sure == 1
    with pytest.raises(AlignmentRangeError, match="2 sentence pairs with indices up to 2147483647 and 2147483647"):
        count_corpus(two, two)


def test_different_numbers_of_sentences_are_refused() -> None:
    one = CorpusLinks.from_sentences([SentenceLinks.from_pairs([(0, 0)])])
    with pytest.raises(AlignmentLengthError, match="1 predicted and 2 gold"):
        count_corpus(one, CorpusLinks.concatenated([one, one]))


def test_counts_add_only_to_counts() -> None:
    with pytest.raises(TypeError):
        AlignmentCounts() + 1  # type: ignore[operator]
    with pytest.raises(TypeError):
        1 + AlignmentCounts()


@settings(deadline=None)
@given(st.integers(0, 3))
def test_weights_and_the_answers_own_sureness_change_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pairs = [tuple(p) for p in rng.integers(0, 5, (6, 2)).tolist()]
    gold = SentenceLinks.from_pairs([tuple(p) for p in rng.integers(0, 5, (6, 2)).tolist()])
    plain = SentenceLinks.from_pairs(pairs)
    dressed = SentenceLinks.from_pairs(pairs, weights=rng.random(6) + 0.1, sure=rng.random(6) < 0.5)
    assert count_links(dressed, gold) == count_links(plain, gold)


@pytest.mark.parametrize("block", [1, 3, 7])
def test_a_corpus_is_counted_in_blocks(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes that divide the seven sentences and that do not; with empty ones at the seams."""
    rng = np.random.default_rng(block)
    sentences = [
        [
            SentenceLinks.from_pairs([tuple(p) for p in rng.integers(0, 5, (n, 2)).tolist()], sure=rng.random(n) < 0.6)
            for n in sizes
        ]
        for sizes in ([4, 0, 7, 3, 0, 0, 9], [0, 5, 8, 0, 2, 0, 6])
    ]
    predicted, gold = map(CorpusLinks.from_sentences, sentences)
    monkeypatch.setattr(metrics, "PAIRS_AT_ONCE", block)
    table = count_corpus(predicted, gold)
    assert [AlignmentCounts.from_array(row) for row in table] == [count_links(p, g) for p, g in zip(*sentences)]
    assert count_corpus(CorpusLinks.empty(0), CorpusLinks.empty(0)).shape == (0, 5)


def test_a_hundred_thousand_sentences_take_a_moment() -> None:
    rng = np.random.default_rng(1)
    n, each = 100_000, 20
    sentence = np.repeat(np.arange(n), each)

    def corpus() -> CorpusLinks:
        return CorpusLinks.from_columns(n, sentence, rng.integers(0, 30, n * each), rng.integers(0, 30, n * each))

    predicted, gold = corpus(), corpus()
    start = time.perf_counter()
    table = count_corpus(predicted, gold)
    assert time.perf_counter() - start < 5  # 0.3 s on one slow core
    picked = rng.choice(n, 50, replace=False)
    assert all(AlignmentCounts.from_array(table[i]) == count_links(predicted[i], gold[i]) for i in picked.tolist())
