"""Where the parts of a picture of attention go."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fairseq_guided_align.pictures.text import POINTS, Ruler, label_height

LARGEST_AREA = 1200.0
"""Square inches of a figure, 27 million pixels at 150 dots an inch: what needs more is drawn smaller."""
SMALLEST_FONT = 4.0
"""Points; smaller text cannot be read even when it is enlarged."""


@dataclass(frozen=True)
class PictureTexts:
    """What the places depend on.

    :param sources: labels of the columns, as shown.
    :param targets: labels of the rows.
    :param panel_titles: one a matrix, possibly empty or of several lines.
    :param title: above everything, or empty.
    :param legend: names in the legend; none: no legend.
    """

    sources: list[str]
    targets: list[str]
    panel_titles: list[str]
    title: str
    legend: list[str]


class PictureLayout:
    """Where everything goes, in inches, from measured labels.

    :param columns: most panels in a row, at least 1.
    :param scale: of cells and text, above 0; 1 is full size.
    """

    margin = 0.15
    gap = 0.28  # between panels
    bar_width = 0.13
    bar_space = 0.95  # for the colour bar, its numbers and its name

    def __init__(self, texts: PictureTexts, families: list[str], columns: int, scale: float = 1.0) -> None:
        sources, targets, titles = texts.sources, texts.targets, texts.panel_titles
        self.families = families
        self.columns = min(columns, len(titles))
        longest = max(len(sources), len(targets))
        self.cell = float(np.interp(longest, [12, 30, 80], [0.33, 0.25, 0.175])) * scale
        self.font = float(np.interp(longest, [12, 30, 80], [10.5, 9.0, 7.2])) * scale
        # Large matrices are looked at from afar first.
        self.title_font = max(self.font + 1.5, 1.3 * len(sources) * self.cell)
        measure = Ruler(families)
        self.source_labels = max(label_height(text, measure, self.font) for text in sources) + 0.06
        self.target_labels = max(measure(text, self.font) for text in targets) + 0.1
        axis_name = self.font / POINTS + 0.12
        title_lines = max(text.count("\n") + 1 if text else 0 for text in titles)
        self.panel_title = title_lines * self.title_font * 1.3 / POINTS + (0.1 if title_lines else 0)
        self.heading = (self.font + 3) * 1.5 / POINTS if texts.title else 0.0
        self.legend_font = max(self.font - 1, 7)
        self.legend = 0.34 if texts.legend else 0.0
        widest_title = max(
            measure(line, self.title_font, weight="bold") for text in titles for line in text.split("\n")
        )
        self.matrix_width = len(sources) * self.cell
        self.matrix_height = len(targets) * self.cell
        # Far from the first panel's labels a row is hard to follow.
        self.repeats_targets = longest > 24
        between = self.target_labels if self.repeats_targets else 0.0
        self.step = max(self.matrix_width + between, widest_title) + self.gap
        self.left = self.margin + axis_name + self.target_labels
        # A title wider than its matrix reaches out on both sides.
        overhang = max(0.0, (widest_title - self.matrix_width) / 2)
        self.left = max(self.left, self.margin + overhang)
        self.top = self.margin + self.heading + self.panel_title + axis_name + self.source_labels
        title_width = measure(texts.title, self.font + 3) + 2 * self.margin if texts.title else 0.0
        # a box and two gaps for each name
        legend_width = self.left + sum(measure(name, self.legend_font) + 0.5 for name in texts.legend)
        self.right = self.left + (self.columns - 1) * self.step + self.matrix_width + overhang
        rows = -(-len(titles) // self.columns)
        self.row_step = self.matrix_height + self.panel_title + axis_name + self.source_labels + self.gap
        self.bar_height = min(max(self.matrix_height, 1.1), 2.4)
        self.width = max(self.right + self.gap * 0.7 + self.bar_width + self.bar_space, title_width, legend_width, 3.6)
        below = max((rows - 1) * self.row_step + self.matrix_height, self.bar_height)
        self.height = self.top + below + self.legend + self.margin

    def panel(self, number: int) -> tuple[float, float, float, float]:
        """Of the matrix of this number, from 0: matplotlib's (left, bottom, width, height) in fractions."""
        row, column = divmod(number, self.columns)
        return self._box(
            self.left + column * self.step, self.top + row * self.row_step, self.matrix_width, self.matrix_height
        )

    def colour_bar(self) -> tuple[float, float, float, float]:
        """The same for the colour bar."""
        return self._box(self.right + self.gap * 0.7, self.top, self.bar_width, self.bar_height)

    def _box(self, x: float, y: float, width: float, height: float) -> tuple[float, float, float, float]:
        """matplotlib's (left, bottom, width, height) in fractions, from inches off the top left corner."""
        return (
            x / self.width,
            1 - (y + height) / self.height,
            width / self.width,
            height / self.height,
        )


def fitting_layout(texts: PictureTexts, families: list[str], columns: int) -> PictureLayout:
    """The layout in full size, or shrunk into the largest area."""
    layout = PictureLayout(texts, families, columns)
    scale, smallest = 1.0, SMALLEST_FONT / layout.font
    # Margins do not shrink, so one step does not get there.
    while (area := layout.width * layout.height) > LARGEST_AREA and scale > smallest:
        scale = max(scale * min(0.95, (LARGEST_AREA / area) ** 0.5), smallest)
        layout = PictureLayout(texts, families, columns, scale)
    return layout
