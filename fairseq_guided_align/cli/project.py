"""`fairseq-guided-align project`: links between words to links between subword pieces, or back."""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack, nullcontext
from typing import BinaryIO, ContextManager

from fairseq_guided_align.alignment_report import one_based_warning
from fairseq_guided_align.atomic_files import atomic_file
from fairseq_guided_align.pharaoh import format_block
from fairseq_guided_align.progress import line_counter, say
from fairseq_guided_align.projection import ProjectionCounts, ProjectionSettings, Side, check_kind, project_files
from fairseq_guided_align.subwords import KINDS, POLICIES

HELP = "turn links between words into links between subword pieces, or back"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.description = (
        "Turns links between words into links between subword pieces, or back. Words and pieces are matched by their"
        " characters, so that they may come from differently tokenised text. Files are text or gzip, one line a"
        " sentence pair. A summary goes to standard error."
    )
    parser.add_argument("--links", metavar="FILE", required=True, help="links to read, Pharaoh text")
    for side in ("source", "target"):
        parser.add_argument(f"--{side}-words", metavar="FILE", required=True, help=f"{side} text in words")
        parser.add_argument(f"--{side}-pieces", metavar="FILE", required=True, help=f"{side} text in pieces")
        parser.add_argument(
            f"--{side}-sentencepiece-model",
            metavar="FILE",
            help=f"model that cut the {side} text, for lines whose characters it changed",
        )
    parser.add_argument("--output", "-o", metavar="FILE", default="-", help="links to write (default: - for stdout)")
    parser.add_argument(
        "--subwords",
        choices=KINDS,
        default="sentencepiece",
        help="how the pieces mark words: ▁ before, @@ after a piece that goes on, or no mark (default: sentencepiece)",
    )
    parser.add_argument(
        "--policy",
        choices=POLICIES,
        default="all",
        help="link all pairs of pieces of two linked words, or only their first pieces (default: all)",
    )
    parser.add_argument("--back", action="store_true", help="read links between pieces, write links between words")
    add_reading_arguments(parser)
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes (default: 1)")


def add_reading_arguments(parser: argparse.ArgumentParser) -> None:
    """Options about the links read, and about words and pieces that differ."""
    parser.add_argument("--one-based", action="store_true", help="positions in the links count from 1")
    parser.add_argument("--inverted", action="store_true", help="the links are TARGET-SOURCE")
    parser.add_argument(
        "--max-dropped",
        type=float,
        default=0.1,
        metavar="SHARE",
        help="share of the links that may point outside their sentences before it is an error (default: 0.1)",
    )
    parser.add_argument(
        "--on-mismatch",
        choices=("error", "drop-links"),
        default="error",
        help="where words and pieces of a pair spell different text: stop, or leave the pair without links and count it"
        " (default: error)",
    )


def run(args: argparse.Namespace) -> int:
    """Carry the command out; returns its exit code."""
    source, target = (_side(args, name) for name in ("source", "target"))
    settings = ProjectionSettings(
        args.policy, args.back, args.one_based, args.inverted, args.on_mismatch == "drop-links", args.max_dropped
    )
    counts = ProjectionCounts()
    output: ContextManager[BinaryIO] = (
        nullcontext(sys.stdout.buffer) if args.output == "-" else atomic_file(args.output)
    )
    with ExitStack() as stack:
        stream = stack.enter_context(output)
        bar = stack.enter_context(line_counter("project"))
        for block in project_files(args.links, source, target, settings, args.workers):
            stream.write(format_block(block.links))
            counts.add(block.counts)
            bar.update(len(block.links))
        counts.check(args.links, settings)
    for example in counts.examples:
        say(f"warning: {example}")
    warning = None if args.one_based else one_based_warning(args.links, counts.sentences, counts.at_position_zero)
    if warning:
        say(f"warning: {warning}")
    say(counts.summary(args.links))
    return 0


def _side(args: argparse.Namespace, name: str) -> Side:
    model = getattr(args, f"{name}_sentencepiece_model")
    check_kind(args.subwords, model)
    return Side(getattr(args, f"{name}_words"), getattr(args, f"{name}_pieces"), args.subwords, model)
