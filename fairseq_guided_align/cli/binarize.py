"""`fairseq-guided-align binarize`: links alone, beside text that is binarised already."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fairseq_guided_align.alignment_report import one_based_warning
from fairseq_guided_align.binarization import BinarizedCounts, links_inside, read_in_parallel
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.fairseq_data import text_lengths
from fairseq_guided_align.links import CorpusLinks
from fairseq_guided_align.progress import line_counter, say
from fairseq_guided_align.projection import ProjectionCounts, ProjectionSettings, Side, project_files
from fairseq_guided_align.store import links_path, write_links
from fairseq_guided_align.subword_settings import SETTINGS, subword_settings
from fairseq_guided_align.subwords import POLICIES

HELP = "binarise links alone, for a data folder whose text is binarised"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.description = (
        "Binarises links for a data folder that fairseq-preprocess or `preprocess` made, without touching its text."
        " Links from before are replaced. Links outside their sentence are dropped and counted; another number of lines"
        " than the text's is an error."
    )
    parser.add_argument("data", metavar="DIR", help="data folder")
    parser.add_argument(
        "files", nargs="+", metavar="SPLIT=FILE", help="links of a split, Pharaoh text, such as train=train.align"
    )
    parser.add_argument("--source-lang", "-s", metavar="LANG", help=f"default: as {SETTINGS} in DIR says")
    parser.add_argument("--target-lang", "-t", metavar="LANG", help="likewise")
    parser.add_argument(
        "--level",
        choices=("pieces", "words"),
        default="pieces",
        help="what the links join; words need a folder made by `preprocess`, which keeps its text: a line for each pair"
        " that was kept (default: pieces)",
    )
    parser.add_argument(
        "--policy", choices=POLICIES, help="with --level words: link all pairs of pieces, or only first pieces"
        " (default: as before)"
    )  # fmt: skip
    parser.add_argument("--one-based", action="store_true", help="positions in the links count from 1")
    parser.add_argument("--inverted", action="store_true", help="the links are TARGET-SOURCE")
    parser.add_argument(
        "--max-dropped",
        type=float,
        default=0.1,
        metavar="SHARE",
        help="share of the links that may point outside their sentences before it is an error (default: 0.1)",
    )
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes (default: 1)")


def run(args: argparse.Namespace) -> int:
    """Carry the command out; returns its exit code."""
    if not Path(args.data).is_dir():
        raise GuidedAlignError(f"{args.data}: expected a data folder; there is none")
    settings = subword_settings(args.data)
    source = args.source_lang or settings.get("source_lang")
    target = args.target_lang or settings.get("target_lang")
    if not (source and target):
        raise GuidedAlignError(f"{args.data}: no {SETTINGS} that names the languages; give -s and -t")
    if args.policy and args.level == "pieces":
        raise GuidedAlignError("--policy goes with --level words")
    for split, path in _entries(args.files):
        if args.level == "words":
            _binarize_words(args, settings, split, path, source, target)
        else:
            _binarize_pieces(args, split, path, source, target)
    return 0


def _entries(entries: list[str]) -> list[tuple[str, str]]:
    found: dict[str, str] = {}
    for entry in entries:
        split, separator, path = entry.partition("=")
        if not (split and separator and path) or split in found:
            raise GuidedAlignError(f"expected SPLIT=FILE, each split once, such as train=train.align; got {entry!r}")
        found[split] = path
    return list(found.items())


def _binarize_pieces(args: argparse.Namespace, split: str, path: str, source: str, target: str) -> None:
    lengths = [text_lengths(args.data, split, source, target, lang) for lang in (source, target)]
    for lang, side in zip((source, target), lengths):
        if side is None:
            say(
                f"warning: {Path(args.data) / f'{split}.{source}-{target}.{lang}.idx'}: no such index of fairseq's mmap"
                " format: ranges are not checked"
            )
    counts = BinarizedCounts()
    with line_counter(split) as bar:
        chunks = links_inside(
            read_in_parallel(path, args.one_based, args.inverted, args.workers),
            path,
            lengths[0],
            lengths[1],
            counts,
            args.max_dropped,
        )
        write_links(links_path(args.data, split, source, target), _counted(chunks, bar))
    for example in counts.examples:
        say(f"warning: {example}")
    warning = one_based_warning(path, counts.sentences_with_links, counts.at_position_zero)
    if warning and not args.one_based:
        say(f"warning: {warning}")
    say(counts.summary(split))


def _binarize_words(
    args: argparse.Namespace, settings: dict[str, Any], split: str, path: str, source: str, target: str
) -> None:
    data = Path(args.data)
    if not settings.get("text"):
        raise GuidedAlignError(
            f"{data}: keeps no text to count words in; make it with `preprocess`, without --discard-text, or give links"
            " between pieces (`project` makes them)"
        )
    text = data / settings["text"]
    sides = []
    for lang, name in ((source, "source"), (target, "target")):
        model = settings.get(f"{name}_sentencepiece_model")
        sides.append(
            Side(
                text / f"{split}.{lang}",
                text / f"{split}.pieces.{lang}",
                settings["subwords"],
                data / model if model else None,
            )
        )
    projection = ProjectionSettings(
        policy=args.policy or settings["policy"],
        one_based=args.one_based,
        inverted=args.inverted,
        skip_mismatches=True,
        max_dropped=args.max_dropped,
    )
    blocks = project_files(path, sides[0], sides[1], projection, args.workers)
    total = ProjectionCounts()
    with line_counter(split) as bar:

        def links() -> Iterator[CorpusLinks]:
            for block in blocks:
                total.add(block.counts)
                bar.update(len(block.links))
                yield block.links
            total.check(path, projection)

        write_links(links_path(data, split, source, target), links())
    for example in total.examples:
        say(f"warning: {example}")
    warning = one_based_warning(path, total.sentences_with_links, total.at_position_zero)
    if warning and not args.one_based:
        say(f"warning: {warning}")
    say(total.summary(split))


def _counted(chunks: Iterator[CorpusLinks], bar: Any) -> Iterator[CorpusLinks]:
    for chunk in chunks:
        bar.update(len(chunk))
        yield chunk
