"""How fast the loss's kernel is with other blocks and warps, beside a plain copy of memory.

    python -m benchmarks.gpu.kernel_choices [--vocabularies 4096,32768] [--json FILE]

What ``WHOLE_ROW``, ``LOOP_BLOCK`` and ``LOOP_WARPS`` of losses/cross_entropy_kernel.py were chosen by.
Speeds are terabytes a second: of a copy, what is read and written; of the kernel, 6 bytes for each logit, which is
read in float32, and whose difference is written in float16. Needs a GPU.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.results import write_json
from benchmarks.training.options import numbers
from fairseq_guided_align.losses.cross_entropy_kernel import cross_entropy_of_logits

CHOICES = [(8192, 16), (8192, 32), (16384, 16), (16384, 32), (32768, 32), (4096, 8)]
"""Entries taken at a time, and warps."""

ENTRIES = 2**27
REPEATS = 20


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu.kernel_choices",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--vocabularies", type=numbers, default=[4096, 8192, 16384, 20000, 32768, 131072])
    parser.add_argument("--device", choices=["cuda"], default="cuda", help="(default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_arguments(argv)
    left, right = torch.randn(2, ENTRIES, device="cuda")
    found: dict[str, Any] = {"copy": speed(lambda: right.copy_(left), 8 * ENTRIES)}
    print(f"copy: {found['copy']:.2f} TB/s")
    for vocabulary in args.vocabularies:
        speeds: dict[str, float] = {}
        for block, warps in [(None, None), *CHOICES]:
            name = "default" if block is None else f"{block:,} by {warps} warps"
            speeds[name] = of_kernel(left, vocabulary, block, warps)
            print(f"vocabulary {vocabulary:,}, {name}: {speeds[name]:.2f} TB/s", flush=True)
        found[f"vocabulary {vocabulary:,}"] = speeds
        if args.json:
            write_json(args.json, found)
    return 0


def of_kernel(entries: torch.Tensor, vocabulary: int, block: int | None, warps: int | None) -> float:
    """Speed of the kernel on these logits, as many rows as there are."""
    tokens = len(entries) // vocabulary
    logits = entries[: tokens * vocabulary].view(tokens, vocabulary)
    difference = torch.empty_like(logits, dtype=torch.float16)
    target = torch.randint(vocabulary, (tokens,), device="cuda")
    smoothed, likelihood = torch.empty(2, tokens, device="cuda")

    def launch() -> None:
        cross_entropy_of_logits(
            logits, target, 1, 1e-6, 2.0**14, smoothed, likelihood, None, difference, block=block, warps=warps
        )

    return speed(launch, 6 * logits.numel())


def speed(work: Callable[[], object], size: int) -> float:
    """Terabytes a second at the median; the first runs, which compile, do not count."""
    for _ in range(3):
        work()
    marks = [torch.cuda.Event(enable_timing=True) for _ in range(REPEATS + 1)]
    marks[0].record()
    for mark in marks[1:]:
        work()
        mark.record()
    torch.cuda.synchronize()
    milliseconds = statistics.median(one.elapsed_time(other) for one, other in zip(marks, marks[1:]))
    return size / milliseconds / 1e9


if __name__ == "__main__":
    sys.exit(main())
