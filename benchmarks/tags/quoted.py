"""Messages whose translations are given quotation marks that the source has not, inside the tags or outside.

Some translators set quotation marks around what English sets off by a tag alone. In the catalogues they are few, so
here they are put around every innermost pair.
"""

from __future__ import annotations

import re

from benchmarks.tags.catalogues import Message
from benchmarks.tags.tagged import MARKUP, tagged_message
from fairseq_guided_align.markup.edges import INSIDE
from fairseq_guided_align.markup.tagged_text import OPEN, TaggedText
from fairseq_guided_align.markup.units import QUOTES

MARKS = {"de": "„“", "es": "«»", "it": "«»", "pl": "„”", "pt": "“”", "ru": "«»", "tr": "“”", "uk": "«»"}
"""Language -> opening and closing mark."""

# An apostrophe between letters is none.
_QUOTE = re.compile(rf"(?<!\w)[{QUOTES}]|[{QUOTES}](?!\w)")


def with_quotes(message: Message, language: str, side: str) -> Message | None:
    """None where there is no pair to put marks around, or there are quotation marks already.

    :param side: inside the tags, or outside; one of ``edges.QUOTE_SIDES``.
    """
    tagged = tagged_message(message)
    if tagged is None or any(_QUOTE.search(one.text) for one in (tagged.source, tagged.target)):
        return None
    target = tagged.target
    marks = _marks_beside(target, MARKS[language])
    if not marks or target.added_spaces:
        return None
    raw, done = "", 0
    for position, tag in enumerate(target.tags):
        mark = marks.get(position, "")
        # An opening mark inside stands after its tag, a closing one before.
        after = (tag.role == OPEN) == (side == INSIDE)
        raw += MARKUP.written(target.text[done : tag.place]) + (tag.raw + mark if after else mark + tag.raw)
        done = tag.place
    return Message(message.source, raw + MARKUP.written(target.text[done:]), message.package)


def _marks_beside(target: TaggedText, marks: str) -> dict[int, str]:
    """The position of each tag that gets a mark, and the mark."""
    found = {}
    for position, tag in enumerate(target.tags):
        if tag.role != OPEN or tag.partner is None:
            continue
        words = target.text[tag.place : target.tags[tag.partner].place]
        innermost = all(other.role != OPEN for other in target.tags[position + 1 : tag.partner])
        if innermost and words and words == words.strip() and words != target.text:
            found[position], found[tag.partner] = marks
    return found
