"""Alignments in the forms that fairseq's own programs print and use, without the crashes of the stock ones."""

from __future__ import annotations

from typing import Any, List, Tuple

import numpy as np

from fairseq_guided_align.decode_links import argmax_links
from fairseq_guided_align.guided_heads import GuidedHeads

SHOWN_PROBABILITY = 0.01
"""Least probability of a link that ``fairseq-interactive --print-alignment soft`` shows."""


class HardAlignment(List[Tuple[int, int]]):
    """(source, target) pairs of the links, as ``fairseq-generate`` prints them.

    Indexed with a target token's position, as ``--replace-unk`` does, it gives the likeliest source position, also
    for a token that has no link: a copied word is better than none.
    """

    def __init__(self, pairs: List[Tuple[int, int]], likeliest: List[int]) -> None:
        super().__init__(pairs)
        self._likeliest = likeliest

    def __getitem__(self, target: Any) -> Any:
        return self._likeliest[target]


def hard_alignment(attention: np.ndarray, guided: GuidedHeads) -> HardAlignment:
    """Each target token's likeliest source token.

    :param attention: (target tokens without ``</s>``, source tokens with ``</s>``) probabilities.
    :param guided: with ``unlinked`` ``eos``, a token whose attention is on ``</s>`` has no link; otherwise the column
        of ``</s>`` is not looked at.
    """
    words = attention[:, :-1]
    links = argmax_links(attention, null_column=-1) if guided.unlinked == "eos" else argmax_links(words)
    likeliest = words.argmax(axis=1).tolist() if words.size else [0] * len(words)
    # a token past these, such as </s>, copies nothing sensible; the last position keeps fairseq from crashing
    return HardAlignment(links.pairs(), [*likeliest, attention.shape[1] - 1])


def soft_alignment(attention: np.ndarray) -> List[List[str]]:
    """Printed probabilities, a list a target token: what ``fairseq-generate --print-alignment soft`` joins.

    :param attention: (target tokens with ``</s>``, source tokens with ``</s>``) probabilities.
    """
    return [[f"{probability:.6f}" for probability in row] for row in attention.tolist()]


def soft_links(attention: np.ndarray) -> List[Tuple[int, str]]:
    """Links with their probabilities: (3, "5:0.81") is printed as ``3-5:0.81`` by ``fairseq-interactive``.

    :param attention: (target tokens without ``</s>``, source tokens with ``</s>``) probabilities.
    """
    target, source = np.nonzero(attention[:, :-1] >= SHOWN_PROBABILITY)
    return [(int(s), f"{t}:{attention[t, s]:.2f}") for t, s in zip(target, source)]
