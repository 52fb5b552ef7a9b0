"""Our task as fairseq sets it up, without a program around it."""

from __future__ import annotations

from typing import Any

import fairseq_guided_align

fairseq_guided_align.register()

from fairseq_guided_align.training.task import (  # noqa: E402
    TranslationGuidedAlignmentConfig,
    TranslationGuidedAlignmentTask,
)


def make_task(data: object, guides: bool = True, **options: Any) -> TranslationGuidedAlignmentTask:
    """The task of a data folder from `src` to `tgt`; `guides`: as if the criterion asked for links."""
    config = TranslationGuidedAlignmentConfig()
    values = {
        "data": str(data), "source_lang": "src", "target_lang": "tgt", "max_source_positions": 1024,
        "max_target_positions": 1024, "dataset_impl": None, "train_subset": "train", "required_seq_len_multiple": 1,
        **options,
    }  # fmt: skip
    for key, value in values.items():
        setattr(config, key, value)
    task = TranslationGuidedAlignmentTask.setup_task(config)
    task._guides = guides
    return task
