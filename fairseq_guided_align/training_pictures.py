"""Pictures of the attention of a few sentences in TensorBoard while a model trains."""

from __future__ import annotations

import logging
import os
from typing import Any, NamedTuple, Optional, Sequence, Tuple

import torch

from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.forced_attention import forced_attentions, heads_to_read, lengths_of
from fairseq_guided_align.guided_heads import GuidedHeads
from fairseq_guided_align.links import SentenceLinks

logger = logging.getLogger(__name__)

FOLDER = "attention"
"""Of the event files below ``--tensorboard-logdir``; fairseq's own are ``train``, ``train_inner``, ``valid``."""


def parse_sentence_numbers(text: str) -> Tuple[int, ...]:
    """Sentence numbers, from 1, of ``1,5,9``.

    :raises GuidedAlignError: something else, or a number twice.
    """
    parts = [part.strip() for part in str(text).split(",")]
    numbers = [int(part) for part in parts if part.isdecimal()]
    if len(numbers) != len(parts) or 0 in numbers or len(set(numbers)) != len(numbers):
        raise GuidedAlignError(
            f"--attention-images: expected numbers of validation sentences, from 1, such as 1,5,9; got {text!r}"
        )
    return tuple(numbers)


class PicturedPairs(NamedTuple):
    """Sentence pairs of one language pair that are drawn, and the model that reads them.

    :param name: begins the names of their pictures: the split's, and the language pair's where there are several.
    :param pairs: fairseq's dataset, with or without links.
    :param dictionaries: fairseq's, of source and target.
    :param model: encoder and decoder of this pair.
    """

    name: str
    pairs: Any
    dictionaries: Sequence[Any]
    model: torch.nn.Module


class TrainingPictures:
    """Draws the same sentences of a split again and again into TensorBoard's event files.

    :param log_folder: of ``--tensorboard-logdir``.
    :param pictured: of each language pair of the split.
    :param numbers: of the sentences, from 1; the same ones of each language pair.
    :raises GuidedAlignError: there is no such sentence, its target is empty, or there is no matplotlib.
    """

    def __init__(self, log_folder: str, pictured: Sequence[PicturedPairs], numbers: Sequence[int]) -> None:
        # Before the first update, not at the first picture.
        from fairseq_guided_align import plots  # noqa: F401

        last = max(numbers)
        for one in pictured:
            if last > len(one.pairs):
                raise GuidedAlignError(
                    f"--attention-images: {one.name!r} has {len(one.pairs)} sentence pairs; got number {last}"
                )
            for number in numbers:
                # Only </s> is left of an empty target.
                if len(one.pairs[number - 1]["target"]) < 2:
                    raise GuidedAlignError(
                        f"--attention-images: sentence {number} of {one.name!r} has an empty target, so there is "
                        "nothing to draw; name others"
                    )
        self._folder = os.path.join(log_folder, FOLDER)
        self._pictured = pictured
        self._numbers = numbers
        self._writer: Optional[Any] = None

    @torch.no_grad()
    def draw(self, guided: Optional[GuidedHeads], update: int) -> None:
        """Draw the sentences with what the model attends to now; it stays in the mode in which it is.

        :param guided: the heads to read; None: those that decoding would read.
        :param update: updates that are done.
        """
        from fairseq import utils
        from fairseq.logging.progress_bar import SummaryWriter

        from fairseq_guided_align.plots import figure_pixels

        if self._writer is None:
            self._writer = SummaryWriter(self._folder)
        for one in self._pictured:
            model = one.model
            device = next(model.parameters()).device
            batch = one.pairs.collater([one.pairs[number - 1] for number in self._numbers])
            if device.type == "cuda":
                batch = utils.move_to_cuda(batch, device)
            training = model.training
            model.eval()
            try:
                lengths = lengths_of(one.pairs, [number - 1 for number in self._numbers])
                padding = one.dictionaries[0].pad()
                attentions = forced_attentions(model, guided or heads_to_read(model), batch, padding, lengths)
            finally:
                model.train(training)
            for index, attention in zip(batch["id"].tolist(), attentions):
                figure = _figure(one, int(index), attention, update)
                self._writer.add_image(
                    f"{one.name}/sentence_{index + 1}", figure_pixels(figure), update, dataformats="HWC"
                )
        self._writer.flush()


def _figure(pictured: PicturedPairs, index: int, attention: Any, update: int) -> Any:
    from fairseq_guided_align.plots import Panel, attention_figure

    item = pictured.pairs[index]
    gold: Optional[SentenceLinks] = item.get("links")
    source, target = (
        [dictionary[token] for token in item[side].tolist()[:-1]]
        for side, dictionary in zip(("source", "target"), pictured.dictionaries)
    )
    return attention_figure([Panel(attention)], [*source, "</s>"], target, gold, f"update {update}")


def tensorboard_is_there() -> bool:
    """Whether fairseq can write for TensorBoard; says so once where it cannot."""
    from fairseq.logging.progress_bar import SummaryWriter

    if SummaryWriter is None:
        logger.warning("--attention-images: no pictures, because TensorBoard is not there; pip install tensorboardX")
    return SummaryWriter is not None
