"""Pictures of the attention of a few sentences in TensorBoard while a model trains."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from fairseq import utils
from fairseq.distributed.utils import get_data_parallel_rank
from fairseq.logging import progress_bar

from fairseq_guided_align.attention.forced import forced_attentions, heads_to_read, lengths_of
from fairseq_guided_align.attention.guided_heads import GuidedHeads
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.files.arguments import sentence_numbers
from fairseq_guided_align.subwords.special_tokens import pieces_of

logger = logging.getLogger(__name__)

FOLDER = "attention"
"""Of the event files below ``--tensorboard-logdir``; fairseq's own are ``train``, ``train_inner``, ``valid``."""


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


class AttentionImages:
    """``--attention-images`` of a training.

    :param options: the task's.
    :raises GuidedAlignError: not sentence numbers, or an interval below 1.
    """

    def __init__(self, options: Any) -> None:
        self._options = options
        self._numbers = sentence_numbers(options.attention_images, "--attention-images")
        self._interval = options.attention_images_interval
        if self._interval < 1:
            raise GuidedAlignError(f"--attention-images-interval: expected at least 1; got {self._interval}")
        self._seen: int | None = None
        self._pictures: TrainingPictures | None = None

    def before_update(self, task: Any, model: Any, guided: GuidedHeads | None, update: int) -> None:
        """Draw if it is time; called with every batch of an update, of which the first counts.

        :param task: ours.
        :param model: as the trainer wraps it.
        :param guided: the heads to read; None: those that decoding would read.
        :param update: updates that are done.
        :raises GuidedAlignError: at the first update: nothing can be drawn.
        """
        if update == self._seen:
            return
        if self._seen is None:
            self._pictures = self._prepared(task, model)
        self._seen = update
        if self._pictures is not None and update % self._interval == 0:
            self._pictures.draw(guided, update)

    def _prepared(self, task: Any, model: Any) -> TrainingPictures | None:
        """Every worker refuses, and the first one draws."""
        if not self._options.tensorboard_logdir:
            raise GuidedAlignError("--attention-images needs --tensorboard-logdir, where the pictures go")
        if type(model).__name__ == "FullyShardedDataParallel":
            raise GuidedAlignError(
                "--attention-images: with --ddp-backend fully_sharded no worker has the whole model to draw from; "
                "draw checkpoints with fairseq-guided-align plot"
            )
        split = next((name for name in task.datasets if name != self._options.train_subset), None)
        if split is None:
            raise GuidedAlignError("--attention-images needs a validation set; got --disable-validation")
        alone = not (torch.distributed.is_available() and torch.distributed.is_initialized())
        if not (alone or get_data_parallel_rank() == 0):
            return None
        if progress_bar.SummaryWriter is None:
            logger.warning(
                "--attention-images: no pictures, because TensorBoard is not there; pip install tensorboardX"
            )
            return None
        return TrainingPictures(self._options.tensorboard_logdir, task.pictured(split), self._numbers)


class TrainingPictures:
    """Draws the same sentences of a split again and again into TensorBoard's event files.

    :param log_folder: of ``--tensorboard-logdir``.
    :param pictured: of each language pair of the split.
    :param numbers: of the sentences, from 1; the same ones of each language pair.
    :raises GuidedAlignError: there is no such sentence, its target is empty, or there is no matplotlib.
    """

    def __init__(self, log_folder: str, pictured: Sequence[PicturedPairs], numbers: Sequence[int]) -> None:
        # A missing matplotlib shows before the first update, not at the first picture.
        from fairseq_guided_align.pictures import plots  # noqa: F401

        last = max(numbers)
        for drawn in pictured:
            if last > len(drawn.pairs):
                raise GuidedAlignError(
                    f"--attention-images: {drawn.name!r} has {len(drawn.pairs)} sentence pairs; got number {last}"
                )
            for number in numbers:
                # Only </s> is left of an empty target.
                if len(drawn.pairs[number - 1]["target"]) < 2:
                    raise GuidedAlignError(
                        f"--attention-images: sentence {number} of {drawn.name!r} has an empty target, so there is "
                        "nothing to draw; name others"
                    )
        self._folder = os.path.join(log_folder, FOLDER)
        self._pictured = pictured
        self._numbers = numbers
        self._writer: Any | None = None

    @torch.no_grad()
    def draw(self, guided: GuidedHeads | None, update: int) -> None:
        """Draw the sentences with what the model attends to now; the model stays in its mode.

        :param guided: the heads to read; None: those that decoding would read.
        :param update: updates that are done.
        """
        if self._writer is None:
            self._writer = progress_bar.SummaryWriter(self._folder)
        for drawn in self._pictured:
            model = drawn.model
            device = next(model.parameters()).device
            batch = drawn.pairs.collater([drawn.pairs[number - 1] for number in self._numbers])
            if device.type == "cuda":
                batch = utils.move_to_cuda(batch, device)
            padding, training = drawn.dictionaries[0].pad(), model.training
            model.eval()
            try:
                lengths = lengths_of(drawn.pairs, [number - 1 for number in self._numbers])
                attentions = forced_attentions(model, guided or heads_to_read(model), batch, padding, lengths)
            finally:
                model.train(training)
            for index, attention in zip(batch["id"].tolist(), attentions):
                name = f"{drawn.name}/sentence_{index + 1}"
                self._writer.add_image(name, _pixels(drawn, index, attention, update), update, dataformats="HWC")
        self._writer.flush()


def _pixels(drawn: PicturedPairs, index: int, attention: Any, update: int) -> Any:
    from fairseq_guided_align.pictures.plots import Panel, attention_figure, figure_pixels

    item = drawn.pairs[index]
    source, target = (
        pieces_of(item[side], dictionary) for side, dictionary in zip(("source", "target"), drawn.dictionaries)
    )
    panels, gold = [Panel(attention)], item.get("links")
    return figure_pixels(attention_figure(panels, [*source, "</s>"], target, gold, f"update {update}"))
