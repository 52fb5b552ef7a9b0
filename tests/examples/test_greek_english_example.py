"""The main example in its short form: every stage, on made-up text, with stock fairseq."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from forked_programs import Programs

from examples.greek_english import translation
from examples.greek_english.corpus import SPLITS
from examples.greek_english.main import Example, main
from examples.greek_english.settings import QUICK, SOURCE, TARGET
from fairseq_guided_align.links.reading import read_link_file
from fairseq_guided_align.scores.metrics import AlignmentCounts, count_corpus

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = ["--quick", "--with-unguided-twin", "--with-fairseq-criterion"]
STAGES = ["text", "binarised", "guided", "unguided", "fairseq", "links", "scores", "translations", "picture"]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("example")


@pytest.fixture(scope="module")
def first_run(programs: Programs, work: Path) -> subprocess.CompletedProcess[str]:
    command = [str(programs.python), "-m", "examples.greek_english.main", *OPTIONS, "--work", str(work)]
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
    assert [row["name"] for row in results["systems"]] == [
        "both", "guided", "argmax", "last-layer", "unguided", "fairseq"
    ]  # fmt: skip
    lines = first_run.stdout.splitlines()
    translations = results["translation"]
    assert [row["name"] for row in translations] == ["guided", "unguided", "fairseq"]
    below = lines[lines.index("") + 2 :]
    for row, line in zip(translations, below):
        assert line.startswith(translation.DESCRIPTIONS[row["name"]])
        assert row["bleu_interval"][0] < row["bleu"] < row["bleu_interval"][1]
        figures = list(map(float, re.findall(r"\d+\.\d+", line)))
        wanted = [row["bleu"], *row["bleu_interval"], row["chrf"], *row["chrf_interval"], row["nll"]]
        assert figures == [pytest.approx(one, abs=0.051) for one in wanted]
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


def test_an_aligners_links_stand_in_for_those_of_people(tmp_path: Path) -> None:
    """The same verses in the same splits, lower-cased for the aligner alone, all of them aligned together."""
    pytest.importorskip("eflomal")
    example = Example(tmp_path, QUICK, [], "eflomal")
    for folder in ("text", "aligned"):
        (tmp_path / folder).mkdir()
    example.write_text(tmp_path / "text")
    example.align(tmp_path / "aligned")
    for split in SPLITS:
        own, given = (example.work / folder / split for folder in ("aligned", "text"))
        for side in (SOURCE, TARGET):
            assert own.with_suffix(f".{side}").read_bytes() == given.with_suffix(f".{side}").read_bytes()
        counts = AlignmentCounts.from_array(
            count_corpus(*(read_link_file(one.with_suffix(".align")) for one in (own, given)))
        )
        # Chance is near 0.8.
        assert counts.aer < 0.5
        assert own.with_suffix(".eflomal").read_bytes().count(b"\n") == own.with_suffix(".align").read_bytes().count(
            b"\n"
        )
    assert example.systems()[:2] == ["eflomal", "eflomal-pieces"]
