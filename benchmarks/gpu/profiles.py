"""Where the time of one training step goes, operator by operator: fairseq's without alignments, and ours.

    python -m benchmarks.gpu.profiles [--device cuda --dtype float16] [--json FILE]

Of some steps after the first ones: the kernels that take the most time on the device, how many are started, and the
share of the step in which the device is at work (below 1, it waits for the host).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.results import write_json
from benchmarks.training.cases import FAIRSEQ, OURS_CE, Setting, loss_cases, step_cases
from benchmarks.training.options import DTYPES

STEPS = 3
SHOWN = 25


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu.profiles",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="(default: %(default)s)")
    parser.add_argument("--dtype", choices=DTYPES, default="float16", help="of the model (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="a tiny model")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_arguments(argv)
    sizes = ("small", 512, 64) if args.quick else ("base", 32768, 16384)
    dtype = torch.float32 if args.device == "cpu" else DTYPES[args.dtype]
    setting = Setting(*sizes, args.device, dtype)
    found: dict[str, Any] = {"model": sizes[0], "vocabulary": sizes[1], "tokens": sizes[2], "dtype": str(dtype)}
    cases = {f"step, {name}": case for name, case in step_cases(setting)[0].items() if name in (FAIRSEQ, OURS_CE)}
    cases.update({f"loss, {name}": case for name, case in loss_cases(setting).items()})
    for name, case in cases.items():
        found[name] = profiled(case, args.device)
        show(name, found[name])
        if args.json:
            write_json(args.json, found)
    return 0


def profiled(case: Callable[[], object], device: str) -> dict[str, Any]:
    """Milliseconds of a step, of the device's work in it, and of the operators that take the most.

    ``wall`` is measured without the profiler, which slows the host down.
    """
    finish = torch.cuda.synchronize if device == "cuda" else lambda: None
    for _ in range(2):
        case()
    finish()
    start = time.perf_counter()
    for _ in range(STEPS):
        case()
    finish()
    wall = (time.perf_counter() - start) / STEPS
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device == "cuda" else [])]
    with profile(activities=activities) as seen:
        for _ in range(STEPS):
            case()
        finish()

    rows = [
        (one.key, one.count, one.self_device_time_total if device == "cuda" else one.self_cpu_time_total)
        for one in seen.key_averages()
        # The profiler's own marks of a range, such as an optimiser's step, are no work
        if (device == "cpu" or str(one.device_type).endswith("CUDA")) and not one.is_user_annotation
    ]
    rows.sort(key=lambda row: -row[2])
    busy = sum(row[2] for row in rows) / 1e6 / STEPS
    return {
        "wall_ms": 1000 * wall,
        "busy_ms": 1000 * busy,
        "busy_share": busy / wall,
        "started": sum(row[1] for row in rows) / STEPS,
        "operators": [
            {"name": name[:160], "times": count / STEPS, "ms": time / 1000 / STEPS}
            for name, count, time in rows[:SHOWN]
        ],
    }


def show(name: str, found: dict[str, Any]) -> None:
    print(
        f"{name}: {found['wall_ms']:.1f} ms, of which the device works {found['busy_ms']:.1f} ms "
        f"({100 * found['busy_share']:.0f} %) on {found['started']:.0f} kernels"
    )
    for one in found["operators"]:
        print(f"  {one['ms']:8.3f} ms  {one['times']:6.0f} x  {one['name'][:120]}")


if __name__ == "__main__":
    sys.exit(main())
