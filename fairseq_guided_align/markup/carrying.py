"""Tags of the source carried to its translation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from typing import NamedTuple

from fairseq_guided_align.errors import AlignmentRangeError, GuidedAlignError
from fairseq_guided_align.markup.anchors import names_of, with_anchors, with_certain_links
from fairseq_guided_align.markup.builder import merged
from fairseq_guided_align.markup.edges import INSIDE, QUOTE_SIDES
from fairseq_guided_align.markup.elements import elements_of
from fairseq_guided_align.markup.kinds import DEFAULT_KINDS, Markup, markup_of
from fairseq_guided_align.markup.placing import Placed, Rules, place
from fairseq_guided_align.markup.protected import exact
from fairseq_guided_align.markup.segment_links import Link
from fairseq_guided_align.markup.segment_pair import SegmentPair
from fairseq_guided_align.markup.spans import SPANS
from fairseq_guided_align.markup.tagged_text import Range, TaggedText
from fairseq_guided_align.markup.units import Units, units_inside, units_of, with_names_apart
from fairseq_guided_align.markup.word_places import places_of_words
from fairseq_guided_align.markup.writing import written

KEEP_PAIRS, SPLIT_PAIRS = "keep", "split"
PAIRS = (KEEP_PAIRS, SPLIT_PAIRS)
DEFAULT_QUOTES = INSIDE
DEFAULT_SPANS = "weighed"


class Transferred(NamedTuple):
    """A tagged translation.

    :param text: it.
    :param guessed: the positions, among the source's tags, of those that no link speaks for: of a pair, its first tag.
    """

    text: str
    guessed: tuple[int, ...]


def transfer(
    source: str,
    target: str,
    links: Iterable[tuple[int, int] | Link],
    markup: str = DEFAULT_KINDS,
    source_words: Sequence[str] | None = None,
    target_words: Sequence[str] | None = None,
    pairs: str = KEEP_PAIRS,
    quotes: str = DEFAULT_QUOTES,
) -> Transferred:
    """The translation of a tagged segment with the tags of the segment.

    :param source: the segment, with its tags.
    :param target: its translation, plain text.
    :param links: ``(source, target)`` or ``(source, target, weight)``: 0-based positions of words; weights > 0.
    :param markup: the kinds of markup, as in ``html,placeholders=printf``.
    :param source_words: the words of the plain text that the links count; what stands between white space when None;
        ``target_words`` likewise.
    :param pairs: ``keep``: each tag comes out once. ``split``: a pair may be repeated around parts that are not
        adjacent.
    :param quotes: ``inside`` or ``outside``: where quotation marks go that only the translation has, right around a
        span.
    :raises MarkupError: the segment's tags do not fit together.
    :raises GuidedAlignError: a link points outside the words, words spell another text, an option has another value.
    """
    kinds = markup_of(markup)
    tagged = kinds.read(source)
    return carried(
        tagged,
        target,
        [(link[0], link[1], link[2] if len(link) > 2 else 1.0) for link in links],
        kinds,
        None if source_words is None else places_of_words(tagged.text, source_words),
        None if target_words is None else places_of_words(target, target_words),
        pairs,
        quotes,
    )


def carried(
    source: TaggedText,
    target: str,
    links: Iterable[Link],
    markup: Markup,
    source_words: Sequence[Range] | None = None,
    target_words: Sequence[Range] | None = None,
    pairs: str = KEEP_PAIRS,
    quotes: str = DEFAULT_QUOTES,
    spans: str = DEFAULT_SPANS,
) -> Transferred:
    """As :func:`transfer`, for what is already taken apart.

    :param source: the segment, taken apart by ``markup``.
    :param target: its translation, plain text.
    :param links: ``(source, target, weight)``: 0-based positions of words; weights > 0, 1 for a link without a
        probability.
    :param source_words: ``(start, stop)`` ranges in ``source.text`` of the words that links count, in order; what
        stands between white space when None; ``target_words`` likewise, in ``target``.
    :param spans: which way of choosing spans; one of :data:`spans.SPANS`.
    :raises AlignmentRangeError: a link points outside the words.
    :raises GuidedAlignError: an option is none of its values.
    """
    for value, values in ((pairs, PAIRS), (quotes, QUOTE_SIDES), (spans, tuple(SPANS))):
        if value not in values:
            raise GuidedAlignError(f"wanted one of {', '.join(values)}; got {value!r}")
    if not source.tags:
        return Transferred(markup.written(target), ())
    source_units = units_of(source.text, source_words, source.protected)
    kept = _protected_in(target, source)
    placeholders = markup.placeholders(target)
    protected = merged([*placeholders, *[span for _, span in kept]]) if kept or placeholders else ()
    target_units = units_of(target, target_words, protected)
    if "-" in target:
        source_strings = source_units.strings()
        target_units = with_names_apart(target_units, source_strings, names_of(source_strings))
    segment = _segment(source_units, target_units, links, kept)
    placed = place(elements_of(source, source_units), segment, Rules(SPANS[spans], quotes, pairs == SPLIT_PAIRS))
    text = written(placed, source, target_units, markup.written)
    return Transferred(text, tuple(sorted(_guessed(placed))))


def _protected_in(target: str, source: TaggedText) -> list[tuple[Range, Range]]:
    """Protected ranges of the source, each with the range of the translation that is written alike.

    Texts that do not stand as often in both are left out: nothing says which of them is which.
    """
    found = []
    for start, stop in source.protected:
        text = source.text[start:stop].strip()
        if text in target:
            find = exact(text)
            here, there = find(source.text), find(target)
            number = sum(span[0] < start for span in here)
            if number < len(here) == len(there):
                found.append((here[number], there[number]))
    return found


def _segment(source: Units, target: Units, links: Iterable[Link], alike: list[tuple[Range, Range]]) -> SegmentPair:
    """Links of words as links of units: those between words, and those between marks of punctuation.

    :param alike: ranges of both texts that are protected, and belong together.
    """
    between_words: list[Link] = []
    between_marks: list[Link] = []
    source_marks, target_marks = source.marks, target.marks
    for source_word, target_word, weight in links:
        try:
            source_units, target_units = source.of_word[source_word], target.of_word[target_word]
        except IndexError:
            raise AlignmentRangeError(
                f"the link {source_word}-{target_word} points outside the words: the source has {len(source.of_word)},"
                f" the translation {len(target.of_word)}; are these the words that the links count?"
            ) from None
        for source_unit in source_units:
            for target_unit in target_units:
                if not source_marks[source_unit] and not target_marks[target_unit]:
                    between_words.append((source_unit, target_unit, weight))
                elif source_marks[source_unit] and target_marks[target_unit]:
                    between_marks.append((source_unit, target_unit, weight))
    source_strings, target_strings = source.strings(), target.strings()
    if alike:
        pairs = [
            pair for one, other in alike for pair in _matched(units_inside(source, one), units_inside(target, other))
        ]
        between_words = with_certain_links(between_words, pairs)
    between_words = with_anchors(source_strings, target_strings, between_words)
    return SegmentPair(source, target, source_strings, target_strings, between_words, between_marks)


def _matched(one: Sequence[int], other: Sequence[int]) -> Iterable[tuple[int, int]]:
    """Units that are written alike: one to one, unless a translation has the whole as one word."""
    return zip(one, other) if len(one) == len(other) else product(one, other)


def _guessed(placed: Iterable[Placed]) -> Iterable[int]:
    for one in placed:
        if one.guessed:
            yield one.element.first
        yield from _guessed(one.children)
