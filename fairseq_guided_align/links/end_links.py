"""Links of ``</s>``, which Marian writes: each pair ends with one from the source's ``</s>`` to the target's.

Elsewhere such links point one position outside their sentences. They are taken for Marian's where most pairs have one.
"""

from __future__ import annotations

import numpy as np

from fairseq_guided_align.links.link import CorpusLinks

MOST = 0.5
"""More than this share of the pairs with links must have a link from ``</s>`` to ``</s>``."""


def take_off_end_links(
    links: CorpusLinks, sources: np.ndarray, targets: np.ndarray, telling: np.ndarray | None = None
) -> tuple[CorpusLinks, int]:
    """The links without those of ``</s>``, and the number of these; the links as they are, if they are not Marian's.

    :param sources: (pairs,) source tokens of each, without ``</s>``.
    :param targets: (pairs,) target tokens of each, without ``</s>``.
    :param telling: (pairs,) bool, the pairs whose numbers of tokens are certain; None: all.
    """
    sentence = links.sentence()
    after_source, after_target = sources[sentence], targets[sentence]
    of_end = (links.source == after_source) | (links.target == after_target)
    if not of_end.any():
        return links, 0
    has_links = np.diff(links.offsets) > 0
    has_end = np.zeros(len(links), bool)
    has_end[sentence[(links.source == after_source) & (links.target == after_target)]] = True
    asked = has_links if telling is None else has_links & telling
    # In a file that counts from 1, links of the last words look like these; such a file has no position 0.
    if not (_counts_from_zero(links) and asked.any() and has_end[asked].mean() > MOST):
        return links, 0
    of_end &= (links.source <= after_source) & (links.target <= after_target)
    return links.where(~of_end), int(of_end.sum())


def pairs_that_end_beyond(links: CorpusLinks, others: CorpusLinks) -> tuple[int, int]:
    """How many pairs have a last link that lies, on both sides, behind all links of the other file; and of how many.

    Marian's links look so beside others of the same text. It is no proof: they also look so where only one of two files
    links the full stops.

    :param others: of the same pairs. Pairs without links in either are not looked at.
    :return: (0, 0) for a file without position 0, because it counts from 1.
    """
    if not _counts_from_zero(links):
        return 0, 0
    looked_at = (np.diff(links.offsets) > 0) & (np.diff(others.offsets) > 0)
    sentence = links.sentence()
    ends = [last_positions(len(links), sentence, column) for column in (links.source, links.target)]
    last = np.zeros(len(links), bool)
    last[sentence[(links.source == ends[0][sentence]) & (links.target == ends[1][sentence])]] = True
    for end, column in zip(ends, (others.source, others.target)):
        last &= end > last_positions(len(others), others.sentence(), column)
    return int((last & looked_at).sum()), int(looked_at.sum())


def _counts_from_zero(links: CorpusLinks) -> bool:
    return bool(((links.source == 0) | (links.target == 0)).any())


def last_positions(sentences: int, sentence: np.ndarray, position: np.ndarray) -> np.ndarray:
    """(sentences,) the last position of each; -1 without links."""
    last = np.full(sentences, -1)
    np.maximum.at(last, sentence, position)
    return last


def told_end_links(count: int, start: str = "; ") -> str:
    """What messages say of links that were taken off; nothing of none."""
    return f"{start}{count} links of </s> taken off, as Marian writes them" if count else ""
