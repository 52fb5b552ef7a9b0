"""The task ``translation_guided_alignment``: stock translation, with links that are found, checked and counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from fairseq import utils
from fairseq.tasks import register_task
from fairseq.tasks.translation import TranslationConfig, TranslationTask

from fairseq_guided_align.corpus.languages import folder_pair
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.links.alignment_files import check_alignment_files, parse_alignment_files
from fairseq_guided_align.training.guided_task import GuidedTask
from fairseq_guided_align.training.task_options import GuidedTaskConfig


@dataclass
class TranslationGuidedAlignmentConfig(GuidedTaskConfig, TranslationConfig):
    """Options of ``--task translation_guided_alignment``."""


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
            # fairseq's default, -1, is meant as 1 but repeats the first of several shards -1 times.
            cfg.upsample_primary = 1
        # The parent would read fairseq's own alignments a second time.
        cfg.load_alignments = False
        super().__init__(cfg, src_dict, tgt_dict)
        self.set_up_guidance(cfg)
        self._files = parse_alignment_files(cfg.alignment_files)

    @classmethod
    def setup_task(cls, cfg: TranslationGuidedAlignmentConfig, **kwargs: Any) -> Any:
        """The task; where a single language is given, the data folder tells the missing one.

        :raises GuidedAlignError: the data folder has no text of the language that was given, or of several with it.
        """
        if (cfg.source_lang is None) != (cfg.target_lang is None):
            pair = folder_pair(cfg.data, cfg.source_lang, cfg.target_lang)
            if pair is not None:
                cfg.source_lang, cfg.target_lang = pair.source, pair.target
        return super().setup_task(cfg, **kwargs)

    def build_model(self, cfg: Any, from_checkpoint: bool = False) -> Any:
        """The model of one language pair."""
        if str(getattr(cfg, "arch", "")).startswith("multilingual_transformer"):
            raise GuidedAlignError(
                f"--arch {cfg.arch} is a model of several language pairs; use --task "
                "multilingual_translation_guided_alignment with --lang-pairs"
            )
        return super().build_model(cfg, from_checkpoint)

    def valid_step(self, sample: Any, model: Any, criterion: Any) -> Any:
        """Losses of a batch, and with ``--eval-aer`` the counts of its links."""
        return super().valid_step(sample, model, self.counting(criterion))

    def load_split(self, split: str, epoch: int, **kwargs: Any) -> None:
        """A split of one data folder, with its links."""
        paths = utils.split_paths(self.cfg.data)
        if self._guides:
            check_alignment_files(self._files, paths, self.cfg.train_subset)
        TranslationTask.load_dataset(self, split, epoch=epoch, **kwargs)
        pairs = self.datasets[split]
        if pairs.tgt is None:
            return
        data_dir = paths[(epoch - 1) % len(paths)] if split == self.cfg.train_subset else paths[0]
        links = self.pair_links(self.cfg.source_lang, self.cfg.target_lang, self._files, self.cfg.alignment_inverted)
        self.datasets[split] = self.put_links_beside(pairs, links, split, data_dir, split)
