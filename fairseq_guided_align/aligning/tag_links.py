"""Links that a trained model gives for carrying tags: the probabilities of its guided attention."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import tee

import numpy as np

from fairseq_guided_align.aligning.extraction import AlignmentModel
from fairseq_guided_align.attention.guided_heads import GuidedHeads
from fairseq_guided_align.attention.link_methods import read_links_off
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.markup.segment_links import Link, SegmentLinks, SegmentTexts
from fairseq_guided_align.subwords.text_pieces import PiecedSentence, TextCutter

LIKELY = 0.3
"""Least probability of the link of a target word: one that looks everywhere says nothing of its tags."""
LEFT_OUT = 0.1
"""Least probability of the link of a source word that no target word chooses."""


def tag_links(attention: np.ndarray, guided: GuidedHeads) -> list[Link]:
    """Links between words with their probabilities, as ``markup.carrying.carried`` takes them.

    Each target word is linked to its likeliest source word. A source word that is thus left out is linked to the target
    word that looks at it most, so that tags around it need no guess. More links, such as all above a threshold, stretch
    the spans: a word that looks at two neighbours would belong to the tags of both.

    :param attention: (target words, source words + 1) probabilities; the last column is ``</s>``'s.
    :param guided: says what the column of ``</s>`` means.
    :return: ``(source, target, probability)``, of at least :data:`LIKELY` or, for a word left out, :data:`LEFT_OUT`.
    """
    chosen = [pair for pair in read_links_off(attention, guided).pairs() if attention[pair[::-1]] >= LIKELY]
    linked = {source for source, _ in chosen}
    for source in range(attention.shape[1] - 1) if len(attention) else ():
        target = int(attention[:, source].argmax())
        if source not in linked and attention[target, source] >= LEFT_OUT:
            chosen.append((source, target))
    return [(source, target, float(attention[target, source])) for source, target in chosen]


class ModelLinker:
    """Links of segments and their translations, by a model; a ``markup.tag_files.Linker``.

    :param cutters: of source and target text.
    :raises GuidedAlignError: when called: a line cannot be cut as the model's text was.
    """

    def __init__(self, model: AlignmentModel, cutters: tuple[TextCutter, TextCutter], max_tokens: int = 4000) -> None:
        self._model = model
        self._cutters = cutters
        self._max_tokens = max_tokens
        self.too_long = 0
        """Segments too long for the model, which have no links."""

    def __call__(self, texts: Iterator[SegmentTexts]) -> Iterator[SegmentLinks]:
        texts, to_align = tee(texts)
        aligned = self._model.align_text(map(self._cut, to_align), self._max_tokens)
        cut_source, cut_target = self._cutters
        for text, pair in zip(texts, aligned):
            self.too_long += pair is None
            links = [] if pair is None else tag_links(pair.words(), self._model.guided)
            yield SegmentLinks(links, cut_source.words(text.source), cut_target.words(text.target))

    def _cut(self, texts: SegmentTexts) -> tuple[PiecedSentence, PiecedSentence]:
        cut_source, cut_target = self._cutters
        try:
            return cut_source([texts.source])[0], cut_target([texts.target])[0]
        except GuidedAlignError as error:
            raise type(error)(f"line {texts.line}: {error}") from error
