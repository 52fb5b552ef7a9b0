"""Fonts that have the characters to be drawn, out of matplotlib's own DejaVu and those installed.

matplotlib looks for each character in a list of font families in turn; this module makes the list.
"""

from __future__ import annotations

import contextlib
import functools
import unicodedata
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.font_manager import FontEntry, findSystemFonts, fontManager
from matplotlib.ft2font import FT2Font

from fairseq_guided_align.files.progress import say
from fairseq_guided_align.pictures.visible_text import JOINERS

BASE_FAMILY = "DejaVu Sans"
"""Ships with matplotlib: Latin, Greek with all accents, Cyrillic, Armenian, Georgian, Hebrew, Arabic, symbols."""

# Debian's and Ubuntu's packages by the first word of a character's Unicode name.
FONT_PACKAGES = {
    "CJK": "fonts-noto-cjk",
    "HIRAGANA": "fonts-noto-cjk",
    "KATAKANA": "fonts-noto-cjk",
    "KATAKANA-HIRAGANA": "fonts-noto-cjk",
    "IDEOGRAPHIC": "fonts-noto-cjk",
    "FULLWIDTH": "fonts-noto-cjk",
    "HALFWIDTH": "fonts-noto-cjk",
    "HANGUL": "fonts-noto-cjk",
    "BOPOMOFO": "fonts-noto-cjk",
}
OTHER_PACKAGES = "fonts-noto-core, fonts-noto-extra or fonts-symbola"

SHAPING_SINCE = (3, 11)  # matplotlib lays out joined and right-to-left scripts itself from this version on
SHAPED_SCRIPTS = ("ARABIC", "HEBREW", "SYRIAC", "THAANA", "DEVANAGARI", "BENGALI", "TAMIL", "TELUGU", "KHMER")


class FontWarning(UserWarning):
    """Characters that will not be drawn right, and what to install."""


@dataclass(frozen=True)
class FontChoice:
    """Families for ``matplotlib.text.Text(family=...)`` in the order to look in, and what none of them has."""

    families: tuple[str, ...]
    missing: frozenset[str]


def choose_fonts(texts: Iterable[str]) -> FontChoice:
    """Families that together have the characters of ``texts``; as few as possible after DejaVu Sans."""
    missing = {character for text in texts for character in text if _is_drawn(character)}
    missing -= _characters(_path_of(BASE_FAMILY))
    families = [BASE_FAMILY]
    if missing:
        _find_new_fonts()
    while missing:
        family, found = max(
            ((entry.name, missing & _characters(entry.fname)) for entry in _candidates()),
            key=lambda candidate: len(candidate[1]),
            default=("", set()),
        )
        if not found:
            break
        families.append(family)
        missing -= found
    return FontChoice(tuple(families), frozenset(missing))


def warn_about(choice: FontChoice, texts: Iterable[str]) -> None:
    """Says once, clearly, what will not be drawn right and what to install."""
    if choice.missing:
        some = sorted(choice.missing)
        shown = " ".join(f"{character} (U+{ord(character):04X})" for character in some[:5])
        more = f" and {len(some) - 5} more" if len(some) > 5 else ""
        packages = sorted({FONT_PACKAGES.get(_script(character), OTHER_PACKAGES) for character in some})
        warnings.warn(
            f"no installed font has {shown}{more}: boxes are drawn instead. Install a font that has them, on"
            f" Debian and Ubuntu from {' and '.join(packages)}, and draw again",
            FontWarning,
            stacklevel=3,
        )
    version = tuple(int(part) for part in matplotlib.__version__.split(".")[:2])
    if version < SHAPING_SINCE:
        shaped = sorted({_script(c) for text in texts for c in text} & set(SHAPED_SCRIPTS))
        if shaped:
            warnings.warn(
                f"matplotlib {matplotlib.__version__} neither joins nor reorders the letters of"
                f" {', '.join(name.capitalize() for name in shaped)} script: install matplotlib >= 3.11 to have"
                " them drawn right",
                FontWarning,
                stacklevel=3,
            )


@contextlib.contextmanager
def font_warnings_as_lines() -> Iterator[None]:
    """Font warnings as commands say things, in one line on standard error; other warnings as ever."""
    with warnings.catch_warnings():
        show = warnings.showwarning

        def as_line(message: Any, category: type[Warning], *rest: Any, **more: Any) -> None:
            if issubclass(category, FontWarning):
                say(f"warning: {message}")
            else:
                show(message, category, *rest, **more)

        warnings.showwarning = as_line
        yield


def _is_drawn(character: str) -> bool:
    """Whether a font needs a glyph for it: not for spaces, controls, and joiners."""
    return character not in JOINERS and unicodedata.category(character) not in ("Cc", "Cn", "Zs", "Zl", "Zp")


def _script(character: str) -> str:
    """First word of the character's Unicode name, which names the script."""
    return unicodedata.name(character, "").partition(" ")[0]


def _path_of(family: str) -> str:
    return next(entry.fname for entry in fontManager.ttflist if entry.name == family)


@functools.cache
def _find_new_fonts() -> None:
    """matplotlib keeps its list of fonts on disk: one that was installed since then is not in it."""
    known = {entry.fname for entry in fontManager.ttflist}
    for path in findSystemFonts():
        if path not in known:
            with contextlib.suppress(OSError, RuntimeError):
                fontManager.addfont(path)


@functools.cache
def _candidates() -> tuple[FontEntry, ...]:
    """One upright, regular font a family, sans serif first: among equals the first one is taken."""
    plain: dict[str, FontEntry] = {}
    for entry in fontManager.ttflist:
        regular = entry.style == "normal" and str(entry.weight) in ("400", "normal", "regular")
        # Colour emoji have no outlines that matplotlib could draw; Last Resort has a box for every character.
        if regular and "Emoji" not in entry.name and "Last Resort" not in entry.name:
            plain.setdefault(entry.name, entry)
    return tuple(sorted(plain.values(), key=lambda entry: (_rank(entry.name), entry.name)))


def _rank(family: str) -> int:
    return next((i for i, name in enumerate(("Noto Sans", "Sans", "Gothic")) if name in family), 3)


@functools.cache
def _characters(path: str) -> frozenset[str]:
    """What a font file has; nothing for a file that cannot be read."""
    try:
        return frozenset(map(chr, FT2Font(path).get_charmap()))
    except (OSError, RuntimeError):
        return frozenset()
