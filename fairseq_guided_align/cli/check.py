"""`fairseq-guided-align check`: are these alignments of these texts? One report, and an exit code."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

from fairseq_guided_align.cli.argument_types import text_to_read
from fairseq_guided_align.cli.options import WORD_SPLIT, add, chosen_words, text_of_columns
from fairseq_guided_align.corpus.link_counts import with_share
from fairseq_guided_align.corpus.report import AlignmentReport, report_on
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.files.compression import plain_or_compressed
from fairseq_guided_align.links.end_links import told_end_links
from fairseq_guided_align.links.split_evidence import split_contradiction_warning, split_warning
from fairseq_guided_align.links.words import WordSplits

EXIT_PROBLEMS = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command and add its options."""
    parser.description = (
        "Checks alignment files against the texts that they align: number of lines, links and text that cannot be read,"
        " links that point outside their sentence, coverage, files that look 1-based, inverted or of words where the"
        " text is in pieces. Exits 0 if all is well, 1 on problems, 2 if a file cannot be read."
    )
    parser.add_argument(
        "prefixes", nargs="*", metavar="PREFIX", help="checks PREFIX.align against PREFIX.SOURCE and PREFIX.TARGET"
    )
    add(parser, "--source-lang", "--target-lang")
    parser.add_argument("--align-suffix", default="align", metavar="SUFFIX", help="of the links (default: align)")
    parser.add_argument("--links", metavar="FILE", type=text_to_read, help="instead of prefixes: links")
    add(parser, "--source", "--target", note=", with --links")
    add(parser, "--tsv", note=", in place of --source and --target; with a third column, also of --links")
    add(parser, "--columns")
    add(parser, "--one-based", *WORD_SPLIT)
    parser.add_argument("--examples", type=int, default=5, metavar="N", help="problems shown of a kind (default: 5)")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def run(args: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    words = chosen_words(args)
    with _files(args) as files:
        reports = [
            (str(links), report_on(links, source, target, args.one_based, args.examples, words))
            for links, source, target in files
        ]
    if args.json:
        found = [{"file": name, **asdict(report), "errors": report.errors} for name, report in reports]
        print(json.dumps(found, indent=2))
    else:
        for name, report in reports:
            print("\n".join(_lines(name, report, args.one_based, words)))
    return EXIT_PROBLEMS if any(report.errors for _, report in reports) else 0


@contextmanager
def _files(args: argparse.Namespace) -> Iterator[list[tuple[str, str, str]]]:
    """Links, source and target of each text to check."""
    if args.tsv is None:
        yield _named_files(args)
        return
    if args.prefixes or args.source or args.target:
        raise GuidedAlignError("--tsv: holds source and target; leave --source, --target and PREFIX out")
    with text_of_columns(args.tsv, args.columns, links=True) as (source, target, *links):
        if bool(links) == bool(args.links):
            raise GuidedAlignError(
                "--tsv: expected links from one place: a third column, as in --columns 1,2,3, or --links"
            )
        yield [(args.links or links[0], source, target)]


def _named_files(args: argparse.Namespace) -> list[tuple[str, str, str]]:
    if args.columns:
        raise GuidedAlignError("--columns goes with --tsv")
    named = [args.links, args.source, args.target]
    if any(named):
        if not all(named) or args.prefixes:
            raise GuidedAlignError("--links, --source and --target go together, and without PREFIX")
        return [(args.links, args.source, args.target)]
    if not (args.prefixes and args.source_lang and args.target_lang):
        raise GuidedAlignError(
            "expected PREFIX with --source-lang and --target-lang, or --links, --source and --target"
        )
    return [
        (
            str(plain_or_compressed(f"{prefix}.{args.align_suffix}")),
            str(plain_or_compressed(f"{prefix}.{args.source_lang}")),
            str(plain_or_compressed(f"{prefix}.{args.target_lang}")),
        )
        for prefix in args.prefixes
    ]


def _lines(name: str, report: AlignmentReport, one_based: bool, word_split: WordSplits) -> list[str]:
    lines = [f"{name}:"]
    if report.same_length:
        lines += [
            f"  {report.sentences} sentence pairs,"
            f" {with_share(report.sentences_with_links, report.sentences)} with links,"
            f" {report.empty_sentences} with an empty side",
            f"  {report.links} links: {report.links - report.possible} sure, {report.possible} possible,"
            f" {report.weighted} with a weight{told_end_links(report.end_links)}",
            f"  {with_share(report.source_words_linked, report.source_words)} of {report.source_words} source tokens"
            f" and {with_share(report.target_words_linked, report.target_words)} of {report.target_words} target tokens"
            " linked",
        ]
    lines += [f"  error: {problem}" for problem in report.problems]
    if report.unreadable_lines:
        lines.append(f"  error: {report.unreadable_lines} lines cannot be read")
    if report.undecodable_lines:
        lines.append(f"  error: {report.undecodable_lines} lines of text are not UTF-8")
    if report.out_of_range:
        lines.append(f"  error: {report.out_of_range} links point outside their sentence pair")
    if report.same_length and not report.links:
        lines.append(f"  error: {report.sentences} sentence pairs without a usable link")
    contradiction = split_contradiction_warning(name, report.split_evidence, word_split)
    if contradiction:
        lines.append(f"  error: {contradiction}")
    elif suspicion := split_warning(name, report.split_evidence, word_split):
        lines.append(f"  warning: {suspicion}")
    if report.looks_inverted:
        lines.append("  hint: every link is inside with source and target swapped: are the links TARGET-SOURCE?")
    if report.looks_one_based and not one_based:
        hint = "; all links would be inside" if report.out_of_range and not report.out_of_range_if_one_based else ""
        lines.append(f"  warning: no link has position 0; if the file counts from 1, add --one-based{hint}")
    if report.looks_like_words:
        lines.append(
            "  warning: the text is in subword pieces, and the links seem to count words, as `preprocess` wants them;"
            " fairseq-preprocess and binarize want links between pieces, which project makes"
        )
    lines.append(f"  {'problems found' if report.errors else 'no problems'}")
    return lines
