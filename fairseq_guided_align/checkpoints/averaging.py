"""The average of several checkpoints of a training. Mostly, it translates and aligns better than each of them."""

from __future__ import annotations

import os
import pickle
import re
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import fairseq_guided_align
from fairseq_guided_align.checkpoints.files import raise_unreadable, read_light, refuse_if_cut_off, updates_of
from fairseq_guided_align.checkpoints.fingerprints import KEY as DICTIONARIES
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.files.atomic import atomic_file
from fairseq_guided_align.files.byte_lines import PathLike
from fairseq_guided_align.files.progress import say

CHECKPOINT_NAMES = {"updates": re.compile(r"checkpoint_\d+_(\d+)\.pt"), "epochs": re.compile(r"checkpoint(\d+)\.pt")}
"""Names of the checkpoints that fairseq writes every so many updates, and after each epoch; a later one has a larger
number.
"""

MODEL_SETTINGS = (
    "task", "_name", "arch", "source_lang", "target_lang", "lang_pairs", "encoder_langtok", "decoder_langtok",
    "left_pad_source", "left_pad_target", "activation_fn", "encoder_attention_heads", "decoder_attention_heads",
    "encoder_normalize_before", "decoder_normalize_before", "encoder_learned_pos", "decoder_learned_pos",
    "no_token_positional_embeddings", "no_scale_embedding", "layernorm_embedding", "cross_self_attention",
    "no_cross_attention", "encoder_layers_to_keep", "decoder_layers_to_keep", "share_decoder_input_output_embed",
    "share_all_embeddings", "share_encoders", "share_decoders", "alignment_layer", "alignment_heads",
    "guided_alignment_layers", "guided_alignment_heads", "guided_alignment_reduction", "guided_alignment_position",
    "guided_alignment_unlinked", DICTIONARIES,
)  # fmt: skip
"""Settings that decide what a model computes, and which links are read off it."""

AVERAGED = "averaged_checkpoints"
"""In the result's extra state: the names of the files."""


def last_checkpoints(folder: PathLike, count: int, kind: str | None = None) -> list[str]:
    """The last checkpoints that fairseq wrote into a folder, oldest first.

    :param count: how many.
    :param kind: one of :data:`CHECKPOINT_NAMES`; None: the one that the folder has.
    :raises GuidedAlignError: there are fewer, or of both kinds and none was chosen.
    """
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise GuidedAlignError(f"{folder}: expected a folder with checkpoints: {error.strerror}") from error
    found: dict[str, list[tuple[int, str]]] = {}
    for name in names:
        for one, pattern in CHECKPOINT_NAMES.items():
            match = pattern.fullmatch(name)
            if match:
                found.setdefault(one, []).append((int(match[1]), name))
    if kind is None:
        if len(found) > 1:
            raise GuidedAlignError(
                f"{folder}: has checkpoints by updates ({len(found['updates'])}) and by epochs "
                f"({len(found['epochs'])}); choose with --by"
            )
        kind = next(iter(found), "updates")
    chosen = sorted(found.get(kind, []))[-count:]
    if len(chosen) < count:
        raise GuidedAlignError(
            f"{folder}: expected {count} checkpoints by {kind}; got {len(chosen)}"
            + (f" ({', '.join(name for _, name in chosen)})" if chosen else "")
        )
    return [os.path.join(folder, name) for _, name in chosen]


def average_checkpoints(paths: Sequence[PathLike], output: PathLike) -> None:
    """Write a checkpoint whose weights are the mean of those of others, and say what was averaged.

    All else, such as the choice of guided heads, is that of the checkpoint with the most updates. The optimizer's state
    is left out. Sums are float64. Weights of half precision become float32, which their mean needs.

    :param paths: at least two, of one model.
    :param output: file to write.
    :raises GuidedAlignError: a checkpoint cannot be read, is of another model, or has weights that are not finite.
    """
    fairseq_guided_align.register()
    real = [os.path.realpath(path) for path in paths]
    if len(real) < 2:
        raise GuidedAlignError(f"expected at least two checkpoints to average; got {len(real)}")
    for path, one in zip(paths, real):
        if real.count(one) > 1:
            raise GuidedAlignError(f"{path}: named twice; expected different checkpoints to average")
    if os.path.realpath(output) in real:
        raise GuidedAlignError(f"--output {output}: is one of the checkpoints to average; name another file")
    newest: tuple[int, dict[str, Any]] = (-1, {})
    first: dict[str, Any] = {}
    sums: dict[str, Tensor] = {}
    for path in paths:
        state = _read(path)
        say(f"averaging {path} ({updates_of(state)} updates)")
        if first:
            _check_same_model(path, state, paths[0], first)
        first = first or state
        if updates_of(state) > newest[0]:
            newest = updates_of(state), state
        for name, weight in state["model"].items():
            if weight.is_floating_point():
                _check_finite(path, name, weight)
                sums[name] = sums[name].add_(weight) if name in sums else weight.double()
    result = _of_newest(newest[1], sums, paths)
    with atomic_file(output) as stream:
        torch.save(result, stream)
    say(f"{output}: the average of {len(paths)} checkpoints")


def _read(path: PathLike) -> dict[str, Any]:
    refuse_if_cut_off(path)
    try:
        state = read_light(path)
        if state.get("fsdp_metadata") is not None:
            raise GuidedAlignError(f"{path}: holds a part of a model (--use-sharded-state); expected a whole one")
        updates_of(state)
        state["model"].items()
        return state
    except GuidedAlignError:
        raise
    except (
        OSError, EOFError, KeyError, TypeError, AttributeError, IndexError, RuntimeError, pickle.UnpicklingError
    ) as error:  # fmt: skip
        raise_unreadable(path, error)


def _check_finite(path: PathLike, name: str, weight: Tensor) -> None:
    # fairseq 0.12.2 saves this tensor without setting it.
    if not name.endswith("._float_tensor") and not torch.isfinite(weight).all():
        raise GuidedAlignError(f"{path}: {name} holds numbers that are not finite; leave this checkpoint out")


def _check_same_model(path: PathLike, state: dict[str, Any], first_path: PathLike, first: dict[str, Any]) -> None:
    """Refuse another model than the first one.

    :raises GuidedAlignError: names what differs.
    """
    sizes = [{name: list(weight.shape) for name, weight in one["model"].items()} for one in (first, state)]
    settings = [_settings(one) for one in (first, state)]
    names = {**sizes[0], **sizes[1]}
    compared: list[tuple[Any, ...]] = [
        (f"{name} of the sizes", *(one.get(name, "none") for one in sizes)) for name in names
    ]
    compared += [(name, *(one.get(name) for one in settings)) for name in MODEL_SETTINGS]
    for what, wanted, got in compared:
        if wanted != got:
            raise GuidedAlignError(
                f"{path}: is of another model than {first_path}: expected {what} {wanted}; got {got}"
            )


def _settings(state: dict[str, Any]) -> dict[str, str]:
    """Settings of task and model as text, those of groups such as ``encoder`` under ``encoder_...``."""
    parts = [state["args"]] if state.get("args") is not None else [state["cfg"]["task"], state["cfg"]["model"]]
    flat: dict[str, Any] = {}
    for part in parts:
        for name, value in (vars(part) if isinstance(part, Namespace) else dict(part)).items():
            if isinstance(value, Mapping):
                flat.update({f"{name}_{inner}": one for inner, one in value.items()})
            elif value is not None:
                flat[name] = value
    return {name: str(value) for name, value in flat.items()}


def _of_newest(state: dict[str, Any], sums: Mapping[str, Tensor], paths: Sequence[PathLike]) -> dict[str, Any]:
    """The newest checkpoint with the averages in place of its weights, and without what only training needs."""
    made: dict[tuple[Any, ...], Tensor] = {}
    averages = type(state["model"])()
    for name, weight in state["model"].items():
        # Embeddings that are shared stay one tensor in the file.
        place = (weight.untyped_storage().data_ptr(), weight.storage_offset(), tuple(weight.shape), weight.stride())
        if name in sums and place not in made:
            kept = weight.dtype if weight.dtype in (torch.float32, torch.float64) else torch.float32
            made[place] = (sums[name] / len(paths)).to(kept)
        averages[name] = made[place] if name in sums else weight.clone()
    extra = {name: one for name, one in state["extra_state"].items() if name in ("train_iterator", "val_loss")}
    kept_parts = {name: one for name, one in state.items() if name not in ("last_optimizer_state", "extra_state")}
    return {**kept_parts, "model": averages, "extra_state": {**extra, AVERAGED: [Path(path).name for path in paths]}}
