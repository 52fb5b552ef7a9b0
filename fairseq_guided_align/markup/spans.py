"""Which words of the translation belong to a pair of tags: the choice of one span, by the links.

A choice is a function ``(inside, sentence) -> range of target words, or None``; :data:`SPANS` names them all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Optional


@dataclass(frozen=True)
class LinkedSentence:
    """What is known of a segment and its translation when a span is chosen; the same for all of its pairs of tags.

    :param source: the words of the source, without tags.
    :param target: the words of the translation.
    :param links: ``(source, target, weight)``: 0-based positions of words, inside both sentences; weights > 0, 1 for a
        link without a probability.
    """

    source: Sequence[str]
    target: Sequence[str]
    links: Sequence[tuple[int, int, float]]


Choice = Callable[[range, LinkedSentence], Optional[range]]


def hull(inside: range, sentence: LinkedSentence) -> Optional[range]:
    """From the first to the last target word that is linked to a word inside.

    :param inside: positions of the source words between the tags; not empty.
    :return: positions of target words, not empty; None where no word inside has a link.
    Moses' m4loc, ``reinsert_wordalign``.
    """
    first, last = inside.start, inside.stop
    linked = [target for source, target, _ in sentence.links if first <= source < last]
    return range(min(linked), max(linked) + 1) if linked else None


SPANS: dict[str, Choice] = {"hull": hull}
