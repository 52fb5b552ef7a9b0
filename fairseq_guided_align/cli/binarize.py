"""`fairseq-guided-align binarize`: links alone, beside text that is binarised already."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from fairseq_guided_align.cli.argument_types import named_text_to_read
from fairseq_guided_align.cli.options import LINK_READING, WORD_SPLIT, add, given_words, refuse_words
from fairseq_guided_align.cli.told_counts import tell_counts
from fairseq_guided_align.corpus.binarization import LinkFile, binarize_file
from fairseq_guided_align.corpus.fairseq_data import lengths_path, text_lengths
from fairseq_guided_align.corpus.link_counts import ConversionCounts, LinkCounts
from fairseq_guided_align.corpus.subword_links import (
    ConversionFiles,
    ConversionSettings,
    Side,
    conversion_tasks,
    convert_task,
)
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.files.byte_lines import count_lines
from fairseq_guided_align.files.progress import line_counter, say
from fairseq_guided_align.files.workers import keep_freed_memory
from fairseq_guided_align.links.alignment_files import files_by_split
from fairseq_guided_align.links.forms import FORM_NAMES
from fairseq_guided_align.links.reading import as_pharaoh
from fairseq_guided_align.links.store import link_writer, links_path
from fairseq_guided_align.links.words import WordSplits
from fairseq_guided_align.subwords.settings import SETTINGS_FILE, subword_settings, word_split_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command and add its options."""
    parser.description = (
        "Binarises links for a data folder that fairseq-preprocess or `preprocess` made, without touching its text."
        " Links from before are replaced. Links outside their sentence are dropped and counted; another number of lines"
        " than the text's is an error."
    )
    parser.add_argument("data", metavar="DIR", help="data folder")
    parser.add_argument(
        "files",
        nargs="+",
        metavar="SPLIT=FILE",
        type=named_text_to_read,
        help=f"links of a split, {FORM_NAMES}, such as train=train.align",
    )
    add(parser, "--source-lang", "--target-lang", note=f" (default: as {SETTINGS_FILE} in DIR says)")
    parser.add_argument(
        "--level",
        choices=("pieces", "words"),
        default="pieces",
        help="what the links join; words need a folder made by `preprocess`, which keeps its text, and a line for each"
        " pair that was kept (default: pieces)",
    )
    add(parser, "--policy", *WORD_SPLIT, note="only with --level words; default: as before", default=None)
    add(parser, *LINK_READING, "--workers")


def run(args: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    keep_freed_memory()
    if not Path(args.data).is_dir():
        raise GuidedAlignError(f"{args.data}: expected a data folder; there is none")
    settings = subword_settings(args.data)
    source = args.source_lang or settings.get("source_lang")
    target = args.target_lang or settings.get("target_lang")
    if not (source and target):
        raise GuidedAlignError(f"{args.data}: no {SETTINGS_FILE} that names the languages; give -s and -t")
    if args.policy and args.level == "pieces":
        raise GuidedAlignError("--policy goes with --level words")
    if args.level == "pieces":
        refuse_words(args, "--level words")
    for split, path in files_by_split(args.files).items():
        if args.level == "words":
            _binarize_words(args, settings, split, path, source, target)
        else:
            _binarize_pieces(args, split, path, source, target)
    return 0


def _binarize_pieces(args: argparse.Namespace, split: str, path: str, source: str, target: str) -> None:
    lengths = []
    for lang in (source, target):
        found = text_lengths(args.data, split, source, target, lang)
        if found is None:
            index = lengths_path(args.data, split, source, target, lang)
            say(f"warning: {index}: no such index of fairseq's mmap format: ranges are not checked")
        else:
            lengths.append(found)
    both = (lengths[0], lengths[1]) if len(lengths) == 2 else None
    counts = LinkCounts()
    output = links_path(args.data, split, source, target)
    with (
        as_pharaoh(path, lambda: len(lengths[0]) if lengths else None, args.one_based) as text,
        link_writer(output, args.workers) as writer,
        line_counter(split) as bar,
    ):
        file = LinkFile(path, args.one_based, args.inverted, both, args.max_dropped, text)
        for done in binarize_file(file, writer, counts):
            bar.update(done)
    tell_counts(counts, path, split, args.one_based)


def _binarize_words(
    args: argparse.Namespace, settings: dict[str, Any], split: str, path: str, source: str, target: str
) -> None:
    data = Path(args.data)
    if not settings.get("text"):
        raise GuidedAlignError(
            f"{data}: keeps no text to count words in; make it with `preprocess`, without --discard-text, or give links"
            " between pieces (`project` makes them)"
        )
    sides = _sides(data, settings, split, (source, target))
    conversion = ConversionSettings(
        policy=args.policy or settings["policy"],
        one_based=args.one_based,
        inverted=args.inverted,
        skip_mismatches=True,
        max_dropped=args.max_dropped,
        word_split=WordSplits(*(word_split_of(args.data, *side) for side in zip((source, target), given_words(args)))),
    )
    total = ConversionCounts()
    output = links_path(data, split, source, target)
    with (
        as_pharaoh(path, lambda: count_lines(sides[0].words), args.one_based) as links,
        link_writer(output, args.workers) as writer,
        line_counter(split) as bar,
    ):
        tasks = conversion_tasks(ConversionFiles(path, sides[0], sides[1], conversion, links), args.workers)
        for counts in writer.append_all(convert_task, tasks):
            total.add(counts)
            bar.update(counts.sentences)
        total.check(path, args.max_dropped)
    tell_counts(total, path, split, args.one_based)


def _sides(data: Path, settings: dict[str, Any], split: str, langs: tuple[str, str]) -> list[Side]:
    """The text of a split that the folder keeps, in words and in pieces, source and target."""
    text = data / settings["text"]
    sides = []
    for lang, name in zip(langs, ("source", "target")):
        model = settings.get(f"{name}_sentencepiece_model")
        sides.append(
            Side(
                text / f"{split}.{lang}",
                text / f"{split}.pieces.{lang}",
                settings["subwords"],
                data / model if model else None,
            )
        )
    return sides
