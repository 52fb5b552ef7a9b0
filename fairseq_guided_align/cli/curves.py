"""`fairseq-guided-align curves`: loss per token, alignment loss and AER of training runs, from their logs."""

from __future__ import annotations

import argparse
from pathlib import Path

from fairseq_guided_align.cli.argument_types import named_text_to_read, perhaps_named_file
from fairseq_guided_align.cli.options import add
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.pictures.training_log import TELLING_KEYS, read_training_log

USUAL_NAMES = ("train", "log", "training", "fairseq")
"""Names of log files that say nothing of the run: its folder's name does."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command and add its options."""
    parser.description = """\
Draws loss per token, alignment loss and alignment error rate over the updates, one colour a run.

A LOG is what fairseq-train wrote to standard error or to --log-file, with --log-format simple, json or tqdm
(none writes no figures). Training curves are lines, those of the validation sets have dots and their last value.
A figure that no run has is left out."""
    parser.add_argument(
        "logs",
        metavar="LOG",
        nargs="+",
        type=named_text_to_read,
        help="log file, or NAME=FILE to name the run (default: the file's name)",
    )
    add(parser, "--output", note="picture to write: .png, .svg or .pdf", required=True)
    parser.add_argument(
        "--metric",
        metavar="KEY",
        action="append",
        help="draw this figure of the log instead, such as ppl or bleu; may be repeated"
        f" (default: {', '.join(TELLING_KEYS)})",
    )
    parser.add_argument("--title", default="", help="above the picture")


def run(args: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    # Importing matplotlib takes a moment, which --help need not wait for.
    from fairseq_guided_align.pictures.curves import Run, curves_figure
    from fairseq_guided_align.pictures.plots import save_figure

    # After these two, which say what to do where matplotlib is not installed.
    from fairseq_guided_align.pictures.fonts import font_warnings_as_lines  # isort: skip

    named = [perhaps_named_file(argument) for argument in args.logs]
    names = [name or _name_of(path) for name, path in named]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise GuidedAlignError(
            f"expected runs with different names; got {', '.join(repeated)} more than once: write NAME=FILE"
        )
    runs = [Run(name, read_training_log(path)) for name, (_, path) in zip(names, named)]
    with font_warnings_as_lines():
        figure = curves_figure(runs, args.metric or TELLING_KEYS, args.title)
    save_figure(figure, args.output)
    for one in runs:
        last = one.log.points[-1].update
        print(f"{one.name}: {len(one.log.points)} lines of figures up to update {last} in {one.log.path}")
    print(f"wrote {args.output}")
    return 0


def _name_of(log: str) -> str:
    """What a run is called after its log file."""
    stem, folder = Path(log).name.split(".")[0], Path(log).resolve().parent.name
    return folder if stem in USUAL_NAMES and folder else stem
