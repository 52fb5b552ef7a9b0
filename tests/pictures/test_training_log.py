"""Figures out of fairseq's logs: lines as fairseq 0.12 writes them, in each of its formats."""

from __future__ import annotations

import gzip
import math
from pathlib import Path

import pytest

from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.pictures.training_log import LogPoint, parse_log_line, read_training_log

STAMP = "2026-11-21 08:34:02 | INFO | "
INNER = (
    "epoch 001:     10 / 12 loss=11.154, nll_loss=11.154, ppl=2279.17, loss_per_token=7.731000, wps=2037.2,"
    " ups=1.58, num_updates=10, lr=0.001, train_wall=3, wall=10"
)
VALID = "epoch 001 | valid on 'valid' subset | loss 10.95 | aer 48.25 | num_updates 12 | best_loss 10.95"
EPOCH = "epoch 001 | loss 11.324 | ppl 2564.33 | num_updates 12 | lr 0.001 | train_wall 7 | wall 11"
JSON_INNER = (
    '{"epoch": 1, "update": 0.833, "loss": "11.154", "nll_loss": "11.154", "ppl": "2279.17",'
    ' "loss_per_token": "7.731000", "wps": "2037.2", "ups": "1.58", "num_updates": "10", "lr": "0.001",'
    ' "train_wall": "3", "wall": "10"}'
)
JSON_VALID = (
    '{"epoch": 1, "valid_loss": "10.95", "valid_aer": "48.25", "valid_num_updates": "12", "valid_best_loss": "10.95"}'
)
JSON_EPOCH = (
    '{"epoch": 1, "train_loss": "11.324", "train_ppl": "2564.33", "train_num_updates": "12",'
    ' "train_lr": "0.001", "train_train_wall": "7", "train_wall": "11"}'
)
POINTS = [
    LogPoint(
        "train_inner",
        1,
        10,
        {
            "loss": 11.154,
            "nll_loss": 11.154,
            "ppl": 2279.17,
            "loss_per_token": 7.731,
            "wps": 2037.2,
            "ups": 1.58,
            "lr": 0.001,
            "train_wall": 3,
            "wall": 10,
        },
    ),
    LogPoint("valid", 1, 12, {"loss": 10.95, "aer": 48.25, "best_loss": 10.95}),
    LogPoint("train", 1, 12, {"loss": 11.324, "ppl": 2564.33, "lr": 0.001, "train_wall": 7, "wall": 11}),
]


@pytest.mark.parametrize("prefix", ["", "logger", "hydra"])
@pytest.mark.parametrize("lines", [(INNER, VALID, EPOCH), (JSON_INNER, JSON_VALID, JSON_EPOCH)])
def test_every_format_gives_the_same_figures(lines: tuple[str, ...], prefix: str) -> None:
    for line, name, expected in zip(lines, ("train_inner", "valid", "train"), POINTS):
        start = {"": "", "logger": f"{STAMP}{name} | ", "hydra": f"[2026-11-21 08:34:02,117][{name}][INFO] - "}
        assert parse_log_line(start[prefix] + line) == expected


@pytest.mark.parametrize(
    "line",
    [
        "",
        STAMP + "fairseq.trainer | begin training epoch 1",
        STAMP + "fairseq_cli.train | end of epoch 1 (average epoch stats below)",
        STAMP + "fairseq_cli.train | {'_name': None, 'common': {'log_interval': 5}, 'epoch': 3}",
        STAMP + 'train_inner | {"epoch": 1, "update": 0.4, "loss": "11.6',
        STAMP + "train_inner | epoch 001:      5 / 12 loss=11.6",
    ],
)
def test_other_lines_are_passed_over(line: str) -> None:
    assert parse_log_line(line) is None


def test_other_subsets_and_odd_values() -> None:
    got = parse_log_line("epoch 003 | valid on 'dev2' subset | loss nan | aer None | num_updates 7")
    assert got is not None
    assert (got.kind, got.epoch, got.update) == ("dev2", 3, 7)
    assert list(got.values) == ["loss"]
    assert math.isnan(got.values["loss"])
    as_json = parse_log_line('{"epoch": 3, "dev2_loss": "1.5", "dev2_num_updates": "7"}')
    assert as_json == LogPoint("dev2", 3, 7, {"loss": 1.5})


def test_figures_of_language_pairs_are_not_those_of_all() -> None:
    expected = {"loss": 4.0, "grc-en:loss": 3.5, "zh_CN-de:loss": -2.0}
    for line in (
        "epoch 003 | loss 4 | grc-en:loss 3.5 | zh_CN-de:loss -2 | num_updates 7",
        "epoch 003:      7 / 12 loss=4, grc-en:loss=3.5, zh_CN-de:loss=-2, num_updates=7",
        '{"epoch": 3, "loss": "4", "grc-en:loss": "3.5", "zh_CN-de:loss": "-2", "num_updates": "7"}',
    ):
        found = parse_log_line(line)
        assert found is not None
        assert found.values == expected


def test_series_and_a_run_that_was_resumed(tmp_path: Path) -> None:
    def inner(update: int, loss: float) -> str:
        return f"{STAMP}train_inner | epoch 001: {update:6d} / 99 loss={loss}, num_updates={update}"

    first = [inner(u, 10 - u) for u in range(1, 8)]
    resumed_from_4 = [inner(u, 20 - u) for u in range(5, 9)]
    text = "\n".join([*first, first[-1], STAMP + "valid | " + VALID, *resumed_from_4])
    (tmp_path / "log").write_text(text)
    log = read_training_log(tmp_path / "log")
    updates, values = log.series("train_inner", "loss")
    assert updates.tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert values.tolist() == [9, 8, 7, 6, 15, 14, 13, 12]
    assert log.kinds() == ["train_inner", "valid"]
    assert log.series("valid", "aer")[1].tolist() == [48.25]
    assert len(log.series("valid", "bleu")[0]) == 0
    (tmp_path / "log.gz").write_bytes(gzip.compress(text.encode()))
    assert read_training_log(tmp_path / "log.gz").points == log.points


def test_a_log_without_figures_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("nothing\nhere\n")
    with pytest.raises(GuidedAlignError, match="--log-format simple, json or tqdm; got 2 lines without figures"):
        read_training_log(tmp_path / "log")
    with pytest.raises(GuidedAlignError, match="missing: cannot be read"):
        read_training_log(tmp_path / "missing")


def test_figures_of_language_pairs_whose_codes_have_hyphens_and_dots() -> None:
    line = "epoch 001 | valid on 'valid1' subset | zh-Hans-en:aer 0.25 | tok.de-tok.en:loss 2.5 | num_updates 12"
    expected = LogPoint("valid1", 1, 12, {"zh-Hans-en:aer": 0.25, "tok.de-tok.en:loss": 2.5})
    assert parse_log_line(STAMP + line) == expected
