"""Numbers of tokens, out of the index of a text that fairseq has binarised."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import MadeUpData

from fairseq_guided_align.corpus.fairseq_data import TextLengths
from fairseq_guided_align.errors import GuidedAlignError


def test_an_index_is_read_whole_or_not_at_all(made_up: MadeUpData, tmp_path: Path) -> None:
    index = (made_up.binarised / "test.src-tgt.src.idx").read_bytes()
    words = [len(line.split()) for line in (made_up.text / "test.src").read_text(encoding="utf-8").splitlines()]
    path = tmp_path / "copy.idx"
    path.write_bytes(index)
    assert TextLengths(path)[:].tolist() == words
    # 25 bytes stand before the lengths, of 4 bytes each
    for size in (0, 8, 24, 25, 25 + 4 * len(words) - 1):
        path.write_bytes(index[:size])
        with pytest.raises(GuidedAlignError, match=r"copy\.idx: truncated: expected .* binarise again"):
            TextLengths(path)
