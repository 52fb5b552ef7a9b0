"""A checkpoint and a data folder whose dictionaries have other entries are told apart, wherever they meet."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import MadeUpData, TrainedModel
from fairseq_runs import GUIDED, STOCK_TASK, USER_DIR, run, train, validate

from fairseq_guided_align.api import load
from fairseq_guided_align.checkpoints.fingerprints import KEY, stored_prints
from fairseq_guided_align.cli.main import main
from fairseq_guided_align.errors import DictionaryMismatchError

MESSAGE = r"was trained with other dictionaries than .* has: in dict\.src\.txt, entries differ, or their order"
MULTILINGUAL = [
    "--task", "multilingual_translation_guided_alignment", "--criterion", "guided_alignment_ce",
    "--arch", "multilingual_transformer", "--lang-pairs", "src-tgt,tgt-src",
]  # fmt: skip


@pytest.fixture(scope="module")
def other(made_up: MadeUpData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder with two entries of the source dictionary in each other's place."""
    folder = tmp_path_factory.mktemp("other") / "bin"
    shutil.copytree(made_up.binarised, folder)
    path = folder / "dict.src.txt"
    first, second, *rest = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join([second, first, *rest]), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def older(trained: TrainedModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trained model as versions before wrote it."""
    path = tmp_path_factory.mktemp("older") / "checkpoint_last.pt"
    state = torch.load(trained.checkpoint, weights_only=True)
    delattr(state["cfg"]["model"], KEY)
    torch.save(state, path)
    return path


@pytest.fixture
def said() -> Iterator[list[str]]:
    """What the comparison says; fairseq-validate takes away what pytest listens with."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("fairseq_guided_align.checkpoints.fingerprints")
    logger.addHandler(handler)
    yield lines
    logger.removeHandler(handler)


def generate(data: Path, checkpoint: Path, folder: Path) -> None:
    run(
        "generate", data, "--user-dir", USER_DIR, *GUIDED[:2], "--path", checkpoint, "--cpu", "--gen-subset", "test",
        "--results-path", folder, "--beam", 1, "--max-len-b", 5,
    )  # fmt: skip


def interactive(data: Path, checkpoint: Path, folder: Path) -> None:
    text = folder / "text"
    text.write_text("a b\n", encoding="utf-8")
    run(
        "interactive", data, "--user-dir", USER_DIR, *GUIDED[:2], "--path", checkpoint, "--cpu", "--input", text,
        "--source-lang", "src", "--target-lang", "tgt", "--beam", 1, "--max-len-b", 5,
    )  # fmt: skip


READERS: dict[str, Callable[[Path, Path, Path], Any]] = {
    "generate": generate,
    "interactive": interactive,
    "validate": lambda data, checkpoint, folder: validate(data, checkpoint),
    "api": lambda data, checkpoint, folder: load(str(checkpoint), data=str(data), subwords="words"),
}


@pytest.mark.parametrize("name", READERS)
def test_programs(trained: TrainedModel, older: Path, other: Path, tmp_path: Path, said: list[str], name: str) -> None:
    read = READERS[name]
    with pytest.raises(DictionaryMismatchError, match=MESSAGE):
        read(other, trained.checkpoint, tmp_path)
    assert not said
    if name in ("generate", "api"):
        read(other, older, tmp_path)
        (line,) = said
        assert "keeps no fingerprint of its dictionaries" in line


COMMANDS = {
    "extract": ["extract", "CHECKPOINT", "--data", "DATA", "--split", "test", "--output", "OUT"],
    "plot": ["plot", "CHECKPOINT", "--data", "DATA", "--split", "test", "--sentences", "1", "--out", "OUT.png"],
    "view": ["view", "--checkpoint", "guided=CHECKPOINT", "--data", "DATA", "--split", "test", "--out", "OUT.html"],
    "ctranslate2": ["ctranslate2", "CHECKPOINT", "DATA", "OUT"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_commands(
    trained: TrainedModel, other: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    if name == "ctranslate2":
        pytest.importorskip("ctranslate2")
    values = {"CHECKPOINT": str(trained.checkpoint), "DATA": str(other), "OUT": str(tmp_path / "out")}
    arguments = list(COMMANDS[name])
    for word, value in values.items():
        arguments = [one.replace(word, value) for one in arguments]
    assert main(arguments) == 2
    printed = capsys.readouterr().err
    assert f"{trained.checkpoint}: was trained with other dictionaries than {other} has: in dict.src.txt," in printed
    assert not list(tmp_path.iterdir())


def test_resuming_and_beginning_with_its_weights(
    made_up: MadeUpData, other: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train(made_up.binarised, tmp_path, updates=1)
    with pytest.raises(DictionaryMismatchError, match=r"checkpoint_last\.pt: " + MESSAGE):
        train(other, tmp_path, updates=2)
    assert "fingerprint" not in caplog.text
    train(other, tmp_path / "new", "--finetune-from-model", tmp_path / "checkpoint_last.pt", updates=1)
    assert "--finetune-from-model begins with weights of other dictionaries" in caplog.text
    # Its own checkpoint has the dictionaries that it was trained with in the end.
    train(other, tmp_path / "new", updates=2)


def test_resuming_an_older_one(
    made_up: MadeUpData, older: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    state = torch.load(older, weights_only=True)
    shutil.copyfile(older, tmp_path / "checkpoint_last.pt")
    wide = ["--encoder-embed-dim", 32, "--decoder-embed-dim", 32]
    train(made_up.binarised, tmp_path, *wide, updates=state["optimizer_history"][-1]["num_updates"] + 1)
    assert caplog.text.count(f"{tmp_path / 'checkpoint_last.pt'}: keeps no fingerprint of its dictionaries") == 1
    resumed = torch.load(tmp_path / "checkpoint_last.pt", weights_only=True)
    assert list(stored_prints(resumed["cfg"]["model"]) or {}) == ["src", "tgt"]


def test_of_fairseqs_own_task(made_up: MadeUpData, other: Path, tmp_path: Path) -> None:
    train(made_up.binarised, tmp_path, *STOCK_TASK, updates=1)
    with pytest.raises(DictionaryMismatchError, match=r"checkpoint_last\.pt: " + MESSAGE):
        load(str(tmp_path / "checkpoint_last.pt"), data=str(other), subwords="words")


def test_of_several_language_pairs(made_up: MadeUpData, other: Path, tmp_path: Path) -> None:
    train(made_up.binarised, tmp_path, *MULTILINGUAL, updates=1)
    with pytest.raises(DictionaryMismatchError, match=MESSAGE):
        train(other, tmp_path, *MULTILINGUAL, updates=2)
    load(str(tmp_path / "checkpoint_last.pt"), data=str(made_up.binarised), subwords="words", lang_pair="tgt-src")
    with pytest.raises(DictionaryMismatchError, match=MESSAGE):
        load(str(tmp_path / "checkpoint_last.pt"), data=str(other), subwords="words", lang_pair="tgt-src")


def test_how_often_an_entry_was_seen_does_not_count(made_up: MadeUpData, trained: TrainedModel, tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    shutil.copytree(made_up.binarised, folder)
    path = folder / "dict.tgt.txt"
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("".join(line.rpartition(" ")[0] + " 1\n" for line in lines), encoding="utf-8")
    load(str(trained.checkpoint), data=str(folder), subwords="words")
