"""`fairseq-guided-align project`: links between words to links between subword pieces, or back."""

from __future__ import annotations

import argparse
from contextlib import ExitStack, closing

from fairseq_guided_align.cli.argument_types import text_to_read, text_to_write
from fairseq_guided_align.cli.options import LINK_READING, SENTENCEPIECE_MODELS, WORD_SPLIT, add, chosen_words
from fairseq_guided_align.cli.told_counts import tell_counts, tell_if_empty
from fairseq_guided_align.corpus.link_counts import ConversionCounts
from fairseq_guided_align.corpus.subword_links import (
    ConversionFiles,
    ConversionSettings,
    Side,
    convert_to_text,
)
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.files.atomic import atomic_text
from fairseq_guided_align.files.byte_lines import count_lines
from fairseq_guided_align.files.progress import line_counter
from fairseq_guided_align.files.workers import keep_freed_memory
from fairseq_guided_align.links.forms import FORM_NAMES
from fairseq_guided_align.links.reading import as_pharaoh


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command and add its options."""
    parser.description = (
        "Turns links between words into links between subword pieces, or back. Words and pieces are matched by their"
        " characters, so that they may come from differently tokenised text. Files are text, one line a"
        " sentence pair. A summary goes to standard error."
    )
    parser.add_argument(
        "--links", metavar="FILE", type=text_to_read, required=True, help=f"links to read: {FORM_NAMES}"
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
    add(parser, *SENTENCEPIECE_MODELS, note=", for lines whose characters it changed")
    add(parser, "--output", note="links to write (default: -)", type=text_to_write, default="-")
    add(parser, "--subwords", note="default: sentencepiece", default="sentencepiece")
    add(parser, "--policy")
    parser.add_argument("--back", action="store_true", help="read links between pieces, write links between words")
    add(parser, *LINK_READING, *WORD_SPLIT, "--on-mismatch", "--workers")


def run(args: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    keep_freed_memory()
    words = chosen_words(args)
    source, target = (_side(args, name) for name in ("source", "target"))
    settings = ConversionSettings(
        args.policy,
        args.back,
        args.one_based,
        args.inverted,
        args.on_mismatch == "drop-links",
        args.max_dropped,
        words,
    )
    counts = ConversionCounts()
    with ExitStack() as stack:
        # Before anything is written: the links may be of a form that is not read.
        counted = args.source_pieces if args.back else args.source_words
        text = stack.enter_context(as_pharaoh(args.links, lambda: count_lines(counted), args.one_based))
        stream, bar = stack.enter_context(atomic_text(args.output)), stack.enter_context(line_counter("project"))
        files = ConversionFiles(args.links, source, target, settings, text)
        blocks = stack.enter_context(closing(convert_to_text(files, args.workers)))
        for lines, seen in blocks:
            stream.write(lines)
            counts.add(seen)
            bar.update(seen.sentences)
        counts.check(args.links, settings.max_dropped)
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
