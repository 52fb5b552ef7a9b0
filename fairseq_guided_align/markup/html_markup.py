"""Tagged text of the kind ``html``: as Python's ``html.parser`` reads it, each tag as it was written.

Nothing in HTML is an error. An element whose end tag may be left out, such as ``li``, ends where HTML says. Other tags
without a partner are repaired, much as browsers do, and counted: an element that is never closed ends with the element
around it; an end tag that closes nothing stands alone.
"""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser

from fairseq_guided_align.markup.blocks import APART, BREAKS
from fairseq_guided_align.markup.builder import TextBuilder
from fairseq_guided_align.markup.tagged_text import CLOSE, ISOLATED, OPEN, TaggedText

_VOID = frozenset(
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"]
)
_NO_TEXT = frozenset(["script", "style"])
_CODE = frozenset(["code", "kbd", "samp", "var", "tt"])
_OPTIONAL_END = frozenset(
    [
        "li",
        "dt",
        "dd",
        "p",
        "rt",
        "rp",
        "optgroup",
        "option",
        "thead",
        "tbody",
        "tfoot",
        "tr",
        "td",
        "th",
        "colgroup",
        "caption",
        "html",
        "head",
        "body",
    ]
)
_ROWS = ("tr", "td", "th", "caption", "colgroup")
_CLOSED_BY = {
    "li": ["li"],
    "dt": ["dt", "dd"],
    "dd": ["dt", "dd"],
    "rt": ["rt", "rp"],
    "rp": ["rt", "rp"],
    "option": ["option"],
    "optgroup": ["option", "optgroup"],
    "td": ["td", "th"],
    "th": ["td", "th"],
    "tr": ["tr", "td", "th", "caption", "colgroup"],
    "thead": [*_ROWS, "thead", "tbody", "tfoot"],
    "tbody": [*_ROWS, "thead", "tbody", "tfoot"],
    "tfoot": [*_ROWS, "thead", "tbody", "tfoot"],
}
"""Start tag -> the elements without end tag that it ends."""
_ENDS_PARAGRAPH = APART - frozenset(
    ["br", "button", "caption", "col", "dd", "dt", "img", "input", "legend", "li", "optgroup", "option"]
)
_SCOPES = frozenset(["ul", "ol", "dl", "table", "select", "ruby", "menu", "div", "section", "article", "td", "th"])
"""Elements that a start tag does not reach out of when it ends others."""

_NAMELESS = "</>"

_TEXT, _START, _END, _ALONE = range(4)


def read_html(raw: str, lenient: bool = False) -> TaggedText:
    """A segment of HTML taken apart.

    The text of ``code``, ``kbd``, ``samp``, ``var`` and ``tt`` and of elements with ``translate="no"`` is protected.

    :param raw: a fragment, or a whole document.
    :param lenient: makes no difference: HTML is always read leniently.
    """
    reader = _Reader()
    events = _Events(raw).events
    position = 0
    if events and events[0][0]:
        reader.add(raw[: events[0][0]], _TEXT, "", {})
    while position < len(events):
        start, kind, name, attributes = events[position]
        position += 1
        # A tag ends where the next thing begins, whatever it is.
        while kind == _TEXT and position < len(events) and events[position][1] == _TEXT:
            position += 1
        if kind == _START and name in _NO_TEXT:
            while position < len(events) and events[position - 1][1:3] != (_END, name):
                position += 1
            kind = _ALONE
        stop = events[position][0] if position < len(events) else len(raw)
        end = stop if kind == _TEXT or name in _NO_TEXT else min(stop, _end_of_tag(raw, start))
        reader.add(raw[start:end], kind, name, attributes)
        if end < stop:
            # An ampersand that begins nothing, at the very end: the parser says nothing of it.
            reader.add(raw[end:stop], _TEXT, "", {})
    return reader.finished()


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
        self._add(_ALONE if tag in _VOID else _START, tag, dict(attrs))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._add(_ALONE, tag, dict(attrs))

    def handle_endtag(self, tag: str) -> None:
        self._add(_END, tag)

    def handle_data(self, data: str) -> None:
        self._add(_TEXT)

    def handle_entityref(self, name: str) -> None:
        self._add(_TEXT)

    def handle_charref(self, name: str) -> None:
        self._add(_TEXT)

    def handle_comment(self, data: str) -> None:
        self._add(_ALONE)

    def handle_decl(self, decl: str) -> None:
        self._add(_ALONE)

    def handle_pi(self, data: str) -> None:
        self._add(_ALONE)

    def unknown_decl(self, data: str) -> None:
        self._add(_ALONE)


class _Element:
    """An element that is not closed yet.

    :param kept: whether its text stays as it is: True, False, or None where it does not say.
    """

    def __init__(self, name: str, tag: int, kept: bool | None) -> None:
        self.name = name
        self.tag = tag
        self.kept = kept


class _Reader:
    """What is open while a segment is read."""

    def __init__(self) -> None:
        self._builder = TextBuilder()
        self._open: list[_Element] = []

    def add(self, raw: str, kind: int, name: str, attributes: dict[str, str | None]) -> None:
        if kind == _TEXT:
            # Browsers and the parser pass over an end tag without a name, without a word.
            for number, part in enumerate(raw.split(_NAMELESS)):
                if number:
                    self._builder.leave_alone(self._builder.add_tag(_NAMELESS, ISOLATED))
                self._add_text(html.unescape(part))
        elif kind == _ALONE:
            self._builder.add_tag(raw, ISOLATED, name in APART, name in BREAKS)
        elif kind == _START:
            self._end_others(name)
            kept = {"no": True, "yes": False, "": False}.get((attributes.get("translate", "-") or "").lower())
            kept = True if kept is None and name in _CODE else kept
            self._open.append(_Element(name, self._builder.add_tag(raw, OPEN, name in APART, name in BREAKS), kept))
        else:
            self._end(raw, name)

    def _add_text(self, text: str) -> None:
        self._builder.add_text(text)
        if self._kept():
            self._builder.protect(self._builder.length - len(text), self._builder.length)

    def finished(self) -> TaggedText:
        while self._open:
            self._end_unwritten()
        return self._builder.build()

    def _kept(self) -> bool:
        return next((element.kept for element in reversed(self._open) if element.kept is not None), False)

    def _end_others(self, name: str) -> None:
        """Ends the elements whose end tag may be left out before a start tag of this name."""
        ended = _CLOSED_BY.get(name, [])
        if name in _ENDS_PARAGRAPH:
            ended = [*ended, "p"]
        depth = len(self._open)
        for position in range(len(self._open) - 1, -1, -1):
            if self._open[position].name in ended:
                depth = position
            elif self._open[position].name in _SCOPES or self._open[position].name not in _OPTIONAL_END:
                break
        while len(self._open) > depth:
            self._end_unwritten()

    def _end(self, raw: str, name: str) -> None:
        if all(element.name != name for element in self._open):
            self._builder.leave_alone(self._builder.add_tag(raw, ISOLATED, name in APART, name in BREAKS))
            return
        while self._open[-1].name != name:
            self._end_unwritten()
        self._builder.pair(self._open.pop().tag, self._builder.add_tag(raw, CLOSE, name in APART, name in BREAKS))

    def _end_unwritten(self) -> None:
        element = self._open.pop()
        self._builder.pair(element.tag, self._builder.add_tag("", CLOSE, element.name in APART, element.name in BREAKS))
        if element.name not in _OPTIONAL_END:
            self._builder.repaired += 1
