"""The main example in its short form: every stage, on made-up text, with stock fairseq."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from examples.greek_english.main import main

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = ["--quick", "--with-unguided-twin", "--with-fairseq-criterion"]
STAGES = ["text", "binarised", "guided", "unguided", "fairseq", "links", "scores", "translations", "picture"]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("example")


@pytest.fixture(scope="module")
def first_run(work: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "examples.greek_english.main", *OPTIONS, "--work", str(work)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return run


def test_all_stages_are_shown_with_their_commands(first_run: subprocess.CompletedProcess[str]) -> None:
    for number in range(1, len(STAGES) + 1):
        assert f"[{number}/{len(STAGES)}] " in first_run.stderr
    for command in ("fairseq-guided-align preprocess", "fairseq-train", "fairseq-guided-align extract"):
        assert f"$ {command} " in first_run.stderr
    assert "100%" in first_run.stderr
    assert "100/100 [" in first_run.stderr


def test_the_table_and_results_json_agree(first_run: subprocess.CompletedProcess[str], work: Path) -> None:
    results = json.loads((work / "results.json").read_text(encoding="utf-8"))
    assert [row["name"] for row in results["systems"]] == ["both", "guided", "last-layer", "unguided", "fairseq"]
    lines = first_run.stdout.splitlines()
    assert lines[0].split()[-3:] == ["precision", "recall", "AER"]
    for row, line in zip(results["systems"], lines[1:]):
        assert line.startswith(row["description"])
        assert [float(figure) for figure in line.split()[-3:]] == [
            pytest.approx(100 * row[name], abs=0.051) for name in ("precision", "recall", "aer")
        ]
    assert results["seconds"].keys() == set(STAGES)


def test_guidance_shows_after_a_few_dozen_updates(first_run: subprocess.CompletedProcess[str], work: Path) -> None:
    results = json.loads((work / "results.json").read_text(encoding="utf-8"))
    aer = {row["name"]: row["aer"] for row in results["systems"]}
    # Chance is near 0.8 on this text; what is guided must be far from it, what is not cannot be.
    assert aer["guided"] < 0.4
    assert aer["guided"] < aer["unguided"] - 0.2


def test_the_picture_is_one(first_run: subprocess.CompletedProcess[str], work: Path) -> None:
    from matplotlib.image import imread

    picture = imread(work / "picture/attention.png")
    height, width = picture.shape[:2]
    # Two panels side by side, and not an empty page.
    assert width > 1.2 * height
    assert picture[..., :3].std() > 0.05


def test_a_second_run_reuses_everything(
    first_run: subprocess.CompletedProcess[str], work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = {path: path.stat().st_mtime_ns for stage in STAGES for path in (work / stage).rglob("*")}
    assert main([*OPTIONS, "--work", str(work)]) == 0
    out, err = capsys.readouterr()
    assert out == first_run.stdout
    assert err.count("done before, reused") == len(STAGES)
    assert made == {path: path.stat().st_mtime_ns for path in made}
