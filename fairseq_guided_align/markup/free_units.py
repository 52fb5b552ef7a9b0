"""Which units of a translation are free: inside the parent, and taken by no sibling.

``owner`` says of each unit which sibling has taken it; -1: none. ``parts`` are the ``(start, stop)`` units inside the
parent.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fairseq_guided_align.markup.segment_pair import Span


def is_inside(unit: int, parts: list[Span]) -> bool:
    """Whether a unit is inside the parent."""
    return any(start <= unit < stop for start, stop in parts)


def take(owner: list[int], parts: Iterable[Span], number: int) -> None:
    """Give units to the sibling of a number."""
    for start, stop in parts:
        owner[start:stop] = [number] * (stop - start)


def free_between(start: int, stop: int, owner: list[int], parts: list[Span]) -> Iterable[Span]:
    """The runs of units from ``start`` to ``stop`` that are inside the parent and not taken."""
    for first, last in parts:
        position = max(start, first)
        end = min(stop, last)
        if position < end and max(owner[position:end]) < 0:
            yield position, end
            continue
        while position < end:
            if owner[position] >= 0:
                position += 1
                continue
            run = position
            while position < end and owner[position] < 0:
                position += 1
            yield run, position


def room_around(span: Span, owner: list[int], parts: list[Span], among: Sequence[bool] | None = None) -> Span:
    """How far a span may grow.

    :param among: the units that it may grow over; all where None.
    """
    start, stop = span
    for low, high in parts:
        if low <= start and stop <= high:
            break
    while low < start and owner[start - 1] < 0 and (among is None or among[start - 1]):
        start -= 1
    while stop < high and owner[stop] < 0 and (among is None or among[stop]):
        stop += 1
    return start, stop
