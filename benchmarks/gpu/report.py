"""The tables of runs, and their place in benchmarks/README.md.

    python -m benchmarks.gpu.report RESULTS.json... [--write FILE.md]

Prints the tables; with --write, they take the place of what stands in the file between the lines
``<!-- gpu: begin -->`` and ``<!-- gpu: end -->``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.linear_cross_entropy import table as loss_table
from benchmarks.quality.report import table as quality_table
from benchmarks.quality.settings import Setting
from benchmarks.training.cases import FAIRSEQ, OURS_CE, OURS_MSE, PRODUCTS
from benchmarks.training.report import table as step_table
from fairseq_guided_align.files.atomic import atomic_file

BEGIN, END = "<!-- gpu: begin -->", "<!-- gpu: end -->"


def of_files(paths: Sequence[Path]) -> list[str]:
    """The tables of several runs, one after the other."""
    runs = [list(tables(json.loads(path.read_text(encoding="utf-8")))) for path in paths]
    return [line for k, lines in enumerate(runs) for line in ([""] if k else []) + lines]


def tables(results: Mapping[str, Any]) -> Iterator[str]:
    """Lines of Markdown: a table of each kind of figures, and at the end what came of every part."""
    machine = results["machine"]
    shown = {**machine, "memory": f"{machine['memory'] / 2**30:.0f} GiB"} if "memory" in machine else machine
    yield "; ".join(f"{key} {value}" for key, value in shown.items() if value is not None)
    if results["quick"]:
        yield "Sizes of no interest: this run shows that everything works."
    parts = results["parts"]
    for name, part in parts.items():
        figures = part.get("figures")
        lines = [] if figures is None else list(_details(name, figures))
        if lines:
            yield ""
            yield f"**{name}**"
            yield ""
            yield from lines
    yield ""
    yield from _targets(parts)
    yield "| part | outcome | seconds | |"
    yield "|---|---|---|---|"
    for name, part in parts.items():
        notes = [part.get("reason", ""), *_tests(part.get("figures"))]
        yield f"| {name} | {part['outcome']} | {part.get('seconds', '')} | {'; '.join(filter(None, notes))} |"


def _details(name: str, figures: Any) -> Iterator[str]:
    if name.startswith("steps"):
        yield from step_table(figures["results"])
    elif name.startswith("loss"):
        yield from loss_table(figures["results"])
    elif name.startswith("profile"):
        yield from _profile(figures)
    elif name.startswith("quality"):
        yield from quality_table([(Setting(**one["setting"]), one) for one in figures]).splitlines()
    elif name.startswith("Greek"):
        yield from _pairs(figures)
    elif name == "extraction":
        yield "| work | sentences a second |"
        yield "|---|---|"
        for work, one in figures.items():
            yield f"| {work} | {one['skipped'] if 'skipped' in one else format(one['pairs_a_second'], ',.0f')} |"
    elif name.startswith("choices"):
        yield f"A copy: {figures['copy']:.2f} TB/s. The kernel, in TB/s, with as many entries at a time and warps:"
        yield ""
        tables = {size: speeds for size, speeds in figures.items() if size != "copy"}
        columns = list(next(iter(tables.values()), {}))
        yield f"| | {' | '.join(columns)} |"
        yield "|---" * (len(columns) + 1) + "|"
        for size, speeds in tables.items():
            yield f"| {size} | {' | '.join(f'{speeds[column]:.2f}' for column in columns)} |"
    elif name == "decoding":
        yield "| decoding | ms | ratio |"
        yield "|---|---|---|"
        for work, one in figures.items():
            yield f"| {work} | {1000 * one['seconds']:,.0f} | {one['ratio']:.3f} |"


def _pairs(figures: Mapping[str, Any]) -> Iterator[str]:
    yield "| figure | |"
    yield "|---|---|"
    for key, value in figures.items():
        text = f"{value:.4g}" if isinstance(value, float) else str(value)
        yield f"| {key.replace('_', ' ')} | {_in_cell(text)} |"


def _profile(figures: Mapping[str, Any], shown: int = 12) -> Iterator[str]:
    for name, one in figures.items():
        if not isinstance(one, dict):
            continue
        yield (
            f"{name}: {one['wall_ms']:.1f} ms; the device works {one['busy_ms']:.1f} ms "
            f"({100 * one['busy_share']:.0f} %) on {one['started']:.0f} kernels"
        )
        yield ""
        yield "| ms | times | kernel |"
        yield "|---|---|---|"
        for operator in one["operators"][:shown]:
            yield f"| {operator['ms']:.3f} | {operator['times']:.0f} | `{_short(operator['name'])}` |"
        yield ""


def _short(kernel: str, length: int = 70) -> str:
    """A kernel's name without what all of torch's have in common."""
    for common in ("void ", "at::native::", "(anonymous namespace)::", "c10::"):
        kernel = kernel.replace(common, "")
    return _in_cell(kernel[:length])


def _in_cell(text: str) -> str:
    return text.replace("|", "\\|")


def _tests(figures: Any) -> Iterator[str]:
    """What a part that is tests says of them."""
    if not isinstance(figures, dict) or "passed" not in figures:
        return
    yield f"{figures['passed']} tests passed"
    for kind in ("failed", "skipped"):
        if figures[kind]:
            named = ", ".join(f"{test} ({reason})" for test, reason in figures[kind].items())
            yield _in_cell(f"{len(figures[kind])} {kind}: {named}")


def _targets(parts: Mapping[str, Any]) -> Iterator[str]:
    """What was wanted at a vocabulary of 32,768 and 16,384 tokens, and what was measured."""
    rows = []
    for name, part in parts.items():
        for one in (part.get("figures") or {}).get("results", ()) if name.startswith("steps") else ():
            if (one["vocabulary"], one["tokens"]) != (32768, 16384) or FAIRSEQ not in one["step"]:
                continue
            base = one["step"][FAIRSEQ]
            for ours in (OURS_CE, OURS_MSE):
                step, what = one["step"][ours], f"{name}, {ours.removeprefix('ours, ')}"
                fastest = step["fastest"] / base["fastest"]
                rows.append((what, "step, memory / fairseq's", 0.6, f"{step['memory_ratio']:.2f}"))
                rows.append((what, "step, time / fairseq's", 1.0, f"{step['ratio']:.2f}; fastest turns {fastest:.2f}"))
            loss = one["loss"]["ours"]["seconds"] / one["loss"][PRODUCTS]["seconds"]
            rows.append((name, "loss, time / its products", 1.25, f"{loss:.2f}"))
    if not rows:
        return
    yield "| vocabulary 32,768, 16,384 tokens | | wanted, at most | measured |"
    yield "|---|---|---|---|"
    for name, what, wanted, measured in rows:
        yield f"| {name} | {what} | {wanted} | {measured} |"
    yield ""


def write_between(path: Path, lines: Sequence[str]) -> None:
    """Put lines into a file, between the marks.

    :raises SystemExit: the file does not have both marks, once each.
    """
    text = path.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise SystemExit(f"error: {path}: expected one line {BEGIN} and after it one line {END}")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    with atomic_file(path) as stream:
        stream.write("\n".join([before + BEGIN, "", *lines, "", END + after]).encode("utf-8"))


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu.report",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("results", type=Path, nargs="+", help="results.json of a run")
    parser.add_argument("--write", type=Path, metavar="FILE.md", help="put the tables there, between the marks")
    args = parser.parse_args(argv)
    lines = of_files(args.results)
    if args.write:
        write_between(args.write, lines)
    else:
        print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
