"""A segment of XML cut into text and tags, each as it was written.

Expat says whether the segment is well formed. After that one regular expression finds every construct of XML exactly,
in characters. No document type can stand in a segment, so no entity but XML's own five is ever expanded, and nothing is
fetched.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.parsers import expat

from fairseq_guided_align.errors import MarkupError

_QUOTED = r"""[^<>"']*(?:(?:"[^"<]*"|'[^'<]*')[^<>"']*)*"""
_ENTITY = r"&(?:amp|lt|gt|quot|apos|#[0-9]+|#x[0-9a-fA-F]+);"
TOKEN = re.compile(
    r"</?([^\W\d][^\s<>\"'/&;=]*)" + _QUOTED + r">|" + _ENTITY + r"|<!--.*?-->|<!\[CDATA\[.*?\]\]>|<\?.*?\?>", re.DOTALL
)
"""One tag, comment, processing instruction, CDATA section or entity; the group is a tag's name."""

_NAMED = {"&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&apos;": "'"}
_ROOT = "segment-of-fairseq-guided-align"
_HEAD, _TAIL = f"<{_ROOT}>", f"</{_ROOT}>"
_ATTRIBUTE = re.compile(r"""([^\s=<>"'/]+)\s*=\s*("[^"]*"|'[^']*')""")


def tokens(raw: str) -> Iterator[tuple[str, str, str | None, int]]:
    """``(text, token, name, start)``, from left to right: the text before each token, decoded; the token; a tag's name;
    and the character of ``raw`` that the token begins at.

    Comments and processing instructions have no name. The last token is empty: it stands for the end.

    :param raw: well-formed, or what cannot be read as a token is text.
    """
    text, last = "", 0
    for match in TOKEN.finditer(raw):
        start, stop = match.span()
        text += raw[last:start]
        last = stop
        token, name = match.group(0, 1)
        if name is None and token[0] == "&":
            text += decoded(token)
        elif name is None and token.startswith("<![CDATA["):
            text += token[9:-3]
        else:
            yield text, token, name, start
            text = ""
    yield text + raw[last:], "", None, len(raw)


def decoded(entity: str) -> str:
    """The character of one of XML's five entities or of a reference by number; what is no character stays as it is."""
    named = _NAMED.get(entity)
    if named is not None:
        return named
    number = int(entity[3:-1], 16) if entity[2] == "x" else int(entity[2:-1])
    return chr(number) if number < 0x110000 and not 0xD800 <= number < 0xE000 else entity


def attributes_of(tag: str) -> dict[str, str]:
    """The attributes of a start tag, by name, as they were written."""
    return {name: value[1:-1] for name, value in _ATTRIBUTE.findall(tag)}


def check_well_formed(raw: str) -> None:
    """
    :param raw: the content of an element.
    :raises MarkupError: it is not well formed; with line and column.
    """
    if "<" not in raw and "&" not in raw and raw.isprintable() and "]]>" not in raw:
        return
    parser = expat.ParserCreate()
    try:
        parser.Parse(_HEAD + raw + _TAIL, True)
    except expat.ExpatError as error:
        raise _explained(raw, error) from None
    except UnicodeEncodeError as error:
        raise MarkupError.at("half of a surrogate pair is no character", raw, error.start - len(_HEAD)) from None


def _explained(raw: str, error: expat.ExpatError) -> MarkupError:
    lines = raw.split("\n")
    column = error.offset - (len(_HEAD) if error.lineno == 1 else 0)
    place = sum(len(line) + 1 for line in lines[: error.lineno - 1]) + max(column, 0)
    faults = [fault for fault in (_stray(raw), _unmatched(raw)) if fault is not None]
    first = min(faults, default=(place, f"not well-formed XML: {expat.ErrorString(error.code)}"))
    return MarkupError.at(first[1], raw, first[0])


def _stray(raw: str) -> tuple[int, str] | None:
    """The place of the first ``<`` or ``&`` that begins no tag and no entity, and what is wrong there."""
    # Blanks of the same length leave the places as they are.
    rest = TOKEN.sub(lambda match: " " * len(match.group()), raw)
    stray = re.search("[<&]", rest)
    if not stray:
        return None
    written = {"<": "&lt;", "&": "&amp;"}[stray.group()]
    entity = re.match(r"&[\w:.-]+;", raw[stray.start() :])
    if entity:
        return stray.start(), (
            f"the entity {entity.group()} is unknown to XML; write the character itself, or read the text as html"
        )
    got = raw[stray.start() : stray.start() + 20]
    return stray.start(), f"{got!r} is neither a tag nor an entity; a {stray.group()} of the text is written {written}"


def _unmatched(raw: str) -> tuple[int, str] | None:
    """The place of the first tag whose partner is missing, and what is wrong with it."""
    still_open: list[tuple[int, str, str]] = []
    for match in TOKEN.finditer(raw):
        token, name = match.group(0, 1)
        if name is None or token.endswith("/>"):
            continue
        if token[1] != "/":
            still_open.append((match.start(), token, name))
        elif still_open and still_open[-1][2] == name:
            still_open.pop()
        elif still_open:
            return match.start(), f"{token} stands where {still_open[-1][1]} is to be closed; tags must nest"
        else:
            return match.start(), f"{token} closes a tag that was not opened"
    return (still_open[-1][0], f"{still_open[-1][1]} is not closed") if still_open else None
