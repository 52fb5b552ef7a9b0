"""Segments to translations with links and tags, by any engine's search."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from fairseq_guided_align.aligning.extraction import AlignedText, read_links_off
from fairseq_guided_align.aligning.link_models import ONE_DIRECTION, LinkReader, file_of_readers, kept_reader
from fairseq_guided_align.aligning.search import Hypothesis, Search
from fairseq_guided_align.aligning.tag_links import tag_links
from fairseq_guided_align.attention.guided_heads import GuidedHeads
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.links.link import SentenceLinks
from fairseq_guided_align.markup.notes import Note
from fairseq_guided_align.markup.segment_links import Link
from fairseq_guided_align.markup.segments import finished
from fairseq_guided_align.markup.settings import DROP_TAGS, TagSettings
from fairseq_guided_align.markup.tagged_text import Range, TaggedText
from fairseq_guided_align.markup.word_places import places_of_words
from fairseq_guided_align.subwords.pieces import text_of
from fairseq_guided_align.subwords.text_pieces import PiecedSentence, TextCutter

SentenceSplitter = Callable[[str], Sequence[Range]]
"""Gives the ``(start, stop)`` ranges of a text's sentences, in order, without white space around them."""


@dataclass(frozen=True)
class Translation:
    """A hypothesis.

    :param text: the translation in words; with its tags, where markup was named.
    :param pieces: the translation in the model's pieces, without ``</s>``.
    :param score: log-probability in nats, normalised as the search does; of several sentences, the mean.
    :param links: between words or pieces of source and target, as asked for; both without tags. Words are those of
        ``plain_text``, with a space between them.
    :param attention: (target, source + 1) probabilities between them; the last column is ``</s>``'s.
    :param plain_text: the translation in words, without tags.
    :param guessed_tags: how many tags no link speaks for; a pair is one.
    :param tags: how many tags the segment has.
    :param notes: what there is to say of tags and protected text; their line is the sentence's number, from 1.

    Where protected text was put right, ``text``, ``plain_text`` and links between words are those after it; pieces,
    attention and links between pieces are the model's own.
    """

    text: str
    pieces: list[str]
    score: float
    links: SentenceLinks
    attention: np.ndarray
    plain_text: str
    guessed_tags: int
    tags: int = 0
    notes: tuple[Note, ...] = ()


class SourceSegment(NamedTuple):
    """What is to be translated.

    :param raw: as it was given.
    :param tagged: the same, taken apart.
    :param notes: what was said of its tags.
    :param line: its number, from 1.
    """

    raw: str
    tagged: TaggedText
    notes: list[Note]
    line: int


class LinkReading(NamedTuple):
    """How links are read off attention.

    :param level: what they join, ``words`` or ``pieces``.
    :param method: see ``extraction.read_links_off``; ``threshold`` likewise.
    :param learnt: reads them in place of the method.
    """

    level: str
    method: str
    threshold: float | None
    learnt: LinkReader | None = None

    @classmethod
    def of_model(cls, model: str, level: str, method: str | None, threshold: float | None) -> LinkReading:
        """As the arguments say; without a method, as ``extract --tune`` has learnt for the model, else ``argmax``.

        :param model: the checkpoint.
        :raises GuidedAlignError: ``tuned``, and nothing was learnt; or what was learnt cannot be read.
        """
        if method not in (None, "tuned"):
            return cls(level, method, threshold)
        use = f"{level}, {ONE_DIRECTION}"
        learnt = kept_reader(model, use)
        if learnt is None and method == "tuned":
            raise GuidedAlignError(f"method tuned: nothing is known of {use} in {file_of_readers(model)}")
        if learnt is not None and threshold is not None:
            learnt = replace(learnt, threshold=threshold)
        return cls(level, "argmax", threshold, learnt)

    def links(self, attention: np.ndarray, guided: GuidedHeads) -> SentenceLinks:
        """Links of a sentence pair.

        :param attention: (target, source + 1) probabilities at the reading's level; the last column is ``</s>``'s.
        """
        if self.learnt is not None:
            return self.learnt.links([attention])
        return read_links_off(attention, guided, self.method, self.threshold)


class SearchWidth(NamedTuple):
    """How a search is done.

    :param beam: width of the beam.
    :param nbest: translations of each sentence, at most ``beam``.
    :param max_tokens: source tokens of a batch, padding included.
    :param options: more of the engine's options.
    """

    beam: int
    nbest: int
    max_tokens: int
    options: Mapping[str, Any]


class _Sentence(NamedTuple):
    """A sentence of a segment.

    :param words: ranges of its words in the segment's text; None where nobody asks for them.
    """

    source: PiecedSentence
    words: list[Range] | None


class _Part(NamedTuple):
    """The translation of a sentence, or of several in one.

    :param words: ranges of the words in ``text`` that the links count.
    :param links: between words or pieces, as asked for: source, target, weight.
    :param tag_links: between words.
    :param source_words: number of words in the source.
    """

    text: str
    words: list[Range]
    pieces: list[str]
    score: float
    attention: np.ndarray
    links: list[Link]
    tag_links: list[Link]
    source_words: int


class Translator:
    """Translates segments.

    :param cutters: of source and target text.
    """

    def __init__(self, search: Search, cutters: tuple[TextCutter, TextCutter]) -> None:
        self.search = search
        self.cut_source, self.cut_target = cutters

    def __call__(
        self,
        segments: Sequence[SourceSegment],
        settings: TagSettings,
        reading: LinkReading,
        width: SearchWidth,
        split: SentenceSplitter | None = None,
    ) -> list[list[Translation]]:
        """The best translations of each segment, in order; none of one that is too long for the model.

        A segment without text, or with nothing but protected text, is its own translation.

        :param split: cuts the text of a segment into sentences, which are translated one by one. Each segment then has
            one translation. None: each is one sentence.
        """
        with_words = bool(settings.markup.reader or settings.markup.finder or settings.finders or settings.terms)
        sentences = [self._sentences(one.tagged, with_words, split) for one in segments]
        flat = [one.source for some in sentences for one in some]
        asked = [number for number, one in enumerate(flat) if one.pieces]
        nbest = 1 if split else width.nbest
        found: dict[int, list[Hypothesis]] = {
            number: [Hypothesis([], 0.0, np.zeros((0, 1), np.float32))]
            for number, one in enumerate(flat)
            if not one.pieces
        }
        to_search = [flat[number] for number in asked]
        for number, hypotheses in self.search(to_search, width.beam, nbest, width.max_tokens, width.options):
            found[asked[number]] = hypotheses
        first = 0
        translations = []
        for segment, some in zip(segments, sentences):
            of_segment = [found.get(number, []) for number in range(first, first + len(some))]
            first += len(some)
            translations.append(list(self._translations(segment, some, of_segment, settings, reading)))
        return translations

    def _sentences(self, tagged: TaggedText, with_words: bool, split: SentenceSplitter | None) -> list[_Sentence]:
        if not _has_text(tagged):
            return []
        text = tagged.text
        ranges = _outside(split(text), tagged.protected) if split else [(0, len(text))]
        parts = [text[start:stop] for start, stop in ranges]
        return [
            _Sentence(source, self._places(part, start) if with_words else None)
            for part, source, (start, _) in zip(parts, self.cut_source(parts), ranges)
        ]

    def _places(self, text: str, start: int) -> list[Range]:
        return [(start + a, start + b) for a, b in places_of_words(text, self.cut_source.words(text))]

    def _translations(
        self,
        segment: SourceSegment,
        sentences: Sequence[_Sentence],
        found: Sequence[list[Hypothesis]],
        settings: TagSettings,
        reading: LinkReading,
    ) -> Iterator[Translation]:
        tagged = segment.tagged
        if not sentences:
            dropped = settings.on_error == DROP_TAGS and not tagged.tags
            text = settings.markup.written(tagged.text) if dropped else segment.raw
            nothing = SentenceLinks.from_pairs([]), np.zeros((0, 1), np.float32)
            yield Translation(text, [], 0.0, *nothing, tagged.text, 0, len(tagged.tags), tuple(segment.notes))
            return
        places = [one.words for one in sentences]
        source_words = None if None in places else [place for some in places for place in some or ()]
        for hypotheses in zip(*found):
            part = self._part(sentences[0].source, hypotheses[0], reading)
            for sentence, hypothesis in zip(sentences[1:], hypotheses[1:]):
                part = _joined(part, self._part(sentence.source, hypothesis, reading))
            done = finished(tagged, part.text, part.tag_links, settings, source_words, part.words, segment.line)
            links = part.links
            if reading.level == "words":
                links = _moved(links, part.words if done.words is None else done.words, done.plain)
            yield Translation(
                done.text,
                part.pieces,
                part.score / len(sentences),
                SentenceLinks.from_pairs([link[:2] for link in links], [link[2] for link in links]),
                part.attention,
                done.plain,
                done.guessed,
                len(tagged.tags),
                (*segment.notes, *done.notes),
            )

    def _part(self, source: PiecedSentence, hypothesis: Hypothesis, reading: LinkReading) -> _Part:
        kind, guided = self.cut_target.kind, self.search.guided
        target = PiecedSentence.of_pieces(hypothesis.pieces, kind)
        attention = hypothesis.attention
        if not hypothesis.pieces:
            attention = np.zeros((0, len(source.pieces) + 1), np.float32)
        by_words = AlignedText(source, target, attention).words()
        chosen = by_words if reading.level == "words" else attention
        read = reading.links(chosen, guided)
        text = text_of(hypothesis.pieces, kind)
        words = _words(text)
        links = list(zip(read.source.tolist(), read.target.tolist(), read.weight.tolist()))
        # A byte piece may spell a space: then nobody knows which words the pieces count.
        for_tags = tag_links(by_words, guided) if len(words) == target.words else []
        return _Part(text, words, hypothesis.pieces, hypothesis.score, chosen, links, for_tags, source.words)


def _has_text(tagged: TaggedText) -> bool:
    """Whether there is text to translate, outside of what is protected."""
    done = 0
    for start, stop in [*tagged.protected, (len(tagged.text), len(tagged.text))]:
        if tagged.text[done:start].strip():
            return True
        done = stop
    return False


def _outside(sentences: Sequence[Range], protected: Sequence[Range]) -> list[Range]:
    """Sentences, where those that part protected text are one."""
    found: list[Range] = []
    for start, stop in sentences:
        if found and any(first < start < last for first, last in protected):
            found[-1] = found[-1][0], stop
        else:
            found.append((start, stop))
    return found


def _words(text: str) -> list[Range]:
    return [match.span() for match in re.finditer("[^ ]+", text)]


def _joined(one: _Part, other: _Part) -> _Part:
    """The translation of two sentences, one after the other."""
    between = " " if one.text and other.text and not _closes_up(one.text[-1]) else ""
    shift = len(one.text) + len(between)
    rows, columns = len(one.attention), one.attention.shape[1] - 1
    attention = np.zeros((rows + len(other.attention), columns + other.attention.shape[1]), np.float32)
    attention[:rows, :columns], attention[:rows, -1] = one.attention[:, :-1], one.attention[:, -1]
    attention[rows:, columns:] = other.attention
    words, source_words = len(one.words), one.source_words
    return _Part(
        one.text + between + other.text,
        one.words + [(start + shift, stop + shift) for start, stop in other.words],
        one.pieces + other.pieces,
        one.score + other.score,
        attention,
        one.links + [(s + columns, t + rows, weight) for s, t, weight in other.links],
        one.tag_links + [(s + source_words, t + words, weight) for s, t, weight in other.tag_links],
        source_words + other.source_words,
    )


def _closes_up(character: str) -> bool:
    """Whether the next sentence follows a character without a space, as in Chinese and Japanese, but not in Korean."""
    return unicodedata.east_asian_width(character) in "WF" and not unicodedata.name(character, "").startswith("HANGUL")


def _moved(links: list[Link], ranges: Sequence[Range], text: str) -> list[Link]:
    """Links to words that stand at these ranges of a text, as links to its words with a space between them."""
    words = _words(text)
    if list(ranges) == words:
        return links
    # A word that was replaced together with the one before it has no letters left: it is where that one ends.
    overlapping = [
        [word for word, (first, last) in enumerate(words) if first < stop and last >= start + (stop > start)]
        for start, stop in ranges
    ]
    return [
        (source, word, weight)
        for source, target, weight in links
        if target < len(overlapping)
        for word in overlapping[target]
    ]
