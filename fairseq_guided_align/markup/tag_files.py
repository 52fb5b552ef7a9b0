"""Files of tagged segments, their translations and links, turned into tagged translations, line by line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import tee
from typing import NamedTuple

from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.files.byte_lines import PathLike, decode_line, raise_length_error, read_blocks_together
from fairseq_guided_align.links.words import DEFAULT_SPLITS, WordSplits, split_words
from fairseq_guided_align.markup.notes import Note, SegmentCounts
from fairseq_guided_align.markup.segment_links import SegmentLinks, SegmentTexts, links_of_file
from fairseq_guided_align.markup.segments import Finished, finished, taken_apart
from fairseq_guided_align.markup.settings import TagSettings
from fairseq_guided_align.markup.tagged_text import Range, TaggedText
from fairseq_guided_align.markup.word_places import places_of_words

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
    links: PathLike | Linker
    source_words: PathLike | None = None
    target_words: PathLike | None = None
    one_based: bool = False
    word_split: WordSplits = DEFAULT_SPLITS


class _Segment(NamedTuple):
    texts: SegmentTexts
    tagged: TaggedText
    target: str
    notes: list[Note]


def tagged_lines(files: TagFiles, settings: TagSettings, counts: SegmentCounts) -> Iterator[tuple[str, list[Note]]]:
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
        done = _finished(segment, links, files, settings)
        notes = [*segment.notes, *done.notes]
        counts.add(len(segment.tagged.tags), notes)
        yield done.text, notes


def _segments(files: TagFiles, settings: TagSettings) -> Iterator[_Segment]:
    """The segments with their translations, without links."""
    texts = [files.source, files.target]
    words = [path for path in (files.source_words, files.target_words) if path is not None]
    for first_line, blocks in read_blocks_together([*texts, *words]):
        columns = [block[:-1].split(b"\n") for block in blocks]
        for line, row in enumerate(zip(*columns), start=first_line):
            source, target, *rest = [decode_line(cell, path, line) for cell, path in zip(row, [*texts, *words])]
            tagged, notes = taken_apart(source, line, settings, files.source)
            source_words = rest.pop(0) if files.source_words is not None else tagged.text
            target_words = rest.pop(0) if files.target_words is not None else target
            yield _Segment(SegmentTexts(line, source_words, target_words), tagged, target, notes)


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


def _words_of_text(text: str, word_split: str) -> list[str] | None:
    """None where any white space separates the words."""
    any_space = word_split == "whitespace" or (word_split == "spaces" and text.isascii())
    return None if any_space else split_words(text, word_split)


def _finished(segment: _Segment, linked: SegmentLinks, files: TagFiles, settings: TagSettings) -> Finished:
    tagged, target, line = segment.tagged, segment.target, segment.texts.line
    source_places = _places(tagged.text, linked.source_words, files.source_words or files.source, line)
    target_places = _places(target, linked.target_words, files.target_words or files.target, line)
    try:
        return finished(tagged, target, linked.links, settings, source_places, target_places, line)
    except GuidedAlignError as error:
        path = files.source if callable(files.links) else files.links
        raise type(error)(f"{path}:{line}: {error}") from None


def _places(text: str, words: Sequence[str] | None, path: PathLike, line: int) -> list[Range] | None:
    """Ranges of the words that the links count; None for what stands between white space."""
    if words is None:
        return None
    try:
        return places_of_words(text, words)
    except GuidedAlignError as error:
        raise GuidedAlignError(f"{path}:{line}: {error}") from None
