"""Work in stages that are done once: each has a folder, and a record of what it was made from.

A stage is done again when its settings, or a stage that it needs, have changed; otherwise a second run reuses
it. A stage that was interrupted starts afresh in an empty folder, unless it can go on where it stopped.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class StageError(RuntimeError):
    """A stage could not do its work; the message says why and what to do."""


class Stages:
    """Stages below one folder, which is the caller's alone inside of :meth:`alone`.

    :param count: how many stages there will be, for the screen.
    """

    def __init__(self, root: Path, count: int, say: Callable[[str], None]) -> None:
        self.root, self.count, self.say = root, count, say
        self.keys: dict[str, str] = {}
        self.seconds: dict[str, float] = {}
        """Wall time of each stage that is done, over all runs that it took."""

    def do(
        self, name: str, title: str, make: Callable[[Path], None], outputs: Sequence[str], settings: Any = None,
        needs: Sequence[str] = (), goes_on: bool = False,
    ) -> None:  # fmt: skip
        """Does a stage, unless it is done already.

        :param name: of its folder; ``title``: what it does, for the screen.
        :param make: does the work in the folder that it is given.
        :param outputs: files in the folder that it must leave behind.
        :param settings: all that its result depends on, besides the stages that it ``needs``.
        :param goes_on: whether ``make`` goes on from a folder that an interrupted run left.
        :raises StageError: ``make`` says so, or left an output out.
        """
        folder, heading = self.root / name, f"[{len(self.keys) + 1}/{self.count}] {title}"
        made_of = [name, outputs, settings, [self.keys[need] for need in needs]]
        key = self.keys[name] = hashlib.sha256(json.dumps(made_of, sort_keys=True, default=str).encode()).hexdigest()
        record = self._record(name)
        if record.get("key") == key and record.get("sizes") == _sizes(folder, outputs):
            self.say(f"{heading}: done before, reused")
            self.seconds[name] = record["seconds"]
            return
        self.say(heading)
        started = goes_on and record.get("key") == key and "sizes" not in record
        before = record["seconds"] if started else 0.0
        if not started:
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        start = time.monotonic()
        self._write(name, {"key": key, "seconds": before})
        try:
            make(folder)
        finally:
            self.seconds[name] = before + time.monotonic() - start
            self._write(name, {"key": key, "seconds": self.seconds[name]})
        sizes = _sizes(folder, outputs)
        missing = [output for output in outputs if sizes[output] is None]
        if missing:
            raise StageError(f"{title}: expected {', '.join(missing)} in {folder}; not there")
        self._write(name, {"key": key, "seconds": self.seconds[name], "sizes": sizes})
        self.say(f"      done in {duration(self.seconds[name])}")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Raises StageError if another run works in the same folder."""
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise StageError(f"another run is at work in {self.root}; wait for it to end") from error
            yield

    def _record(self, name: str) -> dict[str, Any]:
        try:
            return dict(json.loads((self.root / ".stages" / f"{name}.json").read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return {}

    def _write(self, name: str, record: dict[str, Any]) -> None:
        (self.root / ".stages").mkdir(exist_ok=True)
        write_whole(self.root / ".stages" / f"{name}.json", json.dumps(record, indent=2) + "\n")


def _sizes(folder: Path, outputs: Sequence[str]) -> dict[str, int | None]:
    paths = {name: folder / name for name in outputs}
    return {name: path.stat().st_size if path.exists() else None for name, path in paths.items()}


def write_whole(path: Path, text: str) -> None:
    """Writes a file that is complete or not there."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text, encoding="utf-8", newline="\n")
    os.replace(temporary, path)


def duration(seconds: float) -> str:
    """12.3 -> '12 s', 75 -> '1 min 15 s'."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{whole} s"
    return f"{whole // 60} min {whole % 60:02d} s"
