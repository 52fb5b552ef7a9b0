"""Several processes of torchrun or SLURM: which of them this is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

from fairseq_guided_align.errors import GuidedAlignError


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
