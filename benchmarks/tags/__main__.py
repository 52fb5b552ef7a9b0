"""Where tags land in real translations, against the places that translators chose.

    python -m benchmarks.tags [--languages de,fr,ja] [--half test] [--model-links de] [--json FILE]

Messages with tags come from the gettext catalogues of packages, see ``packages.py``: their tags are taken out, eflomal
links the words of all messages, and every candidate puts the tags back. Needs polib and eflomal. With ``--model-links``
a small guided model gives the links as well, a column of its own; that needs fairseq and sentencepiece.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks.results import write_json
from benchmarks.tags.candidates import CANDIDATES, DEFAULT, Candidate
from benchmarks.tags.catalogues import LANGUAGES
from benchmarks.tags.corpus import HALVES, TEST, Corpus, LinkedMessage, read_corpus
from benchmarks.tags.tagged import MARKUP
from fairseq_guided_align.errors import MarkupError
from fairseq_guided_align.markup.score import COLUMNS, TAG_MEASURES, counts_row, score_segment
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


def speed(candidate: Candidate, messages: Sequence[LinkedMessage], rounds: int = 5) -> float:
    """Messages a second of processor time, start-up excluded: the fastest round."""
    seconds = []
    for _ in range(rounds):
        start = time.process_time()
        for message in messages:
            candidate(message)
        seconds.append(time.process_time() - start)
    return len(messages) / min(seconds)


def measured(corpus: Corpus) -> dict[str, Any]:
    """A column of the table."""
    tables = {name: counts(candidate, corpus.tagged) for name, candidate in CANDIDATES.items()}
    return {
        "messages": corpus.messages,
        "tagged": len(corpus.tagged),
        "tags": int(tables[BASELINE][:, COLUMNS.index("tags")].sum()),
        "candidates": {name: figures(table, tables[BASELINE]) for name, table in tables.items()},
        "per_second": speed(CANDIDATES[DEFAULT], corpus.tagged),
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
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    args = parser.parse_args(argv)
    languages, with_model = args.languages.split(","), args.model_links.split(",") if args.model_links else []
    for language in with_model:
        if language not in languages:
            parser.error(f"--model-links: expected one of {', '.join(languages)}; got {language!r}")
    args.cache.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {}
    for language in tqdm(languages, file=sys.stderr, unit="language"):
        corpus = read_corpus(language, args.half, args.cache)
        results[language] = measured(corpus)
        if language in with_model:
            # Importing torch and fairseq takes seconds, which eflomal's links need not wait for.
            from benchmarks.tags.guided_model import with_model_links

            results[f"{language}, links of a model"] = measured(with_model_links(corpus, language, args.cache))
        if args.json:
            write_json(args.json, results)
    print("\n".join(table_lines(results)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
