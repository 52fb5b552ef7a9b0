"""Spans of whole sentences: what ends with a sentence in the source ends with one in the translation.

Aligners often leave the verb that ends a German sentence, or the word that begins a Russian one, without a link.
"""

from __future__ import annotations

from collections.abc import Sequence

from fairseq_guided_align.markup.edges import mark_class
from fairseq_guided_align.markup.elements import Element
from fairseq_guided_align.markup.segment_links import Link
from fairseq_guided_align.markup.segment_pair import SegmentPair, Span
from fairseq_guided_align.markup.units import Units

_ENDS = frozenset([mark_class("."), mark_class("!")])


def to_sentence_edges(
    span: Span, element: Element, region: Span, segment: SegmentPair, links: Sequence[Link], room: Span
) -> Span:
    """The span of an element that ends with a sentence, grown over words without links to the sentence's end.

    If the element begins with a sentence too, so does the span, likewise.

    :param span: ``(start, stop)`` units of the translation; it begins and ends with words.
    :param region: the units of the source inside the element's parent.
    :param room: the units that the span may grow to.
    """
    if room == span or not _is_end(segment.source, element.stop - 1):
        return span
    elsewhere = {target for source, target, _ in links if not element.start <= source < element.stop}
    start, stop = span
    end = stop
    while end < room[1] and end not in elsewhere and not _is_end(segment.target, end):
        end += 1
    if end < room[1] and _is_end(segment.target, end):
        stop = end
    if element.start == region[0] or _is_end(segment.source, element.start - 1):
        begin = start
        while begin > room[0] and begin - 1 not in elsewhere and not _is_end(segment.target, begin - 1):
            begin -= 1
        if begin == room[0] or _is_end(segment.target, begin - 1):
            start = begin
    return start, stop


def _is_end(units: Units, unit: int) -> bool:
    return units.marks[unit] and mark_class(units.text[units.starts[unit]]) in _ENDS
