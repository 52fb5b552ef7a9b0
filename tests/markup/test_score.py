"""Scores of tags: by hand, and against a slow scorer that reads the raw strings on its own."""

from __future__ import annotations

import random
import re
from fractions import Fraction

import numpy as np
import pytest

from fairseq_guided_align.errors import MarkupError
from fairseq_guided_align.markup.kinds import markup_of
from fairseq_guided_align.markup.score import (
    NOT_WELL_FORMED,
    OTHER_TAGS,
    OTHER_TEXT,
    TAG_COLUMNS,
    TAG_MEASURES,
    SegmentScore,
    counts_row,
    score_segment,
    tag_scores,
)
from fairseq_guided_align.markup.tagged_text import TaggedText
from fairseq_guided_align.scores.significance import bootstrap_interval, paired_bootstrap

XML = markup_of("xml")


def read(raw: str) -> TaggedText | None:
    try:
        return XML.read(raw)
    except MarkupError:
        return None


def score(reference: str, scored: str) -> SegmentScore:
    wanted = read(reference)
    assert wanted is not None
    return score_segment(wanted, read(scored))


@pytest.mark.parametrize(
    ("reference", "scored", "placed", "distance", "whole"),
    [
        ("a <b>cd</b> e", "a <b>cd</b> e", 2, 0, 1),
        # The opening tag stands two characters early, the closing one at its place.
        ("a <b>cd</b> e", "<b>a cd</b> e", 1, 2, 0),
        ("a <b>cd</b> e", "a cd <b>e</b>", 0, 3 + 2, 0),
        # Each of the two nearest tags alike: 0 and 2, not 0 and 4.
        ("<i/>abcd<i/>", "<i/>ab<i/>cd", 1, 2, 0),
        # At the same place in another order: placed, but not whole.
        ("a<i/><j/>b", "a<j/><i/>b", 2, 0, 0),
        # White space: a run counts as one, at the ends as none.
        ("a  <b>c</b>", " a <b>c</b>  ", 2, 0, 1),
        ("a <i/> b", "a <i/>b", 1, 0, 1),
        ("a <i/> b", "a<i/> b", 0, 1, 0),
        ("<b> a</b>", "<b>a</b>", 2, 0, 1),
        # The text is what is written, without the spaces that only a model is given.
        ("<li>a</li><li>b</li>", "<li>a</li><li>b</li>", 4, 0, 1),
        ("1 &lt; <b>2</b>", "1 &#60; <b>2</b>", 2, 0, 1),
    ],
)
def test_consistent_segments_by_hand(reference: str, scored: str, placed: int, distance: int, whole: int) -> None:
    got = score(reference, scored)
    assert got.difference is None
    counts = got.counts
    assert (counts.placed, counts.distance, counts.whole) == (placed, distance, whole)
    assert (counts.segments, counts.consistent, counts.well_formed) == (1, 1, 1)
    assert counts.tags == counts.measured == reference.count("<")


@pytest.mark.parametrize(
    ("reference", "scored", "why"),
    [
        ("a <b>c</b>", "a <b>d</b>", OTHER_TEXT),
        ("a <b>c</b>", "a<b>c</b>", OTHER_TEXT),
        ("<li>a</li><li>b</li>", "<li>a</li> <li>b</li>", OTHER_TEXT),
        ("a <b>c</b>", "a <i>c</i>", OTHER_TAGS),
        ("a <b>c</b>", "a c", OTHER_TAGS),
        ("a c", "a <b>c</b>", OTHER_TAGS),
        ("<i/>a", "<i/>a<i/>", OTHER_TAGS),
        ("a <b>c</b>", "a <b>c</i>", NOT_WELL_FORMED),
        ("a <b>c</b>", "a <b>c", NOT_WELL_FORMED),
    ],
)
def test_all_tags_of_an_inconsistent_segment_are_wrong(reference: str, scored: str, why: str) -> None:
    got = score(reference, scored)
    assert got.difference == why
    assert got.counts.segments == 1
    assert got.counts.tags == reference.count("<")
    assert got.counts.well_formed == (why != NOT_WELL_FORMED)
    assert got.counts.placed == got.counts.whole == got.counts.consistent == got.counts.measured == 0


def test_segments_without_tags_are_left_out() -> None:
    for scored in ("a", "b"):
        assert counts_row(score("a", scored).counts) == (0,) * len(TAG_COLUMNS)


def test_scores_come_from_sums() -> None:
    rows = np.array([counts_row(score(*pair).counts) for pair in [
        ("a <b>cd</b> e", "<b>a cd</b> e"),
        ("<i/>x", "<i/>x"),
        ("<i/>x", "x"),
        ("<i/>x", "<b>x"),
        ("x", "x"),
    ]])  # fmt: skip
    got = {name: float(value) for name, value in tag_scores(rows.sum(axis=0)).items()}
    assert got == {
        "accuracy": 2 / 5,
        "whole": 1 / 4,
        "distance": 2 / 3,
        "differing": 1 - 2 / 4,
        "well_formed": 3 / 4,
    }
    assert tuple(got) == TAG_MEASURES.names


def test_nothing_scored_is_faultless() -> None:
    got = {name: float(value) for name, value in tag_scores(np.zeros(len(TAG_COLUMNS))).items()}
    assert got == {"accuracy": 1, "whole": 1, "distance": 0, "differing": 0, "well_formed": 1}


def slow(pairs: list[tuple[str, str]]) -> tuple[Fraction, Fraction, Fraction, Fraction]:
    """Accuracy, whole, distance and share that differs, with regular expressions on the raw strings."""

    def tags(raw: str) -> list[tuple[str, int]]:
        found = []
        for match in re.finditer("<[^>]*>", raw):
            before = re.sub(r"\s+", " ", re.sub("<[^>]*>", "", raw[: match.start()]))
            found.append((match.group(), len(before.lstrip(" "))))
        return found

    def plain(raw: str) -> str:
        return re.sub(r"\s+", " ", re.sub("<[^>]*>", "", raw)).strip()

    tagged = whole = consistent = all_tags = placed = measured = distance = 0
    for reference, scored in pairs:
        wanted, got = tags(reference), tags(scored)
        if not wanted and not got:
            continue
        tagged += 1
        all_tags += len(wanted)
        if plain(reference) != plain(scored) or sorted(t for t, _ in wanted) != sorted(t for t, _ in got):
            continue
        end = len(plain(reference))
        wanted, got = ([(raw, min(place, end)) for raw, place in some] for some in (wanted, got))
        consistent += 1
        measured += len(wanted)
        whole += wanted == got
        rest = list(got)
        for tag in wanted:
            if tag in rest:
                rest.remove(tag)
                placed += 1
            distance += min(abs(tag[1] - place) for raw, place in got if raw == tag[0])
    return (
        Fraction(placed, all_tags),
        Fraction(whole, tagged),
        Fraction(distance, measured),
        Fraction(tagged - consistent, tagged),
    )


def test_against_a_slow_scorer_on_random_segments() -> None:
    random.seed(17)

    def segment(text: str) -> str:
        tags = random.choices(["<i/>", "<br/>", "<x/>"], k=random.randrange(4))
        for tag in tags:
            place = random.choice([match.start() for match in re.finditer(r"(?<![<\w/])\w|$|\s", text)])
            text = text[:place] + tag + text[place:]
        return text

    pairs = []
    for _ in range(300):
        text = " ".join(random.choices(["a", "bc", "def"], k=random.randrange(1, 5)))
        reference = segment(text)
        scored = random.choice([reference, reference, segment(text), segment(text + " g")])
        pairs.append((reference, scored.replace(" ", random.choice([" ", "  "]))))
    rows = np.array([counts_row(score(*pair).counts) for pair in pairs])
    got = tag_scores(rows.sum(axis=0))
    expected = slow(pairs)
    assert [float(got[name]) for name in ("accuracy", "whole", "distance", "differing")] == pytest.approx(
        [float(value) for value in expected], abs=1e-12
    )
    assert 0.2 < expected[0] < 0.9
    assert 0.1 < expected[3] < 0.9


def test_scores_of_tags_are_resampled_as_those_of_links_are() -> None:
    good = np.array([counts_row(score("a <b>c</b>", "a <b>c</b>").counts)] * 40)
    bad = np.array([counts_row(score("a <b>c</b>", raw).counts) for raw in ["a <b>c</b>", "<b>a c</b>"] * 20])
    interval = bootstrap_interval(bad, "accuracy", measures=TAG_MEASURES)
    assert interval.score == 0.75
    assert 0.6 < interval.low < 0.75 < interval.high < 0.9
    comparison = paired_bootstrap(bad, good, "distance", measures=TAG_MEASURES)
    assert comparison.difference.score == -0.5
    # The lower distance is the better one.
    assert comparison.second_wins == 1
    assert comparison.p_value < 0.01
