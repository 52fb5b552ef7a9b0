"""Where the tags of the source go in the translation: a span of units for each pair, a gap for each isolated tag."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from fairseq_guided_align.markup.breaks import break_gaps, break_points
from fairseq_guided_align.markup.edges import SourceEdges, with_edges
from fairseq_guided_align.markup.elements import Element
from fairseq_guided_align.markup.free_units import free_between, is_inside, room_around, take
from fairseq_guided_align.markup.gaps import best_gap
from fairseq_guided_align.markup.linked_sentence import LinkedSentence
from fairseq_guided_align.markup.quoted_words import fill_quotes, has_quotes
from fairseq_guided_align.markup.segment_links import Link
from fairseq_guided_align.markup.segment_pair import SegmentPair, Span
from fairseq_guided_align.markup.sentence_edges import to_sentence_edges
from fairseq_guided_align.markup.spans import Choice, runs_of_links
from fairseq_guided_align.markup.units import Units


class Rules(NamedTuple):
    """What is chosen by option.

    :param choice: gives the span of a pair.
    :param quotes: where quotation marks go that only the translation has.
    :param split: whether a pair may be repeated around parts that are not adjacent.
    """

    choice: Choice
    quotes: str
    split: bool


@dataclass
class Placed:
    """An element with its place in the translation.

    :param parts: ``(start, stop)`` units, one or, for pairs that may be split, several; ``start == stop`` is the gap
        before a unit.
    :param children: in the order of the translation.
    """

    element: Element
    parts: list[Span]
    children: list[Placed]
    guessed: bool = False


def place(elements: Sequence[Element], segment: SegmentPair, rules: Rules) -> list[Placed]:
    """The outermost elements with their places, in the order of the translation, their children likewise."""
    return _place_inside(elements, (0, len(segment.source)), [(0, len(segment.target))], segment, rules)


def _place_inside(
    elements: Sequence[Element], region: Span, parts: list[Span], segment: SegmentPair, rules: Rules
) -> list[Placed]:
    """Places siblings.

    :param region: the units of the source inside their parent.
    :param parts: the units of the translation inside their parent.
    """
    if not elements:
        return []
    if len(parts) == 1:
        points = break_points(elements, region)
        gaps = break_gaps(points, region, parts[0], segment) if points else []
        if gaps:
            return _place_sections(
                elements, [region[0], *points, region[1]], [parts[0][0], *gaps, parts[0][1]], segment, rules
            )
    spans = [element for element in elements if element.is_span]
    placed: list[Placed] = []
    owner = [-1] * len(segment.target)
    links = segment.links
    if region != (0, len(segment.source)) or parts != [(0, len(segment.target))]:
        links = [link for link in links if region[0] <= link[0] < region[1] and is_inside(link[1], parts)]
    if len(spans) == 1 and (spans[0].start, spans[0].stop) == region:
        placed.append(Placed(spans[0], parts, []))
        take(owner, parts, 0)
    elif spans:
        placed = _place_spans(spans, region, parts, segment, links, owner, rules)
    for span in placed:
        inner = (span.element.start, span.element.stop)
        span.children = _place_inside(span.element.children, inner, span.parts, segment, rules)
    if len(spans) < len(elements):
        crossed = [*links, *segment.mark_links] if segment.mark_links else links
        placed += [
            _place_between(element, region, parts, segment, crossed, owner)
            for element in elements
            if not element.is_span
        ]
    return _in_order(placed)


def _place_sections(
    elements: Sequence[Element], points: list[int], gaps: list[int], segment: SegmentPair, rules: Rules
) -> list[Placed]:
    """Places siblings between breaks, each within its section."""
    placed: list[Placed] = []
    position = 0
    for number in range(len(points) - 1):
        start, stop = points[number], points[number + 1]
        inside = []
        while position < len(elements):
            element = elements[position]
            if element.stop > stop or (element.start == stop and element.breaks[0] and number + 2 < len(points)):
                break
            inside.append(element)
            position += 1
        placed += _place_inside(inside, (start, stop), [(gaps[number], gaps[number + 1])], segment, rules)
    return placed


def _place_spans(
    spans: list[Element],
    region: Span,
    parts: list[Span],
    segment: SegmentPair,
    links: Sequence[Link],
    owner: list[int],
    rules: Rules,
) -> list[Placed]:
    marks = segment.target.marks
    sentence = LinkedSentence(
        segment.source_strings,
        segment.target_strings,
        links,
        segment.source.marks,
        marks,
        region,
        (parts[0][0], parts[-1][1]),
    )
    wanted: list[tuple[float, int, list[Span]]] = []
    for number, element in enumerate(spans):
        support = sum([weight for source, _, weight in links if element.start <= source < element.stop])
        wanted.append((-support, number, _wanted_runs(element, sentence, parts, rules)))
    quoted = not rules.split and has_quotes(segment.target, *sentence.target_part)
    placed: list[Placed | None] = [None] * len(spans)
    for _, number, runs in sorted(wanted):
        element = spans[number]
        kept = _free_runs(element, runs, owner, links, parts, rules.split)
        if not kept and runs:
            kept = _win_back(element, spans, placed, owner, links)
        trimmed = [span for span in (_without_marks(span, marks) for span in kept) if span[0] < span[1]] or kept
        guessed = not trimmed
        if guessed:
            trimmed = [_guess(element, region, parts, segment, links, owner)]
        elif quoted and not has_quotes(segment.source, max(0, element.start - 1), element.stop + 1):
            others = [other for other in spans if other is not element]
            trimmed = [_filled(span, others, segment, links, room_around(span, owner, parts)) for span in trimmed]
        if not guessed and not rules.split:
            trimmed = [
                to_sentence_edges(trimmed[0], element, region, segment, links, room_around(trimmed[0], owner, parts))
            ]
        grown = [
            _with_marks(span, element, region, segment, room_around(span, owner, parts, marks), rules)
            for span in trimmed
        ]
        if segment.target.inner:
            grown = [_whole_words(span, element, segment.target, room_around(span, owner, parts)) for span in grown]
        take(owner, grown, number)
        placed[number] = Placed(element, grown, [], guessed)
    return [span for span in placed if span is not None]


def _wanted_runs(element: Element, sentence: LinkedSentence, parts: list[Span], rules: Rules) -> list[Span]:
    """The spans that a pair asks for: one at the most, unless pairs may be split."""
    inside = range(element.start, element.stop)
    if rules.split:
        return runs_of_links(inside, sentence.links, parts, sentence.target_marks)
    chosen = rules.choice(inside, sentence)
    return [(chosen.start, chosen.stop)] if chosen else []


def _free_runs(
    element: Element, runs: list[Span], owner: list[int], links: Sequence[Link], parts: list[Span], split: bool
) -> list[Span]:
    """What is left of a span after those with more support: all of it, or its part with most links."""
    cut: list[tuple[float, Span]] = []
    for start, stop in runs:
        for first, last in free_between(start, stop, owner, parts):
            if (first, last) == (start, stop):
                cut.append((0.0, (first, last)))
                continue
            linked = [link for link in links if element.start <= link[0] < element.stop and first <= link[1] < last]
            if linked:
                targets = [link[1] for link in linked]
                cut.append((-sum(link[2] for link in linked), (min(targets), max(targets) + 1)))
    if split:
        return sorted(part for _, part in cut)
    return [min(cut)[1]] if cut else []


def _win_back(
    element: Element, spans: list[Element], placed: list[Placed | None], owner: list[int], links: Sequence[Link]
) -> list[Span]:
    """Take an element's words back from the one sibling that has them all, so that no element loses all of its words.

    The sibling keeps what is left or right of them, whichever has more links; nothing changes where neither has any.

    :return: the span of these words; nothing where they are not taken back.
    """
    targets = [target for source, target, _ in links if element.start <= source < element.stop]
    start, stop = min(targets), max(targets) + 1
    owners = set(owner[start:stop])
    winner = placed[owner[start]] if len(owners) == 1 and owner[start] >= 0 else None
    if winner is None or len(winner.parts) > 1:
        return []
    low, high = winner.parts[0]
    inner = [link for link in links if winner.element.start <= link[0] < winner.element.stop]
    sides = [
        (sum(weight for _, target, weight in inner if first <= target < last), first, last)
        for first, last in ((low, start), (stop, high))
    ]
    support, first, last = max(sides, key=lambda side: side[0])
    if not support:
        return []
    number = owner[start]
    owner[low:high] = [-1] * (high - low)
    winner.parts = [(first, last)]
    take(owner, winner.parts, number)
    return [(start, stop)]


def _without_marks(span: Span, marks: Sequence[bool]) -> Span:
    start, stop = span
    while start < stop and marks[start]:
        start += 1
    while start < stop and marks[stop - 1]:
        stop -= 1
    return start, stop


def _filled(span: Span, others: list[Element], segment: SegmentPair, links: Sequence[Link], room: Span) -> Span:
    """The span with all between the quotation marks around it, unless words there are linked into its siblings."""
    start, stop = fill_quotes(span, segment.target, room)
    more = {*range(start, span[0]), *range(span[1], stop)}
    reached = [source for source, target, _ in links if target in more]
    if any(other.start <= source < other.stop for other in others for source in reached):
        return span
    return start, stop


def _with_marks(span: Span, element: Element, region: Span, segment: SegmentPair, room: Span, rules: Rules) -> Span:
    """The span with the punctuation at its edges that belongs to it.

    :param room: as far as there is punctuation.
    """
    if room == span:
        return span
    edges = SourceEdges(segment.source, element.start, element.stop, region)
    return with_edges(span, edges, segment.target, room, rules.quotes)


def _whole_words(span: Span, element: Element, target: Units, room: Span) -> Span:
    """A span that begins and ends inside words only where the source's does."""
    start, stop = span
    starts_inside, stops_inside = element.inside_words
    while not starts_inside and start in target.inner and start > room[0]:
        start -= 1
    while not stops_inside and stop in target.inner and stop < room[1]:
        stop += 1
    return start, stop


def _guess(
    element: Element, region: Span, parts: list[Span], segment: SegmentPair, links: Sequence[Link], owner: list[int]
) -> Span:
    """A span without links: the free words between its neighbours', else the nearest free word, else a gap."""
    gap = best_gap(element, region, parts, segment, links, owner)
    linked = {target for _, target, _ in links}
    free = [
        unit
        for first, last in parts
        for unit in range(first, last)
        if owner[unit] < 0 and not segment.target.marks[unit]
    ]
    if not free:
        return gap, gap
    if not links:
        share = (element.start - region[0]) / max(1, region[1] - region[0])
        gap = parts[0][0] + round(share * (parts[-1][1] - parts[0][0]))
    unlinked = [unit for unit in free if unit not in linked] or free
    start = min(unlinked, key=lambda unit: (abs(unit - gap), -unit))
    stop = start + 1
    room = set(unlinked)
    while stop in room and stop - start < element.stop - element.start:
        stop += 1
    return start, stop


def _place_between(
    element: Element,
    region: Span,
    parts: list[Span],
    segment: SegmentPair,
    links: Sequence[Link],
    owner: list[int],
) -> Placed:
    gap = best_gap(element, region, parts, segment, links, owner)
    edge = element.start in (region[0], region[1])
    neighbours = {element.start - 1, element.start}
    guessed = not edge and not any(link[0] in neighbours for link in links)
    return Placed(element, [(gap, gap)], [], guessed)


def _in_order(placed: list[Placed]) -> list[Placed]:
    """By place; what stands at one place, in the order of the source."""
    return sorted(placed, key=lambda one: (one.parts[0][0], one.parts[0][1], one.element.first))
