"""The benchmark of alignment in chunks: its table, and one rehearsal."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import write_text

from benchmarks.aligner import aer, run, table, write_joined
from examples.made_up_text import make_text


def test_the_table_compares_means() -> None:
    printed = table({"all at once": [(30.0, 10), (31.0, 12)], "chunks of 9": [(32.0, 5.0), (30.5, 6.0)]})
    assert printed.splitlines()[2:] == [
        "| all at once | 30.50 | 30.00-31.00 | +0.00 | 11 |",
        "| chunks of 9 | 31.25 | 30.50-32.00 | +0.75 | 6 |",
    ]


def test_aer_of_two_files(tmp_path: Path) -> None:
    (tmp_path / "gold").write_text("0-0 1?1\n0-0\n")
    (tmp_path / "links").write_text("0-0 1-1 1-0\n\n")
    # |A| = 3, |S| = 2, |A&S| = 1, |A&P| = 2
    assert aer(tmp_path / "links", tmp_path / "gold") == pytest.approx(100 * (1 - 3 / 5))


def test_small_letters(tmp_path: Path) -> None:
    for name, text in (("one", "Αβ C\n"), ("two", "Ä\n")):
        (tmp_path / name).write_text(text, "utf-8")
    for lower, wanted in ((False, "Αβ C\nÄ\n"), (True, "αβ c\nä\n")):
        write_joined(tmp_path / "all", [f"{tmp_path}/one", f"{tmp_path}/two"], lower)
        assert (tmp_path / "all").read_text("utf-8") == wanted


def test_a_rehearsal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("eflomal")
    pairs = make_text(80, words=30)
    write_text(tmp_path, "test", pairs[:40])
    write_text(tmp_path, "valid", pairs[40:])
    text = ["--text", str(tmp_path / "test"), str(tmp_path / "valid"), "-s", "src", "-t", "tgt", "--runs", "1"]
    few = ["--chunk-pairs", "40", "--sample-pairs", "20", "--align-options=--length 0.02 --samplers 1"]
    assert run([*text, *few]) == 0
    names = [line.split(" | ")[0] for line in capsys.readouterr().out.splitlines()[2:]]
    assert names == ["| all at once", "| chunks of 40", "| chunks of 40, sample of 20"]
