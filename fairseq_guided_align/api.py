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

import os
from argparse import Namespace
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from fairseq_guided_align.aligning.ctranslate2_search import CTranslate2Search, is_converted
from fairseq_guided_align.aligning.document_translation import TranslatedDocument, Translates, translated_document
from fairseq_guided_align.aligning.extraction import AlignmentModel
from fairseq_guided_align.aligning.fairseq_search import FairseqSearch, generated
from fairseq_guided_align.aligning.link_reading import LinkReading
from fairseq_guided_align.aligning.search import Search
from fairseq_guided_align.aligning.sentences import SentenceSplitter, sentence_splitter
from fairseq_guided_align.aligning.translating import SearchWidth, SourceSegment, Translation, Translator
from fairseq_guided_align.errors import AlignmentLengthError, GuidedAlignError
from fairseq_guided_align.links.link import SentenceLinks
from fairseq_guided_align.markup.carrying import DEFAULT_QUOTES, KEEP_PAIRS
from fairseq_guided_align.markup.kinds import markup_of
from fairseq_guided_align.markup.segments import taken_apart
from fairseq_guided_align.markup.settings import STOP, TagSettings, tag_settings
from fairseq_guided_align.subwords.pieces import LEVELS
from fairseq_guided_align.subwords.settings import subword_settings
from fairseq_guided_align.subwords.text_pieces import PiecedSentence, text_cutters

__all__ = ["Model", "Score", "TranslatedDocument", "Translation", "load"]

SKIP = "skip"
TOO_LONG = (STOP, SKIP)


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
    """A model out of a checkpoint, or out of a folder that ``fairseq-guided-align ctranslate2`` made of one.

    :param checkpoint: of fairseq's, trained with this package or without; what was guided is in it. A folder for
        CTranslate2 is known by its content; its model translates, and does neither align nor score.
    :param data: the data folder; None: the one that the checkpoint was trained on.
    :param device: where the model runs, such as ``cuda:0``; None: a GPU where there is one.
    :param subwords: how pieces make up words, ``sentencepiece``, ``bpe`` (text has to be cut already) or ``words``;
        None: as the data folder says.
    :param sentencepiece_models: of source and target, instead of the data folder's.
    :param lang_pair: such as ``de-en``, for a checkpoint of several language pairs.
    :param word_split: what the words of a text are, one of ``links.words.WORD_SPLITS``, or those of source and target;
        None: as the data folder says.
    :raises GuidedAlignError: the checkpoint cannot be read, or it is unknown how text is cut.
    """
    search = _search(checkpoint, data, device, lang_pair)
    if subwords is None and "subwords" not in subword_settings(search.data) and is_converted(search.data):
        raise GuidedAlignError(
            f"{checkpoint}: does not say how text is cut into pieces; name the data folder with --data, or convert the"
            " checkpoint again"
        )
    both = (word_split, word_split) if word_split is None or isinstance(word_split, str) else word_split
    return Model(search, subwords, sentencepiece_models, both)


def _search(model: str, data: str | None, device: str | None, lang_pair: str | None) -> Search:
    """The engine that the model is for."""
    if is_converted(model):
        if lang_pair is not None:
            raise GuidedAlignError(f"{model}: a folder for CTranslate2 has one language pair; leave --lang-pair out")
        return CTranslate2Search(model, data, device)
    if os.path.isdir(model):
        raise GuidedAlignError(
            f"{model}: expected a checkpoint, such as checkpoint_best.pt, or a folder that `fairseq-guided-align"
            " ctranslate2` made; got another folder"
        )
    return FairseqSearch(model, AlignmentModel(model, data, device=device, lang_pair=lang_pair))


class Model:
    """A translation model with word alignment; made by :func:`load`."""

    def __init__(
        self,
        search: Search,
        subwords: str | None,
        sentencepiece_models: Sequence[str | None],
        word_split: Sequence[str | None] = (None, None),
    ) -> None:
        cutters = text_cutters(
            search.data,
            search.langs,
            subwords,
            sentencepiece_models,
            kind_option="subwords (--subwords)",
            word_split=word_split,
        )
        self._search = search
        self._translator = Translator(search, cutters)

    @property
    def subwords(self) -> str:
        """How the source's pieces make up words: ``sentencepiece``, ``bpe`` or ``words``."""
        return self._translator.cut_source.kind

    @property
    def languages(self) -> tuple[str, str]:
        """Source and target language, as the data folder calls them."""
        return self._search.langs

    def source_words(self, sentences: Sequence[str], markup: str | None = None) -> list[list[str]]:
        """The words of each sentence that links between words count.

        :param markup: as of :meth:`translate`.
        :raises MarkupError: the tags of a sentence do not fit together.
        """
        _check_list(sentences)
        kinds = None if markup is None else markup_of(markup)
        texts = sentences if kinds is None else [kinds.read(sentence).text for sentence in sentences]
        return [self._translator.cut_source.words(text) for text in texts]

    def translate(
        self,
        sentences: Sequence[str],
        beam: int = 5,
        nbest: int = 1,
        level: str = "words",
        method: str | None = None,
        threshold: float | None = None,
        max_tokens: int = 4000,
        markup: str | None = None,
        *,
        placeholders: Sequence[str] = (),
        pairs: str = KEEP_PAIRS,
        quotes: str = DEFAULT_QUOTES,
        on_error: str = STOP,
        protect: str = "",
        terms: Iterable[tuple[str, str]] | None = None,
        inflected_terms: bool = False,
        insert_kept: bool = False,
        split: SentenceSplitter | None = None,
        too_long: str = STOP,
        **search: Any,
    ) -> list[list[Translation]]:
        """The best translations of each sentence, in the order of the sentences.

        With ``markup``, sentences are segments with tags. The model reads them without tags, and each translation gets
        the tags, along the probabilities of links between words. What must survive translation, such as ``code`` in
        HTML, placeholders and what ``protect`` and ``terms`` name, is put right in the translation.

        A sentence without text, or with nothing but protected text, is its own translation.

        :param beam: width of the beam.
        :param nbest: translations of each sentence, at most ``beam``.
        :param level: what links join, ``words`` or ``pieces``.
        :param method: how they are read off the attention: ``tuned``, ``argmax``, ``mutual-argmax``, ``threshold``;
            None: ``tuned`` where ``extract --tune`` was run with the checkpoint, else ``argmax``.
        :param threshold: least probability of a link, for the methods ``threshold`` and ``tuned``.
        :param max_tokens: source tokens of a batch, padding included.
        :param markup: the kinds of markup in the sentences, as in ``html,placeholders=printf``; None: they are text
            without tags.
        :param placeholders: regular expressions of what is a placeholder too.
        :param pairs: ``keep``: each tag comes out once. ``split``: a pair may be repeated around parts that are not
            adjacent.
        :param quotes: ``inside`` or ``outside``: where quotation marks go that only the translation has, right around
            a span.
        :param on_error: where tags do not fit together: ``stop``; ``keep``: tags without a partner are placed alone;
            ``drop-tags``: the translation alone.
        :param protect: what must survive: names out of ``numbers``, ``urls``, ``emails``, ``placeholders``, joined by
            commas.
        :param terms: ``(source term, target term)``, which must survive too.
        :param inflected_terms: another form of a term counts as the term.
        :param insert_kept: what the markup protects, such as ``code`` and placeholders, is put in where the fewest
            links cross, if it is missing and has no links; otherwise that is only noted.
        :param split: gives the ``(start, stop)`` ranges of the sentences in a text. Each of ``sentences`` is then cut
            into them, and they are translated one by one; tags may span them. It needs ``nbest`` 1.
        :param too_long: a sentence that is too long for the model is an error (``stop``), or has no translations
            (``skip``).
        :param search: more options of the engine's search, such as ``lenpen=0.6`` of fairseq's:
            ``fairseq_search.SEARCH_OPTIONS``.
        :raises MarkupError: the tags of a sentence do not fit together; with its number as the line.
        :raises GuidedAlignError: arguments out of range, or a sentence that is too long for the model.
        """
        _check_level(level)
        if not 1 <= nbest <= beam:
            raise GuidedAlignError(f"expected 1 <= nbest <= beam; got nbest {nbest} and beam {beam}")
        if too_long not in TOO_LONG:
            raise GuidedAlignError(f"wanted one of {', '.join(TOO_LONG)}; got {too_long!r}")
        if split is not None and nbest > 1:
            raise GuidedAlignError(f"expected nbest 1 for text that is cut into sentences; got {nbest}")
        _check_list(sentences)
        settings = tag_settings(
            markup, placeholders, pairs, quotes, on_error, protect, terms, inflected_terms, insert_kept
        )
        self._check_raw_text(settings)
        segments = [
            SourceSegment(raw, *taken_apart(raw, line, settings, "sentences"), line)
            for line, raw in enumerate(sentences, start=1)
        ]
        width = SearchWidth(beam, nbest, max_tokens, search)
        found = self._translator(
            segments, settings, LinkReading.of_model(self._search.name, level, method, threshold), width, split
        )
        return found if too_long == SKIP else _complete([some or None for some in found])

    def translate_document(
        self,
        raw: str,
        kind: str,
        markup: str | None = None,
        progress: Callable[[int], object] = lambda blocks: None,
        **how: Any,
    ) -> TranslatedDocument:
        """A whole document: its text is translated sentence by sentence, all else stays as it is, byte for byte.

        In HTML, ``script``, ``style``, ``pre``, ``textarea``, ``svg``, ``math`` and elements with ``translate="no"``
        stay; the attributes ``alt``, ``title``, ``placeholder`` and ``aria-label``, and the descriptions of ``meta``,
        are translated. In XLIFF, 1.2 or 2, sources without a translation get one.

        :param kind: ``html`` or ``xliff``.
        :param markup: the kind, and with a comma ``placeholders``, as in ``html,placeholders=printf``; None: the kind.
        :param progress: is told the number of blocks of text that are done since the last time.
        :param how: more arguments of :meth:`translate`: ``beam``, ``max_tokens``, ``pairs``, ``quotes``, ``on_error``,
            ``protect``, ``terms``, ``inflected_terms``, ``placeholders`` and options of the search.
        :raises MarkupError: the document, or tags in it, are not what the kind asks for; with line and column.
        :raises GuidedAlignError: sentencex, which finds sentences, is not installed; or as :meth:`translate`.
        """
        source, target = self.languages
        kinds = [one.strip() for one in (markup or kind).split(",")]
        if kind not in kinds:
            raise GuidedAlignError(f"a document of the kind {kind} has that markup; got {markup!r}")
        how = {**how, "insert_kept": True, "split": sentence_splitter(source), "too_long": SKIP}
        plain = ",".join(one for one in kinds if one != kind) or None
        return translated_document(
            raw,
            kind,
            Translates(
                lambda texts: self.translate(texts, markup=",".join(kinds), **how),
                lambda texts: self.translate(texts, markup=plain, **how),
            ),
            markup_of(",".join(kinds), how.get("placeholders", ())),
            how.get("on_error", STOP),
            target,
            progress,
        )

    def align(
        self,
        sources: Sequence[str],
        targets: Sequence[str],
        level: str = "words",
        method: str | None = None,
        threshold: float | None = None,
        max_tokens: int = 4000,
    ) -> list[SentenceLinks]:
        """Links between given sentences and their translations; arguments as in :meth:`translate`.

        :raises GuidedAlignError: arguments out of range, or a sentence that is too long for the model.
        """
        _check_level(level)
        model = self._checkpoint("align")
        reading = LinkReading.of_model(self._search.name, level, method, threshold)
        pairs = zip(*self._cut(sources, targets))
        return [
            reading.links(pair.words() if level == "words" else pair.attention, model.guided)
            for pair in _complete(list(model.align_text(pairs, max_tokens)))
        ]

    def score(self, sources: Sequence[str], targets: Sequence[str], max_tokens: int = 4000) -> list[Score]:
        """Probability of each given translation.

        :raises GuidedAlignError: a sentence is too long for the model.
        """
        model = self._checkpoint("score")
        scorer = model.task.build_generator([model.model], Namespace(score_reference=True))
        cut = self._cut(sources, targets)
        found: list[Score | None] = [None] * len(cut[0])
        for number, hypotheses in generated(model, scorer, *cut, max_tokens):
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
        return self._translator.cut_source(sources), self._translator.cut_target(targets)

    def _checkpoint(self, what: str) -> AlignmentModel:
        """The model of fairseq's, for what only it does."""
        if isinstance(self._search, FairseqSearch):
            return self._search.model
        raise GuidedAlignError(f"{self._search.name}: {what}: expected a checkpoint; CTranslate2 only translates")

    def _check_raw_text(self, settings: TagSettings) -> None:
        """:raises GuidedAlignError: the model takes pieces, and text as it is was to be looked at."""
        markup = settings.markup
        if self._translator.cut_source.kind == "bpe" and (
            markup.reader or markup.finder or settings.finders or settings.terms
        ):
            raise GuidedAlignError(
                f"{self._search.data}: markup: expected a model that takes text as it is; this one takes BPE pieces"
                " (@@), which text with tags is not: translate pieces without tags, and give the links to"
                " markup.transfer"
            )


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
