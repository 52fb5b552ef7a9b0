"""Text cut into pieces at random: SentencePiece's sampling, with draws that can be repeated.

SentencePiece from 0.2.2 on gives other cuts in every process, whatever seed is set. So its two ways are followed here:
in a unigram model a cut is drawn with the probability that the model gives it, to the power of alpha (Kudo 2018,
arXiv:1804.10959); in a BPE model each merge is left out with probability alpha (Provilkov et al. 2020,
arXiv:1910.13267).
"""

from __future__ import annotations

import heapq
import math
import random
import re
from bisect import bisect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import accumulate

from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.subwords.model_content import model_content
from fairseq_guided_align.subwords.pieces import SPACE_MARK
from fairseq_guided_align.subwords.sentencepiece_models import PieceEncoder

ALPHA = "--subword-sampling-alpha"
"""The option's name, for messages."""

DEFAULT_ALPHA = 0.1
"""SentencePiece's default."""

UNKNOWN_PENALTY = 10.0
"""What SentencePiece takes off the lowest score for a character that has no piece."""

WORDS_KEPT, LONGEST_KEPT, CUTS_KEPT = 20_000, 40, 16
"""Words whose cuts are kept in memory, their most characters, and the most cuts of each that a BPE model keeps."""


@dataclass(frozen=True)
class Sampling:
    """Training text is cut at random.

    :param cuts: how often it is cut.
    :param alpha: above 0; below 1 where a model is BPE.
    :param seed: of all draws.
    :param number: which of the cuts is meant, from 1.
    """

    cuts: int
    alpha: float = DEFAULT_ALPHA
    seed: int = 1
    number: int = 1

    def chance(self, *place: object) -> random.Random:
        """The draws for some lines of this cut, the same in whatever process and order they are cut.

        :param place: what tells these lines from others.
        """
        return random.Random("/".join(map(str, (self.seed, self.number, *place))))


def check_alpha(alpha: float, kind: str) -> None:
    """Refuse values that leave no choice.

    :param kind: of the model.
    :raises GuidedAlignError: 0 or less, and for BPE 1 or more.
    """
    if not 0 < alpha < math.inf:
        raise GuidedAlignError(f"{ALPHA}: expected a number above 0, such as {DEFAULT_ALPHA}; got {alpha}")
    if kind == "bpe" and alpha >= 1:
        raise GuidedAlignError(
            f"{ALPHA}: expected a number below 1, the share of the merges that a BPE model leaves out; got {alpha}"
        )


Cutter = Callable[[random.Random], Sequence[str]]
"""Gives a random cut of one chunk of text."""


class PieceSampler:
    """A SentencePiece model that cuts lines at random.

    :param path: the ``.model`` file.
    :param alpha: see the module.
    :raises GuidedAlignError: the file is no model, or one of words or characters, which has one cut only; or alpha does
        not fit the model.
    """

    def __init__(self, path: str, alpha: float) -> None:
        self._encoder = PieceEncoder(path)
        content = model_content(self._encoder.path.read_bytes(), path)
        if content.kind not in ("unigram", "bpe"):
            raise GuidedAlignError(
                f"{path}: expected a SentencePiece model of type unigram or bpe, whose text can be cut in several ways;"
                f" got one of type {content.kind}; leave out --subword-samples, or give another model"
            )
        check_alpha(alpha, content.kind)
        self._has_bytes, self._known = content.has_bytes, {*content.scores, *content.whole}
        self._split = chunk_splitter(content.scores, content.whole)
        self._whole = frozenset(content.whole)
        self._cutter_of = (unigram_cutters if content.kind == "unigram" else bpe_cutters)(content.scores, alpha)
        self._remembered = lru_cache(WORDS_KEPT)(self._cutter_of)

    def cut(self, lines: Sequence[str], chance: random.Random) -> list[list[str]]:
        """The pieces of each line, as fairseq will read them: whitespace inside a piece cuts it."""
        return [self._cut(text, chance) for text in self._encoder.normalized(lines)]

    def _cut(self, text: str, chance: random.Random) -> list[str]:
        pieces: list[str] = []
        for chunk in self._split(text):
            if chunk in self._whole:
                pieces.append(chunk)
            else:
                cutter_of = self._remembered if len(chunk) <= LONGEST_KEPT else self._cutter_of
                pieces += cutter_of(chunk)(chance)
        if not self._known.issuperset(pieces):
            pieces = self._with_unknown(pieces)
        return " ".join(pieces).split()

    def _with_unknown(self, pieces: Sequence[str]) -> list[str]:
        """Neighbours without a piece of their own as one, or all in bytes, as SentencePiece gives them."""
        given: list[str] = []
        after_unknown = False
        for piece in pieces:
            unknown = piece not in self._known
            if unknown and self._has_bytes:
                given += map("<0x{:02X}>".format, piece.encode())
            elif unknown and after_unknown:
                given[-1] += piece
            else:
                given.append(piece)
            after_unknown = unknown
        return given


@cache
def sampler(model: str, alpha: float) -> PieceSampler:
    """The model, read once in each process."""
    return PieceSampler(model, alpha)


def chunk_splitter(scores: Mapping[str, float], whole: Sequence[str]) -> Callable[[str], list[str]]:
    """What splits a line into chunks that can be cut each by itself, since no piece reaches across.

    These are words, each with the ``▁`` before it; the whole line where a piece has ``▁`` inside or at its end.

    :param scores: of the pieces.
    :param whole: symbols that are chunks of their own.
    """
    across = any(SPACE_MARK in piece[1:] for piece in scores)
    words = re.compile("(?s:.+)" if across else f"{SPACE_MARK}?[^{SPACE_MARK}]+|{SPACE_MARK}")
    if not whole:
        return words.findall
    symbols = re.compile("(" + "|".join(map(re.escape, sorted(whole, key=len, reverse=True))) + ")")

    def split(line: str) -> list[str]:
        chunks: list[str] = []
        for number, part in enumerate(symbols.split(line)):
            chunks += [part] if number % 2 else words.findall(part)
        return chunks

    return split


def unigram_cutters(scores: Mapping[str, float], alpha: float) -> Callable[[str], Cutter]:
    """What draws cuts of a chunk, each with a probability in proportion to exp(alpha * sum of its pieces' scores).

    Sums over all cuts from the beginning, then draws from the end: exact, however many cuts there are.

    :param scores: logarithm of each piece's probability.
    """
    longest = max(map(len, scores), default=1)
    unknown = min(scores.values(), default=0.0) - UNKNOWN_PENALTY

    def cutter(chunk: str) -> Cutter:
        total = [0.0]  # Logarithms of the sums over all cuts of the first characters
        begins: list[list[int]] = [[]]
        shares: list[list[float]] = [[]]  # Cumulative, of the beginnings of the piece that ends here
        for end in range(1, len(chunk) + 1):
            starts, weights = [], []
            for start in range(max(0, end - longest), end):
                score = scores.get(chunk[start:end], unknown if end - start == 1 else None)
                if score is not None:
                    starts.append(start)
                    weights.append(total[start] + alpha * score)
            highest = max(weights)
            sums = list(accumulate(math.exp(weight - highest) for weight in weights))
            total.append(highest + math.log(sums[-1]))
            begins.append(starts)
            shares.append([one / sums[-1] for one in sums[:-1]])

        def cut(chance: random.Random) -> list[str]:
            pieces = []
            end = len(chunk)
            while end:
                start = begins[end][bisect(shares[end], chance.random())]
                pieces.append(chunk[start:end])
                end = start
            return pieces[::-1]

        return cut

    return cutter


def bpe_cutters(scores: Mapping[str, float], alpha: float) -> Callable[[str], Cutter]:
    """What draws cuts of a chunk: each merge that comes up is left out with probability alpha.

    :param scores: of the pieces: the merge to the highest comes first.
    """
    scale = 1 / math.log1p(-alpha)

    def cutter(chunk: str) -> Cutter:
        results: dict[tuple[int, ...], tuple[list[str], int]] = {}

        def cut(chance: random.Random) -> list[str]:
            left_out: tuple[int, ...] = ()
            following = 0
            while True:
                found = results.get(left_out) or merge(chunk, scores, left_out.__contains__)
                if len(results) < CUTS_KEPT:
                    results[left_out] = found
                pieces, offers = found
                # The number of merges before the next one that is left out has a geometric distribution.
                following += int(min(math.log(1 - chance.random()) * scale, offers))
                if following >= offers:
                    return pieces
                left_out = (*left_out, following)
                following += 1

        def cut_at_once(chance: random.Random) -> list[str]:
            return merge(chunk, scores, lambda _: chance.random() < alpha)[0]

        return cut if len(chunk) <= LONGEST_KEPT else cut_at_once

    return cutter


def merge(chunk: str, scores: Mapping[str, float], leaves_out: Callable[[int], bool]) -> tuple[list[str], int]:
    """The pieces that BPE makes of a chunk's characters, and how many merges came up.

    :param leaves_out: whether to leave out a merge, asked with its number, from 0, in the order in which they come up.
    """
    pieces = list(chunk)
    before, after = list(range(-1, len(pieces) - 1)), list(range(1, len(pieces) + 1))
    offers: list[tuple[float, int, int, str]] = []

    def offer(left: int, right: int) -> None:
        if left >= 0 and right < len(pieces):
            merged = pieces[left] + pieces[right]
            score = scores.get(merged)
            if score is not None:
                heapq.heappush(offers, (-score, left, right, merged))

    for left in range(len(pieces) - 1):
        offer(left, left + 1)
    seen = 0
    while offers:
        _, left, right, merged = heapq.heappop(offers)
        if not pieces[left] or not pieces[right] or len(pieces[left]) + len(pieces[right]) != len(merged):
            continue  # Another merge has taken one of the two
        seen += 1
        if leaves_out(seen - 1):
            continue
        pieces[left], pieces[right] = merged, ""
        after[left] = after[right]
        if after[left] < len(pieces):
            before[after[left]] = left
        offer(before[left], left)
        offer(left, after[left])
    return [piece for piece in pieces if piece], seen
