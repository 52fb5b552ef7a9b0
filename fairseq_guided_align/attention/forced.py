"""Attention of the guided heads for given translations: one forced pass of the model over a batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from fairseq_guided_align.attention.guided_heads import GuidedHeads
from fairseq_guided_align.attention.reader import AttentionReader, cross_attentions, heads_of_layers, returned_attention
from fairseq_guided_align.attention.token_rows import real_tokens, rows_of_tokens


def heads_to_read(model: torch.nn.Module) -> GuidedHeads:
    """The heads that a model's checkpoint says were guided; for others, what fairseq reads: the last layer's mean.

    Without layers and heads for a model that has no cross-attention modules, but returns its attention.

    :raises GuidedAlignError: the checkpoint names heads that the model does not have.
    """
    guided = getattr(model, "guided_heads", None)
    if guided is not None:
        guided.check_against(heads_of_layers(model))
        return guided
    return unguided_heads(model) if cross_attentions(model) else GuidedHeads((), ())


def unguided_heads(model: torch.nn.Module) -> GuidedHeads:
    """What stock fairseq reads of every model: all heads of the last layer, averaged, the predicting row."""
    return GuidedHeads.resolve((-1,), None, heads_of_layers(model))


@torch.no_grad()
def forced_attentions(
    model: torch.nn.Module, guided: GuidedHeads, sample: dict[str, Any], padding: int
) -> list[np.ndarray]:
    """Attention of each sentence of a batch while the model is fed its target.

    :param sample: a batch of fairseq's, with target.
    :param padding: index of the padding token.
    :return: for each sentence (target tokens without ``</s>``, source tokens with ``</s>``), float32 probabilities;
        rows sum to 1.
    """
    net_input = sample["net_input"]
    if guided.layers:
        with AttentionReader(model, guided) as reader:
            model(**net_input)
        read = reader.attention()
    else:
        read = returned_attention(model(**net_input))
    attention = read.float().cpu()
    target_is_real = real_tokens(sample["target"], padding).cpu()
    source_is_real = real_tokens(net_input["src_tokens"], padding).cpu()
    return [
        rows_of_tokens(matrix[rows][:, columns], guided.shift)[:-1].numpy()
        for matrix, rows, columns in zip(attention, target_is_real, source_is_real)
    ]
