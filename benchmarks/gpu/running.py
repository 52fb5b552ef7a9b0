"""Runs parts under their limits and takes in the figures that they left, whole or not."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO
from xml.etree import ElementTree

from benchmarks.gpu.parts import Part

GRACE = 5.0
"""Seconds that an interrupted part has to write what it knows, before it is killed."""

BETWEEN_LOOKS = 0.1


def run_together(
    parts: Sequence[Part], seconds: float, work: Path, log: BinaryIO
) -> Iterator[tuple[Part, dict[str, Any]]]:
    """Run parts side by side; each comes with its outcome as soon as it ends.

    The outcome holds ``outcome`` (done, failed or stopped), ``seconds``, ``reason`` where it is not done, and
    ``figures``, as far as the part had come.

    :param seconds: none of them takes longer, whatever its own limit.
    :param work: folder that all parts share, for checkpoints.
    :param log: takes what each part printed, when it ends.
    """
    with tempfile.TemporaryDirectory() as folder:
        running = [
            _Running(part, min(part.seconds, seconds), Path(folder) / str(number), work)
            for number, part in enumerate(parts)
        ]
        try:
            while running:
                time.sleep(BETWEEN_LOOKS)
                for one in [one for one in running if one.has_ended()]:
                    running.remove(one)
                    yield one.part, one.outcome(log)
        finally:
            for one in running:
                one.kill()


class _Running:
    """A part's process, with all that it starts."""

    def __init__(self, part: Part, limit: float, folder: Path, work: Path) -> None:
        self.part, self.limit = part, limit
        folder.mkdir()
        self._figures = folder / ("figures.xml" if "--junitxml" in part.command else "figures.json")
        self._printed = folder / "log"
        command = [word.format(figures=self._figures, work=work) for word in part.command]
        with self._printed.open("wb") as printed:
            printed.write(f"\n== {part.name}: {' '.join(command)}\n".encode())
            printed.flush()
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=printed, stderr=subprocess.STDOUT, start_new_session=True
            )
        self._start = time.monotonic()
        self._interrupted = False

    def has_ended(self) -> bool:
        """Whether it has; past its limit, it is interrupted, and then killed."""
        if self._process.poll() is not None:
            return True
        spent = time.monotonic() - self._start
        if spent > self.limit + GRACE:
            self.kill()
            return True
        if spent > self.limit and not self._interrupted:
            self._interrupted = True
            self._signal(signal.SIGINT)
        return False

    def kill(self) -> None:
        """End it, and whatever it started that outlived it."""
        self._interrupted |= self._process.poll() is None
        self._signal(signal.SIGKILL)
        self._process.wait()

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def outcome(self, log: BinaryIO) -> dict[str, Any]:
        seconds = time.monotonic() - self._start
        self.kill()
        log.write(self._printed.read_bytes())
        log.flush()
        found: dict[str, Any] = {"outcome": "done", "seconds": round(seconds, 1)}
        if self._interrupted:
            found.update(outcome="stopped", reason=f"not done after {self.limit:.0f} s")
        elif self._process.returncode:
            found.update(outcome="failed", reason=f"exit code {self._process.returncode}; see the log")
        return {**found, "figures": _read(self._figures)}


def _read(path: Path) -> Any | None:
    """Figures of a part; None if it left none."""
    try:
        return _tests(path) if path.suffix == ".xml" else json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, ElementTree.ParseError):
        return None


def _tests(path: Path) -> dict[str, Any]:
    """Number of tests that passed; names and reasons of those that failed or were skipped."""
    passed = 0
    failed, skipped = {}, {}
    for case in ElementTree.parse(path).iter("testcase"):
        name = f"{case.get('classname', '').rpartition('.')[2]}::{case.get('name')}"
        problem = next((one for one in case if one.tag in ("failure", "error")), None)
        omitted = case.find("skipped")
        if problem is not None:
            failed[name] = (problem.get("message") or "").partition("\n")[0][:300]
        elif omitted is not None:
            skipped[name] = omitted.get("message") or ""
        else:
            passed += 1
    return {"passed": passed, "failed": failed, "skipped": skipped}
