"""Punctuation at the edges of a span: inside the tags or outside, as in the source.

Quotation marks that only the translation has follow the option ``quotes``.
"""

from __future__ import annotations

from fairseq_guided_align.markup.segment_pair import Span
from fairseq_guided_align.markup.units import BRACKETS, QUOTES, Units

INSIDE, OUTSIDE = "inside", "outside"
QUOTE_SIDES = (INSIDE, OUTSIDE)

_CLASSES = [QUOTES, BRACKETS, ".。।", ",،、，", ":：", ";；؛", "!?！？؟…¿¡", "-–—―"]
_CLASS = {mark: number for number, marks in enumerate(_CLASSES) for mark in marks}
_QUOTE = 0
_CORNERS = "「」『』"
_OPENED_BY = {
    ")": "(", "]": "[", "）": "（", "】": "【", "〕": "〔", "］": "［", "»": "«", "›": "‹", "”": "“„", "“": "„",
    "’": "‘", "」": "「", "』": "『", "》": "《", "〉": "〈",
}  # fmt: skip
"""Closing mark -> the marks that open what it closes."""


def mark_class(unit: str) -> int:
    """Which marks stand for each other in different languages: a number for each class of them."""
    return _CLASS.get(unit, -1)


class SourceEdges:
    """The classes of the marks on both sides of both edges of a span of the source.

    :param before: of the marks right before the span, likewise ``first`` of those it begins with, ``last`` of those it
        ends with, ``after`` of those right after it.
    """

    def __init__(self, units: Units, start: int, stop: int, region: Span) -> None:
        self.before = _run(units, start - 1, -1, region)
        self.first = _run(units, start, 1, (start, stop))
        self.last = _run(units, stop - 1, -1, (start, stop))
        self.after = _run(units, stop, 1, region)


def _run(units: Units, position: int, step: int, region: Span) -> list[int]:
    """The classes of the marks from a position on."""
    found = []
    while region[0] <= position < region[1] and units.marks[position]:
        found.append(mark_class(units.text[units.starts[position]]))
        position += step
    return found


def with_edges(span: Span, source: SourceEdges, units: Units, free: Span, quotes: str) -> Span:
    """A span of the translation, with the marks at its edges that belong to it.

    :param span: ``(start, stop)`` units; it begins and ends with words.
    :param units: the translation's.
    :param free: the units that the span may grow to.
    :param quotes: :data:`INSIDE` or :data:`OUTSIDE`.
    """
    start = _grown(span[0] - 1, -1, source.first, units, free)
    stop = _grown(_closed(span, units, free[1]), 1, source.last, units, free)
    no_quotes = _QUOTE not in source.first + source.before + source.last + source.after
    has_room = free[0] < start and stop < free[1]
    if quotes == INSIDE and no_quotes and has_room and _are_drawn_in(start - 1, stop, units):
        return start - 1, stop + 1
    return start, stop


def _are_drawn_in(before: int, after: int, units: Units) -> bool:
    """Whether two marks are quotation marks right around a span that translators put inside the tags.

    Corner brackets and French quotation marks, with spaces inside them, stay outside in translators' catalogues.
    """
    if not (_is_quote(units, before) and _is_quote(units, after)):
        return False
    if units.text[units.starts[before]] in _CORNERS:
        return False
    return units.stops[before] == units.starts[before + 1] and units.stops[after - 1] == units.starts[after]


def _closed(span: Span, units: Units, last: int) -> int:
    """The span's stop after the marks that close what was opened inside it."""
    start, stop = span
    while stop < last and units.marks[stop]:
        closing = units.text[units.starts[stop]]
        inside = [units.text[units.starts[unit]] for unit in range(start, stop) if units.marks[unit]]
        opened = sum(inside.count(mark) for mark in _OPENED_BY.get(closing, ""))
        if opened <= inside.count(closing):
            break
        stop += 1
    return stop


def _is_quote(units: Units, position: int) -> bool:
    return units.marks[position] and mark_class(units.text[units.starts[position]]) == _QUOTE


def _grown(position: int, step: int, inside: list[int], units: Units, free: Span) -> int:
    """The edge of a span, moved over marks of kinds that the source's span has at this edge, each as often as there.

    :param position: the unit beyond the edge.
    :param step: -1 for the start, 1 for the stop.
    :param inside: the kinds of the marks at this edge of the source's span.
    :return: the span's new start, or stop.
    """
    edge = position + (1 if step < 0 else 0)
    wanted = list(inside)
    while wanted and free[0] <= position < free[1] and units.marks[position]:
        kind = mark_class(units.text[units.starts[position]])
        if kind not in wanted:
            break
        wanted.remove(kind)
        edge = position + (1 if step > 0 else 0)
        position += step
    return edge
