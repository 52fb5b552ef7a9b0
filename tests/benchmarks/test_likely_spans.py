"""The likeliest span: against a slow search that sums what is seen span by span, and on sentences by hand."""

from __future__ import annotations

import math
import random

import pytest

from benchmarks.tags.likely_spans import FITTED, Weights, likely_span, scored_edges
from fairseq_guided_align.markup.edges import mark_class
from fairseq_guided_align.markup.linked_sentence import LinkedSentence
from fairseq_guided_align.markup.spans import hull
from fairseq_guided_align.markup.units import MARKS


def sentence(
    source: str,
    target: str,
    links: str,
    source_part: tuple[int, int] | None = None,
    target_part: tuple[int, int] | None = None,
) -> LinkedSentence:
    one, other = source.split(), target.split()
    pairs = [(int(a), int(b), 1.0) for a, b in (link.split("-") for link in links.split())]
    return LinkedSentence(
        one,
        other,
        pairs,
        [unit in MARKS for unit in one],
        [unit in MARKS for unit in other],
        source_part or (0, len(one)),
        target_part or (0, len(other)),
    )


def chosen(inside: range, text: LinkedSentence) -> str:
    span = likely_span(inside, text)
    return "" if span is None else " ".join(text.target[span.start : span.stop])


@pytest.mark.parametrize(
    ("source", "inside", "target", "links", "expected"),
    [
        ("press the red button now", (2, 4), "drücke jetzt den roten Knopf", "0-0 1-2 2-3 3-4 4-1", "roten Knopf"),
        # The stray link from outside into the hull's end does not widen the span.
        ("a b c d", (0, 2), "A B x C D", "0-0 1-1 1-4 2-3 3-4", "A B"),
        # "an" has no link, nor has "eine": unlinked words beside linked ones belong together.
        ("choose an arbitrary port", (1, 4), "wähle eine beliebige Anzahl", "0-0 2-2 3-3", "eine beliebige Anzahl"),
        # The source's span ends with the sentence, so does the translation's, past a word without a link.
        ("so : it is not included .", (2, 6), "so : es ist nicht da .", "0-0 2-2 3-3 4-4", "es ist nicht da"),
        # A mark inside brackets keeps the word beyond it out.
        ("see ( here ) please", (2, 3), "siehe ( hier ) bitte", "0-0 2-2 4-4", "hier"),
    ],
)
def test_sentences(source: str, inside: tuple[int, int], target: str, links: str, expected: str) -> None:
    assert chosen(range(*inside), sentence(source, target, links)) == expected


def test_without_links_inside_there_is_no_span() -> None:
    text = sentence("a b c", "A B C", "0-0 2-2", target_part=(0, 3))
    assert likely_span(range(1), sentence("a b", "A B", "")) is None
    assert likely_span(range(1), text) is not None
    assert likely_span(range(1, 2), sentence("a . c", "A . C", "0-0 2-2")) is None


def slow_score(span: range, inside: range, text: LinkedSentence, w: Weights) -> float:
    """What speaks for a span, from the definitions, without running sums."""

    def is_word(units: list[str], part: tuple[int, int], at: int) -> bool:
        return part[0] <= at < part[1] and units[at] not in MARKS

    def beside(units: list[str], part: tuple[int, int], at: int) -> object:
        return "end" if not part[0] <= at < part[1] else mark_class(units[at]) if units[at] in MARKS else "word"

    source, target = list(text.source), list(text.target)
    links = {(a, b): weight for a, b, weight in text.links}
    have, have_target = {a for a, _ in links}, {b for _, b in links}
    for a, b in list(links):
        for step in (-1, 1):
            one, two = a + step, b + step
            free = one not in have and two not in have_target
            if free and is_word(source, text.source_part, one) and is_word(target, text.target_part, two):
                links[one, two] = 0.5
    have, have_target = {a for a, _ in links}, {b for _, b in links}
    degree = {a: sum(weight for (x, _), weight in links.items() if x == a) for a in have}
    texts = {source[a].lower() for a in inside if source[a] not in MARKS}
    total = 0.0
    for b in span:
        if target[b] in MARKS:
            continue
        into = {a: weight for (a, x), weight in links.items() if x == b and a in inside}
        out = {a: weight for (a, x), weight in links.items() if x == b and a not in inside}
        if not into and not out:
            total += w.unlinked
        total += sum(w.inside * weight / degree[a] for a, weight in into.items())
        total += sum(w.outside * weight / degree[a] for a, weight in out.items())
        if into:
            total += w.inside_share * sum(into.values()) / (sum(into.values()) + sum(out.values()))
            total += w.anchor * (target[b].lower() in texts)
    inner = [a for a in inside if source[a] not in MARKS]
    for step, edge, end in ((-1, inner[0], span.start), (1, inner[-1], span.stop - 1)):
        if (edge, end) in links:
            total += w.linked
        elif edge in have and end not in have_target:
            total += w.loose
        kinds = beside(source, text.source_part, edge + step), beside(target, text.target_part, end + step)
        if kinds[1] == "word":
            total += w.lost_mark if kinds[0] != "word" else w.beyond_linked * ((edge + step, end + step) in links)
            total += w.beyond_loose * (edge + step in have and end + step not in have_target)
        elif kinds[0] == kinds[1]:
            total += w.same_mark
    words = sum(is_word(target, text.target_part, b) for b in range(len(target)))
    source_words = sum(is_word(source, text.source_part, a) for a in range(len(source)))
    length = sum(target[b] not in MARKS for b in span)
    return total + w.length * abs(math.log(1 + length) - math.log(1 + len(inner) * words / source_words))


def random_case() -> tuple[range, LinkedSentence]:
    source, target = (random.choices(["a", "bb", "Cc", "9", ",", ".", '"'], k=random.randrange(1, 9)) for _ in "12")
    parts = []
    for side in (source, target):
        start = random.choice([0, random.randrange(len(side))])
        parts.append((start, random.choice([len(side), random.randrange(start + 1, len(side) + 1)])))
    words = [[i for i in range(*part) if side[i] not in MARKS] for side, part in zip((source, target), parts)]
    links = {
        (random.choice(words[0]), random.choice(words[1])): random.choice([0.5, 1.0])
        for _ in range(random.randrange(1, 7))
        if words[0] and words[1]
    }
    start = random.randrange(*parts[0])
    marks = [[unit in MARKS for unit in side] for side in (source, target)]
    pairs = [(a, b, weight) for (a, b), weight in links.items()]
    text = LinkedSentence(source, target, pairs, *marks, *parts)
    return range(start, random.randrange(start, parts[0][1]) + 1), text


def test_the_best_of_all_spans_is_found() -> None:
    random.seed(3)
    compared = 0
    for _ in range(600):
        inside, text = random_case()
        scored = scored_edges(inside, text, FITTED)
        if scored is None:
            assert likely_span(inside, text) is None
            continue
        words = [b for b in range(*text.target_part) if text.target[b] not in MARKS]
        spans = [range(first, last + 1) for first in words for last in words if first <= last]
        assert scored.words == words
        best = max(slow_score(span, inside, text, FITTED) for span in spans)
        assert slow_score(scored.best(), inside, text, FITTED) == pytest.approx(best, abs=1e-9)
        compared += len(spans) > 1
    assert compared > 120


def test_weights_are_those_of_what_is_seen() -> None:
    """A weight alone makes the score what the slow one says, whichever it is."""
    random.seed(4)
    for name in Weights._fields:
        weights = Weights(**{name: 1.0})
        seen = 0.0
        for _ in range(80):
            inside, text = random_case()
            scored = scored_edges(inside, text, weights)
            if scored is None:
                continue
            for first, start in enumerate(scored.words):
                for last in range(first, len(scored.words)):
                    got = scored.first[first] + scored.last[last] + scored.length[last - first]
                    expected = slow_score(range(start, scored.words[last] + 1), inside, text, weights)
                    assert got == pytest.approx(expected, abs=1e-9), name
                    seen += abs(expected)
        assert seen > 0, name


def test_the_quick_way_gives_the_hull() -> None:
    text = sentence("a b c d .", "D A B C .", "0-1 1-2 2-3 3-0")
    assert likely_span(range(1, 3), text) == hull(range(1, 3), text) == range(2, 4)
    scored = scored_edges(range(1, 3), text, FITTED)
    assert scored is not None
    assert scored.best() == range(2, 4)
