"""Attention between words out of attention between the subword pieces that a model reads and writes."""

from __future__ import annotations

import numpy as np

from fairseq_guided_align.attention.hard_links import merge_pieces
from fairseq_guided_align.subwords.text_pieces import PiecedSentence


def word_attention(attention: np.ndarray, source: PiecedSentence, target: PiecedSentence) -> np.ndarray:
    """Attention between words: a word's columns are added, its rows are averaged.

    :param attention: (target pieces, source pieces + 1) probabilities; the last column is ``</s>``'s. One more row is
        ``</s>``'s, and is kept as the last.
    :return: (target words, source words + 1), and the row of ``</s>`` if there was one. A word without pieces is 0.
    :raises AlignmentRangeError: not as many pieces as rows and columns.
    """
    has_end = len(attention) > len(target.word)
    rows = np.append(target.word, target.words) if has_end else target.word
    merged = merge_pieces(attention, np.append(source.word, source.words), rows)
    # Words at the end that no piece spells have no row.
    return np.pad(merged, ((0, target.words + has_end - len(merged)), (0, 0)))
