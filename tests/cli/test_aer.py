"""The `aer` subcommand as a user runs it: numbers, files, comparison, messages."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from fairseq_guided_align.cli.main import main

GOLD = "0-0 1-1 2?2\n0-0\n\n"
GOOD = "0-0 1-1 2-2\n0-0\n\n"
POOR = "0-0 1-0:0.5\n0-1\n0-0\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, text in (("gold", GOLD), ("good", GOOD), ("poor", POOR)):
        (tmp_path / name).write_text(text)
    return tmp_path


def result(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict:
    assert main(["aer", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_scores_by_hand(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """poor: 4 links, 3 sure gold links, one hit: AER 1 - 2 / 7; one of them in the pair of which nothing is known."""
    got = result(capsys, "gold", "poor")
    assert got["systems"][0]["counts"] == {"predicted": 3, "sure": 3, "possible": 4, "hit_sure": 1, "hit_possible": 1}
    assert got["systems"][0]["aer"] == pytest.approx(1 - 2 / 6)
    assert got["pairs_left_out"] == 1
    got = result(capsys, "gold", "good", "poor", "--score-empty")
    assert got["pairs_left_out"] == 0
    good, poor = got["systems"]
    assert (good["name"], good["precision"], good["recall"], good["f1"], good["aer"]) == ("good", 1, 1, 1, 0)
    assert poor["counts"] == {"predicted": 4, "sure": 3, "possible": 4, "hit_sure": 1, "hit_possible": 1}
    assert poor["aer"] == pytest.approx(1 - 2 / 7)
    assert got["comparisons"][0]["baseline"] == "good"
    assert got["comparisons"][0]["difference"]["score"] == pytest.approx(1 - 2 / 7)
    assert got["comparisons"][0]["second_wins"] == 0


def test_the_printed_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["aer", "gold", "poor"]) == 0
    out = capsys.readouterr().out
    assert out == (
        "system  links  precision  recall     F1    AER\n"
        "poor        3      33.33   33.33  33.33  66.67\n"
        "left out: 1 of 3 pairs, whose line in gold is empty (--score-empty scores them)\n"
        "signature: AER|pairs:2|empty:left-out|gold:sure+possible|base:0|gold-base:0|version:0.1.0\n"
    )
    assert main(["aer", "gold", "poor", "--score-empty"]) == 0
    assert capsys.readouterr().out == (
        "system  links  precision  recall     F1    AER\n"
        "poor        4      25.00   33.33  28.57  71.43\n"
        "signature: AER|pairs:3|empty:scored|gold:sure+possible|base:0|gold-base:0|version:0.1.0\n"
    )


def test_comparison_and_confidence_are_printed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--confidence", "--samples", "50", "--level", "0.9", "--score-empty"]
    assert main(["aer", "gold", "poor", "good", *options]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("AER [90 % interval]")
    score, low, high = (float(cell.strip("[],")) for cell in lines[1].split()[5:])
    # The first pair alone has AER 1/2, the other two 1: no resample is below a half.
    assert 50 <= low < score < high == 100
    assert score == 71.43
    assert lines[2].split()[-3:] == ["0.00", "[0.00,", "0.00]"]
    assert lines[3].startswith("good against poor: AER -71.43 [-100.00, -")
    assert "better in 100.0 % of the resamples, worse in 0.0 %" in lines[3]
    assert "|level:0.9|samples:50|seed:12345|" in lines[4]


def test_gzip_and_several_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "poor.gz").write_bytes(gzip.compress(POOR.encode()))
    assert result(capsys, "gold", "poor.gz", "--score-empty")["systems"][0]["aer"] == pytest.approx(1 - 2 / 7)
    both = result(capsys, "gold,gold", "good,poor.gz", "--score-empty")
    assert both["systems"][0]["counts"] == {
        "predicted": 8,
        "sure": 6,
        "possible": 8,
        "hit_sure": 4,
        "hit_possible": 5,
    }
    (folder / "a,b").write_text(POOR)
    assert result(capsys, "gold", "a,b")["systems"][0]["counts"]["predicted"] == 3


@pytest.mark.parametrize("which", ["--one-based", "--gold-one-based"])
def test_one_based(folder: Path, capsys: pytest.CaptureFixture[str], which: str) -> None:
    shifted = "1-1 2-2 3?3\n1-1\n\n"
    (folder / "shifted").write_text(shifted)
    files = ["gold", "shifted"] if which == "--one-based" else ["shifted", "good"]
    assert result(capsys, *files)["systems"][0]["aer"] > 0
    assert result(capsys, *files, which)["systems"][0]["aer"] == 0


def test_a_file_that_seems_to_count_from_one_is_noticed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "zero").write_text("0-0 1-1\n" * 20)
    (folder / "one").write_text("1-1 2-2\n" * 20)
    assert main(["aer", "zero", "one"]) == 0
    assert capsys.readouterr().err == (
        "warning: one: none of 20 sentence pairs with links has a link at position 0; if the file counts from 1, "
        "add --one-based\n"
    )
    assert main(["aer", "one", "zero"]) == 0
    assert "add --gold-one-based" in capsys.readouterr().err
    # too few lines have links for anything to be said
    (folder / "few").write_text("1-1 2-2\n" * 19 + "\n")
    for arguments in (["zero", "zero"], ["zero", "one", "--one-based"], ["zero", "few"]):
        assert main(["aer", *arguments]) == 0
        assert capsys.readouterr().err == ""


def test_links_of_another_text_are_noticed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, line in {
        "words": "0-0 1-0 2-1 3-2 4-2",
        "full-stop": "0-0 1-0 2-1 3-2 5-3",
        "swapped": "0-0 0-1 1-2 2-3 2-4",
        "pieces": "0-0 1-1 2-2 3-3 4-4 5-5 6-5 7-6",
    }.items():
        (folder / name).write_text(f"{line}\n" * 20)
    for wrong in (15, 16):
        lines = ["0-0 1-0 2-1 3-2 9-9"] * wrong + ["0-0 1-0 2-1 3-2 4-2"] * (20 - wrong)
        (folder / f"{wrong}-wrong").write_text("\n".join(lines) + "\n")

    def told(name: str) -> str:
        assert main(["aer", "words", name]) == 0
        return capsys.readouterr().err

    assert told("words") == told("full-stop") == told("15-wrong") == ""
    assert "16 of 100 links lie far beyond" in told("16-wrong")
    assert told("swapped") == (
        "warning: swapped: 20 of 100 links lie far beyond the last gold link of their pair; are they TARGET-SOURCE?\n"
    )
    assert told("pieces") == (
        "warning: pieces: 80 of 160 links lie far beyond the last gold link of their pair; are they between pieces, or"
        " of another text?\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["gold", "short"],
            "gold:3: this line has no partner in short: expected one line a sentence pair;"
            " got 3 lines in gold and 2 in short",
        ),
        (
            ["short", "gold"],
            "gold:3: this line has no partner in short: expected one line a sentence pair;"
            " got 2 lines in short and 3 in gold",
        ),
        (["gold,gold", "good,short"], "gold:3: this line has no partner in short"),
        (["gold,gold", "good"], "gold,gold:4: this line has no partner in good"),
        (["empty", "good"], "empty: expected gold links; got 3 lines without any"),
        (["gold", "missing"], "missing: cannot be read"),
        (["gold", "broken"], "broken:2: expected SOURCE-TARGET"),
        (["gold", "good", "--one-based"], "good:1: expected positions that count from 1"),
        (["gold", "good", "--seed", "1", "--samples", "9"], "--samples and --seed: of resampling, which --confidence"),
        (["gold", "good", "poor", "--level", "95"], "expected a confidence level between 0 and 1"),
    ],
)
def test_errors_say_what_is_wrong_where(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    (folder / "short").write_text("0-0\n0-0\n")
    (folder / "broken").write_text("0-0\n0_0\n\n")
    (folder / "empty").write_text("\n" * 3)
    assert main(["aer", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_neither_torch_nor_fairseq_nor_matplotlib_is_imported(folder: Path) -> None:
    code = (
        "import sys; from fairseq_guided_align.cli.main import main; main(['aer', 'gold', 'good', 'poor']);"
        "sys.exit(' '.join({'torch', 'fairseq', 'matplotlib'} & set(sys.modules)) or 0)"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": str(root)}, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_folder_is_no_file_before_a_comma(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Such as folders that are named after settings: ``layers=-1`` and ``layers=-1,seed=2``."""
    for name in ("x", "x,y"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "links").write_text("0-0\n", encoding="utf-8")
    assert main(["aer", str(tmp_path / "x,y" / "links"), str(tmp_path / "x,y" / "links")]) == 0
    assert "0.00" in capsys.readouterr().out
