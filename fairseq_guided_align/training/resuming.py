"""Interrupted trainings that go on as if nothing had happened.

With fairseq alone, a resumed training differs from an uninterrupted one: it cuts the text into other batches, forgets
how many validations brought nothing better, and does one update more where all had been done. Our tasks mend each.
"""

from __future__ import annotations

import functools
import logging
import os
import sys
from collections.abc import Iterator
from typing import Any

import torch
from fairseq import checkpoint_utils
from fairseq.tasks import FairseqTask

from fairseq_guided_align.checkpoints.files import read_light, refuse_if_cut_off, remove_unfinished, replace_if_cut_off
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.training.checkpoint_options import check_checkpoint_options

logger = logging.getLogger(__name__)

EARLY_STOP = "early_stop"
"""In a checkpoint's task state: what ``--patience`` has counted."""

LAST = "checkpoint_last.pt"
"""fairseq's default of ``--restore-file``, which it looks for in ``--save-dir``."""


class ResumableTask(FairseqTask):
    """Comes before a task of fairseq's among the bases of ours."""

    def get_batch_iterator(self, dataset: Any, *args: Any, **kwargs: Any) -> Any:
        """Batches of a data set, the same in each epoch, whichever epoch a run begins with.

        fairseq 0.12.3 seeds the order of sentences with the first epoch of a run, which is a later one after resuming.
        """
        kept = (
            not kwargs.get("disable_iterator_cache")
            and not kwargs.get("update_epoch_batch_itr")
            and self.can_reuse_epoch_itr(dataset)
        )
        if kept and dataset in self.dataset_to_epoch_iter:
            return super().get_batch_iterator(dataset, *args, **kwargs)
        epoch = kwargs.get("epoch", 1)
        if kept:
            kwargs["epoch"] = 1
            if getattr(self.cfg or self.args, "update_ordered_indices_seed", False) and "seed" in kwargs:
                # The trainer has added the epoch; the batches are of the first one.
                kwargs["seed"] += 1 - epoch
        elif hasattr(dataset, "_ordered_indices"):
            # Several language pairs would keep the order of the epoch in which this run began.
            dataset._ordered_indices = None
        batches = super().get_batch_iterator(dataset, *args, **kwargs)
        batches.epoch = max(epoch, 1)
        dataset.set_epoch(batches.epoch)
        _shuffle_from_the_named_epoch(batches)
        return batches

    def state_dict(self) -> dict[str, Any]:
        """What the checkpoint keeps of the task."""
        return {**super().state_dict(), EARLY_STOP: next((dict(vars(one)) for one in _early_stops()), {})}

    def before_resuming(self, path: str, state: dict[str, Any], continues: bool) -> None:
        """Called with the checkpoint that training begins with, before its weights are read.

        :param state: what the checkpoint holds.
        :param continues: True: the training that wrote it goes on. False: a new training starts from its weights.
        :raises GuidedAlignError: the checkpoint does not go with this training.
        """


def _shuffle_from_the_named_epoch(batches: Any) -> None:
    """Let fairseq's iterator shuffle from the epoch on that ``--curriculum`` names.

    fairseq decides this once, in the first epoch of a run, and a resumed run begins with a later epoch.
    """
    make = batches._get_iterator_for_epoch

    def made(epoch: int, shuffle: bool, fix_batches_to_gpus: bool = False, offset: int = 0) -> Any:
        # fairseq 0.12.2 and 0.12.3 have different names for it.
        samplers: list[Any] = [getattr(batches, "epoch_batch_sampler", None), batches.batch_sampler]
        for sampler in samplers:
            if hasattr(sampler, "make_batches_for_epoch"):
                sampler.shuffle, sampler.fix_batches_to_gpus = shuffle, fix_batches_to_gpus
        return make(epoch, shuffle, fix_batches_to_gpus=fix_batches_to_gpus, offset=offset)

    batches._get_iterator_for_epoch = made


def watch_training() -> None:
    """Let fairseq's training go on exactly where our tasks are concerned; calling it again does nothing."""
    if not hasattr(checkpoint_utils.load_checkpoint, "goes_on_exactly"):
        checkpoint_utils.load_checkpoint = _going_on_exactly(checkpoint_utils.load_checkpoint)
    for program in _programs():
        if not hasattr(program.train, "stops_when_done"):
            program.train = _stopping_when_done(program.train)


def _programs() -> Iterator[Any]:
    """The modules of ``fairseq-train``, which may also run as a script."""
    for name in ("__main__", "fairseq_cli.train"):
        module = sys.modules.get(name)
        if module is not None and all(hasattr(module, one) for one in ("train", "should_stop_early", "cli_main")):
            yield module


def _early_stops() -> Iterator[Any]:
    """The functions whose attributes are what ``--patience`` has counted."""
    return (program.should_stop_early for program in _programs())


def _going_on_exactly(load: Any) -> Any:
    @functools.wraps(load)
    def loaded(cfg: Any, trainer: Any, **options: Any) -> Any:
        if not isinstance(trainer.task, ResumableTask):
            return load(cfg, trainer, **options)
        check_checkpoint_options(trainer)
        _name_languages(trainer)
        _replace_what_was_cut_off(cfg, trainer)
        path, continues = _checkpoint_to_load(cfg, trainer)
        state = read_light(path) if path is not None else {}
        if path is not None:
            trainer.task.before_resuming(path, state, continues)
            if continues and not cfg.reset_optimizer and "last_optimizer_state" not in state:
                raise GuidedAlignError(
                    f"{path}: holds weights only (--no-save-optimizer-state, or an average), so training cannot go on "
                    "from it; begin another with --finetune-from-model and a new --save-dir, or give --reset-optimizer"
                )
        extra, epoch_itr = load(cfg, trainer, **options)
        resets = cfg.reset_optimizer or cfg.reset_meters or not continues
        _set_patience({} if resets else (state.get("task_state") or {}).get(EARLY_STOP) or {})
        if extra is not None and not (resets or cfg.reset_lr_scheduler or cfg.reset_dataloader):
            _tell_scheduler(trainer, extra)
        return extra, epoch_itr

    loaded.goes_on_exactly = True  # type: ignore[attr-defined]
    return loaded


def _set_patience(counted: dict[str, Any]) -> None:
    """Have ``--patience`` go on from what it had counted."""
    for early_stop in _early_stops():
        vars(early_stop).clear()
        vars(early_stop).update(counted)


def _tell_scheduler(trainer: Any, extra: dict[str, Any]) -> None:
    """Give the scheduler the validation figure of an epoch's end: the checkpoint was written before it got it."""
    position, figure = extra["train_iterator"], extra.get("val_loss")
    if position.get("iterations_in_epoch", 0) == 0 and position["epoch"] > 1 and figure is not None:
        trainer.lr_step(position["epoch"] - 1, figure)


def _name_languages(trainer: Any) -> None:
    """Keep in checkpoints which languages the task found in the data folder, where nobody gave them.

    fairseq gives the task a copy of its settings, and keeps those as they were given.
    """
    options, settings = trainer.task.cfg, trainer.cfg
    for name in ("source_lang", "target_lang"):
        for part in (settings.task, settings.model):
            if hasattr(part, name) and getattr(part, name) is None:
                setattr(part, name, getattr(options, name, None))


def _checkpoint_to_load(cfg: Any, trainer: Any) -> tuple[str | None, bool]:
    """The checkpoint that fairseq is about to load, or None; and whether the training in it goes on.

    :raises GuidedAlignError: its writing was cut off.
    """
    suffix = trainer.checkpoint_suffix or ""
    if cfg.restore_file != LAST:
        path = cfg.restore_file.replace(".pt", suffix + ".pt")
        refuse_if_cut_off(path)
        return (path if os.path.isfile(path) else None), True
    path = os.path.join(cfg.save_dir, f"checkpoint_last{suffix}.pt")
    if os.path.isfile(path):
        refuse_if_cut_off(path)
        return path, True
    for start in (getattr(cfg, "continue_once", None), cfg.finetune_from_model):
        if start is not None and os.path.isfile(start):
            refuse_if_cut_off(start)
            return start, start != cfg.finetune_from_model
    return None, True


def _replace_what_was_cut_off(cfg: Any, trainer: Any) -> None:
    """Put a whole checkpoint in place of the last one in ``--save-dir``, if the writing of that was cut off.

    One process mends, and all wait for it. A part of a model is not replaced: only all parts of one update belong
    together.
    """
    if cfg.restore_file != LAST or trainer.checkpoint_suffix:
        return
    folder, last = cfg.save_dir, os.path.join(cfg.save_dir, LAST)
    failed = None
    if trainer.data_parallel_rank == 0 and os.path.isdir(folder):
        remove_unfinished(folder)
        try:
            replace_if_cut_off(last)
        except Exception as error:
            failed = error
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.barrier()
    if failed is not None:
        raise failed


def _stopping_when_done(train: Any) -> Any:
    @functools.wraps(train)
    def trained(cfg: Any, trainer: Any, task: Any, epoch_itr: Any) -> Any:
        reason = _done(cfg, trainer) if isinstance(task, ResumableTask) else None
        if reason is not None:
            logger.info(f"nothing is left to train: {reason}")
            return [None], True
        return train(cfg, trainer, task, epoch_itr)

    trained.stops_when_done = True  # type: ignore[attr-defined]
    return trained


def _done(cfg: Any, trainer: Any) -> str | None:
    """Why a training that is started again has ended, or None; fairseq would first do one update more."""
    updates, most = trainer.get_num_updates(), cfg.optimization.max_update or 0
    if 0 < most <= updates:
        return f"{updates} updates are done, of --max-update {most}"
    patience = cfg.checkpoint.patience
    waited = max((getattr(one, "num_runs", 0) for one in _early_stops()), default=0)
    if 0 < patience <= waited:
        return f"the last {waited} validations brought nothing better, and --patience is {patience}"
    return None
