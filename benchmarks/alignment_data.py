"""Speed and memory of the alignment data's way, against stock fairseq and plain Python on the same machine.

    python benchmarks/alignment_data.py --prefix data/train --source-lang grc --target-lang en

repeats the text of PREFIX.{source,target,align} until there are a million sentence pairs, in an order that differs
from one repetition to the next, and prints for each step the best of several runs, timed in turn with what it is
compared with, as lines per second and as a ratio, by the processor's clock:

- how both steps scale with workers, by the wall's clock and by the processor's.
- binarize: parsing alignment text and binarising it, against fairseq-preprocess's alignment step, one worker each.
- project: word links to links between SentencePiece pieces, from text to text, against a plain double loop.
- memory: the peak of `binarize` and `project`, each in a process of its own, at one and at four times the size.

Stock fairseq and the plain loop are timed on a part of the text, because both are linear in it.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from fairseq_guided_align.corpus.binarization import LinkFile, binarize_file
from fairseq_guided_align.corpus.link_counts import LinkCounts
from fairseq_guided_align.corpus.subword_links import ConversionFiles, Side, convert_to_text
from fairseq_guided_align.files.atomic import atomic_file
from fairseq_guided_align.files.workers import keep_freed_memory
from fairseq_guided_align.links.store import link_writer
from fairseq_guided_align.subwords.sentencepiece_models import PieceEncoder, train_model


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prefix", required=True, help="text to repeat: PREFIX.SOURCE, PREFIX.TARGET, PREFIX.align")
    parser.add_argument("--source-lang", required=True)
    parser.add_argument("--target-lang", required=True)
    parser.add_argument("--pairs", type=int, default=1_000_000, help="sentence pairs (default: a million)")
    parser.add_argument("--compared-pairs", type=int, default=50_000, help="of them for the slow ways (default: 50000)")
    parser.add_argument("--repeats", type=int, default=3, help="runs of which the best counts (default: 3)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="most of them (default: all cores)")
    parser.add_argument("--vocab-size", type=int, default=4000, help="of the SentencePiece models (default: 4000)")
    parser.add_argument("--work", type=Path, help="folder to keep the text in (default: a temporary one)")
    parser.add_argument("--measure", nargs=2, metavar=("STEP", "PAIRS"), help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    keep_freed_memory()  # As the commands do
    if args.measure:
        return measure_memory(args.work, args.measure[0], int(args.measure[1]))
    with tempfile.TemporaryDirectory() as temporary:
        work = args.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        make_text(args, work)
        # First, because the commands do not load fairseq, whose memory would be copied for each worker.
        scaling(args, "binarize", binarize_ours, work)
        scaling(args, "project", project_ours, work)
        binarize(args, work)
        project(args, work)
        memory(args, work)
    return 0


# --- text -----------------------------------------------------------------------------------------------------


def make_text(args: argparse.Namespace, work: Path) -> None:
    """``{pairs}.{s,t}.words``, ``.pieces`` and ``.align`` for every size that is measured."""
    langs = (args.source_lang, args.target_lang)
    words = [Path(f"{args.prefix}.{lang}").read_text("utf-8").split("\n")[:-1] for lang in langs]
    pieces = []
    for side, lines in zip("st", words):
        train_model(lines, work / f"{side}.model", args.vocab_size)
        pieces.append([" ".join(one) for one in PieceEncoder(work / f"{side}.model").encode(lines)])
    links = Path(f"{args.prefix}.align").read_text("utf-8").split("\n")[:-1]
    if not len(links) == len(words[0]) == len(words[1]):
        sys.exit(
            f"{args.prefix}: expected as many lines in all files; got {len(links)}, {len(words[0])}, {len(words[1])}"
        )
    columns = {"s.words": words[0], "s.pieces": pieces[0], "t.words": words[1], "t.pieces": pieces[1], "align": links}
    chance = random.Random(1)
    for size in sizes(args):
        orders = []
        left = size
        while left:
            order = list(range(len(links)))
            chance.shuffle(order)
            orders.append(order[:left])
            left -= len(orders[-1])
        for name, lines in columns.items():
            with open(work / f"{size}.{name}", "w", encoding="utf-8") as stream:
                for order in orders:
                    stream.write("".join(lines[i] + "\n" for i in order))
    count = sum(line.count("-") for line in links) / len(links)
    print(f"text: {len(links)} sentence pairs of {args.prefix}, {count:.1f} links each, repeated to {args.pairs}")


def sizes(args: argparse.Namespace) -> list[int]:
    return [args.compared_pairs, args.pairs, 4 * args.pairs]


def best(repeats: int, *ways: Callable[[], object]) -> list[float]:
    """Least seconds of the processor of each way; the ways take turns, so that a busy machine slows all of them."""
    seconds = [float("inf")] * len(ways)
    for _ in range(repeats):
        for number, way in enumerate(ways):
            start = time.process_time()
            way()
            seconds[number] = min(seconds[number], time.process_time() - start)
    return seconds


class Timed(NamedTuple):
    """Seconds by the wall's clock, and of the processor: of this process, and of its workers."""

    wall: float
    own: float
    workers: float


def timed(way: Callable[[], object]) -> Timed:
    start, before = time.perf_counter(), os.times()
    way()
    after = os.times()
    return Timed(
        time.perf_counter() - start,
        after.user + after.system - before.user - before.system,
        after.children_user + after.children_system - before.children_user - before.children_system,
    )


def scaling(args: argparse.Namespace, step: str, way: Callable[[Path, int, int], None], work: Path) -> None:
    """How one step scales with ``--workers``; the counts take turns, and the best run of each counts.

    Other work on the machine stretches the wall's clock, not the processor's, hence the last column: what is left of
    the wall's time where each worker has a core to itself and nothing else waits, which the disk's part does not have.
    """
    counts = sorted({1, 2, args.workers})
    best_of: dict[int, Timed] = {}
    least: dict[int, Timed] = {}
    for _ in range(args.repeats):
        for workers in counts:
            for old in ("out.links", "out.align"):  # To give back an old file's pages is not their work
                (work / old).unlink(missing_ok=True)
            one = timed(lambda: way(work, args.pairs, workers))  # noqa: B023  # called at once
            best_of[workers] = min(best_of.get(workers, one), one)
            least[workers] = min(least.get(workers, one), one, key=lambda run: run.own + run.workers)
    for workers in counts:
        run = best_of[workers]
        ideal = [(least[n].own + least[n].workers) / n for n in (1, workers)]
        name = f"{step}, {args.pairs} pairs, {workers} worker{'s'[: workers > 1]}"
        print(
            f"{name:<52}{args.pairs / run.wall:>12,.0f} lines/s"
            f" {best_of[1].wall / run.wall:6.2f} times; processor: {least[workers].own:.2f} s, workers"
            f" {least[workers].workers:.2f} s; on idle cores {ideal[0] / ideal[1]:.2f} times"
        )


def show(step: str, lines: int, seconds: float, against: float | None = None) -> None:
    ratio = "" if against is None else f"   {lines / seconds / against:5.1f} times"
    print(f"{step:<52}{lines / seconds:>12,.0f} lines/s{ratio}")


# --- binarize -------------------------------------------------------------------------------------------------


def binarize_ours(work: Path, pairs: int, workers: int = 1) -> None:
    with link_writer(work / "out.links", workers) as writer:
        for _ in binarize_file(LinkFile(work / f"{pairs}.align"), writer, LinkCounts()):
            pass


def binarize_stock(work: Path, pairs: int) -> None:
    """What ``fairseq-preprocess --align-suffix`` calls for an alignment file."""
    from fairseq.binarizer import AlignmentDatasetBinarizer, FileBinarizer
    from fairseq.utils import parse_alignment

    FileBinarizer.multiprocess_dataset(
        str(work / f"{pairs}.align"), "mmap", AlignmentDatasetBinarizer(parse_alignment), str(work / "stock.align")
    )


def binarize(args: argparse.Namespace, work: Path) -> None:
    import fairseq.binarizer  # noqa: F401  # its import is not timed

    few, many = args.compared_pairs, args.pairs
    ours_few, stock = best(args.repeats, lambda: binarize_ours(work, few), lambda: binarize_stock(work, few))
    show("binarize: fairseq-preprocess's step", few, stock)
    show("binarize", few, ours_few, few / stock)
    (alone,) = best(1, lambda: binarize_ours(work, many))
    show(f"binarize, {many} pairs", many, alone, few / stock)


# --- project --------------------------------------------------------------------------------------------------


def sides(work: Path, pairs: int) -> list[Side]:
    return [Side(work / f"{pairs}.{side}.words", work / f"{pairs}.{side}.pieces", "sentencepiece") for side in "st"]


def project_ours(work: Path, pairs: int, workers: int = 1) -> None:
    source, target = sides(work, pairs)
    with atomic_file(work / "out.align") as stream:
        for lines, _ in convert_to_text(ConversionFiles(work / f"{pairs}.align", source, target), workers):
            stream.write(lines)


def project_plainly(work: Path, pairs: int) -> None:
    """The double loop that does the same: words and pieces compared, links sorted and unique."""
    files = [open(work / f"{pairs}.{name}", encoding="utf-8")  # noqa: SIM115
             for name in ("align", "s.words", "s.pieces", "t.words", "t.pieces")]  # fmt: skip
    with open(work / "plain.align", "w", encoding="utf-8") as stream:
        for links, source_words, source_pieces, target_words, target_pieces in zip(*files):
            source, target = spelt(source_words, source_pieces), spelt(target_words, target_pieces)
            found = set()
            for link in links.split():
                s, t = link.split("-")
                for i in source[int(s)]:
                    for j in target[int(t)]:
                        found.add((j, i))
            stream.write(" ".join(f"{i}-{j}" for j, i in sorted(found)) + "\n")
    for file in files:
        file.close()


def spelt(words: str, pieces: str) -> list[list[int]]:
    every = pieces.split()
    if "".join(every).replace("▁", " ").split() != words.split():
        raise ValueError(f"{words!r} is not {pieces!r}")
    groups: list[list[int]] = []
    for index, piece in enumerate(every):
        if piece.startswith("▁"):
            groups.append([])
        groups[-1].append(index)
    return groups


def project(args: argparse.Namespace, work: Path) -> None:
    few, many = args.compared_pairs, args.pairs
    ours, plain = best(args.repeats, lambda: project_ours(work, few), lambda: project_plainly(work, few))
    if (work / "out.align").read_bytes() != (work / "plain.align").read_bytes():
        sys.exit("project: expected the plain loop's links; got others")
    show("project: a plain double loop", few, plain)
    show("project", few, ours, few / plain)
    (alone,) = best(1, lambda: project_ours(work, many))
    show(f"project, {many} pairs", many, alone, few / plain)


# --- memory ---------------------------------------------------------------------------------------------------


def measure_memory(work: Path, step: str, pairs: int) -> int:
    {"binarize": binarize_ours, "project": project_ours}[step](work, pairs)
    print(peak_kibibytes())
    return 0


def peak_kibibytes() -> int:
    status = Path("/proc/self/status")
    if status.exists():  # The peak that getrusage tells is of the process that started this one
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def memory(args: argparse.Namespace, work: Path) -> None:
    for step in ("binarize", "project"):
        peaks = []
        for pairs in (args.pairs, 4 * args.pairs):
            command = [sys.executable, __file__, "--prefix", "-", "--source-lang", "-", "--target-lang", "-"]
            run = subprocess.run(
                [*command, "--work", str(work), "--measure", step, str(pairs)],
                check=True,
                capture_output=True,
                text=True,
            )
            peaks.append(int(run.stdout) / 1024)
        print(
            f"{step}: peak memory {peaks[0]:.0f} MiB at {args.pairs} pairs, {peaks[1]:.0f} MiB at {4 * args.pairs}"
            f"   {peaks[1] / peaks[0]:.2f} times"
        )


if __name__ == "__main__":
    sys.exit(main())
