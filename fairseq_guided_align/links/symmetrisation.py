"""One set of links out of those of a forward and of a reverse aligner, by the heuristics of phrase-based MT.

Och and Ney 2003, section 4.3; Koehn, Och and Marcu 2003, section 4.3; Koehn et al. 2005 (IWSLT), section 2.

``intersection`` and ``union`` are those of the two sets. The ``grow-diag`` family starts from the first:

1. grow-diag goes through the links of the union that are not taken yet, ordered by source, then by target. It takes a
   link if one of its eight neighbours is taken, and if its source or its target word has no link yet. The link counts
   at once. Such rounds go on until one takes no link.
2. final is one round over the forward links, then one over the reverse links, each ordered by source, then by target.
   ``grow-diag-final`` takes a link if its source or its target word has no link yet. ``grow-diag-final-and`` takes it
   if neither has one.

The order matters, because a link that is taken can keep the next from being taken. The order here is that of
fast_align's ``atools``, which gives the same links. Moses's ``symal`` goes through the neighbours of taken links,
ordered by target, then by source. On fast_align's links of the Greek New Testament, 2 in 100 differ.

One core symmetrises 15,000 to 50,000 sentence pairs of some 20 words a second.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from fairseq_guided_align.errors import AlignmentLengthError, AlignmentRangeError, GuidedAlignError
from fairseq_guided_align.links.link import CorpusLinks, SentenceLinks

PAIRS_AT_ONCE = 65536
"""Sentence pairs at a time, so that the Python lists stay small."""


def symmetrise(forward: SentenceLinks, reverse: SentenceLinks, symmetrisation: str) -> SentenceLinks:
    """Links of one sentence pair out of two sets; for many pairs :func:`symmetrise_corpus` is faster.

    :param forward: links as (source, target).
    :param reverse: links of the same pair from the other direction, already turned to (source, target) with
        ``inverted()``.
    :param symmetrisation: one of :data:`SYMMETRISATIONS`.
    :return: links with the mean of their weights in the sets that hold them, sure where either set says so.
    :raises GuidedAlignError: ``symmetrisation`` is not one of :data:`SYMMETRISATIONS`.
    """
    one, other = (CorpusLinks.from_sentences([links]) for links in (forward, reverse))
    return symmetrise_corpus(one, other, symmetrisation)[0]


def symmetrise_corpus(forward: CorpusLinks, reverse: CorpusLinks, symmetrisation: str) -> CorpusLinks:
    """As :func:`symmetrise` for every sentence pair of a corpus.

    :raises GuidedAlignError: ``symmetrisation`` is not one of :data:`SYMMETRISATIONS`.
    :raises AlignmentLengthError: the two have different numbers of sentence pairs.
    :raises AlignmentRangeError: :data:`PAIRS_AT_ONCE` * sources * targets passes 2**63, beyond what int64 keys hold.
    """
    if symmetrisation not in SYMMETRISATIONS:
        raise GuidedAlignError(f"expected a symmetrisation out of {', '.join(SYMMETRISATIONS)}; got {symmetrisation!r}")
    if len(forward) != len(reverse):
        raise AlignmentLengthError(
            f"expected two directions of the same sentence pairs; got {len(forward)} forward and {len(reverse)} reverse"
        )
    parts = (slice(start, start + PAIRS_AT_ONCE) for start in range(0, len(forward), PAIRS_AT_ONCE))
    return CorpusLinks.concatenated(_symmetrise_chunk(forward[part], reverse[part], symmetrisation) for part in parts)


def _symmetrise_chunk(forward: CorpusLinks, reverse: CorpusLinks, symmetrisation: str) -> CorpusLinks:
    sentences = len(forward)
    sentence = np.concatenate([forward.sentence(), reverse.sentence()])
    source = np.concatenate([forward.source, reverse.source]).astype(np.int64)
    target = np.concatenate([forward.target, reverse.target]).astype(np.int64)
    # A free row and column around each matrix: no neighbour of a border link is a link of another row.
    stride = int(target.max(initial=0)) + 3
    block = (int(source.max(initial=0)) + 3) * stride
    if sentences * block >= 2**63:
        raise AlignmentRangeError(
            f"expected links that fit 63-bit keys; got {sentences} sentence pairs with indices up to"
            f" {source.max()} and {target.max()}: symmetrise the corpus in parts"
        )
    keys = sentence * block + (source + 1) * stride + target + 1
    union, place = np.unique(keys, return_inverse=True)
    is_reverse = np.arange(len(keys)) >= len(forward.source)
    in_forward, in_reverse = (np.bincount(place[side], minlength=len(union)) > 0 for side in (~is_reverse, is_reverse))
    taken = SYMMETRISATIONS[symmetrisation](_Union(union, in_forward, in_reverse, sentences, block, stride))
    summed = np.bincount(place, np.concatenate([forward.weights(), reverse.weights()]))
    weight = summed / (in_forward.astype(np.int64) + in_reverse)
    sure = np.zeros(len(union), dtype=bool)
    np.logical_or.at(sure, place, np.concatenate([forward.sures(), reverse.sures()]))
    cell = union % block
    return CorpusLinks.from_columns(
        sentences,
        (union // block)[taken],
        (cell // stride - 1)[taken],
        (cell % stride - 1)[taken],
        weight[taken],
        sure[taken],
    )


class _Union(NamedTuple):
    """The links of either direction, of many sentence pairs.

    :param keys: (n,) int64, ascending: sentence * block + (source + 1) * stride + target + 1.
    :param in_forward: (n,) bool, whether the forward links hold it.
    :param in_reverse: (n,) bool, whether the reverse links hold it.
    """

    keys: np.ndarray
    in_forward: np.ndarray
    in_reverse: np.ndarray
    sentences: int
    block: int
    stride: int


def _all(union: _Union) -> np.ndarray:
    return np.ones(len(union.keys), dtype=bool)


def _of_both(union: _Union) -> np.ndarray:
    return union.in_forward & union.in_reverse


def _grown(union: _Union, most_linked: int | None) -> np.ndarray:
    """(n,) bool: which links the grow-diag family takes.

    :param most_linked: see :func:`_grow_one`.
    """
    bounds = np.searchsorted(union.keys, np.arange(union.sentences + 1) * union.block).tolist()
    cells = (union.keys % union.block).tolist()
    both = _of_both(union).tolist()
    forward = union.in_forward.tolist()
    taken: list[bool] = []
    for start, stop in zip(bounds, bounds[1:]):
        part = slice(start, stop)
        taken += _grow_one(cells[part], both[part], forward[part], union.stride, most_linked)
    return np.array(taken, dtype=bool)


def _grow_one(
    cells: list[int], both: list[bool], forward: list[bool], stride: int, most_linked: int | None
) -> list[bool]:
    """Which of one sentence pair's links are taken.

    :param cells: (source + 1) * stride + target + 1 of each link of the union, ascending.
    :param both: whether a link is in both directions.
    :param forward: whether a link is in the forward direction.
    :param most_linked: the final rounds take a link if at most so many of its two words have a link, 0 or 1. None: no
        final rounds.
    """
    taken = {cell for cell, is_both in zip(cells, both) if is_both}
    sources = {cell // stride for cell in taken}
    targets = {cell % stride for cell in taken}
    waiting = [
        (cell, cell // stride, cell % stride, is_forward)
        for cell, is_forward in zip(cells, forward)
        if cell not in taken
    ]
    grows = bool(taken)
    while grows:
        grows = False
        still_waiting = []
        for link in waiting:
            cell, source, target, _ = link
            if source in sources and target in targets:
                continue  # Words keep their links, so this one is never taken.
            above, below = cell - stride, cell + stride
            if not taken.isdisjoint((above - 1, above, above + 1, cell - 1, cell + 1, below - 1, below, below + 1)):
                taken.add(cell)
                sources.add(source)
                targets.add(target)
                grows = True
            else:
                still_waiting.append(link)
        waiting = still_waiting
    if most_linked is not None:
        # Links in both directions were taken at the start. Each waiting link is of one direction.
        for direction in (True, False):
            for cell, source, target, is_forward in waiting:
                linked = (source in sources) + (target in targets)
                if is_forward is direction and linked <= most_linked:
                    taken.add(cell)
                    sources.add(source)
                    targets.add(target)
    return [cell in taken for cell in cells]


SYMMETRISATIONS: dict[str, Callable[[_Union], np.ndarray]] = {
    "intersection": _of_both,
    "union": _all,
    "grow-diag": partial(_grown, most_linked=None),
    "grow-diag-final": partial(_grown, most_linked=1),
    "grow-diag-final-and": partial(_grown, most_linked=0),
}
"""By name, (n,) bool: which links are taken.

What a new one does is said in the help of ``--symmetrisation`` (``cli/options.py``), in page 2 of the guide and above.
``tests/links/test_symmetrisation.py`` needs it in its ``reference`` and, where fast_align has it, in ``ATOOLS``.
"""
