"""The table and the picture of the figures that are in the JSON file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.training.cases import FAIRSEQ, FAIRSEQ_ALIGNED, OURS_CE, OURS_MSE, OURS_OFF, PRODUCTS

STEP_COLUMNS = [FAIRSEQ_ALIGNED, OURS_CE, OURS_MSE, OURS_OFF]


def table(results: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Lines of Markdown: every figure a ratio to fairseq's criterion without alignments, but for its own."""
    yield "| loss alone: model, vocabulary, tokens | fairseq | ours: time | ours: memory | ours: time / products |"
    yield "|---|---|---|---|---|"
    for one in results:
        figures = one["loss"]
        ours, products = figures["ours"], figures[PRODUCTS]
        yield (
            f"| {_setting(one)} | {own(figures.get(FAIRSEQ))} | {time(ours)} | {memory(ours)} "
            f"| {ours['seconds'] / products['seconds']:.2f} |"
        )
    yield ""
    yield (
        "| whole step: model, vocabulary, tokens | fairseq | "
        + " | ".join(f"{name}: time, memory" for name in STEP_COLUMNS)
        + " | tokens a second, ours, ce |"
    )
    yield "|---" * (len(STEP_COLUMNS) + 3) + "|"
    for one in results:
        figures = one["step"]
        cells = [
            f"{time(figures[name])}, {memory(figures[name])}" if name in figures else "does not fit"
            for name in STEP_COLUMNS
        ]
        yield (
            f"| {_setting(one)} | {own(figures.get(FAIRSEQ))} | {' | '.join(cells)} "
            f"| {one['tokens'] / figures[OURS_CE]['seconds']:,.0f} |"
        )

    if not all("waits_for_gpu" in one for one in results):
        return
    yield ""
    yield "| times that a step waits for the GPU | " + " | ".join([FAIRSEQ, *STEP_COLUMNS]) + " |"
    yield "|---" * (len(STEP_COLUMNS) + 2) + "|"
    for one in results:
        waits = [str(one["waits_for_gpu"].get(name, "does not fit")) for name in (FAIRSEQ, *STEP_COLUMNS)]
        yield f"| {_setting(one)} | {' | '.join(waits)} |"


def _setting(one: dict[str, Any]) -> str:
    return f"{one['model']}, {one['vocabulary']:,}, {one['tokens']:,}"


def own(figure: dict[str, Any] | None) -> str:
    """Time and memory themselves."""
    if figure is None:
        return "does not fit"
    return f"{_milliseconds(figure['seconds'])}, {_mebibytes(figure['bytes'])}"


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:,.0f} ms" if seconds >= 0.02 else f"{1000 * seconds:.1f} ms"


def _mebibytes(size: int | None) -> str:
    return "?" if size is None else f"{size / 2**20:,.0f} MiB"


def time(figure: dict[str, Any]) -> str:
    """As a ratio with its quartiles, where there is one."""
    if "ratio" not in figure:
        return _milliseconds(figure["seconds"])
    return f"{figure['ratio']:.2f} ({figure['quartiles'][0]:.2f}-{figure['quartiles'][1]:.2f})"


def memory(figure: dict[str, Any]) -> str:
    """As a ratio, where there is one."""
    if figure.get("memory_ratio") is None:
        return _mebibytes(figure["bytes"])
    return f"{figure['memory_ratio']:.2f}"


def draw(results: Sequence[dict[str, Any]], path: Path) -> None:
    """Time and peak memory of the whole step against tokens, one line a vocabulary; and of the loss alone."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter, NullLocator

    model = results[0]["model"]
    chosen = [one for one in results if one["model"] == model]
    figure = Figure(figsize=(10, 7), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, 2, sharex=True)
    for row, (part, ours) in enumerate((("loss", "ours"), ("step", OURS_CE))):
        for column, key in enumerate(("seconds", "bytes")):
            panel = panels[row][column]
            for color, vocabulary in enumerate(sorted({one["vocabulary"] for one in chosen})):
                for name, style, label in ((FAIRSEQ, "--o", "fairseq"), (ours, "-o", "ours")):
                    points = [
                        (one["tokens"], one[part][name][key])
                        for one in chosen
                        if one["vocabulary"] == vocabulary and name in one[part] and one[part][name][key] is not None
                    ]
                    unit = 1000 if key == "seconds" else 1 / 2**20
                    panel.plot(
                        [x for x, _ in points], [max(y * unit, 0.5) for _, y in points], style, color=f"C{color}",
                        markersize=4, label=f"{label}, vocabulary {vocabulary:,}",
                    )  # fmt: skip
            panel.set(xscale="log", yscale="log")
            panel.set_xticks(sorted({one["tokens"] for one in chosen}))
            panel.xaxis.set_minor_locator(NullLocator())
            panel.yaxis.set_major_locator(LogLocator(subs=(1, 3)))
            panel.yaxis.set_minor_formatter(NullFormatter())
            for axis in (panel.xaxis, panel.yaxis):
                axis.set_major_formatter("{x:,.0f}")
            panel.grid(alpha=0.3)
            what = {"loss": "loss alone", "step": "whole step with guidance"}[part]
            panel.set_title(f"{what}: {'time' if key == 'seconds' else 'peak memory'}")
            panel.set_ylabel("ms" if key == "seconds" else "MiB")
            if row == 1:
                panel.set_xlabel("target tokens a batch")
    figure.legend(*panels[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=9)
    figure.suptitle(f"model {model}; dashed: fairseq's label_smoothed_cross_entropy, solid: guided_alignment_ce")
    figure.savefig(path, dpi=100)
