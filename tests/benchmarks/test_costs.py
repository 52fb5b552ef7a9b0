"""The benchmark of costs: its table, and one rehearsal."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import write_text

from benchmarks.costs import main, table
from examples.made_up_text import make_text


def test_the_table_projects_the_largest_size() -> None:
    one = {"step": "check", "pairs": 1000, "wall": 9.0, "cpu": 3.6, "peak": 50.0, "disk": 1.0}
    printed = table([one, {**one, "pairs": 2000, "cpu": 7.2, "disk": 4.0}])
    assert printed.splitlines()[2:] == [
        "| check | 1,000 | 1.00 | 50 MiB | 1049 | | |",
        "| check | 2,000 | 1.00 | 50 MiB | 2097 | 100 core hours, 210 GB | 1,000 core hours, 2,097 GB |",
    ]


def test_a_rehearsal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("eflomal")
    write_text(tmp_path, "train", make_text(60, words=30))
    few = ["--pairs", "40", "80", "--chunk-pairs", "40", "--vocab-size", "60", "--length", "0.05"]
    assert main(["--prefix", str(tmp_path / "train"), "-s", "src", "-t", "tgt", *few]) == 0
    rows = [line.split(" | ")[:2] for line in capsys.readouterr().out.splitlines()[2:]]
    assert rows == [[f"| {step}", size] for step in ("align", "check", "preprocess") for size in ("40", "80")]
