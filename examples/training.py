"""Runs fairseq-train, also several at a time, and shows the log as one line that moves."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from examples.stages import StageError, duration

LOG_OPTIONS = ("--log-format", "json", "--log-interval", "10")
"""What `train` adds to each command, so that the log can be followed."""

# Without a terminal a line that moves would fill the log.
SECONDS_BETWEEN_LINES = 15.0
SECONDS_BETWEEN_LOOKS = 0.2
TAIL = 25


@dataclass(frozen=True)
class Training:
    """A command of fairseq-train, without how it logs, and the file that its output goes to."""

    command: Sequence[str]
    log_path: Path


def train(
    trainings: Sequence[Training],
    updates: int,
    environment: Mapping[str, str] | None = None,
    screen: TextIO | None = None,
) -> None:
    """Runs commands side by side to their end; shows the progress of the slowest on `screen` (default: stderr).

    updates: those that each command is told to do (--max-update); environment: its variables (default: ours).
    Raises StageError with the end of the log if one fails; the others are stopped then.
    """
    progress = Progress(updates, screen or sys.stderr)
    running = [_Running(one, environment) for one in trainings]
    try:
        while True:
            # Asked for first: what a process wrote before it ended is read below.
            codes = [one.process.poll() for one in running]
            for one in running:
                one.read()
            lines = [list(one.figures) for one in running]
            for number in range(min(map(len, lines))):
                progress.show(min((found[number] for found in lines), key=lambda figures: figures["num_updates"]))
            for one in running:
                del one.figures[: min(map(len, lines))]
            for one, code in zip(running, codes):
                if code:
                    raise StageError(
                        f"training failed with exit code {code}; the end of {one.training.log_path}:\n{one.end}"
                    )
            if all(code == 0 for code in codes):
                return
            time.sleep(SECONDS_BETWEEN_LOOKS)
    finally:
        progress.close()
        for one in running:
            one.stop()


class _Running:
    """A training that runs; its log is read as it grows."""

    def __init__(self, training: Training, environment: Mapping[str, str] | None) -> None:
        self.training = training
        self.figures: list[dict[str, float]] = []
        self._tail: deque[str] = deque(maxlen=TAIL)
        self._rest = ""
        command = [*training.command, *LOG_OPTIONS]
        with training.log_path.open("a", encoding="utf-8") as log:
            print(shlex.join(command), file=log, flush=True)
            self._log = training.log_path.open(encoding="utf-8", errors="replace")
            self._log.seek(0, os.SEEK_END)
            self.process = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )

    @property
    def end(self) -> str:
        """The last lines of the log."""
        return "\n".join([*self._tail, self._rest]).rstrip()

    def read(self) -> None:
        """Take in what is new in the log."""
        *lines, self._rest = (self._rest + self._log.read()).split("\n")
        for line in lines:
            self._tail.append(line)
            figures = figures_of(line)
            if figures is not None:
                self.figures.append(figures)

    def stop(self) -> None:
        """End the process if it has not ended."""
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait()
        self._log.close()


def figures_of(line: str) -> dict[str, float] | None:
    """The numbers of a training line of fairseq's JSON log; None for all other lines."""
    if "| train_inner | {" not in line:
        return None
    try:
        found = json.loads(line[line.index("{") :])
        return {name: float(value) for name, value in found.items()}
    except ValueError:
        return None


class Progress:
    """One line: updates done, losses, time left."""

    def __init__(self, updates: int, screen: TextIO) -> None:
        self.updates = updates
        self.screen = screen
        self.moves = screen.isatty()
        self.start: tuple[float, float] | None = None
        self.shown = float("-inf")
        self.width = 0

    def show(self, figures: dict[str, float]) -> None:
        now = time.monotonic()
        done = figures["num_updates"]
        if self.start is None:
            self.start = (now, done)
        if not self.moves and now - self.shown < SECONDS_BETWEEN_LINES and done < self.updates:
            return
        self.shown = now
        line = self.line(figures, now)
        if self.moves:
            self.screen.write("\r" + line.ljust(self.width))
            self.width = len(line)
        else:
            self.screen.write(line + "\n")
        self.screen.flush()

    def line(self, figures: dict[str, float], now: float) -> str:
        done = figures["num_updates"]
        parts = [f"      {done:.0f} of {self.updates} updates ({100 * done / self.updates:.0f} %)"]
        parts += [f"{label} {figures[name]:.2f}" for name, label in LABELS.items() if name in figures]
        assert self.start is not None
        seconds, steps = now - self.start[0], done - self.start[1]
        if steps > 0 and done < self.updates:
            parts.append(f"{duration((self.updates - done) * seconds / steps)} left")
        return ", ".join(parts)

    def close(self) -> None:
        if self.moves and self.width:
            self.screen.write("\n")
            self.screen.flush()


LABELS = {"loss": "loss", "ppl": "perplexity", "alignment_loss": "alignment loss"}
