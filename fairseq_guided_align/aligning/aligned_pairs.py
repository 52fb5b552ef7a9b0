"""Sentence pairs with a model's attention between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fairseq_guided_align.subwords.text_pieces import PiecedSentence
from fairseq_guided_align.subwords.word_attention import word_attention


class AlignedPair(NamedTuple):
    """A sentence pair of subword pieces and the model's attention between them.

    :param source: source pieces, without ``</s>``.
    :param target: target pieces, without ``</s>``.
    :param attention: (target pieces, source pieces + 1) float32 probabilities; the last column is ``</s>``'s.
    """

    source: list[str]
    target: list[str]
    attention: np.ndarray


@dataclass(frozen=True)
class AlignedText:
    """A sentence pair whose words are known, and the model's attention between its pieces.

    :param attention: (target pieces, source pieces + 1) float32 probabilities; the last column is ``</s>``'s.
    """

    source: PiecedSentence
    target: PiecedSentence
    attention: np.ndarray

    def words(self) -> np.ndarray:
        """Attention between words, (target words, source words + 1); the last column is ``</s>``'s."""
        return word_attention(self.attention, self.source, self.target)
