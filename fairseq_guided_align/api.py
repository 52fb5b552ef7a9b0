"""The package from Python: load a model, translate with links, align given text, score it.

::

    from fairseq_guided_align.api import load

    model = load("checkpoints/checkpoint_best.pt")
    best = model.translate(["Ἐν ἀρχῇ ἦν ὁ λόγος"])[0][0]
    print(best.text, best.links.pairs())
    links = model.align(["Ἐν ἀρχῇ"], ["In the beginning"])

Text is what ``fairseq-guided-align preprocess`` takes: the data folder says how it is cut into pieces. Links join
words, as the data folder separates them, or pieces; positions count from 0.
"""

from __future__ import annotations

import re
from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from fairseq_guided_align.aligning.extraction import AlignedText, AlignmentModel, read_links_off
from fairseq_guided_align.aligning.tag_links import tag_links
from fairseq_guided_align.errors import AlignmentLengthError, GuidedAlignError, MarkupError
from fairseq_guided_align.links.link import SentenceLinks
from fairseq_guided_align.markup.carrying import Transferred, carried
from fairseq_guided_align.markup.kinds import Markup, markup_of
from fairseq_guided_align.markup.tagged_text import TaggedText
from fairseq_guided_align.markup.word_places import places_of_words
from fairseq_guided_align.subwords.pieces import text_of
from fairseq_guided_align.subwords.special_tokens import pieces_of
from fairseq_guided_align.subwords.text_pieces import PiecedSentence, text_cutters

__all__ = ["Model", "Score", "Translation", "load"]

LEVELS = ("words", "pieces")
SEARCH_OPTIONS = (
    "diverse_beam_groups", "diverse_beam_strength", "diversity_rate", "lenpen", "match_source_len", "max_len_a",
    "max_len_b", "min_len", "no_repeat_ngram_size", "prefix_allowed_tokens_fn", "sampling", "sampling_topk",
    "sampling_topp", "temperature", "unkpen", "unnormalized",
)  # fmt: skip
"""What fairseq's search reads besides the arguments of :meth:`Model.translate`."""


@dataclass(frozen=True)
class Translation:
    """A hypothesis.

    :param text: the translation in words; with its tags, where markup was named.
    :param pieces: the translation in the model's pieces, without ``</s>``.
    :param score: log-probability in nats, normalised as the search does.
    :param links: between words or pieces of source and target, as asked for; both without tags.
    :param attention: (target, source + 1) probabilities between them; the last column is ``</s>``'s.
    :param plain_text: the translation in words, without tags.
    :param guessed_tags: how many tags no link speaks for; a pair is one.
    """

    text: str
    pieces: list[str]
    score: float
    links: SentenceLinks
    attention: np.ndarray
    plain_text: str
    guessed_tags: int


@dataclass(frozen=True)
class Score:
    """A translation's probability.

    :param log_probability: of all its tokens with ``</s>``, in nats.
    :param tokens: their number.
    """

    log_probability: float
    tokens: int


def load(
    checkpoint: str,
    data: str | None = None,
    device: str | None = None,
    subwords: str | None = None,
    sentencepiece_models: Sequence[str | None] = (None, None),
    lang_pair: str | None = None,
    word_split: str | Sequence[str | None] | None = None,
) -> Model:
    """A model out of a checkpoint.

    :param checkpoint: of fairseq's, trained with this package or without; what was guided is in it.
    :param data: the data folder; None: the one that the checkpoint was trained on.
    :param device: where the model runs, such as ``cuda:0``; None: a GPU where there is one.
    :param subwords: how pieces make up words, ``sentencepiece``, ``bpe`` (text has to be cut already) or ``words``;
        None: as the data folder says.
    :param sentencepiece_models: of source and target, instead of the data folder's.
    :param lang_pair: such as ``de-en``, for a model of several language pairs.
    :param word_split: what the words of a text are, one of ``links.words.WORD_SPLITS``, or those of source and target;
        None: as the data folder says.
    :raises GuidedAlignError: the checkpoint cannot be read, or it is unknown how text is cut.
    """
    model = AlignmentModel(checkpoint, data, device=device, lang_pair=lang_pair)
    both = (word_split, word_split) if word_split is None or isinstance(word_split, str) else word_split
    return Model(model, subwords, sentencepiece_models, both)


class Model:
    """A translation model with word alignment; made by :func:`load`."""

    def __init__(
        self,
        model: AlignmentModel,
        subwords: str | None,
        sentencepiece_models: Sequence[str | None],
        word_split: Sequence[str | None] = (None, None),
    ) -> None:
        self._model = model
        self._cut_source, self._cut_target = text_cutters(
            model.data,
            (model.options.source_lang, model.options.target_lang),
            subwords,
            sentencepiece_models,
            kind_option="subwords",
            word_split=word_split,
        )

    def translate(
        self,
        sentences: Sequence[str],
        beam: int = 5,
        nbest: int = 1,
        level: str = "words",
        method: str = "argmax",
        threshold: float | None = None,
        max_tokens: int = 4000,
        markup: str | None = None,
        **search: Any,
    ) -> list[list[Translation]]:
        """The best translations of each sentence, in the order of the sentences.

        With ``markup``, sentences are segments with tags. The model reads them without tags, and each translation gets
        the tags, along the probabilities of links between words.

        :param beam: width of the beam.
        :param nbest: translations of each sentence, at most ``beam``.
        :param level: what links join, ``words`` or ``pieces``.
        :param method: how they are read off the attention: ``argmax``, ``mutual-argmax``, ``threshold``.
        :param threshold: least probability of a link, for the method ``threshold``.
        :param max_tokens: source tokens of a batch, padding included.
        :param markup: the kinds of markup in the sentences, as in ``html,placeholders=printf``; None: they are text
            without tags.
        :param search: more of fairseq's options of generation, :data:`SEARCH_OPTIONS`, such as ``lenpen=0.6``.
        :raises MarkupError: the tags of a sentence do not fit together; with its number as the line.
        :raises GuidedAlignError: arguments out of range, or a sentence that is too long for the model.
        """
        _check_level(level)
        if not 1 <= nbest <= beam:
            raise GuidedAlignError(f"expected 1 <= nbest <= beam; got nbest {nbest} and beam {beam}")
        unknown = sorted(set(search) - set(SEARCH_OPTIONS))
        if unknown:
            raise GuidedAlignError(
                f"expected options of fairseq's search, {', '.join(SEARCH_OPTIONS)}; got {', '.join(unknown)}"
            )
        _check_list(sentences)
        tags = None if markup is None else self._tags(sentences, markup)
        sources = self._cut_source(sentences if tags is None else [one.segment.text for one in tags])
        model = self._model
        options = Namespace(beam=beam, nbest=nbest, print_alignment="soft", **search)
        generator = model.task.build_generator([model.model], options)
        found: list[list[Translation] | None] = [None] * len(sources)
        for number, source, hypotheses in self._generated(generator, sources, None, max_tokens):
            how = level, method, threshold, None if tags is None else tags[number]
            found[number] = [self._translation(source, hypothesis, *how) for hypothesis in hypotheses[:nbest]]
        return _complete(found)

    def align(
        self,
        sources: Sequence[str],
        targets: Sequence[str],
        level: str = "words",
        method: str = "argmax",
        threshold: float | None = None,
        max_tokens: int = 4000,
    ) -> list[SentenceLinks]:
        """Links between given sentences and their translations; arguments as in :meth:`translate`.

        :raises GuidedAlignError: arguments out of range, or a sentence that is too long for the model.
        """
        _check_level(level)
        pairs = zip(*self._cut(sources, targets))
        return [
            read_links_off(pair.words() if level == "words" else pair.attention, self._model.guided, method, threshold)
            for pair in _complete(list(self._model.align_text(pairs, max_tokens)))
        ]

    def score(self, sources: Sequence[str], targets: Sequence[str], max_tokens: int = 4000) -> list[Score]:
        """Probability of each given translation.

        :raises GuidedAlignError: a sentence is too long for the model.
        """
        model = self._model
        scorer = model.task.build_generator([model.model], Namespace(score_reference=True))
        cut = self._cut(sources, targets)
        found: list[Score | None] = [None] * len(cut[0])
        for number, _, hypotheses in self._generated(scorer, *cut, max_tokens):
            scores = hypotheses[0]["positional_scores"]
            found[number] = Score(float(scores.double().sum()), len(scores))
        return _complete(found)

    def _cut(self, sources: Sequence[str], targets: Sequence[str]) -> tuple[list[PiecedSentence], list[PiecedSentence]]:
        _check_list(sources)
        _check_list(targets)
        if len(sources) != len(targets):
            raise AlignmentLengthError(
                f"expected as many translations as sentences; got {len(sources)} and {len(targets)}"
            )
        return self._cut_source(sources), self._cut_target(targets)

    def _generated(
        self,
        generator: Any,
        sources: list[PiecedSentence],
        targets: list[PiecedSentence] | None,
        max_tokens: int,
    ) -> Iterator[tuple[int, PiecedSentence, list[Any]]]:
        """(number, source, hypotheses) of each sentence that is not too long for the model, by length."""
        model = self._model
        if not sources:
            return
        dataset = model.text_dataset(sources, targets)
        for batch in model.batches(dataset, np.arange(len(sources)), max_tokens):
            found = model.task.inference_step(generator, [model.model], batch)
            for number, hypotheses in zip(batch["id"].tolist(), found):
                yield number, sources[number], hypotheses

    def _tags(self, sentences: Sequence[str], markup: str) -> list[_Tags]:
        """What carries the tags of each segment."""
        if self._cut_source.kind == "bpe":
            raise GuidedAlignError(
                f"{self._model.data}: markup: expected a model that takes text as it is; this one takes BPE pieces"
                " (@@), which text with tags is not: translate pieces without tags, and give the links to"
                " markup.transfer"
            )
        kinds = markup_of(markup)
        found = []
        for number, sentence in enumerate(sentences, start=1):
            try:
                segment = kinds.read(sentence)
            except MarkupError as error:
                raise MarkupError(error.reason, number, error.column, "sentences") from None
            found.append(_Tags(kinds, segment, places_of_words(segment.text, self._cut_source.words(segment.text))))
        return found

    def _translation(
        self,
        source: PiecedSentence,
        hypothesis: Any,
        level: str,
        method: str,
        threshold: float | None,
        tags: _Tags | None,
    ) -> Translation:
        pieces = pieces_of(hypothesis["tokens"], self._model.task.target_dictionary)
        target = PiecedSentence.of_pieces(pieces, self._cut_target.kind)
        attention = hypothesis["attention"].t()[:-1].float().cpu().numpy()
        # Without the columns of padding, which fairseq puts on the left by default.
        width = len(source.pieces) + 1
        attention = attention[:, -width:] if self._model.options.left_pad_source else attention[:, :width]
        guided = self._model.guided
        by_words = AlignedText(source, target, attention).words()
        chosen = by_words if level == "words" else attention
        links = read_links_off(chosen, guided, method, threshold)
        plain = text_of(pieces, self._cut_target.kind)
        done = Transferred(plain, ()) if tags is None else tags.carried(plain, tag_links(by_words, guided))
        return Translation(done.text, pieces, float(hypothesis["score"]), links, chosen, plain, len(done.guessed))


class _Tags(NamedTuple):
    """What carries the tags of a segment to its translations.

    :param words: ``(start, stop)`` ranges of the segment's words in its plain text.
    """

    markup: Markup
    segment: TaggedText
    words: list[tuple[int, int]]

    def carried(self, target: str, links: list[tuple[int, int, float]]) -> Transferred:
        """A translation with the tags.

        :param target: words with a space between them, as pieces spell them.
        """
        target_words = [match.span() for match in re.finditer("[^ ]+", target)]
        return carried(self.segment, target, links, self.markup, self.words, target_words)


def _check_level(level: str) -> None:
    if level not in LEVELS:
        raise GuidedAlignError(f"expected a level out of {', '.join(LEVELS)}; got {level!r}")


def _check_list(sentences: Sequence[str]) -> None:
    if isinstance(sentences, str):
        raise GuidedAlignError(f"expected a list of sentences; got a single text: {sentences[:40]!r}")


def _complete(found: list[Any]) -> list[Any]:
    missing = [number for number, one in enumerate(found) if one is None]
    if missing:
        raise GuidedAlignError(
            f"expected sentences that are not too long for the model; sentence {missing[0] + 1} is"
            f"{'' if len(missing) == 1 else f', and {len(missing) - 1} others are'}"
        )
    return found
