"""Counts of links: what adds up, what is too much, and what is said."""

from __future__ import annotations

import pytest

from fairseq_guided_align.corpus.link_counts import EXAMPLES, ConversionCounts, LinkCounts
from fairseq_guided_align.errors import AlignmentRangeError
from fairseq_guided_align.links.words import WordSplits


def test_every_count_adds_up() -> None:
    names = ("out_of_range", "without_pieces", "of_other_words", "links_read", "links_written", "special_tokens")
    parts = [
        ConversionCounts(
            **{name: k + n for k, name in enumerate(names)},
            examples=[str(n)] * 3,
            word_split=WordSplits("whitespace", "spaces"),
        )
        for n in (1, 10)
    ]
    total = ConversionCounts()
    for part in parts:
        total.add(part)
    assert [getattr(total, name) for name in names] == [11 + 2 * k for k in range(len(names))]
    assert total.examples == ["1", "1", "1", "10", "10"]
    assert len(total.examples) == EXAMPLES
    assert total.word_split == ("whitespace", "spaces")


def test_every_link_that_is_lost_counts_against_the_limit() -> None:
    for name in ("out_of_range", "without_pieces", "of_other_words"):
        counts = ConversionCounts(links_read=10, **{name: 2})
        counts.check("links", 0.2)
        with pytest.raises(AlignmentRangeError, match="links: 2 of 10 links point outside"):
            counts.check("links", 0.19)


def test_positions_that_are_known_to_count_from_1_are_no_suspicion() -> None:
    counts = LinkCounts(sentences_with_links_read=1000, at_position_zero=0, examples=["first"])
    assert list(counts.warnings("links", one_based=True)) == ["first"]
    first, suspicion = counts.warnings("links", one_based=False)
    assert first == "first"
    assert "none of 1000 sentence pairs with links has a link at position 0" in suspicion
