"""Link models fitted to a checkpoint's attention, and the file beside the checkpoint that keeps them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fairseq_guided_align.attention.link_model import LinkModel, best_threshold, features, fit
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.files.atomic import atomic_file
from fairseq_guided_align.files.byte_lines import PathLike
from fairseq_guided_align.links.link import SentenceLinks

ARRAYS = ("weights", "mean", "deviation")
ONE_DIRECTION, TWO_DIRECTIONS = "one direction", "two directions"
Matrices = Sequence[np.ndarray]
MOST_CELLS = 1_000_000
"""Cells of all matrices that a link model is fitted on, 250 bytes each; further sentence pairs add little."""


@dataclass(frozen=True)
class LinkedAttention:
    """A sentence pair with gold links.

    :param matrices: (target, source + 1) attention of a model and, of two, (source, target + 1) of the opposite one.
    """

    matrices: Matrices
    gold: SentenceLinks

    def cells(self) -> tuple[Matrices, np.ndarray, np.ndarray]:
        """As ``attention.link_model.fit`` takes it: possible links that are not sure do not count."""
        linked = np.zeros((len(self.matrices[0]), self.matrices[0].shape[1] - 1), dtype=bool)
        counts = np.ones_like(linked)
        linked[self.gold.target, self.gold.source] = self.gold.sure
        counts[self.gold.target, self.gold.source] = self.gold.sure
        return self.matrices, linked, counts


@dataclass(frozen=True)
class LinkReader:
    """Reads links off the attention that its model was fitted to.

    :param threshold: least probability of a link.
    """

    model: LinkModel
    threshold: float

    @classmethod
    def fitted(cls, pairs: Sequence[LinkedAttention]) -> LinkReader:
        """The reader with the highest expected F1 on text like this one.

        :raises GuidedAlignError: the text has no links.
        """
        model = fit(pair.cells() for pair in pairs)
        return cls(model, best_threshold(model.probabilities(pair.matrices) for pair in pairs))

    def links(self, matrices: Matrices) -> SentenceLinks:
        """Links of a sentence pair, their weights being their probabilities."""
        probabilities = self.model.probabilities(matrices)
        target, source = np.nonzero(probabilities >= self.threshold)
        weight = probabilities[target, source].astype(np.float32)
        return SentenceLinks(source.astype(np.int32), target.astype(np.int32), weight, np.ones(len(weight), dtype=bool))


def file_of_readers(checkpoint: PathLike) -> Path:
    """Where a checkpoint's link models are kept: beside it."""
    path = Path(checkpoint)
    return path.with_name(f"{path.stem}.link-models.json")


def keep_reader(checkpoint: PathLike, use: str, reader: LinkReader) -> Path:
    """Write a reader beside the checkpoint; those for other uses stay. Returns the file.

    :param use: what it was fitted for, such as ``words, one direction``.
    :raises GuidedAlignError: the file cannot be written, or is there and cannot be read.
    """
    path = file_of_readers(checkpoint)
    readers = {**_readers(path), use: reader}
    with atomic_file(path) as stream:
        entries = {name: _entry(one) for name, one in readers.items()}
        stream.write((json.dumps(entries, indent=1) + "\n").encode("utf-8"))
    return path


def kept_reader(checkpoint: PathLike, use: str) -> LinkReader | None:
    """The reader that :func:`keep_reader` has written; None where there is none.

    :raises GuidedAlignError: the file cannot be read.
    """
    return _readers(file_of_readers(checkpoint)).get(use)


def _entry(reader: LinkReader) -> dict[str, Any]:
    model = reader.model
    return {
        "threshold": reader.threshold,
        "directions": model.directions,
        **{name: getattr(model, name).tolist() for name in ARRAYS},
    }


def _readers(path: Path) -> dict[str, LinkReader]:
    found = {}
    try:
        for use, entry in json.loads(path.read_text(encoding="utf-8")).items():
            weights, mean, deviation = (np.array(entry[name], dtype=float) for name in ARRAYS)
            model = LinkModel(weights, mean, deviation, int(entry["directions"]))
            wanted = features([np.zeros((1, 2))] * model.directions).shape[-1]
            if {len(weights), len(mean), len(deviation)} != {wanted}:
                raise ValueError(f"expected {wanted} weights; got {len(weights)}")
            found[use] = LinkReader(model, float(entry["threshold"]))
    except FileNotFoundError:
        return {}
    except (AttributeError, KeyError, OSError, TypeError, ValueError) as error:
        raise GuidedAlignError(
            f"{path}: cannot be read: {error!r}; delete it, and make it anew with extract --tune"
        ) from error
    return found
