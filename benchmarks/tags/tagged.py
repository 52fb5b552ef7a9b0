"""Messages with tags, taken apart: the plain text of both sides, and where the tags stand."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Optional

from benchmarks.tags.catalogues import Message
from fairseq_guided_align.markup.tagged_text import CLOSE, ISOLATED, OPEN, Tag, TaggedText

VOID = frozenset(("br", "hr", "img", "input", "wbr"))
BREAKS = frozenset("br hr p div li ul ol dl dt dd h1 h2 h3 h4 h5 h6 table tr td th pre blockquote".split())
"""Names of tags that part words without any white space."""

_TAG = re.compile(r"""<(/?)([A-Za-z][\w:.-]*)((?:"[^"]*"|'[^']*'|[^<>"'])*?)(/?)>""")


@dataclass(frozen=True)
class TaggedMessage:
    """A message whose translation has the same tags.

    :param source: the message taken apart.
    :param target: the translation, likewise.
    """

    message: Message
    source: TaggedText
    target: TaggedText


def take_apart(text: str) -> Optional[TaggedText]:
    """The text without its tags, with spaces where words would be glued; None where tags do not nest, as in ``<url>``."""
    plain = ""
    tags: list[Tag] = []
    waiting: list[tuple[str, int]] = []
    added: list[int] = []
    end, glues = 0, False
    for match in [*_TAG.finditer(text), None]:
        between = text[end : match.start() if match else len(text)]
        if between:
            if glues and plain and not plain[-1].isspace() and not between[0].isspace():
                added.append(len(plain))
                plain += " "
            glues = False
        plain += between
        if match is None:
            break
        end, length = match.end(), len(plain)
        closing, name, _, empty = match.groups()
        glues |= name.lower() in BREAKS
        raw = match.group()
        if not closing and (empty or name.lower() in VOID):
            tags.append(Tag(raw, length, ISOLATED))
        elif not closing:
            waiting.append((name, len(tags)))
            tags.append(Tag(raw, length, OPEN))
        else:
            if not waiting or waiting[-1][0] != name:
                return None
            partner = waiting.pop()[1]
            opening = tags[partner]
            tags[partner] = Tag(opening.raw, opening.place, OPEN, len(tags))
            tags.append(Tag(raw, length, CLOSE, partner))
    if waiting:
        return None
    return TaggedText(plain, tuple(tags), tuple(added))


def tagged_message(message: Message) -> Optional[TaggedMessage]:
    """None without tags, without words, or where the translator changed, dropped or added tags, or spaces inside them."""
    if "<" not in message.source:
        return None
    source, target = take_apart(message.source), take_apart(message.target)
    if source is None or target is None or not source.tags:
        return None
    if Counter(tag.raw for tag in source.tags) != Counter(tag.raw for tag in target.tags):
        return None
    if any(not any(map(str.isalnum, side.text)) for side in (source, target)):
        return None
    if _inner_spaces(source) != _inner_spaces(target):
        # Taken out, such tags leave two spaces, or one before a comma, and these would tell where they stood.
        return None
    return TaggedMessage(message, source, target)


def _inner_spaces(text: TaggedText) -> Counter[tuple[str, bool]]:
    """For every tag of a pair, whether white space stands right inside it."""
    found: Counter[tuple[str, bool]] = Counter()
    for tag in text.tags:
        if tag.role != ISOLATED:
            inside = text.text[tag.place :][:1] if tag.role == OPEN else text.text[: tag.place][-1:]
            found[tag.raw, inside.isspace() and tag.place not in text.added_spaces] += 1
    return found
