"""The translation of a sentence with its links, and of several sentences joined to one text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from fairseq_guided_align.markup.segment_links import Link
from fairseq_guided_align.markup.tagged_text import Range


class TranslatedText(NamedTuple):
    """The translation of a sentence, or of several in one.

    :param words: ranges of the words in ``text`` that the links count.
    :param links: between words or pieces, as asked for: source, target, weight.
    :param tag_links: between words.
    :param source_words: number of words in the source.
    """

    text: str
    words: list[Range]
    pieces: list[str]
    score: float
    attention: np.ndarray
    links: list[Link]
    tag_links: list[Link]
    source_words: int


def word_ranges(text: str) -> list[Range]:
    """Where the words of a text are that has a space between two of them."""
    return [match.span() for match in re.finditer("[^ ]+", text)]


def joined(one: TranslatedText, other: TranslatedText) -> TranslatedText:
    """The translation of two sentences, one after the other."""
    between = " " if one.text and other.text and not _closes_up(one.text[-1]) else ""
    shift = len(one.text) + len(between)
    rows, columns = len(one.attention), one.attention.shape[1] - 1
    attention = np.zeros((rows + len(other.attention), columns + other.attention.shape[1]), np.float32)
    attention[:rows, :columns], attention[:rows, -1] = one.attention[:, :-1], one.attention[:, -1]
    attention[rows:, columns:] = other.attention
    words, source_words = len(one.words), one.source_words
    return TranslatedText(
        one.text + between + other.text,
        one.words + [(start + shift, stop + shift) for start, stop in other.words],
        one.pieces + other.pieces,
        one.score + other.score,
        attention,
        one.links + [(s + columns, t + rows, weight) for s, t, weight in other.links],
        one.tag_links + [(s + source_words, t + words, weight) for s, t, weight in other.tag_links],
        source_words + other.source_words,
    )


def _closes_up(character: str) -> bool:
    """Whether the next sentence follows a character without a space, as in Chinese and Japanese, but not in Korean."""
    return unicodedata.east_asian_width(character) in "WF" and not unicodedata.name(character, "").startswith("HANGUL")


def links_to_written_words(links: list[Link], ranges: Sequence[Range], text: str) -> list[Link]:
    """Links to words that stand at these ranges of a text, as links to its words with a space between them."""
    words = word_ranges(text)
    if list(ranges) == words:
        return links
    # A word that was replaced together with the one before it has no letters left: it is where that one ends.
    overlapping = [
        [word for word, (first, last) in enumerate(words) if first < stop and last >= start + (stop > start)]
        for start, stop in ranges
    ]
    return [
        (source, word, weight)
        for source, target, weight in links
        if target < len(overlapping)
        for word in overlapping[target]
    ]
