"""Every option of every command that names a file of text: compressed in each way, as a file and through a pipe."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from compressed import COMPRESS, DECOMPRESS
from conftest import MadeUpData, TrainedModel
from streams import parser_of, standard_input

from fairseq_guided_align.cli import argument_types
from fairseq_guided_align.cli.main import COMMANDS, main
from fairseq_guided_align.files.compression import COMPRESSIONS

MODEL = ["CHECKPOINT", "--subwords=words", "--device=cpu"]
TEXT = ["--source=<test.src", "--target=<test.tgt"]
RUNS: dict[str, list[str]] = {
    "check": ["--links=<test.align", *TEXT],
    "check TSV": ["--tsv=<test.tsv", "--columns=1,2,3"],
    "align in chunks": [
        *TEXT, "--chunk-pairs=15", "--length=0.05", "--priors=<priors", "--save-priors=>saved", "--output=>links",
    ],
    "align TSV": ["--tsv=<test.tsv", "--output=>links"],
    "project": [
        "--links=<test.align", "--source-words=<test.src", "--source-pieces=<test.src", "--target-words=<test.tgt",
        "--target-pieces=<test.tgt", "--subwords=words", "--output=>links",
    ],
    "binarize": ["DATA", "test=<test.align", "-s", "src", "-t", "tgt"],
    "align": [*TEXT, "--output=>links", "--forward-output=>forward", "--reverse-output=>reverse"],
    "extract": [*MODEL, *TEXT, "--output=>links"],
    "extract, what it learns": ["copy.pt", *MODEL[1:], *TEXT, "--tune=<test.align"],
    "tags": [
        "--source=<tagged.src", "--target=<test.tgt", "--links=<test.align", "--source-words=<test.src",
        "--target-words=<test.tgt", "--terms=<terms", "--output=>tagged", "--report=>report",
    ],
    "translate": [
        MODEL[0], "<tagged.src", *MODEL[1:], "--markup=xml", "--terms=<terms", "--beam=1", "--output=>translation",
        "--links-output=>links", "--report=>report",
    ],
    "tag-score": ["<tagged.src", "<tagged.src"],
    "aer": ["<test.align", "<test.align", *TEXT],
    "plot": [*MODEL, "--gold=<test.align", "--sentences=1", "--out=picture.png"],
    "view": [
        *TEXT, "--gold=<test.align", "--links=one=<test.align", "--soft=one=<soft.align", "--source-pieces=<test.src",
        "--target-pieces=<test.tgt", "--subwords=words", "--piece-links=one=<test.align",
        "--piece-soft=one=<soft.align", "--output=>page",
    ],
    "curves": ["one=<log", "--metric=ppl", "--out=picture.png"],
}  # fmt: skip
"""A run of each command with all its options of text: ``<`` before what it reads, ``>`` before what it writes."""
OTHER_FILES = {
    "plot": "picture.png", "curves": "picture.png", "binarize": "data/test.links.src-tgt",
}  # fmt: skip
"""What a run makes besides."""
DRAWN = {"align"}
"""Whose output differs from run to run, and the priors in their number too: eflomal draws at random."""


@pytest.fixture
def files(made_up: MadeUpData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with the folder ``text`` of all that is read."""
    text = tmp_path / "text"
    text.mkdir()
    for name in ("test.src", "test.tgt", "test.align"):
        shutil.copy(made_up.text / name, text)
    lines = (text / "test.src").read_text().splitlines()
    (text / "tagged.src").write_text("".join(f"<b>{line}</b>\n" for line in lines))
    (text / "soft.align").write_text((text / "test.align").read_text().replace(" ", ":0.5 "))
    columns = zip(*((text / f"test.{suffix}").read_text().splitlines() for suffix in ("src", "tgt", "align")))
    (text / "test.tsv").write_text("".join("\t".join(row) + "\n" for row in columns))
    (text / "terms").write_text(f"{lines[0].split()[0]}\tnothing\n")
    (text / "priors").write_text("HMMF\t1\t3\n")
    (text / "log").write_text("train_inner | epoch 001: 1 / 9 ppl=2, num_updates=1\n")
    shutil.copytree(made_up.binarised, tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    return text


def command_of(name: str) -> str:
    return name.split()[0].rstrip(",")


def made(command: str, run: list[str], model: TrainedModel, capfdbinary: pytest.CaptureFixture[bytes]) -> list[bytes]:
    """What a run prints and writes, decompressed, and as it is."""
    arguments, written = [], []
    for argument in run:
        head, output, name = argument.partition(">")
        if output:
            written.append(name)
        head = head.replace("CHECKPOINT", str(model.checkpoint)).replace("DATA", "data")
        arguments.append(head.replace("<", "text/") + name)
    capfdbinary.readouterr()
    assert main([command, *arguments]) == 0
    found = [b"" if command == "view" else capfdbinary.readouterr().out]
    for name in [*written, *([OTHER_FILES[command]] if command in OTHER_FILES else [])]:
        data = Path(name).read_bytes()
        kind = next((kind for kind in COMPRESSIONS if name.endswith(kind.ending)), None)
        data = data if kind is None else DECOMPRESS[kind.name](data)
        found.append(b"%d lines" % data.count(b"\n") * (name[:5] != "saved") if command in DRAWN else data)
        os.remove(name)
    return found


def test_there_is_a_run_with_every_option_of_text() -> None:
    for command in COMMANDS:
        parser = parser_of(command)
        if command == "preprocess":
            continue  # Takes long; test_tsv.py has it.
        actions = [action for action in parser._actions if action.type in argument_types.TEXT_TYPES]
        named = set()
        for name, run in RUNS.items():
            if command_of(name) == command:
                given = vars(parser.parse_args(run))
                named |= {action.dest for action in actions if any(mark in str(given[action.dest]) for mark in "<>")}
        assert named == {action.dest for action in actions}, command


@pytest.mark.parametrize("name", RUNS)
def test_what_is_read_and_written_may_be_compressed(
    files: Path, trained: TrainedModel, capfdbinary: pytest.CaptureFixture[bytes], name: str
) -> None:
    command, run = command_of(name), RUNS[name]
    if "copy.pt" in run:
        # What is learnt stays beside the checkpoint, where other tests would find it.
        shutil.copy(trained.checkpoint, "copy.pt")
    if command == "align":
        pytest.importorskip("eflomal")
    expected = made(command, run, trained, capfdbinary)
    plain = {path.name: path.read_bytes() for path in files.iterdir()}
    for kind in COMPRESSIONS:
        for file, data in plain.items():
            # Under the same name: the content says it.
            (files / file).write_bytes(COMPRESS[kind.name](data))
        ended = [argument + kind.ending if ">" in argument else argument for argument in run]
        assert made(command, ended, trained, capfdbinary) == expected, kind.name
    read = [index for index, argument in enumerate(run) if "<" in argument]
    for number, index in enumerate(read):
        head, _, file = run[index].partition("<")
        kind = COMPRESSIONS[number % len(COMPRESSIONS)]
        with standard_input(COMPRESS[kind.name](plain[file])):
            found = made(command, [*run[:index], head + "-", *run[index + 1 :]], trained, capfdbinary)
        named = f"text/{file}".encode()
        assert [one.replace(b"/dev/stdin", named).split() for one in found] == [one.split() for one in expected], file


def test_prefixes_find_compressed_files(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, name in enumerate(("test.src", "test.tgt", "test.align")):
        kind = COMPRESSIONS[number]
        data = (files / name).read_bytes()
        (files / (name + kind.ending)).write_bytes(COMPRESS[kind.name](data))
        (files / name).unlink()
    assert main(["check", "text/test", "-s", "src", "-t", "tgt"]) == 0
    assert "40 sentence pairs, 40 (100.0 %) with links" in capsys.readouterr().out
