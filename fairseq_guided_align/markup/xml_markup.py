"""Tagged text of the kind ``xml``: elements, comments, processing instructions, CDATA, entities."""

from __future__ import annotations

from fairseq_guided_align.markup.blocks import APART, BREAKS
from fairseq_guided_align.markup.builder import TextBuilder
from fairseq_guided_align.markup.tagged_text import CLOSE, ISOLATED, OPEN, TaggedText
from fairseq_guided_align.markup.xml_tokens import check_well_formed, tokens


def read_xml(raw: str, lenient: bool = False) -> TaggedText:
    """A segment of XML taken apart. Text of CDATA sections is text like any other.

    :param raw: the content of an element; prefixes need no declaration.
    :param lenient: tags without a partner are isolated ones, instead of an error.
    :raises MarkupError: the segment is not well formed.
    """
    if not lenient:
        check_well_formed(raw)
    builder = TextBuilder()
    still_open: list[tuple[str, int]] = []
    after_close = False
    for text, token, name, _ in tokens(raw):
        if text:
            builder.add_text(text)
            after_close = False
        if not token:
            break
        if name is None:
            builder.add_tag(token, ISOLATED)
            continue
        lower = name.lower()
        apart, breaks = lower in APART, lower in BREAKS
        if token[1] == "/":
            after_close = True
            tag = builder.add_tag(token, CLOSE, apart, breaks)
            _close(builder, still_open, name, tag)
        elif token[-2] == "/":
            builder.add_tag(token, ISOLATED, apart, breaks)
        else:
            # Elements that follow one another without a space hold a word each, as rows and cells do.
            still_open.append((name, builder.add_tag(token, OPEN, apart or after_close, breaks)))
    for _, tag in still_open:
        builder.leave_alone(tag)
    return builder.build()


def _close(builder: TextBuilder, still_open: list[tuple[str, int]], name: str, tag: int) -> None:
    """Pairs an end tag with the nearest start tag of its name; tags opened since then, if any, stay alone."""
    names = [opened for opened, _ in still_open]
    if name not in names:
        builder.leave_alone(tag)
        return
    while still_open[-1][0] != name:
        builder.leave_alone(still_open.pop()[1])
    builder.pair(still_open.pop()[1], tag)
