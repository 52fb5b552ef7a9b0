"""Alignments as fairseq's programs print and use them, by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fairseq_guided_align.attention.guided_heads import GuidedHeads
from fairseq_guided_align.decoding.printed_alignment import PrintedAlignment, PrintedForm
from fairseq_guided_align.errors import GuidedAlignError

ATTENTION = np.array([[0.3, 0.01, 0.69], [0.0099, 0.9, 0.0901], [0.1, 0.1, 0.8]])
"""Of two target and two source tokens and ``</s>``; the first target token is likeliest to translate nothing."""


def printed(unlinked: str = "ignore", attention: np.ndarray = ATTENTION, **form: Any) -> PrintedAlignment:
    guided = GuidedHeads((0,), (0,), "mean", "same", unlinked)
    return PrintedAlignment(lambda: attention, lambda: ["a@@", "b"], lambda: ["c", "d"], guided, PrintedForm(**form))


def test_hard() -> None:
    assert list(printed()) == [(0, 0), (1, 1)]
    assert list(printed("eos")) == [(1, 1)]
    assert (len(printed()), len(printed("eos"))) == (2, 1)


def test_soft_rows_have_six_decimals() -> None:
    assert list(printed(form="soft")) == [[f"{p:.6f}" for p in row] for row in ATTENTION]


@pytest.mark.parametrize(("threshold", "shown"), [(None, 3), (0.01, 3), (0.3, 2), (0.9, 1), (1.0, 0)])
def test_soft_links_reach_the_threshold(threshold: float | None, shown: int) -> None:
    links = [(0, "0:0.3000"), (1, "0:0.0100"), (1, "1:0.9000")]
    kept = [link for link in links if float(link[1].split(":")[1]) >= (threshold or 0)]
    assert len(kept) == shown
    assert list(printed(form="soft", threshold=threshold, in_rows=lambda: False)) == kept
    if threshold is not None:
        assert list(printed(form="soft", threshold=threshold)) == [[f"{s}-{rest}"] for s, rest in kept]


def test_words() -> None:
    words = [[0.31, 0.69], [0.9099, 0.0901], [0.2, 0.8]]
    np.testing.assert_allclose(printed(words="bpe").attention, words)
    assert list(printed(words="bpe")) == [(0, 0), (0, 1)]


def test_a_token_without_link_has_a_likeliest_source_token() -> None:
    for unlinked in ("ignore", "eos"):
        alignment = printed(unlinked)
        assert [alignment[0], alignment[1], alignment[2]] == [0, 1, 2]
    assert printed(attention=np.ones((2, 1)))[0] == 0


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"form": "both"}, "expected hard or soft; got 'both'"),
        ({"threshold": 0.5}, "goes with --print-alignment soft"),
        ({"form": "soft", "threshold": 0.0}, "above 0 and at most 1; got 0.0"),
        ({"form": "soft", "threshold": 1.5}, "above 0 and at most 1; got 1.5"),
        ({"words": "letters"}, "words made of .*; got 'letters'"),
    ],
)
def test_forms_that_do_not_go_together_are_refused(form: dict[str, Any], message: str) -> None:
    with pytest.raises(GuidedAlignError, match=message):
        PrintedForm(**form)
