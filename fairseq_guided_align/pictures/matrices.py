"""The parts of a picture of attention: matrices with their tokens, colour bar, legend, title."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PatchCollection
from matplotlib.colors import LinearSegmentedColormap, PowerNorm
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from fairseq_guided_align.links.link import SentenceLinks

INK = "#1d2733"
MUTED = "#68727d"
FRAME = {"color": "#b9c0c8", "linewidth": 0.6}
GRID = "#e6e9ed"
GOLD_LINE = "#e0580c"  # Stands out from the blues, also for people who see no red or no green
ATTENTION = LinearSegmentedColormap.from_list(
    "attention", ["#ffffff", "#d6e4f5", "#8fb8e3", "#3f7fc4", "#154a8c", "#06234f"]
)
# Unguided attention is mostly below 0.2, and must be seen. The colour bar shows the true probabilities.
NORM = PowerNorm(gamma=0.6, vmin=0, vmax=1)

DASHED = (0, (2.2, 1.4))
POINTS = 72.0
"""Points in an inch."""


@dataclass(frozen=True)
class Labels:
    """All text of a figure as it is shown, and the font families to draw it with."""

    sources: list[str]
    targets: list[str]
    panel_titles: list[str]
    title: str
    source_name: str
    target_name: str
    families: list[str]


class Drawing:
    """A figure of one square inch, for a start, so that its fractions are inches.

    :param scale: of cells and text, above 0; 1 is full size.
    """

    def __init__(self, labels: Labels, gold: SentenceLinks | None, scale: float) -> None:
        self.labels, self.gold = labels, gold
        longest = max(len(labels.sources), len(labels.targets))
        self.cell = float(np.interp(longest, [12, 30, 80], [0.33, 0.25, 0.175])) * scale
        self.font = float(np.interp(longest, [12, 30, 80], [10.5, 9.0, 7.2])) * scale
        # Far from the first panel's labels a row is hard to follow.
        self.repeats = longest > 24
        self.plain: dict[str, Any] = {"family": labels.families, "parse_math": False}
        self.figure = Figure(figsize=(1, 1), dpi=150, facecolor="white")
        FigureCanvasAgg(self.figure)

    def panel(self, matrix: np.ndarray, number: int, leftmost: bool) -> Axes:
        """A matrix of (target, source) probabilities with its tokens and names.

        :param leftmost: whether the target's tokens and name stand beside it.
        """
        labels = self.labels
        axes = self.figure.add_axes((0, 0, len(labels.sources) * self.cell, len(labels.targets) * self.cell))
        self._draw_matrix(axes, matrix)
        tokens: dict[str, Any] = {"fontsize": self.font, "color": INK, **self.plain}
        names: dict[str, Any] = {"fontsize": self.font, "color": MUTED, "labelpad": 3, **self.plain}
        axes.xaxis.tick_top()
        axes.tick_params(length=0, pad=3)
        upright = [is_upright(text) for text in labels.sources]
        axes.set_xticks(
            range(len(labels.sources)),
            ["\n".join(text) if stands else text for text, stands in zip(labels.sources, upright)],
            va="bottom", ha="center", linespacing=1.0, **tokens,
        )  # fmt: skip
        for label, stands in zip(axes.get_xticklabels(), upright):
            label.set_rotation(0 if stands else 90)
        rows = labels.targets if leftmost or self.repeats else []
        axes.set_yticks(range(len(rows)), rows, **tokens)
        axes.set_xlabel(labels.source_name, **names)
        axes.xaxis.set_label_position("top")
        if leftmost:
            axes.set_ylabel(labels.target_name, **names)
        # Large matrices are looked at from afar first.
        size = max(self.font + 1.5, 1.3 * len(labels.sources) * self.cell)
        axes.set_title(labels.panel_titles[number], color=INK, fontsize=size, fontweight="bold", pad=6, **self.plain)
        return axes

    def _draw_matrix(self, axes: Axes, matrix: np.ndarray) -> None:
        targets, sources = matrix.shape
        # An image, also in SVG and PDF: a shape for each cell makes files of tens of megabytes.
        axes.imshow(matrix, cmap=ATTENTION, norm=NORM, aspect="auto", interpolation="nearest")
        edges = [[(s - 0.5, -0.5), (s - 0.5, targets - 0.5)] for s in range(1, sources)]
        edges += [[(-0.5, t - 0.5), (sources - 0.5, t - 0.5)] for t in range(1, targets)]
        points = self.cell * POINTS
        axes.add_collection(LineCollection(edges, colors=GRID, linewidths=min(0.5, points * 0.04)))
        axes.set(xlim=(-0.5, sources - 0.5), ylim=(targets - 0.5, -0.5))
        for spine in axes.spines.values():
            spine.set(**FRAME)
        if self.gold is None:
            return
        for wanted, style in ((True, "solid"), (False, DASHED)):
            chosen = self.gold.sure == wanted
            corners = np.stack([self.gold.source, self.gold.target], axis=1)[chosen] - 0.42
            boxes = [Rectangle(tuple(corner), 0.84, 0.84) for corner in corners.tolist()]
            axes.add_collection(
                PatchCollection(
                    boxes, facecolor="none", edgecolor=GOLD_LINE, linewidth=min(1.5, points * 0.12), linestyle=style,
                    zorder=3,
                )
            )  # fmt: skip

    def colour_bar(self, panel: Axes) -> Axes:
        """The colours of a matrix and their probabilities."""
        # Its numbers need an inch, also beside a matrix of one row.
        axes = self.figure.add_axes((0, 0, 0.13, min(max(panel.get_position().height, 1.1), 2.4)))
        bar = self.figure.colorbar(panel.images[0], cax=axes, ticks=[0, 0.05, 0.2, 0.5, 1], format="{x:g}")
        bar.set_label("attention probability", fontsize=7.5, color=MUTED, labelpad=4, family=self.labels.families)
        bar.outline.set(**FRAME)
        axes.minorticks_off()
        axes.tick_params(length=2, color=MUTED, pad=2, labelsize=7.5, labelcolor=INK)
        return axes

    def title(self) -> Text:
        """The title of the whole figure, possibly empty."""
        return self.figure.text(
            0, 0, self.labels.title, ha="left", va="top", color=INK, fontsize=self.font + 3, **self.plain
        )

    def legend(self) -> Legend | None:
        """What the outlines of gold links mean; None where there are no gold links."""
        kinds: list[tuple[str, Any]] = []
        if self.gold is not None and bool(self.gold.sure.any()):
            kinds.append(("gold link" if bool(self.gold.sure.all()) else "sure gold link", "solid"))
        if self.gold is not None and not bool(self.gold.sure.all()):
            kinds.append(("possible gold link", DASHED))
        boxes = [
            Rectangle((0, 0), 1, 1, facecolor="none", edgecolor=GOLD_LINE, linewidth=1.5, linestyle=style, label=name)
            for name, style in kinds
        ]
        if not boxes:
            return None
        return self.figure.legend(
            handles=boxes, loc="lower left", ncol=len(boxes), frameon=False, handlelength=0.9, handleheight=0.9,
            handletextpad=0.5, columnspacing=1.4, borderaxespad=0, borderpad=0, labelcolor=INK,
            prop={"family": self.labels.families, "size": max(self.font - 1, 7)},
        )  # fmt: skip


def is_upright(label: str) -> bool:
    """Single characters and words in Chinese, Japanese and Korean characters, which are hard to read when turned."""
    return len(label) == 1 or all(unicodedata.east_asian_width(c) in "WF" for c in label.lstrip("▁"))
