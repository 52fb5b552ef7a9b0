"""Figures of fairseq's log that are ratios of sums, with as many decimals as they deserve."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np


class SixDecimals(float):
    """A float that every log of fairseq's prints with six decimals; ``{:g}``, which they use, would keep three."""

    def __format__(self, specification: str) -> str:
        return super().__format__(".6f" if specification == "g" else specification)

    def __reduce__(self) -> Any:
        # A checkpoint holds its --best-checkpoint-metric, and must load where this class is unknown or not trusted.
        return np.float64(self).__reduce__()


def ratio(numerator: str, denominator: str, scale: float = 1.0) -> Callable[[Mapping[str, Any]], float]:
    """A derived meter of fairseq's: ``scale * numerator / denominator`` of two summed meters, 0 if nothing counted.

    Sums stay sums until the log is printed, so the value is exact over any number of batches and workers.

    :param numerator: name of the meter that holds the sum above the line.
    :param denominator: name of the one below it.
    :param scale: 100 for a percentage.
    :return: what ``metrics.log_derived`` takes: from fairseq's meters by name to the value.
    """

    def value(meters: Mapping[str, Any]) -> float:
        below = float(meters[denominator].sum)
        return SixDecimals(round(scale * float(meters[numerator].sum) / below, 6) if below else 0.0)

    return value
