"""Figures as files and as pixels."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.files.atomic import atomic_file

FORMATS = (".png", ".svg", ".pdf")

LARGEST_IMAGE = 200e6
"""Pixels of a PNG: more takes gigabytes of memory, and few programs open it."""


class quiet_about_glyphs(warnings.catch_warnings):
    """matplotlib warns of a missing glyph at each drawing. Our warning came first and says what to do."""

    def __enter__(self) -> Any:
        entered = super().__enter__()
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from", category=UserWarning)
        return entered


def save_figure(figure: Figure, path: str | Path, dpi: float = 150) -> None:
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
    with atomic_file(path) as stream, quiet_about_glyphs():
        figure.savefig(stream, format=suffix[1:], dpi=dpi, metadata=metadata)


def figure_pixels(figure: Figure, dpi: float = 100) -> np.ndarray:
    """(height, width, 3) uint8 RGB of a figure, for TensorBoard's images."""
    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    with quiet_about_glyphs():
        canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
