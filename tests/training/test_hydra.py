"""Configuration: command line and YAML, what checkpoints keep, validating and resuming, refusals at start-up."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import MadeUpData, TrainedModel
from fairseq_runs import HYDRA_CONFIG, STOCK_TASK, USER_DIR, hydra_train, of_logger, train, validate
from forked_programs import Programs

from fairseq_guided_align.errors import GuidedAlignError

QUIET = ["--no-save", "--disable-validation"]
TIMES = ("wps", "ups", "wall", "train_wall")


def without_times(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in record.items() if key not in TIMES} for record in records]


def stored(checkpoint: Path) -> dict[str, Any]:
    return torch.load(checkpoint, weights_only=True)


def model_keys(checkpoint: Path) -> dict[str, Any]:
    """What the model's configuration in a checkpoint says about alignments."""
    model = stored(checkpoint)["cfg"]["model"]
    items = model if isinstance(model, dict) else vars(model)
    return {key: value for key, value in items.items() if "alignment_" in key}


# YAML


def test_yaml_and_command_line_train_the_same(made_up: MadeUpData, tmp_path: Path) -> None:
    overrides = [
        "+criterion.label_smoothing=0.1", "+criterion.guided_alignment_type=mse",
        "+criterion.guided_alignment_weight=3",
        "+criterion.guided_alignment_layers='0,-1'", "+criterion.guided_alignment_heads='1'",
        "+criterion.guided_alignment_reduction=each", "+criterion.guided_alignment_position=next",
        "+criterion.guided_alignment_unlinked=eos", "+criterion.guided_alignment_decay=inverse-sqrt",
        "+criterion.guided_alignment_warmup_updates=2", "checkpoint.no_save=true", "dataset.disable_validation=true",
    ]  # fmt: skip
    by_yaml = hydra_train(made_up.binarised, tmp_path / "yaml", *overrides)
    by_options = train(
        made_up.binarised, tmp_path / "options", *QUIET, "--label-smoothing", 0.1, "--guided-alignment-type", "mse",
        "--guided-alignment-weight", 3, "--guided-alignment-layers=0,-1", "--guided-alignment-heads", 1,
        "--guided-alignment-reduction", "each", "--guided-alignment-position", "next",
        "--guided-alignment-unlinked", "eos", "--guided-alignment-decay", "inverse-sqrt",
        "--guided-alignment-warmup-updates", 2,
    )  # fmt: skip
    one, other = (without_times(of_logger(log, "train_inner")) for log in (by_yaml, by_options))
    assert len(one) == 4
    assert one == other


@pytest.mark.slow
def test_fairseq_hydra_train_itself(made_up: MadeUpData, programs: Programs, tmp_path: Path) -> None:
    """In a process of its own, where nothing has been registered before it reads the YAML file."""
    (tmp_path / "guided.yaml").write_text(HYDRA_CONFIG, encoding="utf-8")
    command = [
        str(programs.python), "-m", "fairseq_cli.hydra_train", "--config-dir", str(tmp_path),
        "--config-name", "guided", f"hydra.run.dir={tmp_path / 'run'}", f"common.user_dir={USER_DIR}",
        f"task.data={made_up.binarised}", f"checkpoint.save_dir={tmp_path}", "optimization.max_update=2",
        "+criterion.guided_alignment_heads='1'",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    log = [json.loads(line[line.index("{") :]) for line in done.stdout.splitlines() if "][train_inner][" in line]
    assert len(log) == 2
    assert float(log[0]["alignment_loss"]) > 0
    assert model_keys(tmp_path / "checkpoint_last.pt")["guided_alignment_heads"] == "1"


# What a checkpoint keeps


@pytest.mark.parametrize("way", ["yaml", "options"])
def test_a_checkpoint_keeps_criterion_and_heads(way: str, made_up: MadeUpData, tmp_path: Path) -> None:
    if way == "yaml":
        log = hydra_train(
            made_up.binarised, tmp_path, "+criterion.guided_alignment_layers='0'",
            "+criterion.guided_alignment_heads='0,1'", "+criterion.guided_alignment_weight=0.25", updates=2,
        )  # fmt: skip
    else:
        log = train(
            made_up.binarised, tmp_path, "--guided-alignment-layers", 0, "--guided-alignment-heads", "0,1",
            "--guided-alignment-weight", 0.25, updates=2,
        )  # fmt: skip
    checkpoint = tmp_path / "checkpoint_last.pt"
    criterion = stored(checkpoint)["cfg"]["criterion"]
    assert criterion["_name"] == "guided_alignment_ce"
    assert criterion["guided_alignment_weight"] == 0.25
    assert criterion["guided_alignment_layers"] == "0"
    kept = model_keys(checkpoint)
    assert kept["guided_alignment_layers"] == "0"
    assert kept["guided_alignment_heads"] == "0,1"
    # what other readers of fairseq's checkpoints look for
    assert (kept["alignment_layer"], kept["alignment_heads"]) == (0, 2)
    check_validation(log, validate(made_up.binarised, checkpoint))


def check_validation(log: list[dict[str, Any]], validated: dict[str, Any]) -> None:
    """``fairseq-validate`` reports what the last validation of the training reported."""
    trained = of_logger(log, "valid")[-1]
    figures = {key for key in validated if key.startswith("valid_") and not key.endswith(TIMES)}
    # fairseq averages the size of the batches over those of one call
    figures -= {"valid_wpb", "valid_bsz"}
    assert {"valid_alignment_loss", "valid_loss_per_token", "valid_link_coverage"} <= figures
    for key in figures:
        decimals = len(trained[key].partition(".")[2])
        assert float(validated[key]) == pytest.approx(float(trained[key]), rel=1e-5, abs=1.01 * 10**-decimals), key


def test_the_default_choice_is_kept(trained: TrainedModel, made_up: MadeUpData) -> None:
    kept = model_keys(trained.checkpoint)
    assert (kept["guided_alignment_layers"], kept["guided_alignment_heads"]) == ("1", "0")
    assert (kept["alignment_layer"], kept["alignment_heads"]) == (1, 1)
    check_validation(trained.log, validate(made_up.binarised, trained.checkpoint))


# Schedules and resuming


def test_resuming_goes_on_with_the_schedule(made_up: MadeUpData, tmp_path: Path) -> None:
    """The weight of another update would show in every figure of the second part."""
    options = [
        "--guided-alignment-warmup-updates", 2, "--guided-alignment-decay", "linear",
        "--guided-alignment-decay-updates", 6, "--best-checkpoint-metric", "alignment_loss",
    ]  # fmt: skip
    whole = train(made_up.binarised, tmp_path / "whole", *options, *QUIET, updates=6)
    first = train(made_up.binarised, tmp_path / "parts", *options, updates=3)
    check_validation(first, validate(made_up.binarised, tmp_path / "parts" / "checkpoint_last.pt"))
    second = train(made_up.binarised, tmp_path / "parts", *options, updates=6)
    both = of_logger(first, "train_inner") + of_logger(second, "train_inner")
    wanted = of_logger(whole, "train_inner")
    assert [record["num_updates"] for record in both] == [str(n) for n in range(1, 7)]
    for one, other in zip(both, wanted):
        for key in ("loss", "alignment_loss", "loss_per_token", "gnorm"):
            assert float(one[key]) == pytest.approx(float(other[key]), rel=1e-4, abs=2e-3), key
    check_validation(second, validate(made_up.binarised, tmp_path / "parts" / "checkpoint_last.pt"))


def test_the_weight_of_each_update(made_up: MadeUpData, tmp_path: Path) -> None:
    """Seen in the log: (loss_per_token - cross-entropy) / alignment loss per token."""
    log = train(made_up.binarised, tmp_path, "--guided-alignment-warmup-updates", 4, *QUIET, updates=6)
    records = of_logger(log, "train_inner")
    weights = []
    for record in records:
        cross_entropy = float(record["loss"]) * 0.6931472
        tokens, sentences = float(record["wpb"]), float(record["bsz"])
        linked = float(record["link_coverage"]) * (tokens - sentences)
        per_linked_token = (float(record["loss_per_token"]) - cross_entropy) * tokens / linked
        weights.append(per_linked_token / float(record["alignment_loss"]))
    assert weights == pytest.approx([0, 0.25, 0.5, 0.75, 1, 1], abs=2e-3)


# Refused at start-up


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--guided-alignment-normalization", "opennmt-tf", "--sentence-avg"], "--sentence-avg"),
        (["--task", "translation", "--criterion", "guided_alignment_ce"], "--load-alignments"),
        ([*STOCK_TASK, "--guided-alignment-warmup-updates", "3"], "translation_guided_alignment"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_illegal_combinations(options: list[str], message: str, made_up: MadeUpData, tmp_path: Path) -> None:
    with pytest.raises(GuidedAlignError, match=message):
        train(made_up.binarised, tmp_path, *options, *QUIET)
    assert not list(tmp_path.glob("*.pt"))


def test_stock_task_trains_as_ours_does(made_up: MadeUpData, tmp_path: Path) -> None:
    ours = train(made_up.binarised, tmp_path, *QUIET)
    stock = train(made_up.binarised, tmp_path, *STOCK_TASK, *QUIET)
    one, other = (without_times(of_logger(log, "train_inner")) for log in (ours, stock))
    assert one == other
    assert len(one) == 4
