"""The likeliest span of a pair of tags: links weighed together with what stands at its two edges.

Every span from a word of the translation to the same or a later one gets a score: a sum over its words, one for its
first word, one for its last, and one for its length. The best span is taken. Each sum adds up weights of what is seen:

- links lead inside or outside. Words that are written alike on both sides, such as names, numbers and placeholders,
  are linked to each other and to nothing else. Unlinked words side by side with linked ones count as linked, too;
- the first word is linked to the source's first word, or has no link; likewise the word before it, and on the other
  side the last word and the word after it;
- a mark of punctuation or the end of the text stands beside the edge, and in the source too, or not;
- the span is longer or shorter than the source's, relative to the two sentences.

The weights were fitted by ``benchmarks.tags.fit``: a log-linear model over all spans of a translation, maximum
likelihood of the translators' spans.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from math import log
from operator import add
from typing import NamedTuple, Optional

from fairseq_guided_align.markup.edges import mark_class
from fairseq_guided_align.markup.units import MARKS

Link = tuple[int, int, float]


class Weights(NamedTuple):
    """What is seen, and how much it speaks for a span. Where two names differ in ``first`` and ``last``, they are of
    its two edges."""

    inside: float = 0
    outside: float = 0
    inside_share: float = 0
    unlinked: float = 0
    anchor_inside: float = 0
    anchor_outside: float = 0
    length: float = 0
    linked_first: float = 0
    linked_last: float = 0
    loose_first: float = 0
    loose_last: float = 0
    beyond_linked_first: float = 0
    beyond_linked_last: float = 0
    beyond_loose_first: float = 0
    beyond_loose_last: float = 0
    same_mark_first: float = 0
    same_mark_last: float = 0
    only_source_mark_first: float = 0
    only_source_mark_last: float = 0
    only_target_mark_first: float = 0
    only_target_mark_last: float = 0


FITTED = Weights()

_END = -2
_WORD = -3


def likely_span(
    inside: range, source: Sequence[str], target: Sequence[str], links: Sequence[Link], weights: Weights = FITTED
) -> Optional[range]:
    """The span of the translation with the highest score.

    :param inside: positions of the source's units between the tags; not empty.
    :param source: the units of the source: words and marks of punctuation; ``target`` likewise.
    :param links: ``(source, target, weight)``, between words.
    :return: positions of the translation's units, the first and last of them words; None where no word inside has a
        link.
    """
    scored = scored_edges(inside, source, target, links, weights)
    return None if scored is None else scored.best()


class ScoredEdges(NamedTuple):
    """The sums of a pair of tags.

    :param words: positions of the translation's words.
    :param first: for each of them, what speaks for it as the first of the span, less all that is before it.
    :param last: for each, what speaks for it as the last, and for all up to it.
    :param length: for a span of so many words more than one, what its length does.
    """

    words: list[int]
    first: list[float]
    last: list[float]
    length: list[float]

    def best(self) -> range:
        """The span with the highest score."""
        words, first, last, length = self
        best, found = float("-inf"), range(0)
        for start, score in enumerate(first):
            sums = list(map(add, last[start:], length))
            highest = max(sums)
            if score + highest > best:
                best = score + highest
                found = range(words[start], words[start + sums.index(highest)] + 1)
        return found


def scored_edges(
    inside: range, source: Sequence[str], target: Sequence[str], links: Sequence[Link], weights: Weights
) -> Optional[ScoredEdges]:
    """None where no word inside has a link; parameters as of :func:`likely_span`."""
    start, stop = inside.start, inside.stop
    source_words = [unit for unit, text in enumerate(source) if text not in MARKS]
    words = [unit for unit, text in enumerate(target) if text not in MARKS]
    inner = [unit for unit in source_words if start <= unit < stop]
    anchors = _anchors(source, source_words, target, words)
    known = _known_links(source, target, links, anchors)
    if not inner or not any(start <= linked < stop for linked, _ in known):
        return None
    degree: dict[int, float] = {}
    for (unit, _), weight in known.items():
        degree[unit] = degree.get(unit, 0.0) + weight
    into: dict[int, float] = {}
    out: dict[int, float] = {}
    value: dict[int, float] = {}
    for (unit, other), weight in known.items():
        side, per_link = (into, weights.inside) if start <= unit < stop else (out, weights.outside)
        side[other] = side.get(other, 0.0) + weight
        value[other] = value.get(other, 0.0) + per_link * weight / degree[unit]
    gains = []
    anchored = {other: unit for unit, other in anchors.items()}
    for unit in words:
        if unit not in value:
            gains.append(weights.unlinked)
            continue
        gain = value[unit]
        if unit in into:
            gain += weights.inside_share * into[unit] / (into[unit] + out.get(unit, 0.0))
        if unit in anchored:
            gain += weights.anchor_inside if start <= anchored[unit] < stop else weights.anchor_outside
        gains.append(gain)
    sums = list(accumulate(gains, initial=0.0))
    first = _edge_scores(inner[0], -1, source, target, words, known, degree, value, weights)
    last = _edge_scores(inner[-1], 1, source, target, words, known, degree, value, weights)
    expected = log(1 + len(inner) * len(words) / len(source_words))
    return ScoredEdges(
        words,
        [score - before for score, before in zip(first, sums)],
        [score + before for score, before in zip(last, sums[1:])],
        [weights.length * abs(log(2 + more) - expected) for more in range(len(words))],
    )


def _anchors(
    source: Sequence[str], source_words: Sequence[int], target: Sequence[str], target_words: Sequence[int]
) -> dict[int, int]:
    """Words that are written alike on both sides and as often, from the source to the target, in order.

    Short words of small letters are left out: many languages share some by chance.
    """
    places: dict[str, list[int]] = {}
    for unit in target_words:
        places.setdefault(target[unit].lower(), []).append(unit)
    found: dict[str, list[int]] = {}
    for unit in source_words:
        text = source[unit].lower()
        if text in places and (len(text) > 3 or not (source[unit].isalpha() and source[unit] == text)):
            found.setdefault(text, []).append(unit)
    anchors: dict[int, int] = {}
    for text, units in found.items():
        if len(units) == len(places[text]):
            anchors.update(zip(units, places[text]))
    return anchors


def _known_links(
    source: Sequence[str], target: Sequence[str], links: Sequence[Link], anchors: dict[int, int]
) -> dict[tuple[int, int], float]:
    """The links, with those of anchors, and with half a link for unlinked words beside linked ones."""
    anchored = set(anchors.values())
    known = {(unit, other): weight for unit, other, weight in links if unit not in anchors and other not in anchored}
    known.update(dict.fromkeys(anchors.items(), 1.0))
    linked = {unit for unit, _ in known}
    linked_target = {other for _, other in known}
    beside = {}
    for unit, other in known:
        for step in (-1, 1):
            one, two = unit + step, other + step
            if (
                one not in linked
                and two not in linked_target
                and 0 <= one < len(source)
                and 0 <= two < len(target)
                and source[one] not in MARKS
                and target[two] not in MARKS
            ):
                beside[one, two] = 0.5
    known.update(beside)
    return known


def _edge_scores(
    edge: int,
    step: int,
    source: Sequence[str],
    target: Sequence[str],
    words: Sequence[int],
    known: dict[tuple[int, int], float],
    linked: dict[int, float],
    linked_target: dict[int, float],
    weights: Weights,
) -> list[float]:
    """What speaks for each word of the translation as the first of the span, or as the last.

    :param edge: the first word of the source inside, or the last.
    :param step: -1 for the first, 1 for the last.
    :param linked: words of the source with links; ``linked_target`` of the translation.
    """
    w = weights
    if step < 0:
        w_linked, w_loose, w_beyond, w_beyond_loose = (
            w.linked_first,
            w.loose_first,
            w.beyond_linked_first,
            w.beyond_loose_first,
        )
        w_same, w_lost, w_new = w.same_mark_first, w.only_source_mark_first, w.only_target_mark_first
    else:
        w_linked, w_loose, w_beyond, w_beyond_loose = (
            w.linked_last,
            w.loose_last,
            w.beyond_linked_last,
            w.beyond_loose_last,
        )
        w_same, w_lost, w_new = w.same_mark_last, w.only_source_mark_last, w.only_target_mark_last
    beyond = edge + step
    kind = _kind(source, beyond)
    is_linked, beyond_linked = edge in linked, beyond in linked
    scores = []
    for unit in words:
        score = 0.0
        if (edge, unit) in known:
            score += w_linked
        elif is_linked and unit not in linked_target:
            score += w_loose
        other = unit + step
        other_kind = _kind(target, other)
        if other_kind == _WORD:
            if kind != _WORD:
                score += w_lost
            elif (beyond, other) in known:
                score += w_beyond
            if beyond_linked and other not in linked_target:
                score += w_beyond_loose
        elif kind == other_kind:
            score += w_same
        elif kind == _WORD:
            score += w_new
        scores.append(score)
    return scores


def _kind(units: Sequence[str], position: int) -> int:
    """What stands there: a word, an end of the text, or which class of marks."""
    if not 0 <= position < len(units):
        return _END
    return mark_class(units[position]) if units[position] in MARKS else _WORD
