"""fairseq's training logs as numbers: what was logged at which update.

It reads what ``--log-format simple``, ``json`` and ``tqdm`` write, on standard error or by ``--log-file``, and what
hydra writes; compressed files, too. Lines without figures are passed over.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.files.byte_lines import read_blocks

TRAIN_INNER = "train_inner"
"""Kind of the figures logged every ``--log-interval`` updates, averaged over these updates."""
TRAIN = "train"
"""Kind of the figures of a whole epoch. Other kinds are the names of validation subsets, such as ``valid``."""

TELLING_KEYS = ("loss_per_token", "alignment_loss", "aer")
"""Figures that show whether guided training works."""

_INNER = re.compile(r"epoch (\d+):\s+\d+ / \d+ (.*)")
_WHOLE = re.compile(r"epoch (\d+) \| (?:valid on '([^']+)' subset \| )?(.*)")
# A figure of one of several language pairs is named de-en:loss, and codes of languages may have dots
_PAIR = re.compile(r"([A-Za-z_][\w:.-]*)[= ](\S+?)(?:,|\s|$)")


@dataclass(frozen=True)
class LogPoint:
    """One line of figures.

    :param kind: :data:`TRAIN_INNER`, :data:`TRAIN`, or the name of a validation subset.
    :param epoch: from 1.
    :param update: number of parameter updates so far.
    :param values: everything on the line that is a number, by fairseq's key without ``train_`` or ``valid_``.
    """

    kind: str
    epoch: int
    update: int
    values: dict[str, float]


@dataclass
class TrainingLog:
    """A run's figures in the order of its updates.

    :param path: where they were read.
    :param points: what was logged; of an update logged twice, as after a restart, the later figures.
    """

    path: str
    points: list[LogPoint] = field(default_factory=list)

    def series(self, kind: str, key: str) -> tuple[np.ndarray, np.ndarray]:
        """(n,) int64 updates and (n,) float64 values of one figure; empty when it was never logged."""
        found = [
            (point.update, point.values[key]) for point in self.points if point.kind == kind and key in point.values
        ]
        updates = np.array([update for update, _ in found], dtype=np.int64)
        return updates, np.array([value for _, value in found], dtype=np.float64)

    def kinds(self) -> list[str]:
        """Kinds that occur, training first."""
        present = {point.kind for point in self.points}
        return [kind for kind in (TRAIN_INNER, TRAIN) if kind in present] + sorted(present - {TRAIN_INNER, TRAIN})

    def logged_keys(self) -> list[str]:
        """Every figure's key."""
        return sorted({key for point in self.points for key in point.values})


def read_training_log(path: str | Path) -> TrainingLog:
    """The figures of a log file.

    :raises GuidedAlignError: the file cannot be read, or has no line of figures.
    """
    kinds: dict[str, list[LogPoint]] = {}
    lines = 0
    for _, block in read_blocks(path):
        for line in block.decode("utf-8", "replace").splitlines():
            lines += 1
            point = parse_log_line(line)
            if point is None:
                continue
            earlier = kinds.setdefault(point.kind, [])
            # A run that went back to an older checkpoint overwrites what it repeats.
            while earlier and earlier[-1].update >= point.update:
                earlier.pop()
            earlier.append(point)
    points = [point for some in kinds.values() for point in some]
    if not points:
        raise GuidedAlignError(
            f"{path}: expected a log of fairseq-train, with --log-format simple, json or tqdm;"
            f" got {lines} lines without figures"
        )
    return TrainingLog(str(path), sorted(points, key=lambda point: point.update))


def parse_log_line(line: str) -> LogPoint | None:
    """The figures of one line; None for a line without."""
    start = line.find('{"epoch"')
    if start >= 0:
        return _from_json(line[start:])
    inner = _INNER.search(line)
    if inner:
        return _point(TRAIN_INNER, int(inner[1]), dict(_PAIR.findall(inner[2])))
    whole = _WHOLE.search(line)
    if whole:
        return _point(whole[2] or TRAIN, int(whole[1]), dict(_PAIR.findall(whole[3])))
    return None


def _from_json(text: str) -> LogPoint | None:
    try:
        values, _ = json.JSONDecoder().raw_decode(text)
    except json.JSONDecodeError:  # Cut off by a crash or a full disk
        return None
    epoch = int(values.pop("epoch"))
    # Whole epochs and validation have their name before each key: train_num_updates, valid_num_updates.
    named = next((key for key in values if key.endswith("_num_updates")), None)
    if named is None:
        values.pop("update", None)  # The epoch as a fraction; the text formats have no such key
        return _point(TRAIN_INNER, epoch, values)
    kind = named[: -len("_num_updates")]
    prefix = kind + "_"
    own = {key[len(prefix) :]: value for key, value in values.items() if key.startswith(prefix)}
    return _point(kind, epoch, own)


def _point(kind: str, epoch: int, values: dict[str, object]) -> LogPoint | None:
    numbers = {}
    for key, value in values.items():
        try:
            numbers[key] = float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            continue
    if "num_updates" not in numbers:
        return None
    return LogPoint(kind, epoch, int(numbers.pop("num_updates")), numbers)
