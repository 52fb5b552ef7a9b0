"""Tagged text of the kind ``xliff``: the inline codes of XLIFF 1.2 and 2.

1.2: ``g`` and ``mrk`` are elements; ``x``, ``ph`` and ``it`` stand alone; ``bpt`` and ``ept``, ``bx`` and ``ex`` are
pairs by ``rid``, else by ``id``. 2: ``pc`` and ``mrk`` are elements; ``ph`` and ``cp`` stand alone; ``sc`` and ``ec``,
``sm`` and ``em`` are pairs by ``startRef``. What stands inside ``ph``, ``it``, ``bpt`` and ``ept`` is code, not text.
"""

from __future__ import annotations

from fairseq_guided_align.errors import MarkupError
from fairseq_guided_align.markup.builder import TextBuilder
from fairseq_guided_align.markup.tagged_text import CLOSE, ISOLATED, OPEN, TaggedText
from fairseq_guided_align.markup.xml_tokens import attributes_of, check_well_formed, tokens

_CODES = frozenset(["ph", "it", "bpt", "ept"])
_OPENING = {"bpt": "ept", "bx": "ex", "sc": "ec", "sm": "em"}
_CLOSING = {last: first for first, last in _OPENING.items()}
_BREAKS = frozenset(["lb", "pb", "x-html-br", "fmt:lb", "xlf:lb", "xlf:pb"])


def read_xliff(raw: str, lenient: bool = False) -> TaggedText:
    """A segment of XLIFF taken apart: the content of a ``source`` or ``target`` element.

    Of two pairs that cross, which XLIFF allows, the one opened later is taken for two isolated tags.

    :param raw: the segment; prefixes need no declaration.
    :param lenient: tags without a partner are isolated ones, instead of an error.
    :raises MarkupError: the segment is not well formed, or a code that opens or closes has no partner.
    """
    if not lenient:
        check_well_formed(raw)
    reader = _Reader(raw, lenient)
    code_start = code_depth = 0
    first = ""
    for text, token, name, start in tokens(raw):
        if code_depth and token:
            if name is not None and token[-2] != "/":
                code_depth += -1 if token[1] == "/" else 1
            if not code_depth:
                reader.add_code(raw[code_start : start + len(token)], first, code_start)
            continue
        if code_depth:
            reader.add_code(raw[code_start:], "<it>", code_start)
            break
        reader.builder.add_text(text)
        if name is None:
            if token:
                reader.builder.add_tag(token, ISOLATED)
        elif token[1] == "/":
            reader.close_element(token, name)
        elif token[-2] == "/":
            reader.add_code(token, token, start)
        elif _local(token) in _CODES:
            code_start, code_depth, first = start, 1, token
        else:
            reader.open_element(token, name)
    return reader.finished()


def _local(token: str) -> str:
    """The name of a start tag without its prefix."""
    return token[1:].split(">")[0].split("/")[0].split()[0].rpartition(":")[2]


class _Reader:
    """What is open while a segment is read."""

    def __init__(self, raw: str, lenient: bool) -> None:
        self.builder = TextBuilder()
        self._raw = raw
        self._lenient = lenient
        self._elements: list[tuple[str, int, bool]] = []
        self._codes: dict[tuple[str, str], tuple[int, str, int]] = {}

    def add_code(self, raw: str, first: str, start: int) -> None:
        """An inline code, an element without text.

        :param raw: all of it.
        :param first: its start tag.
        :param start: where it begins in the segment.
        """
        name, attributes = _local(first), attributes_of(first)
        if name in _OPENING and attributes.get("isolated") != "yes":
            tag = self.builder.add_tag(raw, OPEN)
            self._missing(self._codes.pop((name, _reference(attributes)), None))
            self._codes[name, _reference(attributes)] = tag, f"{raw} has no {_OPENING[name]} of the same id", start
        elif name in _CLOSING and attributes.get("isolated") != "yes":
            opened = self._codes.pop((_CLOSING[name], _reference(attributes)), None)
            tag = self.builder.add_tag(raw, CLOSE)
            if opened is None:
                self._missing((tag, f"{raw} has no {_CLOSING[name]} of the same id before it", start))
            else:
                self.builder.pair(opened[0], tag)
        else:
            kinds = {attributes.get("ctype"), attributes.get("type"), attributes.get("subType")}
            is_break = bool(kinds & _BREAKS)
            self.builder.add_tag(raw, ISOLATED, is_break, is_break)

    def open_element(self, token: str, name: str) -> None:
        attributes = attributes_of(token)
        kept = attributes.get("translate") == "no" or attributes.get("mtype") == "protected"
        self._elements.append((name, self.builder.add_tag(token, OPEN), kept))

    def close_element(self, token: str, name: str) -> None:
        """Close the nearest start tag of the name. Tags that were opened after it have no partner and stay alone."""
        tag = self.builder.add_tag(token, CLOSE)
        if all(opened != name for opened, _, _ in self._elements):
            self.builder.leave_alone(tag)
            return
        while self._elements[-1][0] != name:
            self.builder.leave_alone(self._elements.pop()[1])
        _, first, kept = self._elements.pop()
        self.builder.pair(first, tag)
        if kept:
            self.builder.protect(self.builder.place_of(first), self.builder.length)

    def finished(self) -> TaggedText:
        for code in self._codes.values():
            self._missing(code)
        for _, tag, _ in self._elements:
            self.builder.leave_alone(tag)
        self.builder.part_crossing_pairs()
        return self.builder.build()

    def _missing(self, code: tuple[int, str, int] | None) -> None:
        if code is None:
            return
        tag, reason, start = code
        if not self._lenient:
            raise MarkupError.at(reason, self._raw, start)
        self.builder.leave_alone(tag)


def _reference(attributes: dict[str, str]) -> str:
    """The identifier that both codes of a pair have."""
    return attributes.get("rid") or attributes.get("startRef") or attributes.get("id", "")
