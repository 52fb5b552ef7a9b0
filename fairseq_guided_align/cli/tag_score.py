"""`fairseq-guided-align tag-score`: where tags stand in translations, against a reference."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from fairseq_guided_align import __version__
from fairseq_guided_align.cli.argument_types import text_to_read
from fairseq_guided_align.cli.sampling_options import add_sampling, chosen_sampling
from fairseq_guided_align.errors import GuidedAlignError, MarkupError
from fairseq_guided_align.files.byte_lines import raise_length_error, read_lines
from fairseq_guided_align.markup.kinds import DEFAULT_KINDS, Markup, markup_of
from fairseq_guided_align.markup.score import TAG_COLUMNS, TAG_MEASURES, counts_row, score_segment, tag_scores
from fairseq_guided_align.markup.tagged_text import TaggedText
from fairseq_guided_align.scores.significance import Comparison, Interval, bootstrap_interval, paired_bootstrap
from fairseq_guided_align.scores.tables import as_table, comparison_sentence, header_of, signature_of, with_interval

DESCRIPTION = """\
Scores the places of tags in translations, one segment a line, against a reference with the same text.

accuracy: share of the reference's tags that stand at the same place. whole: share of segments in which all do, in the
same order. distance: characters from a tag of the reference to the nearest one that is written alike, on average.
differ: share of segments with another text, with other tags or that are not well formed: all of their tags count as
wrong, and distance leaves them out. well-formed: share of segments that are. Segments without tags on both sides are
left out. A run of white space counts as one space. All but distance are in per cent.
With several systems each is compared with the first by paired bootstrap resampling (Koehn 2004)."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command and add its options."""
    parser.description = DESCRIPTION
    parser.add_argument("reference", metavar="REFERENCE", type=text_to_read, help="translations with their tags")
    parser.add_argument(
        "systems",
        metavar="HYPOTHESIS",
        nargs="+",
        type=text_to_read,
        help="the same of a system; others are compared with the first",
    )
    parser.add_argument(
        "--markup", metavar="KINDS", default=DEFAULT_KINDS, help=f"xml, html or xliff (default: {DEFAULT_KINDS})"
    )
    parser.add_argument(
        "--show", type=int, default=10, metavar="N", help="segments that differ to show, of each system (default: 10)"
    )
    add_sampling(parser, "accuracy")
    parser.add_argument("--json", action="store_true", help="print JSON, with shares as fractions, not per cent")


@dataclass(frozen=True)
class SystemScore:
    """A system's counts, its segments that differ, and, with ``--confidence``, the interval of its accuracy.

    :param rows: (segments, columns), of segments with tags.
    :param differing: ``(line, why)``, lines counted from 1.
    """

    name: str
    rows: np.ndarray
    differing: list[tuple[int, str]]
    interval: Interval | None

    @property
    def counts(self) -> np.ndarray:
        return self.rows.sum(axis=0)

    @property
    def scores(self) -> dict[str, float]:
        return {name: float(score) for name, score in tag_scores(self.counts).items()}

    def as_json(self) -> dict[str, Any]:
        counts = dict(zip(TAG_COLUMNS, self.counts.tolist()))
        differing = [{"line": line, "why": why} for line, why in self.differing]
        result: dict[str, Any] = {"name": self.name, **self.scores, "counts": counts, "differing_segments": differing}
        if self.interval is not None:
            result["accuracy_interval"] = asdict(self.interval)
        return result


def run(args: argparse.Namespace) -> int:
    """Carry the command out; returns its exit code."""
    sampling = chosen_sampling(args)
    if args.show < 0:
        raise GuidedAlignError(f"--show: expected a number of segments, 0 or more; got {args.show}")
    markup = markup_of(args.markup)
    reference = _read_reference(args.reference, markup)
    systems = [_scored(name, args, reference, markup, sampling) for name in args.systems]
    for system in systems:
        if not system.counts[TAG_COLUMNS.index("segments")]:
            raise GuidedAlignError(f"{args.reference}: expected segments with tags; got {len(reference)} without any")
    comparisons = [
        paired_bootstrap(systems[0].rows, system.rows, "accuracy", **sampling, measures=TAG_MEASURES)
        for system in systems[1:]
    ]
    signature = _signature(args, len(reference), sampling if args.confidence or comparisons else {})
    if args.json:
        print(json.dumps(_as_json(signature, systems, comparisons), indent=2, ensure_ascii=False))
        return 0
    print(_table(systems))
    for system, comparison in zip(systems[1:], comparisons):
        print(comparison_sentence(systems[0].name, system.name, "accuracy", comparison))
    for system in systems:
        for line, why in system.differing[: args.show]:
            print(f"{system.name}:{line}: {why}")
        if len(system.differing) > args.show:
            print(f"{system.name}: {len(system.differing) - args.show} more segments differ (--show N shows N of them)")
    print(f"signature: {signature}")
    return 0


def _read_reference(path: str, markup: Markup) -> list[TaggedText]:
    """:raises MarkupError: a line is not what the markup asks for, named with the file."""
    segments = []
    for number, line in enumerate(read_lines(path), 1):
        try:
            segments.append(markup.read(line))
        except MarkupError as error:
            raise MarkupError(error.reason, number, error.column, path) from error
    return segments


def _scored(
    name: str, args: argparse.Namespace, reference: list[TaggedText], markup: Markup, sampling: dict[str, Any]
) -> SystemScore:
    rows, differing = [], []
    read = 0
    for read, line in enumerate(read_lines(name), 1):
        if read > len(reference):
            raise_length_error([args.reference, name])
        wanted = reference[read - 1]
        score = score_segment(wanted, _well_formed(line, markup, wanted.repaired))
        rows.append(counts_row(score.counts))
        if score.difference is not None:
            differing.append((read, score.difference))
    if read != len(reference):
        raise_length_error([args.reference, name])
    table = np.array(rows, dtype=np.int64).reshape(-1, len(TAG_COLUMNS))
    interval = None
    if args.confidence:
        interval = bootstrap_interval(table, "accuracy", **sampling, measures=TAG_MEASURES)
    return SystemScore(name, table, differing, interval)


def _well_formed(line: str, markup: Markup, repaired: int) -> TaggedText | None:
    """The segment taken apart; None where tags do not fit together, or more is to be repaired than ``repaired``."""
    try:
        tagged = markup.read(line)
    except MarkupError:
        return None
    return None if tagged.repaired > repaired else tagged


def _signature(args: argparse.Namespace, lines: int, sampling: dict[str, Any]) -> str:
    """Everything that two scores must share to be compared.

    :param sampling: as :func:`chosen_sampling`; empty where nothing was resampled.
    """
    parts = ["tags", f"segments:{lines}", f"markup:{args.markup}", "space:one", "differing:wrong"]
    return "|".join([*parts, *signature_of(sampling), f"version:{__version__}"])


def _table(systems: list[SystemScore]) -> str:
    header = header_of("accuracy", systems[0].interval)
    rows = [["system", "tags", header, "whole", "distance", "differ", "well-formed"]]
    for system in systems:
        scores = system.scores
        accuracy = with_interval(scores["accuracy"], system.interval)
        shares = [f"{100 * scores[name]:.2f}" for name in ("whole", "differing", "well_formed")]
        tags = str(int(system.counts[TAG_COLUMNS.index("tags")]))
        rows.append([system.name, tags, accuracy, shares[0], f"{scores['distance']:.2f}", *shares[1:]])
    return as_table(rows)


def _as_json(signature: str, systems: list[SystemScore], comparisons: list[Comparison]) -> dict[str, Any]:
    return {
        "signature": signature,
        "systems": [system.as_json() for system in systems],
        "comparisons": [
            {"baseline": systems[0].name, "system": system.name, "metric": "accuracy", **asdict(comparison)}
            for system, comparison in zip(systems[1:], comparisons)
        ],
    }
