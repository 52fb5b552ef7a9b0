"""Breaks between blocks and lines: where the same blocks begin in the translation, in the same order."""

from __future__ import annotations

from collections.abc import Sequence

from fairseq_guided_align.markup.edges import mark_class
from fairseq_guided_align.markup.elements import Element
from fairseq_guided_align.markup.segment_links import Link
from fairseq_guided_align.markup.segment_pair import SegmentPair, Span
from fairseq_guided_align.markup.units import BRACKETS, QUOTES, Units, is_seam

_NO_SPACE = 8.0
"""A break inside a word costs as much as this many crossing links."""
_OTHER_MARK = 1.5
"""A break after another mark of punctuation than in the source costs as much as this many crossing links."""
_OTHER_CASE = 3.0
"""A break before a small letter, where the source has a capital letter, costs as much as this many crossing links."""
_LEAST_STRAIGHT = 0.6
"""At least this share of the links must not cross the breaks. Otherwise the blocks have changed their order."""


def break_points(elements: Sequence[Element], region: Span) -> list[int]:
    """The units before which the text of siblings is parted, inside their parent's units."""
    points = {
        unit
        for element in elements
        for unit, breaks in zip((element.start, element.stop), element.breaks)
        if breaks and region[0] < unit < region[1]
    }
    return sorted(points)


def break_gaps(points: list[int], region: Span, part: Span, segment: SegmentPair) -> list[int]:
    """A gap of the translation for each break, in order; empty where the links say that the blocks changed places.

    The gaps are those that the fewest links cross, all in all; a gap without white space, or after another mark of
    punctuation than in the source, costs more.

    :param region: the units of the source that are parted.
    :param part: the units of the translation that are.
    """
    first, last = part
    if last - first <= len(points):
        return []
    links = [
        link
        for some in (segment.links, segment.mark_links)
        for link in some
        if region[0] <= link[0] < region[1] and first <= link[1] < last
    ]
    costs = [_costs(point, region, part, segment, links) for point in points]
    # Dynamic programming over breaks: the least cost of the breaks so far, the last of them at or before a gap.
    best = [(0.0, -1)] * (last - first)
    back: list[list[int]] = []
    for number, cost in enumerate(costs):
        reached = [(float("inf"), -1)] * (last - first)
        for gap in range(1 + number, last - first):
            before = best[gap - 1][0] if number else 0.0
            here = before + cost[gap]
            reached[gap] = (here, gap) if here < reached[gap - 1][0] else reached[gap - 1]
        back.append([gap for _, gap in reached])
        best = reached
    gaps: list[int] = []
    gap = last - first - 1
    for chosen in reversed(back):
        gap = chosen[gap]
        gaps.append(first + gap)
        gap -= 1
    gaps.reverse()
    return gaps if _straight(points, gaps, links) >= _LEAST_STRAIGHT else []


def _costs(point: int, region: Span, part: Span, segment: SegmentPair, links: Sequence[Link]) -> list[float]:
    """What a break costs at each gap, counted from the part's start."""
    first, last = part
    change = [0.0] * (last - first + 1)
    crossing = 0.0
    for source, target, weight in links:
        if source < point:
            crossing += weight
            change[target + 1 - first] -= weight
        else:
            change[target + 1 - first] += weight
    mark = _mark_before(segment.source, point, region[0])
    share = (point - region[0]) / (region[1] - region[0])
    capital = _case_after(segment.source, point, region[1]) > 0
    costs = []
    for gap in range(last - first):
        crossing += change[gap]
        cost = crossing + abs(gap / (last - first) - share)
        if first + gap and _is_tight(segment.target, first + gap):
            cost += _NO_SPACE
        if mark != _mark_before(segment.target, first + gap, first):
            cost += _OTHER_MARK
        if capital and _case_after(segment.target, first + gap, last) < 0:
            cost += _OTHER_CASE
        costs.append(cost)
    return costs


def _is_tight(units: Units, gap: int) -> bool:
    """Whether words or marks stand side by side at a gap without a space, as they do in any text."""
    return units.stops[gap - 1] == units.starts[gap] and not is_seam(units, gap)


def _mark_before(units: Units, unit: int, first: int) -> int:
    """The class of the mark of punctuation before a unit, closing quotation marks and brackets aside; -2 for a word."""
    while unit > first and units.marks[unit - 1]:
        mark = units.text[units.starts[unit - 1]]
        if mark not in QUOTES and mark not in BRACKETS:
            return mark_class(mark)
        unit -= 1
    return -2


def _case_after(units: Units, unit: int, last: int) -> int:
    """1 where the next word begins with a capital letter, -1 with a small one, 0 with neither."""
    while unit < last and units.marks[unit]:
        unit += 1
    if unit == last:
        return 0
    letter = units.text[units.starts[unit]]
    return 1 if letter.isupper() else -1 if letter.islower() else 0


def _straight(points: list[int], gaps: list[int], links: Sequence[Link]) -> float:
    """The share of the links that lead from a section to the same section."""
    whole = sum(weight for _, _, weight in links)
    straight = sum(
        weight
        for source, target, weight in links
        if all((source < point) == (target < gap) for point, gap in zip(points, gaps))
    )
    return straight / whole if whole else 1.0
