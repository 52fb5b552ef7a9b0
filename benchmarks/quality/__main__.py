"""Translation and alignment measured together, for many settings of the guidance.

    python -m benchmarks.quality --work FOLDER [--vary weight=0,0.5,1,4] [--vary layers=-1,-2]
        [--setting heads=all,reduction=each] [--seeds 1,2,3] [--both] [--minutes 60] [--json FILE] [--plot FILE]

Each combination of the values named by --vary, and each --setting, is trained with each seed, and scored on the
validation text. Where time is up, the same command goes on later: a training that is done is not done again, one that
was stopped goes on.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from benchmarks.quality.corpora import CORPORA, prepare
from benchmarks.quality.measuring import figures_file, measure
from benchmarks.quality.report import draw, table
from benchmarks.quality.settings import Setting, combinations, named
from benchmarks.results import write_json


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.quality", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True, help="folder for text, checkpoints and figures")
    parser.add_argument("--corpus", choices=list(CORPORA), default="greek-english", help="(default: %(default)s)")
    parser.add_argument(
        "--vary",
        type=values,
        action="append",
        default=[],
        metavar="NAME=VALUE,...",
        help="values of a setting: " + ", ".join(Setting.__dataclass_fields__) + "; may be repeated",
    )
    parser.add_argument(
        "--setting",
        type=setting,
        action="append",
        default=[],
        metavar="NAME=VALUE,...",
        help="one more; may be repeated",
    )
    parser.add_argument("--seeds", type=lambda text: [int(seed) for seed in text.split(",")], default=[1, 2, 3])
    parser.add_argument("--both", action="store_true", help="also train the other direction and read both together")
    parser.add_argument("--split", choices=["valid", "test"], default="valid", help="text to score (default: valid)")
    parser.add_argument("--minutes", type=float, default=60, help="start no training later (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="trainings at once, one thread each")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="(default: %(default)s)")
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="the --work of an earlier run, which has the text")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures here")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw AER against BLEU")
    args = parser.parse_args(argv)
    try:
        # Without --vary, no combination is wanted beside the settings that are named.
        varied = combinations(dict(args.vary), args.seeds) if args.vary or not args.setting else []
    except ValueError as error:
        parser.error(f"--vary: {error}")
    found = [*varied, *(replace(one, seed=seed) for seed in args.seeds for one in args.setting)]
    args.settings = sorted(dict.fromkeys(found), key=lambda one: args.seeds.index(one.seed))
    return args


def values(text: str) -> tuple[str, list[str]]:
    """`weight=0,1` as a name and its values; commas within a value are written as plus signs."""
    name, equals, given = text.partition("=")
    if not equals or not given:
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE,VALUE; got {text!r}")
    return name, [value.replace("+", ",") for value in given.split(",")]


def setting(text: str) -> Setting:
    """A setting, as --setting names it."""
    try:
        return named(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_arguments(argv)
    data = prepare(args.corpus, (args.data or args.work) / args.corpus)
    # Trainings side by side would fight for processors.
    os.environ["OMP_NUM_THREADS"] = "1"
    end = time.monotonic() + 60 * args.minutes
    results: dict[Setting, dict[str, Any]] = {}

    def one(setting: Setting) -> None:
        folder = args.work / args.corpus / "trainings" / setting.name
        if time.monotonic() < end or figures_file(folder, args.split, args.both).exists():
            results[setting] = measure(setting, data, folder, args.split, args.both, args.device)
            write()
            print(f"{len(results)} of {len(args.settings)}: {setting.name}", file=sys.stderr, flush=True)

    def write() -> None:
        if args.json:
            found = [(setting, results[setting]) for setting in args.settings if setting in results]
            write_json(args.json, [{"setting": asdict(setting), **figures} for setting, figures in found])

    with ThreadPoolExecutor(args.jobs) as pool:
        list(pool.map(one, args.settings))
    found = [(setting, results[setting]) for setting in args.settings if setting in results]
    print(table(found))
    if len(found) < len(args.settings):
        print(f"{len(args.settings) - len(found)} not reached; the same command goes on", file=sys.stderr)
    write()
    if args.plot and found:
        draw(found, args.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
