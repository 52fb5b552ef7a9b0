"""The command `translate`, run as users run it: lines of text, with tags and without, from files and pipes."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import MadeUpData, TrainedModel
from decoding_reference import printed
from fairseq_runs import GUIDED, USER_DIR, run
from forked_programs import Programs

from fairseq_guided_align.api import Model, load
from fairseq_guided_align.cli.main import main

COMMAND = ["-m", "fairseq_guided_align.cli.main", "translate"]
WORDS = ["--subwords=words", "--device=cpu"]


@pytest.fixture(scope="module")
def lines(made_up: MadeUpData) -> list[str]:
    return (made_up.text / "test.src").read_text(encoding="utf-8").splitlines()


@pytest.fixture(scope="module")
def model(trained: TrainedModel) -> Model:
    return load(str(trained.checkpoint), device="cpu", subwords="words")


def write(path: Path, lines: Sequence[str]) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def translate(trained: TrainedModel, folder: Path, *arguments: object) -> list[str]:
    command = [trained.checkpoint, *arguments, f"--output={folder / 'out'}", *WORDS]
    assert main(["translate", *map(str, command)]) == 0
    return (folder / "out").read_text(encoding="utf-8").splitlines()


def test_it_gives_what_generate_gives(
    made_up: MadeUpData, trained: TrainedModel, lines: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Translations, links and scores of fairseq's own program; from two files, one of them gzip, with empty lines."""
    run(
        "generate", made_up.binarised, "--user-dir", USER_DIR, *GUIDED[:2], "--cpu", "--num-workers", 0, "--path",
        trained.checkpoint, "--beam", 3, "--nbest", 2, "--print-alignment", "hard", "--lenpen", 0.8,
    )  # fmt: skip
    expected: dict[int, list[Any]] = {}
    for one in printed(capsys.readouterr().out):
        expected.setdefault(one.number, []).append(one)
    first, second = write(tmp_path / "first", [*lines[:25], ""]), write(tmp_path / "second", [" ", *lines[25:]])
    second.write_bytes(gzip.compress(second.read_bytes()))
    options = ["--beam=3", "--max-tokens=200", "--lenpen=0.8", f"--links-output={tmp_path / 'links'}"]
    found = translate(trained, tmp_path, first, second, *options)
    links = (tmp_path / "links").read_text().split("\n")
    assert (found[25:27], links[25:27]) == (["", " "], ["", ""])
    del found[25:27], links[25:27]
    assert found == [" ".join(expected[number][0].words) for number in range(40)]
    for number, line in enumerate(links[:40]):
        assert sorted(line.split()) == sorted(f"{s}-{t}" for s, t in expected[number][0].pairs())
    objects = [json.loads(line) for line in translate(trained, tmp_path, first, *options, "--json", "--nbest=2")]
    assert objects.pop() == [{"text": "", "links": [], "score": 0.0, "guessed_tags": 0}]
    for number, (one, other) in enumerate(objects):
        assert [one["text"], other["text"]] == [" ".join(hypothesis.words) for hypothesis in expected[number]]
        assert sorted(map(tuple, one["links"])) == sorted(expected[number][0].pairs())
        assert (one["guessed_tags"], one["score"] >= other["score"]) == (0, True)


def test_tags_and_protected_text(
    trained: TrainedModel, model: Model, lines: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What `Model.translate` gives for a line alone, which tests of its own hold to a slow reference."""
    tagged = []
    for number, line in enumerate(lines[:8]):
        words = line.split()
        words[1] = f"<b>{words[1]} {number}.5</b>"
        tagged.append(" ".join(words))
    files = write(tmp_path / "in", tagged[:2]), write(tmp_path / "more", tagged[2:])
    term = lines[3].split()[2]
    write(tmp_path / "terms", [f"{term}\tTERM"])
    options = ["--markup=html", "--protect=numbers", f"--terms={tmp_path / 'terms'}", f"--report={tmp_path / 'report'}"]
    found = translate(trained, tmp_path, *files, *options)
    told = capsys.readouterr().err
    choices: dict[str, Any] = {"markup": "html", "protect": "numbers", "terms": [(term, "TERM")]}
    alone = [model.translate([line], **choices)[0][0] for line in tagged]
    assert found == [one.text for one in alone]
    assert all(re.fullmatch(rf".*<b>.*\b{number}\.5\b.*</b>.*", line) for number, line in enumerate(found))
    assert "TERM" in found[3]
    report = (tmp_path / "report").read_text(encoding="utf-8").splitlines()
    assert report == [
        f"{line}\t{note.kind}\t{note.text}" for line, one in enumerate(alone, start=1) for note in one.notes
    ]
    assert "4\treplaced\tTERM" in report
    assert "8 segments, 8 with tags; 16 tags" in told
    assert f"{sum(note.kind == 'replaced' for one in alone for note in one.notes)} protected texts put in place" in told
    # What was put right is where its links lead; its number of words may differ.
    ((best,),) = model.translate([lines[3]], terms=[(term, "OF THREE WORDS")])
    words = best.plain_text.split(" ")
    linked = {words[t] for s, t in best.links.pairs() if s == 2}
    assert linked == {"OF", "THREE", "WORDS"}
    assert max(best.links.target) < len(words)


def test_lines_that_are_too_long(
    trained: TrainedModel, lines: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long = "a " * 1100 + "<b>b</b>"
    source = write(tmp_path / "in", [lines[0], long, lines[1], *[long] * 12])
    options = ["--markup=xml", f"--links-output={tmp_path / 'links'}"]
    found = translate(trained, tmp_path, source, *options)
    told = capsys.readouterr().err
    short = translate(trained, tmp_path, write(tmp_path / "short", lines[:2]), *options[:1])
    assert found == [short[0], long, short[1], *[long] * 12]
    assert f"warning: {source}:2: too long for the model; written as it is\n" in told
    assert told.count("too long for the model; written") == 10
    assert "warning: 13 lines are too long for the model; they are written as they are" in told
    translate(trained, tmp_path, source, *options, "--json")
    objects = [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()]
    assert objects[1] == {"text": long, "links": [], "score": None, "guessed_tags": 0}
    assert [bool(line) for line in (tmp_path / "links").read_text().split("\n")[:4]] == [True, False, True, False]


def test_tags_that_do_not_fit_together(
    trained: TrainedModel, lines: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = write(tmp_path / "first", lines[:3])
    second = write(tmp_path / "second", [lines[3], lines[4].replace(" ", " <b>", 1), "a & b"])
    (tmp_path / "out").write_text("before")
    files = [str(first), str(second)]
    command = ["translate", str(trained.checkpoint), *files, f"--output={tmp_path / 'out'}", *WORDS, "--markup=xml"]
    assert main(command) == 2
    column = lines[4].index(" ") + 2
    assert f"{second}:2: column {column}: <b> is not closed" in capsys.readouterr().err
    assert (tmp_path / "out").read_text() == "before"
    kept = translate(trained, tmp_path, *files, "--markup=xml", "--on-error=keep")
    assert "2 segments whose tags do not fit together" in capsys.readouterr().err
    dropped = translate(trained, tmp_path, *files, "--markup=xml", "--on-error=drop-tags")
    assert (kept[4].count("<b>"), dropped[4].count("<b>")) == (1, 0)
    assert kept[4].replace("<b>", "").split() == dropped[4].split()
    # A line break that a reference stands for does not become one.
    broken = write(tmp_path / "broken", [f"{lines[0]} <code>a&#10;b</code>", "<b>&#10;"])
    for markup, how in (("html", "stop"), ("xml", "drop-tags")):
        found = translate(trained, tmp_path, broken, f"--markup={markup}", f"--on-error={how}")
        assert len(found) == 2
        assert found[1] == ("<b>&#10;" if how == "stop" else "&#10;")
    plain = [line.replace("<", "&lt;").replace(">", "&gt;") for line in translate(trained, tmp_path, first)]
    assert kept[:3] == dropped[:3] == plain


def test_a_line_is_answered_before_the_next_is_written(
    trained: TrainedModel, programs: Programs, lines: list[str], tmp_path: Path
) -> None:
    """A program may ask line by line. Then the reader goes away."""
    expected = translate(trained, tmp_path, write(tmp_path / "in", lines[:3]))
    command = [programs.python, *COMMAND, str(trained.checkpoint), *WORDS]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            for line, answer in zip(lines, expected):
                process.stdin.write(f"{line}\n".encode())
                process.stdin.flush()
                assert process.stdout.readline().decode() == f"{answer}\n"
            process.stdout.close()
            process.stdin.write(f"{lines[0]}\n".encode() * 2)
            process.stdin.close()
            assert process.wait(60) == 141
            assert b"Traceback" not in process.stderr.read()
        finally:
            process.kill()


def test_an_error_while_it_streams(trained: TrainedModel, programs: Programs, lines: list[str]) -> None:
    """What was translated before has been written."""
    command = [programs.python, *COMMAND, str(trained.checkpoint), *WORDS, "--markup=xml", "-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{lines[0]}\n".encode())
        process.stdin.flush()
        assert process.stdout.readline().endswith(b".\n")
        output, errors = process.communicate(b"x\n<b>\n", timeout=60)
    assert (process.returncode, output) == (2, b"")
    assert b"error: /dev/stdin:3: column 1: <b> is not closed" in errors


def test_text_in_bpe_pieces_is_refused(
    made_up: MadeUpData, trained: TrainedModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(made_up.binarised, tmp_path / "bin")
    (tmp_path / "bin" / "guided_alignment.json").write_text('{"subwords": "bpe"}')
    command = ["translate", str(trained.checkpoint), f"--data={tmp_path / 'bin'}", "--device=cpu"]
    assert main(command) == 2
    assert f"{trained.checkpoint}: reads text in BPE pieces (@@), which raw text is not" in capsys.readouterr().err
    assert main(["translate", str(trained.checkpoint), "--device=cpu"]) == 2
    assert "says nothing of subwords; give subwords (--subwords)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--nbest=2"], "--nbest goes with --json"),
        (["--json", "--nbest=6"], "expected 1 <= --nbest <= --beam; got 6 and 5"),
        (["--beam=0"], "expected 1 <= --nbest <= --beam; got 1 and 0"),
        (["--max-tokens=0"], "--max-tokens: expected 1 or more; got 0"),
        (["--inflected-terms"], "name a list of them with --terms"),
        (["--document=html", "--json"], "--json: of lines of text"),
        (["--document=html", "--links-output=x"], "--links-output: of lines of text"),
        (["--document=html", "x", "y"], "--document: expected one document; got 2 files"),
        (["--document=html", "--markup=xml"], "--document html reads html; --markup may add placeholders"),
        (["--markup=sgml"], "kinds of markup: wanted one of"),
        (["-", "-"], "expected standard input in place of one file; got - 2 times"),
        (["--terms=-"], "expected standard input in place of one file; got - 2 times"),
        (["x", "--links-output=-"], "expected standard output in place of one file; got - 2 times"),
    ],
)
def test_options_that_do_not_go_together(options: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """They are told before a model is looked for."""
    assert main(["translate", "no-model.pt", *options]) == 2
    assert message in capsys.readouterr().err


def test_models_that_are_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["translate", str(tmp_path / "none.pt")]) == 2
    assert "none.pt: cannot be read as a checkpoint" in capsys.readouterr().err
    assert main(["translate", str(tmp_path)]) == 2
    assert f"{tmp_path}: expected a checkpoint, such as checkpoint_best.pt, or a folder" in capsys.readouterr().err
    (tmp_path / "model.bin").touch()
    pytest.importorskip("ctranslate2")
    assert main(["translate", str(tmp_path)]) == 2
    assert "expected what was guided, as `fairseq-guided-align ctranslate2` writes it" in capsys.readouterr().err
