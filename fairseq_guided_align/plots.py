"""Pictures of attention matrices. matplotlib's objects only: no pyplot, no global settings, no display."""

from __future__ import annotations

import unicodedata
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np

from fairseq_guided_align.atomic_files import atomic_file
from fairseq_guided_align.errors import AlignmentRangeError, GuidedAlignError
from fairseq_guided_align.links import SentenceLinks

try:
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.collections import LineCollection, PatchCollection
    from matplotlib.colors import LinearSegmentedColormap, PowerNorm
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle
    from matplotlib.text import Text

    from fairseq_guided_align.fonts import choose_fonts, warn_about
except ImportError as error:
    raise GuidedAlignError(
        "pictures need matplotlib 3.6 or newer; install it with: pip install 'matplotlib>=3.6'"
    ) from error

FORMATS = (".png", ".svg", ".pdf")

INK = "#1d2733"
MUTED = "#68727d"
GRID = "#e6e9ed"
GOLD_LINE = "#e0580c"  # stands out from the blues, also for people who see no red or no green
ATTENTION = LinearSegmentedColormap.from_list(
    "attention", ["#ffffff", "#d6e4f5", "#8fb8e3", "#3f7fc4", "#154a8c", "#06234f"]
)
# Weak attention must be seen: unguided attention is mostly below 0.2. The colour bar tells the truth.
NORM = PowerNorm(gamma=0.6, vmin=0, vmax=1)

DASHED = (0, (2.2, 1.4))
LONGEST_LABEL = 24  # characters
POINTS = 72.0
STACKED = 1.2  # height of a character below others, in font sizes

LARGEST_AREA = 1200.0
"""Square inches of a figure, 27 million pixels at 150 dots an inch: what needs more is drawn smaller."""
SMALLEST_FONT = 4.0
"""Points; smaller text cannot be read even when it is enlarged."""
LARGEST_IMAGE = 200e6
"""Pixels of a PNG: more takes gigabytes of memory, and few programs open it."""


@dataclass(frozen=True)
class Panel:
    """One matrix of a figure.

    :param attention: (target, source) probabilities in 0..1.
    :param title: above the matrix, such as ``guided``; may have several lines.
    """

    attention: Any
    title: str = ""


def attention_figure(
    panels: Sequence[Panel],
    source_tokens: Sequence[str],
    target_tokens: Sequence[str],
    gold: Optional[SentenceLinks] = None,
    title: str = "",
    source_name: str = "source",
    target_name: str = "target",
    columns: Optional[int] = None,
) -> Figure:
    """Attention matrices side by side: source tokens across, target tokens down, gold links outlined.

    Sure gold links have a solid, possible ones a dashed outline. The figure grows with the sentences, up to
    :data:`LARGEST_AREA`; then cells and text shrink, as far as they can be read. Tokens stand in the order of the
    text, the first at the left and at the top, in every script.

    :param panels: one or more, all of the same tokens.
    :param source_tokens: one a column; ``</s>`` included when the matrices have its column.
    :param target_tokens: one a row.
    :param gold: links to outline, or None.
    :param title: above everything.
    :param source_name: name of the axis, such as the language.
    :param target_name: the same for the rows.
    :param columns: most panels in a row, at least 1; None: all in one.
    :raises GuidedAlignError: no panels, no tokens, or a matrix with anything but numbers in 0..1.
    :raises AlignmentRangeError: a matrix of another shape than the tokens, or a gold link outside of them.
    """
    matrices = _checked(panels, len(source_tokens), len(target_tokens), gold)
    sources = [_label(token) for token in source_tokens]
    targets = [_label(token) for token in target_tokens]
    texts = [*sources, *targets, title, source_name, target_name, *(panel.title for panel in panels)]
    fonts = choose_fonts(texts)
    warn_about(fonts, texts)
    layout = _layout(sources, targets, panels, gold, title, list(fonts.families), columns or len(panels))
    figure = Figure(figsize=(layout.width, layout.height), dpi=150, facecolor="white")
    FigureCanvasAgg(figure)
    for number, (panel, matrix) in enumerate(zip(panels, matrices)):
        axes = figure.add_axes(layout.panel(number))
        _draw_matrix(axes, matrix, gold, layout.cell * POINTS)
        leftmost = number % layout.columns == 0
        _draw_labels(axes, layout, sources, targets if leftmost or layout.repeats_targets else [])
        axes.set_title(
            panel.title, pad=layout.source_labels * POINTS + 20, color=INK, family=layout.families,
            fontsize=layout.title_font, fontweight="bold", parse_math=False,
        )  # fmt: skip
        axes.set_xlabel(
            source_name, labelpad=3, color=MUTED, family=layout.families, fontsize=layout.font, parse_math=False
        )
        axes.xaxis.set_label_position("top")
        if leftmost:
            axes.set_ylabel(
                target_name, labelpad=3, color=MUTED, family=layout.families, fontsize=layout.font,
                parse_math=False,
            )  # fmt: skip
    _draw_colour_bar(figure, layout)
    if gold is not None and len(gold):
        _draw_legend(figure, layout, gold)
    if title:
        figure.text(
            layout.margin / layout.width, 1 - layout.margin / layout.height, title, ha="left", va="top",
            color=INK, fontsize=layout.font + 3, family=layout.families, parse_math=False,
        )  # fmt: skip
    return figure


def save_figure(figure: Figure, path: Union[str, Path], dpi: float = 150) -> None:
    """Writes a figure as PNG, SVG or PDF, by the suffix; complete or not at all.

    :param dpi: dots an inch, for PNG.
    :raises GuidedAlignError: another suffix, a PNG of more than :data:`LARGEST_IMAGE`, or the file cannot be written.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        raise GuidedAlignError(f"{path}: expected a file name that ends in {', '.join(FORMATS)}; got {suffix!r}")
    width, height = (round(inches * dpi) for inches in figure.get_size_inches())
    if suffix == ".png" and (width * height > LARGEST_IMAGE or max(width, height) >= 1 << 16):
        raise GuidedAlignError(
            f"{path}: the picture would have {width} x {height} pixels, too many to look at; draw fewer layers or heads"
            " at a time, or with a smaller --dpi"
        )
    # Without the date the same figure gives the same file.
    metadata = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(suffix)
    with atomic_file(path) as stream, _quiet_about_glyphs():
        figure.savefig(stream, format=suffix[1:], dpi=dpi, metadata=metadata)


def figure_pixels(figure: Figure, dpi: float = 100) -> np.ndarray:
    """(height, width, 3) uint8 RGB of a figure, for TensorBoard's images."""
    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    with _quiet_about_glyphs():
        canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


class _quiet_about_glyphs(warnings.catch_warnings):
    """matplotlib warns of every missing glyph, each time it draws; ours came first and says what to do."""

    def __enter__(self) -> Any:
        entered = super().__enter__()
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from", category=UserWarning)
        return entered


class _Layout:
    """Where everything goes, in inches, from measured labels."""

    margin = 0.15
    gap = 0.28  # between panels
    bar_width = 0.13
    bar_space = 0.95  # for the colour bar, its numbers and its name

    def __init__(
        self,
        sources: list[str],
        targets: list[str],
        panels: Sequence[Panel],
        gold: Optional[SentenceLinks],
        title: str,
        families: list[str],
        columns: int,
        scale: float = 1.0,
    ) -> None:
        self.families = families
        self.columns = min(columns, len(panels))
        longest = max(len(sources), len(targets))
        self.cell = float(np.interp(longest, [12, 30, 80], [0.33, 0.25, 0.175])) * scale
        self.font = float(np.interp(longest, [12, 30, 80], [10.5, 9.0, 7.2])) * scale
        # Large matrices are looked at from afar first.
        self.title_font = max(self.font + 1.5, 1.3 * len(sources) * self.cell)
        measure = _Ruler(families)
        self.source_labels = max(_label_height(text, measure, self.font) for text in sources) + 0.06
        self.target_labels = max(measure(text, self.font) for text in targets) + 0.1
        axis_name = self.font / POINTS + 0.12
        title_lines = max(panel.title.count("\n") + 1 if panel.title else 0 for panel in panels)
        self.panel_title = title_lines * self.title_font * 1.3 / POINTS + (0.1 if title_lines else 0)
        self.heading = (self.font + 3) * 1.5 / POINTS if title else 0.0
        self.legend_font = max(self.font - 1, 7)
        self.legend = 0.34 if gold is not None and len(gold) else 0.0
        widest_title = max(
            measure(line, self.title_font, weight="bold") for panel in panels for line in panel.title.split("\n")
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
        title_width = measure(title, self.font + 3) + 2 * self.margin if title else 0.0
        legend_width = 0.0
        if self.legend and gold is not None:
            names = [name for name, _ in _kinds(gold)]
            # a box and two gaps for each name
            legend_width = self.left + sum(measure(name, self.legend_font) + 0.5 for name in names)
        self.right = self.left + (self.columns - 1) * self.step + self.matrix_width + overhang
        rows = -(-len(panels) // self.columns)
        self.row_step = self.matrix_height + self.panel_title + axis_name + self.source_labels + self.gap
        self.bar_height = min(max(self.matrix_height, 1.1), 2.4)
        self.width = max(
            self.right + self.gap * 0.7 + self.bar_width + self.bar_space, title_width, legend_width, 3.6
        )
        below = max((rows - 1) * self.row_step + self.matrix_height, self.bar_height)
        self.height = self.top + below + self.legend + self.margin

    def panel(self, number: int) -> tuple[float, float, float, float]:
        row, column = divmod(number, self.columns)
        return self._box(
            self.left + column * self.step, self.top + row * self.row_step, self.matrix_width, self.matrix_height
        )

    def colour_bar(self) -> tuple[float, float, float, float]:
        return self._box(self.right + self.gap * 0.7, self.top, self.bar_width, self.bar_height)

    def _box(self, x: float, y: float, width: float, height: float) -> tuple[float, float, float, float]:
        """matplotlib's (left, bottom, width, height) in fractions, from inches off the top left corner."""
        return (
            x / self.width,
            1 - (y + height) / self.height,
            width / self.width,
            height / self.height,
        )


def _layout(
    sources: list[str],
    targets: list[str],
    panels: Sequence[Panel],
    gold: Optional[SentenceLinks],
    title: str,
    families: list[str],
    columns: int,
) -> _Layout:
    """The layout in full size, or shrunk into the largest area."""
    layout = _Layout(sources, targets, panels, gold, title, families, columns)
    scale, smallest = 1.0, SMALLEST_FONT / layout.font
    # Margins do not shrink, so one step does not get there.
    while (area := layout.width * layout.height) > LARGEST_AREA and scale > smallest:
        scale = max(scale * min(0.95, (LARGEST_AREA / area) ** 0.5), smallest)
        layout = _Layout(sources, targets, panels, gold, title, families, columns, scale)
    return layout


class _Ruler:
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
        with _quiet_about_glyphs():
            return float(measured.get_window_extent(self.renderer).width) / POINTS


def _checked(
    panels: Sequence[Panel], sources: int, targets: int, gold: Optional[SentenceLinks]
) -> list[np.ndarray]:
    if not panels:
        raise GuidedAlignError("expected at least one panel to draw; got none")
    if not sources or not targets:
        raise GuidedAlignError(f"expected tokens on both sides; got {sources} source and {targets} target tokens")
    matrices = []
    for panel in panels:
        matrix = np.asarray(panel.attention, dtype=np.float64)
        if matrix.shape != (targets, sources):
            raise AlignmentRangeError(
                f"expected attention of shape (target, source) = ({targets}, {sources}), as many as there are"
                f" tokens; got {matrix.shape} in panel {panel.title!r}"
            )
        inside = (matrix >= -1e-6) & (matrix <= 1 + 1e-3)
        if not bool(inside.all()):
            raise GuidedAlignError(
                f"expected probabilities in 0..1 in panel {panel.title!r}; got {matrix[~inside][0]}"
            )
        matrices.append(matrix)
    if gold is not None:
        outside = (gold.source >= sources) | (gold.target >= targets)
        if bool(outside.any()):
            first = int(np.flatnonzero(outside)[0])
            raise AlignmentRangeError(
                f"expected gold links within {sources} source and {targets} target tokens;"
                f" got {gold.source[first]}-{gold.target[first]}"
            )
    return matrices


def _label(token: str) -> str:
    """A token as it is shown: composed, for fonts without combining marks, and not endlessly long."""
    text = unicodedata.normalize("NFC", token)
    return text if len(text) <= LONGEST_LABEL else text[: LONGEST_LABEL - 1] + "…"


def _is_upright(label: str) -> bool:
    """Single characters and words in Chinese, Japanese and Korean characters, which are hard to read when turned."""
    return len(label) == 1 or all(unicodedata.east_asian_width(c) in "WF" for c in label.lstrip("▁"))


def _label_height(label: str, measure: _Ruler, font: float) -> float:
    """Inches that a source token's label takes, turned or with its characters below one another."""
    return len(label) * font * STACKED / POINTS if _is_upright(label) else measure(label, font)


def _draw_matrix(axes: Axes, matrix: np.ndarray, gold: Optional[SentenceLinks], cell: float) -> None:
    """``cell`` is the size of a cell in points."""
    targets, sources = matrix.shape
    # An image, also in SVG and PDF: a shape for each cell makes files of tens of megabytes.
    axes.imshow(matrix, cmap=ATTENTION, norm=NORM, aspect="auto", interpolation="nearest")
    edges = [[(s - 0.5, -0.5), (s - 0.5, targets - 0.5)] for s in range(1, sources)]
    edges += [[(-0.5, t - 0.5), (sources - 0.5, t - 0.5)] for t in range(1, targets)]
    axes.add_collection(LineCollection(edges, colors=GRID, linewidths=min(0.5, cell * 0.04)))
    axes.set_xlim(-0.5, sources - 0.5)
    axes.set_ylim(targets - 0.5, -0.5)
    for spine in axes.spines.values():
        spine.set(color="#b9c0c8", linewidth=0.6)
    if gold is None:
        return
    for wanted, style in ((True, "solid"), (False, DASHED)):
        boxes = [
            Rectangle((s - 0.42, t - 0.42), 0.84, 0.84)
            for s, t, sure in zip(gold.source.tolist(), gold.target.tolist(), gold.sure.tolist())
            if sure is wanted
        ]
        axes.add_collection(
            PatchCollection(
                boxes, facecolor="none", edgecolor=GOLD_LINE, linewidth=min(1.5, cell * 0.12), linestyle=style,
                zorder=3,
            )
        )  # fmt: skip


def _draw_labels(axes: Axes, layout: _Layout, sources: list[str], targets: list[str]) -> None:
    axes.xaxis.tick_top()
    axes.tick_params(length=0, pad=3)
    font: dict[str, Any] = {"fontsize": layout.font, "family": layout.families, "color": INK}
    axes.set_xticks(range(len(sources)))
    shown = ["\n".join(text) if _is_upright(text) else text for text in sources]
    labels = axes.set_xticklabels(
        shown, rotation=90, va="bottom", ha="center", linespacing=STACKED * 0.83, parse_math=False, **font
    )
    for label, text in zip(labels, sources):
        if _is_upright(text):
            label.set_rotation(0)
    axes.set_yticks(range(len(targets)) if targets else [])
    axes.set_yticklabels(targets, parse_math=False, **font)


def _draw_colour_bar(figure: Figure, layout: _Layout) -> None:
    axes = figure.add_axes(layout.colour_bar())
    # The axis counts in the colour map's own steps, so that the colours run evenly along it.
    axes.imshow(
        np.linspace(0, 1, 256)[:, None], cmap=ATTENTION, aspect="auto", origin="lower", extent=(0, 1, 0, 1)
    )
    axes.set_xticks([])
    axes.yaxis.tick_right()
    shown = [0, 0.05, 0.2, 0.5, 1]
    axes.set_yticks([float(NORM(value)) for value in shown])
    axes.set_yticklabels([f"{value:g}" for value in shown], fontsize=7.5, color=INK, family=layout.families)
    axes.minorticks_off()
    axes.tick_params(length=2, color=MUTED, pad=2)
    axes.yaxis.set_label_position("right")
    axes.set_ylabel("attention probability", fontsize=7.5, color=MUTED, labelpad=4, family=layout.families)
    for spine in axes.spines.values():
        spine.set(color="#b9c0c8", linewidth=0.6)


def _kinds(gold: SentenceLinks) -> list[tuple[str, Any]]:
    """Names and line styles of the legend."""
    kinds: list[tuple[str, Any]] = []
    if bool(gold.sure.any()):
        kinds.append(("sure gold link" if not bool(gold.sure.all()) else "gold link", "solid"))
    if not bool(gold.sure.all()):
        kinds.append(("possible gold link", DASHED))
    return kinds


def _draw_legend(figure: Figure, layout: _Layout, gold: SentenceLinks) -> None:
    kinds = _kinds(gold)
    boxes = [
        Rectangle((0, 0), 1, 1, facecolor="none", edgecolor=GOLD_LINE, linewidth=1.5, linestyle=style)
        for _, style in kinds
    ]
    legend = figure.legend(
        boxes, [name for name, _ in kinds], loc="lower left", ncol=len(kinds), frameon=False, handlelength=0.9,
        handleheight=0.9, handletextpad=0.5, columnspacing=1.4, borderaxespad=0.0, borderpad=0.0,
        bbox_to_anchor=(layout.left / layout.width, layout.margin * 0.8 / layout.height),
        prop={"family": layout.families, "size": layout.legend_font}, labelcolor=INK,
    )  # fmt: skip
    legend.set_zorder(5)
