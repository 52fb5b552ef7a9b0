"""Time and peak memory of the loss alone and of whole training steps, ours and fairseq's, in turn in one run.

    python -m benchmarks.training [--json FILE] [--plot FILE.png] [--device cuda --dtype float16]

On the same weights and the same batch of made-up tokens: fairseq's label_smoothed_cross_entropy without alignments,
its label_smoothed_cross_entropy_with_alignment (on transformer_align, made of the same weights), and
guided_alignment_ce with guidance by cross-entropy, by squared error, and without. The loss alone starts from the
decoder's features; beside it, the three matrix products that it cannot do without. Ratios are the median over the
turns, with quartiles. Memory is the peak of one turn above what is there before it; for whole steps, weights and
Adam's averages are added.
"""

from __future__ import annotations

import argparse
import gc
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.results import write_json
from benchmarks.training.cases import (
    FAIRSEQ,
    FAIRSEQ_ALIGNED,
    loss_cases,
    step_cases,
)
from benchmarks.training.measuring import available_memory, figures, machine, measure, waits_for_gpu
from benchmarks.training.options import add_setting_options, chosen_settings
from benchmarks.training.report import draw, table


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.training", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_setting_options(parser, "small", [4096, 32768, 131072], [1024, 4096, 16384], "float32")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="(default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=9, help="turns of every case at most (default: %(default)s)")
    parser.add_argument(
        "--seconds", type=float, default=20, help="begin no turn of a setting after so long, but 3 (default: 20)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the first model's figures here (PNG)")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_arguments(argv)
    logging.getLogger().setLevel(logging.WARNING)
    results = []
    for setting in tqdm(chosen_settings(args, args.device), file=sys.stderr, unit="setting"):
        fits = setting.full_softmax_bytes < 0.8 * available_memory(args.device)
        loss = loss_cases(setting)
        if not fits:
            del loss[FAIRSEQ]
        one: dict[str, Any] = {"model": setting.model, "vocabulary": setting.vocabulary, "tokens": setting.tokens}
        one["loss"] = figures(measure(loss, args.device, args.rounds, args.seconds), FAIRSEQ)
        del loss
        steps, standing = step_cases(setting)
        if not fits:
            del steps[FAIRSEQ], steps[FAIRSEQ_ALIGNED]
        if args.device == "cuda":
            # fairseq's Transformer itself asks whether a batch has padding
            one["waits_for_gpu"] = {name: len(waits_for_gpu(step)) for name, step in steps.items()}
        one["step"] = figures(measure(steps, args.device, args.rounds, args.seconds), FAIRSEQ, standing)
        del steps
        gc.collect()
        results.append(one)
        if args.json:
            write_json(args.json, {"machine": machine(args.device, args.dtype), "results": results})
    print("\n".join([f"{key}: {value}" for key, value in machine(args.device, args.dtype).items()]))
    print("\n".join(["", *table(results)]))
    if args.plot:
        draw(results, args.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
