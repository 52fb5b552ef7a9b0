"""Which words of the translation belong to a pair of tags: the choice of one span, by the links.

A choice is a function ``(inside, sentence) -> range of target words, or None``; :data:`SPANS` names them all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fairseq_guided_align.markup.linked_sentence import LinkedSentence
from fairseq_guided_align.markup.segment_links import Link
from fairseq_guided_align.markup.segment_pair import Span

Choice = Callable[[range, LinkedSentence], range | None]

LEAST_SHARE_OF_WEIGHT = 0.5
"""How strongly a target word must be linked to source words to belong to them, as a share of its other links."""


def hull(inside: range, sentence: LinkedSentence) -> range | None:
    """From the first to the last target word that is linked to a word inside.

    :param inside: positions of the source words between the tags; not empty.
    :return: positions of target words, not empty; None where no word inside has a link.
    Moses' m4loc, ``reinsert_wordalign``.
    """
    first, last = inside.start, inside.stop
    linked = [target for source, target, _ in sentence.links if first <= source < last]
    return range(min(linked), max(linked) + 1) if linked else None


def weighed_hull(inside: range, sentence: LinkedSentence) -> range | None:
    """As :func:`hull`, of target words that are linked to the inside at least half as strongly as to the outside.

    With plain links it is the hull nearly always; of links with probabilities it leaves the weak ones out.
    """
    first, last = inside.start, inside.stop
    inner: dict[int, float] = {}
    for source, target, weight in sentence.links:
        if first <= source < last:
            inner[target] = inner.get(target, 0.0) + weight
    others = [link for link in sentence.links if link[1] in inner and not first <= link[0] < last]
    linked = list(inner)
    if others:
        outer = dict.fromkeys(inner, 0.0)
        for _, target, weight in others:
            outer[target] += weight
        linked = [
            target for target, weight in inner.items() if weight >= LEAST_SHARE_OF_WEIGHT * outer[target]
        ] or linked
    return range(min(linked), max(linked) + 1) if linked else None


def runs_of_links(inside: range, links: Sequence[Link], parts: list[Span], marks: Sequence[bool]) -> list[Span]:
    """Runs of target words that are linked more strongly inside than outside.

    Words without links between two runs join them.
    """
    balance: dict[int, float] = {}
    for source, target, weight in links:
        balance[target] = balance.get(target, 0.0) + (weight if source in inside else -weight)
    runs: list[Span] = []
    for first, last in parts:
        start = stop = -1
        for unit in range(first, last):
            if unit not in balance:
                continue
            if balance[unit] > 0:
                start, stop = (unit if start < 0 else start), unit + 1
            elif start >= 0:
                runs.append((start, stop))
                start = -1
        if start >= 0:
            runs.append((start, stop))
    return runs


SPANS: dict[str, Choice] = {"weighed": weighed_hull, "hull": hull}
