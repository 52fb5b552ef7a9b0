"""Several trainings in a row by two real processes."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import fairseq_cli.train  # noqa: F401
import pytest
import torch
import torch._dynamo  # What every training imports in the end
from fairseq_runs import run_for_figures


def start_two(folder: Path, runs: list[list[str]], backend: str = "gloo", devices: Sequence[int] = (0, 0)) -> list[Any]:
    """Start both ranks; their figures and logs go to ``folder``.

    :param runs: arguments of ``fairseq-train``, one list a training.
    :param devices: number of each rank's GPU, where the trainings take one.
    :return: the processes.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = [
        "--distributed-world-size", 2, "--distributed-no-spawn", "--distributed-backend", backend,
        "--distributed-init-method", f"tcp://127.0.0.1:{port}",
    ]  # fmt: skip
    # A fork has what is imported above, which takes seconds; CUDA does not go on in it
    context: Any = multiprocessing.get_context("spawn" if torch.cuda.is_available() else "fork")
    processes = []
    for rank, device in enumerate(devices):
        (folder / f"rank{rank}.log").touch()
        own = ["--distributed-rank", rank, "--device-id", device]
        process = context.Process(target=train_all, args=(folder, rank, [[*run, *common, *own] for run in runs]))
        process.start()
        processes.append(process)
    return processes


def train_all(folder: Path, rank: int, runs: list[list[object]]) -> None:
    """What one of the processes does."""
    log_to(folder / f"rank{rank}.log")
    let_torchs_own_ddp_take_cpu_modules()
    figures = [run_for_figures("train", *arguments) for arguments in runs]
    (folder / f"figures.{rank}.json").write_text(json.dumps(figures), encoding="utf-8")


def log_to(path: Path) -> None:
    """Adds all that this process says from now on, which is a fork, to a file."""
    logging.getLogger().handlers.clear()
    output = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.stdout = sys.stderr = os.fdopen(1, "w", buffering=1, closefd=False, encoding="utf-8")
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, force=True)


def let_torchs_own_ddp_take_cpu_modules() -> None:
    """fairseq names a GPU to torch's ``DistributedDataParallel`` even where there is none, which torch refuses."""
    from fairseq.models import distributed_fairseq_model

    own = torch.nn.parallel.DistributedDataParallel

    def without_devices(*args: Any, device_ids: Any = None, output_device: Any = None, **kwargs: Any) -> Any:
        return own(*args, **kwargs)

    for name in ("DistributedDataParallel", "TorchDistributedDataParallel"):
        if hasattr(distributed_fairseq_model, name):
            setattr(distributed_fairseq_model, name, without_devices)


def finish(folder: Path, processes: list[Any]) -> list[list[list[dict[str, Any]]]]:
    """Figures of each rank's trainings; the test fails where a rank does, or does not end."""
    try:
        for process in processes:
            process.join(240)
        if any(process.is_alive() for process in processes):
            pytest.fail("the two ranks hang; the end of the log of rank 0:\n" + tail(folder / "rank0.log"))
    finally:
        kill(processes)
    for rank, process in enumerate(processes):
        assert process.exitcode == 0, f"rank {rank} failed:\n" + tail(folder / f"rank{rank}.log")
    return [json.loads((folder / f"figures.{rank}.json").read_text(encoding="utf-8")) for rank in range(2)]


def kill(processes: list[Any]) -> None:
    for process in processes:
        process.kill()
        process.join()


def tail(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")[-4000:]
