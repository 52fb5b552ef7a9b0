"""AER of links that `align` makes in chunks, or of words and pieces, against those of the words of the whole text.

::

    python benchmarks/aligner.py --text text/train text/valid text/test -s grc -t en \\
        --chunk-pairs 4000 2000 --also-pieces 8000,4000,2000 --lower

A text is PREFIX.SOURCE, PREFIX.TARGET and PREFIX.align, links made by hand. eflomal draws another seed each time, so
each way runs several times: the table shows the mean, and all runs from the lowest to the highest.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from fairseq_guided_align.cli.main import main
from fairseq_guided_align.files.byte_lines import read_blocks
from fairseq_guided_align.links.pharaoh import read_links
from fairseq_guided_align.links.reading import read_link_file
from fairseq_guided_align.scores.metrics import AlignmentCounts, count_corpus


def parser() -> argparse.ArgumentParser:
    """The options of this program."""
    found = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    found.add_argument("--text", nargs="+", required=True, metavar="PREFIX", help="texts with links made by hand")
    found.add_argument("--source-lang", "-s", required=True)
    found.add_argument("--target-lang", "-t", required=True)
    found.add_argument("--chunk-pairs", nargs="+", type=int, default=[4000, 2000, 1000], metavar="N")
    found.add_argument("--sample-pairs", nargs="*", type=int, default=[], metavar="N", help="also with such samples")
    found.add_argument("--also-pieces", nargs="*", default=[], metavar="N,...", help="also of pieces, all at once")
    found.add_argument("--lower", action="store_true", help="align the text in small letters")
    found.add_argument("--runs", type=int, default=3, metavar="N", help="of each way (default: 3)")
    found.add_argument("--jobs", type=int, default=1, metavar="J")
    found.add_argument("--align-options", default="", help="further options of `align`, such as '--length 0.2'")
    return found


def ways(
    chunk_pairs: Sequence[int], sample_pairs: Sequence[int], also_pieces: Sequence[str]
) -> Iterator[tuple[str, list[str]]]:
    """Each way to align, and its options."""
    yield "all at once", []
    for sizes in also_pieces:
        yield f"all at once, words and {sizes.replace(',', ', ')} pieces", [f"--also-pieces={sizes}"]
    for pairs in chunk_pairs:
        yield f"chunks of {pairs:,}", [f"--chunk-pairs={pairs}"]
        for sample in sample_pairs:
            yield f"chunks of {pairs:,}, sample of {sample:,}", [f"--chunk-pairs={pairs}", f"--sample-pairs={sample}"]


def aer(links: Path, gold: Path) -> float:
    """AER in per cent."""
    found = read_links(links)
    return (
        100
        * AlignmentCounts.from_array(count_corpus(found, read_link_file(gold, sentences=len(found))).sum(axis=0)).aer
    )


def table(measured: dict[str, list[tuple[float, float]]]) -> str:
    """A line for each way: (AER, seconds) of each run; the first is what the others are compared with."""
    first = statistics.mean(score for score, _ in next(iter(measured.values())))
    lines = ["| way | AER | lowest to highest | against all at once | seconds |", "|---|---|---|---|---|"]
    for name, runs in measured.items():
        scores = [score for score, _ in runs]
        mean, seconds = statistics.mean(scores), statistics.mean(took for _, took in runs)
        lines.append(
            f"| {name} | {mean:.2f} | {min(scores):.2f}-{max(scores):.2f} | {mean - first:+.2f} | {seconds:,.0f} |"
        )
    return "\n".join(lines)


def write_joined(path: Path, texts: Sequence[str], lower: bool) -> None:
    """Several files one after the other, perhaps in small letters."""
    with open(path, "wb") as stream:
        for text in texts:
            for _, block in read_blocks(text):
                stream.write(block.decode().lower().encode() if lower else block)


def run(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; returns the exit code."""
    args = parser().parse_args(arguments)
    measured: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for suffix in (args.source_lang, args.target_lang, "align"):
            write_joined(folder / suffix, [f"{prefix}.{suffix}" for prefix in args.text], args.lower)
        files = [f"--source={folder / args.source_lang}", f"--target={folder / args.target_lang}"]
        jobs = [f"--jobs={args.jobs}"]
        for number in range(args.runs):
            for way, options in ways(args.chunk_pairs, args.sample_pairs, args.also_pieces):
                begin = time.monotonic()
                more = [*options, *(jobs if "chunks" in way else []), *args.align_options.split()]
                if main(["align", *files, f"--output={folder / 'out'}", *more]) != 0:
                    return 1
                score = aer(folder / "out", folder / "align")
                measured.setdefault(way, []).append((score, time.monotonic() - begin))
                print(f"run {number + 1}: {way}: {score:.2f}", file=sys.stderr, flush=True)
    print(table(measured))
    return 0


if __name__ == "__main__":
    raise SystemExit(run())
