"""Links of a batch: the contract between the datasets that collate them and the criterion that reads them.

A batch (fairseq's ``sample`` dictionary) carries

``alignments``
    (n, 2) int64 rows (source column, sentence * target width + target position), padding included in both: the form
    of stock fairseq's own batches, so that these are understood as well.
``align_weights``
    (n,) share of each link in its target token's weight; a token's shares sum to 1. Batches of this package hold
    float64: fairseq's ``--fp16`` and ``--bf16`` round every float32 of a batch to half precision, never float64.
``link_weights``
    (n,) float64 weights as given in the alignment files, 1 for a plain link; absent in stock fairseq's batches.
``link_sure``
    (n,) bool, false for possible links; absent in stock fairseq's batches.
``link_counts``
    dictionary of whole numbers on the host: ``links``, ``dropped`` (links of these sentences that pointed outside
    the text); absent in stock fairseq's batches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fairseq_guided_align.errors import AlignmentRangeError
from fairseq_guided_align.links.link import SentenceLinks


@dataclass(frozen=True)
class BatchLinks:
    """Links of a batch on the model's device.

    :param rows: (n,) int64, sentence * target width + target position, padding included.
    :param source: (n,) int64, source column, padding included.
    :param weight: (n,) floating point, as given in the alignment files.
    :param unique: whether each cell of the attention is known to have one link at most.
    :param target_width: padded target length.
    """

    rows: Tensor
    source: Tensor
    weight: Tensor
    unique: bool
    target_width: int

    @property
    def sentence(self) -> Tensor:
        """(n,) int64, row of the batch."""
        return torch.div(self.rows, self.target_width, rounding_mode="floor")

    @property
    def target(self) -> Tensor:
        """(n,) int64, target position, padding included."""
        return self.rows % self.target_width


def collate_links(
    links: Sequence[SentenceLinks],
    source_offsets: np.ndarray,
    target_offsets: np.ndarray,
    target_width: int,
    dropped: int,
) -> dict[str, Any]:
    """The batch's entries for these sentences' links, see the module's description.

    :param links: one item a sentence, in the order of the batch, every link inside its sentences.
    :param source_offsets: (batch,) column of each sentence's first aligned source token.
    :param target_offsets: (batch,) position of each sentence's first aligned target token.
    :param target_width: padded target length.
    :param dropped: links of these sentences that were dropped.
    """
    lengths = np.fromiter((len(one) for one in links), dtype=np.int64, count=len(links))
    sentence = np.repeat(np.arange(len(links), dtype=np.int64), lengths)
    source = np.concatenate([one.source for one in links]) + source_offsets[sentence]
    target = np.concatenate([one.target for one in links]) + target_offsets[sentence]
    weight = np.concatenate([one.weight for one in links]).astype(np.float64)
    rows = sentence * target_width + target
    shares = weight / np.bincount(rows, weights=weight)[rows]
    return {
        "alignments": torch.from_numpy(np.stack([source, rows], axis=1).astype(np.int64)),
        "align_weights": torch.from_numpy(shares),
        "link_weights": torch.from_numpy(weight),
        "link_sure": torch.from_numpy(np.concatenate([one.sure for one in links]).astype(bool)),
        "link_counts": {"links": len(rows), "dropped": dropped},
    }


def batch_links(sample: Mapping[str, Any], source_width: int) -> BatchLinks:
    """The links of a batch made by this package or by stock fairseq; empty where it has none.

    :param source_width: columns of the attention.
    :raises AlignmentRangeError: a link points outside the batch; checked on the CPU alone, as a GPU would have to be
        waited for.
    """
    target = sample["target"]
    batch, target_width = target.shape
    pairs = sample.get("alignments")
    if pairs is None:
        none = torch.zeros(0, dtype=torch.int64, device=target.device)
        return BatchLinks(none, none, torch.zeros(0, device=target.device), True, target_width)
    source, rows = pairs[:, 0], pairs[:, 1]
    weight = sample.get("link_weights")
    unique = weight is not None
    if weight is None:
        # Stock fairseq's weights are 1 over the number of a target token's links, which the links tell as well.
        weight = torch.ones(rows.size(0), device=rows.device)
    if rows.device.type == "cpu" and rows.numel():
        worst = (int(source.min()), int(rows.min()), int(source.max()), int(rows.max()))
        if worst[0] < 0 or worst[1] < 0 or worst[2] >= source_width or worst[3] >= batch * target_width:
            raise AlignmentRangeError(
                f"links of this batch lie in source columns {worst[0]}..{worst[2]} and target rows "
                f"{worst[1]}..{worst[3]}; the attention has source columns 0..{source_width - 1} and the batch "
                f"target rows 0..{batch * target_width - 1}"
            )
    return BatchLinks(rows, source, weight, unique, target_width)
