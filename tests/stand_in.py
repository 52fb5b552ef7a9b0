"""The criterion outside of training: a model that returns given logits and attention, batches, printed figures."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from fairseq.criterions import build_criterion
from fairseq.data import Dictionary
from fairseq.logging import metrics, progress_bar
from fairseq.models import BaseFairseqModel

import fairseq_guided_align
from fairseq_guided_align.links.link import SentenceLinks
from fairseq_guided_align.losses.batching import collate_links

fairseq_guided_align.register()

PAD = Dictionary().pad()
Links = Sequence[tuple[int, int, float]]


class PlainModel(torch.nn.Module):
    """Not fairseq's; returns what it was given."""

    def __init__(self, logits: torch.Tensor, attention: torch.Tensor) -> None:
        super().__init__()
        self.logits, self.attention = logits, attention

    def forward(self, **net_input: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        return self.logits, {"attn": self.attention}


class FairseqModel(BaseFairseqModel):
    """The same as one of fairseq's; its own ``get_normalized_probs`` is not implemented."""

    def __init__(self, logits: torch.Tensor, attention: torch.Tensor) -> None:
        super().__init__()
        self.logits, self.attention = logits, attention

    def forward(self, **net_input: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        return self.logits, {"attn": self.attention}


MODELS = [PlainModel, FairseqModel]


def criterion(task: Any = None, **options: Any) -> Any:
    """The criterion as fairseq builds it from a command line that gives these options."""
    task = task or SimpleNamespace(target_dictionary=Dictionary())
    return build_criterion(argparse.Namespace(criterion="guided_alignment_ce", **options), task)


def padded(rows: Sequence[Sequence[int]], width: int) -> torch.Tensor:
    return torch.tensor([list(row) + [PAD] * (width - len(row)) for row in rows])


def batch(
    labels: Sequence[Sequence[int]],
    source_lengths: Sequence[int],
    links: Sequence[Links],
    width: int,
    columns: int,
    form: str = "ours",
) -> dict[str, Any]:
    """A right-padded batch, as fairseq's task collates it (``stock``) or ours (``ours``).

    :param labels: target tokens of each sentence, with ``</s>``.
    :param links: (source, target, weight) triples of each sentence.
    """
    sample: dict[str, Any] = {
        "net_input": {
            "src_tokens": padded([[5] * length for length in source_lengths], columns),
            "src_lengths": torch.tensor(source_lengths),
        },
        "target": padded(labels, width),
        "ntokens": sum(map(len, labels)),
        "nsentences": len(labels),
    }
    sample["net_input"]["prev_output_tokens"] = sample["target"].roll(1, dims=1)
    if form == "stock":
        rows = [(s, b * width + t) for b, one in enumerate(links) for s, t, _ in one]
        if rows:
            counts = np.bincount([row for _, row in rows])
            sample["alignments"] = torch.tensor(rows)
            sample["align_weights"] = torch.tensor([1 / counts[row] for _, row in rows]).float()
        return sample
    none = np.zeros(len(labels), dtype=np.int64)
    sentences = [SentenceLinks.from_pairs([link[:2] for link in one], [link[2] for link in one]) for one in links]
    return {**sample, **collate_links(sentences, none, none, width, 0)}


def figures(outputs: Sequence[dict[str, Any]], of: Any) -> dict[str, Any]:
    """What fairseq would print for these outputs of one or more batches, as numbers."""
    with metrics.aggregate(new_root=True) as aggregator:
        type(of).reduce_metrics(list(outputs))
    return dict(aggregator.get_smoothed_values())


def printed(stats: dict[str, Any], log_format: str = "simple") -> str:
    """The line of fairseq's progress bar."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("fairseq.logging.progress_bar")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        progress_bar.progress_bar([], log_format=log_format, epoch=1).print(stats, tag="train")
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    (line,) = lines
    return line
