"""A document and what of it is translated; everything else stays byte for byte."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Edit(NamedTuple):
    """Text that takes the place of a part of a document.

    :param start: the part's first character.
    :param stop: the character after its last; ``start`` where nothing is taken out.
    """

    start: int
    stop: int
    text: str


class TextBlock(NamedTuple):
    """A part of a document that is translated as one segment.

    :param text: the segment, as it is written in the document.
    :param place: the character of the document that it begins at.
    :param start: its translation takes the place of the characters from here to ``stop``.
    :param before: comes before its translation; ``after`` comes after it.
    """

    text: str
    place: int
    start: int
    stop: int
    before: str = ""
    after: str = ""

    def edit(self, translation: str) -> Edit:
        """The change of the document."""
        return Edit(self.start, self.stop, self.before + translation + self.after)


def edited(raw: str, edits: Iterable[Edit]) -> str:
    """A document with changes.

    :param edits: none overlapping another; of several at one place, the first comes first.
    """
    parts = []
    done = 0
    for start, stop, text in sorted(edits, key=lambda one: one.start):
        parts += [raw[done:start], text]
        done = stop
    return "".join([*parts, raw[done:]])
