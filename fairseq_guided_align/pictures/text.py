"""How a token is shown in a picture, and how much room text takes."""

from __future__ import annotations

import itertools
import unicodedata
import warnings
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from fairseq_guided_align.pictures.visible_text import visible_parts

POINTS = 72.0
"""In an inch."""
STACKED = 1.2
"""Height of a character below others, in font sizes."""
LONGEST_LABEL = 24
"""Characters of a token that are shown."""


class quiet_about_glyphs(warnings.catch_warnings):
    """matplotlib warns of every missing glyph, each time it draws; ours came first and says what to do."""

    def __enter__(self) -> Any:
        entered = super().__enter__()
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from", category=UserWarning)
        return entered


class Ruler:
    """Width of text in inches."""

    def __init__(self, families: list[str]) -> None:
        self.families = families
        self.figure = Figure(dpi=POINTS)
        self.renderer = FigureCanvasAgg(self.figure).get_renderer()

    def __call__(self, text: str, size: float, weight: str = "normal") -> float:
        if not text:
            return 0.0
        measured = Text(
            0, 0, text, fontsize=size, family=self.families, fontweight=weight, parse_math=False, figure=self.figure
        )
        with quiet_about_glyphs():
            return float(measured.get_window_extent(self.renderer).width) / POINTS


def shown(token: str) -> str:
    """A token as it is shown: composed, for fonts without combining marks, visible, and not endlessly long."""
    parts = list(visible_parts(unicodedata.normalize("NFC", token)))
    text = "".join(parts)
    if len(text) <= LONGEST_LABEL:
        return text
    # No number is cut in two.
    ends = itertools.accumulate(map(len, parts))
    return "".join(part for part, end in zip(parts, ends) if end < LONGEST_LABEL) + "…"


def is_upright(label: str) -> bool:
    """Single characters and words in Chinese, Japanese and Korean characters, which are hard to read when turned."""
    return len(label) == 1 or all(unicodedata.east_asian_width(c) in "WF" for c in label.lstrip("▁"))


def label_height(label: str, measure: Ruler, font: float) -> float:
    """Inches that a source token's label takes, turned or with its characters below one another."""
    return len(label) * font * STACKED / POINTS if is_upright(label) else measure(label, font)
