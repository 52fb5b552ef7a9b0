"""Links read off attention: matrices of probabilities in, :class:`SentenceLinks` out.

A matrix has one row a target token and one column a source token, rows summing to 1: p(source | target).
Anything that numpy turns into an array will do; nothing is changed in place. Of equally likely cells the first wins.

A model's source ends in ``</s>``, which takes the probability of target tokens that translate nothing. Its
column is the *null column*: a target token whose highest probability is there gets no link. The other columns keep
their numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fairseq_guided_align.attention.guided_heads import GuidedHeads
from fairseq_guided_align.errors import AlignmentRangeError, GuidedAlignError
from fairseq_guided_align.links.link import SentenceLinks


def linkable(attention: np.ndarray, guided: GuidedHeads) -> tuple[np.ndarray, int | None]:
    """A model's attention as the functions below take it, with its null column.

    :param attention: (target, source + 1) probabilities; the last column is ``</s>``'s.
    :return: all of it and column -1 if ``</s>`` means "no link"; else the matrix without ``</s>``, and None.
    """
    return (attention, -1) if guided.end_is_null else (attention[:, :-1], None)


def argmax_links(attention: Any, null_column: int | None = None) -> SentenceLinks:
    """Each target token's most likely source token: at most one link a target token, of weight 1.

    :param attention: (target, source) probabilities.
    :param null_column: column that means "no link", negative from the end; None when there is none.
    :raises GuidedAlignError: not a matrix of finite numbers.
    :raises AlignmentRangeError: there is no such ``null_column``.
    """
    matrix = _matrix(attention, "attention")
    null = _column(null_column, matrix)
    source = matrix.argmax(axis=1) if matrix.size else np.empty(0, np.int64)
    target = np.flatnonzero(source != null)
    return _hard(source[target], target)


def mutual_argmax_links(attention: Any, null_column: int | None = None) -> SentenceLinks:
    """Links between tokens that are each other's most likely token: at most one a token, of weight 1.

    Source token s chooses the target token with the largest p(s | target). Sabet et al. 2020 (SimAlign),
    section 2.2. With the models of both directions, either give the matrix of :func:`mean_of_directions`, or
    intersect the :func:`argmax_links` of each with :func:`~fairseq_guided_align.links.symmetrisation.symmetrise`.

    :param attention: (target, source) probabilities.
    :param null_column: as in :func:`argmax_links`, which also names the errors.
    """
    matrix = _matrix(attention, "attention")
    links = argmax_links(matrix, null_column)
    if not len(links):
        return links
    mutual = matrix.argmax(axis=0)[links.source] == links.target
    return _hard(links.source[mutual], links.target[mutual])


def threshold_links(attention: Any, threshold: float, null_column: int | None = None) -> SentenceLinks:
    """Every cell with a probability of at least ``threshold``, which becomes the weight of the link.

    :param attention: (target, source) probabilities.
    :param threshold: above 0, at most 1.
    :param null_column: as in :func:`argmax_links`, which also names the errors.
    :raises GuidedAlignError: a threshold out of range.
    """
    if not 0 < threshold <= 1:
        raise GuidedAlignError(f"expected a threshold above 0 and at most 1; got {threshold}")
    matrix = _matrix(attention, "attention")
    chosen = matrix >= threshold
    if null_column is not None:
        chosen[:, _column(null_column, matrix)] = False
    target, source = np.nonzero(chosen)
    weight = matrix[target, source].astype(np.float32)
    return SentenceLinks(source.astype(np.int32), target.astype(np.int32), weight, np.ones(len(weight), dtype=bool))


def mean_of_directions(attention: Any, reverse: Any) -> np.ndarray:
    """The mean of both directions' probabilities, for :func:`threshold_links` and :func:`mutual_argmax_links`.

    :param attention: (target, source) probabilities p(source | target), null column already taken off.
    :param reverse: (source, target) probabilities p(target | source), null column already taken off.
    :return: (target, source), each cell in 0..1; rows do not sum to 1.
    :raises GuidedAlignError: not matrices of finite numbers.
    :raises AlignmentRangeError: the shapes are not each other's transpose.
    """
    forward = _matrix(attention, "attention")
    back = _matrix(reverse, "reverse").T
    if forward.shape != back.shape:
        raise AlignmentRangeError(
            f"expected matrices of the same tokens; got {forward.shape} (target, source) and"
            f" {back.shape[::-1]} (source, target)"
        )
    return (forward + back) / 2


def merge_pieces(attention: Any, source_word_of_piece: Any, target_word_of_piece: Any) -> np.ndarray:
    """Attention between words out of attention between subword pieces.

    A word's columns are added: its pieces are different places to look at. Its rows are averaged: each piece spreads
    its own probability of 1. So rows that sum to 1 still do, and no word gains by being cut into more pieces.

    :param attention: (target pieces, source pieces) probabilities.
    :param source_word_of_piece: (source pieces,) integers, the word of each column; -1 drops the column. Give
        ``</s>`` a number of its own, after the last word, to keep it as null column.
    :param target_word_of_piece: (target pieces,) integers, the word of each row; -1 drops the row.
    :return: (target words, source words); as many as the largest number + 1. A word without pieces is 0.
    :raises GuidedAlignError: not a matrix of finite numbers.
    :raises AlignmentRangeError: not one word number a piece.
    """
    matrix = _matrix(attention, "attention")
    columns, _ = _added(matrix.T, source_word_of_piece, "source")
    rows, pieces = _added(columns.T, target_word_of_piece, "target")
    return rows / np.maximum(pieces, 1).astype(rows.dtype)[:, None]


def _added(rows: np.ndarray, word_of_piece: Any, side: str) -> tuple[np.ndarray, np.ndarray]:
    """Sums (words, columns) out of (pieces, columns), and the number of pieces of each word, (words,)."""
    word = np.asarray(word_of_piece, dtype=np.int64)
    if word.shape != (rows.shape[0],) or bool((word < -1).any()):
        raise AlignmentRangeError(
            f"expected one word number, or -1, for each of {rows.shape[0]} {side} pieces; got {word.tolist()}"
        )
    kept = word >= 0
    pieces = np.bincount(word[kept])
    result = np.zeros((len(pieces), rows.shape[1]), dtype=rows.dtype)
    np.add.at(result, word[kept], rows[kept])
    return result, pieces


def _matrix(values: Any, name: str) -> np.ndarray:
    """Two-dimensional array of float32 or float64; halves and integers become float32."""
    matrix = np.asarray(values)
    if matrix.dtype not in (np.float32, np.float64):
        matrix = matrix.astype(np.float32)
    if matrix.ndim != 2:
        raise GuidedAlignError(f"expected {name} with two axes; got shape {matrix.shape}")
    if not bool(np.isfinite(matrix).all()):
        bad = int((~np.isfinite(matrix)).sum())
        raise GuidedAlignError(f"expected finite numbers in {name}; got {bad} of {matrix.size} infinite or NaN")
    return matrix


def _column(null_column: int | None, matrix: np.ndarray) -> int:
    """Number of the null column from 0; -1 for none."""
    if null_column is None:
        return -1
    columns = matrix.shape[1]
    if not -columns <= null_column < columns:
        raise AlignmentRangeError(f"expected a null column in [-{columns}, {columns}); got {null_column}")
    return null_column % columns


def _hard(source: np.ndarray, target: np.ndarray) -> SentenceLinks:
    """Plain links; ``target`` ascending without repetition."""
    n = len(target)
    return SentenceLinks(source.astype(np.int32), target.astype(np.int32), np.ones(n, np.float32), np.ones(n, bool))
