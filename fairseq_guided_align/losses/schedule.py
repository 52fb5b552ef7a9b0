"""Weight of the guided-alignment cost as training goes on."""

from __future__ import annotations

import math
from dataclasses import dataclass

from fairseq_guided_align.errors import GuidedAlignError


@dataclass(frozen=True)
class WeightSchedule:
    """Weight of the guided-alignment cost at each update.

    The weight rises linearly from 0 over the warm-up (``weight * n / warmup`` at update n), then stays
    (``constant``), falls linearly to 0 over ``decay_updates`` (``linear``), or falls with the square root
    (``inverse-sqrt``: ``weight * sqrt(m / max(n, m))`` with m the larger of warm-up and 1); from update ``stop``
    on it is 0.

    :param weight: the full weight, at least 0; no unit.
    :param decay: ``constant``, ``linear`` or ``inverse-sqrt``.
    :param warmup_updates: length of the warm-up in updates.
    :param decay_updates: length of the linear decay in updates, counted from the end of the warm-up.
    :param stop_updates: the first update without guidance; None never stops.
    """

    weight: float
    decay: str = "constant"
    warmup_updates: int = 0
    decay_updates: int = 0
    stop_updates: int | None = None

    def __post_init__(self) -> None:
        def refuse(option: str, wanted: str, got: object) -> None:
            raise GuidedAlignError(f"--guided-alignment-{option}: expected {wanted}; got {got}")

        if not (math.isfinite(self.weight) and self.weight >= 0):
            refuse("weight", "a finite number, 0 or more", self.weight)
        if self.warmup_updates < 0:
            refuse("warmup-updates", "0 or more updates", self.warmup_updates)
        if self.decay == "linear" and self.decay_updates <= 0:
            refuse("decay-updates", "1 or more updates with --guided-alignment-decay linear", self.decay_updates)
        if self.decay != "linear" and self.decay_updates != 0:
            refuse("decay-updates", "0 unless --guided-alignment-decay linear is chosen", self.decay_updates)
        if self.stop_updates is not None and self.stop_updates < 0:
            refuse("stop-updates", "0 or more updates", self.stop_updates)

    @property
    def varies(self) -> bool:
        """Whether the weight depends on the number of updates."""
        return self.decay != "constant" or self.warmup_updates > 0 or self.stop_updates is not None

    def __call__(self, updates: int) -> float:
        """Weight after ``updates`` finished updates, between 0 and ``weight``."""
        if self.stop_updates is not None and updates >= self.stop_updates:
            return 0.0
        if updates < self.warmup_updates:
            return self.weight * updates / self.warmup_updates
        if self.decay == "linear":
            return self.weight * max(0.0, 1.0 - (updates - self.warmup_updates) / self.decay_updates)
        if self.decay == "inverse-sqrt":
            start = max(self.warmup_updates, 1)
            return self.weight * math.sqrt(start / max(updates, start))
        return self.weight
