"""Peak memory and memory traffic of the loss and of whole training steps on a GPU, counted without one.

    python -m benchmarks.counted [--models base] [--vocabularies 32768] [--tokens 16384] [--dtype float16]

Of the cases of ``python -m benchmarks.training``, as torch's operators run on a device that is not the CPU; no value
is computed. Memory: the sizes of all tensors are added up while anything refers to them; what operators need for
themselves and give back, and what lies unused between blocks, does not count. Weights and Adam's averages are added to
whole steps. Traffic: the bytes that operators read and write, each argument and result once, and how many operators
are started; it is no time, but most of a training step's time on a GPU goes into one or the other. Ratios are to
fairseq's label_smoothed_cross_entropy without alignments.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.results import write_json
from benchmarks.training.cases import FAIRSEQ, PRODUCTS, Setting, loss_cases, step_cases
from benchmarks.training.counting import CountedTraffic, without_values
from benchmarks.training.measuring import peak_memory
from benchmarks.training.options import add_setting_options, chosen_settings


def count(setting: Setting) -> dict[str, dict[str, dict[str, int]]]:
    """Of the loss alone and of whole steps, by the case's name."""
    with without_values():
        loss = loss_cases(setting)
        del loss[PRODUCTS]
        steps, standing = step_cases(setting)
        return {
            "loss": {name: count_case(case) for name, case in loss.items()},
            "step": {name: count_case(case, standing) for name, case in steps.items()},
        }


def count_case(case: Callable[[], object], standing: int = 0) -> dict[str, int]:
    """``memory``, bytes at the peak; ``traffic``, bytes read and written; ``operators``, how many are started.

    :param standing: bytes that are in use all the time.
    """
    memory = peak_memory(case, "meta")
    assert memory is not None
    with CountedTraffic() as traffic:
        case()
    return {"memory": memory + standing, "traffic": traffic.bytes, "operators": traffic.operators}


def table(results: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Lines of Markdown: fairseq's own counts, and ratios of the bytes of the others."""
    for part, title in (("loss", "loss alone"), ("step", "whole step")):
        others = [name for name in results[0][part] if name != FAIRSEQ]
        headings = (f"{name}: memory, traffic, operators" for name in (FAIRSEQ, *others))
        yield f"| {title}: model, vocabulary, tokens | {' | '.join(headings)} |"
        yield "|---" * (len(others) + 2) + "|"
        for one in results:
            base = one[part][FAIRSEQ]
            cells = [f"{one['model']}, {one['vocabulary']:,}, {one['tokens']:,}"]
            cells += [f"{base['memory'] / 2**20:,.0f} MiB, {base['traffic'] / 1e9:.1f} GB, {base['operators']:,}"]
            for name in others:
                found = one[part][name]
                ratios = [f"{found[key] / base[key]:.2f}" for key in ("memory", "traffic")]
                cells += [f"{', '.join(ratios)}, {found['operators']:,}"]
            yield f"| {' | '.join(cells)} |"
        yield ""


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.counted",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_setting_options(parser, "base", [4096, 32768], [4096, 16384], "float16")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the counts here")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_arguments(argv)
    logging.getLogger().setLevel(logging.WARNING)
    results = []
    for setting in tqdm(chosen_settings(args, "meta"), file=sys.stderr, unit="setting"):
        sizes = {"model": setting.model, "vocabulary": setting.vocabulary, "tokens": setting.tokens}
        results.append({**sizes, **count(setting)})
    if args.json:
        write_json(args.json, {"dtype": args.dtype, "results": results})
    print("\n".join(table(results)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
