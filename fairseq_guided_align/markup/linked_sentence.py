"""What is known of a segment and its translation when a span is chosen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from fairseq_guided_align.markup.segment_links import Link
from fairseq_guided_align.markup.segment_pair import Span


class LinkedSentence(NamedTuple):
    """The same for all pairs of tags with the same parent.

    :param source: the units of the source, without tags: words and marks of punctuation.
    :param target: the units of the translation.
    :param links: ``(source, target, weight)``: 0-based positions of words, inside both sentences; weights > 0, 1 for a
        link without a probability.
    :param source_marks: whether each unit of the source is punctuation; ``target_marks`` of the translation.
    :param source_part: ``(start, stop)`` units inside the parent; ``target_part`` from its first to its last unit.
    """

    source: Sequence[str]
    target: Sequence[str]
    links: Sequence[Link]
    source_marks: Sequence[bool]
    target_marks: Sequence[bool]
    source_part: Span
    target_part: Span
