"""Messages with tags, taken apart: the plain text of both sides, and where the tags stand."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from benchmarks.tags.catalogues import Message
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.markup.kinds import markup_of
from fairseq_guided_align.markup.tagged_text import ISOLATED, OPEN, TaggedText

MARKUP = markup_of("html")


@dataclass(frozen=True)
class TaggedMessage:
    """A message whose translation has the same tags.

    :param source: the message taken apart.
    :param target: the translation, likewise.
    """

    message: Message
    source: TaggedText
    target: TaggedText


def take_apart(text: str) -> TaggedText | None:
    """None where tags do not nest, as in ``git clone <url>``."""
    try:
        tagged = MARKUP.read(text)
    except GuidedAlignError:
        return None
    return None if tagged.repaired else tagged


def tagged_message(message: Message) -> TaggedMessage | None:
    """None where there are no tags or no words, or the translator changed, dropped or added tags or spaces in them."""
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
