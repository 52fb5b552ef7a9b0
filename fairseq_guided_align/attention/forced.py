"""Attention of the guided heads for given translations: one forced pass of the model over a batch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch

from fairseq_guided_align.attention.guided_heads import GuidedHeads
from fairseq_guided_align.attention.reader import AttentionReader, cross_attentions, heads_of_layers, returned_attention
from fairseq_guided_align.attention.token_rows import place_in_row, rows_of_tokens


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


def lengths_of(pairs: Any, numbers: Iterable[int]) -> dict[int, tuple[int, int]]:
    """Tokens of source and target of some sentences of a data set, ``</s>`` included."""
    return {int(number): (len(pairs[number]["source"]), len(pairs[number]["target"])) for number in numbers}


@torch.no_grad()
def forced_attentions(
    model: torch.nn.Module,
    guided: GuidedHeads,
    sample: dict[str, Any],
    padding: int,
    lengths: Mapping[int, tuple[int, int]],
) -> list[np.ndarray]:
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
        columns, rows = (place_in_row(*one, padding) for one in zip((source, target), lengths[number]))
        found.append(rows_of_tokens(matrix[rows, columns], guided.shift)[:-1].numpy())
    return found
