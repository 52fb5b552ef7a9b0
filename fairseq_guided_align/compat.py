"""What differs between versions of fairseq, torch and numpy; each difference says which version ends it."""

from __future__ import annotations

import argparse
import functools
import sys
from typing import Any


def require_fairseq() -> None:
    """Make sure that a usable fairseq can be imported.

    :raises ImportError: it cannot; one sentence says what to install.
    """
    try:
        import fairseq
        from fairseq.criterions import FairseqCriterion  # noqa: F401
        from fairseq.logging import metrics

        if not hasattr(metrics, "log_scalar_sum"):
            raise ImportError(f"fairseq {getattr(fairseq, '__version__', '?')} is too old")
    except Exception as error:
        wanted = "fairseq==0.12.2' with pip below 24.1" if sys.version_info < (3, 11) else "ve-fairseq==0.12.3'"
        raise ImportError(
            f"fairseq_guided_align needs a working fairseq, 0.12.2 or later, and importing it failed "
            f"({type(error).__name__}: {error}); on Python {sys.version_info[0]}.{sys.version_info[1]} install it "
            f"with: pip install 'fairseq-guided-align[fairseq]' (that is 'torch' and '{wanted})"
        ) from error


def allow_checkpoint_types() -> None:
    """Let ``torch.load`` read fairseq's checkpoints without ever running other code that a file may hold.

    torch 2.6 made ``weights_only=True`` the default, which refuses every class that is not allow-listed. No fairseq
    release up to 0.12.3 allow-lists the ones its checkpoints hold; this does, and nothing more.
    """
    import torch

    add = getattr(torch.serialization, "add_safe_globals", None)
    if add is not None:
        add(_checkpoint_types())


def _checkpoint_types() -> list[Any]:
    """Types found in checkpoints of fairseq 0.12: the model's arguments, and figures that numpy computed.

    Also the placeholder that stands for tensors while the first worker sends a checkpoint to the others.
    """
    import numpy as np
    from fairseq.distributed.utils import _TensorPlaceholder

    multiarray = getattr(np, "_core", None) or np.core
    return [
        argparse.Namespace,
        multiarray.multiarray.scalar,
        np.dtype,
        type(np.dtype(np.float64)),
        type(np.dtype(np.float32)),
        type(np.dtype(np.int64)),
        _TensorPlaceholder,
    ]


def avoid_encoder_fast_path() -> None:
    """Keep fairseq 0.12.2's encoder off torch's fused inference layer, which torch 2 refuses ("Mask Type should be
    defined") as soon as a batch is padded.

    Its layers leave that path once they have been trained, so every new layer is told that it has been.
    ve-fairseq 0.12.3 has no such path.
    """
    from fairseq.modules.transformer_layer import TransformerEncoderLayerBase

    construct = TransformerEncoderLayerBase.__init__
    if "ever_training" not in construct.__code__.co_names:
        return

    @functools.wraps(construct)
    def constructed(self: Any, *args: Any, **kwargs: Any) -> None:
        construct(self, *args, **kwargs)
        self.ever_training = True

    load = TransformerEncoderLayerBase._load_from_state_dict

    @functools.wraps(load)
    def loaded(self: Any, *args: Any, **kwargs: Any) -> None:
        load(self, *args, **kwargs)
        # That path's copies of the weights, which training leaves at zero and loading does not.
        for one in ("in_proj", "out_proj", "fc1", "fc2"):
            for part in ("weight", "bias"):
                getattr(self, f"{one}_{part}").data.zero_()

    TransformerEncoderLayerBase.__init__ = constructed
    TransformerEncoderLayerBase._load_from_state_dict = loaded


def read_bare_replace_unk() -> None:
    """Let ``--replace-unk`` without a dictionary copy source words, as its help says.

    fairseq up to 0.12.3 takes the option's own placeholder for the name of a dictionary file and stops.
    """
    from fairseq import utils

    load = utils.load_align_dict

    @functools.wraps(load)
    def loaded(replace_unk: Any) -> Any:
        return load("" if replace_unk == "@@ " else replace_unk)

    utils.load_align_dict = loaded


def keep_last_batch() -> None:
    """Keep the sentences that do not fill a batch to ``--required-batch-size-multiple``, as fairseq 0.12.2 does.

    fairseq 0.12.3 leaves the last batch out without a word when its size is no multiple of 8: ``fairseq-generate``
    and ``fairseq-validate`` lose the longest sentences of a text, and all of one with fewer than 8.
    """
    import numpy as np
    from fairseq.data import data_utils

    cut = data_utils.batch_by_size

    @functools.wraps(cut)
    def batches(indices: Any, *args: Any, **kwargs: Any) -> Any:
        indices = indices if isinstance(indices, np.ndarray) else np.fromiter(indices, dtype=np.int64, count=-1)
        made = cut(indices, *args, **kwargs)
        if (args[5] if len(args) > 5 else kwargs.get("fixed_shapes")) is not None:
            return made
        rest = indices[sum(len(batch) for batch in made) :]
        return [*made, rest] if len(rest) else made

    data_utils.batch_by_size = batches


def train_in_bfloat16_without_a_tpu() -> None:
    """Let ``fairseq-train --bf16`` run on a GPU or a CPU, as ``fairseq-hydra-train`` does.

    fairseq up to 0.12.3 takes the option for ``--tpu`` and stops where torch_xla is missing (its issue 4696).
    """
    from fairseq import options, utils

    parse = options.parse_args_and_arch

    @functools.wraps(parse)
    def parsed(parser: Any, input_args: Any = None, *args: Any, **kwargs: Any) -> Any:
        found = parse(parser, input_args, *args, **kwargs)
        chosen = found[0] if isinstance(found, tuple) else found
        given = sys.argv[1:] if input_args is None else input_args
        if utils.xm is None and "--tpu" not in given:
            chosen.tpu = False
        return found

    options.parse_args_and_arch = parsed


def remember_the_plateau() -> None:
    """Let ``--lr-scheduler reduce_lr_on_plateau`` remember in checkpoints for how long nothing has become better.

    fairseq up to 0.12.3 keeps the best figure only, so each resumed run counts its patience from 0.
    """
    from fairseq.optim.lr_scheduler.reduce_lr_on_plateau import ReduceLROnPlateauLRSchedule as Schedule

    counters = ("num_bad_epochs", "cooldown_counter")
    state_dict, load_state_dict = Schedule.state_dict, Schedule.load_state_dict

    @functools.wraps(state_dict)
    def with_counters(self: Any) -> Any:
        return {**state_dict(self), **{name: getattr(self.lr_scheduler, name) for name in counters}}

    @functools.wraps(load_state_dict)
    def load_counters(self: Any, state: Any) -> None:
        load_state_dict(self, state)
        for name in counters:
            if name in state:
                setattr(self.lr_scheduler, name, state[name])

    Schedule.state_dict, Schedule.load_state_dict = with_counters, load_counters


def hand_checkpoints_to_all_workers() -> None:
    """Let a training of several workers go on from its checkpoint, also with torch 2.6 and later.

    The first worker reads it and hands all of it to the others. torch refuses the settings in it, objects of
    omegaconf's, which no worker looks at: each has its own.
    """
    from fairseq.distributed import utils

    broadcast = utils._broadcast_object_slow

    @functools.wraps(broadcast)
    def without_settings(obj: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(obj, dict) and "cfg" in obj:
            obj = {name: one for name, one in obj.items() if name != "cfg"}
        return broadcast(obj, *args, **kwargs)

    utils._broadcast_object_slow = without_settings
