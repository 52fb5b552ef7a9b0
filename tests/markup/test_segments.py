"""What the markup protects and the translation lacks, put in by a guess; and what is said of segments."""

from __future__ import annotations

import pytest

from fairseq_guided_align.markup.notes import Note, SegmentCounts
from fairseq_guided_align.markup.segments import finished, taken_apart
from fairseq_guided_align.markup.settings import tag_settings

Links = list[tuple[int, int, float]]


def links(pairs: str) -> Links:
    return [(int(one.split("-")[0]), int(one.split("-")[1]), 1.0) for one in pairs.split()]


@pytest.mark.parametrize(
    ("source", "target", "pairs", "expected", "kinds"),
    [
        ("run <code>ls -l</code> now", "jetzt los", "0-1 3-0", "<code>ls -l</code> jetzt los", ["inserted"]),
        ("run <code>ls -l</code> now", "los nun", "0-0 3-1", "los <code>ls -l</code> nun", ["inserted"]),
        ("run <code>ls</code>", "los", "0-0", "los <code>ls</code>", ["inserted"]),
        ("<code>a&lt;b</code> <b>holds</b>", "gilt", "1-0", "<code>a&lt;b</code> <b>gilt</b>", ["inserted"]),
        ("<code>a</code> b <code>c</code>", "x", "1-0", "<code>a</code> x <code>c</code>", ["inserted"] * 2),
        ("<code>a</code> b <code>a</code>", "a x", "0-0 1-1", "<code>a</code> x <code>a</code>", ["inserted"]),
        ("<i translate=no>A B</i> c", "", "", "<i translate=no>A B</i>", ["inserted"]),
        ("<b>%s</b> files", "Dateien", "1-0", "<b>%s</b> Dateien", ["inserted"]),
        # With links, or there already, it needs no guess. What the markup does not protect is only noted.
        ("run <code>ls</code>", "los LS", "0-0 1-1", "los <code>ls</code>", ["replaced"]),
        ("run <code>ls</code>", "los ls", "0-0", "los <code>ls</code>", []),
        ("<b>7</b> files", "Dateien", "1-0", "<b>Dateien</b>", ["lost", "guessed"]),
    ],
)
def test_kept_elements(source: str, target: str, pairs: str, expected: str, kinds: list[str]) -> None:
    settings = tag_settings("html,placeholders", protect="numbers", insert_kept=True)
    tagged, _ = taken_apart(source, 3, settings)
    done = finished(tagged, target, links(pairs), settings, line=3)
    assert done.text == expected
    assert [note.kind for note in done.notes] == kinds
    assert all(note.line == 3 for note in done.notes)
    # Ranges are those of the words that the links count, which are still there.
    if "replaced" not in kinds:
        words = target.split() if done.words is None else [done.plain[a:b] for a, b in done.words]
        assert words == target.split()
    without = finished(tagged, target, links(pairs), tag_settings("html,placeholders"))
    assert without.plain == (target if "replaced" not in kinds else "los ls")


def test_what_is_said_is_counted_and_written_in_one_line() -> None:
    counts = SegmentCounts()
    counts.add(2, [Note(1, "lost", "x"), Note(1, "inserted", "y")])
    counts.add(0, [])
    counts.add_notes([Note(2, "lost", "z")])
    summary = "out: 2 segments, 1 with tags; 2 tags; 1 protected texts put in by a guess"
    assert counts.summary("out") == f"{summary}; 2 protected texts missing, without links"
    assert Note(7, "guessed", "<a\n\thref='x'>").row() == b"7\tguessed\t<a  href='x'>\n"
