"""How tags are carried, as users say it: one set of choices for commands and Python."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.markup.carrying import DEFAULT_QUOTES, KEEP_PAIRS, PAIRS
from fairseq_guided_align.markup.edges import QUOTE_SIDES
from fairseq_guided_align.markup.kinds import Markup, markup_of
from fairseq_guided_align.markup.placeholders import READY_SETS, Finder, placeholder_finder
from fairseq_guided_align.markup.protected import PROTECTED_KINDS, Terms, emails, numbers, urls

STOP, KEEP_TAGS, DROP_TAGS = "stop", "keep", "drop-tags"
ON_ERROR = (STOP, KEEP_TAGS, DROP_TAGS)


@dataclass(frozen=True)
class TagSettings:
    """How tags are carried.

    :param pairs: one of ``carrying.PAIRS``.
    :param quotes: one of ``edges.QUOTE_SIDES``.
    :param on_error: one of :data:`ON_ERROR`, where the tags of a segment do not fit together.
    :param finders: of what must survive translation, by kind.
    :param insert_kept: whether what the markup protects, such as ``code`` and placeholders, is put in where the fewest
        links cross, if it is missing and has no links.
    """

    markup: Markup
    pairs: str
    quotes: str
    on_error: str = STOP
    finders: Sequence[tuple[str, Finder]] = ()
    terms: Terms | None = None
    insert_kept: bool = False


def tag_settings(
    markup: str | None,
    placeholders: Sequence[str] = (),
    pairs: str = KEEP_PAIRS,
    quotes: str = DEFAULT_QUOTES,
    on_error: str = STOP,
    protect: str = "",
    terms: Iterable[tuple[str, str]] | None = None,
    inflected_terms: bool = False,
    insert_kept: bool = False,
) -> TagSettings:
    """The settings that a user names.

    :param markup: the kinds of markup, as in ``html,placeholders=printf``; None: text without tags.
    :param placeholders: regular expressions of what is a placeholder too.
    :param protect: what must survive translation: names of ``protected.PROTECTED_KINDS``, joined by commas.
    :param terms: ``(source term, target term)``, which must survive too.
    :param inflected_terms: another form of a term counts as the term.
    :param insert_kept: see :class:`TagSettings`.
    :raises GuidedAlignError: a name is unknown, or a regular expression is none.
    """
    for value, values in ((pairs, PAIRS), (quotes, QUOTE_SIDES), (on_error, ON_ERROR)):
        if value not in values:
            raise GuidedAlignError(f"wanted one of {', '.join(values)}; got {value!r}")
    if markup is None:
        kinds = Markup("", None, placeholder_finder([], placeholders) if placeholders else None)
    else:
        kinds = markup_of(markup, placeholders)
    listed = None if terms is None else Terms(terms, inflected_terms)
    return TagSettings(kinds, pairs, quotes, on_error, _finders(protect, kinds), listed, insert_kept)


def _finders(protect: str, markup: Markup) -> list[tuple[str, Finder]]:
    known: dict[str, Finder] = {
        "urls": urls,
        "emails": emails,
        "placeholders": markup.finder or placeholder_finder(list(READY_SETS)),
        "numbers": numbers,
    }
    asked = [kind.strip() for kind in protect.split(",")] if protect else []
    for kind in asked:
        if kind not in known:
            raise GuidedAlignError(f"--protect: wanted {', '.join(PROTECTED_KINDS)}, joined by commas; got {kind!r}")
    # A number inside an address belongs to the address, so those come first.
    return [(kind, finder) for kind, finder in known.items() if kind in asked]
