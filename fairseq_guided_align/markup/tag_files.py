"""Files of tagged segments, their translations and links, turned into tagged translations, line by line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Optional

from fairseq_guided_align.errors import AlignmentFormatError, GuidedAlignError, MarkupError
from fairseq_guided_align.files.byte_lines import PathLike, decode_line, raise_length_error, read_blocks_together
from fairseq_guided_align.links import pharaoh
from fairseq_guided_align.links.words import DEFAULT_SPLIT, split_words
from fairseq_guided_align.markup.carrying import carried
from fairseq_guided_align.markup.kinds import Markup
from fairseq_guided_align.markup.protected import Finder, Terms, items_of, mend
from fairseq_guided_align.markup.tagged_text import TaggedText, words_of
from fairseq_guided_align.markup.units import units_of
from fairseq_guided_align.markup.word_places import places_of_words

STOP, KEEP, DROP_TAGS = "stop", "keep", "drop-tags"
ON_ERROR = (STOP, KEEP, DROP_TAGS)


@dataclass(frozen=True)
class TagFiles:
    """Files that belong together line by line.

    :param source_words: the words that the links count; what stands between white space when None; ``target_words``
        likewise.
    :param one_based: positions in the links count from 1.
    :param word_split: what separates words where there are no words files, see ``words``.
    """

    source: PathLike
    target: PathLike
    links: PathLike
    source_words: Optional[PathLike] = None
    target_words: Optional[PathLike] = None
    one_based: bool = False
    word_split: str = DEFAULT_SPLIT


@dataclass(frozen=True)
class TagSettings:
    """How tags are carried.

    :param finders: of what must survive translation, by kind.
    """

    markup: Markup
    pairs: str
    quotes: str
    on_error: str = STOP
    finders: Sequence[tuple[str, Finder]] = ()
    terms: Optional[Terms] = None


class Note(NamedTuple):
    """Something of a line that the user may want to look at.

    :param kind: ``guessed``, ``repaired``, ``error``, ``replaced`` or ``lost``.
    :param text: the tag, the error, or the protected text.
    """

    line: int
    kind: str
    text: str


@dataclass
class TagCounts:
    """What was seen in the files."""

    lines: int = 0
    tagged_lines: int = 0
    tags: int = 0
    notes: dict[str, int] = field(default_factory=dict)


def tagged_lines(files: TagFiles, settings: TagSettings, counts: TagCounts) -> Iterator[tuple[str, list[Note]]]:
    """The tagged translations, in order, each with what there is to say of it.

    :param counts: grows with the lines.
    :raises MarkupError: a segment's tags do not fit together, and ``on_error`` is :data:`STOP`; with file and line.
    :raises GuidedAlignError: a file cannot be read, the numbers of lines differ, or words or links do not fit the text.
    """
    texts = [files.source, files.target]
    words = [path for path in (files.source_words, files.target_words) if path is not None]
    links = _links(files)
    for first_line, blocks in read_blocks_together([*texts, *words]):
        columns = [block[:-1].split(b"\n") for block in blocks]
        for offset, row in enumerate(zip(*columns)):
            line = first_line + offset
            rest = [decode_line(cell, path, line) for cell, path in zip(row[2:], words)]
            source_words = rest.pop(0) if files.source_words is not None else None
            target_words = rest.pop(0) if files.target_words is not None else None
            of_line = next(links, None)
            if of_line is None:
                raise_length_error([*texts, files.links])
            yield _tagged_line(
                line,
                decode_line(row[0], files.source, line),
                decode_line(row[1], files.target, line),
                of_line,
                (source_words, target_words),
                files,
                settings,
                counts,
            )
    if next(links, None) is not None:
        raise_length_error([*texts, files.links])


def _links(files: TagFiles) -> Iterator[list[tuple[int, int, float]]]:
    for chunk in pharaoh.read_chunks(files.links, files.one_based):
        source, target = chunk.source.tolist(), chunk.target.tolist()
        weights = [1.0] * len(source) if chunk.weight is None else chunk.weight.tolist()
        every = list(zip(source, target, weights))
        offsets = chunk.offsets.tolist()
        for start, stop in zip(offsets, offsets[1:]):
            yield every[start:stop]


def _tagged_line(
    line: int,
    source: str,
    target: str,
    links: list[tuple[int, int, float]],
    words: tuple[Optional[str], Optional[str]],
    files: TagFiles,
    settings: TagSettings,
    counts: TagCounts,
) -> tuple[str, list[Note]]:
    markup = settings.markup
    notes: list[Note] = []
    try:
        tagged = markup.read(source)
    except MarkupError as error:
        if settings.on_error == STOP:
            raise MarkupError(error.reason, line, error.column, files.source) from None
        notes.append(Note(line, "error", f"column {error.column}: {error.reason}"))
        tagged = markup.read(source, lenient=True)
        if settings.on_error == DROP_TAGS:
            tagged = tagged._replace(tags=())
    if tagged.repaired:
        notes.append(Note(line, "repaired", str(tagged.repaired)))
    source_places = _places(tagged.text, words[0], files.source_words, line, files.word_split)
    target_places = _places(target, words[1], files.target_words, line, files.word_split)
    if settings.finders or settings.terms or tagged.protected:
        target, target_places = _mended(line, tagged, target, links, source_places, target_places, settings, notes)
    try:
        done = carried(tagged, target, links, markup, source_places, target_places, settings.pairs, settings.quotes)
    except GuidedAlignError as error:
        raise type(error)(f"{files.links}:{line}: {error}") from None
    notes += [Note(line, "guessed", tagged.tags[position].raw) for position in done.guessed]
    counts.lines += 1
    counts.tags += len(tagged.tags)
    counts.tagged_lines += bool(tagged.tags)
    for note in notes:
        counts.notes[note.kind] = counts.notes.get(note.kind, 0) + 1
    return done.text, notes


def _places(
    text: str, words: Optional[str], path: Optional[PathLike], line: int, word_split: str
) -> Optional[list[tuple[int, int]]]:
    """Ranges of the words that the links count; None for what stands between white space."""
    if words is None:
        if word_split == "whitespace" or text.isascii():
            return None
        return places_of_words(text, split_words(text, word_split))
    try:
        return places_of_words(text, split_words(words))
    except GuidedAlignError as error:
        raise GuidedAlignError(f"{path}:{line}: {error}") from None


def _mended(
    line: int,
    tagged: TaggedText,
    target: str,
    links: list[tuple[int, int, float]],
    source_places: Optional[list[tuple[int, int]]],
    target_places: Optional[list[tuple[int, int]]],
    settings: TagSettings,
    notes: list[Note],
) -> tuple[str, Optional[list[tuple[int, int]]]]:
    """The translation, and ranges of its words, after what was missing has been put in."""
    kept = [("kept", lambda _: tagged.protected)] if tagged.protected else []
    items = items_of(tagged.text, [*kept, *settings.finders], settings.terms)
    if not items:
        return target, target_places
    places = words_of(target) if target_places is None else target_places
    source_units = units_of(tagged.text, source_places, tagged.protected)
    done = mend(items, source_units, units_of(target, places), places, links)
    notes += [Note(line, "replaced", wanted) for wanted in done.replaced]
    notes += [Note(line, "lost", wanted) for wanted in done.lost]
    return (done.text, done.words) if done.replaced else (target, target_places)


def read_terms(path: PathLike, lines: Iterable[str]) -> list[tuple[str, str]]:
    """The pairs of a list of terms, a source term and a target term a line, with a tab between them.

    :raises AlignmentFormatError: a line has another form.
    """
    pairs = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        columns = [column.strip() for column in line.split("\t")]
        if len(columns) != 2 or not all(columns):
            raise AlignmentFormatError(
                f"{path}:{number}: expected a source term, a tab and a target term; got {line[:60]!r}"
            )
        pairs.append((columns[0], columns[1]))
    return pairs
