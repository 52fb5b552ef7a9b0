"""Files of tagged segments, their translations and links, turned into tagged translations, line by line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import tee
from typing import NamedTuple, Optional, Union

from fairseq_guided_align.errors import AlignmentFormatError, GuidedAlignError, MarkupError
from fairseq_guided_align.files.byte_lines import PathLike, decode_line, raise_length_error, read_blocks_together
from fairseq_guided_align.links.words import DEFAULT_SPLITS, WordSplits, split_words
from fairseq_guided_align.markup.carrying import carried
from fairseq_guided_align.markup.kinds import Markup
from fairseq_guided_align.markup.protected import Finder, Terms, items_of, mend
from fairseq_guided_align.markup.segment_links import SegmentLinks, SegmentTexts, links_of_file
from fairseq_guided_align.markup.tagged_text import TaggedText, words_of
from fairseq_guided_align.markup.units import units_of
from fairseq_guided_align.markup.word_places import places_of_words

STOP, KEEP, DROP_TAGS = "stop", "keep", "drop-tags"
ON_ERROR = (STOP, KEEP, DROP_TAGS)


Linker = Callable[[Iterator[SegmentTexts]], Iterator[SegmentLinks]]
"""Gives the links of each segment, in order. It may read ahead."""


@dataclass(frozen=True)
class TagFiles:
    """Files that belong together line by line.

    :param links: of every line, Pharaoh text, or what gives them.
    :param source_words: the words that the links count; what stands between white space when None; ``target_words``
        likewise.
    :param one_based: positions in the links count from 1.
    :param word_split: what the words are where there are no words files.
    """

    source: PathLike
    target: PathLike
    links: Union[PathLike, Linker]
    source_words: Optional[PathLike] = None
    target_words: Optional[PathLike] = None
    one_based: bool = False
    word_split: WordSplits = DEFAULT_SPLITS


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


class _Segment(NamedTuple):
    texts: SegmentTexts
    tagged: TaggedText
    target: str
    notes: list[Note]


def tagged_lines(files: TagFiles, settings: TagSettings, counts: TagCounts) -> Iterator[tuple[str, list[Note]]]:
    """The tagged translations, in order, each with what there is to say of it.

    :param counts: grows with the lines.
    :raises MarkupError: a segment's tags do not fit together, and ``on_error`` is :data:`STOP`; with file and line.
    :raises GuidedAlignError: a file cannot be read, the numbers of lines differ, or words or links do not fit the text.
    """
    segments = _segments(files, settings)
    linked: Iterator[tuple[_Segment, SegmentLinks]]
    if callable(files.links):
        segments, ahead = tee(segments)
        linked = zip(segments, files.links(segment.texts for segment in ahead))
    else:
        linked = _with_links_of_file(segments, files, files.links)
    for segment, links in linked:
        text = _tagged(segment, links, files, settings)
        counts.lines += 1
        counts.tags += len(segment.tagged.tags)
        counts.tagged_lines += bool(segment.tagged.tags)
        for note in segment.notes:
            counts.notes[note.kind] = counts.notes.get(note.kind, 0) + 1
        yield text, segment.notes


def _segments(files: TagFiles, settings: TagSettings) -> Iterator[_Segment]:
    """The segments with their translations, without links."""
    texts = [files.source, files.target]
    words = [path for path in (files.source_words, files.target_words) if path is not None]
    for first_line, blocks in read_blocks_together([*texts, *words]):
        columns = [block[:-1].split(b"\n") for block in blocks]
        for line, row in enumerate(zip(*columns), start=first_line):
            source, target, *rest = [decode_line(cell, path, line) for cell, path in zip(row, [*texts, *words])]
            notes: list[Note] = []
            tagged = _taken_apart(source, line, files, settings, notes)
            source_words = rest.pop(0) if files.source_words is not None else tagged.text
            target_words = rest.pop(0) if files.target_words is not None else target
            yield _Segment(SegmentTexts(line, source_words, target_words), tagged, target, notes)


def _taken_apart(source: str, line: int, files: TagFiles, settings: TagSettings, notes: list[Note]) -> TaggedText:
    markup = settings.markup
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
    return tagged


def _with_links_of_file(
    segments: Iterable[_Segment], files: TagFiles, path: PathLike
) -> Iterator[tuple[_Segment, SegmentLinks]]:
    links = links_of_file(path, files.one_based)
    for segment in segments:
        of_line = next(links, None)
        if of_line is None:
            raise_length_error([files.source, files.target, path])
        words = [
            _words_of_text(text, word_split) if words_file is None else split_words(text)
            for text, words_file, word_split in (
                (segment.texts.source, files.source_words, files.word_split.source),
                (segment.texts.target, files.target_words, files.word_split.target),
            )
        ]
        yield segment, SegmentLinks(of_line, *words)
    if next(links, None) is not None:
        raise_length_error([files.source, files.target, path])


def _words_of_text(text: str, word_split: str) -> Optional[list[str]]:
    """None where any white space separates the words."""
    any_space = word_split == "whitespace" or (word_split == "spaces" and text.isascii())
    return None if any_space else split_words(text, word_split)


def _tagged(segment: _Segment, linked: SegmentLinks, files: TagFiles, settings: TagSettings) -> str:
    """The tagged translation; what there is to say of it is added to the segment's notes."""
    tagged, target, notes, line = segment.tagged, segment.target, segment.notes, segment.texts.line
    source_places = _places(tagged.text, linked.source_words, files.source_words or files.source, line)
    target_places = _places(target, linked.target_words, files.target_words or files.target, line)
    if settings.finders or settings.terms or tagged.protected:
        target, target_places = _mended(
            line, tagged, target, linked.links, source_places, target_places, settings, notes
        )
    how = settings.pairs, settings.quotes
    try:
        done = carried(tagged, target, linked.links, settings.markup, source_places, target_places, *how)
    except GuidedAlignError as error:
        path = files.source if callable(files.links) else files.links
        raise type(error)(f"{path}:{line}: {error}") from None
    notes += [Note(line, "guessed", tagged.tags[position].raw) for position in done.guessed]
    return done.text


def _places(text: str, words: Optional[Sequence[str]], path: PathLike, line: int) -> Optional[list[tuple[int, int]]]:
    """Ranges of the words that the links count; None for what stands between white space."""
    if words is None:
        return None
    try:
        return places_of_words(text, words)
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
