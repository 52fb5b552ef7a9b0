"""Processes that torchrun or SLURM started on one text: their parts become one file, or none.

They meet in a process group of torch's (gloo), because it tells at once when one of them has ended: files alone would
not tell a process that failed from one that is slow. What they write goes into files of a folder beside the output,
which the first process makes, and removes whatever happens.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import torch
from torch import distributed

from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.files.atomic import atomic_text, clear_write_errors, scratch_folder
from fairseq_guided_align.files.opening import PathLike
from fairseq_guided_align.files.processes import Process

Value = TypeVar("Value")

TO_BEGIN = timedelta(minutes=10)
"""How long a process waits for all others to start."""

TO_END = timedelta(days=7)
"""How long a process waits for the others' shares. Those that end before are noticed at once."""

TERMINATED = 143
"""Exit code of a process that SIGTERM ended."""


class ProcessGroup(AbstractContextManager):
    """The processes of a run, inside the ``with`` block; a process on its own needs no other.

    When one process leaves the block by an error, the others get one when they next wait for it.

    :param output: what the run makes, on a disk that all processes see.
    :raises GuidedAlignError: the others did not start, or cannot be reached.
    """

    def __init__(self, process: Process, output: PathLike) -> None:
        self.process = process
        self._output = Path(os.path.realpath(output))
        self._group: Any = None
        self._on_exit = ExitStack()

    def __enter__(self) -> ProcessGroup:
        if not self.process.is_alone:
            with ExitStack() as on_error:
                on_error.callback(self._leave)
                self._meet()
                on_error.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._leave()

    def _meet(self) -> None:
        # torchrun ends the others so, when one process fails: they have to clean up.
        before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
        self._on_exit.callback(signal.signal, signal.SIGTERM, before)
        where = "env://"
        if self.process.job is not None:
            # A file, because SLURM does not say which port is free.
            meeting = self._output.with_name(f".{self._output.name}.{self.process.job}.meeting")
            self._on_exit.callback(meeting.unlink, missing_ok=True)
            where = meeting.as_uri()
        try:
            distributed.init_process_group(
                "gloo", where, TO_BEGIN, rank=self.process.number, world_size=self.process.of
            )
            self._on_exit.callback(distributed.destroy_process_group)
            self._group = distributed.new_group(timeout=TO_END)
        except (RuntimeError, ValueError, OSError) as error:
            raise GuidedAlignError(
                f"process {self.process.number} of {self.process.of} cannot reach the others, or they did not start: "
                f"{str(error).splitlines()[0]}; start all of them with torchrun or srun"
            ) from error

    def _leave(self) -> None:
        self._on_exit.close()

    def gathered(self, value: Value) -> list[Value]:
        """The values of all processes, in their order.

        :raises GuidedAlignError: another process has failed.
        """
        if self.process.is_alone:
            return [value]
        values: list[Any] = [None] * self.process.of
        try:
            distributed.all_gather_object(values, value, group=self._group)
        except RuntimeError as error:
            raise GuidedAlignError(
                "another process of this run has failed; its message says why. Nothing was written"
            ) from error
        return values

    @contextmanager
    def outputs(self, paths: Sequence[PathLike | None]) -> Iterator[list[BinaryIO | None]]:
        """Streams for text that takes the place of ``paths`` when every process has left the block without an error.

        Each process writes its lines; the files have those of all processes, in their order.

        :param paths: None: the stream is None.
        :raises GuidedAlignError: another process has failed, or a file cannot be written. Nothing is left then.
        """
        with ExitStack() as stack:
            if self.process.is_alone:
                yield [None if path is None else stack.enter_context(atomic_text(path)) for path in paths]
                return
            with clear_write_errors(self._output), self._folder() as folder:
                with ExitStack() as parts:
                    yield [
                        None
                        if path is None
                        else parts.enter_context(open(_part(folder, number, self.process.number), "wb"))
                        for number, path in enumerate(paths)
                    ]
                self.gathered(None)
                if self.process.is_first:
                    self._join(folder, paths)
                # Success is told when the files are there.
                self.gathered(None)

    @contextmanager
    def _folder(self) -> Iterator[Path]:
        """The folder of all parts, which is gone at the end of the block."""
        with ExitStack() as stack:
            own = stack.enter_context(scratch_folder(self._output)) if self.process.is_first else None
            folder = self.gathered(own)[0]
            assert folder is not None, "the first process has made it"
            try:
                yield folder
            except BaseException:
                # torchrun may end a process that is ending already.
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                # The first process may have been killed.
                shutil.rmtree(folder, ignore_errors=True)
                raise

    def _join(self, folder: Path, paths: Sequence[PathLike | None]) -> None:
        with ExitStack() as files:
            for number, path in enumerate(paths):
                if path is None:
                    continue
                output = files.enter_context(atomic_text(path))
                for process in range(self.process.of):
                    part = _part(folder, number, process)
                    with open(part, "rb") as stream:
                        shutil.copyfileobj(stream, output)
                    part.unlink()


def _part(folder: Path, number: int, process: int) -> Path:
    """Where a process puts its part of an output."""
    return folder / f"{number}.{process}"


def device_of(process: Process, asked: str | None) -> str | None:
    """The device of a process: where several share a machine with GPUs, each takes the next one.

    :param asked: what the user says; a certain GPU, such as ``cuda:0``, is every process's.
    """
    if process.is_alone or asked not in (None, "cuda") or not torch.cuda.device_count():
        return asked
    return f"cuda:{process.on_machine % torch.cuda.device_count()}"
