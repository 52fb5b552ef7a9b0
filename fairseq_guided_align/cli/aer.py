"""`fairseq-guided-align aer`: precision, recall, F1 and alignment error rate of links against gold links."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np

from fairseq_guided_align import __version__
from fairseq_guided_align.alignment_report import MANY, one_based_warning
from fairseq_guided_align.byte_lines import count_lines, is_pipe, raise_length_error
from fairseq_guided_align.cli.options import (
    add_sampling,
    add_word_split,
    chosen_sampling,
    text_to_read,
    texts_to_read,
)
from fairseq_guided_align.end_links import told_end_links
from fairseq_guided_align.errors import AlignmentLengthError, GuidedAlignError
from fairseq_guided_align.link_files import is_naacl, naacl_sentences, read_link_file
from fairseq_guided_align.links import CorpusLinks
from fairseq_guided_align.metrics import LinkCounts, count_corpus
from fairseq_guided_align.scored_text import ScoredText
from fairseq_guided_align.significance import Comparison, Interval, bootstrap_interval, paired_bootstrap
from fairseq_guided_align.words import DEFAULT_SPLIT

HELP = "score alignment files against gold links: precision, recall, F1, AER"

BEYOND = 0.15
"""Share of links that lie two positions or more behind the last gold link of their pair, from which it is no chance:
a full stop is one behind.
"""

DESCRIPTION = """\
Scores alignment files against gold links.

Files are Pharaoh text, one line a sentence pair: 3-5 is a sure link, 3?5 or 3p5 a possible one; plain or gzip. NAACL
word alignments, such as 0001 4 6 S, are recognised; their positions always count from 1.
Every link of a system counts as predicted, whatever its weight and mark. A corpus in several files is given as
one argument with commas: gold.align,gold1.align. An empty line of GOLD means that nothing is known of its pair: such
pairs are left out, as they are by --eval-aer in training, and counted; --score-empty scores them as well.

With A the predicted, S the sure and P all gold links: precision |A&P|/|A|, recall |A&S|/|S|, F1 their harmonic
mean, AER 1 - (|A&S| + |A&P|) / (|A| + |S|) (Och and Ney 2003). All are in per cent; lower AER is better.
Counts are summed over the files first. With several systems each is compared with the first by paired
bootstrap resampling (Koehn 2004)."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.description = DESCRIPTION
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("gold", metavar="GOLD", type=texts_to_read, help="gold links")
    parser.add_argument(
        "systems",
        metavar="HYP",
        nargs="+",
        type=texts_to_read,
        help="links of a system; others are compared with the first",
    )
    parser.add_argument("--one-based", action="store_true", help="positions in every HYP count from 1, not 0")
    parser.add_argument("--gold-one-based", action="store_true", help="positions in GOLD count from 1, not 0")
    parser.add_argument(
        "--source",
        metavar="FILE",
        type=text_to_read,
        help="source text, to notice links outside it and to take off Marian's links of </s>",
    )
    parser.add_argument("--target", metavar="FILE", type=text_to_read, help="target text, likewise")
    add_word_split(parser, None, "only with --source and --target; default: spaces")
    parser.add_argument(
        "--score-empty",
        action="store_true",
        help="score pairs with an empty line in GOLD as well: any link in them is wrong",
    )
    add_sampling(parser, "AER")
    parser.add_argument("--json", action="store_true", help="print JSON, with scores as fractions, not per cent")


@dataclass(frozen=True)
class SystemScore:
    """A system's counts and, with ``--confidence``, the interval of its AER."""

    name: str
    counts: LinkCounts
    aer_interval: Optional[Interval]

    def as_json(self) -> dict[str, Any]:
        scores = {name: getattr(self.counts, name) for name in ("precision", "recall", "f1", "aer")}
        result: dict[str, Any] = {"name": self.name, **scores, "counts": asdict(self.counts)}
        if self.aer_interval is not None:
            result["aer_interval"] = asdict(self.aer_interval)
        return result


def run(args: argparse.Namespace) -> int:
    """Carry the command out; returns its exit code."""
    sampling = chosen_sampling(args)
    text = _text(args)
    sizes: Sequence[Optional[int]] = _sizes([args.gold, *args.systems]) if text is None else text.shards
    gold = _read(args.gold, args.gold_one_based, sizes)
    warnings = _one_based_warnings(args.gold, gold, args.gold_one_based, "--gold-one-based")
    end_links: dict[str, int] = {}
    if text is not None:
        gold, end_links[args.gold], found = text.looked_at(args.gold, gold)
        warnings += found
    scored = np.ones(len(gold), dtype=bool) if args.score_empty else np.diff(gold.offsets) > 0
    if not scored.any():
        raise GuidedAlignError(f"{args.gold}: expected gold links; got {len(gold)} lines without any")
    tables = []
    for name in args.systems:
        predicted = _read(name, args.one_based, sizes)
        if len(predicted) != len(gold):
            _raise_length_error(args.gold, name)
        if text is not None:
            predicted, end_links[name], found = text.looked_at(name, predicted)
            warnings += found
        warnings += _one_based_warnings(name, predicted, args.one_based, "--one-based") or _other_text_warnings(
            name, predicted, gold, scored
        )
        tables.append(count_corpus(predicted, gold)[scored])
    systems = [
        SystemScore(
            name,
            LinkCounts.from_array(table),
            bootstrap_interval(table, **sampling) if args.confidence else None,
        )
        for name, table in zip(args.systems, tables)
    ]
    comparisons = [paired_bootstrap(tables[0], table, **sampling) for table in tables[1:]]
    left_out = len(gold) - int(scored.sum())
    signature = _signature(args, gold, left_out, resampled=bool(args.confidence or comparisons))
    if args.json:
        print(json.dumps(_as_json(signature, left_out, systems, comparisons, warnings, end_links), indent=2))
        return 0
    print(_table(systems))
    for system, comparison in zip(systems[1:], comparisons):
        print(_sentence(systems[0].name, system.name, comparison))
    if left_out:
        why = f"whose line in {args.gold} is empty (--score-empty scores them)"
        print(f"left out: {left_out} of {len(gold)} pairs, {why}")
    for name, count in end_links.items():
        if count:
            print(told_end_links(count, f"{name}: "))
    print(f"signature: {signature}")
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    return 0


def _files(argument: str) -> list[str]:
    """Files of one corpus. A file whose own name has a comma is meant by it."""
    return [argument] if Path(argument).exists() else argument.split(",")


def _text(args: argparse.Namespace) -> Optional[ScoredText]:
    """The text that the links are of; None where it was not given."""
    if (args.source is None) != (args.target is None):
        raise GuidedAlignError("--source and --target go together: one file for each side")
    if args.source is None:
        if args.word_split:
            raise GuidedAlignError("--word-split goes with --source and --target")
        return None
    return ScoredText.read(_files(args.source), _files(args.target), args.word_split or DEFAULT_SPLIT)


def _sizes(arguments: list[str]) -> list[Optional[int]]:
    """Sentence pairs of each shard, for files in NAACL's form, which say nothing of pairs without links."""
    shards = [_files(argument) for argument in arguments]
    most = max(map(len, shards))
    if not any(is_naacl(path) for files in shards for path in files):
        return [None] * most
    sizes: list[Optional[int]] = []
    for number in range(most):
        of_shard = [files[number] for files in shards if len(files) == most]
        counted = [_pairs(path) for path in of_shard]
        told = [count for count, path in zip(counted, of_shard) if not is_naacl(path)]
        sizes.append(told[0] if told else max(counted))
    return sizes


def _read(argument: str, one_based: bool, sizes: Sequence[Optional[int]]) -> CorpusLinks:
    files = _files(argument)
    if len(files) != len(sizes) and any(map(is_naacl, files)):
        raise GuidedAlignError(
            f"{argument}: NAACL word alignments do not say how many sentence pairs a file has: expected {len(sizes)}"
            f" files, as of the other argument; got {len(files)}"
        )
    both = zip(files, sizes if len(files) == len(sizes) else [None] * len(files))
    return CorpusLinks.concatenated(read_link_file(path, one_based, size) for path, size in both)


def _pairs(path: str) -> int:
    return naacl_sentences(path) if is_naacl(path) else count_lines(path)


def _raise_length_error(gold: str, system: str) -> None:
    """Names both numbers of lines and the first line that has no partner."""
    if any(map(is_pipe, [*_files(gold), *_files(system)])):
        raise_length_error([*_files(gold), *_files(system)])
    files = {name: [(path, _pairs(path)) for path in _files(name)] for name in (gold, system)}
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
    """A file without a single position 0 over many pairs most likely counts from 1."""
    if one_based:
        return []
    linked, at_zero = np.diff(links.offsets) > 0, (links.source == 0) | (links.target == 0)
    suspicion = one_based_warning(name, int(linked.sum()), int(at_zero.sum()), f"add {option}")
    return [suspicion] if suspicion else []


def _other_text_warnings(name: str, links: CorpusLinks, gold: CorpusLinks, scored: np.ndarray) -> list[str]:
    """Links between pieces, of the other direction or of another text often lie where no gold link reaches."""
    if scored.sum() < MANY:
        return []
    last = [_last_positions(len(gold), gold.sentence(), column) for column in (gold.source, gold.target)]
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


def _last_positions(sentences: int, sentence: np.ndarray, position: np.ndarray) -> np.ndarray:
    """(sentences,) the last position of each; -1 without links."""
    last = np.full(sentences, -1)
    np.maximum.at(last, sentence, position)
    return last


def _signature(args: argparse.Namespace, gold: CorpusLinks, left_out: int, resampled: bool) -> str:
    """Everything that two scores must share to be compared."""
    parts = [
        "AER",
        f"pairs:{len(gold) - left_out}",
        f"empty:{'scored' if args.score_empty else 'left-out'}",
        "gold:" + ("sure" if bool(np.all(gold.sures())) else "sure+possible"),
        f"base:{int(args.one_based)}",
        f"gold-base:{int(args.gold_one_based)}",
    ]
    if resampled:
        parts += [f"level:{args.level:g}", f"samples:{args.samples}", f"seed:{args.seed}"]
    return "|".join([*parts, f"version:{__version__}"])


def _table(systems: list[SystemScore]) -> str:
    with_interval = systems[0].aer_interval
    header = "AER" if with_interval is None else f"AER [{100 * with_interval.level:g} % interval]"
    rows: list[tuple[str, ...]] = [("system", "links", "precision", "recall", "F1", header)]
    for system in systems:
        counts, interval = system.counts, system.aer_interval
        aer = f"{100 * counts.aer:.2f}"
        if interval is not None:
            aer += f" [{100 * interval.low:.2f}, {100 * interval.high:.2f}]"
        scores = [f"{100 * value:.2f}" for value in (counts.precision, counts.recall, counts.f1)]
        rows.append((system.name, str(counts.predicted), *scores, aer))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0])] + [cell.rjust(w) for cell, w in zip(row[1:], widths[1:])]) for row in rows
    )


def _sentence(first: str, second: str, comparison: Comparison) -> str:
    difference = comparison.difference
    return (
        f"{second} against {first}: AER {100 * difference.score:+.2f}"
        f" [{100 * difference.low:+.2f}, {100 * difference.high:+.2f}], p = {comparison.p_value:.4f};"
        f" better in {100 * comparison.second_wins:.1f} % of the resamples,"
        f" worse in {100 * comparison.first_wins:.1f} %"
    )


def _as_json(
    signature: str,
    left_out: int,
    systems: list[SystemScore],
    comparisons: list[Comparison],
    warnings: list[str],
    end_links: dict[str, int],
) -> dict[str, Any]:
    return {
        "signature": signature,
        "pairs_left_out": left_out,
        "systems": [system.as_json() for system in systems],
        "comparisons": [
            {"baseline": systems[0].name, "system": system.name, "metric": "aer", **asdict(comparison)}
            for system, comparison in zip(systems[1:], comparisons)
        ],
        "end_links_taken_off": end_links,
        "warnings": warnings,
    }
