"""Units: a text's words without the punctuation around them, and each mark of that punctuation.

Links count words; tags stand between units, since ``<b>Note</b>: read`` has a tag inside what white space calls a word.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from fairseq_guided_align.markup.tagged_text import Range, words_of

QUOTES = "\"'“”„‟«»‹›‘’‚‛「」『』《》〈〉"
QUOTE = re.compile(f"[{QUOTES}]")
BRACKETS = "()[]（）【】〔〕［］"
_STOPS = ".,:;!?…¿¡·。、，：；！？・،؛؟।"
_CLOSING = ".!?:)]»”…"
_BEGINNING = "¿¡«„“{"
_DASHES = "-–—―"
MARKS = frozenset(QUOTES + BRACKETS + _STOPS + _DASHES)
"""Punctuation that stands beside words, and is no part of them."""

_CLASS = "[" + re.escape("".join(sorted(MARKS))) + "]"
_NOT = "[^\\s" + re.escape("".join(sorted(MARKS))) + "]+"
# A single mark between letters, as in "don't" and "1,000.5", belongs to the word.
_UNIT = re.compile(f"{_NOT}(?:{_CLASS}{_NOT})*|{_CLASS}")


_HYPHENATED = re.compile("-|[^-]+")


class Units(NamedTuple):
    """A text in units, in order.

    :param text: the text.
    :param starts: the character that each begins at.
    :param stops: the character after each one's last.
    :param marks: whether each is punctuation.
    :param of_word: for each word that links count, the positions of its units; without its punctuation, unless it is
        nothing else.
    :param inner: the units that begin inside a word, where the words that links count are pieces of words.
    """

    text: str
    starts: list[int]
    stops: list[int]
    marks: list[bool]
    of_word: list[list[int]]
    inner: set[int]

    def __len__(self) -> int:
        return len(self.starts)

    def strings(self) -> list[str]:
        return [self.text[start:stop] for start, stop in zip(self.starts, self.stops)]


def units_of(text: str, words: Sequence[Range] | None = None, protected: Sequence[Range] = ()) -> Units:
    """A text cut into units.

    :param words: ``(start, stop)`` ranges of the words that links count, in order; what stands between white space
        when None.
    :param protected: ranges in which nothing is punctuation.
    """
    units = Units(text, [], [], [], [], set())
    if words is None and not protected:
        _add_all(units)
        return units
    for start, stop in words_of(text) if words is None else words:
        first = len(units.starts)
        _add_word(units, start, stop, protected)
        if 0 < first < len(units.starts) and _are_one_word(units, first):
            units.inner.add(first)
    return units


def _are_one_word(units: Units, unit: int) -> bool:
    """Whether a unit goes on with the word before it: both are letters, of a script that parts words by spaces."""
    if units.stops[unit - 1] != units.starts[unit] or is_seam(units, unit):
        return False
    pieces = [units.text[units.starts[one] : units.stops[one]] for one in (unit - 1, unit)]
    # A placeholder beside letters is a word of its own.
    return all(piece.isalnum() and not is_east_asian(piece[0]) for piece in pieces)


def is_seam(units: Units, unit: int) -> bool:
    """Whether two texts that only a tag had separated meet before a unit, as in ``the end.Next`` and ``titleText``."""
    before, after = units.text[units.stops[unit - 1] - 1], units.text[units.starts[unit]]
    if units.stops[unit - 1] != units.starts[unit]:
        return False
    return (after.isupper() or after in _BEGINNING) and (before.islower() or before in _CLOSING)


def is_east_asian(character: str) -> bool:
    """Whether a character is of a script that writes no spaces between words."""
    return unicodedata.east_asian_width(character) in "WF" or "\u0e00" <= character <= "\u0eff"


def _add_all(units: Units) -> None:
    """The quick way for words between white space, most of which are one unit."""
    text, starts, stops, marks, of_word, _ = units
    stop = 0
    for word in text.split():
        start = text.index(word, stop)
        stop = start + len(word)
        position = len(starts)
        if word.isalnum():
            starts.append(start)
            stops.append(stop)
            marks.append(False)
            of_word.append([position])
            continue
        if word[-1] in MARKS and word[:-1].isalnum():
            starts += start, stop - 1
            stops += stop - 1, stop
            marks += False, True
            of_word.append([position])
            continue
        for match in _UNIT.finditer(word):
            first, last = match.span()
            starts.append(start + first)
            stops.append(start + last)
            marks.append(last - first == 1 and word[first] in MARKS)
        inside = list(range(position, len(starts)))
        _leave_marks_out(marks, inside)
        of_word.append(inside)


def _add_word(units: Units, start: int, stop: int, protected: Sequence[Range]) -> None:
    text, starts, stops, marks, of_word, _ = units
    inside = []
    pieces = [(start, stop, False)]
    for first, last in protected:
        if first < stop and last > start:
            before, _, _ = pieces.pop()
            first, last = max(first, before), min(last, stop)
            pieces += [(before, first, False), (first, last, True), (last, stop, False)]
    for first, last, kept in pieces:
        if kept or text[first:last].isalnum():
            spans = [(first, last)]
        else:
            spans = [match.span() for match in _UNIT.finditer(text, first, last)]
        for unit_start, unit_stop in spans:
            if unit_start < unit_stop:
                inside.append(len(starts))
                starts.append(unit_start)
                stops.append(unit_stop)
                marks.append(not kept and unit_stop - unit_start == 1 and text[unit_start] in MARKS)
    _leave_marks_out(marks, inside)
    of_word.append(inside)


def _leave_marks_out(marks: list[bool], inside: list[int]) -> None:
    if len(inside) > 1:
        inside[:] = [unit for unit in inside if not marks[unit]] or inside


def with_names_apart(units: Units, source: Sequence[str], names: set[str]) -> Units:
    """Units of which a word with hyphens is several where one of its parts is a name, as in ``Python-Skript``.

    A tag may part them, so that the name alone is between the tags. The word's links are those of all its parts.

    :param source: the units of the source; a word that is one of them stays whole.
    :param names: in small letters; those that stand alone in the translation as well do not count.
    """
    strings = units.strings()
    names = names.difference([string.lower() for string in strings])
    whole = {string.lower() for string in source if "-" in string}
    cut = _compounds(units, strings, whole, names)
    if not cut:
        return units
    apart = Units(units.text, [], [], [], [], set())
    became: list[list[int]] = []
    for unit, span in enumerate(zip(units.starts, units.stops)):
        first_part = len(apart)
        if unit in units.inner:
            apart.inner.add(first_part)
        for start, stop in cut.get(unit, [span]):
            apart.starts.append(start)
            apart.stops.append(stop)
            apart.marks.append(units.marks[unit] if unit not in cut else units.text[start:stop] == "-")
        became.append([part for part in range(first_part, len(apart)) if unit not in cut or not apart.marks[part]])
    apart.of_word.extend([part for unit in inside for part in became[unit]] for inside in units.of_word)
    return apart


def _compounds(units: Units, strings: Sequence[str], whole: set[str], names: set[str]) -> dict[int, list[Range]]:
    """The units that a hyphen parts into a name and more, with the ranges of their parts and hyphens.

    :param strings: the units.
    :param whole: words in small letters that are not parted.
    """
    cut: dict[int, list[Range]] = {}
    for unit, string in enumerate(strings):
        parts = string.split("-")
        # With other marks inside it is an address or code rather than a compound.
        if (
            len(parts) > 1
            and string.lower() not in whole
            and MARKS.isdisjoint("".join(parts))
            and not names.isdisjoint([part.lower() for part in parts])
        ):
            matches = _HYPHENATED.finditer(units.text, units.starts[unit], units.stops[unit])
            cut[unit] = [match.span() for match in matches]
    return cut


def first_unit_after(units: Units, place: int) -> int:
    """The first unit that does not end before a character of the text; the number of units where there is none."""
    return bisect_right(units.stops, place)


def units_inside(units: Units, span: tuple[int, int]) -> range:
    """The units that begin inside a range of characters."""
    return range(bisect_left(units.starts, span[0]), bisect_left(units.starts, span[1]))
