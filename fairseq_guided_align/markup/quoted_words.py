"""Words in quotation marks that only the translation has: translators quote what the source sets off by tags alone."""

from __future__ import annotations

from fairseq_guided_align.markup.segment_pair import Span
from fairseq_guided_align.markup.units import QUOTE, QUOTES, Units

LONGEST = 3
"""Words that quotation marks may add to a span on each side."""
_ALSO_APOSTROPHES = "'\"’"


def has_quotes(units: Units, start: int, stop: int) -> bool:
    """Whether there are quotation marks among the units of a text from ``start`` to ``stop``."""
    # The search is quick, and most texts have none.
    return bool(QUOTE.search(units.text)) and any(
        _is_quote(units, unit) for unit in range(start, min(stop, len(units)))
    )


def fill_quotes(span: Span, target: Units, free: Span) -> Span:
    """A span between two quotation marks, grown to all that stands between them; another span as it is.

    :param span: ``(start, stop)`` units; it begins and ends with words.
    :param free: the units that it may grow to.
    """
    start, stop = span
    low, high = max(free[0], start - LONGEST - 1), min(free[1], stop + LONGEST + 1)
    while start > low and not _is_quote(target, start - 1):
        start -= 1
    while stop < high and not _is_quote(target, stop):
        stop += 1
    quoted = start > low and stop < high and _opens(target, start - 1) and _closes(target, stop)
    return (start, stop) if quoted else span


def _is_quote(units: Units, unit: int) -> bool:
    return units.marks[unit] and units.text[units.starts[unit]] in QUOTES


def _opens(units: Units, unit: int) -> bool:
    """Whether a mark stands right before a word, and is no apostrophe in one, as in ``Ali'nin``."""
    if units.stops[unit] != units.starts[unit + 1]:
        return False
    loose = unit == 0 or units.marks[unit - 1] or units.stops[unit - 1] != units.starts[unit]
    return loose or units.text[units.starts[unit]] not in _ALSO_APOSTROPHES


def _closes(units: Units, unit: int) -> bool:
    """Whether a mark stands right after a word; an ending may follow, as in Turkish and Korean."""
    return units.stops[unit - 1] == units.starts[unit]
