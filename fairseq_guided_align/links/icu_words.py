"""Words by the rules of Unicode (UAX 29) and the dictionaries of ICU, an optional package."""

from __future__ import annotations

from functools import cache
from typing import Any

from fairseq_guided_align.errors import GuidedAlignError

_WIDTHLESS = "\u200b"
"""A zero-width space, which separates words in some Thai and Khmer text: it belongs to the word before it."""


def icu_segments(line: str) -> list[str]:
    """A line in pieces, which are words, punctuation, or white space; all of them together are the line.

    :raises GuidedAlignError: ICU is not installed.
    """
    breaks = _iterator()
    breaks.setText(line)
    # ICU counts in units of 16 bits, of which rare characters take two.
    text = line if max(line, default="") <= "\uffff" else None
    units = line.encode("utf-16-le", "surrogatepass")
    found: list[str] = []
    begin = 0
    for end in breaks:
        if text is not None:
            segment = text[begin:end]
        else:
            segment = units[2 * begin : 2 * end].decode("utf-16-le", "surrogatepass")
        if found and not segment.strip(_WIDTHLESS):
            found[-1] += segment
        else:
            found.append(segment)
        begin = end
    return found


@cache
def _iterator() -> Any:
    try:
        import icu
    except ImportError as error:
        raise GuidedAlignError(
            "ICU, which --word-split icu needs, is not installed: pip install 'fairseq-guided-align[icu]'"
        ) from error
    return icu.BreakIterator.createWordInstance(icu.Locale.getRoot())
