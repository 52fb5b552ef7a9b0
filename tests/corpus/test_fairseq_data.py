"""Numbers of tokens, out of the index of a text that fairseq has binarised."""

from __future__ import annotations

from pathlib import Path

import numpy as np
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


def test_the_sum_keeps_no_text_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "large.idx"
    sizes = np.arange(300_000, dtype="<i4") % 50 + 1
    path.write_bytes(b"MMIDIDX\0\0" + bytes(9) + len(sizes).to_bytes(8, "little"))
    with open(path, "ab") as stream:
        stream.write(sizes.data)
    lengths = TextLengths(path)
    assert lengths.total() == sum(range(50)) * 6_000
    _, _, mapped = Path("/proc/self/smaps").read_text().partition(str(path))
    (resident,) = [int(line.split()[1]) for line in mapped.split("\n")[:12] if line.startswith("Rss:")]
    assert resident < 100  # KiB, of 1,172
