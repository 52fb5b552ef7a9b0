"""Words of a plain text as aligners want them: marks apart from letters, placeholders whole, Chinese by character."""

from __future__ import annotations

import re

_WORD = re.compile(
    r"%\(\w+\)[sdif]|%[sdif]\b|\$?\{[^{}\s]*\}"  # placeholders
    r"|[\u3400-\u9fff\uf900-\ufaff\u3040-\u309f]"  # Han and Hiragana: a character is a word
    r"|[\u30a0-\u30ff]+"  # a run of Katakana
    r"|\w+(?:['’\u2011-](?=\w)\w+)*"
    r"|[^\w\s]"
)
_SCRIPTS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+")


def marks_apart(text: str) -> list[tuple[int, int]]:
    """``(start, stop)`` character ranges of the words."""
    # Letters of other scripts may stand right beside Han, which ``\w`` would swallow.
    return [
        (start + first, start + last)
        for start, piece in _by_script(text)
        for first, last in (match.span() for match in _WORD.finditer(piece))
    ]


def _by_script(text: str) -> list[tuple[int, str]]:
    edges = sorted({0, len(text), *(edge for match in _SCRIPTS.finditer(text) for edge in match.span())})
    return [(start, text[start:stop]) for start, stop in zip(edges, edges[1:])]
