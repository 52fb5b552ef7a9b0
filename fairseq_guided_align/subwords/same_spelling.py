"""Which pieces spell which words of many lines at once, where words and pieces have the same bytes.

Array operations on whole blocks of text, which match most lines of a corpus; ``spelling.py`` matches the others.
:func:`match_same_words` takes half the time of :func:`match_same_bytes`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fairseq_guided_align.links.words import has_rare_space
from fairseq_guided_align.subwords.pieces import SPACE_MARK
from fairseq_guided_align.subwords.word_pieces import WordPieces

_SPACES = b"\t\n\v\f\r "
_IS_SPACE = np.zeros(256, bool)
_IS_SPACE[list(_SPACES)] = True

_MARK = b"\xff"
"""Stands for ``▁`` and for the ``@@`` of a piece that goes on: no byte of UTF-8 text."""
_MARK_TO_SPACE = bytes.maketrans(_MARK, b" ")


def letters_of_words(words: bytes) -> bytes:
    """Text without ASCII white space."""
    return words.translate(None, _SPACES)


def letters_of_pieces(pieces: bytes, kind: str) -> bytes | None:
    """Lines of pieces without white space and marks; None where a lone ``@@`` or no UTF-8 is among them."""
    marked = _with_marks(pieces, kind)
    return None if marked is None else marked.translate(None, _SPACES + _MARK)


def match_same_words(words: bytes, pieces: bytes, kind: str) -> WordPieces | None:
    """All lines at once if joining the pieces gives the lines of words, space for space; else None.

    :param words: lines, each ended by a line feed.
    :param pieces: as many lines.
    :param kind: one of ``pieces.SUBWORD_KINDS``.
    """
    marked = _with_marks(pieces, kind)
    if marked is None or _joined(marked, kind) != words:
        return None
    if _has_tabs(words) or has_rare_space(words):
        return None
    text, starts, ends, offsets = _tokens(marked)
    counts = np.diff(offsets)
    begins = np.ones(len(starts), bool)
    if kind == "sentencepiece":
        begins = text[starts] == _MARK[0]
        if np.count_nonzero(begins) != marked.count(_MARK):
            return None
    elif kind == "bpe":
        begins[1:] = text[ends[:-1] - 1] != _MARK[0]
    begins[offsets[:-1][counts > 0]] = True
    start = np.flatnonzero(begins)
    count = np.diff(start, append=len(starts))
    lone = np.zeros(len(start), bool)
    if kind == "sentencepiece":
        lone = (ends[start] - starts[start] == 1) & (text[starts[start]] == _MARK[0])
        if not (count[lone] > 1).all():
            return None  # More than one space in a row, or at a line's end
    return _of_sentences(np.searchsorted(start, offsets), offsets, start, count, start + lone)


def match_same_bytes(words: bytes, pieces: bytes, kind: str) -> WordPieces | None:
    """All lines at once if, marks and white space apart, each spells the same bytes on both sides; else None.

    Parameters are those of :func:`match_same_words`.
    """
    marked = _with_marks(pieces, kind)
    if marked is None or letters_of_words(words) != marked.translate(None, _SPACES + _MARK) or has_rare_space(words):
        return None
    of_words, of_pieces = _tokens(words), _tokens(marked)
    word_ends = np.cumsum(of_words.ends - of_words.starts)
    marks_before = np.append(0, np.cumsum(of_pieces.text == _MARK[0]))
    lengths = of_pieces.ends - of_pieces.starts - marks_before[of_pieces.ends] + marks_before[of_pieces.starts]
    piece_ends = np.cumsum(lengths)
    word_letters, piece_letters = np.append(0, word_ends), np.append(0, piece_ends)
    if not np.array_equal(word_letters[of_words.offsets], piece_letters[of_pieces.offsets]):
        return None
    return words_from_spans(
        of_words.offsets, word_ends, of_pieces.offsets, piece_ends - lengths, piece_ends, lengths > 0
    )


def _has_tabs(lines: bytes) -> bool:
    """Whether there is ASCII white space besides spaces and line feeds."""
    return any(space in lines for space in (b"\t", b"\v", b"\f", b"\r"))


def has_lone_mark(pieces: bytes) -> bool:
    """Whether a piece is nothing but ``@@``, which is text then, not a mark.

    :param pieces: lines, each ended by a line feed.
    """
    return (
        b" @@ " in pieces
        or b" @@\n" in pieces
        or b"\n@@ " in pieces
        or b"\n@@\n" in pieces
        or pieces.startswith((b"@@ ", b"@@\n"))
    )


def words_from_spans(
    word_offsets: np.ndarray,
    word_ends: np.ndarray,
    piece_offsets: np.ndarray,
    piece_starts: np.ndarray,
    piece_ends: np.ndarray,
    has_text: np.ndarray,
) -> WordPieces:
    """Overlap of words and pieces that lie one after the other on one line of letters.

    :param word_ends: (words,) where each word ends and the next begins.
    :param piece_starts: (pieces,) not decreasing. A piece without letters belongs to the word of the next letter.
    :param piece_ends: (pieces,) not decreasing, not below ``piece_starts``.
    :param has_text: (pieces,) bool.
    """
    word_starts = np.append(0, word_ends[:-1])[: len(word_ends)]
    start = np.searchsorted(np.maximum(piece_ends, piece_starts + 1), word_starts, side="right")
    # A piece without letters at the end of a line belongs to no word of the next line.
    start = np.maximum(start, np.repeat(piece_offsets[:-1], np.diff(word_offsets)))
    count = np.searchsorted(piece_starts, word_ends) - start
    count[word_starts == word_ends] = 0
    with_text = np.flatnonzero(has_text)
    first = np.append(with_text, len(has_text))[np.searchsorted(with_text, start)]
    return _of_sentences(word_offsets, piece_offsets, start, count, np.where(first < start + count, first, start))


def _of_sentences(
    word_offsets: np.ndarray, piece_offsets: np.ndarray, start: np.ndarray, count: np.ndarray, first: np.ndarray
) -> WordPieces:
    """:param start, first: pieces, counted from the start of the block."""
    before = np.repeat(piece_offsets[:-1], np.diff(word_offsets))
    return WordPieces(word_offsets, np.diff(piece_offsets), start - before, count, first - before)


def _with_marks(pieces: bytes, kind: str) -> bytes | None:
    """Lines of pieces in which one byte stands for each mark; None where it cannot."""
    if _MARK in pieces or (kind == "bpe" and (_has_tabs(pieces) or has_lone_mark(pieces))):
        return None
    if kind == "sentencepiece":
        return pieces.replace(SPACE_MARK.encode(), _MARK)
    return pieces.replace(b"@@ ", _MARK + b" ").replace(b"@@\n", _MARK + b"\n") if kind == "bpe" else pieces


def _joined(marked: bytes, kind: str) -> bytes:
    """The text of the pieces, space for space."""
    if kind == "sentencepiece":
        lines = marked.translate(_MARK_TO_SPACE, b" ").split(b"\n")
        return b"\n".join([line.removeprefix(b" ") for line in lines])
    return marked.replace(_MARK + b" ", b"") if kind == "bpe" and _MARK + b"  " not in marked else marked


class _Tokens(NamedTuple):
    """:param starts: (tokens,) first byte of each.
    :param ends: (tokens,) the byte after its last.
    :param offsets: (lines + 1,) the tokens of line i are offsets[i] to offsets[i + 1].
    """

    text: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    offsets: np.ndarray


def _tokens(lines: bytes) -> _Tokens:
    text = np.frombuffer(lines, np.uint8)
    padded = np.ones(len(text) + 2, bool)
    space = padded[1:-1]
    np.less_equal(text, ord(" "), out=space)
    if np.count_nonzero(space) != np.count_nonzero(text == ord(" ")) + np.count_nonzero(text == ord("\n")):
        np.take(_IS_SPACE, text, out=space)  # Several times slower than comparing
    edges = np.flatnonzero(padded[1:] != padded[:-1])
    starts = edges[0::2]
    return _Tokens(text, starts, edges[1::2], np.append(0, np.searchsorted(starts, np.flatnonzero(text == ord("\n")))))
