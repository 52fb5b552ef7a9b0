"""Several trainings in a row by two real processes; run as a script, it is one of the two."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest


def main(specification: str, rank: str) -> None:
    """Run the trainings of the file ``specification``; the figures of this rank go to ``{specification}.{rank}``.

    The file holds ``runs``, each a list of arguments of ``fairseq-train``, and for all of them ``init_method``,
    ``backend`` and the ``devices`` of the ranks.
    """
    sys.path.insert(0, str(Path(__file__).parent.parent))
    from fairseq_runs import run_for_figures

    let_torchs_own_ddp_take_cpu_modules()
    wanted = json.loads(Path(specification).read_text(encoding="utf-8"))
    figures: list[Any] = []
    for arguments in wanted["runs"]:
        figures.append(
            run_for_figures(
                "train", *arguments, "--distributed-world-size", 2, "--distributed-rank", rank,
                "--distributed-no-spawn", "--distributed-backend", wanted["backend"],
                "--distributed-init-method", wanted["init_method"], "--device-id", wanted["devices"][int(rank)],
            )
        )  # fmt: skip
    Path(f"{specification}.{rank}").write_text(json.dumps(figures), encoding="utf-8")


def let_torchs_own_ddp_take_cpu_modules() -> None:
    """fairseq names a GPU to torch's ``DistributedDataParallel`` even where there is none, which torch refuses."""
    import torch
    from fairseq.models import distributed_fairseq_model

    own = torch.nn.parallel.DistributedDataParallel

    def without_devices(*args: Any, device_ids: Any = None, output_device: Any = None, **kwargs: Any) -> Any:
        return own(*args, **kwargs)

    for name in ("DistributedDataParallel", "TorchDistributedDataParallel"):
        if hasattr(distributed_fairseq_model, name):
            setattr(distributed_fairseq_model, name, without_devices)


def start_two(
    folder: Path, runs: list[list[str]], backend: str = "gloo", devices: Sequence[int] = (0, 0)
) -> list[subprocess.Popen[bytes]]:
    """Start both ranks; their figures and logs go to ``folder``.

    :param devices: number of each rank's GPU, where the trainings take one.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    specification = folder / "runs.json"
    init_method = f"tcp://127.0.0.1:{port}"
    wanted = {"init_method": init_method, "runs": runs, "backend": backend, "devices": devices}
    specification.write_text(json.dumps(wanted))
    processes = []
    for rank in range(2):
        with (folder / f"rank{rank}.log").open("wb") as log:
            processes.append(
                subprocess.Popen(
                    [sys.executable, "-W", "ignore", __file__, str(specification), str(rank)],
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, "OMP_NUM_THREADS": "1"},
                )
            )
    return processes


def finish(folder: Path, processes: list[subprocess.Popen[bytes]]) -> list[list[list[dict[str, Any]]]]:
    """Figures of each rank's trainings; the test fails where a rank does, or does not end."""
    try:
        for process in processes:
            process.wait(timeout=240)
    except subprocess.TimeoutExpired:
        pytest.fail("the two ranks hang; the end of the log of rank 0:\n" + tail(folder / "rank0.log"))
    finally:
        for process in processes:
            process.kill()
            process.wait()
    for rank, process in enumerate(processes):
        assert process.returncode == 0, f"rank {rank} failed:\n" + tail(folder / f"rank{rank}.log")
    return [json.loads((folder / f"runs.json.{rank}").read_text(encoding="utf-8")) for rank in range(2)]


def tail(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")[-4000:]


if __name__ == "__main__":
    main(*sys.argv[1:])
