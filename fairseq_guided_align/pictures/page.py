"""One self-contained HTML page to look through alignments: data and template in, text out. No network, no server.

The page's data is JSON, which the typed dictionaries below describe. Lists of links are flat, so that a page of a
thousand pairs stays small.
"""

from __future__ import annotations

from typing import TypedDict

import numpy as np

from fairseq_guided_align.attention.hard_links import threshold_links
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.links.link import SentenceLinks
from fairseq_guided_align.links.outside import check_inside
from fairseq_guided_align.pictures.template import Parts, filled
from fairseq_guided_align.pictures.visible_text import visible
from fairseq_guided_align.scores.metrics import COLUMNS, count_links
from fairseq_guided_align.subwords.pieces import LEVELS

LEAST_PROBABILITY = 0.02
"""Of a soft link of a model: weaker ones only make the page large."""

PARTS = Parts(("base.css", "page.css"), ("tracing.js", "page.js"))


class SystemView(TypedDict):
    """What one system says of one sentence pair.

    ``hard``: [source, target, source, target, ...], or None when there are none to show.
    ``soft``: [source, target, probability, ...] with probabilities in 0..1, or None.
    ``counts``: of the hard links against the gold links, in the order of ``scores.metrics.COLUMNS``, or None.
    """

    hard: list[int] | None
    soft: list[float] | None
    counts: list[int] | None


class View(TypedDict):
    """A sentence pair as words or as pieces.

    ``gold``: [source, target, 1 if sure else 0, ...], or None where there are no gold links.
    ``systems``: one a system, in the order of the page's.
    """

    source: list[str]
    target: list[str]
    gold: list[int] | None
    systems: list[SystemView]


class Pair(TypedDict):
    """A sentence pair: ``id`` as the reader should see it, such as its line, and its views; ``pieces`` may be None."""

    id: str
    words: View
    pieces: View | None


class PageData(TypedDict):
    """All of a page.

    ``source`` and ``target``: names or language codes of the two sides.
    ``systems``: names; the first two are compared when the page opens.
    """

    title: str
    source: str
    target: str
    systems: list[str]
    pairs: list[Pair]


def system_view(hard: SentenceLinks | None, soft: SentenceLinks | None, gold: SentenceLinks | None) -> SystemView:
    """A system's links of one pair.

    :param hard: the links that are scored against ``gold``.
    :param soft: links whose weights are probabilities in 0..1.
    :raises GuidedAlignError: a soft link's weight is above 1.
    """
    flat_soft: list[float] | None = None
    if soft is not None:
        if len(soft) and float(soft.weight.max()) > 1:
            raise GuidedAlignError(
                f"expected soft links whose weights are probabilities, at most 1; got {float(soft.weight.max()):g}"
            )
        rows = zip(soft.source.tolist(), soft.target.tolist(), soft.weight.tolist())
        flat_soft = [number for source, target, weight in rows for number in (source, target, round(weight, 3))]
    counts = None if hard is None or gold is None else count_links(hard, gold)
    return {
        "hard": None if hard is None else np.stack([hard.source, hard.target], axis=1).ravel().tolist(),
        "soft": flat_soft,
        "counts": None if counts is None else [getattr(counts, column) for column in COLUMNS],
    }


def view(
    source: list[str],
    target: list[str],
    gold: SentenceLinks | None,
    systems: list[tuple[SentenceLinks | None, SentenceLinks | None]],
) -> View:
    """A sentence pair with its links.

    :param systems: (hard, soft) links of each system, either may be None.
    :raises AlignmentRangeError: a link points outside the tokens.
    :raises GuidedAlignError: a soft link's weight is above 1.
    """
    for links in [gold, *(links for pair in systems for links in pair)]:
        if links is None or not len(links):
            continue
        check_inside(links, len(source), len(target))
    flat_gold = None
    if gold is not None:
        flat_gold = np.stack([gold.source, gold.target, gold.sure], axis=1).ravel().astype(int).tolist()
    return {
        "source": [visible(token) for token in source],
        "target": [visible(token) for token in target],
        "gold": flat_gold,
        "systems": [system_view(hard, soft, gold) for hard, soft in systems],
    }


def soft_links(attention: np.ndarray) -> SentenceLinks:
    """The soft links that a page shows of a model.

    :param attention: (target, source + 1) probabilities; the last column is ``</s>``'s.
    """
    # Sums over the pieces of a word are rounded, so they may pass 1.
    return threshold_links(np.minimum(attention[:, :-1], 1), LEAST_PROBABILITY)


def page_html(data: PageData) -> str:
    """The page, to be written to a file that ends in ``.html``.

    :raises GuidedAlignError: no pairs, or a view without one entry for each system.
    """
    if not data["pairs"]:
        raise GuidedAlignError("expected at least one sentence pair to show; got none")
    for pair in data["pairs"]:
        for level in LEVELS:
            shown: View | None = pair[level]  # type: ignore[literal-required]
            if shown is not None and len(shown["systems"]) != len(data["systems"]):
                raise GuidedAlignError(
                    f"expected links of {len(data['systems'])} systems in pair {pair['id']};"
                    f" got {len(shown['systems'])}"
                )
    names = {key: visible(data[key]) for key in ("title", "source", "target")}  # type: ignore[literal-required]
    shown_data = {**data, **names, "systems": [visible(name) for name in data["systems"]]}
    return filled("page.html", names["title"], shown_data, PARTS)
