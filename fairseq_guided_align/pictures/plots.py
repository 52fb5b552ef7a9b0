"""Pictures of attention matrices. matplotlib's objects only: no pyplot, no global settings, no display."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fairseq_guided_align.errors import AlignmentRangeError, GuidedAlignError
from fairseq_guided_align.links.link import SentenceLinks
from fairseq_guided_align.links.outside import check_inside
from fairseq_guided_align.pictures.visible_text import label_of, visible_lines

try:
    from matplotlib.figure import Figure

    from fairseq_guided_align.pictures.files import FORMATS, figure_pixels, save_figure
    from fairseq_guided_align.pictures.fonts import fonts_for
    from fairseq_guided_align.pictures.layout import FigureLayout
    from fairseq_guided_align.pictures.matrices import Drawing, Labels
except ImportError as error:
    raise GuidedAlignError(
        "pictures need matplotlib 3.6 or newer; install it with: pip install 'matplotlib>=3.6'"
    ) from error

__all__ = ["FORMATS", "Panel", "attention_figure", "figure_pixels", "save_figure"]

LARGEST_AREA = 1200.0
"""Square inches of a figure, 27 million pixels at 150 dots an inch: what needs more is drawn smaller."""
SMALLEST_FONT = 4.0
"""Points; smaller text cannot be read even when it is enlarged."""


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
    gold: SentenceLinks | None = None,
    title: str = "",
    source_name: str = "source",
    target_name: str = "target",
    columns: int | None = None,
) -> Figure:
    """Attention matrices side by side: source tokens across, target tokens down, gold links outlined.

    Sure gold links have a solid outline, possible ones a dashed one. The figure grows with the sentences up to
    :data:`LARGEST_AREA`. Then cells and text shrink, down to :data:`SMALLEST_FONT`. The first token stands at the
    left or at the top, in every script.

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
    sources, targets = [[label_of(token) for token in tokens] for tokens in (source_tokens, target_tokens)]
    titles = [visible_lines(panel.title) for panel in panels]
    title, source_name, target_name = map(visible_lines, (title, source_name, target_name))
    families = fonts_for([*sources, *targets, *titles, title, source_name, target_name])
    labels = Labels(sources, targets, titles, title, source_name, target_name, families)
    columns = min(columns or len(panels), len(panels))
    scale = 1.0
    while True:
        drawing = Drawing(labels, gold, scale)
        axes = drawing.panel(matrices[0], 0, leftmost=True)
        bar = drawing.colour_bar(axes)
        layout = FigureLayout(axes, titles, columns, drawing.repeats, bar, drawing.title(), drawing.legend())
        area = layout.width * layout.height
        if area <= LARGEST_AREA or drawing.font <= SMALLEST_FONT:
            break
        # Margins do not shrink, so one step may not get there.
        scale *= max(min(0.95, (LARGEST_AREA / area) ** 0.5), SMALLEST_FONT / drawing.font)
    for number, matrix in enumerate(matrices[1:], 1):
        layout.put(drawing.panel(matrix, number, leftmost=number % columns == 0), number)
    figure = drawing.figure
    figure.set_size_inches(layout.width, layout.height)
    # The figure's first axes are the matrices, in their order.
    figure.delaxes(bar)
    figure.add_axes(bar)
    return figure


def _checked(panels: Sequence[Panel], sources: int, targets: int, gold: SentenceLinks | None) -> list[np.ndarray]:
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
