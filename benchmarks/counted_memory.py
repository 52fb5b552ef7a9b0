"""Peak memory of the loss and of whole training steps on a GPU, counted without one.

    python -m benchmarks.counted_memory [--models base] [--vocabularies 32768] [--tokens 16384] [--dtype float16]

Of the cases of ``python -m benchmarks.training``, the sizes of all tensors are added up while anything refers to them,
as torch's operators make them on a device that is not the CPU; no value is computed. What operators need for
themselves and give back, and what lies unused between blocks, does not count. Weights and Adam's averages are added to
whole steps. Ratios are to fairseq's label_smoothed_cross_entropy without alignments.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.training.cases import FAIRSEQ, PRODUCTS, SIZES, Setting, loss_cases, step_cases
from benchmarks.training.counting import without_values
from benchmarks.training.measuring import peak_memory
from benchmarks.training.options import DTYPES, model_names, numbers, token_counts


def count(setting: Setting) -> dict[str, dict[str, int]]:
    """Bytes at the peak, of the loss alone and of whole steps, by the case's name."""
    with without_values():
        loss = loss_cases(setting)
        del loss[PRODUCTS]
        steps, standing = step_cases(setting)
        return {
            "loss": {name: peak_memory(case, setting.device) for name, case in loss.items()},
            "step": {name: peak_memory(case, setting.device) + standing for name, case in steps.items()},
        }


def table(results: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Lines of Markdown: ratios to fairseq's, but for its own."""
    for part, title in (("loss", "loss alone"), ("step", "whole step")):
        others = [name for name in results[0][part] if name != FAIRSEQ]
        yield f"| {title}: model, vocabulary, tokens | {FAIRSEQ} | {' | '.join(others)} |"
        yield "|---" * (len(others) + 2) + "|"
        for one in results:
            base = one[part][FAIRSEQ]
            ratios = [f"{one[part][name] / base:.2f}" for name in others]
            setting = f"{one['model']}, {one['vocabulary']:,}, {one['tokens']:,}"
            yield f"| {setting} | {base / 2**20:,.0f} MiB | {' | '.join(ratios)} |"
        yield ""


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.counted_memory",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--models", type=model_names, default="base", help=f"of {', '.join(SIZES)} (default: %(default)s)"
    )
    parser.add_argument("--vocabularies", type=numbers, default=[4096, 32768], help="(default: 4096,32768)")
    parser.add_argument("--tokens", type=token_counts, default=[4096, 16384], help="(default: 4096,16384)")
    parser.add_argument("--dtype", choices=DTYPES, default="float16", help="of the model (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the bytes here")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_arguments(argv)
    logging.getLogger().setLevel(logging.WARNING)
    results = []
    settings = list(product(args.models, args.vocabularies, args.tokens))
    for model, vocabulary, tokens in tqdm(settings, file=sys.stderr, unit="setting"):
        found = count(Setting(model, vocabulary, tokens, "meta", DTYPES[args.dtype]))
        results.append({"model": model, "vocabulary": vocabulary, "tokens": tokens, **found})
    if args.json:
        args.json.write_text(json.dumps({"dtype": args.dtype, "results": results}, indent=2) + "\n")
    print("\n".join(table(results)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
