"""`preprocess` end to end, against the stock way, in one run with the same number of workers.

    python -m benchmarks.preprocessing --prefix text/train --source-lang grc --target-lang en

- stock: SentencePiece's `encode` in a plain Python loop over the lines, pieces written as text; then
  `fairseq-preprocess` of that text. It has no links. Where there are several workers, both languages are cut at once.
- ours: `fairseq-guided-align preprocess`, which also turns the links between words into links between pieces.

Both get the same SentencePiece models; to train them is not timed. The ways take turns. The text is PREFIX.SOURCE,
PREFIX.TARGET and PREFIX.align until there are as many pairs as wanted. From the second time on, the words of each line
are in an order of their own, and the links with them.

Shown are medians: pairs a second by the wall's clock; the processors' seconds, user and system, of all processes; the
peak of the memory of all processes together, where what several share counts once; and bytes on the disk in the end.
Other work on the machine stretches the wall's clock, not the processors'.
"""

from __future__ import annotations

import argparse
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

from benchmarks.results import write_json
from fairseq_guided_align.subwords.sentencepiece_models import train_model

CUT = """
import sys
import sentencepiece
model, text, pieces = sys.argv[1:]
processor = sentencepiece.SentencePieceProcessor(model_file=model)
with open(text, encoding="utf-8") as lines, open(pieces, "w", encoding="utf-8") as out:
    for line in lines:
        print(" ".join(processor.encode(line.rstrip("\\n"), out_type=str)), file=out)
"""
"""The plain loop, in a process of its own."""


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--prefix", required=True, help="text to start from: PREFIX.SOURCE, PREFIX.TARGET, PREFIX.align"
    )
    parser.add_argument("--source-lang", required=True)
    parser.add_argument("--target-lang", required=True)
    parser.add_argument("--pairs", type=int, nargs="+", default=[100_000], help="sentence pairs (default: 100000)")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="of both ways (default: 1 2)")
    parser.add_argument("--repeats", type=int, default=3, help="runs, of which medians are shown (default: 3)")
    parser.add_argument("--vocab-size", type=int, default=8000, help="of the SentencePiece models (default: 8000)")
    parser.add_argument("--only-ours", action="store_true", help="leave the stock way out: memory at many pairs")
    parser.add_argument("--work", type=Path, help="folder for text and data (default: a temporary one)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all runs to this file")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as temporary:
        work = args.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        train_models(args, work)
        runs: list[dict] = []
        ways = {name: way for name, way in WAYS.items() if name == "ours" or not args.only_ours}
        for pairs in args.pairs:
            write_text(args, work, pairs)
            for workers, _ in product(args.workers, range(args.repeats)):
                for name, way in ways.items():  # They take turns
                    with tempfile.TemporaryDirectory(dir=work) as folder:
                        found = measure(way(args, work / str(pairs), Path(folder), workers), Path(folder))
                    runs.append({"pairs": pairs, "workers": workers, "way": name, **found._asdict()})
                    if args.json:
                        write_json(args.json, runs)
        print(table(runs))
    return 0


def langs(args: argparse.Namespace) -> tuple[str, str]:
    return args.source_lang, args.target_lang


# --- text -----------------------------------------------------------------------------------------------------


def train_models(args: argparse.Namespace, work: Path) -> None:
    for lang in langs(args):
        if not (work / f"{lang}.model").exists():
            lines = Path(f"{args.prefix}.{lang}").read_text("utf-8").split("\n")[:-1]
            train_model(lines, work / f"{lang}.model", args.vocab_size)


def write_text(args: argparse.Namespace, work: Path, pairs: int) -> None:
    """``{pairs}.{source,target,align}``."""
    names = [*langs(args), "align"]
    texts = [Path(f"{args.prefix}.{name}").read_text("utf-8").split("\n")[:-1] for name in names]
    files = [open(work / f"{pairs}.{name}", "w", encoding="utf-8") for name in names]  # noqa: SIM115
    for lines in enlarged(list(zip(*texts)), pairs):
        for file, line in zip(files, lines):
            print(line, file=file)
    for file in files:
        file.close()


def enlarged(lines: Sequence[tuple[str, str, str]], pairs: int) -> Iterator[tuple[str, str, str]]:
    """Source, target and links of as many pairs: the given ones, then the same with their words in other orders."""
    chance = random.Random(1)
    yield from lines[:pairs]
    for number in range(len(lines), pairs):
        source, target, links = lines[number % len(lines)]
        new = []
        places = []
        for side in (source, target):
            words = side.split()
            order = list(range(len(words)))
            chance.shuffle(order)
            new.append(" ".join(words[i] for i in order))
            places.append({old: place for place, old in enumerate(order)})
        moved = (tuple(map(int, link.split("-"))) for link in links.split())
        yield new[0], new[1], " ".join(f"{places[0][s]}-{places[1][t]}" for s, t in moved)


# --- the two ways ---------------------------------------------------------------------------------------------


class Measured(NamedTuple):
    """What a way took.

    :param wall: seconds.
    :param cpu: seconds of all processors.
    :param peak: MiB of all processes at once.
    :param disk: MiB that it left.
    """

    wall: float
    cpu: float
    peak: float
    disk: float


Step = list[list[str]]
"""Commands that run at once."""


def stock(args: argparse.Namespace, text: Path, folder: Path, workers: int) -> list[Step]:
    cut = [
        [
            sys.executable,
            "-c",
            CUT,
            str(text.parent / f"{lang}.model"),
            f"{text}.{lang}",
            str(folder / f"pieces.{lang}"),
        ]
        for lang in langs(args)
    ]
    binarise = [
        sys.executable, "-m", "fairseq_cli.preprocess", *languages(args), "--trainpref", str(folder / "pieces"),
        "--destdir", str(folder / "bin"), "--workers", str(workers),
    ]  # fmt: skip
    return [*([cut] if workers > 1 else [[one] for one in cut]), [binarise]]


def ours(args: argparse.Namespace, text: Path, folder: Path, workers: int) -> list[Step]:
    models = [str(text.parent / f"{lang}.model") for lang in langs(args)]
    return [[[
        sys.executable, "-m", "fairseq_guided_align.cli.main", "preprocess", *languages(args), "--trainpref", str(text),
        "--destdir", str(folder / "bin"), "--workers", str(workers), "--source-sentencepiece-model", models[0],
        "--target-sentencepiece-model", models[1],
    ]]]  # fmt: skip


def languages(args: argparse.Namespace) -> list[str]:
    return ["--source-lang", args.source_lang, "--target-lang", args.target_lang]


def measure(steps: Sequence[Step], folder: Path) -> Measured:
    """Run the steps one after the other.

    :param folder: of their files.
    """
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    peak = 0.0
    for commands in steps:
        with open(folder.parent / "log.txt", "ab") as log:
            at_work = [subprocess.Popen(command, stdout=log, stderr=log) for command in commands]
            while any(one.poll() is None for one in at_work):
                peak = max(peak, sum(memory(one.pid) for one in at_work))
                time.sleep(0.1)
        if any(one.returncode for one in at_work):
            sys.exit(f"a command failed: see {log.name}")
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    disk = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return Measured(wall, cpu, peak, disk / 2**20)


def memory(process: int) -> float:
    """MiB of a process and its children, where a page that several of them share counts once."""
    try:
        rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
        found = next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) / 1024
        threads = list(Path(f"/proc/{process}/task").iterdir())
        below = [child for thread in threads for child in (thread / "children").read_text().split()]
    except (OSError, StopIteration):  # It has ended
        return 0.0
    return found + sum(memory(int(child)) for child in below)


WAYS = {"stock": stock, "ours": ours}


# --- what is shown --------------------------------------------------------------------------------------------


def table(runs: Sequence[dict]) -> str:
    """A row for each way, number of pairs and number of workers: medians.

    :param runs: of each its ``way``, ``pairs``, ``workers`` and the figures of a :class:`Measured`.
    """
    groups: dict[tuple[int, int], dict[str, Measured]] = {}
    for run in runs:
        of_same = [one for one in runs if all(one[name] == run[name] for name in ("way", "pairs", "workers"))]
        middle = Measured(*(statistics.median(one[name] for one in of_same) for name in Measured._fields))
        groups.setdefault((run["pairs"], run["workers"]), {})[run["way"]] = middle
    rows = [
        "| pairs | workers | way | pairs a second | CPU seconds | peak memory | on disk |",
        "|---|---|---|---|---|---|---|",
    ]
    for (pairs, workers), ways in groups.items():
        for way, one in ways.items():
            speed, cpu = f"{pairs / one.wall:,.0f}", f"{one.cpu:.1f}"
            if way == "ours" and "stock" in ways:
                speed += f", {ways['stock'].wall / one.wall:.1f} times"
                cpu += f", {ways['stock'].cpu / one.cpu:.1f} times less"
            rows.append(
                f"| {pairs:,} | {workers} | {way} | {speed} | {cpu} | {one.peak:,.0f} MiB | {one.disk:,.0f} MiB |"
            )
    return "\n".join(rows)


if __name__ == "__main__":
    sys.exit(main())
