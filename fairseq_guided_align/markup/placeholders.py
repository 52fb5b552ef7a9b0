"""Placeholders: parts of the plain text that stay as they are written, found by regular expressions."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.markup.tagged_text import Range

_CONVERSION = r"[-+#0']*(?:\d+|\*)?(?:\.(?:\d+|\*))?"
READY_SETS = {
    # The flag "space" is left out: "100 % der" is text far more often than a placeholder.
    "printf": rf"%(?:\d+\$)?{_CONVERSION}(?:hh|h|ll|l|L|q|j|z|t)?[diouxXeEfFgGaAcCsSpn@](?!\w)|%%",
    "python": rf"%\([^()\s]+\){_CONVERSION}[diouxXeEfFgGcrsa]|%{_CONVERSION}[diouxXeEfFgGcrsa](?!\w)|%%|\$\{{\w+\}}"
    r"|(?<!\{)\{(?:[^\W\d]\w*|\d*)(?:\.\w+|\[[^\[\]{}\s]+\])*(?:![rsa])?(?::[^{}\s]*)?\}(?!\})",
    "icu": r"(?<!\{)\{\s*\w+\s*(?:,[^{}]*)?\}(?!\})",
}
"""Name -> regular expression: ``%1$s``; ``%(name)s``, ``{name!r}`` and ``${name}``; ``{name, number}``."""

Finder = Callable[[str], Sequence[Range]]
"""Gives the ranges of a text that it looks for, such as placeholders: in order, none overlapping."""


def placeholder_finder(sets: Sequence[str], patterns: Sequence[str] = ()) -> Finder:
    """What finds placeholders of several kinds; where two begin at one character, the longer one counts.

    :param sets: names of :data:`READY_SETS`.
    :param patterns: regular expressions of Python's ``re``.
    :raises GuidedAlignError: a set is unknown, or a pattern is none or can match nothing.
    """
    for name in sets:
        if name not in READY_SETS:
            raise GuidedAlignError(f"unknown set of placeholders {name!r}; there are {', '.join(READY_SETS)}")
    expressions = [re.compile(READY_SETS[name]) for name in sets] + [_compiled(pattern) for pattern in patterns]

    def find(text: str) -> Sequence[Range]:
        found = sorted(
            (match.start(), -match.end()) for expression in expressions for match in expression.finditer(text)
        )
        result: list[Range] = []
        for start, minus_stop in found:
            if not result or start >= result[-1][1]:
                result.append((start, -minus_stop))
        return result

    return find


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise GuidedAlignError(f"{pattern!r} is not a regular expression: {error}") from None
    if compiled.match(""):
        raise GuidedAlignError(f"the regular expression {pattern!r} matches empty text; a placeholder has characters")
    return compiled
