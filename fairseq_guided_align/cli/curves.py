"""`fairseq-guided-align curves`: loss per token, alignment loss and AER of training runs, from their logs."""

from __future__ import annotations

import argparse
from pathlib import Path

from fairseq_guided_align.cli.options import named_text_to_read
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.pictures.training_log import TELLING_KEYS, read_training_log

HELP = "draw training curves from the logs of fairseq-train"

DESCRIPTION = """\
Draws loss per token, alignment loss and alignment error rate over the updates, one colour a run.

A LOG is what fairseq-train wrote to standard error or to --log-file, with --log-format simple, json or tqdm
(none writes no figures). Training curves are lines, those of the validation sets have dots and their last value.
A figure that no run has is left out."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.description = DESCRIPTION
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "logs",
        metavar="LOG",
        nargs="+",
        type=named_text_to_read,
        help="log file, or NAME=FILE to name the run; without, the file's name",
    )
    parser.add_argument("--out", "-o", metavar="FILE", required=True, help="picture to write: .png, .svg or .pdf")
    parser.add_argument(
        "--metric",
        metavar="KEY",
        action="append",
        help="draw this figure of the log instead, such as ppl or bleu; may be repeated"
        f" (default: {', '.join(TELLING_KEYS)})",
    )
    parser.add_argument("--title", default="", help="above the picture")


def run(args: argparse.Namespace) -> int:
    """Carry the command out; returns its exit code."""
    # matplotlib takes a moment, which --help need not wait for.
    from fairseq_guided_align.pictures.curves import Run, curves_figure
    from fairseq_guided_align.pictures.plots import save_figure

    # after these two, which say what to do where matplotlib is not installed
    from fairseq_guided_align.pictures.fonts import font_warnings_as_lines  # isort: skip

    named = [_named(argument) for argument in args.logs]
    names = [name for name, _ in named]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise GuidedAlignError(
            f"expected runs with different names; got {', '.join(repeated)} more than once: write NAME=FILE"
        )
    runs = [Run(name, read_training_log(path)) for name, path in named]
    with font_warnings_as_lines():
        figure = curves_figure(runs, args.metric or TELLING_KEYS, args.title)
    save_figure(figure, args.out)
    for one in runs:
        last = one.log.points[-1].update
        print(f"{one.name}: {len(one.log.points)} lines of figures up to update {last} in {one.log.path}")
    print(f"wrote {args.out}")
    return 0


def _named(argument: str) -> tuple[str, str]:
    """(name, path) of ``NAME=FILE`` or ``FILE``; the folder's name too where the file's says little."""
    if not Path(argument).exists() and "=" in argument:
        name, _, path = argument.partition("=")
        return name, path
    path_ = Path(argument)
    stem = path_.name.split(".")[0]
    if stem in ("train", "log", "training", "fairseq") and path_.resolve().parent.name:
        return path_.resolve().parent.name, argument
    return stem, argument
