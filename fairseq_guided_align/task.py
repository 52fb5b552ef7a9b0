"""The task ``translation_guided_alignment``: stock translation, with links that are found, checked and counted."""

from dataclasses import dataclass, field
from typing import Any, Optional

import numpy as np
import torch
from fairseq import utils
from fairseq.distributed.utils import get_data_parallel_rank
from fairseq.tasks import register_task
from fairseq.tasks.translation import TranslationConfig, TranslationTask
from omegaconf import II

from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.forced_attention import heads_to_read
from fairseq_guided_align.guided_task import GuidedTask, GuidedTaskConfig
from fairseq_guided_align.link_sources import parse_alignment_files
from fairseq_guided_align.training_pictures import (
    TrainingPictures,
    parse_sentence_numbers,
    tensorboard_is_there,
)


@dataclass
class TranslationGuidedAlignmentConfig(GuidedTaskConfig, TranslationConfig):
    """Options of ``--task translation_guided_alignment``."""

    attention_images: Optional[str] = field(
        default=None,
        metadata={
            "help": "numbers of sentence pairs of the first validation set, from 1, such as 1,5,9: while the model "
            "trains, TensorBoard (--tensorboard-logdir) gets pictures of the attention of the guided heads in them"
        },
    )
    attention_images_interval: int = field(
        default=500, metadata={"help": "updates from one picture of --attention-images to the next"}
    )
    tensorboard_logdir: Optional[str] = II("common.tensorboard_logdir")


@register_task("translation_guided_alignment", dataclass=TranslationGuidedAlignmentConfig)
class TranslationGuidedAlignmentTask(GuidedTask, TranslationTask):
    """Translation with guided alignment.

    Batches carry links (see ``batching``), the choice of guided heads is checked when training starts, and decoding
    reads the heads that were guided.
    """

    def __init__(self, cfg: TranslationGuidedAlignmentConfig, src_dict: Any, tgt_dict: Any) -> None:
        if cfg.num_batch_buckets > 0 and not hasattr(np, "compat"):
            raise GuidedAlignError(
                f"--num-batch-buckets: fairseq's bucketing needs numpy.compat, which numpy {np.__version__} no longer "
                "has; install numpy below 2, or leave the option out"
            )
        if cfg.upsample_primary < 1:
            # fairseq's default, -1, is meant as 1 but repeats the first of several shards -1 times
            cfg.upsample_primary = 1
        # the parent would read fairseq's own alignments a second time
        cfg.load_alignments = False
        super().__init__(cfg, src_dict, tgt_dict)
        self.set_up_guidance(cfg)
        self._files = parse_alignment_files(cfg.alignment_files)
        self._pictures: Optional[TrainingPictures] = None
        self._picture_asked_for: Optional[int] = None

    def build_model(self, cfg: Any, from_checkpoint: bool = False) -> Any:
        """The model of one language pair."""
        if str(getattr(cfg, "arch", "")).startswith("multilingual_transformer"):
            raise GuidedAlignError(
                f"--arch {cfg.arch} is a model of several language pairs; use --task "
                "multilingual_translation_guided_alignment with --lang-pairs"
            )
        return super().build_model(cfg, from_checkpoint)

    def build_criterion(self, cfg: Any, *args: Any, **kwargs: Any) -> Any:
        """The criterion, with the options of the pictures checked as well."""
        criterion = super().build_criterion(cfg, *args, **kwargs)
        if self.cfg.attention_images:
            parse_sentence_numbers(self.cfg.attention_images)
            if self.cfg.attention_images_interval < 1:
                raise GuidedAlignError(
                    f"--attention-images-interval: expected at least 1; got {self.cfg.attention_images_interval}"
                )
            self.check_readable("--attention-images")
        return criterion

    def train_step(
        self, sample: Any, model: Any, criterion: Any, optimizer: Any, update_num: int, ignore_grad: bool = False
    ) -> Any:
        """Forward and backward pass of a batch, after a picture where it is time for one."""
        if self.cfg.attention_images and update_num != self._picture_asked_for:
            self._draw_attention(model, criterion, update_num)
            self._picture_asked_for = update_num
        return super().train_step(sample, model, criterion, optimizer, update_num, ignore_grad)

    def _draw_attention(self, model: Any, criterion: Any, update_num: int) -> None:
        if self._picture_asked_for is None:
            self._prepare_pictures(model)
        if self._pictures is not None and update_num % self.cfg.attention_images_interval == 0:
            guided = criterion.guided_heads if self._guides else heads_to_read(model)
            self._pictures.draw(self._model, guided, update_num)

    def _prepare_pictures(self, model: Any) -> None:
        """Refusals are every worker's, pictures the first one's."""
        if not self.cfg.tensorboard_logdir:
            raise GuidedAlignError("--attention-images needs --tensorboard-logdir, where the pictures go")
        if type(model).__name__ == "FullyShardedDataParallel":
            raise GuidedAlignError(
                "--attention-images: with --ddp-backend fully_sharded no worker has the whole model to draw from; "
                "draw checkpoints with fairseq-guided-align plot"
            )
        split = next((name for name in self.datasets if name != self.cfg.train_subset), None)
        if split is None:
            raise GuidedAlignError("--attention-images needs a validation set; got --disable-validation")
        alone = not (torch.distributed.is_available() and torch.distributed.is_initialized())
        if (alone or get_data_parallel_rank() == 0) and tensorboard_is_there():
            self._pictures = TrainingPictures(
                self.cfg.tensorboard_logdir,
                split,
                self.datasets[split],
                parse_sentence_numbers(self.cfg.attention_images),
                (self.source_dictionary, self.target_dictionary),
            )

    def valid_step(self, sample: Any, model: Any, criterion: Any) -> Any:
        """Losses of a batch, and with ``--eval-aer`` the counts of its links."""
        return super().valid_step(sample, model, self.counting(criterion))

    def load_dataset(self, split: str, epoch: int = 1, combine: bool = False, **kwargs: Any) -> None:
        """Load a split and its links, and log how much of it they cover.

        :raises GuidedAlignError: no links, another number of lines, or links of the wrong direction.
        """
        super().load_dataset(split, epoch=epoch, combine=combine, **kwargs)
        pairs = self.datasets[split]
        if pairs.tgt is None:
            return
        paths = utils.split_paths(self.cfg.data)
        data_dir = paths[(epoch - 1) % len(paths)] if split == self.cfg.train_subset else paths[0]
        links = self.pair_links(self.cfg.source_lang, self.cfg.target_lang, self._files, self.cfg.alignment_inverted)
        found = links.beside(pairs, split, data_dir, split)
        if found is None:
            self.check_aer_can_be_measured(split, split)
        else:
            self.datasets[split], self.link_coverage[split] = found
