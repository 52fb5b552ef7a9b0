"""Options about checkpoints and figures that would fail, or do nothing, hours later are refused before training."""

from __future__ import annotations

import logging
import os
from typing import Any

from fairseq.logging import metrics

from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.training.figures import FIGURES

logger = logging.getLogger(__name__)


def check_checkpoint_options(trainer: Any) -> None:
    """Called before the first update; validates a batch where the options ask for more than losses.

    :param trainer: fairseq's, whose data sets are loaded.
    :raises GuidedAlignError: options that are sure to fail or to do nothing.
    """
    cfg = trainer.cfg
    _check_numbers(cfg)
    options = trainer.task.options
    if cfg.dataset.disable_validation:
        _check_without_validation(cfg, options)
        return
    metric = cfg.checkpoint.best_checkpoint_metric
    _check_direction(metric, cfg.checkpoint.maximize_best_checkpoint_metric)
    if metric != "loss" or options.eval_aer or getattr(options, "eval_bleu", False):
        _check_measured(trainer, metric)


def _check_numbers(cfg: Any) -> None:
    """Refuse numbers below 1 by which fairseq divides; warn of a checkpoint that is not there."""
    for option, value in (
        ("--save-interval", cfg.checkpoint.save_interval),
        ("--validate-interval", cfg.dataset.validate_interval),
        ("--log-interval", cfg.common.log_interval),
    ):
        if value < 1:
            raise GuidedAlignError(f"{option}: expected at least 1; got {value}")
    pattern = getattr(cfg.checkpoint, "keep_interval_updates_pattern", -1)
    if pattern == 0:
        raise GuidedAlignError("--keep-interval-updates-pattern: expected updates of at least 1, or -1; got 0")
    restored = cfg.checkpoint.restore_file
    if restored != "checkpoint_last.pt" and not os.path.isfile(restored) and "://" not in restored:
        logger.warning(f"--restore-file {restored}: there is no such file, so training starts anew")


def _check_without_validation(cfg: Any, options: Any) -> None:
    scheduler = getattr(cfg.lr_scheduler, "_name", None)
    for option, asked in (
        ("--eval-aer", options.eval_aer),
        ("--eval-bleu", getattr(options, "eval_bleu", False)),
        ("--patience", cfg.checkpoint.patience > 0),
        ("--keep-best-checkpoints", cfg.checkpoint.keep_best_checkpoints > 0),
        ("--lr-scheduler reduce_lr_on_plateau", scheduler == "reduce_lr_on_plateau"),
    ):
        if asked:
            raise GuidedAlignError(
                f"{option} goes by what the validation measures; got --disable-validation; leave one of them out"
            )


def _check_direction(metric: str, maximize: bool) -> None:
    """Refuse a training that would keep its worst checkpoint as the best one."""
    figure = FIGURES.get(metric.rpartition(":")[2])
    if figure is not None and figure.higher_is_better and not maximize:
        raise GuidedAlignError(
            f"--best-checkpoint-metric {metric}: higher is better, and the lowest would be kept; add "
            "--maximize-best-checkpoint-metric"
        )
    if figure is not None and not figure.higher_is_better and maximize:
        raise GuidedAlignError(
            f"--best-checkpoint-metric {metric}: lower is better, and the highest would be kept; leave "
            "--maximize-best-checkpoint-metric out"
        )


def _check_measured(trainer: Any, metric: str) -> None:
    """Validate one batch, so that an impossible validation fails now, and look for the figure."""
    subset = trainer.cfg.dataset.valid_subset.split(",")[0]
    with metrics.aggregate(new_root=True) as found:
        trainer.valid_step(trainer.get_valid_iterator(subset).first_batch)
    measured = found.get_smoothed_values()
    if metric in measured:
        return
    figure = FIGURES.get(metric.rpartition(":")[2])
    option = figure.option if figure is not None else None
    raise GuidedAlignError(
        f"--best-checkpoint-metric {metric}: the validation of {subset!r} has no such figure"
        + (f"; add {option}" if option else "")
        + f"; it has {', '.join(sorted(name for name in measured if not name.startswith('_')))}"
    )
