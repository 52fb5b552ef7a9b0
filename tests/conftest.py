"""Shared by the whole suite: a made-up text, binarised once, and one small model trained on it once."""

from __future__ import annotations

import fcntl
import gc
import json
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from forked_programs import Programs, forked_programs

# Small models gain nothing from more threads, and several suites may run side by side.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@dataclass(frozen=True)
class MadeUpData:
    """A made-up text with known links, and its binarised form.

    :param text: folder with ``{split}.src``, ``{split}.tgt`` and ``{split}.align`` for train, valid and test.
    :param binarised: fairseq's data folder, with fairseq's own binary alignments.
    """

    text: Path
    binarised: Path


@dataclass(frozen=True)
class TrainedModel:
    """A small model, trained with guided alignment on the made-up text until it has learned its links.

    :param checkpoint: its last checkpoint.
    :param log: records of its training, see ``fairseq_runs.run_for_figures``.
    """

    checkpoint: Path
    log: list[dict[str, Any]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take long come first, then those that train: on several processors, short ones fill up the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    training = {item.path for item in items if "made_up" in getattr(item, "fixturenames", ())}
    items.sort(key=lambda item: (item.path not in slow, item.path not in training))


def pytest_collection_finish() -> None:
    """Modules and tests stay until the end: nobody need look for garbage among them, nor often among the rest."""
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)


@pytest.fixture(autouse=True)
def log_levels() -> None:
    """Loading a model quiets these loggers for the rest of the process, which is that of other tests as well."""
    for name in ("fairseq", "fairseq_guided_align"):
        logging.getLogger(name).setLevel(logging.NOTSET)


@pytest.fixture(scope="session", autouse=True)
def forked_preprocess() -> Iterator[None]:
    """``preprocess`` forks this process, see ``fairseq_runs``; ``started_preprocess`` there is how users have it."""
    from fairseq_runs import forked_preprocess

    with forked_preprocess():
        yield


@pytest.fixture(scope="session")
def programs() -> Iterator[Programs]:
    """Programs that start at once, for tests of what several of them do together; see ``forked_programs``."""
    with forked_programs() as programs:
        yield programs


@pytest.fixture(scope="session")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> MadeUpData:
    """A made-up text of 400, 40 and 40 sentence pairs; do not write into its folders."""
    from examples.made_up_text import make_text

    text = tmp_path_factory.mktemp("made-up-text")
    pairs = make_text(480, words=30)
    for split, part in (("train", pairs[80:]), ("valid", pairs[:40]), ("test", pairs[40:80])):
        write_text(text, split, part)
    binarised = tmp_path_factory.mktemp("made-up") / "bin"
    binarise(text, binarised)
    return MadeUpData(text, binarised)


@pytest.fixture(scope="session")
def joined(made_up: MadeUpData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """fairseq's data folder of the made-up text with one dictionary, which shared embeddings need."""
    folder = tmp_path_factory.mktemp("joined") / "bin"
    binarise(made_up.text, folder, "--joined-dictionary")
    return folder


def binarise(text: Path, folder: Path, *options: str) -> None:
    """Run ``fairseq-preprocess`` with its own binary alignments."""
    from fairseq_runs import run

    run(
        "preprocess", "--source-lang", "src", "--target-lang", "tgt", "--destdir", folder, *options,
        "--trainpref", text / "train", "--validpref", text / "valid", "--testpref", text / "test",
        "--align-suffix", "align",
    )  # fmt: skip


def write_text(folder: Path, split: str, pairs: list[Any]) -> None:
    """``{split}.src``, ``{split}.tgt`` and ``{split}.align`` of made-up sentence pairs."""
    for suffix, lines in (
        ("src", [" ".join(pair.source) for pair in pairs]),
        ("tgt", [" ".join(pair.target) for pair in pairs]),
        ("align", [" ".join(f"{s}-{t}" for s, t in pair.links) for pair in pairs]),
    ):
        (folder / f"{split}.{suffix}").write_text("".join(line + "\n" for line in lines), encoding="utf-8")


@pytest.fixture(scope="session")
def trained(made_up: MadeUpData, tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    """A small guided model (2 decoder layers of 2 heads, the last layer's head 0 guided); do not write beside it.

    Of several workers of pytest-xdist, the first that needs it trains it for all.
    """
    from fairseq_runs import train

    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    folder /= "trained"
    with open(folder.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "log.json").exists():
            log = train(
                made_up.binarised, folder, "--batch-size", 32, "--lr", 0.01, "--log-interval", 25,
                "--save-interval", 1000, "--validate-interval", 1000,
                "--encoder-embed-dim", 32, "--decoder-embed-dim", 32,
                updates=300,
            )  # fmt: skip
            (folder / "log.json").write_text(json.dumps(log), encoding="utf-8")
        log = json.loads((folder / "log.json").read_text(encoding="utf-8"))
    return TrainedModel(folder / "checkpoint_last.pt", log)


@pytest.fixture(scope="session")
def sentencepiece_model(made_up: MadeUpData, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A model on SentencePiece's pieces of the made-up text: (checkpoint, data folder)."""
    pytest.importorskip("sentencepiece")
    from fairseq_runs import train

    from fairseq_guided_align.cli.main import main

    folder = tmp_path_factory.mktemp("pieces")
    assert main([
        "preprocess", "-s", "src", "-t", "tgt", "--trainpref", str(made_up.text / "train"),
        "--validpref", str(made_up.text / "valid"), "--testpref", str(made_up.text / "test"),
        "--destdir", str(folder / "bin"), "--sentencepiece-vocab-size", "45",
    ]) == 0  # fmt: skip
    train(folder / "bin", folder / "model", "--disable-validation", updates=20)
    return folder / "model" / "checkpoint_last.pt", folder / "bin"


@pytest.fixture
def old_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    """What fairseq's --num-batch-buckets needs of numpy and versions from 2.0 and 2.4 on no longer have."""
    import numpy as np

    percentile = np.percentile

    def with_interpolation(*arguments: Any, interpolation: str = "linear", **options: Any) -> Any:
        return percentile(*arguments, method=interpolation, **options)

    monkeypatch.setattr(np, "compat", SimpleNamespace(long=int), raising=False)
    monkeypatch.setattr(np, "percentile", with_interpolation)
