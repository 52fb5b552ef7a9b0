"""Pictures of attention matrices. matplotlib's objects only: no pyplot, no global settings, no display."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np

from fairseq_guided_align.errors import AlignmentRangeError, GuidedAlignError
from fairseq_guided_align.links.link import SentenceLinks
from fairseq_guided_align.links.outside import check_inside
from fairseq_guided_align.pictures.visible_text import visible_lines

try:
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.collections import LineCollection, PatchCollection
    from matplotlib.colors import LinearSegmentedColormap, PowerNorm
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    from fairseq_guided_align.pictures.files import FORMATS, figure_pixels, save_figure
    from fairseq_guided_align.pictures.fonts import choose_fonts, warn_about
    from fairseq_guided_align.pictures.layout import PictureLayout, PictureTexts, fitting_layout
    from fairseq_guided_align.pictures.text import POINTS, STACKED, is_upright, shown
except ImportError as error:
    raise GuidedAlignError(
        "pictures need matplotlib 3.6 or newer; install it with: pip install 'matplotlib>=3.6'"
    ) from error

__all__ = ["FORMATS", "Panel", "attention_figure", "figure_pixels", "save_figure"]

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
    a largest area; then cells and text shrink, as far as they can be read. Tokens stand in the order of the
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
    sources = [shown(token) for token in source_tokens]
    targets = [shown(token) for token in target_tokens]
    title, source_name, target_name = map(visible_lines, (title, source_name, target_name))
    titles = [visible_lines(panel.title) for panel in panels]
    kinds = _kinds(gold)
    texts = [*sources, *targets, title, source_name, target_name, *titles]
    fonts = choose_fonts(texts)
    warn_about(fonts, texts)
    layout = fitting_layout(
        PictureTexts(sources, targets, titles, title, [name for name, _ in kinds]),
        list(fonts.families),
        columns or len(panels),
    )
    figure = Figure(figsize=(layout.width, layout.height), dpi=150, facecolor="white")
    FigureCanvasAgg(figure)
    for number, matrix in enumerate(matrices):
        axes = figure.add_axes(layout.panel(number))
        _draw_matrix(axes, matrix, gold, layout.cell * POINTS)
        leftmost = number % layout.columns == 0
        _draw_labels(axes, layout, sources, targets if leftmost or layout.repeats_targets else [])
        axes.set_title(
            titles[number], pad=layout.source_labels * POINTS + 20, color=INK, family=layout.families,
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
    if kinds:
        _draw_legend(figure, layout, kinds)
    if title:
        figure.text(
            layout.margin / layout.width, 1 - layout.margin / layout.height, title, ha="left", va="top",
            color=INK, fontsize=layout.font + 3, family=layout.families, parse_math=False,
        )  # fmt: skip
    return figure


def _checked(panels: Sequence[Panel], sources: int, targets: int, gold: Optional[SentenceLinks]) -> list[np.ndarray]:
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
            raise GuidedAlignError(f"expected probabilities in 0..1 in panel {panel.title!r}; got {matrix[~inside][0]}")
        matrices.append(matrix)
    if gold is not None:
        check_inside(gold, sources, targets, "gold links")
    return matrices


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


def _draw_labels(axes: Axes, layout: PictureLayout, sources: list[str], targets: list[str]) -> None:
    axes.xaxis.tick_top()
    axes.tick_params(length=0, pad=3)
    font: dict[str, Any] = {"fontsize": layout.font, "family": layout.families, "color": INK}
    axes.set_xticks(range(len(sources)))
    turned = ["\n".join(text) if is_upright(text) else text for text in sources]
    labels = axes.set_xticklabels(
        turned, rotation=90, va="bottom", ha="center", linespacing=STACKED * 0.83, parse_math=False, **font
    )
    for label, text in zip(labels, sources):
        if is_upright(text):
            label.set_rotation(0)
    axes.set_yticks(range(len(targets)) if targets else [])
    axes.set_yticklabels(targets, parse_math=False, **font)


def _draw_colour_bar(figure: Figure, layout: PictureLayout) -> None:
    axes = figure.add_axes(layout.colour_bar())
    # The axis counts in the colour map's own steps, so that the colours run evenly along it.
    axes.imshow(np.linspace(0, 1, 256)[:, None], cmap=ATTENTION, aspect="auto", origin="lower", extent=(0, 1, 0, 1))
    axes.set_xticks([])
    axes.yaxis.tick_right()
    marks = [0, 0.05, 0.2, 0.5, 1]
    axes.set_yticks([float(NORM(value)) for value in marks])
    axes.set_yticklabels([f"{value:g}" for value in marks], fontsize=7.5, color=INK, family=layout.families)
    axes.minorticks_off()
    axes.tick_params(length=2, color=MUTED, pad=2)
    axes.yaxis.set_label_position("right")
    axes.set_ylabel("attention probability", fontsize=7.5, color=MUTED, labelpad=4, family=layout.families)
    for spine in axes.spines.values():
        spine.set(color="#b9c0c8", linewidth=0.6)


def _kinds(gold: Optional[SentenceLinks]) -> list[tuple[str, Any]]:
    """Names and line styles of the legend."""
    kinds: list[tuple[str, Any]] = []
    if gold is None:
        return kinds
    if bool(gold.sure.any()):
        kinds.append(("sure gold link" if not bool(gold.sure.all()) else "gold link", "solid"))
    if not bool(gold.sure.all()):
        kinds.append(("possible gold link", DASHED))
    return kinds


def _draw_legend(figure: Figure, layout: PictureLayout, kinds: list[tuple[str, Any]]) -> None:
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
