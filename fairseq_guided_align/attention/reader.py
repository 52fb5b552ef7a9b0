"""The only reader of a model's attention: cross-attention probabilities of chosen layers and heads, in float32."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from fairseq_guided_align.attention.guided_heads import GuidedHeads
from fairseq_guided_align.errors import GuidedAlignError


def find_decoder(model: nn.Module) -> nn.Module | None:
    """The model's decoder, under any wrapper of fairseq's or torch's that keeps the model in ``module``."""
    while True:
        decoder = getattr(model, "decoder", None)
        if isinstance(decoder, nn.Module):
            return decoder
        inner = getattr(model, "module", None)
        if not isinstance(inner, nn.Module):
            return None
        model = inner


def cross_attentions(model: nn.Module) -> list[nn.Module]:
    """Cross-attention modules of the decoder's layers, in order; empty for a model without them."""
    layers = getattr(find_decoder(model), "layers", None)
    if not isinstance(layers, nn.ModuleList):
        return []
    # A LayerDropModuleList leaves layers out when it is iterated, so it is indexed.
    found = [getattr(layers[i], "encoder_attn", None) for i in range(len(layers))]
    return found if all(module is not None for module in found) else []  # type: ignore[return-value]


def check_has_attention(model: nn.Module) -> None:
    """Refuse fairseq's recurrent and convolutional models, which return no attention while they train.

    When they decode, the LSTM turns a left-padded source round, so the columns are not those of the batch.

    :raises GuidedAlignError: a decoder of fairseq's without cross-attention modules. The first batch shows whether any
        other model returns its attention.
    """
    decoder = find_decoder(model)
    if decoder is None or cross_attentions(model) or not type(decoder).__module__.startswith("fairseq."):
        return
    raise GuidedAlignError(
        f"guided alignment needs the cross-attention of a Transformer decoder, and {type(decoder).__name__} "
        "gives none while it trains; use a Transformer, for instance --arch transformer"
    )


def heads_of_layers(model: nn.Module) -> list[int]:
    """Number of cross-attention heads of each decoder layer."""
    return [int(module.num_heads) for module in cross_attentions(model)]  # type: ignore[arg-type]


class AttentionReader(AbstractContextManager):
    """Reads the cross-attention of chosen layers while the model runs inside the ``with`` block.

    Hooks ask the chosen modules for weights per head and take them: probabilities in float32, before dropout and
    before any cast, in any model class. What the model returns is unchanged. If the decoder runs more than once
    (``--full-context-alignment``), the last run counts.
    """

    def __init__(self, model: nn.Module, guided: GuidedHeads) -> None:
        modules = cross_attentions(model)
        self._guided = guided
        self._modules = [(layer, modules[layer]) for layer in guided.layers]
        self._weights: dict[int, Tensor] = {}
        self._asked: dict[int, tuple[bool, bool]] = {}
        self._hooks: list[Any] = []

    def __enter__(self) -> AttentionReader:
        for layer, module in self._modules:
            self._hooks.append(module.register_forward_pre_hook(functools.partial(self._ask, layer), with_kwargs=True))
            self._hooks.append(module.register_forward_hook(functools.partial(self._take, layer)))
        return self

    def __exit__(self, *exception: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def _ask(self, layer: int, module: nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
        self._asked[layer] = bool(kwargs.get("need_weights", True)), bool(kwargs.get("need_head_weights", False))
        return args, {**kwargs, "need_weights": True, "need_head_weights": True}

    def _take(self, layer: int, module: nn.Module, args: tuple, output: tuple) -> tuple:
        attended, weights = output[0], output[1]
        if not isinstance(weights, Tensor) or weights.dim() != 4:
            got = tuple(weights.shape) if isinstance(weights, Tensor) else type(weights).__name__
            raise GuidedAlignError(
                f"the cross-attention of decoder layer {layer} was asked for weights of each head, (heads, batch, "
                f"target, source), and gave {got}; fairseq's gives them where the decoder calls it with static_kv"
            )
        self._weights[layer] = weights
        need_weights, per_head = self._asked.pop(layer)
        if per_head:
            return output
        return attended, weights.mean(dim=0) if need_weights else None

    def attentions(self) -> list[Tensor]:
        """Guided attentions of the last run, each (batch, target, source); rows sum to 1, padding is 0.

        One for reduction ``mean``, one for every layer and head for ``each``.

        :raises GuidedAlignError: a chosen layer did not run.
        """
        missing = [layer for layer, _ in self._modules if layer not in self._weights]
        if missing:
            raise GuidedAlignError(
                f"decoder layers {missing} are guided, but did not run in this forward pass; "
                "guide layers that always run"
            )
        heads = [self._weights[layer][head] for layer in self._guided.layers for head in self._guided.heads]
        if self._guided.reduction == "each" or len(heads) == 1:
            return heads
        return [torch.stack(heads).mean(dim=0)]

    def attention(self) -> Tensor:
        """The average over the guided heads of the last run, (batch, target, source)."""
        heads = self.attentions()
        return heads[0] if len(heads) == 1 else torch.stack(heads).mean(dim=0)


def returned_attention(net_output: Any) -> Tensor:
    """Attention that a model without cross-attention modules returns beside its logits, (batch, target, source).

    :param net_output: ``(logits, {"attn": attention})``; the attention may stand in a list.
    :raises GuidedAlignError: there is none.
    """
    extra = net_output[1] if isinstance(net_output, Sequence) and len(net_output) > 1 else None
    attention = extra.get("attn") if isinstance(extra, dict) else None
    if isinstance(attention, (list, tuple)):
        attention = attention[0] if attention else None
    if not isinstance(attention, Tensor) or attention.dim() != 3:
        got = tuple(attention.shape) if isinstance(attention, Tensor) else type(attention).__name__
        raise GuidedAlignError(
            "guided alignment needs a model with Transformer cross-attention, or one whose forward returns "
            f"(logits, {{'attn': attention of shape (batch, target, source)}}); got {got} for 'attn'"
        )
    return attention
