"""fairseq's beam search over a checkpoint's model, with the attention of its guided heads."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from fairseq_guided_align.aligning.extraction import AlignmentModel
from fairseq_guided_align.aligning.search import Hypothesis, check_options
from fairseq_guided_align.subwords.special_tokens import pieces_of
from fairseq_guided_align.subwords.text_pieces import PiecedSentence

SEARCH_OPTIONS = (
    "diverse_beam_groups", "diverse_beam_strength", "diversity_rate", "lenpen", "match_source_len", "max_len_a",
    "max_len_b", "min_len", "no_repeat_ngram_size", "prefix_allowed_tokens_fn", "sampling", "sampling_topk",
    "sampling_topp", "temperature", "unkpen", "unnormalized",
)  # fmt: skip
"""What fairseq's search reads besides the width of the beam and the number of hypotheses."""


def generated(
    model: AlignmentModel,
    generator: Any,
    sources: Sequence[PiecedSentence],
    targets: Sequence[PiecedSentence] | None,
    max_tokens: int,
) -> Iterator[tuple[int, list[Any]]]:
    """(number, fairseq's hypotheses) of each sentence that is not too long for the model, by length.

    :param generator: of the model's task.
    :param targets: for scoring.
    """
    if not sources:
        return
    dataset = model.text_dataset(sources, targets)
    for batch in model.batches(dataset, np.arange(len(sources)), max_tokens):
        found = model.task.inference_step(generator, [model.model], batch)
        yield from zip(batch["id"].tolist(), found)


class FairseqSearch:
    """A ``search.Search`` with a checkpoint's model."""

    def __init__(self, name: str, model: AlignmentModel) -> None:
        self.name = name
        self.model = model
        self.guided = model.guided
        self.data = model.data
        self.langs = (model.options.source_lang, model.options.target_lang)

    def __call__(
        self, sources: Sequence[PiecedSentence], beam: int, nbest: int, max_tokens: int, options: Mapping[str, Any]
    ) -> Iterator[tuple[int, list[Hypothesis]]]:
        check_options(options, SEARCH_OPTIONS, "fairseq's")
        chosen = Namespace(beam=beam, nbest=nbest, print_alignment="soft", **options)
        generator = self.model.task.build_generator([self.model.model], chosen)
        for number, found in generated(self.model, generator, sources, None, max_tokens):
            yield number, [self._hypothesis(sources[number], one) for one in found[:nbest]]

    def _hypothesis(self, source: PiecedSentence, found: Any) -> Hypothesis:
        pieces = pieces_of(found["tokens"], self.model.task.target_dictionary)
        attention = found["attention"].t()[:-1].float().cpu().numpy()
        # Without the columns of padding, which fairseq puts on the left by default.
        width = len(source.pieces) + 1
        attention = attention[:, -width:] if self.model.options.left_pad_source else attention[:, :width]
        return Hypothesis(pieces, float(found["score"]), attention)
