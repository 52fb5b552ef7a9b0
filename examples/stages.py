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
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path


class StageError(RuntimeError):
    """A stage could not do its work; the message says why and what to do."""


@dataclass(frozen=True)
class Stage:
    """One step of the work.

    name: name of its folder; title: what it does, for the screen; action: does it, given the folder;
    outputs: files in the folder that it must leave behind; settings: all that its result depends on, besides
    the stages it `needs`; resumable: the action goes on from a folder that an interrupted run left.
    """

    name: str
    title: str
    action: Callable[[Path], None]
    outputs: tuple[str, ...]
    settings: Mapping[str, object] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    resumable: bool = False


class Pipeline:
    """Stages in order, below one folder."""

    def __init__(self, root: Path, say: Callable[[str], None]) -> None:
        self.root = root
        self.say = say
        self.stages: dict[str, Stage] = {}

    def add(self, stage: Stage) -> None:
        missing = set(stage.needs) - self.stages.keys()
        if missing or stage.name in self.stages:
            raise ValueError(f"stage {stage.name!r}: named twice, or before what it needs: {sorted(missing)}")
        self.stages[stage.name] = stage

    def folder(self, name: str) -> Path:
        return self.root / name

    def seconds(self, name: str) -> float:
        """Wall time of a stage that is done, over all runs that it took."""
        return float(self._record(name)["seconds"])  # type: ignore[arg-type]

    def run(self) -> None:
        """Does what is not done yet. Raises StageError, also if another run works in the same folder."""
        with self._locked():
            for number, stage in enumerate(self.stages.values(), 1):
                heading = f"[{number}/{len(self.stages)}] {stage.title}"
                key = self.key(stage.name)
                if self._is_done(stage, key):
                    self.say(f"{heading}: done before, reused")
                    continue
                self.say(heading)
                self._do(stage, key)

    def key(self, name: str) -> str:
        """Hash of everything that the stage's result depends on."""
        stage = self.stages[name]
        parts = [stage.name, stage.outputs, stage.settings, [self.key(need) for need in stage.needs]]
        return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()

    def _do(self, stage: Stage, key: str) -> None:
        folder = self.folder(stage.name)
        record = self._record(stage.name)
        goes_on = stage.resumable and record.get("key") == key and record.get("state") == "started"
        before = float(record.get("seconds", 0.0)) if goes_on else 0.0  # type: ignore[arg-type]
        if not goes_on and folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self._write_record(stage.name, {"key": key, "state": "started", "seconds": before})
        start = time.monotonic()
        try:
            stage.action(folder)
        except BaseException:
            spent = before + time.monotonic() - start
            self._write_record(stage.name, {"key": key, "state": "started", "seconds": spent})
            raise
        missing = [name for name in stage.outputs if not (folder / name).exists()]
        if missing:
            raise StageError(f"{stage.title}: expected {', '.join(missing)} in {folder}; not there")
        spent = before + time.monotonic() - start
        sizes = {name: (folder / name).stat().st_size for name in stage.outputs}
        self._write_record(stage.name, {"key": key, "state": "done", "seconds": spent, "sizes": sizes})
        self.say(f"      done in {duration(spent)}")

    def _is_done(self, stage: Stage, key: str) -> bool:
        record = self._record(stage.name)
        if record.get("key") != key or record.get("state") != "done":
            return False
        sizes = record["sizes"]
        assert isinstance(sizes, dict)
        for name in stage.outputs:
            path = self.folder(stage.name) / name
            if not path.exists() or path.stat().st_size != sizes.get(name):
                return False
        return True

    def _record(self, name: str) -> dict[str, object]:
        try:
            record = json.loads(self._record_path(name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return record if isinstance(record, dict) else {}

    def _write_record(self, name: str, record: dict[str, object]) -> None:
        path = self._record_path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        os.replace(temporary, path)

    def _record_path(self, name: str) -> Path:
        return self.root / ".stages" / f"{name}.json"

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise StageError(f"another run is at work in {self.root}; wait for it to end") from error
            yield


def duration(seconds: float) -> str:
    """12.3 -> '12 s', 75 -> '1 min 15 s'."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{whole} s"
    return f"{whole // 60} min {whole % 60:02d} s"
