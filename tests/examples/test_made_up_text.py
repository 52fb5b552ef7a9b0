"""The made-up text: deterministic, with the kinds of links that real text has."""

from __future__ import annotations

from collections import Counter

from examples.made_up_text import ARTICLE, FULL_STOP, PARTICLES, make_text

TEXT = make_text(300)


def test_the_same_arguments_give_the_same_text() -> None:
    assert make_text(300) == TEXT
    assert make_text(300, seed=1) != TEXT


def test_links_point_into_the_sentences_once_each() -> None:
    for pair in TEXT:
        assert len(set(pair.links)) == len(pair.links)
        assert all(0 <= i < len(pair.source) and 0 <= j < len(pair.target) for i, j in pair.links)


def test_every_target_word_but_the_full_stop_has_one_source_word() -> None:
    for pair in TEXT:
        assert sorted(j for _, j in pair.links) == list(range(len(pair.target) - 1))
        assert pair.target[-1] == FULL_STOP


def test_links_say_what_translates_what() -> None:
    translations: dict[str, set[str]] = {}
    for pair in TEXT:
        for i, j in pair.links:
            if pair.target[j] != ARTICLE:
                translations.setdefault(pair.source[i], set()).add(pair.target[j])
    assert len(translations) == 60
    assert all(len(found) == 1 for found in translations.values())
    assert not translations.keys() & set(PARTICLES)


def test_there_are_many_to_one_and_crossing_links_and_unlinked_words() -> None:
    fertility = Counter(c for pair in TEXT for c in Counter(i for i, _ in pair.links).values())
    assert fertility[2] > 100
    crossing = sum(1 for pair in TEXT for a, b in pair.links for c, d in pair.links if a < c and b > d)
    assert crossing > 100
    assert sum(word in PARTICLES for pair in TEXT for word in pair.source) > 100
