"""Fonts that have the characters to be drawn, out of matplotlib's own DejaVu and those installed.

matplotlib looks for each character in a list of font families in turn. It has no function that makes the list.
"""

from __future__ import annotations

import contextlib
import functools
import unicodedata
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import matplotlib
from matplotlib.font_manager import FontEntry, findSystemFonts, fontManager
from matplotlib.ft2font import FT2Font

from fairseq_guided_align.files.progress import say
from fairseq_guided_align.pictures.visible_text import JOINERS

BASE_FAMILY = "DejaVu Sans"
"""Ships with matplotlib: Latin, Greek with all accents, Cyrillic, Armenian, Georgian, Hebrew, Arabic, symbols."""

# First words of characters' Unicode names.
CJK_SCRIPTS = ("CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "IDEOGRAPHIC", "FULLWIDTH", "HALFWIDTH", "HANGUL",
               "BOPOMOFO")  # fmt: skip
SHAPED_SCRIPTS = ("ARABIC", "HEBREW", "SYRIAC", "THAANA", "DEVANAGARI", "BENGALI", "TAMIL", "TELUGU", "KHMER")
SHAPING_SINCE = (3, 11)  # matplotlib lays out joined and right-to-left scripts itself from this version on


class FontWarning(UserWarning):
    """Characters that will not be drawn right, and what to install."""


def fonts_for(texts: Iterable[str]) -> list[str]:
    """Families for matplotlib's ``family=``, in the order to look in; warns of what none of them draws right."""
    characters = {character for text in texts for character in text}
    families, missing = choose_fonts(characters)
    if missing:
        some = sorted(missing)
        named = " ".join(f"{character} (U+{ord(character):04X})" for character in some[:5])
        more = f" and {len(some) - 5} more" if len(some) > 5 else ""
        packages = sorted(
            {
                "fonts-noto-cjk" if _script(c) in CJK_SCRIPTS else "fonts-noto-core, fonts-noto-extra or fonts-symbola"
                for c in some
            }
        )
        warnings.warn(
            f"no installed font has {named}{more}: boxes are drawn instead. Install a font that has them, on"
            f" Debian and Ubuntu from {' and '.join(packages)}, and draw again",
            FontWarning,
            stacklevel=3,
        )
    shaped = sorted({_script(character) for character in characters} & set(SHAPED_SCRIPTS))
    if shaped and tuple(int(part) for part in matplotlib.__version__.split(".")[:2]) < SHAPING_SINCE:
        warnings.warn(
            f"matplotlib {matplotlib.__version__} neither joins nor reorders the letters of"
            f" {', '.join(name.capitalize() for name in shaped)} script: install matplotlib >= 3.11 to have"
            " them drawn right",
            FontWarning,
            stacklevel=3,
        )
    return families


def choose_fonts(characters: Iterable[str]) -> tuple[list[str], set[str]]:
    """Families that together have the characters, as few as possible after DejaVu Sans; characters that none has."""
    missing = {character for character in characters if _is_drawn(character)}
    missing -= _characters(next(entry.fname for entry in fontManager.ttflist if entry.name == BASE_FAMILY))
    families = [BASE_FAMILY]
    if missing:
        _find_new_fonts()
    while missing:
        found = {entry.name: missing & _characters(entry.fname) for entry in _candidates()}
        best = max(found, key=lambda family: len(found[family]), default="")
        if not found.get(best):
            break
        families.append(best)
        missing -= found[best]
    return families, missing


@contextlib.contextmanager
def font_warnings_as_lines() -> Iterator[None]:
    """Font warnings as commands say things, in one line on standard error; all other warnings unchanged."""
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
    return unicodedata.name(character, "").partition(" ")[0]


@functools.cache
def _find_new_fonts() -> None:
    """matplotlib keeps its list of fonts on disk: one that was installed since then is not in it."""
    known = {entry.fname for entry in fontManager.ttflist}
    for path in set(findSystemFonts()) - known:
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
    sans = ("Noto Sans", "Sans", "Gothic")
    return tuple(sorted(plain.values(), key=lambda entry: (*(name not in entry.name for name in sans), entry.name)))


@functools.cache
def _characters(path: str) -> frozenset[str]:
    """What a font file has; nothing for a file that cannot be read."""
    try:
        return frozenset(map(chr, FT2Font(path).get_charmap()))
    except (OSError, RuntimeError):
        return frozenset()
