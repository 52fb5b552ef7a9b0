"""Which attention is guided: the choice of layers, heads, reduction and position, and where a checkpoint keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fairseq_guided_align.errors import GuidedAlignError

REDUCTIONS = ("mean", "each")
POSITIONS = {"same": 0, "next": 1}
"""How many rows below the row that predicts a target token the token's attention is read. 0: that row itself.

A new position is a row here, and nothing else shifts rows (``tests/training/test_positions.py``). It is explained in
:class:`GuidedHeads`, in the help of ``--guided-alignment-position`` (``training/criterion_options.py``), in the README
and in page 7 of the guide. ``SHIFT`` in ``tests/reference.py`` needs it.
"""
UNLINKED = ("ignore", "eos")
FAIRSEQ_CRITERION = "label_smoothed_cross_entropy_with_alignment"
"""Guides the first ``--alignment-heads`` of ``--alignment-layer``; fairseq's decoding reads others."""


def parse_indices(text: str | None, option: str) -> tuple[int, ...] | None:
    """Indices of ``"-2,-1"``; None for None and for ``"all"``.

    :raises GuidedAlignError: not a comma-separated list of whole numbers.
    """
    if text is None or str(text).strip() == "all":
        return None
    try:
        return tuple(int(part) for part in str(text).split(","))
    except ValueError:
        raise GuidedAlignError(
            f"{option}: expected whole numbers separated by commas, such as 0 or -2,-1, or all; got {text!r}"
        ) from None


def _resolve(indices: Sequence[int] | None, size: int, option: str, what: str) -> tuple[int, ...]:
    if indices is None:
        return tuple(range(size))
    for index in indices:
        if not -size <= index < size:
            raise GuidedAlignError(
                f"{option}: this model has {size} {what}, so an index lies in {-size}..{size - 1}; got {index}"
            )
    resolved = sorted({index % size for index in indices})
    if len(resolved) != len(indices):
        raise GuidedAlignError(f"{option}: each of the model's {what} may be named once; got {list(indices)}")
    return tuple(resolved)


@dataclass(frozen=True)
class GuidedHeads:
    """The attention that is guided in training and read at decoding.

    :param layers: decoder layers, from 0; none for a model that returns its attention beside its logits.
    :param heads: heads of each of these layers, from 0.
    :param reduction: ``mean``: the average of the heads' probabilities is guided; ``each``: every head of every layer
        is guided by itself (readers average them).
    :param position: one of :data:`POSITIONS`. ``same``: a target token's attention is the decoder's row that predicts
        it; ``next``: the row after it, which reads the token (Chen et al. 2020, arXiv:2004.14837, section 3.2).
    :param unlinked: ``ignore``: a target token without links is not guided; ``eos``: it is guided to the source's
        ``</s>``, and a token whose attention is there is read as unlinked.
    :raises GuidedAlignError: no such reduction, position or ``unlinked``.
    """

    layers: tuple[int, ...]
    heads: tuple[int, ...]
    reduction: str = "mean"
    position: str = "same"
    unlinked: str = "ignore"

    def __post_init__(self) -> None:
        for name, known in (("reduction", REDUCTIONS), ("position", POSITIONS), ("unlinked", UNLINKED)):
            if getattr(self, name) not in known:
                raise GuidedAlignError(
                    f"the {name} of guided attention: expected {' or '.join(known)}; got {getattr(self, name)!r}"
                )

    @property
    def shift(self) -> int:
        """How many rows below the row that predicts a target token the token's attention is read."""
        return POSITIONS[self.position]

    @property
    def end_is_null(self) -> bool:
        """Whether attention on the source's ``</s>`` means that the target token has no link."""
        return self.unlinked == "eos"

    @classmethod
    def resolve(
        cls,
        layers: Sequence[int] | None,
        heads: Sequence[int] | None,
        heads_of_layers: Sequence[int],
        reduction: str = "mean",
        position: str = "same",
        unlinked: str = "ignore",
        options: Sequence[str] = ("--guided-alignment-layers", "--guided-alignment-heads"),
    ) -> GuidedHeads:
        """The choice as indices from 0, checked against a model.

        :param layers: indices, negative ones from the end; None takes every layer.
        :param heads: indices of heads in each chosen layer, negative ones from the end; None takes every head.
        :param heads_of_layers: the number of heads of each decoder layer of the model.
        :param options: what errors call the two choices.
        :raises GuidedAlignError: an index that the model does not have, or one that is named twice.
        """
        chosen = _resolve(layers, len(heads_of_layers), options[0], "decoder layers")
        fewest = min(heads_of_layers[layer] for layer in chosen)
        return cls(chosen, _resolve(heads, fewest, options[1], "heads in a layer"), reduction, position, unlinked)

    def check_against(self, heads_of_layers: Sequence[int]) -> None:
        """Refuse a stored choice that a model does not have.

        :param heads_of_layers: the number of heads of each decoder layer of the model.
        :raises GuidedAlignError: there is no such layer or head, or the model has some and none was chosen.
        """
        layers, heads = len(heads_of_layers), min(heads_of_layers, default=0)
        chosen = bool(self.layers and self.heads)
        inside = set(self.layers) <= set(range(layers)) and set(self.heads) <= set(range(heads))
        if chosen != bool(layers) or not inside:
            raise GuidedAlignError(
                f"the checkpoint says that other attention was guided ({self}) than the model has: {layers} decoder "
                f"layers with {heads} heads; its configuration was changed after training, or layers were left out"
            )

    def store(self, model_config: Any) -> None:
        """Write the choice into a model's configuration, which the checkpoint keeps, for us and for other readers."""
        values = {
            "guided_alignment_layers": ",".join(map(str, self.layers)),
            "guided_alignment_heads": ",".join(map(str, self.heads)),
            "guided_alignment_reduction": self.reduction,
            "guided_alignment_position": self.position,
            "guided_alignment_unlinked": self.unlinked,
            **self._as_fairseq_says(),
        }
        for key, value in values.items():
            setattr(model_config, key, value)

    def _as_fairseq_says(self) -> dict[str, Any]:
        """The choice as CTranslate2's converter and fairseq's ``transformer_align`` read it.

        They know the first heads of one layer only; empty for other choices.
        """
        if len(self.layers) != 1 or self.heads != tuple(range(len(self.heads))):
            return {}
        return {"alignment_layer": self.layers[0], "alignment_heads": len(self.heads)}

    @classmethod
    def stored(cls, model_config: Any) -> GuidedHeads | None:
        """The choice that :meth:`store` wrote, or that fairseq's own criterion guided; None for other models.

        :raises GuidedAlignError: it cannot be read, or ``decoder_layers_to_keep`` leaves a guided layer out.
        """
        layers = getattr(model_config, "guided_alignment_layers", None)
        heads = getattr(model_config, "guided_alignment_heads", None)
        if layers is None or heads is None:
            own = getattr(model_config, "criterion", None) == FAIRSEQ_CRITERION
            if not own or not hasattr(model_config, "alignment_layer"):
                return None
            layers = str(model_config.alignment_layer)
            count = model_config.alignment_heads or model_config.decoder_attention_heads
            heads = ",".join(map(str, range(count)))
        chosen = (parse_indices(layers, "guided_alignment_layers") or ()) if layers else ()
        return cls(
            _numbered_anew(chosen, getattr(model_config, "decoder_layers_to_keep", None)),
            (parse_indices(heads, "guided_alignment_heads") or ()) if heads else (),
            getattr(model_config, "guided_alignment_reduction", "mean"),
            getattr(model_config, "guided_alignment_position", "same"),
            getattr(model_config, "guided_alignment_unlinked", "ignore"),
        )

    def __str__(self) -> str:
        return (
            f"layers {','.join(map(str, self.layers))}, heads {','.join(map(str, self.heads))} ({self.reduction}), "
            f"position {self.position}, unlinked {self.unlinked}"
        )


def _numbered_anew(layers: tuple[int, ...], kept: Any) -> tuple[int, ...]:
    """Numbers of the guided layers in a decoder of which fairseq keeps some layers only.

    :param kept: fairseq's ``decoder_layers_to_keep``, a list or ``"0,2"``; None or empty: all layers.
    """
    if not kept:
        return layers
    left = sorted(int(layer) for layer in (kept.split(",") if isinstance(kept, str) else kept))
    if not set(layers) <= set(left):
        raise GuidedAlignError(
            f"decoder_layers_to_keep: the guided layers {', '.join(map(str, layers))} are needed for "
            f"alignments; got {', '.join(map(str, left))}"
        )
    return tuple(left.index(layer) for layer in layers)
