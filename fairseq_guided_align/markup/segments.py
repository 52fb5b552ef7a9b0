"""One segment after the other: tags taken out, protected text put right in the translation, tags put in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from fairseq_guided_align.errors import MarkupError
from fairseq_guided_align.markup.carrying import carried
from fairseq_guided_align.markup.notes import Note
from fairseq_guided_align.markup.protected import items_of, mend
from fairseq_guided_align.markup.segment_links import Link
from fairseq_guided_align.markup.settings import DROP_TAGS, STOP, TagSettings
from fairseq_guided_align.markup.tagged_text import Range, TaggedText, words_of
from fairseq_guided_align.markup.units import units_of


class Finished(NamedTuple):
    """A translation with its tags.

    :param text: it.
    :param plain: the translation without tags, in which protected text was put right.
    :param words: the range in ``plain`` of each word that the links count. An empty range: the word was replaced
        together with the one before it. None: the words are what stands between white space.
    :param guessed: how many tags no link speaks for; a pair is one.
    :param notes: what there is to say.
    """

    text: str
    plain: str
    words: Sequence[Range] | None
    guessed: int
    notes: list[Note]


def taken_apart(raw: str, line: int, settings: TagSettings, path: object = None) -> tuple[TaggedText, list[Note]]:
    """A segment without its tags, and what there is to say of them.

    :param line: the segment's number, from 1.
    :param path: for the message.
    :raises MarkupError: the tags do not fit together, and ``on_error`` is ``stop``.
    """
    notes: list[Note] = []
    try:
        tagged = settings.markup.read(raw)
    except MarkupError as error:
        if settings.on_error == STOP:
            raise MarkupError(error.reason, line, error.column, path) from None
        notes.append(Note(line, "error", f"column {error.column}: {error.reason}"))
        tagged = settings.markup.read(raw, lenient=True)
        if settings.on_error == DROP_TAGS:
            tagged = tagged._replace(tags=())
    if tagged.repaired:
        notes.append(Note(line, "repaired", str(tagged.repaired)))
    return tagged, notes


def finished(
    tagged: TaggedText,
    target: str,
    links: list[Link],
    settings: TagSettings,
    source_words: Sequence[Range] | None = None,
    target_words: Sequence[Range] | None = None,
    line: int = 1,
) -> Finished:
    """The translation of a segment, with what must survive and with its tags.

    :param target: the translation, plain text.
    :param links: ``(source, target, weight)``: 0-based positions of words; weights > 0.
    :param source_words: ranges of the words that the links count; what stands between white space when None;
        ``target_words`` likewise.
    :param line: the segment's number, from 1.
    :raises AlignmentRangeError: a link points outside the words.
    """
    notes: list[Note] = []
    if settings.finders or settings.terms or tagged.protected:
        target, target_words, notes = _mended(tagged, target, links, settings, source_words, target_words, line)
    words = target_words
    if settings.insert_kept and any(note.kind == "lost" for note in notes):
        target, target_words, words, links, notes = _with_kept_text(
            tagged, target, links, source_words, target_words, notes
        )
    how = settings.pairs, settings.quotes
    done = carried(tagged, target, links, settings.markup, source_words, words, *how)
    notes += [Note(line, "guessed", tagged.tags[position].raw) for position in done.guessed]
    return Finished(done.text, target, target_words, len(done.guessed), notes)


def _mended(
    tagged: TaggedText,
    target: str,
    links: list[Link],
    settings: TagSettings,
    source_words: Sequence[Range] | None,
    target_words: Sequence[Range] | None,
    line: int,
) -> tuple[str, Sequence[Range] | None, list[Note]]:
    """The translation after what was missing has been put in, ranges of its words, and what there is to say."""
    kept = [("kept", lambda _: tagged.protected)] if tagged.protected else []
    items = items_of(tagged.text, [*kept, *settings.finders], settings.terms)
    if not items:
        return target, target_words, []
    places = words_of(target) if target_words is None else target_words
    source_units = units_of(tagged.text, source_words, tagged.protected)
    done = mend(items, source_units, units_of(target, places), places, links)
    notes = [Note(line, "replaced", wanted) for wanted in done.replaced]
    notes += [Note(line, "lost", wanted) for wanted in done.lost]
    return (done.text, done.words, notes) if done.replaced else (target, target_words, notes)


class _PutIn(NamedTuple):
    """A translation with what was put in by a guess.

    :param words: ranges of the words that the given links count.
    :param all_words: of these and of what was put in, in order.
    :param links: between all words.
    """

    target: str
    words: Sequence[Range]
    all_words: Sequence[Range]
    links: list[Link]
    notes: list[Note]


def _with_kept_text(
    tagged: TaggedText,
    target: str,
    links: list[Link],
    source_words: Sequence[Range] | None,
    target_words: Sequence[Range] | None,
    notes: list[Note],
) -> _PutIn:
    """The translation with what the markup protects, such as ``code``, that is missing in it, and that no link places.

    :param notes: that say what is missing.
    """
    from_words = words_of(tagged.text) if source_words is None else source_words
    words = list(words_of(target) if target_words is None else target_words)
    positions = list(range(len(words)))
    missing = list(tagged.protected)
    told = []
    # Of the same text in several places, the last is what is missing.
    for note in reversed(notes):
        alike = [one for one in missing if note.kind == "lost" and tagged.text[slice(*one)] == note.text]
        place = alike[-1] if alike else None
        if place is None:
            told.append(note)
            continue
        missing.remove(place)
        told.append(note._replace(kind="inserted"))
        gap = _gap_of(place[0], from_words, links, len(words))
        target, words = _inserted(target, words, gap, note.text.strip())
        positions = [one + (one >= gap) for one in positions]
        links = [(source, one + (one >= gap), weight) for source, one, weight in links]
        links += [(number, gap, 1.0) for number, (a, b) in enumerate(from_words) if a < place[1] and b > place[0]]
    return _PutIn(target, [words[one] for one in positions], words, links, told[::-1])


def _gap_of(place: int, source_words: Sequence[Range], links: list[Link], words: int) -> int:
    """The word of the translation before which to insert what stands at a character of the source.

    The fewest links cross there. Of several such places, it is the one nearest to the same share of the sentence.
    """
    before = sum(stop <= place for _, stop in source_words)
    share = before / max(len(source_words), 1) * words

    def cost(gap: int) -> tuple[float, float]:
        crossing = sum(weight for source, target, weight in links if (source < before) != (target < gap))
        return crossing, abs(gap - share)

    return min(range(words + 1), key=cost)


def _inserted(target: str, words: list[Range], gap: int, text: str) -> tuple[str, list[Range]]:
    """The translation with a text before a word, with white space around it, and the ranges of all words."""
    if not words:
        return text, [(0, len(text))]
    if gap == len(words):
        place, text, lead = words[-1][1], f" {text}", 1
        size = len(text)
    else:
        place, lead = words[gap][0], 0
        size = len(text) + 1
        text = f"{text} "
    moved = [(a + size, b + size) if a >= place and number >= gap else (a, b) for number, (a, b) in enumerate(words)]
    start = place + lead
    return target[:place] + text + target[place:], [*moved[:gap], (start, start + len(text) - 1), *moved[gap:]]
