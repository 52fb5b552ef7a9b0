"""Which training pairs are left out for their lengths."""

from __future__ import annotations

import numpy as np
import pytest

from fairseq_guided_align.corpus.blocks import _kept
from fairseq_guided_align.corpus.files import PreprocessSettings

LENGTHS = np.array([4, 3, 1, 0, 1, 0], np.int32), np.array([2, 1, 2, 1, 0, 0], np.int32)


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
    assert _kept(LENGTHS, PreprocessSettings("s", "t", **limits)).tolist() == kept
