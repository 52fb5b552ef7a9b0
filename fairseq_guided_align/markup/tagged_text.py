"""What tagged text is: plain text, and the tags that stand in it, each as it was written."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Optional

OPEN, CLOSE, ISOLATED = "open", "close", "isolated"
"""The roles of a tag: it opens a pair, it closes one, or it stands alone."""

_WORD = re.compile(r"\S+")


@dataclass(frozen=True)
class Tag:
    """One tag of a segment.

    :param raw: the tag as it was written, for instance ``<a href="x">``. The content that is not text, as in
        XLIFF's ``<ph id="1">%d</ph>``, belongs to it.
    :param place: the character of the plain text before which it stands, 0 to the text's length.
    :param role: :data:`OPEN`, :data:`CLOSE` or :data:`ISOLATED`.
    :param partner: the position of its pair's other tag among the segment's tags; None for isolated tags.
    """

    raw: str
    place: int
    role: str
    partner: Optional[int] = None


@dataclass(frozen=True)
class TaggedText:
    """A segment taken apart.

    :param text: the plain text: entities are characters, and tags are gone. It is what a translation model reads.
    :param tags: in the order in which they were written, so by place.
    :param added_spaces: places of the spaces in ``text`` that were not written: without them, taking the tags out
        would glue two words together, as in ``</li><li>``.
    :param protected: ``(start, stop)`` ranges of ``text`` that stay as they are, such as placeholders and code: in order,
        none touching another; white space inside does not separate words.
    """

    text: str
    tags: tuple[Tag, ...] = ()
    added_spaces: tuple[int, ...] = ()
    protected: tuple[tuple[int, int], ...] = field(default=())


def words_of(text: str, protected: tuple[tuple[int, int], ...] = ()) -> list[tuple[int, int]]:
    """``(start, stop)`` character ranges of the words of a text: what stands between white space, Unicode's included.

    :param protected: ranges in which white space does not separate, see :class:`TaggedText`.
    """
    words = [match.span() for match in _WORD.finditer(text)]
    for start, stop in protected:
        inner = [i for i, (first, last) in enumerate(words) if first < stop and last > start]
        if len(inner) > 1:
            words[inner[0] : inner[-1] + 1] = [(words[inner[0]][0], words[inner[-1]][1])]
    return words
