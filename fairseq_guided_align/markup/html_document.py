"""A whole HTML document: its blocks of text, and attributes that hold text.

A block reaches from one tag that parts text, such as ``p``, ``li`` or ``br``, to the next. Of the tags and the white
space at its edges only those belong to it that close, or open, inside it. What is in ``script``, ``style``, ``pre``,
``textarea``, ``svg`` and ``math`` or in an element with ``translate="no"`` is none of it; ``code`` and its like are
part of the sentence that they stand in, and protected.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping

from fairseq_guided_align.markup.documents import TextBlock
from fairseq_guided_align.markup.html_markup import HtmlText, read_html_text
from fairseq_guided_align.markup.html_tokens import ALONE, END, START, TEXT, Token

_KEPT = ("pre", "textarea", "iframe", "object", "noembed", "noframes", "xmp", "plaintext")
_PARTING = frozenset(["option", "optgroup", "select", "datalist", "textarea", "iframe", "object", "html"])
TEXT_ATTRIBUTES = frozenset(["alt", "title", "placeholder", "aria-label"])
"""Attributes that hold text for readers, of any element."""
_META = frozenset(["description", "og:title", "og:description", "twitter:title", "twitter:description"])
_ATTRIBUTE = re.compile(r"""(?<=[\s"'/])([^\s"'<>/=]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|[^\s"'=<>`]+)""")


def html_blocks(raw: str) -> tuple[list[TextBlock], int]:
    """The blocks of a document, in order, and how many of its tags had to be repaired, as browsers do.

    The tags in each block are read as those of a segment of the kind ``html``.
    """
    read = read_html_text(raw, _KEPT)
    partner = _partners(read)
    blocks = []
    for first, last in _runs(read, partner):
        found = _core(raw, read, partner, first, last)
        if found:
            start, stop = found
            blocks.append(TextBlock(raw[start:stop], start, start, stop))
    return blocks, read.tagged.repaired


def attribute_blocks(raw: str) -> list[TextBlock]:
    """The values of attributes that hold text, plain text; of elements whose text is translated.

    Values without quotes are left out.
    """
    read = read_html_text(raw, _KEPT)
    blocks = []
    for token, kept in zip(read.tokens, read.kept):
        if token.kind not in (START, ALONE) or not token.attributes or kept:
            continue
        for found in _ATTRIBUTE.finditer(raw, token.start, token.stop):
            group = 2 if found[2] is not None else 3
            value = html.unescape(found[group] or "")
            if any(map(str.isalpha, value)) and _holds_text(token, found[1].lower()):
                start, stop = found.span(group)
                blocks.append(TextBlock(value, start, start, stop))
    return blocks


def attribute_value(text: str) -> str:
    """A value as it is written between quotes of either kind."""
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("'", "&#39;").replace("<", "&lt;")


def _holds_text(token: Token, attribute: str) -> bool:
    if token.name == "meta":
        attributes: Mapping[str, str | None] = token.attributes
        named = attributes.get("name") or attributes.get("property") or ""
        return attribute == "content" and named.lower() in _META
    return attribute in TEXT_ATTRIBUTES


def _partners(read: HtmlText) -> dict[int, int]:
    """The token of the other tag of each pair, for both; none for tags whose end was not written."""
    written = [number for number, tag in enumerate(read.tagged.tags) if tag.raw]
    token_of = dict(zip(written, (number for number, token in enumerate(read.tokens) if token.kind != TEXT)))
    return {
        token_of[number]: token_of[tag.partner]
        for number in written
        if (tag := read.tagged.tags[number]).partner in token_of
    }


def _runs(read: HtmlText, partner: Mapping[int, int]) -> Iterator[tuple[int, int]]:
    """``(first, last)`` tokens between those that part text, without them; last is the one after."""
    tags = read.tagged.tags
    written = [number for number, tag in enumerate(tags) if tag.raw]
    breaks = set(read.tagged.breaks)
    first = 0
    position = -1
    for number, token in enumerate(read.tokens):
        if token.kind == TEXT:
            continue
        position += 1
        if written[position] in breaks or token.name in _PARTING or _is_edge(number, first, read, partner):
            yield first, number
            first = number + 1
    yield first, len(read.tokens)


def _is_edge(number: int, first: int, read: HtmlText, partner: Mapping[int, int]) -> bool:
    """Whether text that stays as it is begins or ends at a tag, by what stands before its run: a block that is read by
    itself does not show that.
    """
    changes = number > 0 and read.kept[number] != read.kept[number - 1]
    begun_before = read.tokens[number].kind == END and partner.get(number, number) < first
    return changes and (begun_before or (first > 0 and read.kept[first - 1]))


def _core(raw: str, read: HtmlText, partner: Mapping[int, int], first: int, last: int) -> tuple[int, int] | None:
    """The characters of a run that are translated; None where there is no text to translate."""
    tokens = read.tokens
    texts = [
        number
        for number in range(first, last)
        if tokens[number].kind == TEXT and not html.unescape(raw[slice(*tokens[number][:2])]).isspace()
    ]
    if all(read.kept[number] for number in texts):
        return None
    head, tail = texts[0], texts[-1]
    start = tokens[head].start
    start += _spaces(raw[start : tokens[head].stop])
    stop = tokens[tail].stop
    stop -= _spaces(raw[tokens[tail].start : stop][::-1])
    for number in range(first, head):
        if tokens[number].kind == START and head < partner.get(number, -1) < tail:
            start = tokens[number].start
            break
    for number in range(last - 1, tail, -1):
        if tokens[number].kind == END and head < partner.get(number, -1) < tail:
            stop = tokens[number].stop
            break
    return start, stop


def _spaces(text: str) -> int:
    """White space at the beginning."""
    return len(text) - len(text.lstrip(" \t\n\r\f"))
