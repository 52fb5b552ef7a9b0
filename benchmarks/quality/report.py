"""Many trainings as a table, means over seeds, and as a picture of AER against BLEU."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
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
    """The frontier: one point a setting, AER to the left and BLEU upwards, so the best are at the top left."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 5), layout="constrained")
    axes = figure.add_subplot()
    points = {
        setting: (100 * statistics.mean(r["aer"] for r in runs), statistics.mean(r["bleu"] for r in runs))
        for setting, runs in by_setting(results).items()
        if setting.weight
    }
    for setting, (aer, bleu) in points.items():
        best = not any(a <= aer and b >= bleu and (a, b) != (aer, bleu) for a, b in points.values())
        axes.plot(aer, bleu, "o", color="#0072b2" if best else "#b8c0c8")
        axes.annotate(setting.name, (aer, bleu), fontsize=7, xytext=(4, 2), textcoords="offset points")
    for setting, runs in by_setting(results).items():
        if not setting.weight:
            axes.axhline(statistics.mean(r["bleu"] for r in runs), color="#d55e00", lw=1, label=f"BLEU, {setting.name}")
    if axes.get_legend_handles_labels()[1]:
        axes.legend(fontsize=7)
    axes.set_xlabel("AER (%)")
    axes.set_ylabel("BLEU")
    figure.savefig(path)
