"""Where tags land in real translations, against the places that translators chose.

    python -m benchmarks.tags [--languages de,fr,ja] [--half test] [--model-links de] [--json FILE]

Messages with tags come from the gettext catalogues of packages, see ``packages.py``: their tags are taken out, eflomal
links the words of all messages, and every candidate puts the tags back. Needs polib and eflomal. With ``--model-links``
a small guided model gives the links as well, a column of its own; that needs fairseq and sentencepiece.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks.results import write_json
from benchmarks.tags.candidates import CANDIDATES, DEFAULT, Candidate
from benchmarks.tags.catalogues import LANGUAGES
from benchmarks.tags.corpus import HALVES, TEST, Corpus, LinkedMessage, read_corpus, read_quoted_corpus
from benchmarks.tags.quoted import MARKS
from benchmarks.tags.speed import WORDS, carry, made_up_segments, per_second
from benchmarks.tags.tagged import MARKUP
from fairseq_guided_align.errors import MarkupError
from fairseq_guided_align.markup.edges import QUOTE_SIDES
from fairseq_guided_align.markup.score import TAG_COLUMNS, TAG_MEASURES, counts_row, score_segment
from fairseq_guided_align.markup.tagged_text import TaggedText
from fairseq_guided_align.scores.significance import bootstrap_interval, paired_bootstrap

BASELINE = "hull alone"
FIRST = ("de", "es", "fr", "ja", "ru", "zh")
"""The languages whose dev half the weights of the likeliest span were fitted on."""


def counts(candidate: Candidate, messages: Sequence[LinkedMessage]) -> np.ndarray:
    """(messages, columns) counts of the places."""
    return np.array(
        [counts_row(score_segment(one.tagged.target, _read(candidate(one))).counts) for one in messages], dtype=np.int64
    )


def _read(raw: str) -> TaggedText | None:
    try:
        tagged = MARKUP.read(raw)
    except MarkupError:
        return None
    return None if tagged.repaired else tagged


def figures(table: np.ndarray, baseline: np.ndarray) -> dict[str, Any]:
    """Scores with their intervals, and the difference from the baseline."""
    accuracy = bootstrap_interval(table, "accuracy", measures=TAG_MEASURES)
    difference = paired_bootstrap(baseline, table, "accuracy", measures=TAG_MEASURES).difference
    scores = {name: float(score) for name, score in TAG_MEASURES.table(table.sum(axis=0)).items()}
    return {
        **scores,
        "interval": [accuracy.low, accuracy.high],
        "above_baseline": [difference.score, difference.low, difference.high],
    }


def measured(corpus: Corpus) -> dict[str, Any]:
    """A column of the table."""
    tables = {name: counts(candidate, corpus.tagged) for name, candidate in CANDIDATES.items()}
    return {
        "messages": corpus.messages,
        "tagged": len(corpus.tagged),
        "tags": int(tables[BASELINE][:, TAG_COLUMNS.index("tags")].sum()),
        "candidates": {name: figures(table, tables[BASELINE]) for name, table in tables.items()},
        "per_second": per_second(CANDIDATES[DEFAULT], corpus.tagged),
    }


def table_lines(results: dict[str, Any]) -> list[str]:
    """Accuracy in per cent with its 95 % interval; in brackets above the baseline."""
    lines = ["| | " + " | ".join(results) + " |", "|---" * (1 + len(results)) + "|"]
    sizes = [f"{one['tagged']:,} of {one['messages']:,}; {one['tags']:,}" for one in results.values()]
    lines.append("| messages with tags, of all; tags | " + " | ".join(sizes) + " |")
    for name in CANDIDATES:
        cells = []
        for one in results.values():
            got = one["candidates"][name]
            low, high = got["interval"]
            above = "" if name == BASELINE else f", {100 * got['above_baseline'][0]:+.1f}"
            cells.append(f"{100 * got['accuracy']:.1f} [{100 * low:.1f}, {100 * high:.1f}]{above}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    for key, label in (("whole", "whole messages"), ("differing", "another text")):
        cells = [f"{100 * one['candidates'][DEFAULT][key]:.1f}" for one in results.values()]
        lines.append(f"| default: {label} | " + " | ".join(cells) + " |")
    cells = [f"{one['per_second']:,.0f}" for one in results.values()]
    lines.append("| default: messages a second, one core | " + " | ".join(cells) + " |")
    return lines


def _chosen(parser: argparse.ArgumentParser, given: str | None, languages: Sequence[str], option: str) -> list[str]:
    """The languages that an option names, out of those that it may name."""
    chosen = given.split(",") if given else []
    for language in chosen:
        if language not in languages:
            parser.error(f"{option}: expected some of {', '.join(languages)}; got {language!r}")
    return chosen


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.tags", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--languages", default=",".join(LANGUAGES), help="with commas between them (default: %(default)s)"
    )
    parser.add_argument(
        "--half", choices=HALVES, default=TEST, help="weights and options were chosen on dev (default: %(default)s)"
    )
    parser.add_argument(
        "--cache", type=Path, default=Path("benchmarks/tags/work"), help="for wheels and links (default: %(default)s)"
    )
    parser.add_argument(
        "--model-links", metavar="LANGUAGES", help="of these languages, measure links of a guided model too"
    )
    parser.add_argument(
        "--put-quotes",
        metavar="LANGUAGES",
        help="of these, measure translations that are given quotation marks, inside the tags and outside, too",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    args = parser.parse_args(argv)
    languages = args.languages.split(",")
    with_model = _chosen(parser, args.model_links, languages, "--model-links")
    quoted = _chosen(parser, args.put_quotes, [one for one in languages if one in MARKS], "--put-quotes")
    args.cache.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {}
    for language in tqdm(languages, file=sys.stderr, unit="language"):
        corpus = read_corpus(language, args.half, args.cache)
        results[language] = measured(corpus)
        if language in with_model:
            # Importing torch and fairseq takes seconds, which eflomal's links need not wait for.
            from benchmarks.tags.guided_model import with_model_links

            results[f"{language}, links of a model"] = measured(with_model_links(corpus, language, args.cache))
        for side in QUOTE_SIDES if language in quoted else ():
            of_quoted = read_quoted_corpus(language, args.half, args.cache, side)
            results[f"{language}, quotes put {side}"] = measured(of_quoted)
        if args.json:
            write_json(args.json, results)
    print("\n".join(table_lines(results)))
    print(f"XML, {WORDS} words, links given: {per_second(carry, made_up_segments()):,.0f} segments a second, one core")
    return 0


if __name__ == "__main__":
    sys.exit(main())
