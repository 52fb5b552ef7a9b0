"""Many trainings as a table, means over seeds, and as a picture of AER against BLEU."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.quality.settings import Setting

Results = Sequence[tuple[Setting, dict[str, Any]]]
COLUMNS = {
    "aer": "AER, argmax",
    "aer_tuned": "AER, tuned",
    "aer_both": "AER, both",
    "nll": "nll",
    "bleu": "BLEU",
    "chrf": "chrF",
    "updates_a_second": "updates/s",
}
PER_CENT = ("aer", "aer_tuned", "aer_both")


def by_setting(results: Results) -> dict[Setting, list[dict[str, Any]]]:
    """Settings without their seeds -> figures of each seed."""
    found: dict[Setting, list[dict[str, Any]]] = {}
    for setting, figures in results:
        found.setdefault(replace(setting, seed=Setting.seed), []).append(figures)
    return found


def table(results: Results) -> str:
    """A Markdown table; a mean over several seeds is followed by the standard deviation."""
    columns = {key: head for key, head in COLUMNS.items() if any(key in figures for _, figures in results)}
    heads = ["setting", "seeds", *columns.values()]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for setting, runs in by_setting(results).items():
        cells = [setting.name, str(len(runs)), *(_mean(runs, key) for key in columns)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _mean(runs: Sequence[dict[str, Any]], key: str) -> str:
    values = [run[key] * (100 if key in PER_CENT else 1) for run in runs if key in run]
    if not values:
        return ""
    digits = 2 if key == "nll" else 1
    mean = f"{statistics.mean(values):.{digits}f}"
    return f"{mean} ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else mean


def draw(results: Results, path: Path) -> None:
    """The frontier: a point for each setting, AER to the right and BLEU upwards, so the best are at the top left.

    Settings than which no other is better in both are dark. Bars show the standard deviation over seeds.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 5), layout="constrained")
    axes = figure.add_subplot()
    axes.margins(0.15, 0.1)
    guided = {setting.name: runs for setting, runs in by_setting(results).items() if setting.weight}
    values = {name: ([100 * r["aer"] for r in runs], [r["bleu"] for r in runs]) for name, runs in guided.items()}
    points = {name: (statistics.mean(aer), statistics.mean(bleu)) for name, (aer, bleu) in values.items()}
    for name, (aer, bleu) in points.items():
        best = not any(a <= aer and b >= bleu and (a, b) != (aer, bleu) for a, b in points.values())
        spread = [statistics.stdev(one) if len(one) > 1 else None for one in reversed(values[name])]
        axes.errorbar(aer, bleu, *spread, fmt="o", color="#0072b2" if best else "#9aa4ae", elinewidth=0.7)
    for setting, runs in by_setting(results).items():
        if not setting.weight:
            axes.axhline(statistics.mean(r["bleu"] for r in runs), color="#d55e00", lw=1, label=f"BLEU, {setting.name}")
    if axes.get_legend_handles_labels()[1]:
        axes.legend(fontsize=7)
    axes.set_xlabel("AER of the likeliest word (%)")
    axes.set_ylabel("BLEU")
    _label(axes, points)
    figure.savefig(path, dpi=140)


def _label(axes: Any, points: Mapping[str, tuple[float, float]]) -> None:
    """Names beside their points, where neither a point nor a name is yet."""
    from matplotlib.transforms import Bbox

    axes.figure.draw_without_rendering()
    taken: list[Any] = [
        Bbox.from_bounds(x - 6, y - 6, 12, 12) for x, y in axes.transData.transform(list(points.values()))
    ]
    for name, point in points.items():
        for place in PLACES:
            text = axes.annotate(name, point, place, textcoords="offset points", fontsize=7, ha=_side(place))
            box = text.get_window_extent()
            if place == PLACES[-1] or not any(box.overlaps(one) for one in taken):
                taken.append(box)
                break
            text.remove()


PLACES = ((5, 3), (-5, 3), (5, -9), (-5, -9), (5, 12), (-5, 12), (5, -18), (-5, -18))
"""Points to the right of a setting's point, and above it, in the order in which they are tried for its name."""


def _side(place: tuple[int, int]) -> str:
    return "left" if place[0] > 0 else "right"
