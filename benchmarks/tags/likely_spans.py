"""The likeliest span of a pair of tags: links weighed together with what stands at its two edges.

Every span from a word of the translation to the same or a later one gets a score: a sum over its words, one for its
first word, one for its last, and one for its length. The best span is taken. Each sum adds up weights of what is seen:

- links lead inside or outside, and linked words are written alike or not. Unlinked words side by side with linked
  ones, on both sides, count as half linked;
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
from typing import NamedTuple

from fairseq_guided_align.markup.edges import mark_class
from fairseq_guided_align.markup.linked_sentence import LinkedSentence


class Weights(NamedTuple):
    """What is seen, and how much it speaks for a span.

    :param inside: a word of the span is linked to one inside; shared among a source word's links; ``outside`` likewise.
    :param inside_share: the share of a word's links that leads inside.
    :param unlinked: a word has no link.
    :param anchor: a word linked to one inside is written like one inside.
    :param length: how far the logarithm of the span's length is from what the source's leads to expect.
    :param linked: the word at an edge is linked to the source's word at this edge.
    :param loose: it has no link, and the source's has.
    :param beyond_linked: the word beyond an edge is linked to the source's word there; ``beyond_loose`` like ``loose``.
    :param same_mark: beyond an edge the same mark stands as in the source, or an end of the text in both.
    :param lost_mark: beyond an edge a word stands, and in the source a mark or an end of the text.
    """

    inside: float = 0
    outside: float = 0
    inside_share: float = 0
    unlinked: float = 0
    anchor: float = 0
    length: float = 0
    linked: float = 0
    loose: float = 0
    beyond_linked: float = 0
    beyond_loose: float = 0
    same_mark: float = 0
    lost_mark: float = 0


FITTED = Weights(
    inside=0.60,
    outside=-2.17,
    inside_share=1.17,
    unlinked=-0.26,
    anchor=1.08,
    length=-0.97,
    linked=1.39,
    loose=-0.43,
    beyond_linked=0.42,
    beyond_loose=-0.40,
    same_mark=0.74,
    lost_mark=-1.10,
)
"""From one half of the messages in German, Spanish, French, Japanese, Russian and Chinese."""

_END = -2
_WORD = -3


def likely_span(inside: range, sentence: LinkedSentence, weights: Weights = FITTED) -> range | None:
    """The span of the translation with the highest score.

    :param inside: positions of the source's units between the tags; not empty.
    :return: positions of the translation's units, the first and last of them words; None where no word inside has a
        link.
    """
    certain = _certain_span(inside, sentence)
    if certain is not None:
        return certain
    scored = scored_edges(inside, sentence, weights)
    return None if scored is None else scored.best()


def _certain_span(inside: range, sentence: LinkedSentence) -> range | None:
    """The quick way for most pairs: the words linked to those inside, if nothing speaks for any other span.

    All units from the first to the last of these words are linked, to none outside. Those next to them are linked to
    others, are marks of punctuation as in the source, or are not there. The score prefers the same span then.
    """
    first, last = inside.start, inside.stop
    into: set[int] = set()
    out: set[int] = set()
    linked: set[int] = set()
    for source, target, _ in sentence.links:
        if first <= source < last:
            into.add(target)
            linked.add(source)
        else:
            out.add(target)
    marks = sentence.source_marks
    if not into or any(unit not in linked and not marks[unit] for unit in inside):
        return None
    start, stop = min(into), max(into) + 1
    if len(into) < stop - start or not into.isdisjoint(out):
        return None
    low, high = sentence.target_part
    source_low, source_high = sentence.source_part
    target_marks = sentence.target_marks
    for beyond, beyond_source in ((start - 1, first - 1), (stop, last)):
        if low <= beyond < high and beyond not in out:
            both_marks = source_low <= beyond_source < source_high and marks[beyond_source] and target_marks[beyond]
            if not both_marks:
                return None
    return range(start, stop)


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


def scored_edges(inside: range, sentence: LinkedSentence, weights: Weights) -> ScoredEdges | None:
    """None where no word inside has a link; parameters as of :func:`likely_span`."""
    start, stop = inside.start, inside.stop
    source = _Side(sentence.source_marks, sentence.source, sentence.source_part)
    target = _Side(sentence.target_marks, sentence.target, sentence.target_part)
    words = target.words()
    inner = [unit for unit in inside if not source.marks[unit]]
    known = _known_links(sentence, source, target)
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
    texts = {sentence.source[unit].lower() for unit in inner}
    for unit in words:
        if unit not in value:
            gains.append(weights.unlinked)
            continue
        gain = value[unit]
        if unit in into:
            gain += weights.inside_share * into[unit] / (into[unit] + out.get(unit, 0.0))
        if unit in into and sentence.target[unit].lower() in texts:
            gain += weights.anchor
        gains.append(gain)
    sums = list(accumulate(gains, initial=0.0))
    first = _edge_scores(inner[0], -1, source, target, words, known, degree, value, weights)
    last = _edge_scores(inner[-1], 1, source, target, words, known, degree, value, weights)
    expected = log(1 + len(inner) * len(words) / len(source.words()))
    return ScoredEdges(
        words,
        [score - before for score, before in zip(first, sums)],
        [score + before for score, before in zip(last, sums[1:])],
        [weights.length * abs(log(2 + more) - expected) for more in range(len(words))],
    )


class _Side(NamedTuple):
    """The units of one side, and the part of them inside the parent."""

    marks: Sequence[bool]
    units: Sequence[str]
    part: tuple[int, int]

    def words(self) -> list[int]:
        start, stop = self.part
        return [unit for unit in range(start, stop) if not self.marks[unit]]

    def is_word(self, position: int) -> bool:
        return self.part[0] <= position < self.part[1] and not self.marks[position]

    def kind(self, position: int) -> int:
        """What stands there: a word, an end of the part, or which class of marks."""
        if not self.part[0] <= position < self.part[1]:
            return _END
        return mark_class(self.units[position]) if self.marks[position] else _WORD


def _known_links(sentence: LinkedSentence, source: _Side, target: _Side) -> dict[tuple[int, int], float]:
    """The links, and half a link for unlinked words beside linked ones."""
    known = {(unit, other): weight for unit, other, weight in sentence.links}
    linked = {unit for unit, _ in known}
    linked_target = {other for _, other in known}
    beside = {}
    for unit, other in known:
        for step in (-1, 1):
            one, two = unit + step, other + step
            if one not in linked and two not in linked_target and source.is_word(one) and target.is_word(two):
                beside[one, two] = 0.5
    known.update(beside)
    return known


def _edge_scores(
    edge: int,
    step: int,
    source: _Side,
    target: _Side,
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
    beyond = edge + step
    kind = source.kind(beyond)
    is_linked, beyond_linked = edge in linked, beyond in linked
    scores = []
    for unit in words:
        score = 0.0
        if (edge, unit) in known:
            score += weights.linked
        elif is_linked and unit not in linked_target:
            score += weights.loose
        other = unit + step
        other_kind = target.kind(other)
        if other_kind == _WORD:
            if kind != _WORD:
                score += weights.lost_mark
            elif (beyond, other) in known:
                score += weights.beyond_linked
            if beyond_linked and other not in linked_target:
                score += weights.beyond_loose
        elif kind == other_kind:
            score += weights.same_mark
        scores.append(score)
    return scores
