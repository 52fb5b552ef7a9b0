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
    layers = parse_indices(cfg.guided_alignment_layers, LAYERS_OPTION)
    heads = parse_indices(cfg.guided_alignment_heads, HEADS_OPTION)
    layers_option = LAYERS_OPTION
    if cfg.guided_alignment_layers is None:
        own_layer = getattr(model_config, "alignment_layer", None)
        if own_layer == TRANSFORMER_ALIGN_LAYER and own_layer >= len(sizes):
            own_layer = None
        layers = (max(-2, -len(sizes)) if own_layer is None else own_layer,)
        layers_option = "--alignment-layer"
    if cfg.guided_alignment_heads is None:
        own_heads = getattr(model_config, "alignment_heads", None)
        if own_heads is not None and not 1 <= own_heads <= min(sizes):
            raise GuidedAlignError(
                f"--alignment-heads: expected a number of heads in 1..{min(sizes)}, which a layer of this model "
                f"has; got {own_heads}"
            )
        heads = tuple(range(own_heads or 1))
    reduction = str(cfg.guided_alignment_reduction)
    chosen = GuidedHeads.resolve(
        layers, heads, sizes, reduction, position, unlinked, options=(layers_option, HEADS_OPTION)
    )
    logger.info(f"guided attention: {chosen}, of {len(sizes)} decoder layers with {sizes[0]} heads")
    return chosen


def _warn_of_unused_choice(cfg: GuidedAlignmentCrossEntropyConfig) -> None:
    choices = {LAYERS_OPTION: cfg.guided_alignment_layers, HEADS_OPTION: cfg.guided_alignment_heads}
    named = [option for option, choice in choices.items() if choice is not None]
    if named:
        logger.warning(
            f"{' and '.join(named)} cannot be followed: the model has no cross-attention modules, so the "
            "attention that it returns is guided"
        )
