"""Scores as people read them: tables, intervals, comparisons, and what a score was made with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fairseq_guided_align.scores.significance import Comparison, Interval


def as_table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of text in columns, the first one flush left, the others flush right."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))])
        for row in rows
    )


def header_of(metric: str, interval: Interval | None) -> str:
    """The column's title of scores that may have intervals."""
    return metric if interval is None else f"{metric} [{100 * interval.level:g} % interval]"


def with_interval(score: float, interval: Interval | None) -> str:
    """A score in per cent, and its interval where there is one.

    :param score: a fraction from 0 to 1.
    """
    shown = f"{100 * score:.2f}"
    return shown if interval is None else f"{shown} [{100 * interval.low:.2f}, {100 * interval.high:.2f}]"


def comparison_sentence(first: str, second: str, metric: str, comparison: Comparison) -> str:
    """How the second system stands to the first, in points of per cent."""
    difference = comparison.difference
    return (
        f"{second} against {first}: {metric} {100 * difference.score:+.2f}"
        f" [{100 * difference.low:+.2f}, {100 * difference.high:+.2f}], p = {comparison.p_value:.4f};"
        f" better in {100 * comparison.second_wins:.1f} % of the resamples,"
        f" worse in {100 * comparison.first_wins:.1f} %"
    )


def signature_of(sampling: Mapping[str, Any]) -> list[str]:
    """The part of a signature that says how scores were resampled.

    :param sampling: ``level``, ``samples`` and ``seed``; empty where nothing was resampled.
    """
    return [f"{name}:{value:g}" if name == "level" else f"{name}:{value}" for name, value in sampling.items()]
