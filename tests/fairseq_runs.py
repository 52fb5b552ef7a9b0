"""fairseq's own commands, run inside this process: importing fairseq again for each run would take seconds."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from quicker import quicken

import fairseq_guided_align

USER_DIR = str(Path(fairseq_guided_align.__file__).parent)

# fmt: off
TINY_MODEL = [
    "--arch", "transformer", "--share-decoder-input-output-embed",
    "--encoder-layers", "1", "--decoder-layers", "2",
    "--encoder-embed-dim", "16", "--encoder-ffn-embed-dim", "32", "--encoder-attention-heads", "2",
    "--decoder-embed-dim", "16", "--decoder-ffn-embed-dim", "32", "--decoder-attention-heads", "2",
    "--dropout", "0",
]
TINY_TRAINING = [
    "--optimizer", "adam", "--lr", "0.005", "--lr-scheduler", "fixed", "--batch-size", "16", "--seed", "1",
    "--cpu", "--num-workers", "0", "--no-progress-bar", "--log-interval", "1", "--max-epoch", "1000",
]
# fmt: on
LAST_LAYER = "--guided-alignment-layers=-1"
"""The slow references read it."""
GUIDED = ["--task", "translation_guided_alignment", "--criterion", "guided_alignment_ce", LAST_LAYER]
PROGRESS = "fairseq.logging.progress_bar"
"""The logger of fairseq that all figures go through."""

STOCK_TASK = ["--task", "translation", "--load-alignments", "--criterion", "guided_alignment_ce", LAST_LAYER]


def run(main: str, *arguments: object) -> None:
    """Run one of fairseq's commands, such as ``train``, as its console script would.

    :raises SystemExit: as the command does.
    """
    import importlib

    command = importlib.import_module(f"fairseq_cli.{main}")
    quicken()
    fairseq_guided_align.register()
    with _as_started(f"fairseq-{main}", [str(one) for one in arguments]):
        command.cli_main()


@contextlib.contextmanager
def _as_started(name: str, arguments: Sequence[str]) -> Iterator[None]:
    """The command line; what the commands change in the process is put back."""
    from fairseq.checkpoint_utils import save_checkpoint

    # fairseq keeps the best figure of a training there
    vars(save_checkpoint).pop("best", None)
    loggers = [logging.getLogger(), logging.getLogger(PROGRESS)]
    before = [(logger, list(logger.handlers), logger.level) for logger in loggers]
    argv = sys.argv
    sys.argv = [name, *arguments]
    try:
        yield
    finally:
        sys.argv = argv
        for logger, handlers, level in before:
            for handler in set(logger.handlers) - set(handlers):
                handler.close()
            logger.handlers[:] = handlers
            logger.setLevel(level)


class _Figures(logging.Handler):
    """Collects the figures that fairseq logs in JSON form."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.records: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if message.startswith("{"):
            self.records.append({**json.loads(message), "logger": record.name})


def run_for_figures(
    main: str, *arguments: object, log_format: Sequence[str] = ("--log-format", "json")
) -> list[dict[str, Any]]:
    """Run a command that logs in JSON form; its figures, each with the ``logger``, such as ``train_inner``."""
    figures = _Figures()
    progress = logging.getLogger(PROGRESS)
    level = progress.level
    progress.addHandler(figures)
    progress.setLevel(logging.INFO)
    try:
        run(main, *arguments, *log_format)
    finally:
        progress.removeHandler(figures)
        progress.setLevel(level)
    return figures.records


def train(
    data: Path, folder: Path, *options: object, updates: int = 4, log_format: str = "json"
) -> list[dict[str, Any]]:
    """Train a tiny model; checkpoints go to ``folder``.

    :param options: after ours, so that they win; without ``--task`` it is guided alignment with our task.
    :return: figures of the log, see :func:`run_for_figures`; none in other formats than JSON.
    """
    task = [] if "--task" in options else GUIDED
    return run_for_figures(
        "train", data, "--user-dir", USER_DIR, *task, *TINY_MODEL, *TINY_TRAINING, "--save-dir", folder,
        "--max-update", updates, *options, log_format=("--log-format", log_format),
    )  # fmt: skip


def validate(data: Path, checkpoint: Path, *options: object) -> dict[str, Any]:
    """Figures of ``fairseq-validate`` on the valid split."""
    (found,) = run_for_figures(
        "validate", data, "--user-dir", USER_DIR, *GUIDED[:2], "--path", checkpoint, "--cpu", "--num-workers", 0,
        "--batch-size", 16, *options,
    )  # fmt: skip
    return found


def of_logger(log: Sequence[dict[str, Any]], logger: str, key: str | None = None) -> list[Any]:
    """The records of one logger, or one of their figures."""
    chosen = [record for record in log if record["logger"] == logger]
    return chosen if key is None else [float(record[key]) for record in chosen]


def hydra_train(data: Path, folder: Path, *overrides: str, updates: int = 4) -> list[dict[str, Any]]:
    """The same training as :func:`train` with ``fairseq-hydra-train``, configured by a YAML file.

    :param overrides: after ours, such as ``criterion.label_smoothing=0.1``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "guided.yaml"
    config.write_text(HYDRA_CONFIG, encoding="utf-8")
    return run_for_figures(
        "hydra_train", "--config-dir", folder, "--config-name", config.stem, f"hydra.run.dir={folder / 'run'}",
        f"common.user_dir={USER_DIR}", f"task.data={data}", f"checkpoint.save_dir={folder}",
        f"optimization.max_update={updates}", *overrides, log_format=(),
    )  # fmt: skip


HYDRA_CONFIG = """\
# @package _group_
common: {cpu: true, log_format: json, log_interval: 1, seed: 1}
task: {_name: translation_guided_alignment, data: "", source_lang: src, target_lang: tgt}
criterion: {_name: guided_alignment_ce}
dataset: {batch_size: 16, num_workers: 0}
optimization: {lr: [0.005], max_update: 4, max_epoch: 1000}
optimizer: {_name: adam}
lr_scheduler: {_name: fixed}
model:
  _name: transformer
  share_decoder_input_output_embed: true
  dropout: 0.0
  base_layers: 0  # fairseq 0.12.2 forgets its own default
  encoder: {layers: 1, embed_dim: 16, ffn_embed_dim: 32, attention_heads: 2}
  decoder: {layers: 2, embed_dim: 16, ffn_embed_dim: 32, attention_heads: 2}
"""
"""The training of :func:`train` as a YAML file."""


@contextlib.contextmanager
def forked_preprocess() -> Iterator[None]:
    """Inside, the package runs ``fairseq-preprocess`` in a fork of this process, which has imported it already."""
    from types import SimpleNamespace

    from fairseq_guided_align.corpus import binarized_text

    def forked(command: Sequence[str], cwd: Any, env: dict[str, str], **_: Any) -> SimpleNamespace:
        import fairseq_cli.preprocess  # noqa: F401

        assert command[1:3] == ["-m", "fairseq_cli.preprocess"]
        with tempfile.TemporaryFile() as output:
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    sys.stdout = sys.stderr = io.TextIOWrapper(output, write_through=True)
                    os.chdir(cwd)
                    os.environ.update(env)
                    run("preprocess", *command[3:])
                    code = 0
                except BaseException:
                    traceback.print_exc()
                finally:
                    sys.stdout.flush()
                    os._exit(code)
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            output.seek(0)
            return SimpleNamespace(returncode=code, stdout=output.read())

    with _subprocess_of(binarized_text, SimpleNamespace(run=forked, PIPE=-1, STDOUT=-2)):
        yield


@contextlib.contextmanager
def started_preprocess() -> Iterator[None]:
    """Inside, the package starts ``fairseq-preprocess`` as it does for users, which takes seconds."""
    import subprocess

    from fairseq_guided_align.corpus import binarized_text

    with _subprocess_of(binarized_text, subprocess):
        yield


@contextlib.contextmanager
def _subprocess_of(module: Any, replacement: Any) -> Iterator[None]:
    before = module.subprocess
    module.subprocess = replacement
    try:
        yield
    finally:
        module.subprocess = before
