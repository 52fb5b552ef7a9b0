"""Where an isolated tag goes: the gap between two units of the translation."""

from __future__ import annotations

from collections.abc import Sequence

from fairseq_guided_align.markup.elements import Element
from fairseq_guided_align.markup.segment_links import Link
from fairseq_guided_align.markup.segment_pair import SegmentPair, Span


def best_gap(
    element: Element, region: Span, parts: list[Span], segment: SegmentPair, links: Sequence[Link], owner: list[int]
) -> int:
    """The gap that the fewest links cross; of several such, the one before the word that followed the tag."""
    unit = element.start
    if unit == region[0]:
        return parts[0][0]
    if unit == region[1]:
        return parts[-1][1]
    best = _least_crossed(element, parts, segment, links, owner)
    if len(best) == 1:
        return best[0]
    before_next = min((target for source, target, _ in links if source == unit), default=-1)
    after_previous = max((target + 1 for source, target, _ in links if source == unit - 1), default=-1)
    for wanted in (before_next, after_previous):
        if wanted in best:
            return wanted
    if segment.source.marks[unit]:
        mark = segment.source_strings[unit]
        for gap in best:
            if gap < len(owner) and segment.target_strings[gap] == mark:
                return gap
    share = (unit - region[0]) / (region[1] - region[0])
    middle = parts[0][0] + share * (parts[-1][1] - parts[0][0])
    return min(best, key=lambda gap: (abs(gap - middle), gap))


def _least_crossed(
    element: Element, parts: list[Span], segment: SegmentPair, links: Sequence[Link], owner: list[int]
) -> list[int]:
    """The gaps that the fewest links cross, in order; inside words only where the source's tag is."""
    shut = segment.target.inner if not element.inside_words[0] else ()
    # How the weight of the links that cross a gap differs from that at the gap before it.
    change = [0.0] * (len(owner) + 1)
    crossing = 0.0
    for source, target, weight in links:
        if source < element.start:
            crossing += weight
            change[target + 1] -= weight
        else:
            change[target + 1] += weight
    best: list[int] = []
    least = float("inf")
    gap = 0
    for first, last in parts:
        while gap <= last:
            crossing += change[gap]
            if gap >= first and gap not in shut and not (first < gap < last and owner[gap - 1] == owner[gap] >= 0):
                if crossing < least - 1e-9:
                    best, least = [gap], crossing
                elif crossing <= least + 1e-9:
                    best.append(gap)
            gap += 1
    return best
