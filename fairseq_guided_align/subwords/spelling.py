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

from fairseq_guided_align.errors import AlignmentLengthError, GuidedAlignError, SubwordMismatchError
from fairseq_guided_align.files.byte_lines import count_line_feeds
from fairseq_guided_align.links.words import has_rare_space, split_words
from fairseq_guided_align.subwords.conversion import CONTINUATION, KINDS, SPACE_MARK, WordPieces, goes_on
from fairseq_guided_align.subwords.same_spelling import (
    MARK_BYTES,
    has_lone_mark,
    match_same_bytes,
    match_same_words,
    words_from_spans,
)

SurfacesOf = Callable[[str, Sequence[str]], Optional[Sequence[str]]]
"""Asked for a line of words and its pieces: the part of the line that each piece stands for, or None."""

_ESCAPED = re.compile(r"&(?:#\d+|[a-z]+);|@[-/]@")
"""What Moses' tokenizer makes of ``'`` (``&apos;``) and others, and of a hyphen within a word (``@-@``)."""

_BYTE_PIECE = re.compile(r"<0x([0-9A-F]{2})>")


def match_sentence(
    words: Sequence[str], pieces: Sequence[str], kind: str, surfaces_of: Optional[SurfacesOf] = None
) -> WordPieces:
    """Which pieces spell each word of one sentence.

    :param kind: one of ``subwords.conversion.KINDS``.
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
    lengths = _agreeing_lengths(words, pieces, spelt, kind, (_same, _normalized, _casefolded))
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
    return words_from_spans(
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

    :param words: lines of words, separated by ASCII white space (``words.separated`` sees to that); the last may lack
        its line feed.
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
    for match_all in (match_same_words, match_same_bytes):
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
            has_rare_space(word_line)
            or has_rare_space(piece_line)
            or (kind == "sentencepiece" and MARK_BYTES in word_line)
            or (kind == "bpe" and has_lone_mark(piece_line + b"\n"))
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
        found = match_same_bytes(
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


# --- one line whose text the pieces spell otherwise ------------------------------------------------------------


def _letters(text: str, kind: str) -> str:
    """The text without whitespace, of which ``▁`` is a kind for SentencePiece."""
    return "".join((text.replace(SPACE_MARK, " ") if kind == "sentencepiece" else text).split())


def _without_marks(piece: str, kind: str) -> str:
    if kind == "sentencepiece":
        return _letters(piece, kind)
    if kind == "bpe" and goes_on(piece):
        return piece[: -len(CONTINUATION)]
    return piece


def _line_without_marks(line: bytes, kind: str) -> bytes:
    if kind == "sentencepiece":
        return b"".join(line.replace(MARK_BYTES, b" ").split())
    if kind == "bpe":
        return b"".join(token[:-2] if token.endswith(b"@@") and token != b"@@" else token for token in line.split())
    return b"".join(line.split())


def _nfkc(line: bytes) -> Optional[bytes]:
    """The line in Unicode's NFKC, or None where that moves the borders of words."""
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return None
    changed = unicodedata.normalize("NFKC", text).encode()
    return changed if changed.count(b" ") == line.count(b" ") and not has_rare_space(changed) else None


def _walk_bpe(words: Sequence[str], pieces: Sequence[str]) -> Optional[WordPieces]:
    """Pieces of each word in turn; None if they differ.

    It also understands words that themselves end in ``@@``, and white space within words, at which fairseq splits
    pieces, so that nothing but its mark may be left of one.
    """
    counts = []
    position = 0
    for word in words:
        begun = position
        parts = word.split()
        for number, part in enumerate(parts):
            if number or word[0].isspace():
                position = _after_lone_marks(pieces, position, part)
            space_follows = number < len(parts) - 1 or word[-1].isspace()
            ended = _walk_part(part, pieces, position, space_follows)
            if ended is None:
                return None
            position = ended
        if not parts or word[-1].isspace():
            position = _after_lone_marks(pieces, position, "")
        counts.append(position - begun)
    if position != len(pieces):
        return None
    count = np.array(counts, np.int64)
    start = np.cumsum(count) - count
    return WordPieces(np.array([0, len(words)]), np.array([len(pieces)]), start, count, start)


def _after_lone_marks(pieces: Sequence[str], position: int, text: str) -> int:
    """The position after pieces that are a mark alone, but for one that is needed to spell the text."""
    ended = position
    while ended < len(pieces) and pieces[ended] == CONTINUATION:
        ended += 1
    return ended - 1 if ended > position and text == CONTINUATION else ended


def _walk_part(text: str, pieces: Sequence[str], position: int, space_follows: bool) -> Optional[int]:
    """The position after the pieces that spell a text without white space; None if they do not.

    :param space_follows: white space of the same word, so that the last piece may be marked as going on.
    """
    while text:
        if position == len(pieces):
            return None
        piece = pieces[position]
        position += 1
        if piece == text:
            break
        spelt = _without_marks(piece, "bpe")
        if spelt is piece or not text.startswith(spelt) or (spelt == text and not space_follows):
            return None
        text = text[len(spelt) :]
    return position


Lengths = tuple[np.ndarray, np.ndarray, np.ndarray]
"""(words,) letters of each word; (pieces,) first letter of each piece; (pieces,) the letter after its last."""


def _same(text: str) -> str:
    return text


def _normalized(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).split())


def _casefolded(text: str) -> str:
    return _normalized(_normalized(text).casefold())


def _visible(text: str) -> str:
    """Without control and format characters, such as zero-width spaces, most of which SentencePiece leaves out."""
    return "".join(letter for letter in _normalized(text) if unicodedata.category(letter) not in ("Cc", "Cf"))


def _folded(text: str) -> str:
    return _visible(_casefolded(text))


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
        f"{_about_escapes(words, pieces)}"
    )


def _about_escapes(words: str, pieces: str) -> str:
    """A hint where one of the two has more characters escaped, as Moses' tokenizer does; nothing elsewhere."""
    more = len(_ESCAPED.findall(words)) - len(_ESCAPED.findall(pieces))
    if not more:
        return ""
    return (
        f"; the {'words' if more > 0 else 'pieces'} have characters escaped, as Moses' tokenizer.perl does: run it with"
        " -no-escape and without -a, or undo it, which moves no word: deescape-special-chars.perl, and sed 's/@-@/-/g'"
    )


def _excerpt(text: str, position: int) -> str:
    rest = text[position : position + 20]
    return repr(rest + ("..." if len(text) > position + 20 else "")) if rest else "no further"
