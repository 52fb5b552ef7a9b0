"""Which subword pieces spell which words, by the characters of both.

Whitespace and the marks of the pieces (``▁``, ``@@``) are left out on both sides; where the same characters remain,
their positions say which pieces and words overlap, whatever separated them. So the words may have been tokenised
otherwise than the text of the pieces, also in scripts without spaces. Where a normaliser changed characters, they
are compared after Unicode normalisation, or the SentencePiece model itself is asked for the position of each piece.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Optional

import numpy as np

from fairseq_guided_align.byte_lines import count_line_feeds
from fairseq_guided_align.errors import AlignmentLengthError, GuidedAlignError, SubwordMismatchError
from fairseq_guided_align.subwords import CONTINUATION, KINDS, SPACE_MARK, WordPieces

SurfacesOf = Callable[[str, Sequence[str]], Optional[Sequence[str]]]
"""Asked for a line of words and its pieces: the part of the line that each piece stands for, or None."""

_BYTE_PIECE = re.compile(r"<0x([0-9A-F]{2})>")
_MARK_BYTES = SPACE_MARK.encode()


def split_words(line: str) -> list[str]:
    """The words of a line: what ASCII whitespace separates."""
    return [word.decode() for word in line.encode().split()]


def match_sentence(
    words: Sequence[str], pieces: Sequence[str], kind: str, surfaces_of: Optional[SurfacesOf] = None
) -> WordPieces:
    """Which pieces spell each word of one sentence.

    :param kind: one of ``subwords.KINDS``.
    :param surfaces_of: what to ask where the characters differ.
    :raises SubwordMismatchError: words and pieces do not spell the same; the message shows the first difference.
    :raises GuidedAlignError: another kind.
    """
    if kind not in KINDS:
        raise GuidedAlignError(f"expected a kind of subwords out of {', '.join(KINDS)}; got {kind!r}")
    if kind == "words" and list(words) == list(pieces):
        return WordPieces.of_words(np.array([len(words)]))
    if kind == "bpe":
        walked = _walk_bpe(words, pieces)
        if walked is not None:
            return walked
    spelt = [_without_marks(piece, kind) for piece in pieces]
    lengths = _agreeing_lengths(words, pieces, spelt, kind, (_same, _normalized))
    if lengths is None and surfaces_of is not None:
        surfaces = surfaces_of(" ".join(words), pieces)
        if surfaces is not None:
            lengths = _lengths_of_surfaces(words, surfaces)
    if lengths is None:
        # These leave characters out, so that a word of nothing else would lose its pieces: the model knows better.
        lengths = _agreeing_lengths(words, pieces, spelt, kind, (_visible, _folded))
    if lengths is None:
        raise SubwordMismatchError(_difference("".join(_letters(word, kind) for word in words), "".join(spelt)))
    word_lengths, piece_starts, piece_ends = lengths
    has_text = np.array([bool(text) for text in spelt], bool)
    return _from_spans(
        np.array([0, len(words)], np.int64),
        np.cumsum(word_lengths),
        np.array([0, len(pieces)], np.int64),
        piece_starts,
        piece_ends,
        has_text,
    )


def match_lines(
    words: bytes,
    pieces: bytes,
    kind: str,
    surfaces_of: Optional[SurfacesOf] = None,
    on_mismatch: Optional[Callable[[int, str], None]] = None,
) -> WordPieces:
    """Which pieces spell each word, for many sentences: whole lines of both, UTF-8.

    :param words: lines of words; the last may lack its line feed.
    :param pieces: as many lines of pieces.
    :param on_mismatch: called with the line's index, from 0, and the difference; the words of such a line are then
        taken to have no pieces. When None, the first mismatch is an error.
    :raises AlignmentLengthError: another number of lines.
    :raises SubwordMismatchError: as :func:`match_sentence`, without ``on_mismatch``.
    """
    words, pieces = _ended(words), _ended(pieces)
    lines, piece_lines = count_line_feeds(words), count_line_feeds(pieces)
    if lines != piece_lines:
        raise AlignmentLengthError(f"expected {lines} lines of pieces, as of words; got {piece_lines}")
    if kind not in KINDS:
        raise GuidedAlignError(f"expected a kind of subwords out of {', '.join(KINDS)}; got {kind!r}")
    for match_all in (_match_same_words, _match_same_bytes):
        at_once = match_all(words, pieces, kind)
        if at_once is not None:
            return at_once
    return _match_by_line(words.split(b"\n")[:-1], pieces.split(b"\n")[:-1], kind, surfaces_of, on_mismatch)


def _ended(block: bytes) -> bytes:
    if b"\r" in block:
        block = block.replace(b"\r\n", b"\n")
    return block if block.endswith(b"\n") or not block else block + b"\n"


def _match_by_line(
    words: list[bytes],
    pieces: list[bytes],
    kind: str,
    surfaces_of: Optional[SurfacesOf],
    on_mismatch: Optional[Callable[[int, str], None]],
) -> WordPieces:
    """Sorts the lines into those that spell the same bytes, those that do after NFKC, and all others."""
    same: list[int] = []
    normalized: list[int] = []
    others: list[int] = []
    word_lines = list(words)
    for index, (word_line, piece_line) in enumerate(zip(words, pieces)):
        spelt = _line_without_marks(piece_line, kind)
        if (
            _has_rare_space(word_line)
            or _has_rare_space(piece_line)
            or (kind == "sentencepiece" and _MARK_BYTES in word_line)
        ):
            others.append(index)
        elif b"".join(word_line.split()) == spelt:
            same.append(index)
        else:
            changed = _nfkc(word_line)
            if changed is not None and b"".join(changed.split()) == spelt:
                word_lines[index] = changed
                normalized.append(index)
            else:
                others.append(index)
    parts: list[WordPieces] = []
    order: list[int] = []
    together = same + normalized
    if together:
        found = _match_same_bytes(
            b"\n".join([word_lines[i] for i in together] + [b""]),
            b"\n".join([pieces[i] for i in together] + [b""]),
            kind,
        )
        if found is None:
            others = sorted(others + together)
        else:
            parts.append(found)
            order.extend(together)
    for index in others:
        line_words, line_pieces = words[index].decode(errors="replace"), pieces[index].decode(errors="replace")
        try:
            part = match_sentence(split_words(line_words), line_pieces.split(), kind, surfaces_of)
        except SubwordMismatchError as error:
            if on_mismatch is None:
                raise
            on_mismatch(index, str(error))
            count = len(split_words(line_words))
            nothing = np.zeros(count, np.int64)
            part = WordPieces(np.array([0, count]), np.array([len(line_pieces.split())]), nothing, nothing, nothing)
        parts.append(part)
        order.append(index)
    back = np.empty(len(order), np.int64)
    back[order] = np.arange(len(order))
    return WordPieces.concatenated(parts).select(back)


# --- many lines at once ----------------------------------------------------------------------------------------

_SPACES = b"\t\n\v\f\r "
_SEPARATORS = (b"\t", b"\v", b"\f", b"\r")
_IS_SPACE = np.zeros(256, bool)
_IS_SPACE[list(_SPACES)] = True


def _match_same_words(words: bytes, pieces: bytes, kind: str) -> Optional[WordPieces]:
    """All lines at once if joining the pieces gives the lines of words, space for space; else None."""
    marks, expected = 0, words
    if kind == "sentencepiece":
        # Marking the words is faster than taking the marks off the pieces.
        expected, marks = _marked_lines(words)
        joined = pieces.translate(None, b" ")
    elif kind == "bpe":
        if b"@@  " in pieces:
            return None
        joined = pieces.replace(b"@@ ", b"")
    else:
        joined = pieces
    if joined != expected or any(space in words for space in _SEPARATORS) or _has_rare_space(words):
        return None
    text = np.frombuffer(pieces, np.uint8)
    starts, ends = _tokens(text)
    piece_offsets = _offsets(starts, np.flatnonzero(text == ord("\n")))
    counts = np.diff(piece_offsets)
    first_of_line = piece_offsets[:-1][counts > 0]
    begins = np.ones(len(starts), bool)
    if kind == "sentencepiece":
        begins = text[starts] == _MARK_BYTES[0]
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
        lone = (ends[start] - starts[start] == len(_MARK_BYTES)) & (text[starts[start]] == _MARK_BYTES[0])
        lone[lone] = _marked(text, starts[start[lone]])
        if not (count[lone] > 1).all():
            return None  # more than one space in a row, or at a line's end
        first = start + lone
    word_offsets = np.searchsorted(start, piece_offsets)
    sentence_start = np.repeat(piece_offsets[:-1], np.diff(word_offsets))
    return WordPieces(word_offsets, counts, start - sentence_start, count, first - sentence_start)


def _marked_lines(words: bytes) -> tuple[bytes, int]:
    """``▁`` before each line and for each space, none in empty lines; and the number of them."""
    marked = words[:-1].replace(b" ", _MARK_BYTES).replace(b"\n", b"\n" + _MARK_BYTES)
    marked = b"\n" + _MARK_BYTES + marked + b"\n"
    if b"\n\n" in words or words.startswith(b"\n"):
        for _ in range(2):  # neighbouring empty lines share a line feed
            marked = marked.replace(b"\n" + _MARK_BYTES + b"\n", b"\n\n")
    return marked[1:], (len(marked) - 1 - len(words) + words.count(b" ")) // len(_MARK_BYTES)


def _match_same_bytes(words: bytes, pieces: bytes, kind: str) -> Optional[WordPieces]:
    """All lines at once if, marks and whitespace apart, each spells the same bytes on both sides; else None."""
    spelt = pieces
    if kind == "sentencepiece":
        spelt = pieces.replace(_MARK_BYTES, b"")
    elif kind == "bpe":
        spelt = pieces.replace(b"@@ ", b" ").replace(b"@@\n", b"\n")
    if words.translate(None, _SPACES) != spelt.translate(None, _SPACES):
        return None
    if (kind == "sentencepiece" and _MARK_BYTES in words) or _has_rare_space(words):
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
    return _from_spans(word_offsets, last_letters, piece_offsets, ends - lengths, ends, lengths > 0)


def _mark_lengths(text: np.ndarray, starts: np.ndarray, ends: np.ndarray, kind: str) -> np.ndarray:
    """(pieces,) bytes of each piece that are ``▁``, or ``@@`` at its end."""
    if kind == "sentencepiece":
        first = np.flatnonzero(text == _MARK_BYTES[0])
        first = first[_marked(text, first)]
        return len(_MARK_BYTES) * (np.searchsorted(first, ends) - np.searchsorted(first, starts))
    if kind == "bpe":
        return _continuation_lengths(text, starts, ends)
    return np.zeros(len(starts), np.int64)


def _marked(text: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Whether the byte at each position, known to be the first of ``▁``, is followed by its other two."""
    last = len(text) - 1
    second, third = np.minimum(positions + 1, last), np.minimum(positions + 2, last)
    return (text[second] == _MARK_BYTES[1]) & (text[third] == _MARK_BYTES[2])


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


def _from_spans(
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


# --- one line whose text the pieces spell otherwise ------------------------------------------------------------


def _letters(text: str, kind: str) -> str:
    """The text without whitespace, of which ``▁`` is a kind for SentencePiece."""
    return "".join((text.replace(SPACE_MARK, " ") if kind == "sentencepiece" else text).split())


def _without_marks(piece: str, kind: str) -> str:
    if kind == "sentencepiece":
        return _letters(piece, kind)
    if kind == "bpe" and piece.endswith(CONTINUATION):
        return piece[: -len(CONTINUATION)]
    return piece


def _line_without_marks(line: bytes, kind: str) -> bytes:
    if kind == "sentencepiece":
        return b"".join(line.replace(_MARK_BYTES, b" ").split())
    if kind == "bpe":
        return b"".join(token[:-2] if token.endswith(b"@@") else token for token in line.split())
    return b"".join(line.split())


_RARE_FIXED = [space.encode() for space in "\x1c\x1d\x1e\x1f\u0085\u00a0\u1680\u205f\u3000"]
_RARE_E280 = re.compile(rb"\xe2\x80[\x80-\x8a\xa8\xa9\xaf]")


def _has_rare_space(text: bytes) -> bool:
    """Whether there is whitespace that separates tokens for fairseq but not words for aligners."""
    # One byte is found ten times faster than three, and three many times faster than by any expression.
    return any(space[:1] in text and space in text for space in _RARE_FIXED) or (
        b"\xe2" in text and _RARE_E280.search(text) is not None
    )


def _nfkc(line: bytes) -> Optional[bytes]:
    """The line in Unicode's NFKC, or None where that moves the borders of words."""
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return None
    changed = unicodedata.normalize("NFKC", text).encode()
    return changed if changed.count(b" ") == line.count(b" ") and not _has_rare_space(changed) else None


def _walk_bpe(words: Sequence[str], pieces: Sequence[str]) -> Optional[WordPieces]:
    """Pieces of each word in turn, which also understands words that themselves end in ``@@``; None if they differ."""
    counts = []
    position = 0
    for word in words:
        rest, begun = word, position
        while rest:
            if position == len(pieces):
                return None
            piece = pieces[position]
            position += 1
            if piece == rest:
                break
            text = _without_marks(piece, "bpe")
            if text is piece or not text or not rest.startswith(text) or rest == text:
                return None
            rest = rest[len(text) :]
        counts.append(position - begun)
    if position != len(pieces):
        return None
    count = np.array(counts, np.int64)
    start = np.cumsum(count) - count
    return WordPieces(np.array([0, len(words)]), np.array([len(pieces)]), start, count, start)


Lengths = tuple[np.ndarray, np.ndarray, np.ndarray]
"""(words,) letters of each word; (pieces,) first letter of each piece; (pieces,) the letter after its last."""


def _same(text: str) -> str:
    return text


def _normalized(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).split())


def _visible(text: str) -> str:
    """Without control and format characters, such as zero-width spaces, most of which SentencePiece leaves out."""
    return "".join(letter for letter in _normalized(text) if unicodedata.category(letter) not in ("Cc", "Cf"))


def _folded(text: str) -> str:
    return _visible(unicodedata.normalize("NFKC", text).casefold())


def _agreeing_lengths(
    words: Sequence[str],
    pieces: Sequence[str],
    spelt: Sequence[str],
    kind: str,
    changes: Sequence[Callable[[str], str]],
) -> Optional[Lengths]:
    """Positions of words and pieces under the first way of comparing in which both spell the same, if any does."""
    letters = [_letters(word, kind) for word in words]
    decoded = _decode_bytes(pieces) if kind == "sentencepiece" else None
    for change in changes:
        word_texts = [change(word) for word in letters]
        word_text = "".join(word_texts)
        piece_texts = [change(text) for text in spelt]
        if word_text == "".join(piece_texts):
            ends = np.cumsum([len(text) for text in piece_texts] or [0])[: len(pieces)]
            starts = ends - np.array([len(text) for text in piece_texts], np.int64)
            return np.array([len(text) for text in word_texts], np.int64), starts, ends
        if decoded is not None:
            texts, owner = decoded
            piece_texts = [change(text) for text in texts]
            if word_text == "".join(piece_texts):
                ends = np.cumsum([len(text) for text in piece_texts])
                starts = ends - np.array([len(text) for text in piece_texts], np.int64)
                return np.array([len(text) for text in word_texts], np.int64), starts[owner], ends[owner]
    return None


def _decode_bytes(pieces: Sequence[str]) -> Optional[tuple[list[str], np.ndarray]]:
    """Texts in which runs of byte pieces, ``<0xE4>``, are characters again; and which text each piece is part of.

    None where no piece is a byte, or the bytes are no UTF-8.
    """
    if not any(_BYTE_PIECE.fullmatch(piece) for piece in pieces):
        return None
    texts: list[str] = []
    owner: list[int] = []
    pending = b""
    for piece in pieces:
        match = _BYTE_PIECE.fullmatch(piece)
        if match is None:
            if pending:
                return None
            texts.append(_without_marks(piece, "sentencepiece"))
            owner.append(len(texts) - 1)
            continue
        pending += bytes([int(match.group(1), 16)])
        owner.append(len(texts))
        try:
            texts.append(_without_marks(pending.decode(), "sentencepiece"))
        except UnicodeDecodeError:
            if len(pending) >= 4:
                return None
        else:
            pending = b""
    return None if pending else (texts, np.array(owner, np.int64))


def _lengths_of_surfaces(words: Sequence[str], surfaces: Sequence[str]) -> Optional[Lengths]:
    """Positions from the parts of the line that the pieces stand for; None if they are not parts of it in order."""
    line = " ".join(words)
    letter = np.array([character != " " for character in line], bool)
    at = np.append(0, np.cumsum(letter))
    starts, ends = np.empty(len(surfaces), np.int64), np.empty(len(surfaces), np.int64)
    position = 0
    for index, surface in enumerate(surfaces):
        found = line.find(surface, position)
        if found < 0:
            return None
        starts[index], ends[index] = at[found], at[found + len(surface)]
        position = found + len(surface)
    return np.array([len(word) for word in words], np.int64), starts, ends


def _difference(words: str, pieces: str) -> str:
    position = next(
        (index for index, (one, other) in enumerate(zip(words, pieces)) if one != other),
        min(len(words), len(pieces)),
    )
    return (
        f"expected pieces that spell the words; they differ at letter {position + 1} (whitespace not counted):"
        f" the words go on {_excerpt(words, position)}, the pieces {_excerpt(pieces, position)}"
    )


def _excerpt(text: str, position: int) -> str:
    rest = text[position : position + 20]
    return repr(rest + ("..." if len(text) > position + 20 else "")) if rest else "no further"
