"""Coverage counts against a loop over sentences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fairseq_guided_align.links import outside
from fairseq_guided_align.links.coverage import LinkCoverage, measure_coverage
from fairseq_guided_align.links.link import CorpusLinks, SentenceLinks
from fairseq_guided_align.links.outside import first_outside

SENTENCE = st.tuples(
    st.integers(0, 6), st.integers(0, 6), st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), max_size=8)
)


@settings(max_examples=60, deadline=None)
@given(sentences=st.lists(SENTENCE, min_size=1, max_size=9), cut=st.integers(1, 5))
@example(sentences=[(2, 2, [(1, 1)]), (2, 2, [(0, 2)])], cut=5)
@example(sentences=[(2, 2, [(1, 1)]), (2, 2, [(2, 0)])], cut=5)
def test_counts_equal_a_loop(sentences: list, cut: int) -> None:
    expected = dict.fromkeys(vars(LinkCoverage()), 0)
    for source, target, pairs in sentences:
        linked = set()
        for s, t in set(pairs):
            if s >= source:
                expected["outside_source"] += 1
            elif t >= target:
                expected["outside_target"] += 1
            elif s >= cut:
                expected["beyond_cut"] += 1
            else:
                expected["links"] += 1
                linked.add(t)
        expected["sentences"] += 1
        expected["sentences_with_links"] += bool(linked)
        expected["target_tokens"] += target
        expected["linked_tokens"] += len(linked)
    links = CorpusLinks.from_sentences(SentenceLinks.from_pairs(pairs) for _, _, pairs in sentences)
    source_lengths = np.array([source for source, _, _ in sentences])
    target_lengths = np.array([target for _, target, _ in sentences])
    kept = np.minimum(source_lengths, cut)
    found = measure_coverage(links, source_lengths, kept, target_lengths)
    assert vars(found) == expected
    found_outside = [
        (number, s, t)
        for number, (source, target, _) in enumerate(sentences)
        for s, t in links[number].pairs()
        if s >= source or t >= target
    ]
    first = next(iter(found_outside), None)
    assert first_outside(links, source_lengths, target_lengths) == first
    before, outside.PAIRS_AT_ONCE = outside.PAIRS_AT_ONCE, 2
    try:
        assert measure_coverage(links, source_lengths, kept, target_lengths) == found
        assert first_outside(links, source_lengths, target_lengths) == first
    finally:
        outside.PAIRS_AT_ONCE = before


def test_the_line_says_what_was_dropped_and_why() -> None:
    line = str(LinkCoverage(2, 1, 8, 4, 3, 1, 2, 0))
    assert line == (
        "sentences with links 1 of 2 (50.0 %), target tokens with links 4 of 8 (50.0 %), 3 links, "
        "dropped 1 beyond --truncate-source's cut, 2 outside the source sentence"
    )
    assert str(LinkCoverage()).endswith("0 links, dropped 0")


@pytest.mark.parametrize("field", ["outside_source", "outside_target"])
def test_outside_counts_both_sides(field: str) -> None:
    assert LinkCoverage(**{field: 3}).outside == 3
