"""Where tags stand, against where they should: counts that are summed over segments, scores from the sums.

A segment is consistent if its text equals the reference's, with a run of white space as one space, if its tags are the
reference's, each as often, and if it is well formed. In an inconsistent one every tag counts as wrong::

    accuracy = tags at their place / tags of the reference
    whole = segments in which all tags stand at their place and in their order / segments
    differing = segments that are not consistent / segments
    well_formed = segments that are well formed / segments
    distance = characters from the reference's tags to the nearest same ones / tags of the reference,
        both over consistent segments alone

Zenkel, Wuebker and DeNero 2021, "Automatic Bilingual Markup Transfer" (Findings of EMNLP), section 4: accuracy and
average character difference; there, inconsistent segments are left out of both.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from dataclasses import astuple, dataclass, fields

import numpy as np

from fairseq_guided_align.markup.tagged_text import TaggedText
from fairseq_guided_align.scores.significance import Measures


@dataclass(frozen=True)
class TagScoreCounts:
    """Of one segment, or added up over many.

    :param segments: that have tags in the reference or in what is scored.
    :param tags: of the reference.
    :param placed: tags of the reference that stand at the same place in a consistent segment.
    :param whole: segments in which all tags do, in the same order.
    :param consistent: segments with the reference's text and tags, and well formed.
    :param measured: tags of the reference in consistent segments.
    :param distance: characters between these and the nearest same tags, added up.
    :param well_formed: segments that are.
    """

    segments: int = 0
    tags: int = 0
    placed: int = 0
    whole: int = 0
    consistent: int = 0
    measured: int = 0
    distance: int = 0
    well_formed: int = 0


TAG_COLUMNS = tuple(field.name for field in fields(TagScoreCounts))

NOT_WELL_FORMED, OTHER_TEXT, OTHER_TAGS = "is not well formed", "has another text", "has other tags"
"""Why a segment is not consistent."""


@dataclass(frozen=True)
class SegmentScore:
    """:param counts: of this segment.
    :param difference: one of :data:`NOT_WELL_FORMED`, :data:`OTHER_TEXT` and :data:`OTHER_TAGS`; None of a consistent
        segment.
    """

    counts: TagScoreCounts
    difference: str | None


def score_segment(reference: TaggedText, scored: TaggedText | None) -> SegmentScore:
    """Compare a segment with the reference.

    :param scored: None for one that is not well formed.
    """
    wanted_text, wanted = _in_single_spaces(reference)
    tags = len(wanted)
    if scored is None:
        return SegmentScore(TagScoreCounts(segments=1, tags=tags), NOT_WELL_FORMED)
    text, placed = _in_single_spaces(scored)
    if not wanted and not placed:
        return SegmentScore(TagScoreCounts(), None)
    if text != wanted_text:
        return SegmentScore(TagScoreCounts(segments=1, tags=tags, well_formed=1), OTHER_TEXT)
    if Counter(raw for raw, _ in placed) != Counter(raw for raw, _ in wanted):
        return SegmentScore(TagScoreCounts(segments=1, tags=tags, well_formed=1), OTHER_TAGS)
    return SegmentScore(
        TagScoreCounts(
            segments=1,
            tags=tags,
            placed=sum((Counter(wanted) & Counter(placed)).values()),
            whole=int(wanted == placed),
            consistent=1,
            measured=tags,
            distance=_distance(wanted, placed),
            well_formed=1,
        ),
        None,
    )


def counts_row(counts: TagScoreCounts) -> tuple[int, ...]:
    """The counts in the order of :data:`TAG_COLUMNS`."""
    return astuple(counts)


def tag_scores(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Scores of many counts at once. What is empty counts as faultless.

    :param counts: (..., columns), in the order of :data:`TAG_COLUMNS`; integers or floats.
    :return: ``accuracy``, ``whole``, ``differing`` and ``well_formed`` in 0..1, ``distance`` in characters; each (...)
        float64.
    """
    columns = dict(zip(TAG_COLUMNS, np.moveaxis(np.asarray(counts, dtype=np.float64), -1, 0)))

    def ratio(numerator: str, denominator: str, if_empty: float) -> np.ndarray:
        above, below = columns[numerator], columns[denominator]
        result = np.full(below.shape, if_empty)
        np.divide(above, below, out=result, where=below > 0)
        return result

    return {
        "accuracy": ratio("placed", "tags", 1.0),
        "whole": ratio("whole", "segments", 1.0),
        "distance": ratio("distance", "measured", 0.0),
        "differing": 1 - ratio("consistent", "segments", 1.0),
        "well_formed": ratio("well_formed", "segments", 1.0),
    }


TAG_MEASURES = Measures(
    ("accuracy", "whole", "distance", "differing", "well_formed"), ("distance", "differing"), tag_scores
)
"""For :mod:`~fairseq_guided_align.scores.significance`."""


def _in_single_spaces(segment: TaggedText) -> tuple[str, list[tuple[str, int]]]:
    """The text with single spaces and none at its ends, and the tags with their places in it.

    Spaces that were not written do not count. A tag inside a run of white space stands behind its one space.
    """
    written = _without_added_spaces(segment)
    places = []
    for tag in segment.tags:
        before = written[: tag.place - bisect_left(segment.added_spaces, tag.place)]
        joined = " ".join(before.split())
        places.append((tag.raw, len(joined) + bool(joined and before[-1].isspace())))
    text = " ".join(written.split())
    return text, [(raw, min(place, len(text))) for raw, place in places]


def _without_added_spaces(segment: TaggedText) -> str:
    edges = [-1, *segment.added_spaces, len(segment.text)]
    return "".join(segment.text[start + 1 : stop] for start, stop in zip(edges, edges[1:]))


def _distance(wanted: list[tuple[str, int]], placed: list[tuple[str, int]]) -> int:
    """Characters from each wanted tag to the nearest placed one that is written alike, added up."""
    where: defaultdict[str, list[int]] = defaultdict(list)
    for raw, place in placed:
        where[raw].append(place)
    return sum(min(abs(place - other) for other in where[raw]) for raw, place in wanted)
