"""Attention between words out of attention between the subword pieces that a model reads and writes."""

from __future__ import annotations

from typing import Sequence

import numpy as np

from fairseq_guided_align.attention.hard_links import merge_pieces
from fairseq_guided_align.subwords.conversion import word_of_piece


def word_attention(attention: np.ndarray, source: Sequence[str], target: Sequence[str], kind: str) -> np.ndarray:
    """Attention between words: a word's columns are added, its rows are averaged.

    :param attention: (target pieces, source pieces + 1) probabilities; the last column is ``</s>``'s. One more row,
        which is ``</s>``'s then, is kept as the last.
    :param source: source pieces, without ``</s>``.
    :param target: target pieces, without ``</s>``.
    :param kind: how pieces make up words, one of :data:`~fairseq_guided_align.subwords.conversion.KINDS`.
    :returns: (target words, source words + 1), and the row of ``</s>`` if there was one.
    :raises GuidedAlignError: another kind.
    :raises AlignmentRangeError: not as many pieces as rows and columns.
    """
    columns = _with_end(word_of_piece(source, kind))
    rows = word_of_piece(target, kind)
    return merge_pieces(attention, columns, _with_end(rows) if len(attention) > len(rows) else rows)


def _with_end(words: np.ndarray) -> np.ndarray:
    return np.append(words, words.max(initial=-1) + 1)
