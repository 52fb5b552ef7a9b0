"""Which attention a training guides: chosen by our options, else by the model's own, and checked against the model."""

from __future__ import annotations

import logging
from typing import Any

from torch import nn

from fairseq_guided_align.attention.guided_heads import GuidedHeads, parse_indices
from fairseq_guided_align.attention.reader import check_has_attention, heads_of_layers
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.training.criterion_options import GuidedAlignmentCrossEntropyConfig

logger = logging.getLogger(__name__)

LAYERS_OPTION, HEADS_OPTION = "--guided-alignment-layers", "--guided-alignment-heads"

TRANSFORMER_ALIGN_LAYER = 4
"""fairseq's default for ``--alignment-layer``; where the decoder has fewer layers, nobody has chosen it."""


def choose_heads(cfg: GuidedAlignmentCrossEntropyConfig, model: nn.Module, model_config: Any) -> GuidedHeads:
    """The attention to guide; of a model without cross-attention modules, that which it returns beside its logits.

    :param model_config: the model's configuration, or None; its ``alignment_layer`` and ``alignment_heads`` count
        where our options are left out.
    :raises GuidedAlignError: the model's attention cannot be guided, or it has no such layer or head.
    """
    check_has_attention(model)
    position, unlinked = str(cfg.guided_alignment_position), str(cfg.guided_alignment_unlinked)
    sizes = heads_of_layers(model)
    if not sizes:
        _warn_of_unused_choice(cfg)
        return GuidedHeads((), (), position=position, unlinked=unlinked)
    layers, layers_option = parse_indices(cfg.guided_alignment_layers, LAYERS_OPTION), LAYERS_OPTION
    heads = parse_indices(cfg.guided_alignment_heads, HEADS_OPTION)
    if cfg.guided_alignment_layers is None:
        layers, layers_option = _usual_layer(model_config, len(sizes)), "--alignment-layer"
    if cfg.guided_alignment_heads is None:
        heads = _usual_heads(model_config, min(sizes))
    reduction = str(cfg.guided_alignment_reduction)
    chosen = GuidedHeads.resolve(
        layers, heads, sizes, reduction, position, unlinked, options=(layers_option, HEADS_OPTION)
    )
    logger.info(f"guided attention: {chosen}, of {len(sizes)} decoder layers with {sizes[0]} heads")
    return chosen


def _usual_layer(model_config: Any, layers: int) -> tuple[int]:
    """The layer of ``transformer_align``'s option, else the last but one.

    :param layers: how many the decoder has.
    """
    own = getattr(model_config, "alignment_layer", None)
    if own is None or (own == TRANSFORMER_ALIGN_LAYER and own >= layers):
        return (max(-2, -layers),)
    return (own,)


def _usual_heads(model_config: Any, heads: int) -> tuple[int, ...]:
    """The heads of ``transformer_align``'s option, else head 0.

    :param heads: how many a layer has.
    :raises GuidedAlignError: the option wants more.
    """
    own = getattr(model_config, "alignment_heads", None)
    if own is not None and not 1 <= own <= heads:
        raise GuidedAlignError(
            f"--alignment-heads: expected a number of heads in 1..{heads}, which a layer of this model has; got {own}"
        )
    return tuple(range(own or 1))


def _warn_of_unused_choice(cfg: GuidedAlignmentCrossEntropyConfig) -> None:
    choices = {LAYERS_OPTION: cfg.guided_alignment_layers, HEADS_OPTION: cfg.guided_alignment_heads}
    named = [option for option, choice in choices.items() if choice is not None]
    if named:
        logger.warning(
            f"{' and '.join(named)} cannot be followed: the model has no cross-attention modules, so the "
            "attention that it returns is guided"
        )
