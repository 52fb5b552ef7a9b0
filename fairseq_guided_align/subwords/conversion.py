"""Word links to subword links and back.

``links/words.py`` says what a word is. ``spelling.py`` finds which pieces spell which words.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fairseq_guided_align.errors import AlignmentLengthError, GuidedAlignError
from fairseq_guided_align.links.link import CorpusLinks, SentenceLinks
from fairseq_guided_align.links.outside import check_inside, is_outside
from fairseq_guided_align.subwords.word_pieces import WordPieces

POLICIES = ("all", "first")
"""Which pieces of two linked words are linked: all pairs, or only the first piece of each that has text."""


class Converted(NamedTuple):
    """Links between pieces made of links between words, or the reverse, and what was lost.

    :param links: the new links.
    :param kept: (n,) bool, the old links that new links were made of.
    :param out_of_range: old links that point outside their sentence.
    :param without_pieces: old links of a word that no piece spells, or of a piece that spells no word.
    """

    links: CorpusLinks
    kept: np.ndarray
    out_of_range: int
    without_pieces: int


NewPositions = tuple[np.ndarray, np.ndarray]
"""(n,) first position, and (n,) number of positions: the pieces of n words, or the words of n pieces."""


def word_links_to_subword_links(
    links: CorpusLinks, source: WordPieces, target: WordPieces, policy: str = "all"
) -> Converted:
    """Links between pieces out of links between words; each keeps the weight and sureness of its word link.

    Where a piece spells several words, the links that meet on it are merged: the larger weight, sure if one is.

    :param links: positions are words.
    :param policy: one of :data:`POLICIES`.
    :raises GuidedAlignError: another policy.
    :raises AlignmentLengthError: the three have different numbers of sentences.
    """
    if policy not in POLICIES:
        raise GuidedAlignError(f"expected a policy out of {', '.join(POLICIES)}; got {policy!r}")

    def pieces_of_words(side: WordPieces, sentence: np.ndarray, word: np.ndarray) -> NewPositions:
        row = side.word_offsets[sentence] + word
        if policy == "first":
            return side.first[row], np.minimum(side.count[row], 1)
        return side.start[row], side.count[row]

    return _converted(links, source, target, (source.words, target.words), pieces_of_words)


def corpus_subword_links_to_word_links(links: CorpusLinks, source: WordPieces, target: WordPieces) -> Converted:
    """Links between words out of links between pieces: two words are linked if any of their pieces are.

    The inverse of :func:`word_links_to_subword_links` wherever no piece spells more than one word. Of several links
    that fall on one pair of words the largest weight stays; the pair is sure if one of them is.

    :raises AlignmentLengthError: the three have different numbers of sentences.
    """
    return _converted(links, source, target, (source.pieces, target.pieces), _words_of_pieces)


def _words_of_pieces(side: WordPieces, sentence: np.ndarray, piece: np.ndarray) -> NewPositions:
    piece_offsets = np.append(0, np.cumsum(side.pieces))
    spelt = np.flatnonzero(side.count)
    start = (np.repeat(piece_offsets[:-1], side.words) + side.start)[spelt]
    position = piece_offsets[sentence] + piece
    first = np.searchsorted(start + side.count[spelt], position, side="right")
    count = np.searchsorted(start, position, side="right") - first
    return np.append(spelt, 0)[first] - side.word_offsets[sentence], count


def _converted(
    links: CorpusLinks,
    source: WordPieces,
    target: WordPieces,
    sizes: tuple[np.ndarray, np.ndarray],
    spans: Callable[[WordPieces, np.ndarray, np.ndarray], NewPositions],
) -> Converted:
    """New links, each with the weight and sureness of the old one that it was made from.

    :param sizes: (sentences,) old positions of each source, and of each target.
    :param spans: called with the side, and with the sentence and old position of each link; gives the new positions.
    """
    if not len(links) == len(source) == len(target):
        raise AlignmentLengthError(
            f"expected links, source and target of as many sentences; got {len(links)}, {len(source)}, {len(target)}"
        )
    sentence = links.sentence()
    inside = ~is_outside(links, *sizes)
    rows = np.flatnonzero(inside)
    source_start, source_count = spans(source, sentence[rows], links.source[rows])
    target_start, target_count = spans(target, sentence[rows], links.target[rows])
    kept = inside.copy()
    kept[rows] = (source_count > 0) & (target_count > 0)
    # The target position changes slowest, so that most new links are sorted already.
    of_target, new_target = _positions(target_start, target_count)
    of_source, new_source = _positions(source_start[of_target], source_count[of_target])
    made_from = rows[of_target[of_source]]
    made = CorpusLinks.from_columns(
        len(links),
        sentence[made_from],
        new_source,
        new_target[of_source],
        None if links.weight is None else links.weight[made_from],
        None if links.sure is None else links.sure[made_from],
    )
    return Converted(made, kept, int((~inside).sum()), int(inside.sum() - kept.sum()))


def _positions(start: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The span that each position is of, and the position."""
    span = np.repeat(np.arange(len(count)), count)
    return span, np.arange(len(span)) + (start - np.cumsum(count) + count)[span]


def subword_links_to_word_links(
    links: SentenceLinks, source_word_of_piece: np.ndarray, target_word_of_piece: np.ndarray
) -> SentenceLinks:
    """Links between words out of links between pieces of one sentence pair; pieces of no word (-1) give none.

    Of several links that fall on one pair of words the largest weight stays; the pair is sure if one of them is.

    :param links: positions are pieces.
    :param source_word_of_piece: (source pieces,) as ``pieces.word_of_piece`` gives it.
    :param target_word_of_piece: (target pieces,) the same of the target.
    :raises AlignmentRangeError: a link points outside the pieces.
    """
    check_inside(links, len(source_word_of_piece), len(target_word_of_piece))
    source, target = source_word_of_piece[links.source], target_word_of_piece[links.target]
    kept = (source >= 0) & (target >= 0)
    return SentenceLinks.from_columns(source[kept], target[kept], links.weight[kept], links.sure[kept])


def spread_over_pieces(
    links: SentenceLinks, source_word_of_piece: np.ndarray, target_word_of_piece: np.ndarray
) -> SentenceLinks:
    """Word links on all pieces of their words; the inverse of :func:`subword_links_to_word_links`.

    :param source_word_of_piece: (source pieces,) as ``pieces.word_of_piece`` gives it.
    :param target_word_of_piece: (target pieces,) the same of the target.
    """
    of_source = links.source[:, None] == source_word_of_piece
    of_target = links.target[:, None] == target_word_of_piece
    row, source, target = np.nonzero(of_source[:, :, None] & of_target[:, None, :])
    return SentenceLinks.from_columns(source, target, links.weight[row], links.sure[row])
