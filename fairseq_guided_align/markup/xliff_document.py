"""A whole XLIFF document, 1.2 or 2: the sources without a translation, and where their targets go.

A target that is there stays, unless it is empty or its state says that it waits for a translation. What is marked
``translate="no"`` is left out. ``seg-source`` of 1.2 is translated segment by segment.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

from fairseq_guided_align.errors import MarkupError
from fairseq_guided_align.markup.documents import Edit, TextBlock

_WAITING = frozenset(["new", "needs-translation", "initial"])
_UNITS = frozenset(["trans-unit", "segment"])


class XliffParts(NamedTuple):
    """What is to be done in a document.

    :param blocks: what is translated.
    :param edits: target languages, where the document names none.
    :param there: how many targets were there.
    """

    blocks: list[TextBlock]
    edits: list[Edit]
    there: int


@dataclass
class _Element:
    """An element that stands in the document.

    :param start: its first character; ``inside`` the one after its start tag; ``end`` the one that its end tag begins
        at; ``stop`` the one after it.
    """

    name: str
    attributes: dict[str, str]
    start: int
    inside: int = 0
    end: int = 0
    stop: int = 0
    translate: bool = True
    children: list[_Element] = field(default_factory=list)

    @property
    def local(self) -> str:
        return self.name.rpartition(":")[2]

    def child(self, local: str) -> _Element | None:
        return next((one for one in self.children if one.local == local), None)


def xliff_parts(raw: str, target_lang: str) -> XliffParts:
    """What is to be translated.

    :param target_lang: is named where the document names no target language.
    :raises MarkupError: the document is not well formed, or no XLIFF.
    """
    root, units = _Reader(raw).read()
    if root.local != "xliff":
        raise MarkupError.at(f"expected an XLIFF document; got the element <{root.name}>", raw, root.start)
    blocks: list[TextBlock] = []
    there = 0
    for unit in units:
        source, target = unit.child("source"), unit.child("target")
        if source is None or not unit.translate:
            continue
        waits = target is None or not raw[target.inside : target.end].strip() or _state(unit, target) in _WAITING
        if waits:
            blocks += _blocks_of(raw, source, unit.child("seg-source"), target)
        there += not waits
    return XliffParts(blocks, _named_languages(raw, root, target_lang) if blocks else [], there)


def _state(unit: _Element, target: _Element) -> str | None:
    """What 1.2 says of the target, and 2 of the segment."""
    return target.attributes.get("state") or unit.attributes.get("state")


def _blocks_of(raw: str, source: _Element, segmented: _Element | None, target: _Element | None) -> list[TextBlock]:
    last = segmented or source
    parts = [(last.inside, last.end)]
    if segmented is not None:
        marks = [one for one in segmented.children if one.attributes.get("mtype") == "seg"]
        parts = [(one.inside, one.end) for one in marks] or parts
    parts = [part for part in parts if raw[slice(*part)].strip()]
    if not parts:
        return []
    start, stop, before, after = _place_of_target(raw, source, last, target)
    blocks = []
    done = last.inside
    for number, (first, end) in enumerate(parts):
        is_last = number == len(parts) - 1
        blocks.append(
            TextBlock(
                raw[first:end],
                first,
                start,
                stop if is_last else start,
                (before if not number else "") + raw[done:first],
                raw[end : last.end] + after if is_last else "",
            )
        )
        done = end
    return blocks


def _place_of_target(raw: str, source: _Element, last: _Element, target: _Element | None) -> tuple[int, int, str, str]:
    """What the translation takes the place of, from a character to the one after, and its start tag and end tag.

    :param last: the element that a new target follows.
    """
    if target is None:
        prefix = source.name.removesuffix(source.local)
        # On a line of its own, as the source is.
        line = source.start
        while line and raw[line - 1].isspace():
            line -= 1
        return last.stop, last.stop, f"{raw[line : source.start]}<{prefix}target>", f"</{prefix}target>"
    if target.inside == target.stop:
        # An empty-element tag, <target/>
        return target.start, target.stop, f"{raw[target.start : target.stop - 2].rstrip()}>", f"</{target.name}>"
    return target.inside, target.end, "", ""


def _named_languages(raw: str, root: _Element, target_lang: str) -> list[Edit]:
    """The target language in the start tags that must name it, once there are targets."""
    version_2 = root.attributes.get("version", "").startswith("2")
    name = "trgLang" if version_2 else "target-language"
    elements = [root] if version_2 else [one for one in root.children if one.local == "file"]
    places = [one.start + 1 + len(one.name) for one in elements if name not in one.attributes]
    return [Edit(place, place, f" {name}={quoteattr(target_lang)}") for place in places]


class _Reader:
    """Reads a document with expat, which knows the places of tags."""

    def __init__(self, raw: str) -> None:
        self._raw = raw
        self._bytes = raw.encode("utf-8", "surrogatepass")
        self._seen = (0, 0)
        self._open: list[_Element] = []
        self._root: _Element | None = None
        self._units: list[_Element] = []
        self._parser = expat.ParserCreate("utf-8")
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.EntityDeclHandler = self._entity

    def read(self) -> tuple[_Element, list[_Element]]:
        """The root, and the elements that hold a source and a target, in order."""
        try:
            self._parser.Parse(self._bytes, True)
        except expat.ExpatError as error:
            reason = f"not well-formed XML: {expat.ErrorString(error.code)}"
            raise MarkupError(reason, error.lineno, error.offset + 1) from None
        assert self._root is not None, "a document without a root is not well formed"
        return self._root, self._units

    def _place(self) -> int:
        """The character where the parser is; it goes forward."""
        in_bytes, characters = self._seen
        here = self._parser.CurrentByteIndex
        characters += len(self._bytes[in_bytes:here].decode("utf-8", "surrogatepass"))
        self._seen = here, characters
        return characters

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        element = _Element(name, attributes, self._place())
        element.inside = _after_tag(self._raw, element.start)
        above = self._open[-1] if self._open else None
        said = attributes.get("translate")
        element.translate = said == "yes" or (said != "no" and (above is None or above.translate))
        if above is None:
            self._root = element
        elif above.local in (*_UNITS, "seg-source", "xliff"):
            above.children.append(element)
        self._open.append(element)
        if element.local in _UNITS:
            self._units.append(element)

    def _end(self, name: str) -> None:
        element = self._open.pop()
        is_empty = self._raw[element.inside - 2 : element.inside] == "/>"
        element.end = element.inside if is_empty else self._place()
        element.stop = element.inside if is_empty else _after_tag(self._raw, element.end)

    def _entity(self, name: str, *_: object) -> None:
        line, column = self._parser.CurrentLineNumber, self._parser.CurrentColumnNumber + 1
        raise MarkupError(f"the document declares the entity {name!r}, which is not expanded here", line, column)


_TAG = re.compile(r"""<[^<>"']*(?:(?:"[^"]*"|'[^']*')[^<>"']*)*>""")


def _after_tag(raw: str, start: int) -> int:
    """The character after the tag that begins at a place."""
    match = _TAG.match(raw, start)
    assert match is not None, "the parser has found a tag here"
    return match.end()
