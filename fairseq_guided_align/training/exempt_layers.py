"""Guided layers keep their attention and run in every update, whatever saves memory and time in the other layers."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator

import torch
from fairseq.models import FairseqMultiModel
from fairseq.modules import LayerDropModuleList
from fairseq.modules.checkpoint_activations import unwrap_checkpoint
from torch import nn

from fairseq_guided_align.attention.reader import find_decoder

logger = logging.getLogger(__name__)


class GuidedLayerDrop(LayerDropModuleList):
    """Layers of which some run in every update; the others are dropped in training as fairseq's list drops them.

    As many random numbers are drawn as without guidance, so that the same seed drops the same other layers.
    """

    always: frozenset[int]
    """Layers that always run, from 0."""

    def __iter__(self) -> Iterator[nn.Module]:
        drawn = torch.empty(len(self)).uniform_()
        for i, layer in enumerate(nn.ModuleList.__iter__(self)):
            if not self.training or i in self.always or drawn[i] > self.p:
                yield layer


def exempt_layers(model: nn.Module, layers: Collection[int]) -> None:
    """Exempt guided decoder layers from ``--checkpoint-activations`` and ``--decoder-layerdrop``, and log it.

    fairseq's checkpointing runs a layer without gradients and throws its attention away; a dropped layer has none.
    The modules stay where they are, because optimizers and wrappers for several workers may hold them already.

    :param model: of one language pair or several, each of whose decoders is changed.
    :param layers: from 0; the model has them. None for a model that returns its attention itself.
    """
    of_pairs = model.models.values() if isinstance(model, FairseqMultiModel) else [model]
    exempt: set[str] = set()
    all_guided = False
    for of_pair in of_pairs:
        found = getattr(find_decoder(of_pair), "layers", None)
        if layers and isinstance(found, nn.ModuleList):
            exempt |= _exempt(found, layers)
            all_guided = len(layers) == len(found)
    if exempt:
        logger.info(
            f"guided decoder layers are exempt from {' and '.join(sorted(exempt))}: {', '.join(map(str, layers))}"
            + (" (all of them, so nothing is saved in the decoder)" if all_guided else "")
        )


def _exempt(found: nn.ModuleList, layers: Collection[int]) -> set[str]:
    """The options from which the layers were not exempt before."""
    exempt = set()
    # A LayerDropModuleList leaves layers out when it is iterated, so it is indexed.
    for layer in (found[i] for i in layers):
        if any(hasattr(module, "precheckpoint_forward") for module in layer.modules()):
            unwrap_checkpoint(layer)
            exempt.add("--checkpoint-activations")
    if type(found) is LayerDropModuleList:
        found.__class__ = GuidedLayerDrop
        found.always = frozenset(layers)  # type: ignore[assignment]
        exempt.add("--decoder-layerdrop")
    return exempt
