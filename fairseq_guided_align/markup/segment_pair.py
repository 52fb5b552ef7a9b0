"""A segment and its translation in units, with the links between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from fairseq_guided_align.markup.segment_links import Link
from fairseq_guided_align.markup.units import Units

Span = tuple[int, int]
"""From a unit to the unit after the last."""


class SegmentPair(NamedTuple):
    """A segment in units, with links between units.

    :param links: between words.
    :param mark_links: between marks of punctuation.
    """

    source: Units
    target: Units
    source_strings: Sequence[str]
    target_strings: Sequence[str]
    links: Sequence[Link]
    mark_links: Sequence[Link]
