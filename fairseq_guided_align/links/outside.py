"""Links that point outside their sentence pair: which they are, and what messages say of the first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from fairseq_guided_align.errors import AlignmentRangeError
from fairseq_guided_align.links.link import CorpusLinks, InvertedLinks, SentenceLinks

CHUNK = 100_000
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
    sentence = links.sentence()
    found: np.ndarray = (links.source >= sources[sentence]) | (links.target >= targets[sentence])
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
    return ((start, columns[start : start + CHUNK]) for start in range(0, len(links), CHUNK))


def check_inside(links: SentenceLinks, sources: int, targets: int, what: str = "links") -> None:
    """Refuse links that point outside their sentence pair.

    :param sources: source tokens of the pair.
    :param targets: target tokens of the pair.
    :param what: what the message calls the links.
    :raises AlignmentRangeError: names the first of them.
    """
    outside = (links.source >= sources) | (links.target >= targets)
    if bool(outside.any()):
        first = int(outside.argmax())
        raise AlignmentRangeError(
            f"expected {what} within {sources} source and {targets} target tokens;"
            f" got {links.source[first]}-{links.target[first]}"
        )
