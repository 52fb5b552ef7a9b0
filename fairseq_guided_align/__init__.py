"""Guided-alignment training for fairseq.

Stock fairseq loads this package with ``--user-dir``; importing it from a running fairseq registers the tasks
``translation_guided_alignment`` and ``multilingual_translation_guided_alignment`` and the criterion
``guided_alignment_ce``. Imported on its own, for instance by the text-only commands, it stays light: neither torch
nor fairseq is imported until :func:`register` is called.
"""

from __future__ import annotations

import sys

__version__ = "0.1.0"

_registered = False


def register() -> None:
    """Import fairseq and register the tasks and the criterion with it; calling it again does nothing.

    :raises ImportError: no usable fairseq; the message says what to install.
    """
    global _registered
    if _registered:
        return
    from fairseq_guided_align import compat
    from fairseq_guided_align.checkpoints import files as checkpoint_files

    compat.require_fairseq()
    compat.allow_checkpoint_types()
    compat.avoid_encoder_fast_path()
    compat.read_bare_replace_unk()
    compat.keep_last_batch()
    compat.train_in_bfloat16_without_a_tpu()
    compat.remember_the_plateau()
    compat.hand_checkpoints_to_all_workers()
    checkpoint_files.copy_checkpoints_whole()
    from fairseq_guided_align.training import folder_mends

    folder_mends.know_the_languages()
    folder_mends.know_the_validation_sets()
    folder_mends.refuse_empty_texts()
    # these register themselves with fairseq
    from fairseq_guided_align.training import (
        criterion,  # noqa: F401
        multilingual_task,  # noqa: F401
        task,  # noqa: F401
    )
    from fairseq_guided_align.training.help_options import show_options_in_help

    show_options_in_help()

    _registered = True


if "fairseq" in sys.modules:
    register()
