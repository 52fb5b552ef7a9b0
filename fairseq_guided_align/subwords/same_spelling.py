"""Which pieces spell which words of many lines at once, where words and pieces have the same bytes.

Array operations on whole blocks of text: what most lines of a corpus take. ``spelling.py`` sees to the others.
"""

from __future__ import annotations

from typing import Optional

import numpy as np

from fairseq_guided_align.links.words import has_rare_space
from fairseq_guided_align.subwords.conversion import CONTINUATION, SPACE_MARK, WordPieces

MARK_BYTES = SPACE_MARK.encode()

_SPACES = b"\t\n\v\f\r "
_SEPARATORS = (b"\t", b"\v", b"\f", b"\r")
_IS_SPACE = np.zeros(256, bool)
_IS_SPACE[list(_SPACES)] = True


def match_same_words(words: bytes, pieces: bytes, kind: str) -> Optional[WordPieces]:
    """All lines at once if joining the pieces gives the lines of words, space for space; else None."""
    marks, expected = 0, words
    if kind == "sentencepiece":
        # Marking the words is faster than taking the marks off the pieces.
        expected, marks = _marked_lines(words)
        joined = pieces.translate(None, b" ")
    elif kind == "bpe":
        if b"@@  " in pieces or has_lone_mark(pieces):
            return None
        joined = pieces.replace(b"@@ ", b"")
    else:
        joined = pieces
    if joined != expected or any(space in words for space in _SEPARATORS) or has_rare_space(words):
        return None
    text = np.frombuffer(pieces, np.uint8)
    starts, ends = _tokens(text)
    piece_offsets = _offsets(starts, np.flatnonzero(text == ord("\n")))
    counts = np.diff(piece_offsets)
    first_of_line = piece_offsets[:-1][counts > 0]
    begins = np.ones(len(starts), bool)
    if kind == "sentencepiece":
        begins = text[starts] == MARK_BYTES[0]
        begins[begins] = _marked(text, starts[begins])
        if np.count_nonzero(begins) != marks:
            return None
    elif kind == "bpe":
        begins[1:] = _continuation_lengths(text, starts, ends)[:-1] == 0
    begins[first_of_line] = True
    start = np.flatnonzero(begins)
    count = np.diff(start, append=len(starts))
    first = start
    if kind == "sentencepiece":
        lone = (ends[start] - starts[start] == len(MARK_BYTES)) & (text[starts[start]] == MARK_BYTES[0])
        lone[lone] = _marked(text, starts[start[lone]])
        if not (count[lone] > 1).all():
            return None  # more than one space in a row, or at a line's end
        first = start + lone
    word_offsets = np.searchsorted(start, piece_offsets)
    sentence_start = np.repeat(piece_offsets[:-1], np.diff(word_offsets))
    return WordPieces(word_offsets, counts, start - sentence_start, count, first - sentence_start)


def _marked_lines(words: bytes) -> tuple[bytes, int]:
    """``▁`` before each line and for each space, none in empty lines; and the number of them."""
    marked = words[:-1].replace(b" ", MARK_BYTES).replace(b"\n", b"\n" + MARK_BYTES)
    marked = b"\n" + MARK_BYTES + marked + b"\n"
    if b"\n\n" in words or words.startswith(b"\n"):
        for _ in range(2):  # neighbouring empty lines share a line feed
            marked = marked.replace(b"\n" + MARK_BYTES + b"\n", b"\n\n")
    return marked[1:], (len(marked) - 1 - len(words) + words.count(b" ")) // len(MARK_BYTES)


def match_same_bytes(words: bytes, pieces: bytes, kind: str) -> Optional[WordPieces]:
    """All lines at once if, marks and whitespace apart, each spells the same bytes on both sides; else None."""
    spelt = pieces
    if kind == "sentencepiece":
        spelt = pieces.replace(MARK_BYTES, b"")
    elif kind == "bpe":
        if has_lone_mark(pieces):
            return None
        spelt = pieces.replace(b"@@ ", b" ").replace(b"@@\n", b"\n")
    if words.translate(None, _SPACES) != spelt.translate(None, _SPACES):
        return None
    if (kind == "sentencepiece" and MARK_BYTES in words) or has_rare_space(words):
        return None
    word_text, piece_text = np.frombuffer(words, np.uint8), np.frombuffer(pieces, np.uint8)
    word_starts, word_ends = _tokens(word_text)
    piece_starts, piece_ends = _tokens(piece_text)
    word_offsets = _offsets(word_starts, np.flatnonzero(word_text == ord("\n")))
    piece_offsets = _offsets(piece_starts, np.flatnonzero(piece_text == ord("\n")))
    last_letters = np.cumsum(word_ends - word_starts)
    lengths = piece_ends - piece_starts - _mark_lengths(piece_text, piece_starts, piece_ends, kind)
    ends = np.cumsum(lengths)
    if not np.array_equal(_before(last_letters, word_offsets), _before(ends, piece_offsets)):
        return None
    return words_from_spans(word_offsets, last_letters, piece_offsets, ends - lengths, ends, lengths > 0)


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


def _mark_lengths(text: np.ndarray, starts: np.ndarray, ends: np.ndarray, kind: str) -> np.ndarray:
    """(pieces,) bytes of each piece that are ``▁``, or ``@@`` at its end."""
    if kind == "sentencepiece":
        first = np.flatnonzero(text == MARK_BYTES[0])
        first = first[_marked(text, first)]
        return len(MARK_BYTES) * (np.searchsorted(first, ends) - np.searchsorted(first, starts))
    if kind == "bpe":
        return _continuation_lengths(text, starts, ends)
    return np.zeros(len(starts), np.int64)


def _marked(text: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Whether the byte at each position, known to be the first of ``▁``, is followed by its other two."""
    last = len(text) - 1
    second, third = np.minimum(positions + 1, last), np.minimum(positions + 2, last)
    return (text[second] == MARK_BYTES[1]) & (text[third] == MARK_BYTES[2])


def _continuation_lengths(text: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    long_enough = ends - starts >= len(CONTINUATION)
    return len(CONTINUATION) * (long_enough & (text[ends - 1] == ord("@")) & (text[ends - 2] == ord("@")))


def _tokens(text: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First byte of each token, and the byte after its last."""
    padded = np.ones(len(text) + 2, bool)
    space = padded[1:-1]
    np.less_equal(text, ord(" "), out=space)
    if np.count_nonzero(space) != np.count_nonzero(text == ord(" ")) + np.count_nonzero(text == ord("\n")):
        np.take(_IS_SPACE, text, out=space)  # several times slower than comparing
    edges = np.flatnonzero(padded[1:] != padded[:-1])
    return edges[0::2], edges[1::2]


def _before(ends: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Letters before each sentence's first token, and in all."""
    return np.append(0, ends)[offsets]


def _offsets(starts: np.ndarray, line_ends: np.ndarray) -> np.ndarray:
    offsets = np.zeros(len(line_ends) + 1, np.int64)
    offsets[1:] = np.searchsorted(starts, line_ends)
    return offsets


def words_from_spans(
    word_offsets: np.ndarray,
    word_ends: np.ndarray,
    piece_offsets: np.ndarray,
    piece_starts: np.ndarray,
    piece_ends: np.ndarray,
    has_text: np.ndarray,
) -> WordPieces:
    """Overlap of words and pieces that lie one after the other on one line of letters.

    :param word_ends: (words,) where each word ends and the next begins; word k holds the letters before it.
    :param piece_starts: (pieces,) not decreasing. A piece without letters belongs to the word of the next letter.
    :param piece_ends: (pieces,) not decreasing, not below ``piece_starts``.
    """
    letters = int(word_ends[-1]) if len(word_ends) else 0
    word_count, piece_count = len(word_ends), len(piece_starts)
    # A word without letters ends where the one before it ends: it holds no letter, so no piece.
    word_at = np.cumsum(np.bincount(word_ends, minlength=letters + 1))
    first_word = word_at[piece_starts]
    last_word = np.where(piece_ends > piece_starts, word_at[piece_ends - 1], first_word)
    counts = np.diff(piece_offsets)
    belongs = np.flatnonzero(first_word < np.repeat(word_offsets[1:], counts))
    if len(belongs) < piece_count:
        first_word, last_word = first_word[belongs], last_word[belongs]
    start = np.cumsum(np.bincount(last_word, minlength=word_count)) - np.bincount(last_word, minlength=word_count)
    count = np.cumsum(np.bincount(first_word, minlength=word_count)) - start
    if len(word_ends) and not np.all(np.diff(word_ends, prepend=0) > 0):
        count[np.diff(word_ends, prepend=0) == 0] = 0
    if len(belongs) < piece_count:
        start = np.append(belongs, 0)[start]
    following = np.minimum.accumulate(
        np.append(np.where(has_text, np.arange(piece_count), piece_count), piece_count)[::-1]
    )
    first = following[::-1][start]
    first = np.where(first < start + count, first, start)
    sentence_start = np.repeat(piece_offsets[:-1], np.diff(word_offsets))
    return WordPieces(word_offsets, counts, start - sentence_start, count, first - sentence_start)
