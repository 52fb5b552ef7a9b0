"""The benchmark of `preprocess`: its text, its table, and one rehearsal."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from conftest import write_text

from benchmarks.preprocessing import enlarged, main, measure, table
from examples.made_up_text import make_text


def test_more_text_keeps_its_links() -> None:
    lines = [("a b c d e", "v w x y z", "0-1 3-2 4-4"), ("q", "r", "0-0"), ("", "s", "")]
    found = list(enlarged(lines, 100))
    assert (len(found), found[:3]) == (100, lines)
    assert len({source for source, _, _ in found}) > 20
    linked = [{("a", "w"), ("d", "x"), ("e", "z")}, {("q", "r")}, set()]
    for number, (source, target, links) in enumerate(found):
        sides, places = (source.split(), target.split()), [link.split("-") for link in links.split()]
        assert sorted(sides[0]) == lines[number % 3][0].split()
        assert {(sides[0][int(s)], sides[1][int(t)]) for s, t in places} == linked[number % 3]
    assert list(enlarged(lines, 2)) == lines[:2]


def test_the_table_compares_medians() -> None:
    common = {"pairs": 1000, "workers": 2, "disk": 3.2}
    runs = [
        {**common, "way": way, "wall": wall, "cpu": 2 * wall, "peak": 100 * wall}
        for way, walls in (("stock", (9.0, 8.0, 30.0)), ("ours", (2.0, 1.0, 4.0)))
        for wall in walls
    ]
    runs.append({**runs[-1], "workers": 1, "wall": 5.0})
    assert table(runs).split("\n")[2:] == [
        "| 1,000 | 2 | stock | 111 | 18.0 | 900 MiB | 3 MiB |",
        "| 1,000 | 2 | ours | 500, 4.5 times | 4.0, 4.5 times less | 200 MiB | 3 MiB |",
        "| 1,000 | 1 | ours | 200 | 8.0 | 400 MiB | 3 MiB |",
    ]


def test_memory_and_time_of_all_processes_are_measured(tmp_path: Path) -> None:
    """Two processes that hold 40 MiB each, of which one started the other."""
    work = "text = bytearray(b'x') * (40 << 20); import time; time.sleep(1)"
    outer = (
        f"import subprocess, sys; started = subprocess.Popen([sys.executable, '-c', {work!r}]); {work}; started.wait()"
    )
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_bytes(bytes(1 << 20))
    found = measure(
        [[[sys.executable, "-c", outer]], [[sys.executable, "-c", "sum(range(3_000_000))"]]], tmp_path / "folder"
    )
    assert 80 < found.peak < 120
    assert found.disk == 1
    assert found.wall > 1
    assert 0.05 < found.cpu < found.wall + 1
    with pytest.raises(SystemExit, match="a command failed"):
        measure([[[sys.executable, "-c", "raise SystemExit(3)"]]], tmp_path / "folder")


def test_a_rehearsal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("fairseq")
    pytest.importorskip("sentencepiece")
    write_text(tmp_path, "text", make_text(80, words=30))
    options = [
        "--prefix",
        str(tmp_path / "text"),
        "--source-lang=src",
        "--target-lang=tgt",
        "--pairs=120",
        "--workers=1",
    ]
    options += ["--repeats=1", "--vocab-size=60", f"--work={tmp_path / 'work'}", f"--json={tmp_path / 'json'}"]
    assert main(options) == 0
    runs = json.loads((tmp_path / "json").read_text())
    assert [run["way"] for run in runs] == ["stock", "ours"]
    assert all(run[name] > 0 for run in runs for name in ("wall", "cpu", "peak", "disk"))
    assert capsys.readouterr().out == table(runs) + "\n"
