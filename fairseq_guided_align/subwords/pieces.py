"""Subword pieces: how they mark words, the text that they spell, and the word that each belongs to.

A piece is what fairseq reads as one token: what any whitespace separates in the subword text. A lone ``▁`` has no text
of its own: it belongs to the word after it, and to no word at the end of a sentence.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from fairseq_guided_align.errors import GuidedAlignError

SUBWORD_KINDS = ("sentencepiece", "bpe", "words")
"""How pieces say where words begin: ``▁`` for a space, ``@@`` at the end of a piece that goes on, or no mark."""

LEVELS = ("words", "pieces")
"""What links join, and what they are shown between."""

SPACE_MARK = "▁"
CONTINUATION = "@@"

_BYTE_PIECE = re.compile(r"<0x([0-9A-F]{2})>")
_BYTE_PIECES = re.compile(r"(?:<0x[0-9A-F]{2}>)+")


def check_kind(kind: str) -> None:
    """:raises GuidedAlignError: not one of :data:`SUBWORD_KINDS`."""
    if kind not in SUBWORD_KINDS:
        raise GuidedAlignError(f"expected a kind of subwords out of {', '.join(SUBWORD_KINDS)}; got {kind!r}")


def goes_on(piece: str) -> bool:
    """Whether a ``@@ `` piece says that its word goes on; ``@@`` alone is text, not a mark."""
    return piece.endswith(CONTINUATION) and piece != CONTINUATION


def without_mark(piece: str, kind: str) -> str:
    """A piece's own text, without whitespace."""
    if kind == "sentencepiece":
        return "".join(piece.replace(SPACE_MARK, " ").split())
    return piece[: -len(CONTINUATION)] if kind == "bpe" and goes_on(piece) else piece


def byte_of(piece: str) -> bytes:
    """The byte that a SentencePiece piece such as ``<0xE4>`` stands for; empty where it is text."""
    found = _BYTE_PIECE.fullmatch(piece)
    return bytes.fromhex(found[1]) if found else b""


def text_of(pieces: Sequence[str], kind: str) -> str:
    """The text that pieces spell, with spaces between its words.

    fairseq's ``post_process`` leaves byte pieces as they are, and takes ``@@`` that is text for a mark.
    """
    if kind == "sentencepiece":
        return _BYTE_PIECES.sub(_decoded, "".join(pieces)).replace(SPACE_MARK, " ").strip()
    if kind == "bpe":
        return "".join(piece[: -len(CONTINUATION)] if goes_on(piece) else piece + " " for piece in pieces).rstrip(" ")
    return " ".join(pieces)


def _decoded(byte_pieces: re.Match) -> str:
    return bytes.fromhex(byte_pieces[0].replace("<0x", "").replace(">", "")).decode("utf-8", "replace")


def word_of_piece(pieces: Sequence[str], kind: str) -> np.ndarray:
    """For each piece of a sentence the 0-based index of its word, where whitespace separated the words.

    Needs the pieces alone. A piece that spells several words (SentencePiece trained across spaces) gets the first of
    them. A lone ``▁`` gets the word after it, and -1 where there is none.

    :param pieces: without ``</s>``.
    :param kind: one of :data:`SUBWORD_KINDS`.
    :return: (pieces,) int64, in [-1, words).
    :raises GuidedAlignError: another kind.
    """
    check_kind(kind)
    if kind != "sentencepiece":
        ends = [kind == "words" or not goes_on(piece) for piece in pieces]
        return np.cumsum([0, *ends], dtype=np.int64)[:-1]
    words = re.finditer(f"[^{SPACE_MARK}]+", "".join(pieces))
    word_ends = np.array([word.end() for word in words], np.int64)
    word = np.searchsorted(word_ends, np.cumsum([0, *map(len, pieces)])[:-1], side="right")
    return np.where(word < len(word_ends), word, -1)
