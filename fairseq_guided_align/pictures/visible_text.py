"""Text as people can see it: characters without a form of their own are shown as their numbers."""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Iterator

LONGEST_LABEL = 24
"""Characters of a token that are shown."""

JOINERS = "\u200c\u200d"
"""Between two characters they choose the form of these, as in Persian words and in emoji."""

# Format characters that have a form, such as the sign that Arabic puts around a number.
_WITH_FORM = (
    "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
)  # fmt: skip

_FORMLESS = ("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp")
"""Controls, format characters, what Unicode has not assigned or leaves to others, of which each font has another
picture, halves of characters, line and paragraph separators.
"""


def visible(text: str) -> str:
    """The text with ``\\u200b`` and the like in place of characters that nobody sees, or that no picture can hold."""
    return "".join(visible_parts(text))


def visible_lines(text: str) -> str:
    """As :func:`visible`, of a text whose line feeds are meant."""
    return "\n".join(map(visible, text.split("\n")))


def visible_parts(text: str) -> Iterator[str]:
    """What is shown for each character."""
    last = len(text) - 1
    for index, character in enumerate(text):
        formless = unicodedata.category(character) in _FORMLESS and character not in _WITH_FORM
        if formless and not (character in JOINERS and 0 < index < last):
            yield _number(character)
        else:
            yield character


def _number(character: str) -> str:
    """As Python writes it: two, four or eight hexadecimal digits."""
    code = ord(character)
    return f"\\x{code:02x}" if code < 1 << 8 else f"\\u{code:04x}" if code < 1 << 16 else f"\\U{code:08x}"


def label_of(token: str) -> str:
    """A token as a picture shows it: composed, for fonts without combining marks, visible, and cut where it is long."""
    parts = list(visible_parts(unicodedata.normalize("NFC", token)))
    text = "".join(parts)
    if len(text) <= LONGEST_LABEL:
        return text
    # No number is cut in two.
    ends = itertools.accumulate(map(len, parts))
    return "".join(part for part, end in zip(parts, ends) if end < LONGEST_LABEL) + "…"
