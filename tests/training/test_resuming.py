"""Trainings that are killed outright and started again, against the same ones left alone: bit for bit."""

from __future__ import annotations

import logging
import multiprocessing
import os
import random
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import MadeUpData
from fairseq_runs import GUIDED, TINY_MODEL, TINY_TRAINING, USER_DIR, train
from two_ranks import finish, kill, log_to, start_two, tail

from fairseq_guided_align.checkpoints.files import is_cut_off, newest_whole, updates_of
from fairseq_guided_align.errors import GuidedAlignError

UPDATES = 24
COMMON = [
    "--batch-size", 32, "--dropout", 0.1, "--save-interval-updates", 5, "--keep-interval-updates", 2,
    "--lr-scheduler", "inverse_sqrt", "--warmup-updates", 10,
]  # fmt: skip
"""13 batches in an epoch: one save at its end, and two in it."""


def started(log: Path, data: Any, folder: Path, *options: object, updates: int) -> Any:
    """The training in a process of its own, with all that is imported here."""

    def run() -> None:
        log_to(log)
        train(data, folder, *options, updates=updates)

    process = multiprocessing.get_context("fork").Process(target=run, daemon=False)
    process.start()
    return process


def killed_at(text: str, log: Path, process: Any, delay: float = 0.0) -> bool:
    """Kill a training, with signal 9, once its log says this; whether it was still at work then."""
    deadline = time.monotonic() + 120
    while process.is_alive() and (not log.exists() or text not in log.read_text(encoding="utf-8", errors="replace")):
        assert time.monotonic() < deadline, log.read_text(encoding="utf-8")[-2000:]
        time.sleep(0.002)
    time.sleep(delay)
    working = process.is_alive()
    process.kill()
    process.join()
    return working


def finished(process: Any) -> int | None:
    """How a training ended, which has two minutes."""
    process.join(120)
    if process.is_alive():
        process.kill()
    return process.exitcode


def weights(folder: Path) -> dict[str, torch.Tensor]:
    state = torch.load(folder / "checkpoint_last.pt", weights_only=True)
    # fairseq 0.12.2 saves this one without ever having set it
    return {name: one for name, one in state["model"].items() if not name.endswith("._float_tensor")}


def updates(folder: Path) -> int:
    return updates_of(torch.load(folder / "checkpoint_last.pt", weights_only=True))


def assert_same(one: Path, other: Path) -> None:
    first, second = weights(one), weights(other)
    assert first.keys() == second.keys()
    differing = [name for name in first if not torch.equal(first[name], second[name])]
    assert not differing
    assert updates(one) == updates(other)


def interrupted(tmp_path: Path, data: Any, moments: Sequence[str], *options: object, updates: int) -> str:
    """Train in ``alone`` without, and in ``killed`` with interruptions; what the killed one's log says."""
    # TensorBoard's threads would be in the way of the next process.
    assert finished(started(tmp_path / "alone.log", data, tmp_path / "alone", *options, updates=updates)) == 0
    log = tmp_path / "log"
    for moment in moments:
        process = started(log, data, tmp_path / "killed", *options, updates=updates)
        assert killed_at(moment, log, process), f"had ended before {moment!r}"
    process = started(log, data, tmp_path / "killed", *options, updates=updates)
    assert finished(process) == 0, log.read_text(encoding="utf-8")[-3000:]
    return log.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def folders(made_up: MadeUpData, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The made-up text as it is, in two shards, and in two data folders that take turns."""
    root = tmp_path_factory.mktemp("folders")
    shards, other = root / "shards", root / "other"
    for folder, name in ((shards, "train1"), (other, "train")):
        shutil.copytree(made_up.binarised, folder)
        for path in made_up.binarised.glob("test.*"):
            shutil.copyfile(path, folder / path.name.replace("test", name, 1))
    return {
        "plain": str(made_up.binarised),
        "shards": str(shards),
        "in turns": f"{made_up.binarised}{os.pathsep}{other}",
    }


CASES: dict[str, tuple[str, list[str], list[object]]] = {
    "in the second epoch": ("plain", ['"num_updates": "22"'], []),
    "shards, workers, several batches an update": (
        "shards", ['"num_updates": "4"', '"num_updates": "23"'],
        ["--batch-size", 16, "--update-freq", "2,3", "--num-workers", 2, "--upsample-primary", 2],
    ),
    "folders in turns": ("in turns", ['"num_updates": "19"'], ["--num-workers", 1]),
    "AER, pictures, the end of an epoch": (
        "plain", ["begin training epoch 3"],
        [
            "--eval-aer", "--best-checkpoint-metric", "aer", "--keep-best-checkpoints", 2, "--attention-images", "2",
            "--attention-images-interval", 7, "--tensorboard-logdir", "TB",
        ],
    ),
    "several language pairs, batches of each epoch": (
        "plain",
        ['"num_updates": "17"'],
        [
            "--task", "multilingual_translation_guided_alignment", "--criterion", "guided_alignment_ce",
            "--arch", "multilingual_transformer", "--lang-pairs", "src-tgt,tgt-src", "--grouped-shuffling",
        ],
    ),
    "several language pairs, folders in turns": (
        "in turns", ['"num_updates": "17"'],
        [
            "--task", "multilingual_translation_guided_alignment", "--criterion", "guided_alignment_ce",
            "--arch", "multilingual_transformer", "--lang-pairs", "src-tgt,tgt-src", "--eval-aer",
        ],
    ),
    "shuffled from the second epoch on, seeded by the epoch": (
        "plain", ['"num_updates": "18"'], ["--curriculum", 1, "--update-ordered-indices-seed"],
    ),
    "a learning rate that waits for the validation": (
        "plain", ["begin training epoch 3", '"num_updates": "18"'],
        [
            "--lr-scheduler", "reduce_lr_on_plateau", "--warmup-updates", 0, "--lr-patience", 1, "--lr-shrink", 0.5,
            "--best-checkpoint-metric", "link_coverage", "--batch-size", 64,
        ],
    ),
}  # fmt: skip
"""Data, when it is killed, options."""


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_goes_on_as_if_nothing_had_happened(folders: dict[str, str], tmp_path: Path, name: str) -> None:
    data, moments, options = CASES[name]
    options = [tmp_path / "tb" if one == "TB" else one for one in options]
    log = interrupted(tmp_path, folders[data], moments, *COMMON, *options, updates=32)
    assert log.count("Loaded checkpoint") == len(moments) - ("4" in moments[0][-3:-1])
    assert_same(tmp_path / "alone", tmp_path / "killed")


@pytest.mark.slow
def test_at_random_moments(folders: dict[str, str], tmp_path: Path) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    chance = random.Random(seed)
    options = [*COMMON, "--num-workers", 1, "--eval-aer"]
    train(folders["shards"], tmp_path / "alone", *options, updates=UPDATES)
    log, killed = tmp_path / "log", 0
    # The first comes early: on an idle machine the whole training takes about a second.
    for latest in (0.3, 1.0, 1.5):
        process = started(log, folders["shards"], tmp_path / "killed", *options, updates=UPDATES)
        killed += killed_at("", log, process, chance.uniform(0.05, latest))
    process = started(log, folders["shards"], tmp_path / "killed", *options, updates=UPDATES)
    assert finished(process) == 0
    assert killed
    assert_same(tmp_path / "alone", tmp_path / "killed")


def of_two_ranks(data: Path, folder: Path, updates: int) -> list[str]:
    """Arguments of a training that two processes share."""
    return [
        str(one)
        for one in (
            data, "--user-dir", USER_DIR, *GUIDED, *TINY_MODEL, *TINY_TRAINING, *COMMON, "--batch-size", 16,
            "--eval-aer", "--log-format", "json", "--save-dir", folder, "--max-update", updates,
        )
    ]  # fmt: skip


def test_two_ranks_go_on_from_a_checkpoint(made_up: MadeUpData, tmp_path: Path) -> None:
    runs = [
        of_two_ranks(made_up.binarised, tmp_path / name, updates)
        for name, updates in (("alone", 16), ("stopped", 7), ("stopped", 16))
    ]
    finish(tmp_path, start_two(tmp_path, runs))
    assert_same(tmp_path / "alone", tmp_path / "stopped")


@pytest.mark.slow
def test_two_ranks_that_are_killed(made_up: MadeUpData, tmp_path: Path) -> None:
    for name, moments in (("alone", [None]), ("killed", ['"num_updates": "7"', '"num_updates": "17"', None])):
        for number, moment in enumerate(moments):
            logs = tmp_path / f"logs-{name}-{number}"
            logs.mkdir()
            processes = start_two(logs, [of_two_ranks(made_up.binarised, tmp_path / name, 24)])
            if moment is None:
                finish(logs, processes)
                continue
            deadline = time.monotonic() + 120
            while moment not in (logs / "rank0.log").read_text(encoding="utf-8", errors="replace"):
                assert processes[0].is_alive(), tail(logs / "rank0.log")
                assert time.monotonic() < deadline
                time.sleep(0.002)
            kill(processes)
    assert_same(tmp_path / "alone", tmp_path / "killed")


def test_what_is_done_stays_as_it_is(made_up: MadeUpData, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The same command again, as after a kill between the last checkpoint and the end of the program."""
    caplog.set_level(logging.INFO)
    for _ in range(2):
        train(made_up.binarised, tmp_path, *COMMON, updates=6)
        assert updates(tmp_path) == 6
    assert "nothing is left to train: 6 updates are done, of --max-update 6" in caplog.text
    train(made_up.binarised, tmp_path, *COMMON, updates=8)
    assert updates(tmp_path) == 8


def test_patience_goes_on(made_up: MadeUpData, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The share of tokens with links never changes: nothing is better after the first validation."""
    options = [
        "--batch-size", 32, "--save-interval-updates", 2, "--patience", 3, "--best-checkpoint-metric", "link_coverage",
    ]  # fmt: skip
    train(made_up.binarised, tmp_path / "alone", *options, updates=100)
    log = tmp_path / "log"
    process = started(log, made_up.binarised, tmp_path / "killed", *options, updates=100)
    assert killed_at('"num_updates": "5"', log, process)
    caplog.set_level(logging.INFO)
    for _ in range(2):
        train(made_up.binarised, tmp_path / "killed", *options, updates=100)
        assert_same(tmp_path / "alone", tmp_path / "killed")
    assert updates(tmp_path / "alone") == 8
    assert "nothing is left to train: the last 3 validations brought nothing better, and --patience is 3" in caplog.text


@pytest.fixture(scope="module")
def stopped(made_up: MadeUpData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoints of 5, 10 and 12 updates; do not write into it."""
    folder = tmp_path_factory.mktemp("stopped")
    train(made_up.binarised, folder, *COMMON, "--no-epoch-checkpoints", updates=12)
    return folder


@pytest.fixture(scope="module")
def sixteen(made_up: MadeUpData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same training, of 16 updates, left alone."""
    folder = tmp_path_factory.mktemp("sixteen")
    train(made_up.binarised, folder, *COMMON, "--no-epoch-checkpoints", updates=16)
    return folder


@pytest.mark.parametrize("left", [0, 3, 0.5, -1])
def test_a_checkpoint_that_is_cut_off(
    made_up: MadeUpData, stopped: Path, sixteen: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, left: float
) -> None:
    caplog.set_level(logging.INFO)
    folder = tmp_path / "killed"
    shutil.copytree(stopped, folder)
    last = folder / "checkpoint_last.pt"
    size = last.stat().st_size
    os.truncate(last, int(size * left) if isinstance(left, float) else left % size if left < 0 else left)
    # That of the most updates is cut off as well, and the next is the newest by name only.
    os.truncate(folder / "checkpoint_best.pt", size // 3)
    assert is_cut_off(last)
    assert not is_cut_off(folder / "checkpoint_1_5.pt")
    (folder / "checkpoint_1_10.pt.tmp").write_bytes(b"PK")
    os.utime(folder / "checkpoint_1_5.pt")
    assert newest_whole(folder) == folder / "checkpoint_1_10.pt"
    train(made_up.binarised, folder, *COMMON, "--no-epoch-checkpoints", updates=16)
    assert f"{last}: cut off after" in caplog.text
    assert f"whole checkpoint, {folder / 'checkpoint_1_10.pt'} (10 updates), which takes its place" in caplog.text
    assert f"removing {folder / 'checkpoint_1_10.pt.tmp'}" in caplog.text
    assert_same(sixteen, folder)


def test_without_a_whole_checkpoint(made_up: MadeUpData, stopped: Path, tmp_path: Path) -> None:
    last = tmp_path / "checkpoint_last.pt"
    last.write_bytes((stopped / "checkpoint_last.pt").read_bytes()[:1000])
    with pytest.raises(GuidedAlignError, match=r"checkpoint_last\.pt: cut off after 1,000 bytes, .*remove it to start"):
        train(made_up.binarised, tmp_path, *COMMON, updates=16)


def test_a_named_checkpoint_that_is_cut_off(made_up: MadeUpData, stopped: Path, tmp_path: Path) -> None:
    cut = tmp_path / "checkpoint_1_5.pt"
    cut.write_bytes((stopped / "checkpoint_1_5.pt").read_bytes()[:1000])
    for option in ("--restore-file", "--finetune-from-model"):
        with pytest.raises(GuidedAlignError, match=r"checkpoint_1_5\.pt: cut off after 1,000 bytes, .* no whole one"):
            train(made_up.binarised, tmp_path / "new", *COMMON, option, cut, updates=16)
    shutil.copyfile(stopped / "checkpoint_1_10.pt", tmp_path / "checkpoint_1_10.pt")
    with pytest.raises(GuidedAlignError, match=r"the newest whole checkpoint beside it is .*checkpoint_1_10\.pt"):
        train(made_up.binarised, tmp_path / "new", *COMMON, "--restore-file", cut, updates=16)


def test_killed_while_it_copies(
    made_up: MadeUpData, sixteen: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No cut-off file is left, but what the next run removes."""

    def half(source: Any, target: Any, _length: int | None = None) -> None:
        target.write(source.read(5000))
        target.flush()
        os.kill(os.getpid(), 9)

    options = [*COMMON, "--no-epoch-checkpoints"]
    folder, log = tmp_path / "killed", tmp_path / "log"
    train(made_up.binarised, folder, *options, updates=7)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfileobj", half)
        process = started(log, made_up.binarised, folder, *options, updates=16)
    assert finished(process) == -9
    assert not [path.name for path in folder.glob("*.pt") if is_cut_off(path)]
    assert list(folder.glob(".*.partial"))
    train(made_up.binarised, folder, *options, updates=16)
    assert not list(folder.glob(".*.partial"))
    assert_same(sixteen, folder)
