"""`fairseq-guided-align aer`: precision, recall, F1 and alignment error rate of links against gold links."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np

from fairseq_guided_align import __version__
from fairseq_guided_align.cli.argument_types import texts_to_read
from fairseq_guided_align.cli.options import WORD_SPLIT, add, chosen_words, refuse_words
from fairseq_guided_align.cli.sampling_options import add_sampling, chosen_sampling
from fairseq_guided_align.errors import AlignmentLengthError, GuidedAlignError
from fairseq_guided_align.files.arguments import between_commas
from fairseq_guided_align.files.byte_lines import raise_length_error
from fairseq_guided_align.files.opening import PathLike, is_pipe
from fairseq_guided_align.links.end_links import last_positions, pairs_that_end_beyond, told_end_links
from fairseq_guided_align.links.forms import FORMS
from fairseq_guided_align.links.link import CorpusLinks
from fairseq_guided_align.links.linked_text import LinkedText
from fairseq_guided_align.links.one_based import ENOUGH_PAIRS, one_based_warning
from fairseq_guided_align.links.reading import count_pairs, form_of, read_link_file, recognisable
from fairseq_guided_align.scores.metrics import AlignmentCounts, count_corpus
from fairseq_guided_align.scores.significance import Comparison, Interval, bootstrap_interval, paired_bootstrap
from fairseq_guided_align.scores.tables import as_table, comparison_sentence, header_of, signature_of, with_interval

BEYOND = 0.15
"""Links are suspected to be of another text if more than this share of them lies two or more positions behind the last
gold link of their pair. (A full stop without a gold link is one position behind.)
"""

NEARLY_ALL = 0.95
"""Share of pairs from which Marian's links of ``</s>`` are suspected: it writes one in every pair."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command and add its options."""
    forms = " or ".join(f"{form.name} ({form.description})" for form in FORMS)
    parser.description = f"""\
Scores alignment files against gold links.

Files are {forms}; the form is recognised.
Every link of a system counts as predicted, whatever its weight and mark. A corpus in several files is given as
one argument with commas: gold.align,gold1.align. An empty line of GOLD means that nothing is known of its pair: such
pairs are left out, as they are by --eval-aer in training, and counted; --score-empty scores them as well.

With A the predicted, S the sure and P all gold links: precision |A&P|/|A|, recall |A&S|/|S|, F1 their harmonic
mean, AER 1 - (|A&S| + |A&P|) / (|A| + |S|) (Och and Ney 2003). All are in per cent; lower AER is better.
Counts are summed over the files first. With several systems each is compared with the first by paired
bootstrap resampling (Koehn 2004)."""
    parser.add_argument("gold", metavar="GOLD", type=texts_to_read, help="gold links")
    parser.add_argument(
        "systems",
        metavar="HYP",
        nargs="+",
        type=texts_to_read,
        help="links of a system; later systems are compared with the first",
    )
    add(parser, "--one-based", note="every HYP")
    add(parser, "--gold-one-based")
    note = ", to notice links outside it and to take off Marian's links of </s>"
    add(parser, "--source", "--target", note=note, type=texts_to_read)
    add(parser, *WORD_SPLIT, note="only with --source and --target; default: spaces")
    parser.add_argument(
        "--score-empty",
        action="store_true",
        help="score pairs with an empty line in GOLD as well: any link in them is wrong",
    )
    add_sampling(parser, "AER")
    parser.add_argument("--json", action="store_true", help="print JSON, with scores as fractions, not per cent")


class SystemScore(NamedTuple):
    """A system's counts and, with ``--confidence``, the interval of its AER."""

    name: str
    counts: AlignmentCounts
    aer_interval: Interval | None


class Outcome(NamedTuple):
    """What is printed.

    :param left_out: pairs with an empty line in GOLD that were not scored.
    :param comparisons: of each further system with the first.
    :param end_links: number of links of ``</s>`` that were taken off each file.
    :param hints: which links may be wrong, where nothing but the text can tell.
    """

    signature: str
    pairs: int
    left_out: int
    systems: list[SystemScore]
    comparisons: list[Comparison]
    end_links: dict[str, int]
    warnings: list[str]
    hints: list[str]


def run(args: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    outcome = _scored(args, chosen_sampling(args), _text(args))
    if args.json:
        print(json.dumps(_as_json(outcome), indent=2))
        return 0
    print("\n".join(_lines(args.gold, outcome)))
    for warning in outcome.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    return 0


def _scored(args: argparse.Namespace, sampling: dict[str, Any], text: LinkedText | None) -> Outcome:
    # Their form and number of pairs are asked for before they are read.
    files = {name: [recognisable(path, whole=True) for path in _files(name)] for name in (args.gold, *args.systems)}
    sizes: Sequence[int | None] = _sizes(list(files.values())) if text is None else text.shards
    end_links: dict[str, int] = {}
    gold = _read(args.gold, files[args.gold], args.gold_one_based, sizes)
    warnings = _one_based_warnings(args.gold, gold, args.gold_one_based, "--gold-one-based")
    hints: list[str] = []
    if text is not None:
        gold, end_links[args.gold], found = text.looked_at(args.gold, gold)
        warnings += found
    scored = np.ones(len(gold), dtype=bool) if args.score_empty else np.diff(gold.offsets) > 0
    if not scored.any():
        raise GuidedAlignError(f"{args.gold}: expected gold links; got {len(gold)} lines without any")
    tables = []
    for name in args.systems:
        predicted = _read(name, files[name], args.one_based, sizes)
        if len(predicted) != len(gold):
            _raise_length_error(args.gold, name)
        if text is not None:
            predicted, end_links[name], found = text.looked_at(name, predicted)
            warnings += found
        suspicions = _one_based_warnings(name, predicted, args.one_based, "--one-based") or _other_text_warnings(
            name, predicted, gold, scored
        )
        warnings += suspicions
        if text is None and not suspicions:
            both = (name, predicted, args.gold, gold), (args.gold, gold, name, predicted)
            hints += filter(None, (_end_links_warning(*one) for one in both))
        tables.append(count_corpus(predicted, gold)[scored])
    intervals = [bootstrap_interval(table, **sampling) if args.confidence else None for table in tables]
    comparisons = [paired_bootstrap(tables[0], table, **sampling) for table in tables[1:]]
    left_out = len(gold) - int(scored.sum())
    return Outcome(
        _signature(args, gold, left_out, sampling if args.confidence or comparisons else {}),
        len(gold),
        left_out,
        [SystemScore(*one) for one in zip(args.systems, map(AlignmentCounts.from_array, tables), intervals)],
        comparisons,
        end_links,
        warnings,
        hints,
    )


# Files


def _files(argument: str) -> list[str]:
    """Files of one corpus; a comma in the name of a file that is there separates nothing."""
    return between_commas(argument, lambda path: os.path.exists(path) and not os.path.isdir(path))


def _text(args: argparse.Namespace) -> LinkedText | None:
    """The text that the links are of; None where it was not given."""
    if (args.source is None) != (args.target is None):
        raise GuidedAlignError("--source and --target go together: one file for each side")
    if args.source is None:
        refuse_words(args, "--source and --target")
        return None
    return LinkedText.read(_files(args.source), _files(args.target), chosen_words(args))


def _sizes(shards: list[list[PathLike]]) -> list[int | None]:
    """Sentence pairs of each shard, where files may lack pairs without links; None: each file has them all."""
    most = max(map(len, shards))
    if all(form_of(path).has_every_pair for files in shards for path in files):
        return [None] * most
    sizes: list[int | None] = []
    for number in range(most):
        of_shard = [files[number] for files in shards if len(files) == most]
        counted = [count_pairs(path) for path in of_shard]
        told = [count for count, path in zip(counted, of_shard) if form_of(path).has_every_pair]
        sizes.append(told[0] if told else max(counted))
    return sizes


def _read(argument: str, files: list[PathLike], one_based: bool, sizes: Sequence[int | None]) -> CorpusLinks:
    lacking = [form for form in map(form_of, files) if not form.has_every_pair] if len(files) != len(sizes) else []
    if lacking:
        raise GuidedAlignError(
            f"{argument}: {lacking[0].name} do not say how many sentence pairs a file has: expected {len(sizes)}"
            f" files, as of the other argument; got {len(files)}"
        )
    both = zip(files, sizes if len(files) == len(sizes) else [None] * len(files))
    return CorpusLinks.concatenated(read_link_file(path, one_based, size) for path, size in both)


def _raise_length_error(gold: str, system: str) -> None:
    """Names both numbers of lines and the first line that has no partner."""
    if any(map(is_pipe, [*_files(gold), *_files(system)])):
        raise_length_error([*_files(gold), *_files(system)])
    files = {name: [(path, count_pairs(path)) for path in _files(name)] for name in (gold, system)}
    if len(files[gold]) == len(files[system]):
        # Shard by shard: the first pair of files that differs is where it went wrong.
        gold_file, system_file = next(pair for pair in zip(files[gold], files[system]) if pair[0][1] != pair[1][1])
    else:
        gold_file = (gold, sum(lines for _, lines in files[gold]))
        system_file = (system, sum(lines for _, lines in files[system]))
    (shorter, fewer), (longer, _) = sorted((gold_file, system_file), key=lambda file: file[1])
    raise AlignmentLengthError(
        f"{longer}:{fewer + 1}: this line has no partner in {shorter}: expected one line a sentence pair;"
        f" got {gold_file[1]} lines in {gold_file[0]} and {system_file[1]} in {system_file[0]}"
    )


def _one_based_warnings(name: str, links: CorpusLinks, one_based: bool, option: str) -> list[str]:
    """Whether a file seems to count from 1: many pairs, and no position 0."""
    if one_based:
        return []
    linked, at_zero = np.diff(links.offsets) > 0, (links.source == 0) | (links.target == 0)
    suspicion = one_based_warning(name, int(linked.sum()), int(at_zero.sum()), f"add {option}")
    return [suspicion] if suspicion else []


def _other_text_warnings(name: str, links: CorpusLinks, gold: CorpusLinks, scored: np.ndarray) -> list[str]:
    """Links between pieces, of the other direction or of another text often lie where no gold link reaches."""
    if scored.sum() < ENOUGH_PAIRS:
        return []
    last = [last_positions(len(gold), gold.sentence(), column) for column in (gold.source, gold.target)]
    sentence = links.sentence()
    inside = scored[sentence]
    sentence, source, target = sentence[inside], links.source[inside], links.target[inside]

    def beyond(source: np.ndarray, target: np.ndarray) -> int:
        return int(((source > last[0][sentence] + 1) | (target > last[1][sentence] + 1)).sum())

    found = beyond(source, target)
    if found <= BEYOND * len(sentence):
        return []
    swapped = beyond(target, source) <= found / 4
    return [
        f"{name}: {found} of {len(sentence)} links lie far beyond the last gold link of their pair; "
        + ("are they TARGET-SOURCE?" if swapped else "are they between pieces, or of another text?")
    ]


def _end_links_warning(name: str, links: CorpusLinks, other_name: str, others: CorpusLinks) -> str | None:
    """Of links that may be Marian's of ``</s>``; only the text tells them from those of full stops."""
    found, pairs = pairs_that_end_beyond(links, others)
    if pairs < 2 or found < NEARLY_ALL * pairs:
        return None
    return (
        f"{name}: in {found} of {pairs} pairs the last link lies behind all those of {other_name}; if Marian wrote"
        f" {name}, these are links of </s>: give --source and --target, and they are taken off"
    )


# What is printed


def _signature(args: argparse.Namespace, gold: CorpusLinks, left_out: int, sampling: dict[str, Any]) -> str:
    """Everything that two scores must share to be compared."""
    parts = [
        "AER",
        f"pairs:{len(gold) - left_out}",
        f"empty:{'scored' if args.score_empty else 'left-out'}",
        "gold:" + ("sure" if bool(np.all(gold.sures())) else "sure+possible"),
        f"base:{int(args.one_based)}",
        f"gold-base:{int(args.gold_one_based)}",
        *signature_of(sampling),
        f"version:{__version__}",
    ]
    return "|".join(parts)


def _lines(gold: str, outcome: Outcome) -> list[str]:
    systems = outcome.systems
    lines = [_table(systems)]
    for system, comparison in zip(systems[1:], outcome.comparisons):
        lines.append(comparison_sentence(systems[0].name, system.name, "AER", comparison))
    if outcome.left_out:
        why = f"whose line in {gold} is empty (--score-empty scores them)"
        lines.append(f"left out: {outcome.left_out} of {outcome.pairs} pairs, {why}")
    lines += [told_end_links(count, f"{name}: ") for name, count in outcome.end_links.items() if count]
    lines += [f"hint: {hint}" for hint in outcome.hints]
    return [*lines, f"signature: {outcome.signature}"]


def _table(systems: list[SystemScore]) -> str:
    rows = [["system", "links", "precision", "recall", "F1", header_of("AER", systems[0].aer_interval)]]
    for system in systems:
        counts = system.counts
        scores = [f"{100 * value:.2f}" for value in (counts.precision, counts.recall, counts.f1)]
        aer = with_interval(counts.aer, system.aer_interval)
        rows.append([system.name, str(counts.predicted), *scores, aer])
    return as_table(rows)


def _as_json(outcome: Outcome) -> dict[str, Any]:
    systems = []
    for name, counts, interval in outcome.systems:
        scores = {score: getattr(counts, score) for score in ("precision", "recall", "f1", "aer")}
        systems.append({"name": name, **scores, "counts": asdict(counts)})
        if interval is not None:
            systems[-1]["aer_interval"] = asdict(interval)
    return {
        "signature": outcome.signature,
        "pairs_left_out": outcome.left_out,
        "systems": systems,
        "comparisons": [
            {"baseline": systems[0]["name"], "system": system["name"], "metric": "aer", **asdict(comparison)}
            for system, comparison in zip(systems[1:], outcome.comparisons)
        ],
        "end_links_taken_off": outcome.end_links,
        "warnings": outcome.warnings,
        "hints": outcome.hints,
    }
