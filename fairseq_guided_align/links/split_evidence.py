"""Whether links count words by another definition than the one in use.

Lines tell it in which the two definitions give different numbers of words.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np

from fairseq_guided_align.files.byte_lines import PathLike
from fairseq_guided_align.links.link import CorpusLinks
from fairseq_guided_align.links.words import WordSplits, other_split, words_in_messages

LEAST_SHARE_OF_PAIRS = 0.1
"""At least this share of the pairs in which the other definition has more words must have links to these words."""

CHANCE = 0.01
"""Links by the definition in use may, by accident, miss all words that only it has.

Below this probability of such an accident, there is a warning.
"""

NO_CHANCE = 0.0001
"""Below this probability of such an accident, it is an error."""


@dataclass(frozen=True)
class SplitEvidence:
    """Counts of sentence pairs with links; parts are added with ``+``.

    :param same: with as many words by both definitions.
    :param same_last_linked: of these, with links to the last word of both sides.
    :param same_beyond: of these, with a link beyond the last word.
    :param fewer: with fewer words on a side by the definition in use than by the other.
    :param fewer_beyond: of these, with a link outside by the definition in use, and none outside by the other.
    :param more: with more words on a side by the definition in use.
    :param more_reached: of these, with a link that is outside there by the other definition.
    """

    same: int = 0
    same_last_linked: int = 0
    same_beyond: int = 0
    fewer: int = 0
    fewer_beyond: int = 0
    more: int = 0
    more_reached: int = 0

    def __add__(self, other: SplitEvidence) -> SplitEvidence:
        return SplitEvidence(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(self)))

    @property
    def contradicts(self) -> bool:
        """Whether links cannot count words by the definition in use."""
        return self.reaches_other or self._chance < NO_CHANCE

    @property
    def suspicious(self) -> bool:
        """Whether links hardly count words by the definition in use."""
        return self._chance < CHANCE

    @property
    def reaches_other(self) -> bool:
        """Whether links reach words that only the other definition has."""
        # Links that count from 1, or are of other text, lie outside in pairs of any kind.
        usual = self.same_beyond / self.same if self.same else 0.0
        least = max(LEAST_SHARE_OF_PAIRS, 2 * usual) * self.fewer
        return self.fewer_beyond > self.more_reached and self.fewer_beyond >= least

    @property
    def _chance(self) -> float:
        """Probability that links by the definition in use miss, in all pairs, the words that only it has.

        1 where links reach such words.
        """
        last_linked = min(0.9, self.same_last_linked / self.same) if self.same else 0.5
        return 1.0 if self.more_reached else float((1 - last_linked) ** self.more)


def evidence_of(
    links: CorpusLinks, words: tuple[np.ndarray, np.ndarray], other_words: tuple[np.ndarray, np.ndarray]
) -> tuple[SplitEvidence, np.ndarray]:
    """Evidence of some sentence pairs; and (pairs,) bool, the pairs whose links fit the other definition alone.

    :param words: (pairs,) words of each source and of each target by the definition in use.
    :param other_words: the same by the other definition.
    """
    of_other = np.zeros(len(links), bool)
    linked = np.flatnonzero(np.diff(links.offsets))
    if not len(linked):
        return SplitEvidence(), of_other
    sides = []
    for own, other, position in zip(words, other_words, (links.source, links.target)):
        sides.append((own[linked], other[linked], np.maximum.reduceat(position, links.offsets[linked])))

    def any_side(told: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
        found: np.ndarray = told(*sides[0]) | told(*sides[1])
        return found

    same = ~any_side(lambda own, other, last: own != other)
    fewer = any_side(lambda own, other, last: own < other)
    beyond = any_side(lambda own, other, last: (own <= last) & (last < other))
    beyond &= ~any_side(lambda own, other, last: last >= np.maximum(own, other))
    more = any_side(lambda own, other, last: own > other)
    counted = (
        same,
        same & ~any_side(lambda own, other, last: last != own - 1),
        same & any_side(lambda own, other, last: last >= own),
        fewer,
        beyond,
        more,
        any_side(lambda own, other, last: (own > other) & (last >= other)),
    )
    of_other[linked] = beyond
    return SplitEvidence(*(int(chosen.sum()) for chosen in counted)), of_other


def split_contradiction_warning(name: PathLike, evidence: SplitEvidence, word_split: WordSplits) -> str | None:
    """What to say, as an error or a warning, where links cannot count by the definition in use; None where they can."""
    if not evidence.contradicts:
        return None
    other = other_splits(word_split)
    if evidence.reaches_other:
        seen = (
            f"in {evidence.fewer_beyond} of {evidence.fewer} sentence pairs with a no-break space or the like they"
            f" reach beyond the last of the words {told(word_split)}"
        )
    else:
        seen = _unreached(evidence, word_split)
    return (
        f"{name}: the links count words {told(other)}, not {told(word_split)}: {seen};"
        f" give {_options(other, word_split)}"
    )


def split_warning(name: PathLike, evidence: SplitEvidence, word_split: WordSplits) -> str | None:
    """What to warn of where links hardly count by the definition in use; None where they do, or certainly do not."""
    if evidence.contradicts or not evidence.suspicious:
        return None
    other = other_splits(word_split)
    return (
        f"{name}: the links seem to count words {told(other)}, not {told(word_split)}:"
        f" {_unreached(evidence, word_split)}; if so, give {_options(other, word_split)}"
    )


def other_splits(word_split: WordSplits) -> WordSplits:
    """The definitions that text is often taken by instead, of both sides."""
    return WordSplits(*map(other_split, word_split))


def told(word_split: WordSplits) -> str:
    """What messages call the words of both sides."""
    source, target = map(words_in_messages, word_split)
    return source if source == target else f"{source} in the source and {target} in the target"


def _options(wanted: WordSplits, given: WordSplits) -> str:
    if wanted.source == wanted.target:
        return f"--word-split {wanted.source}"
    sides = zip(("source", "target"), wanted, given)
    return " ".join(f"--{side}-word-split {split}" for side, split, now in sides if split != now)


def _unreached(evidence: SplitEvidence, word_split: WordSplits) -> str:
    return f"{evidence.more} sentence pairs have more words {told(word_split)}, and no link reaches the additional ones"
