"""Which subword pieces spell which words, by the characters of both.

White space and the marks of the pieces (``▁``, ``@@``) are left out on both sides; where the same characters remain,
their positions say which pieces and words overlap, whatever separated them. So the words may have been tokenised
otherwise than the text of the pieces, also in scripts without spaces. Where a normaliser changed characters, they
are compared after Unicode normalisation, or the SentencePiece model itself is asked for the place of each piece.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from fairseq_guided_align.errors import AlignmentLengthError, SubwordMismatchError
from fairseq_guided_align.files.byte_lines import count_line_feeds
from fairseq_guided_align.links.words import has_rare_space, split_words
from fairseq_guided_align.subwords.pieces import CONTINUATION, byte_of, check_kind, without_mark
from fairseq_guided_align.subwords.same_spelling import (
    letters_of_pieces,
    letters_of_words,
    match_same_bytes,
    match_same_words,
    words_from_spans,
)
from fairseq_guided_align.subwords.word_pieces import WordPieces

Places = tuple[np.ndarray, np.ndarray]
"""(pieces,) first character of each piece in a line, and (pieces,) the character after its last."""

PlacesOf = Callable[[str, Sequence[str]], Places | None]
"""Asked for a line of words and its pieces: their places in the line, or None."""

_ESCAPED = re.compile(r"&(?:#\d+|[a-z]+);|@[-/]@")
"""What Moses' tokenizer makes of ``'`` (``&apos;``) and others, and of a hyphen within a word (``@-@``)."""


def match_sentence(
    words: Sequence[str], pieces: Sequence[str], kind: str, places_of: PlacesOf | None = None
) -> WordPieces:
    """Which pieces spell each word of one sentence.

    :param kind: one of ``pieces.SUBWORD_KINDS``.
    :param places_of: what to ask where the characters differ.
    :raises SubwordMismatchError: words and pieces do not spell the same; the message shows the first difference.
    :raises GuidedAlignError: another kind.
    """
    check_kind(kind)
    if kind == "bpe":
        walked = _walk_bpe(words, pieces)
        if walked is not None:
            return walked
    spelt = [without_mark(piece, kind) for piece in pieces]
    letters = ["".join(word.split()) if kind != "sentencepiece" else without_mark(word, kind) for word in words]
    texts = [(spelt, np.arange(len(pieces)))]
    if kind == "sentencepiece":
        texts += _with_bytes_decoded(pieces)
    spans = _spans(letters, texts, (_same, _normalized, _casefolded))
    if spans is None and places_of is not None:
        spans = _spans_of_places(words, places_of(" ".join(words), pieces))
    if spans is None:
        # These leave characters out, so that a word of nothing else would lose its pieces: the model knows better.
        spans = _spans(letters, texts, (_visible, _folded))
    if spans is None:
        raise SubwordMismatchError(_difference("".join(letters), "".join(spelt)))
    word_lengths, starts, ends = spans
    has_text = np.array([bool(text) for text in spelt], bool)
    offsets = np.array([0, len(words)]), np.array([0, len(pieces)])
    return words_from_spans(offsets[0], np.cumsum(word_lengths), offsets[1], starts, ends, has_text)


def match_lines(
    words: bytes,
    pieces: bytes,
    kind: str,
    places_of: PlacesOf | None = None,
    on_mismatch: Callable[[int, str], None] | None = None,
) -> WordPieces:
    """Which pieces spell each word, for many sentences: whole lines of both, UTF-8.

    :param words: lines of words, separated by ASCII white space (``words.separated`` sees to that); the last may lack
        its line feed.
    :param pieces: as many lines of pieces.
    :param on_mismatch: called with the line's index, from 0, and the difference; the words of such a line then have no
        pieces. When None, the first mismatch is an error.
    :raises AlignmentLengthError: another number of lines.
    :raises SubwordMismatchError: as :func:`match_sentence`, without ``on_mismatch``.
    """
    words, pieces = _ended(words), _ended(pieces)
    lines, piece_lines = count_line_feeds(words), count_line_feeds(pieces)
    if lines != piece_lines:
        raise AlignmentLengthError(f"expected {lines} lines of pieces, as of words; got {piece_lines}")
    check_kind(kind)
    for match_all in (match_same_words, match_same_bytes):
        at_once = match_all(words, pieces, kind)
        if at_once is not None:
            return at_once
    return _match_by_line(words.split(b"\n")[:-1], pieces.split(b"\n")[:-1], kind, places_of, on_mismatch)


def _ended(block: bytes) -> bytes:
    if b"\r" in block:
        block = block.replace(b"\r\n", b"\n")
    return block if block.endswith(b"\n") or not block else block + b"\n"


def _match_by_line(
    words: list[bytes],
    pieces: list[bytes],
    kind: str,
    places_of: PlacesOf | None,
    on_mismatch: Callable[[int, str], None] | None,
) -> WordPieces:
    """The lines that spell the same bytes, if need be after NFKC, at once; each of the others by itself."""
    in_same_bytes = (_in_the_bytes_of(piece_line, word_line, kind) for word_line, piece_line in zip(words, pieces))
    together = {index: line for index, line in enumerate(in_same_bytes) if line is not None}
    others = [index for index in range(len(words)) if index not in together]
    parts = []
    if together:
        found = match_same_bytes(_lines(together.values()), _lines(pieces[index] for index in together), kind)
        assert found is not None
        parts.append(found)
    for index in others:
        line_words = split_words(words[index].decode(errors="replace"))
        line_pieces = pieces[index].decode(errors="replace").split()
        try:
            parts.append(match_sentence(line_words, line_pieces, kind, places_of))
        except SubwordMismatchError as error:
            if on_mismatch is None:
                raise
            on_mismatch(index, str(error))
            nothing = np.zeros(len(line_words), np.int64)
            parts.append(WordPieces.of_one_sentence(len(line_pieces), nothing, nothing))
    return WordPieces.concatenated(parts).select(np.argsort([*together, *others]))


def _lines(lines: Iterable[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines)


def _in_the_bytes_of(pieces: bytes, words: bytes, kind: str) -> bytes | None:
    """A line of words, as it is or in NFKC, whose bytes the pieces spell; None where they spell neither."""
    if has_rare_space(words) or has_rare_space(pieces):
        return None
    spelt = letters_of_pieces(pieces + b"\n", kind)
    if spelt is None:
        return None
    if letters_of_words(words) == spelt:
        return words
    normalized = _nfkc(words)
    return normalized if normalized is not None and letters_of_words(normalized) == spelt else None


def _nfkc(line: bytes) -> bytes | None:
    """The line in Unicode's NFKC, or None where that moves the borders of words."""
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return None
    changed = unicodedata.normalize("NFKC", text).encode()
    return changed if changed.count(b" ") == line.count(b" ") and not has_rare_space(changed) else None


# One line whose text the pieces spell otherwise


def _walk_bpe(words: Sequence[str], pieces: Sequence[str]) -> WordPieces | None:
    """Pieces of each word in turn; None if they differ.

    Words may end in ``@@`` themselves. They may hold white space: fairseq splits pieces there, and what is left of a
    piece may be its mark alone.
    """
    counts = []
    position = 0
    for word in words:
        begun = position
        parts = word.split()
        for number, part in enumerate(parts):
            if number or word[0].isspace():
                position = _after_lone_marks(pieces, position, part)
            ended = _walk_part(part, pieces, position)
            if ended is None:
                return None
            position = ended
        if not parts or word[-1].isspace():
            position = _after_lone_marks(pieces, position, "")
        counts.append(position - begun)
    if position != len(pieces):
        return None
    count = np.array(counts, np.int64)
    return WordPieces.of_one_sentence(len(pieces), np.cumsum(count) - count, count)


def _after_lone_marks(pieces: Sequence[str], position: int, text: str) -> int:
    """The position after pieces that are a mark alone, but for one that is needed to spell the text."""
    ended = position
    while ended < len(pieces) and pieces[ended] == CONTINUATION:
        ended += 1
    return ended - 1 if ended > position and text == CONTINUATION else ended


def _walk_part(text: str, pieces: Sequence[str], position: int) -> int | None:
    """The position after the pieces that spell a text without white space; None if they do not."""
    while text:
        if position == len(pieces):
            return None
        piece = pieces[position]
        position += 1
        if piece == text:
            break
        spelt = without_mark(piece, "bpe")
        if spelt is piece or not text.startswith(spelt):
            return None
        text = text[len(spelt) :]
    return position


Spans = tuple[np.ndarray, np.ndarray, np.ndarray]
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


def _spans(
    words: Sequence[str],
    texts: Sequence[tuple[Sequence[str], np.ndarray]],
    changes: Sequence[Callable[[str], str]],
) -> Spans | None:
    """Positions of words and pieces under the first change that makes both spell the same, if any does.

    :param texts: readings of the pieces: texts, and (pieces,) the text that each piece is part of.
    """
    for change in changes:
        changed_words = [change(word) for word in words]
        for some, owner in texts:
            changed = [change(text) for text in some]
            if "".join(changed_words) == "".join(changed):
                ends = np.cumsum([0, *map(len, changed)])
                return np.array([*map(len, changed_words)], np.int64), ends[:-1][owner], ends[1:][owner]
    return None


def _with_bytes_decoded(pieces: Sequence[str]) -> list[tuple[list[str], np.ndarray]]:
    """Texts in which runs of byte pieces, ``<0xE4>``, are characters again; and which text each piece is part of.

    Nothing where no piece is a byte, or the bytes are no UTF-8.
    """
    texts: list[str] = []
    owner: list[int] = []
    pending = b""
    for piece in pieces:
        owner.append(len(texts))
        byte = byte_of(piece)
        if pending and not byte:
            return []
        pending += byte
        try:
            text = pending.decode() if byte else piece
        except UnicodeDecodeError:
            continue  # The character goes on in the next piece
        texts.append(without_mark(text, "sentencepiece"))
        pending = b""
    return [] if pending or not any(map(byte_of, pieces)) else [(texts, np.array(owner, np.int64))]


def _spans_of_places(words: Sequence[str], places: Places | None) -> Spans | None:
    """Positions among the letters from places in the line."""
    if places is None:
        return None
    letters_before = np.append(0, np.cumsum([character != " " for character in " ".join(words)]))
    return np.array([*map(len, words)], np.int64), letters_before[places[0]], letters_before[places[1]]


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
