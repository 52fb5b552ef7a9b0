"""The weights of the likeliest span, fitted to the spans that translators chose.

    python -m benchmarks.tags.fit [--languages de,es,fr,ja,ru,zh] [--leave-one-out]

A log-linear model over all spans of a translation, by maximum likelihood with a penalty on large weights. Prints the
weights; ``--leave-one-out`` also measures each language with weights from the others. Needs scipy beside the rest.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import scipy.optimize

from benchmarks.tags.__main__ import FIRST, counts
from benchmarks.tags.candidates import CANDIDATES, _carrying
from benchmarks.tags.corpus import DEV, LinkedMessage, read_corpus
from benchmarks.tags.likely_spans import Weights, likely_span, scored_edges
from benchmarks.tags.tagged import MARKUP
from fairseq_guided_align.markup.carrying import carried
from fairseq_guided_align.markup.linked_sentence import LinkedSentence
from fairseq_guided_align.markup.score import TAG_COLUMNS
from fairseq_guided_align.markup.spans import SPANS, hull
from fairseq_guided_align.markup.tagged_text import OPEN
from fairseq_guided_align.markup.units import first_unit_after, units_of

PENALTY = 10.0
LONGEST = 90
"""Words of a translation that the fit still looks at."""
LENGTH = Weights._fields.index("length")

Case = tuple[np.ndarray, np.ndarray, np.ndarray, int, int]
"""Features of first words and of last words (words, weights), of lengths (words,); the translator's first and last."""


def cases(messages: Sequence[LinkedMessage]) -> list[Case]:
    """The pairs of tags whose place in the translation is known: each tag stands once in its message."""
    found = []
    for message in messages:
        seen: list[tuple[range, LinkedSentence]] = []

        def watched(
            inside: range, sentence: LinkedSentence, seen: list[tuple[range, LinkedSentence]] = seen
        ) -> range | None:
            seen.append((inside, sentence))
            return hull(inside, sentence)

        SPANS["watched"] = watched
        tagged = message.tagged
        carried(
            tagged.source,
            tagged.target.text,
            message.links,
            MARKUP,
            message.source_words,
            message.target_words,
            spans="watched",
        )
        wanted = _spans(message)
        for inside, sentence in seen:
            span = wanted.get((inside.start, inside.stop))
            case = span and _case(inside, sentence, span)
            if case:
                found.append(case)
    return found


def _spans(message: LinkedMessage) -> dict[tuple[int, int], tuple[int, int]]:
    """Units between the tags of a pair -> units between the translator's."""
    source, target = message.tagged.source, message.tagged.target
    units = units_of(source.text, message.source_words, source.protected)
    other = units_of(target.text, message.target_words, target.protected)
    times = Counter(tag.raw for tag in source.tags)
    theirs = {tag.raw: tag for tag in target.tags if tag.role == OPEN}
    spans: dict[tuple[int, int], tuple[int, int]] = {}
    doubtful = set()
    for tag in source.tags:
        if tag.role != OPEN or tag.partner is None or tag.raw not in theirs:
            continue
        ends = []
        for side, text, opening in ((units, source, tag), (other, target, theirs[tag.raw])):
            start = first_unit_after(side, opening.place)
            stop = sum(first < text.tags[opening.partner or 0].place for first in side.starts)
            ends.append((start, stop))
        if times[tag.raw] > 1 or ends[0] in spans:
            doubtful.add(ends[0])
        spans[ends[0]] = ends[1]
    return {inside: span for inside, span in spans.items() if inside not in doubtful}


def _case(inside: range, sentence: LinkedSentence, span: tuple[int, int]) -> Case | None:
    features = []
    for number in range(len(Weights._fields)):
        one = Weights(*(float(other == number) for other in range(len(Weights._fields))))
        scored = scored_edges(inside, sentence, one)
        if scored is None:
            return None
        features.append(scored)
    words = features[0].words
    inner = [position for position, unit in enumerate(words) if span[0] <= unit < span[1]]
    if not inner or len(words) > LONGEST:
        return None
    first, last = (np.array([getattr(one, name) for one in features]).T for name in ("first", "last"))
    return first, last, np.array(features[LENGTH].length), inner[0], inner[-1]


def fitted(some: Sequence[Case]) -> np.ndarray:
    """(weights,) of greatest likelihood."""

    def cost(weights: np.ndarray) -> tuple[float, np.ndarray]:
        total, slope = PENALTY * float(weights @ weights) / 2, PENALTY * weights
        for first, last, length, start, stop in some:
            size = len(length)
            more = np.arange(size)[None] - np.arange(size)[:, None]
            lengths = length[np.maximum(more, 0)]
            scores = (first @ weights)[:, None] + (last @ weights)[None] + weights[LENGTH] * lengths
            scores = np.where(more >= 0, scores, -np.inf)
            highest = scores.max()
            shares = np.exp(scores - highest)
            whole = shares.sum()
            shares /= whole
            total += highest + float(np.log(whole)) - scores[start, stop]
            slope = slope + shares.sum(1) @ first + shares.sum(0) @ last - first[start] - last[stop]
            slope[LENGTH] += (shares * lengths).sum() - lengths[start, stop]
        return total, slope

    return scipy.optimize.minimize(cost, np.zeros(len(Weights._fields)), jac=True, method="L-BFGS-B").x


def accuracy(weights: np.ndarray, messages: Sequence[LinkedMessage]) -> float:
    """Share of tags at the translators' places."""
    chosen = Weights(*weights.tolist())
    SPANS["fitted"] = lambda inside, sentence: likely_span(inside, sentence, chosen)
    return _share(counts(_carrying("fitted"), messages))


def _share(table: np.ndarray) -> float:
    sums = dict(zip(TAG_COLUMNS, table.sum(axis=0)))
    return sums["placed"] / sums["tags"]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.tags.fit", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--languages", default=",".join(FIRST), help="(default: %(default)s)")
    parser.add_argument("--leave-one-out", action="store_true", help="measure each language with the others' weights")
    parser.add_argument("--cache", type=Path, default=Path("benchmarks/tags/work"), help="(default: %(default)s)")
    args = parser.parse_args(argv)
    messages = {language: read_corpus(language, DEV, args.cache).tagged for language in args.languages.split(",")}
    found = {language: cases(some) for language, some in messages.items()}
    if args.leave_one_out:
        for language, some in messages.items():
            others = [case for other, those in found.items() if other != language for case in those]
            before = _share(counts(CANDIDATES["hull, our rules"], some))
            print(
                f"{language}: hull {100 * before:.1f}, fitted on the others {100 * accuracy(fitted(others), some):.1f}"
            )
    for name, weight in zip(Weights._fields, fitted([case for those in found.values() for case in those])):
        print(f"{name}={weight:.2f},")
    return 0


if __name__ == "__main__":
    sys.exit(main())
