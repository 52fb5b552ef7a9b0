"""What must survive translation: numbers, URLs, addresses, placeholders, code, terms; found, checked, put right."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from fairseq_guided_align.markup.placeholders import Finder
from fairseq_guided_align.markup.segment_links import Link
from fairseq_guided_align.markup.spans import LEAST_SHARE_OF_WEIGHT
from fairseq_guided_align.markup.tagged_text import Range
from fairseq_guided_align.markup.units import Units

PROTECTED_KINDS = ("numbers", "urls", "emails", "placeholders")

_URL = re.compile(r"(?:https?|ftp)://[^\s<>\"'«»“”]+|\bwww\.[^\s<>\"'«»“”]+", re.IGNORECASE)
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_NUMBER = re.compile(r"(?<!\w)(?:\d{1,3}(?:[ \u00a0\u202f]\d{3})+(?!\d)(?:[.,]\d+)?|\d+(?:[.,'’\u066b\u066c]\d+)*)")
_URL_END = ".,:;!?)]}…"


class ProtectedItem(NamedTuple):
    """Something of the source that the translation must have.

    :param start: its characters in the source, from here to ``stop``.
    :param wanted: what the translation must have.
    :param finder: gives the ranges of a text that count as it.
    """

    start: int
    stop: int
    wanted: str
    finder: Finder


class Mended(NamedTuple):
    """A translation in which what was missing has been put right.

    :param text: it.
    :param words: the ranges of its words; a word that was replaced together with the one before it is empty.
    :param replaced: what was put in, in the source's order.
    :param lost: what is missing, and no link says where it belongs.
    """

    text: str
    words: list[Range]
    replaced: tuple[str, ...]
    lost: tuple[str, ...]


def urls(text: str) -> list[Range]:
    """Web addresses in a text."""
    return [(match.start(), match.start() + len(match.group().rstrip(_URL_END))) for match in _URL.finditer(text)]


def emails(text: str) -> list[Range]:
    """E-mail addresses in a text."""
    return [match.span() for match in _EMAIL.finditer(text)]


def numbers(text: str) -> list[Range]:
    """Numbers in digits, with what groups the digits and parts the decimals; a space groups digits by three."""
    return [match.span() for match in _NUMBER.finditer(text)]


def values_of(number: str) -> frozenset[str]:
    """What a number may mean, for readers of different languages: 1,000 is a thousand, or one with three decimals."""
    digits = "".join(str(unicodedata.digit(c)) if c.isdigit() else c for c in number)
    groups = re.split(r"[^\d]", digits)
    separators = re.findall(r"[^\d]", digits)
    whole = "".join(groups).lstrip("0") or "0"
    if not separators:
        return frozenset([whole])
    found = set()
    if all(len(group) == 3 for group in groups[1:]) and len(set(separators)) == 1:
        found.add(whole)
    one_decimal_mark = len(separators) == 1 or (len(set(separators[:-1])) == 1 and separators[-1] != separators[0])
    if one_decimal_mark and separators[-1] in ".,\u066b":
        found.add(f"{''.join(groups[:-1]).lstrip('0') or '0'}.{groups[-1].rstrip('0')}".rstrip("."))
    # Dates, versions and times are more than one number.
    return frozenset(found) or frozenset([" ".join(groups)])


def exact(wanted: str) -> Finder:
    """Finds a text as it is written, but not inside a longer word or number."""
    left = _BESIDE_WORD[wanted[0].isascii()] if wanted[:1].isalnum() else ""
    right = _BESIDE_WORD[wanted[-1].isascii()] if wanted[-1:].isalnum() else ""
    pattern = re.compile((left and f"(?<!{left})") + re.escape(wanted) + (right and f"(?!{right})"))
    return lambda text: [match.span() for match in pattern.finditer(text)]


# Han letters and Korean endings stand right beside Latin words.
_BESIDE_WORD = {False: r"\w", True: r"[^\W\u1100-\uffff]"}


def same_number(wanted: str) -> Finder:
    """Finds a number in any language's notation."""
    values = values_of(wanted)
    return lambda text: [(start, stop) for start, stop in numbers(text) if values & values_of(text[start:stop])]


def items_of(
    text: str,
    finders: Iterable[tuple[str, Finder]],
    terms: Terms | None = None,
) -> list[ProtectedItem]:
    """What a source has that must survive, in order; what lies inside something else is part of it.

    :param finders: ``(kind, what finds the ranges of that kind)``; the first that claims a character has it.
    """
    items: list[ProtectedItem] = list(terms.items(text)) if terms else []
    for kind, finder in finders:
        for start, stop in finder(text):
            if all(stop <= item.start or start >= item.stop for item in items):
                wanted = text[start:stop]
                items.append(ProtectedItem(start, stop, wanted, (same_number if kind == "numbers" else exact)(wanted)))
    return sorted(items, key=lambda item: item.start)


class Terms:
    """A list of terms.

    :param pairs: ``(source term, target term)``.
    :param inflected: whether another form of the target term counts as the term.
    """

    def __init__(self, pairs: Iterable[tuple[str, str]], inflected: bool = False) -> None:
        self._targets = {" ".join(source.lower().split()): target for source, target in pairs}
        longest_first = sorted(self._targets, key=lambda term: (-len(term), term))
        joined = "|".join(re.escape(term).replace(r"\ ", r"\s+") for term in longest_first)
        self._pattern = re.compile(rf"(?<!\w)(?:{joined})(?!\w)", re.IGNORECASE) if longest_first else None
        self._inflected = inflected

    def items(self, text: str) -> Iterator[ProtectedItem]:
        """The terms of a source text; of those that overlap, the first and longest."""
        for match in self._pattern.finditer(text) if self._pattern else ():
            target = self._targets.get(" ".join(match.group().lower().split()))
            if target is not None:
                yield ProtectedItem(match.start(), match.end(), target, self._finder(target))

    def _finder(self, target: str) -> Finder:
        words = [re.escape(word) for word in target.split()]
        if self._inflected:
            # Endings change, and with them the last letters of the stem.
            words = [re.escape(word[: max(3, len(word) - 2)]) + r"\w*" for word in target.split()]
        pattern = re.compile(r"(?<!\w)" + r"\s+".join(words) + r"(?!\w)", re.IGNORECASE)
        return lambda text: [match.span() for match in pattern.finditer(text)]


def mend(
    items: Sequence[ProtectedItem],
    source: Units,
    target: Units,
    words: Sequence[Range],
    links: Sequence[Link],
) -> Mended:
    """The translation with each item: one that is missing takes the place of the words linked to it.

    Words that belong to an item already there are never replaced.

    :param words: ranges of the target's words, as the links count them.
    :param links: ``(source, target, weight)`` of words.
    """
    text = target.text
    taken: list[Range] = []
    missing = []
    for item in items:
        free = [span for span in item.finder(text) if all(span[1] <= a or span[0] >= b for a, b in taken)]
        if free:
            taken.append(free[0])
        else:
            missing.append(item)
    edits: list[tuple[int, int, str]] = []
    lost = []
    replaced = []
    for item in missing:
        span = _linked_span(item, source, target, links, taken)
        if span is None:
            lost.append(item.wanted)
        else:
            edits.append((*span, item.wanted))
            taken.append(span)
            replaced.append(item.wanted)
    new_words = list(words)
    for start, stop, wanted in sorted(edits, reverse=True):
        text = text[:start] + wanted + text[stop:]
        new_words = _moved(new_words, start, stop, len(wanted))
    return Mended(text, new_words, tuple(replaced), tuple(lost))


def _linked_span(
    item: ProtectedItem,
    source: Units,
    target: Units,
    links: Sequence[Link],
    taken: Sequence[Range],
) -> Range | None:
    """The run of target words with most links to an item, in characters; None where there is none."""
    inside = {
        word
        for word, units in enumerate(source.of_word)
        if any(source.starts[unit] < item.stop and source.stops[unit] > item.start for unit in units)
    }
    weights = _weights_of_words(inside, target, links)
    best: tuple[float, int, int] | None = None
    run: list[int] = []
    for word in [*sorted(weights), -1]:
        if run and word == run[-1] + 1:
            run.append(word)
            continue
        if run:
            start = target.starts[target.of_word[run[0]][0]]
            stop = target.stops[target.of_word[run[-1]][-1]]
            weight = sum(weights[one] for one in run)
            if all(stop <= a or start >= b for a, b in taken) and (best is None or weight > best[0]):
                best = weight, start, stop
        run = [word]
    return best[1:] if best else None


def _weights_of_words(inside: set[int], target: Units, links: Sequence[Link]) -> dict[int, float]:
    """The target words that are linked to some source words, each with the sum of these links' weights.

    :param inside: the source words.
    """
    weights: dict[int, float] = {}
    others: dict[int, float] = {}
    for source_word, target_word, weight in links:
        if target.of_word[target_word]:
            side = weights if source_word in inside else others
            side[target_word] = side.get(target_word, 0.0) + weight
    # Of a model's many weak links, those of words that belong to others count only where there is nothing better.
    strong = {
        word: weight for word, weight in weights.items() if weight >= LEAST_SHARE_OF_WEIGHT * others.get(word, 0.0)
    }
    return strong or weights


def _moved(words: list[Range], start: int, stop: int, length: int) -> list[Range]:
    """Ranges of words after the text from ``start`` to ``stop`` became ``length`` characters."""
    moved = []
    first = True
    change = length - (stop - start)
    for word_start, word_stop in words:
        if word_stop <= start:
            moved.append((word_start, word_stop))
        elif word_start >= stop:
            moved.append((word_start + change, word_stop + change))
        elif first:
            moved.append((min(word_start, start), max(word_stop, stop) + change))
            first = False
        else:
            moved.append((start + length, max(word_stop, stop) + change))
    return moved
