"""What each step of data preparation costs for a million sentence pairs, and how the cost grows.

    python -m benchmarks.costs --prefix text/train --source-lang grc --target-lang en --pairs 50000 200000 \\
        [--checkpoint checkpoints/checkpoint_last.pt --data data-bin]

The text is made as in `benchmarks.preprocessing`; every step runs in one process. A model works on the first of the
smallest text's pairs, as many as --model-pairs says, on the device that --device names.

- align: in chunks of --chunk-pairs, with priors of a sample of as many pairs. eflomal iterates less, the larger a text
  is: by default, --length is such that a chunk gets the iterations of two million pairs.
- seconds are the processors', user and system, of all processes; memory is the peak of all processes together.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.preprocessing import Measured, langs, languages, measure, train_models, write_text
from benchmarks.results import write_json

PROJECTED = (10**8, 10**9)
USUAL_CHUNK = 2_000_000


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--prefix", required=True, help="text to start from: PREFIX.SOURCE, PREFIX.TARGET, PREFIX.align"
    )
    parser.add_argument("--source-lang", "-s", required=True)
    parser.add_argument("--target-lang", "-t", required=True)
    parser.add_argument("--pairs", type=int, nargs="+", default=[50_000, 200_000], help="sizes (default: 50000 200000)")
    parser.add_argument("--chunk-pairs", type=int, default=25_000, help="of align (default: %(default)s)")
    parser.add_argument("--length", type=float, help="of align's iterations (default: see above)")
    parser.add_argument("--vocab-size", type=int, default=8000, help="of the SentencePiece models (default: 8000)")
    parser.add_argument("--checkpoint", help="a model whose links are extracted")
    parser.add_argument("--data", help="its data folder")
    parser.add_argument("--model-pairs", type=int, default=2000, help="of extract (default: 2000)")
    parser.add_argument("--device", default="cpu", help="of extract (default: cpu)")
    parser.add_argument("--work", type=Path, help="folder for text and data (default: a temporary one)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file")
    args = parser.parse_args(argv)
    if (args.checkpoint is None) != (args.data is None):
        parser.error("--checkpoint and --data go together")
    with tempfile.TemporaryDirectory() as temporary:
        work = args.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        train_models(args, work)
        found: list[dict[str, Any]] = []
        for pairs in args.pairs:
            write_text(args, work, pairs)
            for step, command in commands(args, work / str(pairs)).items():
                found.append({"step": step, "pairs": pairs, **_measured(command, work)._asdict()})
        if args.checkpoint is not None:
            pairs = min(args.model_pairs, args.pairs[0])
            found.append({"step": "extract", "pairs": pairs, **_measured(_extract(args, work, pairs), work)._asdict()})
        if args.json:
            write_json(args.json, found)
    print(table(found))
    return 0


def _measured(command: list[str], work: Path) -> Measured:
    """:param command: where an argument is OUT, it is a path to write to."""
    with tempfile.TemporaryDirectory(dir=work) as folder:
        whole = [str(Path(folder) / "out") if argument == "OUT" else argument for argument in command]
        return measure([[[sys.executable, "-m", "fairseq_guided_align.cli.main", *whole]]], Path(folder))


def commands(args: argparse.Namespace, text: Path) -> dict[str, list[str]]:
    """The command of each step; it writes to OUT.

    :param text: prefix of the files of text.
    """
    source, target = (f"{text}.{lang}" for lang in langs(args))
    models = [str(text.parent / f"{lang}.model") for lang in langs(args)]
    length = args.length or math.sqrt(args.chunk_pairs / USUAL_CHUNK)
    chunk = ["--chunk-pairs", str(args.chunk_pairs), "--sample-pairs", str(args.chunk_pairs)]
    return {
        "align": ["align", "--source", source, "--target", target, "--output", "OUT", *chunk, f"--length={length:g}"],
        "check": ["check", *languages(args), str(text)],
        "preprocess": [
            "preprocess", *languages(args), "--trainpref", str(text), "--destdir", "OUT", "--max-dropped", "1",
            "--source-sentencepiece-model", models[0], "--target-sentencepiece-model", models[1],
        ],
    }  # fmt: skip


def _extract(args: argparse.Namespace, work: Path, pairs: int) -> list[str]:
    options = []
    for option, lang in zip(("--source", "--target"), langs(args)):
        part = work / f"model.{lang}"
        with open(work / f"{args.pairs[0]}.{lang}", encoding="utf-8") as lines:
            part.write_text("".join(islice(lines, pairs)), "utf-8")
        options += [option, str(part)]
    return [
        "extract", args.checkpoint, "--data", args.data, *options, "--device", args.device, "--output", "OUT"
    ]  # fmt: skip


def table(found: Sequence[dict[str, Any]]) -> str:
    """A row for each step and size; in the last of a step, what it makes for the sizes of :data:`PROJECTED`."""
    lines = [
        "| step | pairs | core hours a million pairs | peak memory | bytes a pair on disk |"
        + "".join(f" {pairs:,} pairs |" for pairs in PROJECTED),
        "|---" * (5 + len(PROJECTED)) + "|",
    ]
    largest = {one["step"]: one["pairs"] for one in found}
    for one in sorted(found, key=lambda one: list(largest).index(one["step"])):
        hours, size = one["cpu"] / 3600 / one["pairs"], one["disk"] * 2**20 / one["pairs"]
        last = one["pairs"] == largest[one["step"]]
        whole = [f" {hours * n:,.0f} core hours, {size * n / 1e9:,.0f} GB |" if last else " |" for n in PROJECTED]
        lines.append(
            f"| {one['step']} | {one['pairs']:,} | {hours * 1e6:.2f} | {one['peak']:,.0f} MiB | {size:.0f} |"
            + "".join(whole)
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
