"""Whole documents: what of them is text is translated block by block, everything else stays as it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from fairseq_guided_align.aligning.translating import Translation
from fairseq_guided_align.errors import GuidedAlignError, MarkupError
from fairseq_guided_align.markup.documents import Edit, TextBlock, edited
from fairseq_guided_align.markup.html_document import attribute_blocks, attribute_value, html_blocks
from fairseq_guided_align.markup.kinds import Markup
from fairseq_guided_align.markup.notes import Note
from fairseq_guided_align.markup.settings import STOP
from fairseq_guided_align.markup.xliff_document import xliff_parts

HTML, XLIFF = "html", "xliff"
DOCUMENTS = (HTML, XLIFF)
BLOCKS_AT_ONCE = 200
"""Blocks that are translated together."""


class Translates(NamedTuple):
    """What translates the texts of a document.

    :param tagged: gives the best translations of segments with tags, each cut into sentences; none of one that is too
        long.
    :param plain: the same of text without tags.
    """

    tagged: Callable[[Sequence[str]], list[list[Translation]]]
    plain: Callable[[Sequence[str]], list[list[Translation]]]


@dataclass
class TranslatedDocument:
    """A document in the other language.

    :param text: it.
    :param translations: of each block, attributes first, in the document's order; None of one that is too long.
    :param notes: what there is to say; their lines are the document's.
    :param too_long: the lines of the blocks that are too long for the model, which stay as they are.
    :param there: how many translations were in the document already, and stay.
    """

    text: str
    translations: list[Translation | None]
    notes: list[Note]
    too_long: list[int]
    there: int = 0


def translated_document(
    raw: str,
    kind: str,
    translates: Translates,
    markup: Markup,
    on_error: str,
    target_lang: str,
    progress: Callable[[int], object] = lambda blocks: None,
) -> TranslatedDocument:
    """The translation of a document.

    :param kind: one of :data:`DOCUMENTS`.
    :param markup: what reads the tags of the blocks.
    :param on_error: see ``markup.settings.TagSettings``.
    :param target_lang: of the translation.
    :param progress: is told the number of blocks that are done since the last time.
    :raises MarkupError: the document, or tags in it, are not what the kind asks for; with line and column.
    :raises GuidedAlignError: another kind.
    """
    found = TranslatedDocument("", [], [], [])
    edits: list[Edit] = []
    repaired = 0
    if kind == HTML:
        raw = _html_attributes(raw, translates, found, progress)
        blocks, repaired = html_blocks(raw)
    elif kind == XLIFF:
        blocks, edits, found.there = xliff_parts(raw, target_lang)
        if on_error == STOP:
            _check_segments(raw, blocks, markup)
    else:
        raise GuidedAlignError(f"expected a kind of document out of {', '.join(DOCUMENTS)}; got {kind!r}")
    done = _translated(raw, blocks, translates.tagged, found, progress)
    if kind == HTML:
        # A tag without a partner in its block may have it in another: the document is counted as a whole.
        found.notes = [note for note in found.notes if note.kind != "repaired"]
        found.notes += [Note(1, "repaired", str(repaired))] if repaired else []
    edits += [
        block.edit(block.text if translation is None else translation.text) for block, translation in zip(blocks, done)
    ]
    found.text = edited(raw, edits)
    return found


def _html_attributes(
    raw: str, translates: Translates, found: TranslatedDocument, progress: Callable[[int], object]
) -> str:
    """The document with its attributes translated: tags then travel with them."""
    blocks = attribute_blocks(raw)
    done = _translated(raw, blocks, translates.plain, found, progress)
    return edited(
        raw,
        [
            block.edit(attribute_value(translation.text))
            for block, translation in zip(blocks, done)
            if translation is not None
        ],
    )


def _translated(
    raw: str,
    blocks: Sequence[TextBlock],
    translate: Callable[[Sequence[str]], list[list[Translation]]],
    found: TranslatedDocument,
    progress: Callable[[int], object],
) -> list[Translation | None]:
    translations: list[Translation | None] = []
    line, counted = 1, 0
    for first in range(0, len(blocks), BLOCKS_AT_ONCE):
        chunk = blocks[first : first + BLOCKS_AT_ONCE]
        for block, some in zip(chunk, translate([block.text for block in chunk])):
            line += raw.count("\n", counted, block.place)
            counted = block.place
            translations.append(some[0] if some else None)
            if some:
                found.notes += [note._replace(line=line) for note in some[0].notes]
            else:
                found.too_long.append(line)
        progress(len(chunk))
    found.translations += translations
    return translations


def _check_segments(raw: str, blocks: Sequence[TextBlock], markup: Markup) -> None:
    """:raises MarkupError: the tags of a block do not fit together; with the document's line and column."""
    for block in blocks:
        try:
            markup.read(block.text)
        except MarkupError as error:
            lines = block.text.split("\n")[: error.line - 1]
            place = block.place + sum(len(line) + 1 for line in lines) + error.column - 1
            raise MarkupError.at(error.reason, raw, place) from None
