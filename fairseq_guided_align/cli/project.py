"""`fairseq-guided-align project`: links between words to links between subword pieces, or back."""

from __future__ import annotations

import argparse
from contextlib import ExitStack, closing

from fairseq_guided_align.atomic_files import atomic_file
from fairseq_guided_align.byte_lines import count_lines
from fairseq_guided_align.cli.options import (
    add_link_reading,
    add_on_mismatch,
    add_policy,
    add_word_split,
    add_workers,
    tell_counts,
    tell_if_empty,
    text_to_read,
    text_to_write,
)
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.link_files import as_pharaoh
from fairseq_guided_align.progress import line_counter, say
from fairseq_guided_align.projection import (
    ProjectionCounts,
    ProjectionFiles,
    ProjectionSettings,
    Side,
    project_to_text,
)
from fairseq_guided_align.subwords import KINDS
from fairseq_guided_align.worker_processes import keep_freed_memory

HELP = "turn links between words into links between subword pieces, or back"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.description = (
        "Turns links between words into links between subword pieces, or back. Words and pieces are matched by their"
        " characters, so that they may come from differently tokenised text. Files are text or gzip, one line a"
        " sentence pair. A summary goes to standard error."
    )
    parser.add_argument(
        "--links", metavar="FILE", type=text_to_read, required=True, help="links to read, Pharaoh text or NAACL's form"
    )
    for side in ("source", "target"):
        for units in ("words", "pieces"):
            parser.add_argument(
                f"--{side}-{units}",
                metavar="FILE",
                type=text_to_read,
                required=True,
                help=f"{side} text in {units}",
            )
        parser.add_argument(
            f"--{side}-sentencepiece-model",
            metavar="FILE",
            help=f"model that cut the {side} text, for lines whose characters it changed",
        )
    parser.add_argument(
        "--output", "-o", metavar="FILE", type=text_to_write, default="-", help="links to write (default: -)"
    )
    parser.add_argument(
        "--subwords",
        choices=KINDS,
        default="sentencepiece",
        help="how the pieces mark words: ▁ before, @@ after a piece that goes on, or no mark (default: sentencepiece)",
    )
    add_policy(parser)
    parser.add_argument("--back", action="store_true", help="read links between pieces, write links between words")
    add_link_reading(parser)
    add_word_split(parser)
    add_on_mismatch(parser)
    add_workers(parser)


def run(args: argparse.Namespace) -> int:
    """Carry the command out; returns its exit code."""
    keep_freed_memory()
    source, target = (_side(args, name) for name in ("source", "target"))
    settings = ProjectionSettings(
        args.policy,
        args.back,
        args.one_based,
        args.inverted,
        args.on_mismatch == "drop-links",
        args.max_dropped,
        args.word_split,
    )
    counts = ProjectionCounts()
    with ExitStack() as stack:
        # Before anything is written: the links may be of a form that is not read.
        words = args.source_pieces if args.back else args.source_words
        text = stack.enter_context(as_pharaoh(args.links, lambda: count_lines(words), args.one_based))
        stream, bar = stack.enter_context(atomic_file(args.output)), stack.enter_context(line_counter("project"))
        files = ProjectionFiles(args.links, source, target, settings, text)
        projected = stack.enter_context(closing(project_to_text(files, args.workers)))
        for lines, seen in projected:
            stream.write(lines)
            counts.add(seen)
            bar.update(seen.sentences)
        counts.check_words(args.links, args.word_split)
        counts.check(args.links, settings.max_dropped)
    for warning in counts.word_warnings(args.links, args.word_split):
        say(f"warning: {warning}")
    tell_if_empty(counts.sentences, args.source_words)
    tell_counts(counts, args.links, args.links, args.one_based)
    return 0


def _side(args: argparse.Namespace, name: str) -> Side:
    model = getattr(args, f"{name}_sentencepiece_model")
    if model is not None and args.subwords != "sentencepiece":
        raise GuidedAlignError(
            f"{model}: a SentencePiece model goes with --subwords sentencepiece; got {args.subwords}"
        )
    return Side(getattr(args, f"{name}_words"), getattr(args, f"{name}_pieces"), args.subwords, model)
