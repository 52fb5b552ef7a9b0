"""Which rows and columns of a batch's attention belong to which tokens. The only place that shifts rows."""

from __future__ import annotations

import torch
from torch import Tensor


def real_tokens(tokens: Tensor, padding: int) -> Tensor:
    """(..., tokens) bool: False for padding at either end.

    Within a sentence, padding's index is a word that is spelled like padding.

    :param tokens: (..., tokens) indices.
    """
    real = tokens.ne(padding)
    return real.cumsum(-1).gt(0) & real.flip(-1).cumsum(-1).flip(-1).gt(0)


def place_in_row(tokens: Tensor, length: int, padding: int) -> slice:
    """Where a sentence stands in its row of a batch. The sentence itself may begin with a word spelled like padding.

    :param tokens: (width,) indices of one row, padded at one end.
    :param length: tokens of the sentence, ``</s>`` included.
    """
    return slice(length) if tokens[-1] == padding else slice(len(tokens) - length, None)


def last_real(real: Tensor) -> Tensor:
    """(...) int64, position of each sentence's last token, ``</s>``; 0 without tokens.

    :param real: (..., tokens) bool, False on padding.
    """
    return (real * torch.arange(real.size(-1), device=real.device)).amax(dim=-1)


def alignable_tokens(target_is_real: Tensor) -> Tensor:
    """(batch, target) bool: the target tokens that can have links, all but ``</s>``.

    :param target_is_real: (batch, target) bool, False on padding.
    """
    alignable = torch.zeros_like(target_is_real)
    alignable[:, :-1] = target_is_real[:, :-1] & target_is_real[:, 1:]
    return alignable


def rows_of_tokens(attention: Tensor, shift: int, target_is_real: Tensor | None = None) -> Tensor:
    """Attention with target token t's row at t.

    :param attention: (..., target, source), the decoder's rows; row t predicts token t.
    :param shift: ``GuidedHeads.shift``, 0 or more. A row beyond the sentence does not exist, because the decoder stops
        there: the sentence's last row stands for it.
    :param target_is_real: (..., target) bool, False on padding; None: without padding.
    """
    if not shift:
        return attention
    row = torch.arange(attention.size(-2), device=attention.device) + shift
    if target_is_real is None:
        row = row.clamp(max=attention.size(-2) - 1)
    else:
        row = torch.minimum(row, last_real(target_is_real).unsqueeze(-1))
    return attention.gather(-2, row.unsqueeze(-1).expand(attention.shape))
