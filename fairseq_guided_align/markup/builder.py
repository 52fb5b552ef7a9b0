"""Tagged text put together from left to right, as a reader of markup comes upon its parts."""

from __future__ import annotations

from collections.abc import Iterable

from fairseq_guided_align.markup.tagged_text import CLOSE, ISOLATED, OPEN, Range, Tag, TaggedText


class TextBuilder:
    """Takes text and tags in their order; :meth:`build` gives the tagged text."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._tags: list[list] = []
        self._added: list[int] = []
        self._protected: list[Range] = []
        self._breaks: list[int] = []
        self._glue = False
        self.length = 0
        self.repaired = 0

    def add_text(self, text: str) -> None:
        """Text as the model sees it; a space comes before it where tags since the last text keep words apart."""
        if not text:
            return
        if self._glue:
            self._glue = False
            if self._parts and not self._parts[-1][-1].isspace() and not text[0].isspace():
                self._added.append(self.length)
                self._parts.append(" ")
                self.length += 1
        self._parts.append(text)
        self.length += len(text)

    def add_tag(self, raw: str, role: str, keeps_apart: bool = False, breaks: bool = False) -> int:
        """The new tag's position among the tags.

        :param keeps_apart: words on both sides of this tag are two words.
        :param breaks: it parts blocks or lines.
        """
        self._glue = self._glue or keeps_apart
        if breaks:
            self._breaks.append(len(self._tags))
        self._tags.append([raw, self.length, role, None])
        return len(self._tags) - 1

    def pair(self, first: int, last: int) -> None:
        """Two tags, by their positions, become a pair."""
        self._tags[first][2:] = OPEN, last
        self._tags[last][2:] = CLOSE, first

    def leave_alone(self, tag: int) -> None:
        """A tag whose partner is missing becomes an isolated one, and is counted."""
        self._tags[tag][2:] = ISOLATED, None
        self.repaired += 1

    def protect(self, start: int, stop: int) -> None:
        """The text from ``start`` to ``stop`` stays as it is."""
        self._protected.append((start, stop))

    def place_of(self, tag: int) -> int:
        """The character before which a tag stands."""
        return self._tags[tag][1]

    def build(self) -> TaggedText:
        """The whole."""
        return TaggedText(
            "".join(self._parts),
            tuple([Tag(*tag) for tag in self._tags]),
            tuple(self._added),
            merged(self._protected) if self._protected else (),
            tuple(self._breaks),
            self.repaired,
        )

    def part_crossing_pairs(self) -> None:
        """Pairs nest afterwards: of two that cross, the one opened later becomes two isolated tags, and is counted."""
        still_open: list[int] = []
        for position, (_, _, role, partner) in enumerate(self._tags):
            if role == OPEN:
                still_open.append(position)
            elif role == CLOSE and partner in still_open:
                while still_open[-1] != partner:
                    self._part(still_open.pop())
                still_open.pop()

    def _part(self, first: int) -> None:
        last = self._tags[first][3]
        self._tags[last][2:] = ISOLATED, None
        self.leave_alone(first)


def merged(ranges: Iterable[Range]) -> tuple[Range, ...]:
    """Ranges in order, those that overlap made one; empty ones are left out."""
    result: list[Range] = []
    for start, stop in sorted(ranges):
        if start == stop:
            continue
        if result and start < result[-1][1]:
            result[-1] = (result[-1][0], max(stop, result[-1][1]))
        else:
            result.append((start, stop))
    return tuple(result)
