"""Several processes of torchrun or SLURM on one text: which of them this is, and which lines are its share."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.files.atomic import STANDARD_OUTPUT
from fairseq_guided_align.files.byte_lines import count_lines, raise_length_error
from fairseq_guided_align.files.opening import PathLike, is_pipe


class Process(NamedTuple):
    """One of the processes of a run.

    :param number: from 0, over all machines.
    :param of: how many there are.
    :param on_machine: its number among those of its machine, from 0, which chooses its GPU.
    :param job: names the run where SLURM started it; None: torchrun did, or nothing.
    """

    number: int = 0
    of: int = 1
    on_machine: int = 0
    job: str | None = None

    @property
    def is_first(self) -> bool:
        """Whether it is the one that speaks for all."""
        return self.number == 0

    @property
    def is_alone(self) -> bool:
        return self.of == 1


TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
SLURM = ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID", "SLURM_JOB_ID", "SLURM_STEP_ID")
"""Only a task of ``srun`` has ``SLURM_STEP_ID``; a command that a batch script runs by itself has just the others."""


def this_process(environment: Mapping[str, str] = os.environ) -> Process:
    """What torchrun's variables say, else those of a task of ``srun``; without either, one process.

    :raises GuidedAlignError: a variable is not the number that it should be.
    """
    for names in (TORCHRUN, SLURM):
        if not all(environment.get(name) for name in names):
            continue
        number, of, on_machine = (_whole_number(name, environment[name]) for name in names[:3])
        if of < 1 or number >= of:
            raise GuidedAlignError(f"{names[0]}: expected a number below {names[1]}, which is {of}; got {number}")
        attempt = environment.get("SLURM_RESTART_COUNT", "0")
        job = f"{environment['SLURM_JOB_ID']}-{environment['SLURM_STEP_ID']}-{attempt}" if names is SLURM else None
        return Process(number, of, on_machine, job)
    return Process()


def _whole_number(name: str, value: str) -> int:
    if not value.isdecimal():
        raise GuidedAlignError(f"{name}: expected the whole number that torchrun or srun sets; got {value!r}")
    return int(value)


def share_of(lines: int, process: Process, block: int) -> range:
    """Positions, from 0, of the lines of one process: consecutive, and about as many for each.

    With ten blocks or more for each process, shares begin where blocks begin. The batches are then those of a single
    process, and so is every digit of a probability.

    :param lines: of the whole text.
    :param block: lines that a single process sorts into batches together.
    """
    step = block if lines >= 10 * block * process.of else 1
    steps = -(-lines // step)
    begin, end = (min(lines, number * steps // process.of * step) for number in (process.number, process.number + 1))
    return range(begin, end)


def share_of_files(files: Sequence[PathLike], process: Process, block: int) -> range | None:
    """The share of a text of two or more files with as many lines; None, all of it, for a single process.

    :raises AlignmentLengthError: the files have different numbers of lines.
    :raises GuidedAlignError: a file cannot be read.
    """
    if process.is_alone:
        return None
    lines = [count_lines(path) for path in files]
    if len(set(lines)) > 1:
        raise_length_error(files)
    return share_of(lines[0], process, block)


def share_in_a_row(files: Sequence[PathLike], process: Process) -> range | None:
    """The share of a text that goes on from one file to the next; None, all of it, for a single process.

    :raises GuidedAlignError: a file cannot be read.
    """
    return None if process.is_alone else share_of(sum(map(count_lines, files)), process, 1)


def check_can_be_shared(path: PathLike, process: Process) -> None:
    """:raises GuidedAlignError: several processes cannot read their lines of it, because it is a pipe."""
    if not process.is_alone and is_pipe(path):
        raise GuidedAlignError(
            f"{path}: expected a file, of which several processes read their lines; got a pipe; write it to a file"
            " first, or run one process"
        )


def check_can_be_joined(path: PathLike, option: str, process: Process) -> None:
    """:raises GuidedAlignError: several processes cannot write it together, because it is not a file."""
    if not process.is_alone and (str(path) == STANDARD_OUTPUT or (Path(path).exists() and not Path(path).is_file())):
        raise GuidedAlignError(
            f"{option}: expected a file, beside which several processes put their parts; got {path}; name a file on"
            " a disk that all of them see, or run one process"
        )
