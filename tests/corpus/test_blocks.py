"""Which training pairs are left out for their lengths."""

from __future__ import annotations

import pytest

from fairseq_guided_align.corpus.blocks import _kept
from fairseq_guided_align.corpus.files import PreprocessSettings

SOURCES, TARGETS = ["a b c d", "a b c", "a", "", "a", ""], ["a b", "a", "a b", "a", "", ""]


@pytest.mark.parametrize(
    ("limits", "kept"),
    [
        ({}, [True] * 6),
        ({"max_pieces": 3}, [False, True, True, False, False, False]),
        ({"max_ratio": 2}, [True, False, True, False, False, False]),
        ({"max_pieces": 3, "max_ratio": 2}, [False, False, True, False, False, False]),
    ],
)
def test_lengths(limits: dict[str, int], kept: list[bool]) -> None:
    assert _kept((SOURCES, TARGETS), PreprocessSettings("s", "t", **limits)).tolist() == kept
