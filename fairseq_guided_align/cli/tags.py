"""`fairseq-guided-align tags`: tags of the source carried to its translation."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from typing import TYPE_CHECKING

from fairseq_guided_align.cli.argument_types import text_to_read, text_to_write
from fairseq_guided_align.cli.options import MODEL, SENTENCEPIECE_MODELS, WORD_SPLIT, add, chosen_words, given_words
from fairseq_guided_align.cli.tag_options import TAG_OPTIONS, chosen_tags
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.files.atomic import atomic_text
from fairseq_guided_align.files.byte_lines import count_lines
from fairseq_guided_align.files.progress import line_counter, say
from fairseq_guided_align.links.forms import FORM_NAMES
from fairseq_guided_align.links.reading import as_pharaoh
from fairseq_guided_align.markup.notes import SegmentCounts
from fairseq_guided_align.markup.settings import tag_settings
from fairseq_guided_align.markup.tag_files import TagFiles, tagged_lines
from fairseq_guided_align.subwords.settings import SETTINGS_FILE

if TYPE_CHECKING:
    from fairseq_guided_align.aligning.tag_links import ModelLinker


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.description = (
        "Puts the tags of a source text into its translation, which has none, along word links: those of a file, or"
        " those that a model sees. Files are text, one line a segment. A summary goes to standard error."
    )
    parser.add_argument("--source", metavar="FILE", type=text_to_read, required=True, help="source text with its tags")
    parser.add_argument(
        "--target", metavar="FILE", type=text_to_read, required=True, help="its translation, plain text, as many lines"
    )
    parser.add_argument("--links", metavar="FILE", type=text_to_read, help=f"links: {FORM_NAMES}")
    parser.add_argument(
        "--output", "-o", metavar="FILE", type=text_to_write, default="-", help="tagged translation (default: -)"
    )
    add(parser, "--markup")
    for side in ("source", "target"):
        parser.add_argument(
            f"--{side}-words",
            metavar="FILE",
            type=text_to_read,
            help=f"the {side} text without tags, in the words that the links count; without it they count what stands"
            " between white space. A model reads this text, so give it as the model was trained on it",
        )
    add(parser, *WORD_SPLIT, note="default: spaces; of a model: as the data folder says")
    add(parser, "--one-based")
    add(parser, *TAG_OPTIONS)
    model = parser.add_argument_group("a model, instead of --links")
    model.add_argument(
        "--checkpoint",
        metavar="FILE",
        help="checkpoint of fairseq-train; the probabilities of the heads that were guided are the links",
    )
    add(model, *MODEL, *SENTENCEPIECE_MODELS, note=f" (default: as {SETTINGS_FILE} says)")
    add(model, "--subwords", note=f"default: as {SETTINGS_FILE} in the data folder says, else words")


def run(args: argparse.Namespace) -> int:
    """Carry the command out; returns its exit code."""
    _check(args)
    settings = tag_settings(**chosen_tags(args))
    linker = _linker(args) if args.checkpoint is not None else None
    counts = SegmentCounts()
    with ExitStack() as stack:
        files = TagFiles(
            args.source,
            args.target,
            linker or stack.enter_context(as_pharaoh(args.links, lambda: count_lines(args.source), args.one_based)),
            args.source_words,
            args.target_words,
            args.one_based,
            chosen_words(args),
        )
        output = stack.enter_context(atomic_text(args.output))
        report = stack.enter_context(atomic_text(args.report)) if args.report is not None else None
        bar = stack.enter_context(line_counter("tags"))
        for text, notes in tagged_lines(files, settings, counts):
            output.write(settings.markup.in_one_line(text).encode() + b"\n")
            if report is not None:
                report.writelines(note.row() for note in notes)
            bar.update(1)
    if linker is not None and linker.too_long:
        say(f"warning: {linker.too_long} segments are too long for the model; their tags are placed without links")
    say(counts.summary(args.output))
    return 0


_OF_MODELS = ("data", "lang_pair", "device", "source_sentencepiece_model", "target_sentencepiece_model", "subwords")


def _check(args: argparse.Namespace) -> None:
    """:raises GuidedAlignError: options that do not go together."""
    if (args.links is None) == (args.checkpoint is None):
        got = "neither" if args.links is None else "both"
        raise GuidedAlignError(f"expected links from a file (--links) or from a model (--checkpoint); got {got}")
    if args.checkpoint is None:
        given = [f"--{name.replace('_', '-')}" for name in _OF_MODELS if getattr(args, name) is not None]
        if given:
            raise GuidedAlignError(f"{', '.join(given)}: of a model, which --checkpoint names")
    elif args.one_based:
        raise GuidedAlignError("--one-based says how --links counts; a model needs no such option")


def _linker(args: argparse.Namespace) -> ModelLinker:
    # Importing torch and fairseq takes seconds, which links in a file need not wait for.
    from fairseq_guided_align.aligning.extraction import AlignmentModel
    from fairseq_guided_align.aligning.tag_links import ModelLinker
    from fairseq_guided_align.aligning.text_files import cutters_of

    model = AlignmentModel(args.checkpoint, args.data, device=args.device, lang_pair=args.lang_pair)
    models = args.source_sentencepiece_model, args.target_sentencepiece_model
    cutters = cutters_of(model, args.subwords, models, word_split=given_words(args))
    if cutters[0].kind == "bpe" and None in (args.source_words, args.target_words):
        raise GuidedAlignError(
            f"{args.checkpoint}: reads text in BPE pieces (@@), which text with tags is not: give the same text in"
            " pieces, without tags, as --source-words and --target-words"
        )
    return ModelLinker(model, cutters)
