"""Word links to subword links and back, for SentencePiece, ``@@ `` BPE and plain words.

What a word is, in the text that the word links refer to, says ``links/words.py``. A piece is what fairseq reads as
one token: what any whitespace separates in the subword text. Which pieces spell which words is found in
``spelling.py``; here that knowledge is used.

A lone ``▁`` has no text of its own: it belongs to the word after it, and to none at the end of a sentence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fairseq_guided_align.errors import AlignmentLengthError, AlignmentRangeError, GuidedAlignError
from fairseq_guided_align.links.link import CorpusLinks, SentenceLinks

KINDS = ("sentencepiece", "bpe", "words")
"""How pieces say where words begin: ``▁`` for a space, ``@@`` at the end of a piece that goes on, or not at all."""

POLICIES = ("all", "first")
"""Which pieces of two linked words are linked: all pairs, or only the first piece of each that has text."""

SPACE_MARK = "▁"
CONTINUATION = "@@"


def goes_on(piece: str) -> bool:
    """Whether a ``@@ `` piece says that its word goes on; ``@@`` alone is a word's text, never a mark of nothing."""
    return piece.endswith(CONTINUATION) and piece != CONTINUATION


def join_bpe(line: str) -> str:
    """The words that a line of ``@@ `` pieces spells, separated as the pieces are: by single spaces."""
    parts = []
    for piece in line.split(" "):
        parts += [piece[: -len(CONTINUATION)]] if goes_on(piece) else [piece, " "]
    return "".join(parts).rstrip(" ")


@dataclass(frozen=True)
class WordPieces:
    """Which pieces spell each word, for one side of some sentences; a word's pieces are neighbours.

    :param word_offsets: (sentences + 1,) int64; the words of sentence i are rows word_offsets[i] to [i + 1].
    :param pieces: (sentences,) int64, pieces in each sentence.
    :param start: (words,) int64, the word's first piece, counted from the start of its sentence.
    :param count: (words,) int64, number of its pieces; 0 where the text of a word is gone from the pieces.
    :param first: (words,) int64, its first piece that has text: not a lone ``▁``.
    """

    word_offsets: np.ndarray
    pieces: np.ndarray
    start: np.ndarray
    count: np.ndarray
    first: np.ndarray

    def __len__(self) -> int:
        return len(self.pieces)

    @property
    def words(self) -> np.ndarray:
        """(sentences,) words in each sentence."""
        return np.diff(self.word_offsets)

    def select(self, sentences: np.ndarray) -> WordPieces:
        """The given sentences, in the given order.

        :param sentences: (m,) integers in [0, len(self)).
        """
        words = self.words[sentences]
        offsets = np.zeros(len(sentences) + 1, np.int64)
        np.cumsum(words, out=offsets[1:])
        rows = np.repeat(self.word_offsets[sentences] - offsets[:-1], words) + np.arange(offsets[-1])
        return WordPieces(offsets, self.pieces[sentences], self.start[rows], self.count[rows], self.first[rows])

    def word_of_piece(self, sentence: int) -> np.ndarray:
        """For each piece of a sentence the index of its first word, -1 where it has none: (pieces,) int64.

        Unlike the function of that name it knows the words, and so holds where a normaliser put spaces into them.
        """
        first, last = int(self.word_offsets[sentence]), int(self.word_offsets[sentence + 1])
        word = np.full(int(self.pieces[sentence]), -1, np.int64)
        for index in range(last - 1, first - 1, -1):
            word[self.start[index] : self.start[index] + self.count[index]] = index - first
        return word

    @classmethod
    def concatenated(cls, parts: Sequence[WordPieces]) -> WordPieces:
        """The sentences of several, in their order; at least one part."""
        words = np.concatenate([part.words for part in parts])
        offsets = np.zeros(len(words) + 1, np.int64)
        np.cumsum(words, out=offsets[1:])
        return cls(
            offsets,
            np.concatenate([part.pieces for part in parts]),
            np.concatenate([part.start for part in parts]),
            np.concatenate([part.count for part in parts]),
            np.concatenate([part.first for part in parts]),
        )

    @classmethod
    def of_words(cls, words: np.ndarray) -> WordPieces:
        """Words that are their own pieces.

        :param words: (sentences,) words in each sentence.
        """
        offsets = np.zeros(len(words) + 1, np.int64)
        np.cumsum(words, out=offsets[1:])
        own = np.arange(offsets[-1]) - np.repeat(offsets[:-1], words)
        return cls(offsets, np.asarray(words, np.int64), own, np.ones(len(own), np.int64), own)


class Projected(NamedTuple):
    """Links after a change of units, and what was lost on the way.

    :param links: the links in the new units.
    :param kept: (n,) bool, which of the old links are in it.
    :param out_of_range: old links that point outside their sentence.
    :param without_pieces: old links of a word that no piece spells.
    """

    links: CorpusLinks
    kept: np.ndarray
    out_of_range: int
    without_pieces: int


def word_links_to_subword_links(
    links: CorpusLinks, source: WordPieces, target: WordPieces, policy: str = "all"
) -> Projected:
    """Links between pieces out of links between words; each keeps the weight and sureness of its word link.

    Where a piece spells several words, the links that meet on it are merged: the larger weight, sure if one is.

    :param links: positions are words.
    :param policy: one of :data:`POLICIES`.
    :raises GuidedAlignError: another policy.
    :raises AlignmentLengthError: the three have different numbers of sentences.
    """
    if policy not in POLICIES:
        raise GuidedAlignError(f"expected a policy out of {', '.join(POLICIES)}; got {policy!r}")
    sentence = links.sentence()
    inside = _inside(links, sentence, source.words, target.words)
    kept, rows = inside.copy(), np.flatnonzero(inside)
    source_word = source.word_offsets[sentence[rows]] + links.source[rows]
    target_word = target.word_offsets[sentence[rows]] + links.target[rows]
    spelt = (source.count[source_word] > 0) & (target.count[target_word] > 0)
    if not spelt.all():
        kept[rows[~spelt]] = False
        rows, source_word, target_word = rows[spelt], source_word[spelt], target_word[spelt]
    if policy == "first":
        new_source, new_target, made_from = source.first[source_word], target.first[target_word], rows
    else:
        new_source, new_target, of = _all_pairs(
            source.start[source_word], source.count[source_word], target.start[target_word], target.count[target_word]
        )
        made_from = rows[of]
    return _made(links, sentence[made_from], made_from, new_source, new_target, inside, kept)


def corpus_subword_links_to_word_links(links: CorpusLinks, source: WordPieces, target: WordPieces) -> Projected:
    """Links between words out of links between pieces: two words are linked if any of their pieces are.

    The inverse of :func:`word_links_to_subword_links` wherever no piece spells more than one word. Of several links
    that fall on one pair of words the largest weight stays; the pair is sure if one of them is.

    :raises AlignmentLengthError: the three have different numbers of sentences.
    """
    sentence = links.sentence()
    inside = _inside(links, sentence, source.pieces, target.pieces)
    kept, rows = inside.copy(), np.flatnonzero(inside)
    source_start, source_count = _words_of_pieces(source, sentence[rows], links.source[rows])
    target_start, target_count = _words_of_pieces(target, sentence[rows], links.target[rows])
    kept[rows[(source_count == 0) | (target_count == 0)]] = False
    new_source, new_target, of = _all_pairs(source_start, source_count, target_start, target_count)
    made_from = rows[of]
    return _made(links, sentence[made_from], made_from, new_source, new_target, inside, kept)


def _inside(links: CorpusLinks, sentence: np.ndarray, source_sizes: np.ndarray, target_sizes: np.ndarray) -> np.ndarray:
    """(n,) bool: which links lie in their sentence.

    :param sentence: (n,) the sentence of each link.
    :param source_sizes: (sentences,) words or pieces.
    """
    if not len(links) == len(source_sizes) == len(target_sizes):
        raise AlignmentLengthError(
            f"expected links, source and target of as many sentences; got {len(links)}, {len(source_sizes)},"
            f" {len(target_sizes)}"
        )
    inside: np.ndarray = (links.source < source_sizes[sentence]) & (links.target < target_sizes[sentence])
    return inside


def _made(
    links: CorpusLinks,
    sentence: np.ndarray,
    made_from: np.ndarray,
    source: np.ndarray,
    target: np.ndarray,
    inside: np.ndarray,
    kept: np.ndarray,
) -> Projected:
    """New links, each with the weight and sureness of the old one that it was made from.

    :param sentence: (new links,) their sentence pairs.
    :param made_from: (new links,) rows of the old links.
    """
    projected = CorpusLinks.from_columns(
        len(links),
        sentence,
        source,
        target,
        None if links.weight is None else links.weight[made_from],
        None if links.sure is None else links.sure[made_from],
    )
    out_of_range = len(inside) - int(inside.sum())
    return Projected(projected, kept, out_of_range, len(kept) - int(kept.sum()) - out_of_range)


def word_of_piece(pieces: Sequence[str], kind: str) -> np.ndarray:
    """For each piece of a sentence the 0-based index of its word, where whitespace separated the words.

    Needs nothing but the pieces. A piece that spells several words (SentencePiece trained across spaces) gets the
    first of them. A lone ``▁`` gets the word after it, and -1 where none follows.

    :param pieces: as fairseq reads them, without ``</s>``.
    :param kind: one of :data:`KINDS`.
    :return: (pieces,) int64, in [-1, words).
    :raises GuidedAlignError: another kind.
    """
    if kind == "words":
        return np.arange(len(pieces), dtype=np.int64)
    word = np.empty(len(pieces), np.int64)
    if kind == "bpe":
        current = 0
        for index, piece in enumerate(pieces):
            word[index] = current
            current += not goes_on(piece)
        return word
    if kind != "sentencepiece":
        raise GuidedAlignError(f"expected a kind of subwords out of {', '.join(KINDS)}; got {kind!r}")
    current, inside = -1, False  # inside: nothing but text since the current word began
    waiting = 0
    for index, piece in enumerate(pieces):
        own = None
        for part_index, part in enumerate(piece.split(SPACE_MARK)):
            inside = inside and part_index == 0
            if part:
                current += not inside
                inside = True
                own = current if own is None else own
        if own is None:
            waiting += 1
            word[index] = -1
        else:
            word[index - waiting : index + 1] = own
            waiting = 0
    return word


def subword_links_to_word_links(
    links: SentenceLinks, source_word_of_piece: np.ndarray, target_word_of_piece: np.ndarray
) -> SentenceLinks:
    """Links between words out of links between pieces of one sentence pair; pieces of no word (-1) give none.

    Of several links that fall on one pair of words the largest weight stays; the pair is sure if one of them is.

    :param links: positions are pieces.
    :param source_word_of_piece: (source pieces,) as :func:`word_of_piece` gives it.
    :param target_word_of_piece: (target pieces,) likewise.
    :raises AlignmentRangeError: a link points outside the pieces.
    """
    for side, column, words in (
        ("source", links.source, source_word_of_piece),
        ("target", links.target, target_word_of_piece),
    ):
        if len(column) and int(column.max()) >= len(words):
            raise AlignmentRangeError(f"expected {side} positions below {len(words)}; got {int(column.max())}")
    source = np.asarray(source_word_of_piece, np.int64)[links.source]
    target = np.asarray(target_word_of_piece, np.int64)[links.target]
    kept = (source >= 0) & (target >= 0)
    return SentenceLinks.from_columns(source[kept], target[kept], links.weight[kept], links.sure[kept])


def _all_pairs(
    source_start: np.ndarray, source_count: np.ndarray, target_start: np.ndarray, target_count: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every pair of a source and a target position of each row's two ranges: (source, target, row).

    Neighbouring rows of one target range come out interleaved, so that sorted rows give sorted pairs, as long as the
    ranges do not overlap.
    """
    source_row = np.repeat(np.arange(len(source_count)), source_count)
    source = np.arange(len(source_row)) + np.repeat(source_start - _total_before(source_count), source_count)
    # A group: neighbouring rows whose target range is the same, with all their source positions.
    fresh = np.ones(len(target_start), bool)
    fresh[1:] = (target_start[1:] != target_start[:-1]) | (target_count[1:] != target_count[:-1])
    begin = np.flatnonzero(fresh)
    group_size = np.add.reduceat(source_count, begin)
    group_start = _total_before(group_size)
    # Each group's source positions stand once for each of its target positions.
    copies = target_count[begin]
    copy_size = np.repeat(group_size, copies)
    copy_start = np.repeat(group_start, copies)
    target_of_copy = np.arange(len(copy_size)) + np.repeat(target_start[begin] - _total_before(copies), copies)
    chosen = np.arange(int(copy_size.sum())) + np.repeat(copy_start - _total_before(copy_size), copy_size)
    return source[chosen], np.repeat(target_of_copy, copy_size), source_row[chosen]


def _total_before(sizes: np.ndarray) -> np.ndarray:
    return np.cumsum(sizes) - sizes


def _words_of_pieces(side: WordPieces, sentence: np.ndarray, piece: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First word and number of words of each given piece, words counted from the start of their sentence."""
    piece_offsets = np.zeros(len(side) + 1, np.int64)
    np.cumsum(side.pieces, out=piece_offsets[1:])
    word_sentence = np.repeat(np.arange(len(side)), side.words)
    word = np.repeat(np.arange(len(side.start)), side.count)
    within = np.arange(len(word)) - np.repeat(np.cumsum(side.count) - side.count, side.count)
    spelling = piece_offsets[word_sentence[word]] + side.start[word] + within
    words_of = np.bincount(spelling, minlength=int(piece_offsets[-1]))
    first_word = np.full(int(piece_offsets[-1]), len(side.start), np.int64)
    np.minimum.at(first_word, spelling, word)
    chosen = piece_offsets[sentence] + piece
    return first_word[chosen] - side.word_offsets[sentence], words_of[chosen]
