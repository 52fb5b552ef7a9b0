"""Attention of the guided heads for given translations: one forced pass of the model over a batch."""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Mapping, Tuple

import numpy as np
import torch
from torch import Tensor

from fairseq_guided_align.attention import AttentionReader, cross_attentions, heads_of_layers, returned_attention
from fairseq_guided_align.guided_heads import GuidedHeads


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
    """What stock fairseq reads whatever was trained: all heads of the last layer, averaged, the predicting row."""
    return GuidedHeads.resolve((-1,), None, heads_of_layers(model))


def rows_of_tokens(attention: Tensor, position: str) -> Tensor:
    """Attention of one sentence with target token t's row at t.

    :param attention: (target, source), the decoder's rows for a sentence's own tokens, ``</s>`` included.
    :param position: of :class:`~fairseq_guided_align.guided_heads.GuidedHeads`; with ``next``, ``</s>`` keeps the
        row that predicts it, because the decoder stops before the one after it.
    """
    return torch.cat([attention[1:], attention[-1:]]) if position == "next" else attention


def real_tokens(tokens: Tensor, padding: int) -> Tensor:
    """(..., tokens) bool: False for padding at either end; within a sentence it is a word that is spelled so.

    :param tokens: (..., tokens) indices.
    """
    real = tokens.ne(padding)
    return real.cumsum(-1).gt(0) & real.flip(-1).cumsum(-1).flip(-1).gt(0)


def lengths_of(pairs: Any, numbers: Iterable[int]) -> Dict[int, Tuple[int, int]]:
    """Tokens of source and target of some sentences of a data set, ``</s>`` included."""
    return {int(number): (len(pairs[number]["source"]), len(pairs[number]["target"])) for number in numbers}


def _place(tokens: Tensor, length: int, padding: int) -> slice:
    """Where a sentence stands in its row of a batch; it may itself begin with a word that is spelled as padding is.

    :param tokens: (width,) indices.
    """
    return slice(length) if tokens[-1] == padding else slice(len(tokens) - length, None)


@torch.no_grad()
def forced_attentions(
    model: torch.nn.Module,
    guided: GuidedHeads,
    sample: Dict[str, Any],
    padding: int,
    lengths: Mapping[int, Tuple[int, int]],
) -> List[np.ndarray]:
    """Attention of each sentence of a batch while the model is fed its target.

    :param sample: a batch of fairseq's, with target.
    :param padding: index of the padding token.
    :param lengths: see :func:`lengths_of`, by ``id`` of the sentence in the batch.
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
    sentences = zip(sample["id"].tolist(), read.float().cpu(), net_input["src_tokens"].cpu(), sample["target"].cpu())
    found = []
    for number, matrix, source, target in sentences:
        columns, rows = (_place(*one, padding) for one in zip((source, target), lengths[number]))
        found.append(rows_of_tokens(matrix[rows, columns], guided.position)[:-1].numpy())
    return found
