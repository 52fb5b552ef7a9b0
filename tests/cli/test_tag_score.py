"""The command tag-score: what it prints, and what it says of files that do not fit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fairseq_guided_align.cli.main import main


def write(path: Path, *lines: str) -> str:
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return str(path)


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    return [
        write(tmp_path / "reference", "ein <b>Haus</b>", "<i>a</i> b", "ohne"),
        write(tmp_path / "one", "ein <b>Haus</b>", "a <i>b</i>", "ohne"),
        write(tmp_path / "two", "ein <b>Haus</i>", "<i>a b</i>", "ohne"),
    ]


def test_table_comparison_and_segments_that_differ(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tag-score", *files, "--samples", "100"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["system", "tags", "accuracy", "whole", "distance", "differ", "well-formed"]
    # Both tags of the first segment are right; each of the second is two characters off.
    assert lines[1].split() == [files[1], "4", "50.00", "50.00", "1.00", "0.00", "100.00"]
    assert lines[2].split() == [files[2], "4", "25.00", "0.00", "1.00", "50.00", "50.00"]
    assert lines[3].startswith(f"{files[2]} against {files[1]}: accuracy -25.00 [")
    assert lines[4] == f"{files[2]}:1: is not well formed"
    assert lines[5].startswith("signature: tags|segments:3|markup:xml|space:one|differing:wrong|level:0.95|samples:100")
    assert len(lines) == 6


def test_json_holds_the_same(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tag-score", *files[:2], "--json", "--confidence"]) == 0
    got = json.loads(capsys.readouterr().out)
    system = got["systems"][0]
    assert (system["accuracy"], system["whole"], system["distance"]) == (0.5, 0.5, 1.0)
    assert system["counts"]["tags"] == 4
    assert system["accuracy_interval"]["low"] <= 0.5 <= system["accuracy_interval"]["high"]
    assert got["comparisons"] == []


def test_differing_segments_are_shown_up_to_a_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reference = write(tmp_path / "reference", *["<i/>a"] * 5)
    other = write(tmp_path / "other", *["<i/>b"] * 4, "a")
    assert main(["tag-score", reference, other, "--show", "2"]) == 0
    shown = [line for line in capsys.readouterr().out.splitlines() if line.startswith(other)][1:]
    assert shown == [
        f"{other}:1: has another text",
        f"{other}:2: has another text",
        f"{other}: 3 more segments differ (--show N shows N of them)",
    ]


def test_html_that_a_browser_repairs_is_not_well_formed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reference = write(tmp_path / "reference", "a <b>c</b><br>d")
    other = write(tmp_path / "other", "a <b>c<br>d")
    assert main(["tag-score", reference, reference, other, "--markup", "html"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[1:] == ["3", "100.00", "100.00", "0.00", "0.00", "100.00"]
    assert lines[2].split()[1:] == ["3", "0.00", "0.00", "0.00", "100.00", "0.00"]


def test_errors_say_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, short = write(tmp_path / "good", "<i/>a", "b"), write(tmp_path / "short", "<i/>a")
    long = write(tmp_path / "long", "<i/>a", "b", "c")
    broken, plain = write(tmp_path / "broken", "<i/>a", "<b>c"), write(tmp_path / "plain", "a", "b")
    for arguments, message in [
        ([good, short], f"{good} has 2, {short} has 1"),
        ([good, long], f"{good} has 2, {long} has 3"),
        ([broken, good], f"{broken}:2: column "),
        ([plain, plain], f"{plain}: expected segments with tags; got 2 without any"),
        ([good, good, "--show", "-1"], "--show: expected a number of segments, 0 or more; got -1"),
        ([good, good, "--samples", "5"], "--samples: of resampling, which --confidence or a second system asks for"),
        ([good, good, "--markup", "pdf"], "got 'pdf'"),
    ]:
        assert main(["tag-score", *arguments]) == 2
        assert message in capsys.readouterr().err
