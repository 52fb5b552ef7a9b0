"""Runs fairseq-train, also several at a time: logs in files, and a bar on the screen."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TextIO

from tqdm import tqdm

from examples.stages import StageError

LOG_OPTIONS = ("--log-format", "json", "--log-interval", "10")
LABELS = {"loss": "loss", "ppl": "perplexity", "alignment_loss": "alignment loss"}
TAIL = 25


def train(
    commands: Mapping[Path, Sequence[str]], updates: int, environment: Mapping[str, str], screen: TextIO | None = None
) -> None:
    """Runs commands of fairseq-train side by side to their end; the bar follows the first.

    :param commands: by the file to which each one's output is added; how they log is added to them.
    :param updates: those that each command is told to do (``--max-update``).
    :param screen: default: standard error.
    :raises StageError: one fails, with the end of its log; the others are stopped then.
    """
    screen = screen or sys.stderr
    # Without a terminal each step of the bar is a line of the log.
    seconds = 0.2 if screen.isatty() else 15
    with ExitStack() as stack:
        running: dict[Path, subprocess.Popen[bytes]] = {}
        for path, command in commands.items():
            log = stack.enter_context(path.open("a", encoding="utf-8"))
            command = [*command, *LOG_OPTIONS]
            print(shlex.join(command), file=log, flush=True)
            running[path] = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
            stack.callback(_stop, running[path])
        followed = stack.enter_context(next(iter(running)).open(encoding="utf-8", errors="replace"))
        followed.seek(0, 2)
        bar = stack.enter_context(tqdm(total=updates, unit=" updates", file=screen, mininterval=seconds))
        codes: list[int | None] = [None]
        while None in codes and not any(codes):
            time.sleep(0.2)
            codes = [process.poll() for process in running.values()]
            for figures in filter(None, map(figures_of, followed.readlines())):
                show(bar, figures)
        for (path, _), code in zip(running.items(), codes):
            if code:
                end = "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL:])
                raise StageError(f"training failed with exit code {code}; the end of {path}:\n{end}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
    process.wait()


def figures_of(line: str) -> dict[str, float] | None:
    """The numbers of a training line of fairseq's JSON log; None for all other lines."""
    if "| train_inner | {" not in line:
        return None
    try:
        return {name: float(value) for name, value in json.loads(line[line.index("{") :]).items()}
    except ValueError:
        return None


def show(bar: Any, figures: Mapping[str, float]) -> None:
    """Moves the bar to the number of updates done; time left counts from the first figures on."""
    done = int(figures["num_updates"])
    if not bar.n:
        bar.initial = done
    bar.set_postfix({label: f"{figures[key]:.2f}" for key, label in LABELS.items() if key in figures}, refresh=False)
    bar.update(done - bar.n)
