"""The model's output projection, and how it gives the loss instead of logits while a model runs."""

from __future__ import annotations

from contextlib import AbstractContextManager

from fairseq.models.transformer.transformer_decoder import TransformerDecoderBase
from torch import Tensor, nn
from torch.nn.modules import module as every_module

from fairseq_guided_align.attention.reader import find_decoder
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.losses.chunked_cross_entropy import SequenceLoss, chunked_cross_entropy, why_not_in_chunks

SAME_AS_FAIRSEQ = ("forward", "output_layer", "get_normalized_probs", "get_normalized_probs_scriptable")

HOOKS_ON_LOGITS = ("_forward_hooks", "_backward_hooks", "_backward_pre_hooks")
"""Where a module keeps the hooks that are given what it returns, or its gradient."""


def find_output_projection(model: nn.Module) -> nn.Linear | str:
    """The module whose result is the model's logits, if nothing else reads or changes them.

    :return: the module, or the reason why the logits cannot be left out.
    """
    if any(getattr(every_module, f"_global{kind}") for kind in HOOKS_ON_LOGITS):
        return "hooks on every module expect logits"
    inner = model
    while True:
        if _is_hooked(inner):
            return f"hooks on {type(inner).__name__} expect logits"
        if "FullyShardedDataParallel" in type(inner).__name__:
            return "fully sharded data parallelism gathers the output weights itself"
        # Wrappers of data parallelism keep the model there, and pass on its attributes.
        wrapped = inner._modules.get("module")
        if wrapped is None:
            break
        inner = wrapped
    decoder = find_decoder(inner)
    if decoder is None:
        return f"{type(inner).__name__} has no decoder"
    if not isinstance(decoder, TransformerDecoderBase):
        return f"{type(decoder).__name__} is no Transformer decoder of fairseq's"
    if decoder.adaptive_softmax is not None:
        return "the model has an adaptive softmax"
    if _is_hooked(decoder):
        return f"hooks on {type(decoder).__name__} expect logits"
    for name in SAME_AS_FAIRSEQ:
        # A method may have been replaced in this one object.
        if getattr(getattr(decoder, name), "__func__", None) is not getattr(TransformerDecoderBase, name):
            return f"{type(decoder).__name__} has a method {name} of its own"
    for name in ("forward", "get_normalized_probs", "get_normalized_probs_scriptable"):
        method = getattr(inner, name, None)
        if not getattr(method, "__module__", "").startswith("fairseq.models."):
            return f"{type(inner).__name__} has a method {name} of its own"
    projection = decoder.output_projection
    if type(projection) is not nn.Linear:
        return f"the output projection is a {type(projection).__name__}, no plain matrix product"
    if "forward" in vars(projection):
        return "the output projection's method forward has been replaced"
    if _is_hooked(projection) or projection._forward_pre_hooks:
        return "hooks on the output projection expect logits"
    return why_not_in_chunks(projection.weight) or projection


def _is_hooked(module: nn.Module) -> bool:
    return any(getattr(module, kind) for kind in HOOKS_ON_LOGITS)


class ProjectionToLoss(AbstractContextManager):
    """Inside the ``with`` block, the output projection returns the summed loss; it is left in ``loss`` as well.

    The loss thus arises within the model's own forward pass, where wrappers such as ``DistributedDataParallel`` see
    every parameter in use.
    """

    def __init__(
        self, projection: nn.Linear, target: Tensor, label_smoothing: float, padding_index: int, count_correct: bool
    ) -> None:
        self._projection = projection
        self._target = target
        self._options = (label_smoothing, padding_index, count_correct)
        self.loss: SequenceLoss | None = None

    def __enter__(self) -> ProjectionToLoss:
        self._projection.forward = self._forward  # type: ignore[assignment,method-assign]
        return self

    def __exit__(self, *exception: object) -> None:
        del self._projection.forward

    def _forward(self, features: Tensor) -> Tensor:
        if features.shape[:-1] != self._target.shape:
            raise GuidedAlignError(
                f"the output projection was given {tuple(features.shape)} for (batch, target, features), but the "
                f"targets are {tuple(self._target.shape)}; use --vocabulary-softmax full"
            )
        self.loss = chunked_cross_entropy(
            features, self._projection.weight, self._projection.bias, self._target, *self._options
        )
        return self.loss.total
