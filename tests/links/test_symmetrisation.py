"""Symmetrised links against a reference on dense matrices and against what fast_align's atools prints."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairseq_guided_align.errors import AlignmentLengthError, AlignmentRangeError, GuidedAlignError
from fairseq_guided_align.links.link import CorpusLinks, SentenceLinks
from fairseq_guided_align.links.symmetrisation import PAIRS_AT_ONCE, SYMMETRISATIONS, symmetrise, symmetrise_corpus

SIZE = 7
links = st.lists(st.tuples(st.integers(0, SIZE - 1), st.integers(0, SIZE - 1)), max_size=20).map(
    SentenceLinks.from_pairs
)


FINAL = {"grow-diag": None, "grow-diag-final": any, "grow-diag-final-and": all}
"""Of source and target word of a link: how many must be without a link when the final rounds take it."""


def reference(forward: SentenceLinks, reverse: SentenceLinks, method: str) -> list[tuple[int, int]]:
    """The heuristics as the literature words them, on boolean matrices, rows being source words."""
    f = np.zeros((SIZE, SIZE), dtype=bool)
    r = np.zeros((SIZE, SIZE), dtype=bool)
    f[forward.source, forward.target] = True
    r[reverse.source, reverse.target] = True
    result = f | r if method == "union" else f & r
    if method not in ("union", "intersection"):
        final = FINAL[method]
        changed = True
        while changed:
            changed = False
            for s in range(SIZE):
                for t in range(SIZE):
                    if result[s, t] or not (f[s, t] or r[s, t]):
                        continue
                    around = result[max(0, s - 1) : s + 2, max(0, t - 1) : t + 2]
                    if around.any() and not (result[s].any() and result[:, t].any()):
                        result[s, t] = changed = True
        for direction in (f, r):
            for s in range(SIZE):
                for t in range(SIZE):
                    free = (not result[s].any(), not result[:, t].any())
                    if final is not None:
                        result[s, t] |= direction[s, t] and final(free)
    return sorted(zip(*(axis.tolist() for axis in np.nonzero(result))))


@pytest.mark.parametrize("method", SYMMETRISATIONS)
@given(links, links)
def test_equals_the_reference(method: str, forward: SentenceLinks, reverse: SentenceLinks) -> None:
    assert sorted(symmetrise(forward, reverse, method).pairs()) == reference(forward, reverse, method)


# Inputs and outputs of atools of fast_align, commit cab1e9a, one corpus of four pairs.
FORWARD = ["0-0 1-1 1-2 3-3 2-4 5-5", "0-0 0-1 0-2 4-3", "1-0 0-1 3-2", ""]
REVERSE = ["0-0 1-1 2-1 2-4 3-4 4-3 5-6", "0-0 1-3 2-3 3-3 4-4", "0-2 2-0 3-1", "0-0 1-1"]
ATOOLS = {
    "intersection": ["0-0 1-1 2-4", "0-0", "", ""],
    "union": [
        "0-0 1-1 1-2 2-1 2-4 3-3 3-4 4-3 5-5 5-6",
        "0-0 0-1 0-2 1-3 2-3 3-3 4-3 4-4",
        "0-1 0-2 1-0 2-0 3-1 3-2",
        "0-0 1-1",
    ],
    "grow-diag": ["0-0 1-1 1-2 2-4 3-3 4-3", "0-0 0-1 0-2 1-3 2-3 3-3 4-3 4-4", "", ""],
    "grow-diag-final": [
        "0-0 1-1 1-2 2-4 3-3 4-3 5-5 5-6",
        "0-0 0-1 0-2 1-3 2-3 3-3 4-3 4-4",
        "0-1 1-0 2-0 3-2",
        "0-0 1-1",
    ],
    "grow-diag-final-and": [
        "0-0 1-1 1-2 2-4 3-3 4-3 5-5",
        "0-0 0-1 0-2 1-3 2-3 3-3 4-3 4-4",
        "0-1 1-0 3-2",
        "0-0 1-1",
    ],
}


def read(lines: list[str]) -> CorpusLinks:
    return CorpusLinks.from_sentences(
        SentenceLinks.from_pairs([tuple(map(int, link.split("-"))) for link in line.split()]) for line in lines
    )


@pytest.mark.parametrize("method", SYMMETRISATIONS)
def test_equals_atools(method: str) -> None:
    result = symmetrise_corpus(read(FORWARD), read(REVERSE), method)
    assert [" ".join(f"{s}-{t}" for s, t in sorted(one.pairs())) for one in result] == ATOOLS[method]


@given(st.lists(st.tuples(links, links), max_size=5), st.sampled_from(list(SYMMETRISATIONS)))
def test_a_corpus_gives_what_its_sentences_give(pairs: list, method: str) -> None:
    forward = CorpusLinks.from_sentences(f for f, _ in pairs)
    reverse = CorpusLinks.from_sentences(r for _, r in pairs)
    expected = CorpusLinks.from_sentences(symmetrise(f, r, method) for f, r in pairs)
    assert symmetrise_corpus(forward, reverse, method) == expected


@given(links, links)
def test_the_methods_form_a_chain(forward: SentenceLinks, reverse: SentenceLinks) -> None:
    taken = {method: set(symmetrise(forward, reverse, method).pairs()) for method in SYMMETRISATIONS}
    assert taken["intersection"] <= taken["grow-diag"] <= taken["grow-diag-final-and"]
    assert taken["grow-diag"] <= taken["grow-diag-final"] <= taken["union"]
    assert taken["grow-diag-final-and"] <= taken["union"]


@given(links, st.sampled_from(list(SYMMETRISATIONS)))
def test_equal_directions_change_nothing(both: SentenceLinks, method: str) -> None:
    assert symmetrise(both, both, method) == both


def test_weights_are_averaged_and_sureness_is_kept() -> None:
    forward = SentenceLinks.from_pairs([(0, 0), (1, 1)], weights=[0.5, 0.25], sure=[False, False])
    reverse = SentenceLinks.from_pairs([(0, 0), (2, 2)], weights=[1.0, 0.75], sure=[True, False])
    union = symmetrise(forward, reverse, "union")
    assert union == SentenceLinks.from_pairs(
        [(0, 0), (1, 1), (2, 2)], weights=[0.75, 0.25, 0.75], sure=[True, False, False]
    )


def test_a_corpus_longer_than_a_chunk_keeps_its_order() -> None:
    n = PAIRS_AT_ONCE + 3
    each = np.arange(n)
    forward = CorpusLinks.from_columns(n, each, each % 5, each % 3)
    reverse = CorpusLinks.from_columns(n, each, each % 5, np.where(each % 2, each % 3, 7))
    result = symmetrise_corpus(forward, reverse, "intersection")
    assert np.diff(result.offsets).tolist() == (each % 2).tolist()
    assert result[PAIRS_AT_ONCE + 1].pairs() == [((PAIRS_AT_ONCE + 1) % 5, (PAIRS_AT_ONCE + 1) % 3)]


@pytest.mark.parametrize("method", SYMMETRISATIONS)
def test_indices_that_no_key_holds_are_refused(method: str) -> None:
    """The largest ones that links hold take 62 bits."""
    far = SentenceLinks.from_pairs([(0, 0), (2**31 - 1, 2**31 - 1)])
    one, two = CorpusLinks.from_sentences([far]), CorpusLinks.from_sentences([far, far])
    assert symmetrise_corpus(one, one, method) == one
    with pytest.raises(AlignmentRangeError, match="2 sentence pairs with indices up to 2147483647 and 2147483647"):
        symmetrise_corpus(two, two, method)


def test_wrong_method_and_wrong_lengths_are_refused() -> None:
    none = SentenceLinks.from_pairs([])
    with pytest.raises(GuidedAlignError, match=r"out of intersection, .*; got 'grow'"):
        symmetrise(none, none, "grow")
    with pytest.raises(AlignmentLengthError, match="4 forward and 3 reverse"):
        symmetrise_corpus(read(FORWARD), read(REVERSE[:3]), "union")
