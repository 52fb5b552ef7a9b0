"""Segments to translations with links and tags, by any engine's search."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from fairseq_guided_align.aligning.aligned_pairs import AlignedText
from fairseq_guided_align.aligning.link_reading import LinkReading
from fairseq_guided_align.aligning.search import Hypothesis, Search
from fairseq_guided_align.aligning.sentences import SentenceSplitter, with_protected_text_whole
from fairseq_guided_align.aligning.tag_links import tag_links
from fairseq_guided_align.aligning.translated_text import TranslatedText, joined, links_to_written_words, word_ranges
from fairseq_guided_align.links.link import SentenceLinks
from fairseq_guided_align.markup.notes import Note
from fairseq_guided_align.markup.segments import finished
from fairseq_guided_align.markup.settings import DROP_TAGS, TagSettings
from fairseq_guided_align.markup.tagged_text import Range, TaggedText
from fairseq_guided_align.markup.word_places import places_of_words
from fairseq_guided_align.subwords.pieces import text_of
from fairseq_guided_align.subwords.text_pieces import PiecedSentence, TextCutter


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
        ranges = with_protected_text_whole(split(text), tagged.protected) if split else [(0, len(text))]
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
                part = joined(part, self._part(sentence.source, hypothesis, reading))
            done = finished(tagged, part.text, part.tag_links, settings, source_words, part.words, segment.line)
            links = part.links
            if reading.level == "words":
                links = links_to_written_words(links, part.words if done.words is None else done.words, done.plain)
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

    def _part(self, source: PiecedSentence, hypothesis: Hypothesis, reading: LinkReading) -> TranslatedText:
        kind, guided = self.cut_target.kind, self.search.guided
        target = PiecedSentence.of_pieces(hypothesis.pieces, kind)
        attention = hypothesis.attention
        if not hypothesis.pieces:
            attention = np.zeros((0, len(source.pieces) + 1), np.float32)
        by_words = AlignedText(source, target, attention).words()
        chosen = by_words if reading.level == "words" else attention
        read = reading.links(chosen, guided)
        text = text_of(hypothesis.pieces, kind)
        words = word_ranges(text)
        links = list(zip(read.source.tolist(), read.target.tolist(), read.weight.tolist()))
        # A byte piece may spell a space: then nobody knows which words the pieces count.
        for_tags = tag_links(by_words, guided) if len(words) == target.words else []
        return TranslatedText(text, words, hypothesis.pieces, hypothesis.score, chosen, links, for_tags, source.words)


def _has_text(tagged: TaggedText) -> bool:
    """Whether there is text to translate, outside of what is protected."""
    done = 0
    for start, stop in [*tagged.protected, (len(tagged.text), len(tagged.text))]:
        if tagged.text[done:start].strip():
            return True
        done = stop
    return False
