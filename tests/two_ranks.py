"""One rank of several trainings in a row, started by ``test_workers.py``: two processes with gloo, on the CPU."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def main(specification: str, rank: str) -> None:
    """Run the trainings of the file ``specification``; the figures of this rank go to ``{specification}.{rank}``.

    The file holds ``init_method`` and ``runs``, each a list of arguments of ``fairseq-train``.
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
                "--distributed-no-spawn", "--distributed-backend", "gloo",
                "--distributed-init-method", wanted["init_method"],
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


if __name__ == "__main__":
    main(*sys.argv[1:])
