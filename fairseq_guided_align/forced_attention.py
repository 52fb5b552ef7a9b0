"""Attention of the guided heads for given translations: one forced pass of the model over a batch."""

from __future__ import annotations

from typing import Any, Dict, List

import numpy as np
import torch
from torch import Tensor

from fairseq_guided_align.attention import AttentionReader, heads_of_layers
from fairseq_guided_align.guided_heads import GuidedHeads


def heads_to_read(model: torch.nn.Module) -> GuidedHeads:
    """The heads that a model's checkpoint says were guided; for others, what fairseq reads: the last layer's mean."""
    guided = getattr(model, "guided_heads", None)
    return guided if guided is not None else unguided_heads(model)


def unguided_heads(model: torch.nn.Module) -> GuidedHeads:
    """What stock fairseq reads whatever was trained: all heads of the last layer, averaged, the predicting row."""
    sizes = heads_of_layers(model)
    return GuidedHeads.resolve((-1,), None, sizes)


def rows_of_tokens(attention: Tensor, position: str) -> Tensor:
    """Attention with target token t's row at t.

    :param attention: (batch, target, source), the decoder's rows.
    :param position: of :class:`~fairseq_guided_align.guided_heads.GuidedHeads`; with ``next`` the last row is of no
        use, which is the one of ``</s>``.
    """
    return attention.roll(-1, dims=1) if position == "next" else attention


@torch.no_grad()
def forced_attentions(
    model: torch.nn.Module, guided: GuidedHeads, sample: Dict[str, Any], padding: int
) -> List[np.ndarray]:
    """Attention of each sentence of a batch while the model is fed its target.

    :param sample: a batch of fairseq's, with target.
    :param padding: index of the padding token.
    :return: for each sentence (target tokens without ``</s>``, source tokens with ``</s>``), float32 probabilities;
        rows sum to 1.
    """
    net_input = sample["net_input"]
    with AttentionReader(model, guided) as reader:
        model(**net_input)
    attention = rows_of_tokens(reader.attention(), guided.position).float().cpu().numpy()
    target_is_real = sample["target"].ne(padding).cpu().numpy()
    source_is_real = net_input["src_tokens"].ne(padding).cpu().numpy()
    return [
        matrix[np.flatnonzero(rows)[:-1]][:, np.flatnonzero(columns)]
        for matrix, rows, columns in zip(attention, target_is_real, source_is_real)
    ]
