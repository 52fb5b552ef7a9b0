"""Everything that is measured on a GPU, offline, in one go, the most important first.

    bash benchmarks/gpu/run.sh [--output FOLDER]      (which brings what the machine lacks, then starts this)

Writes results.json after each part, so that a stop loses only what was not reached; log.txt holds what the parts
print, and table.md the tables, which are printed at the end as well.
"""

from __future__ import annotations

import argparse
import itertools
import os
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.gpu.machine import described
from benchmarks.gpu.parts import Part, parts
from benchmarks.gpu.report import tables
from benchmarks.gpu.running import run_together
from benchmarks.results import write_json

HERE = Path(__file__).parent
LEAST_SECONDS = 5
"""With fewer left, no further part begins."""


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bash benchmarks/gpu/run.sh", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, help="folder for the results (default: benchmarks/gpu/results)")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda", help="(default: %(default)s)")
    parser.add_argument(
        "--quick", action="store_true", help="tiny sizes: shows that everything works, measures nothing"
    )
    parser.add_argument(
        "--seconds", type=float, default=480, help="of all parts together; later ones are left out (default: 480)"
    )
    parser.add_argument("--only", metavar="REGEX", help="only parts in whose name this is found, such as 'loss|steps'")
    parser.add_argument(
        "--work", type=Path, help="folder that keeps the trainings, for a further run (default: they are deleted)"
    )
    parser.add_argument("--list", action="store_true", help="list the parts and their limits, and end")
    return parser.parse_args(argv)


def groups(chosen: Sequence[Part]) -> list[list[Part]]:
    """Parts that run together, in order."""
    return [
        group
        for alone, neighbours in itertools.groupby(chosen, key=lambda part: part.alone)
        for group in ([[part] for part in neighbours] if alone else [list(neighbours)])
    ]


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_arguments(argv)
    kit = Path(os.environ.get("KIT") or HERE / "kit").resolve()
    chosen = parts(kit, args.device, args.quick)
    if args.only:
        chosen = [part for part in chosen if re.search(args.only, part.name)]
        if not chosen:
            print(f"error: --only {args.only}: no part has such a name; --list shows them", file=sys.stderr)
            return 2
    if args.list:
        print("\n".join(f"{part.seconds:4} s  {part.name}" for part in chosen))
        return 0
    if not (kit / "greek-english" / "data-bin").is_dir():
        print(
            f"error: {kit}: no such folder with greek-english/data-bin; make it where there is a network:\n"
            "       bash benchmarks/gpu/prepare.sh",
            file=sys.stderr,
        )
        return 2
    import torch

    if args.device == "cuda" and not torch.cuda.is_available():
        print(
            f"error: torch {torch.__version__} sees no GPU; --device cpu --quick shows that everything works",
            file=sys.stderr,
        )
        return 2
    output = args.output or HERE / "results"
    output.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {"quick": args.quick, "parts": {part.name: {"outcome": "not reached"} for part in chosen}}
    if args.device == "cpu":
        for part in [part for part in chosen if part.gpu_only]:
            results["parts"][part.name] = {"outcome": "skipped", "reason": "needs a GPU"}
            chosen.remove(part)
    end = time.monotonic() + args.seconds
    os.environ.setdefault("OMP_NUM_THREADS", "1" if args.device == "cpu" else "4")
    with tempfile.TemporaryDirectory() as temporary, (output / "log.txt").open("wb") as log:
        results["machine"] = described(args.device)
        write_json(output / "results.json", results)
        work = args.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        for group in groups(chosen):
            left = end - time.monotonic()
            if left < LEAST_SECONDS:
                break
            print(f"{datetime.now():%H:%M:%S} {', '.join(part.name for part in group)}", file=sys.stderr, flush=True)
            for part, found in run_together(group, left, work, log):
                print(
                    f"         {part.name}: {found['outcome']}, {found['seconds']:.0f} s", file=sys.stderr, flush=True
                )
                results["parts"][part.name] = found
                write_json(output / "results.json", results)
    text = "\n".join(tables(results))
    (output / "table.md").write_text(text + "\n", encoding="utf-8")
    print(text)
    failed = [name for name, part in results["parts"].items() if part["outcome"] == "failed"]
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
