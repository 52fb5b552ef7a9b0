"""Curves of one or several training runs, from their logs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.pictures.training_log import TELLING_KEYS, TRAIN, TRAIN_INNER, TrainingLog
from fairseq_guided_align.pictures.visible_text import visible, visible_lines

try:
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.ticker import MaxNLocator

    from fairseq_guided_align.pictures.fonts import fonts_for
    from fairseq_guided_align.pictures.matrices import FRAME, GRID, INK, MUTED
except ImportError as error:
    raise GuidedAlignError("curves need matplotlib; install it with: pip install 'matplotlib>=3.6'") from error

PANEL_TITLES = {
    "loss_per_token": ("loss per token", "nats: cross-entropy and weighted alignment cost"),
    "alignment_loss": ("alignment loss", "per aligned target token; of cross-entropy, in nats"),
    "aer": ("alignment error rate", "fraction, lower is better"),
    "alignment_precision": ("precision of links", "fraction, higher is better"),
    "alignment_recall": ("recall of links", "fraction, higher is better"),
    "loss": ("loss", "bits per token, without the alignment cost"),
    "nll_loss": ("negative log-likelihood", "bits per token"),
    "ppl": ("perplexity", ""),
    "bleu": ("BLEU", "higher is better"),
}

# Okabe and Ito's colours, told apart by people with any kind of colour vision; yellow is too pale for lines.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
# More runs than colours are told apart by their dashes.
DASHES: tuple[tuple[float, ...], ...] = ((), (4, 1.5), (1, 1.2))
PANEL_WIDTH = 4.3  # Inches, with its numbers
PLOT_WIDTH, PLOT_HEIGHT, LEFT = 3.2, 2.1, 0.65


@dataclass(frozen=True)
class Run:
    """A run and the name that the legend gives it."""

    name: str
    log: TrainingLog


def curves_figure(runs: Sequence[Run], keys: Sequence[str] = TELLING_KEYS, title: str = "") -> Figure:
    """A panel for each logged figure, a colour for each run, over the updates: training a line, validation with dots.

    Training curves come from the figures logged every ``--log-interval`` updates, or, where these have less
    than two points, from those of whole epochs.

    :param keys: fairseq's keys; one that no run has is left out.
    :raises GuidedAlignError: no runs, or none of the keys in any of them.
    """
    if not runs:
        raise GuidedAlignError("expected at least one run to draw; got none")
    present = {key for run in runs for key in run.log.logged_keys()}
    drawn = [key for key in keys if key in present]
    if not drawn:
        raise GuidedAlignError(
            f"expected {' or '.join(keys)} in {', '.join(run.log.path for run in runs)};"
            f" got only {', '.join(sorted(present))}"
        )
    names, title = [visible(run.name) for run in runs], visible_lines(title)
    families = fonts_for([*names, title])
    columns = 2 * len(drawn) + 1
    bottom = 0.6 + 0.22 * -(-(len(runs) + 2) // columns)
    width, height = PANEL_WIDTH * len(drawn) + 0.1, bottom + PLOT_HEIGHT + 0.55 + (0.35 if title else 0)
    figure = Figure(figsize=(width, height), dpi=150, facecolor="white")
    FigureCanvasAgg(figure)
    with_validation = False
    for number, key in enumerate(drawn):
        left = LEFT + number * PANEL_WIDTH
        axes = figure.add_axes((left / width, bottom / height, PLOT_WIDTH / width, PLOT_HEIGHT / height))
        ends = [end for index, run in enumerate(runs) for end in _draw_run(axes, run.log, key, *_style(index))]
        with_validation |= bool(ends)
        _decorate(axes, key)
        axes.set_xlim(0, max(run.log.points[-1].update for run in runs) * 1.02)
        _label_ends(axes, ends)
    figure.text(
        LEFT / width, 1 - 0.12 / height, title, ha="left", va="top", color=INK, fontsize=12.5, family=families,
        parse_math=False,
    )  # fmt: skip
    legend = figure.legend(
        handles=_legend_lines(names, with_validation),
        loc="lower left", bbox_to_anchor=(0.62 / width, 0.08 / height), ncol=columns, frameon=False,
        prop={"family": families, "size": 8.5}, labelcolor=INK, borderaxespad=0, columnspacing=1.6, handlelength=2.2,
    )  # fmt: skip
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure


def _legend_lines(names: Sequence[str], with_validation: bool) -> list[Line2D]:
    """What the legend shows: the colour of each run, and how training and validation are drawn."""
    lines = []
    for index, name in enumerate(names):
        colour, dashes = _style(index)
        lines.append(Line2D([], [], color=colour, dashes=dashes, linewidth=2, label=name))
    if with_validation:
        lines.append(Line2D([], [], color=MUTED, linewidth=1.3, label="training"))
        lines.append(Line2D([], [], color=MUTED, linewidth=1.0, marker="o", markersize=4, label="validation"))
    return lines


@dataclass(frozen=True)
class _End:
    """Where a validation curve ends, which is what people read off. ``value`` may be infinite or not a number."""

    update: float
    value: float
    colour: str


def _style(index: int) -> tuple[str, tuple[float, ...]]:
    """Colour and dashes of a run."""
    return COLOURS[index % len(COLOURS)], DASHES[index // len(COLOURS) % len(DASHES)]


def _draw_run(axes: Axes, log: TrainingLog, key: str, colour: str, dashes: tuple[float, ...]) -> list[_End]:
    """Draw a run's curves of one logged figure. Returns the ends of its validation curves."""
    updates, values = _series(log, TRAIN_INNER, key)
    if len(updates) < 2:
        whole = _series(log, TRAIN, key)
        updates, values = whole if len(whole[0]) >= len(updates) else (updates, values)
    subsets = [kind for kind in log.kinds() if kind not in (TRAIN_INNER, TRAIN) and len(_series(log, kind, key)[0])]
    if len(updates):
        # A single point makes no line.
        marker = "o" if len(updates) == 1 else ""
        axes.plot(
            updates, values, color=colour, dashes=dashes, marker=marker, linewidth=1.5,
            alpha=0.55 if subsets else 1.0, solid_capstyle="round",
        )  # fmt: skip
    ends = []
    for number, subset in enumerate(subsets):
        updates, values = _series(log, subset, key)
        axes.plot(
            updates, values, color=colour, dashes=dashes, linewidth=1.2, marker="os^Dv"[number % 5],
            markersize=4 if len(updates) < 40 else 2.5, markeredgecolor="white", markeredgewidth=0.4,
        )  # fmt: skip
        finite = np.flatnonzero(np.isfinite(values))
        last = finite[-1] if len(finite) else -1
        ends.append(_End(float(updates[last]), float(values[last]), colour))
    return ends


def _series(log: TrainingLog, kind: str, key: str) -> tuple[np.ndarray, np.ndarray]:
    """The curve of a logged figure. None for an alignment loss of 0 throughout: nothing was guided."""
    updates, values = log.series(kind, key)
    return (updates[:0], values[:0]) if key == "alignment_loss" and not values.any() else (updates, values)


def _label_ends(axes: Axes, ends: list[_End]) -> None:
    """Writes the last finite values right of their curves, moved apart where they would cover each other."""
    low, high = axes.get_ylim()
    ends = sorted((end for end in ends if np.isfinite(end.value)), key=lambda end: end.value)
    heights = [(end.value - low) / (high - low) * PLOT_HEIGHT * 72 for end in ends]
    for end, height, placed in zip(ends, heights, _spread(heights, line=8.5)):
        axes.annotate(
            f"{end.value:,.0f}" if abs(end.value) >= 1000 else f"{end.value:.3g}", (end.update, end.value),
            xytext=(5, placed - height), textcoords="offset points", fontsize=7.5, color=end.colour, va="center",
            annotation_clip=False,
        )  # fmt: skip


def _spread(heights: Sequence[float], line: float) -> list[float]:
    """Ascending heights, moved as little as possible to be ``line`` apart. A group that is moved keeps its middle."""
    groups: list[list[float]] = []

    def lowest(group: list[float]) -> float:
        return sum(group) / len(group) - line * (len(group) - 1) / 2

    for height in heights:
        groups.append([height])
        while len(groups) > 1 and lowest(groups[-2]) + line * len(groups[-2]) > lowest(groups[-1]):
            last = groups.pop()
            groups[-1] += last
    return [lowest(group) + line * number for group in groups for number in range(len(group))]


def _decorate(axes: Axes, key: str) -> None:
    name, unit = PANEL_TITLES.get(key, (key, ""))
    axes.set_title(name, loc="left", fontsize=10.5, fontweight="bold", color=INK, pad=18)
    axes.text(0, 1.035, unit, transform=axes.transAxes, fontsize=8, color=MUTED, va="bottom")
    axes.set_xlabel("updates", fontsize=8.5, color=MUTED)
    axes.tick_params(labelsize=8, colors=INK, length=3, width=0.6)
    axes.grid(axis="y", color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.margins(y=0.06)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set(**FRAME)
