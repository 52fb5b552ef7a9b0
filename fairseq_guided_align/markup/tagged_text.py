"""What tagged text is: plain text, and the tags that stand in it, each as it was written."""

from __future__ import annotations

import re
from typing import NamedTuple

OPEN, CLOSE, ISOLATED = "open", "close", "isolated"
"""The roles of a tag: it opens a pair, it closes one, or it stands alone."""

Range = tuple[int, int]
"""From a character of a text to the character after the last."""

_WORD = re.compile(r"\S+")


class Tag(NamedTuple):
    """One tag of a segment.

    :param raw: the tag as it was written, for instance ``<a href="x">``. What is not text belongs to it: the whole of
        XLIFF's ``<ph id="1">%d</ph>`` is one tag. Empty for an end tag that HTML lets be left out.
    :param place: the character of the plain text before which it stands, 0 to the text's length.
    :param role: :data:`OPEN`, :data:`CLOSE` or :data:`ISOLATED`.
    :param partner: the position of its pair's other tag among the segment's tags; None for isolated tags.
    """

    raw: str
    place: int
    role: str
    partner: int | None = None


class TaggedText(NamedTuple):
    """A segment taken apart.

    :param text: the plain text: entities are characters, and tags are gone. It is what a translation model reads.
    :param tags: in the order in which they were written, so by place. Pairs nest.
    :param added_spaces: places of the spaces in ``text`` that were not written: without them, taking the tags out
        would glue two words together, as in ``</li><li>``. Tags between those words stand before the space.
    :param protected: ``(start, stop)`` ranges of ``text`` that stay as they are, such as placeholders and code: in
        order, none overlapping another.
    :param breaks: positions, among the tags, of those that part blocks or lines of text, such as ``<p>`` and ``<br>``.
    :param repaired: how many tags had to be repaired, as browsers do.
    """

    text: str
    tags: tuple[Tag, ...] = ()
    added_spaces: tuple[int, ...] = ()
    protected: tuple[Range, ...] = ()
    breaks: tuple[int, ...] = ()
    repaired: int = 0


def words_of(text: str) -> list[Range]:
    """``(start, stop)`` character ranges of a text's words: what stands between white space, Unicode's included."""
    return [match.span() for match in _WORD.finditer(text)]
