"""The same figures in the console, in JSON, in TensorBoard's event files and in ``--log-file``."""

from __future__ import annotations

import json
import logging
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import MadeUpData
from fairseq.logging import progress_bar
from fairseq_runs import of_logger, train

FIGURES = ("alignment_loss", "loss_per_token", "link_coverage", "links_dropped", "loss", "nll_loss", "ppl")
SIX_DECIMALS = re.compile(r"\d+\.\d{6}")


class Lines(logging.Handler):
    """Lines as they reach the console."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append((record.name, record.getMessage()))


@pytest.fixture(scope="module")
def logged(made_up: MadeUpData, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One training for each log format, all the same but for that."""
    folder = tmp_path_factory.mktemp("logged")
    found: dict[str, Any] = {}
    handler = Lines()
    logger = logging.getLogger("fairseq.logging.progress_bar")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    # fairseq writes all trainings of a process to the first one's event files
    progress_bar._tensorboard_writers.clear()
    try:
        for log_format in ("json", "simple", "tqdm"):
            handler.lines = []
            where = folder / log_format
            log = train(
                made_up.binarised, where, "--label-smoothing", 0.1, "--guided-alignment-weight", 0.5,
                "--report-accuracy", "--log-file", folder / f"{log_format}.log",
                *(("--tensorboard-logdir", folder / "tensorboard") if log_format == "json" else ()),
                updates=6, log_format=log_format,
            )  # fmt: skip
            found[log_format] = handler.lines
            if log_format == "json":
                found["records"] = log
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        for writer in progress_bar._tensorboard_writers.values():
            writer.close()
        progress_bar._tensorboard_writers.clear()
    found["folder"] = folder
    return found


def figures_of(line: str) -> dict[str, str]:
    """The figures of a line of the simple format: ``key value`` or ``key=value``, between commas or bars."""
    return dict(re.findall(r"([a-z_]+)[ =]([-+0-9.e]+)", line))


def test_six_decimals_everywhere(logged: dict[str, Any]) -> None:
    for record in of_logger(logged["records"], "train_inner"):
        for key in ("alignment_loss", "loss_per_token", "link_coverage", "accuracy"):
            assert SIX_DECIMALS.fullmatch(record[key]), key
    lines = [line for name, line in logged["simple"] if name == "train_inner"]
    assert len(lines) == 6
    for line in lines:
        assert re.search(r"loss_per_token=\d+\.\d{6}, ", line), line


def test_the_console_shows_what_json_shows(logged: dict[str, Any]) -> None:
    for name in ("train_inner", "valid", "train"):
        lines = [line for logger, line in logged["simple"] if logger == name]
        records = of_logger(logged["records"], name)
        assert len(lines) == len(records) > 0
        prefix = "" if name == "train_inner" else f"{name}_"
        for line, record in zip(lines, records):
            shown = figures_of(line)
            for key in FIGURES:
                assert shown[key] == record[prefix + key], (name, key)


def test_without_a_terminal_tqdm_is_the_simple_format(logged: dict[str, Any]) -> None:
    keep = {"alignment_loss", "loss_per_token"}
    one, other = (
        [
            {key: value for key, value in figures_of(line).items() if key in keep}
            for name, line in logged[log_format]
            if name == "valid"
        ]
        for log_format in ("simple", "tqdm")
    )
    assert one == other
    assert one[0].keys() == keep


def test_the_log_file_holds_what_the_console_shows(logged: dict[str, Any]) -> None:
    for log_format in ("json", "simple"):
        lines = (logged["folder"] / f"{log_format}.log").read_text(encoding="utf-8").splitlines()
        for _, line in logged[log_format]:
            assert line in lines
    records = [json.loads(line) for line in (logged["folder"] / "json.log").read_text().splitlines() if line[0] == "{"]
    shown = [record["loss_per_token"] for record in records if "loss_per_token" in record]
    assert sorted(set(shown)) == sorted({r["loss_per_token"] for r in of_logger(logged["records"], "train_inner")})


@pytest.mark.skipif(progress_bar.SummaryWriter is None, reason="neither tensorboard nor tensorboardX is installed")
def test_tensorboard_holds_the_same_values(logged: dict[str, Any]) -> None:
    folder = logged["folder"] / "tensorboard"
    for name in ("train_inner", "train", "valid"):
        prefix = "" if name == "train_inner" else f"{name}_"
        scalars = list(events(folder / name))
        records = of_logger(logged["records"], name)
        assert records
        for record in records:
            step = int(record[prefix + "num_updates"])
            for key in FIGURES:
                (value,) = (value for at, tag, value in scalars if (at, tag) == (step, key))
                assert value == pytest.approx(float(record[prefix + key]), rel=1e-5, abs=6e-3 if key == "ppl" else 1e-6)


def events(folder: Path) -> Iterator[tuple[int, str, float]]:
    """(step, tag, value) of the scalars of an event file.

    The file is a sequence of records (length, 4 bytes, data, 4 bytes), each an ``Event`` of protocol buffers with
    step = 2 and summary = 5, that holds values = 1 with tag = 1 and simple_value = 2.
    """
    (path,) = folder.glob("events.out.tfevents.*")
    data = path.read_bytes()
    position = 0
    while position < len(data):
        (length,) = struct.unpack_from("<Q", data, position)
        event = fields(data[position + 12 : position + 12 + length])
        step = next((value for number, value in event if number == 2), 0)
        for number, summary in event:
            if number != 5:
                continue
            for _, value in fields(summary):
                entry = dict(fields(value))
                if 2 in entry:
                    yield step, entry[1].decode(), struct.unpack("<f", entry[2])[0]
        position += 12 + length + 4


def fields(message: bytes) -> list[tuple[int, Any]]:
    """(number, value) of a message of protocol buffers; numbers as int, all else as bytes."""
    found: list[tuple[int, Any]] = []
    position = 0

    def varint() -> int:
        nonlocal position
        value = shift = 0
        while True:
            byte = message[position]
            position += 1
            value |= (byte & 127) << shift
            shift += 7
            if not byte & 128:
                return value

    while position < len(message):
        key = varint()
        kind = key & 7
        if kind == 0:
            found.append((key >> 3, varint()))
            continue
        size = {1: 8, 5: 4}[kind] if kind in (1, 5) else varint()
        found.append((key >> 3, message[position : position + size]))
        position += size
    return found
