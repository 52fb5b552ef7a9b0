"""Where the parts of a picture of attention go, in inches, from what matplotlib measures of them.

Matrices have sizes of their own, and the figure grows around them. matplotlib's constrained layout works the other way
and measures every label several times: figures took 7 to 50 times as long.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.legend import Legend
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from fairseq_guided_align.pictures.files import quiet_about_glyphs

MARGIN = 0.15
GAP = 0.28
"""Inches between matrices, their labels not counted."""
TITLE_PAD = 6 / 72


class FigureLayout:
    """Gives a figure its size and its parts their places.

    :param first: the first matrix, in a figure of one square inch, whose fractions are inches.
    :param titles: of all matrices, which have the same size and labels.
    :param columns: matrices in a row.
    :param between: whether each matrix has the target's tokens beside it, not only the first of its row.
    :param bar: the colour bar, which goes to the right of the first row.
    :param title: of everything, possibly empty.
    """

    def __init__(
        self, first: Axes, titles: Sequence[str], columns: int, between: bool, bar: Axes, title: Text,
        legend: Legend | None,
    ) -> None:  # fmt: skip
        self.columns = columns
        with quiet_about_glyphs():
            tokens, names = _extent(first.yaxis).x0, _extent(first.xaxis).y1
            wide, high = _largest(first.title, titles)
            heading, marks = _extent(title), _extent(bar.yaxis)
            boxes = _extent(legend) if legend is not None else Bbox.null()
        matrix, bar_size = first.get_position(), bar.get_position()
        # A title wider than its matrix reaches out on both sides.
        overhang = max(0.0, (wide - matrix.width) / 2)
        above = names - matrix.height + high + TITLE_PAD
        self.step = (
            matrix.width + max(-tokens if between else 0.0, 2 * overhang) + GAP,
            matrix.height + above + GAP,
        )
        self.left = MARGIN + max(-tokens, overhang)
        self.top = MARGIN + above + (heading.height + 0.1 if title.get_text() else 0.0)
        rows = -(-len(titles) // columns)
        matrices = (columns - 1) * self.step[0] + matrix.width + overhang
        self.width = max(
            self.left + matrices + GAP * 0.7 + marks.x1 + MARGIN,
            heading.width + 2 * MARGIN,
            self.left + boxes.width + MARGIN,
        )
        below = max((rows - 1) * self.step[1] + matrix.height, bar_size.height)
        self.height = self.top + below + MARGIN + (boxes.height + MARGIN if legend is not None else 0.0)
        self._move(bar, self.left + matrices + GAP * 0.7, self.top)
        self.put(first, 0)
        title.set_position((MARGIN / self.width, 1 - MARGIN / self.height))
        if legend is not None:
            legend.set_bbox_to_anchor((self.left / self.width, MARGIN / self.height))

    def put(self, axes: Axes, number: int) -> None:
        """Moves a matrix, counted from 0, to its place."""
        row, column = divmod(number, self.columns)
        self._move(axes, self.left + column * self.step[0], self.top + row * self.step[1])

    def _move(self, axes: Axes, x: float, y: float) -> None:
        """Put its upper left corner ``x`` and ``y`` inches from the figure's."""
        width, height = axes.get_position().size
        left, bottom = x / self.width, 1 - (y + height) / self.height
        axes.set_position((left, bottom, width / self.width, height / self.height))


def _extent(artist: Any) -> Bbox:
    """The extent, in inches, of an artist on a figure of one square inch."""
    box = artist.get_tightbbox(artist.figure.canvas.get_renderer()) or Bbox.null()
    return box.transformed(artist.figure.dpi_scale_trans.inverted())


def _largest(title: Text, texts: Sequence[str]) -> tuple[float, float]:
    """Width of the widest and height of the highest of the texts, in the title's font."""
    own = title.get_text()
    sizes = []
    for text in dict.fromkeys(texts):
        title.set_text(text)
        sizes.append(_extent(title).size if text else (0.0, -TITLE_PAD))
    title.set_text(own)
    return max(size[0] for size in sizes), max(size[1] for size in sizes)
