"""The kinds of markup, by name, and what they mean for a segment: how it is read, and how text is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.markup.builder import merged
from fairseq_guided_align.markup.html_markup import read_html
from fairseq_guided_align.markup.placeholders import READY_SETS, Finder, placeholder_finder
from fairseq_guided_align.markup.tagged_text import Range, TaggedText
from fairseq_guided_align.markup.xliff_markup import read_xliff
from fairseq_guided_align.markup.xml_markup import read_xml

Reader = Callable[[str, bool], TaggedText]

READERS: dict[str, Reader] = {"xml": read_xml, "html": read_html, "xliff": read_xliff}
"""The kinds that have tags."""
PLACEHOLDERS = "placeholders"
DEFAULT_KINDS = "xml"


class Markup(NamedTuple):
    """How segments are read and written.

    :param name: as the user wrote it.
    :param reader: takes tags out; None where no kind has tags.
    :param finder: finds placeholders; None where they are not asked for.
    """

    name: str
    reader: Reader | None = read_xml
    finder: Finder | None = None

    def read(self, raw: str, lenient: bool = False) -> TaggedText:
        """A segment taken apart.

        :param lenient: tags without a partner are isolated ones, instead of an error.
        :raises MarkupError: the segment is not what its kind asks for.
        """
        tagged = self.reader(raw, lenient) if self.reader else TaggedText(raw)
        found = self.placeholders(tagged.text)
        return tagged._replace(protected=merged([*tagged.protected, *found])) if found else tagged

    def placeholders(self, text: str) -> Sequence[Range]:
        """``(start, stop)`` ranges of the placeholders of a plain text."""
        return self.finder(text) if self.finder else ()

    def written(self, text: str) -> str:
        """Plain text as it is written between tags."""
        if self.reader is None:
            return text
        return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

    def in_one_line(self, segment: str) -> str:
        """A segment as it was written, for a file with a segment a line: a reference such as ``&#10;`` stays one."""
        return segment.replace("\n", "&#10;" if self.reader else " ")


def markup_of(kinds: str = DEFAULT_KINDS, patterns: Sequence[str] = ()) -> Markup:
    """The kinds of markup that a user names.

    :param kinds: names joined by commas: at most one of ``xml``, ``html`` and ``xliff``, and ``placeholders``, alone or
        with its sets, as in ``placeholders=printf+python``. Alone it means the patterns, or, without any, all sets.
    :param patterns: regular expressions of placeholders.
    :raises GuidedAlignError: a name is unknown, or two kinds do not go together.
    """
    reader: Reader | None = None
    sets: list[str] | None = None
    for kind in kinds.split(","):
        name, equals, value = kind.strip().partition("=")
        if name == PLACEHOLDERS and sets is None:
            sets = value.split("+") if equals else [] if patterns else list(READY_SETS)
        elif name in READERS and not equals and reader is None:
            reader = READERS[name]
        else:
            wanted = f"one of {', '.join(READERS)}, and {PLACEHOLDERS} or {PLACEHOLDERS}=SET+SET"
            raise GuidedAlignError(f"kinds of markup: wanted {wanted}, joined by a comma; got {kinds!r}")
    if sets is None and patterns:
        sets = []
    return Markup(kinds, reader, None if sets is None else placeholder_finder(sets, patterns))
