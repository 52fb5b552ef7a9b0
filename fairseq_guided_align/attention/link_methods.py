"""Links of a sentence pair by the method that a user names, out of one model's attention or of both directions'."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fairseq_guided_align.attention.guided_heads import GuidedHeads
from fairseq_guided_align.attention.hard_links import (
    argmax_links,
    linkable,
    mean_of_directions,
    mutual_argmax_links,
    threshold_links,
)
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.links.link import SentenceLinks
from fairseq_guided_align.links.symmetrisation import symmetrise

EXTRACTION_METHODS = ("argmax", "mutual-argmax", "threshold")
"""How links are read off attention, see ``hard_links``."""


def read_links_off(
    attention: np.ndarray, guided: GuidedHeads, method: str = "argmax", threshold: float | None = None
) -> SentenceLinks:
    """Links of one sentence pair.

    :param attention: (target tokens, source tokens + 1) probabilities; the last column is ``</s>``'s.
    :param guided: with ``unlinked`` ``eos``, a target token whose attention is on ``</s>`` has no link; otherwise
        the column of ``</s>`` is ignored.
    :param method: one of :data:`EXTRACTION_METHODS`.
    :param threshold: for ``threshold``, the least probability of a link, above 0, at most 1.
    :raises GuidedAlignError: no such method, or a threshold that is missing, superfluous or out of range.
    """
    if (threshold is None) == (method == "threshold"):
        raise GuidedAlignError(f"a threshold belongs to the method threshold; got {method} and {threshold}")
    matrix, null = linkable(attention, guided)
    if method == "argmax":
        return argmax_links(matrix, null)
    if method == "mutual-argmax":
        return mutual_argmax_links(matrix, null_column=null)
    if method == "threshold":
        return threshold_links(matrix, threshold, null)  # type: ignore[arg-type]
    raise GuidedAlignError(f"expected a method out of {', '.join(EXTRACTION_METHODS)}; got {method!r}")


def links_of_both_directions(
    attention: np.ndarray,
    reverse: np.ndarray,
    method: str = "threshold",
    threshold: float | None = None,
    symmetrisation: str = "mean",
    guided: Sequence[GuidedHeads] = (GuidedHeads((), ()), GuidedHeads((), ())),
) -> SentenceLinks:
    """Links of one sentence pair out of both directions' attention.

    :param attention: (target tokens, source tokens + 1) probabilities of the model; last column ``</s>``.
    :param reverse: (source tokens, target tokens + 1) probabilities of the opposite model; last column ``</s>``.
    :param method: how links are read off, one of :data:`EXTRACTION_METHODS`; ``argmax`` not with ``mean``.
    :param symmetrisation: ``mean``: links are read off the mean of p(s | t) and p(t | s); or one of
        ``links.symmetrisation.SYMMETRISATIONS``, of the links of each direction.
    :param guided: of the two models, for reading links off each.
    :raises GuidedAlignError: no such method or symmetrisation, or ones that do not go together.
    """
    if symmetrisation != "mean":
        one = read_links_off(attention, guided[0], method, threshold)
        other = read_links_off(reverse, guided[1], method, threshold)
        return symmetrise(one, other.inverted(), symmetrisation)
    mean = mean_of_directions(attention[:, :-1], reverse[:, :-1])
    if method == "threshold":
        return threshold_links(mean, threshold)  # type: ignore[arg-type]
    if method == "mutual-argmax":
        return mutual_argmax_links(mean)
    raise GuidedAlignError(
        f"the mean of two directions goes with the methods threshold and mutual-argmax; got {method!r}"
    )
