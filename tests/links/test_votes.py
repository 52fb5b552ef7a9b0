"""Links by vote, against counting one link at a time."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from fairseq_guided_align.errors import AlignmentLengthError
from fairseq_guided_align.links.link import CorpusLinks, SentenceLinks
from fairseq_guided_align.links.votes import majority

Pairs = list[list[tuple[int, int]]]


def corpus(pairs: Pairs) -> CorpusLinks:
    return CorpusLinks.from_sentences(map(SentenceLinks.from_pairs, pairs))


def test_links_that_at_least_half_have() -> None:
    chance = random.Random(3)
    for voters in range(1, 6):
        every: list[Pairs] = []
        for _ in range(voters):
            rows = [[(chance.randrange(3), chance.randrange(3)) for _ in range(chance.randrange(5))] for _ in range(9)]
            every.append(rows)
        found = majority([corpus(pairs) for pairs in every])
        for number, links in enumerate(found):
            votes = Counter(pair for pairs in every for pair in set(pairs[number]))
            assert set(links.pairs()) == {pair for pair, count in votes.items() if count >= voters / 2}
        assert len(found) == 9


def test_no_links_and_other_lengths() -> None:
    assert majority([CorpusLinks.empty(2), CorpusLinks.empty(2)]) == CorpusLinks.empty(2)
    with pytest.raises(AlignmentLengthError, match=r"got \[2, 3\]"):
        majority([CorpusLinks.empty(2), CorpusLinks.empty(3)])
