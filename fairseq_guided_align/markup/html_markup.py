"""Tagged text of the kind ``html``: as Python's ``html.parser`` reads it, each tag as it was written.

Nothing in HTML is an error. An element whose end tag may be left out, such as ``li``, ends where HTML says. Other tags
without a partner are repaired, much as browsers do, and counted: an element that is never closed ends with the element
around it; an end tag that closes nothing stands alone.
"""

from __future__ import annotations

import html
from collections.abc import Collection
from typing import NamedTuple

from fairseq_guided_align.markup.blocks import APART, BREAKS
from fairseq_guided_align.markup.builder import TextBuilder
from fairseq_guided_align.markup.html_tokens import ALONE, START, TEXT, Token, html_tokens
from fairseq_guided_align.markup.tagged_text import CLOSE, ISOLATED, OPEN, TaggedText

_CODE = frozenset(["code", "kbd", "samp", "var", "tt", "svg", "math"])
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


class HtmlText(NamedTuple):
    """HTML taken apart.

    :param tagged: the text and its tags; those that were not written are empty.
    :param tokens: what it was written as.
    :param kept: of each token, whether the text there stays as it is.
    """

    tagged: TaggedText
    tokens: list[Token]
    kept: list[bool]


def read_html(raw: str, lenient: bool = False) -> TaggedText:
    """A segment of HTML taken apart.

    The text of ``code``, ``kbd``, ``samp``, ``var``, ``tt``, ``svg`` and ``math``, and of elements with
    ``translate="no"`` is protected.

    :param raw: a fragment, or a whole document.
    :param lenient: makes no difference: HTML is always read leniently.
    """
    return read_html_text(raw).tagged


def read_html_text(raw: str, also_kept: Collection[str] = ()) -> HtmlText:
    """As :func:`read_html`, with the parts that it was read from.

    :param also_kept: names of more elements whose text is protected.
    """
    reader = _Reader(_CODE.union(also_kept))
    tokens = list(html_tokens(raw))
    kept = [reader.add(raw[one.start : one.stop], one) for one in tokens]
    return HtmlText(reader.finished(), tokens, kept)


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

    def __init__(self, code: frozenset[str]) -> None:
        self._code = code
        self._builder = TextBuilder()
        self._open: list[_Element] = []

    def add(self, raw: str, token: Token) -> bool:
        """Whether text there stays as it is."""
        name = token.name
        said = {"no": True, "yes": False, "": False}.get((token.attributes.get("translate", "-") or "").lower())
        if token.kind == TEXT:
            self._add_text(html.unescape(raw))
        elif token.kind == ALONE:
            self._builder.add_tag(raw, ISOLATED, name in APART, name in BREAKS)
        elif token.kind == START:
            self._end_others(name)
            kept = True if said is None and name in self._code else said
            self._open.append(_Element(name, self._builder.add_tag(raw, OPEN, name in APART, name in BREAKS), kept))
        else:
            self._end(raw, name)
        return self._kept() if said is None or token.kind != ALONE else said

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
