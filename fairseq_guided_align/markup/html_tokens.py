"""HTML cut into text and tags, each as it was written, as Python's ``html.parser`` reads it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from types import MappingProxyType
from typing import NamedTuple

_VOID = frozenset(
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"]
)
_NO_TEXT = frozenset(["script", "style"])

NAMELESS = "</>"
"""An end tag without a name, which browsers and the parser pass over without a word."""

TEXT, START, END, ALONE = range(4)


class Token(NamedTuple):
    """A part of HTML; the parts follow one another without a gap.

    :param start: its first character.
    :param stop: the character after its last.
    :param kind: :data:`TEXT`, :data:`START`, :data:`END` or :data:`ALONE`, which is everything else, with the whole of
        ``script`` and ``style``.
    :param name: of a tag, in lower case.
    :param attributes: of a start tag.
    """

    start: int
    stop: int
    kind: int
    name: str = ""
    attributes: Mapping[str, str | None] = MappingProxyType({})


def html_tokens(raw: str) -> Iterator[Token]:
    """The parts of a fragment or a whole document, in order."""
    events = _Events(raw).events
    position = 0
    if events and events[0][0]:
        yield from _texts(raw, 0, events[0][0])
    while position < len(events):
        start, kind, name, attributes = events[position]
        position += 1
        # A tag ends where the next thing begins, whatever it is.
        while kind == TEXT and position < len(events) and events[position][1] == TEXT:
            position += 1
        if kind == START and name in _NO_TEXT:
            while position < len(events) and events[position - 1][1:3] != (END, name):
                position += 1
            kind = ALONE
        stop = events[position][0] if position < len(events) else len(raw)
        if kind == TEXT:
            yield from _texts(raw, start, stop)
            continue
        end = stop if name in _NO_TEXT else min(stop, _end_of_tag(raw, start))
        yield Token(start, end, kind, name, attributes)
        if end < stop:
            # An ampersand that begins nothing, at the very end: the parser says nothing of it.
            yield from _texts(raw, end, stop)


def _texts(raw: str, start: int, stop: int) -> Iterator[Token]:
    """Text, and the nameless end tags in it."""
    while start < stop:
        found = raw.find(NAMELESS, start, stop)
        end = stop if found < 0 else found
        if start < end:
            yield Token(start, end, TEXT)
        if found >= 0:
            yield Token(found, found + len(NAMELESS), END)
            end = found + len(NAMELESS)
        start = end


_TAG_END = re.compile(r"""<!--.*?--!?>|<[^>"']*(?:(?:"[^"]*"|'[^']*')[^>"']*)*>""", re.DOTALL)


def _end_of_tag(raw: str, start: int) -> int:
    """The character after a tag, where it can be told; else the end of the text."""
    match = _TAG_END.match(raw, start)
    return match.end() if match else len(raw)


class _Events(HTMLParser):
    """``(start, kind, name, attributes)`` of everything in a text, in order; names are in lower case."""

    def __init__(self, raw: str) -> None:
        super().__init__(convert_charrefs=False)
        self.events: list[tuple[int, int, str, dict[str, str | None]]] = []
        self._line_starts = [0]
        for line in raw.split("\n"):
            self._line_starts.append(self._line_starts[-1] + len(line) + 1)
        self.feed(raw)
        self.close()

    def _add(self, kind: int, name: str = "", attributes: dict[str, str | None] | None = None) -> None:
        line, column = self.getpos()
        self.events.append((self._line_starts[line - 1] + column, kind, name, attributes or {}))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._add(ALONE if tag in _VOID else START, tag, dict(attrs))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._add(ALONE, tag, dict(attrs))

    def handle_endtag(self, tag: str) -> None:
        self._add(END, tag)

    def handle_data(self, data: str) -> None:
        self._add(TEXT)

    def handle_entityref(self, name: str) -> None:
        self._add(TEXT)

    def handle_charref(self, name: str) -> None:
        self._add(TEXT)

    def handle_comment(self, data: str) -> None:
        self._add(ALONE)

    def handle_decl(self, decl: str) -> None:
        self._add(ALONE)

    def handle_pi(self, data: str) -> None:
        self._add(ALONE)

    def unknown_decl(self, data: str) -> None:
        self._add(ALONE)
