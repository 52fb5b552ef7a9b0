"""Runs a part under its limit and takes in the figures that it left, whole or not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, BinaryIO, Optional
from xml.etree import ElementTree

from benchmarks.gpu.parts import Part

GRACE = 5.0
"""Seconds that an interrupted part has to write what it knows, before it is killed."""


def run_part(part: Part, limit: float, work: Path, log: BinaryIO) -> dict[str, Any]:
    """What came of a part.

    :param limit: seconds.
    :param work: folder that the parts share, for checkpoints.
    :param log: takes everything that the part prints.
    :return: ``outcome`` (done, failed or stopped), ``seconds``, ``reason`` where it is not done, and ``figures``, as
        far as the part had come.
    """
    with tempfile.TemporaryDirectory() as folder:
        figures = Path(folder) / ("figures.xml" if "--junitxml" in part.command else "figures.json")
        command = [word.format(figures=figures, work=work) for word in part.command]
        log.write(f"\n== {part.name}: {' '.join(command)}\n".encode())
        log.flush()
        start = time.monotonic()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        code = _wait(process, limit)
        found: dict[str, Any] = {"outcome": "done", "seconds": round(time.monotonic() - start, 1)}
        if code is None:
            found.update(outcome="stopped", reason=f"not done after {limit:.0f} s")
        elif code:
            found.update(outcome="failed", reason=f"exit code {code}; see the log")
        found["figures"] = _read(figures)
        return found


def _wait(process: subprocess.Popen[bytes], limit: float) -> Optional[int]:
    """The exit code, or None if the process and what it started had to be stopped."""
    try:
        return process.wait(timeout=limit)
    except subprocess.TimeoutExpired:
        pass
    finally:
        if process.poll() is None:
            _signal(process, signal.SIGINT)
            try:
                process.wait(timeout=GRACE)
            except subprocess.TimeoutExpired:
                pass
        # What it started may outlive it.
        _signal(process, signal.SIGKILL)
        process.wait()
    return None


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        pass


def _read(path: Path) -> Any:
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
