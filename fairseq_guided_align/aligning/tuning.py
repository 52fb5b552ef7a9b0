"""Attention with gold links, and how good the ways of reading links off it are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from fairseq_guided_align.aligning.link_models import MOST_CELLS, LinkedAttention, LinkReader, Matrices
from fairseq_guided_align.attention.guided_heads import GuidedHeads
from fairseq_guided_align.attention.hard_links import mean_of_directions
from fairseq_guided_align.attention.link_methods import links_of_both_directions, read_links_off
from fairseq_guided_align.errors import AlignmentLengthError, AlignmentRangeError, GuidedAlignError
from fairseq_guided_align.files.byte_lines import PathLike
from fairseq_guided_align.links.link import CorpusLinks, SentenceLinks
from fairseq_guided_align.links.outside import check_inside
from fairseq_guided_align.links.reading import with_missing_pairs
from fairseq_guided_align.scores.metrics import AlignmentCounts, count_links

THRESHOLDS = [k / 100 for k in range(5, 100, 5)]
FOLDS = 2
NO_LINKS = SentenceLinks.from_pairs([])


def linked_attention(
    sets: Iterable[Matrices | None],
    gold: CorpusLinks,
    path: PathLike,
    seen: Callable[[], object] = lambda: None,
) -> tuple[list[LinkedAttention], dict[str, int]]:
    """The first pairs with gold links, :data:`MOST_CELLS` cells of them; and how many were left out, and why.

    :param sets: attention of each sentence pair; None for one that is too long.
    :param gold: their links.
    :param path: where the links were read; a pipe as :func:`~fairseq_guided_align.links.reading.recognisable` gives it.
    :param seen: called after each sentence pair.
    :raises AlignmentLengthError: other numbers of sentence pairs.
    :raises AlignmentRangeError: a link outside its sentence pair.
    :raises GuidedAlignError: no links.
    """
    found: list[LinkedAttention] = []
    left_out = dict.fromkeys(("too long for the model", "without links", "more than are needed"), 0)
    cells = pairs = 0
    for pairs, matrices in enumerate(sets, start=1):
        seen()
        links = gold[pairs - 1] if pairs <= len(gold) else NO_LINKS
        if matrices is None or not len(links):
            left_out["too long for the model" if matrices is None else "without links"] += 1
            continue
        targets, sources = matrices[0].shape[0], matrices[0].shape[1] - 1
        try:
            check_inside(links, sources, targets)
        except AlignmentRangeError as error:
            raise AlignmentRangeError(f"{path}, line {pairs}: {error}") from None
        cells += targets * sources
        if not found or cells <= MOST_CELLS:
            found.append(LinkedAttention(matrices, links))
        else:
            left_out["more than are needed"] += 1
    if len(with_missing_pairs(gold, path, pairs)) != pairs:
        raise AlignmentLengthError(f"{path}: expected links of {pairs} sentence pairs; got {len(gold)} lines")
    if not found:
        raise GuidedAlignError(f"{path}: expected links to learn from; there are none")
    return found, left_out


def compared(pairs: Sequence[LinkedAttention], guided: GuidedHeads) -> list[tuple[str, AlignmentCounts]]:
    """Names and counts of the ways to read links; what is learnt is applied to pairs that it was not learnt from.

    :param guided: heads of the model, where there is one.
    """
    if len(pairs[0].matrices) == 1:
        ways: dict[str, Callable[[Matrices], SentenceLinks]] = {
            "argmax": lambda matrices: read_links_off(matrices[0], guided, "argmax"),
            "mutual-argmax": lambda matrices: read_links_off(matrices[0], guided, "mutual-argmax"),
        }
        probabilities = [pair.matrices[0][:, :-1] for pair in pairs]
    else:
        ways = {"mutual-argmax": lambda matrices: links_of_both_directions(matrices[0], matrices[1], "mutual-argmax")}
        probabilities = [mean_of_directions(*(one[:, :-1] for one in pair.matrices)) for pair in pairs]
    found = [
        (name, sum((count_links(way(pair.matrices), pair.gold) for pair in pairs), AlignmentCounts()))
        for name, way in ways.items()
    ]
    by_threshold = {
        threshold: sum(
            (_counts(one >= threshold, pair.gold) for one, pair in zip(probabilities, pairs)), AlignmentCounts()
        )
        for threshold in THRESHOLDS
    }
    best = min(by_threshold, key=lambda threshold: by_threshold[threshold].aer)
    found.append((f"threshold {best:g}, the best", by_threshold[best]))
    if len(pairs) >= FOLDS:
        found.append(("tuned, on text not learnt from", _tuned(pairs)))
    return found


def _counts(linked: np.ndarray, gold: SentenceLinks) -> AlignmentCounts:
    hit = linked[gold.target, gold.source]
    numbers = linked.sum(), gold.sure.sum(), len(gold), (hit & gold.sure).sum(), hit.sum()
    return AlignmentCounts(*map(int, numbers))


def _tuned(pairs: Sequence[LinkedAttention]) -> AlignmentCounts:
    total = AlignmentCounts()
    for fold in range(FOLDS):
        reader = LinkReader.fitted([pair for number, pair in enumerate(pairs) if number % FOLDS != fold])
        for pair in pairs[fold::FOLDS]:
            total += count_links(reader.links(pair.matrices), pair.gold)
    return total
