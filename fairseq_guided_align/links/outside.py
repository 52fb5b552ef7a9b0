"""Links that point outside their sentence pair: which they are, and what messages say of the first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from fairseq_guided_align.errors import AlignmentRangeError
from fairseq_guided_align.links.link import CorpusLinks, InvertedLinks, SentenceLinks

PAIRS_AT_ONCE = 100_000
"""Sentence pairs looked at together, so that memory does not grow with the corpus."""


class OutsideLink(NamedTuple):
    """A link that points outside its sentence pair; everything counts from 0."""

    sentence: int
    source: int
    target: int


def is_outside(links: CorpusLinks, sources: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """(n,) bool: which links point outside their sentence pair.

    :param sources: (pairs,) source tokens of each pair.
    :param targets: (pairs,) target tokens of each pair.
    """
    counts = np.diff(links.offsets)
    found: np.ndarray = (links.source >= np.repeat(sources, counts)) | (links.target >= np.repeat(targets, counts))
    return found


def first_outside(links: CorpusLinks | InvertedLinks, sources: np.ndarray, targets: np.ndarray) -> OutsideLink | None:
    """The first link that points outside; None where there is none. Parameters as :func:`is_outside`."""
    for start, part in chunks(links):
        stop = start + len(part)
        outside = is_outside(part, sources[start:stop], targets[start:stop])
        if outside.any():
            row = int(outside.argmax())
            return OutsideLink(start + int(part.sentence()[row]), int(part.source[row]), int(part.target[row]))
    return None


def chunks(links: CorpusLinks | InvertedLinks) -> Iterator[tuple[int, CorpusLinks]]:
    """Some sentence pairs at a time, without weights, and the number of the first, from 0."""
    columns = CorpusLinks(links.offsets, links.source, links.target)
    return ((start, columns[start : start + PAIRS_AT_ONCE]) for start in range(0, len(links), PAIRS_AT_ONCE))


def check_inside(links: SentenceLinks, sources: int, targets: int, what: str = "links", hint: str = "") -> None:
    """Refuse links that point outside their sentence pair.

    :param sources: source tokens of the pair.
    :param targets: target tokens of the pair.
    :param what: what the message calls the links.
    :param hint: ends the message.
    :raises AlignmentRangeError: names the first of them.
    """
    corpus = CorpusLinks(np.array([0, len(links)]), links.source, links.target)
    outside = first_outside(corpus, np.array([sources]), np.array([targets]))
    if outside is not None:
        raise AlignmentRangeError(outside_message(outside, sources, targets, what, hint))


def outside_message(
    link: OutsideLink, sources: int, targets: int, what: str = "links", hint: str = "", base: int = 0
) -> str:
    """What was expected of a link that points outside its sentence pair. Parameters as :func:`check_inside`.

    :param base: positions in the message count from it.
    """
    return (
        f"expected {what} within {sources} source and {targets} target tokens;"
        f" got {link.source + base}-{link.target + base}{hint}"
    )
