"""What must survive translation: found, checked, put in the place of the words linked to it."""

from __future__ import annotations

import pytest

from fairseq_guided_align.markup.placeholders import placeholder_finder
from fairseq_guided_align.markup.protected import (
    Finder,
    Mended,
    Terms,
    emails,
    items_of,
    mend,
    numbers,
    urls,
    values_of,
)
from fairseq_guided_align.markup.tagged_text import words_of
from fairseq_guided_align.markup.units import units_of

FINDERS: list[tuple[str, Finder]] = [
    ("urls", urls), ("emails", emails), ("placeholders", placeholder_finder(["printf"])), ("numbers", numbers)
]  # fmt: skip


def mended(source: str, target: str, links: list[tuple[int, int]], terms: Terms | None = None) -> Mended:
    items = items_of(source, FINDERS, terms)
    weighted = [(s, t, 1.0) for s, t in links]
    return mend(items, units_of(source), units_of(target), words_of(target), weighted)


def found(finder: Finder, text: str) -> list[str]:
    return [text[start:stop] for start, stop in finder(text)]


def test_what_is_found() -> None:
    text = "See https://a.org/b?c=1&d, www.x.de. (ftp://y/z) or mail a.b+c@d-e.org."
    assert found(urls, text) == ["https://a.org/b?c=1&d", "www.x.de", "ftp://y/z"]
    assert found(emails, text) == ["a.b+c@d-e.org"]
    assert found(numbers, "1,000.5 of 20, 3rd 1 000 000 12:30 and A4 v2") == [
        "1,000.5",
        "20",
        "3",
        "1 000 000",
        "12",
        "30",
    ]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("1,000.5", "1.000,5", True),
        ("1,000.5", "1 000,5", True),
        ("1,000.5", "1\u202f000,5", True),
        ("1,234,567", "1.234.567", True),
        ("1,000", "1000", True),
        ("0.5", "0,5", True),
        ("0.50", "0,5", True),
        ("20", "٢٠", True),
        ("1,000.5", "1000.6", False),
        ("1,000.5", "10005", False),
        ("12", "21", False),
        ("1.5", "15", False),
        ("3.1.4", "3.1.4", True),
        ("3.1.4", "31.4", False),
    ],
)
def test_numbers_in_another_notation(one: str, other: str, same: bool) -> None:
    assert bool(values_of(one) & values_of(other)) == same


def test_what_is_there_is_left_alone() -> None:
    target = "Für 1.000,5 Euro von %s, siehe https://a.org."
    done = mended("For 1,000.5 euros from %s, see https://a.org.", target, [])
    assert done == Mended(target, words_of(target), (), ())


def test_what_was_altered_is_put_right() -> None:
    done = mended("Send %s to https://a.org now.", "Sende %d an https://a.de jetzt.",
                  [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4)])  # fmt: skip
    assert done.text == "Sende %s an https://a.org jetzt."
    assert done.replaced == ("%s", "https://a.org")
    assert [done.text[start:stop] for start, stop in done.words] == done.text.split()


def test_several_words_become_one() -> None:
    done = mended("to %(n)s, now", "an % (n) s, jetzt", [(0, 0), (1, 1), (1, 2), (1, 3), (2, 4)])
    assert done.text == "an % (n) s, jetzt"  # the ready set printf knows no names
    finder = placeholder_finder(["python"])
    items = items_of("to %(n)s, now", [("placeholders", finder)])
    target = "an % (n) s, jetzt"
    done = mend(items, units_of("to %(n)s, now"), units_of(target), words_of(target),
                [(0, 0, 1.0), (1, 1, 1.0), (1, 2, 1.0), (1, 3, 1.0), (2, 4, 1.0)])  # fmt: skip
    assert done.text == "an %(n)s, jetzt"
    assert len(done.words) == 5
    assert [done.text[start:stop] for start, stop in done.words if stop > start] == ["an", "%(n)s,", "jetzt"] or [
        done.text[start:stop] for start, stop in done.words if stop > start
    ] == ["an", "%(n)s", ",", "jetzt"]


def test_weak_links_widen_nothing() -> None:
    """A word that belongs to others is replaced only where nothing better is linked."""
    source, target = "now %s here", "jetzt %d hier"
    items = items_of(source, FINDERS, None)
    weak = [(0, 0, 0.8), (1, 0, 0.2), (1, 2, 0.3), (2, 2, 0.7)]
    for links, text in (([*weak, (1, 1, 0.4)], "jetzt %s hier"), (weak, "jetzt %d %s")):
        done = mend(items, units_of(source), units_of(target), words_of(target), links)
        assert (done.text, done.lost) == (text, ())


def test_without_links_it_is_told() -> None:
    done = mended("Send 5 now", "Sende jetzt", [(0, 0), (2, 1)])
    assert (done.text, done.replaced, done.lost) == ("Sende jetzt", (), ("5",))


def test_never_a_second_copy_beside_a_correct_one() -> None:
    """A number that comes twice needs two places; a linked word that is the correct copy is not overwritten."""
    done = mended("5 of 5", "5 aller", [(0, 0), (2, 0)])
    assert (done.text, done.lost) == ("5 aller", ("5",))
    done = mended("5 of 5", "5 von fünf", [(0, 0), (1, 1), (2, 2)])
    assert done.text == "5 von 5"
    # The link is wrong, and the correct copy elsewhere.
    assert mended("take 5 now", "nimm jetzt 5", [(1, 1)]).text == "nimm jetzt 5"


def test_terms() -> None:
    pairs = [("word alignment", "Wortalignierung"), ("alignment", "Ausrichtung")]
    links = [(0, 0), (1, 1), (2, 1), (3, 2)]
    source = "The word alignment works"
    assert mended(source, "Die Wortzuordnung klappt", links, Terms(pairs)).text == "Die Wortalignierung klappt"
    assert mended("Alignment works", "Es klappt", [(0, 0)], Terms(pairs)).text == "Ausrichtung klappt"
    inflected = "Die Wortalignierungen klappen"
    assert mended(source, inflected, links, Terms(pairs)).text == "Die Wortalignierung klappen"
    assert mended(source, inflected, links, Terms(pairs, inflected=True)).text == inflected
    assert items_of("misalignments", [], Terms(pairs)) == []
