"""Alignment error rate while a model trains: counts of a batch's links against the attention that was read anyway.

Counts are sums, so batches, workers and the order of the text change nothing; scores come from the sums. Links are
read off as by ``extract --method argmax`` and ``fairseq-generate --print-alignment hard``.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Sequence

import torch
from torch import Tensor

from fairseq_guided_align.attention.guided_heads import GuidedHeads
from fairseq_guided_align.losses.batching import batch_links
from fairseq_guided_align.scores.metrics import COLUMNS, AlignmentCounts
from fairseq_guided_align.training.log_values import SixDecimals

PREFIX = "_aer_"
"""Begins the names of the counts in fairseq's logs; what begins with an underscore is not printed."""

SCORES: Mapping[str, Callable[[AlignmentCounts], float]] = {
    "aer": lambda counts: counts.aer,
    "alignment_precision": lambda counts: counts.precision,
    "alignment_recall": lambda counts: counts.recall,
}
"""Printed figures, fractions in 0..1."""


@torch.no_grad()
def count_batch(attentions: Sequence[Tensor], sample: Mapping[str, Any], guided: GuidedHeads, padding: int) -> Tensor:
    """Sizes of the link sets of a batch, without waiting for the device.

    Sentence pairs without any link are left out: an empty line of an alignment file says nothing of its pair.

    :param attentions: of each guided head, or their average; (batch, target, source), the decoder's rows.
    :param sample: a batch with target and links, see ``batching``.
    :param padding: index of the padding token.
    :returns: (5,) float64, in the order of :data:`~fairseq_guided_align.scores.metrics.COLUMNS`.
    """
    attention = attentions[0] if len(attentions) == 1 else torch.stack(list(attentions)).mean(dim=0)
    if guided.position == "next":
        attention = torch.cat([attention[:, 1:], attention[:, -1:]], dim=1)
    links = batch_links(sample, attention.size(-1))
    target_is_real = sample["target"].ne(padding)
    source_is_real = sample["net_input"]["src_tokens"].ne(padding)
    alignable = torch.zeros_like(target_is_real)
    alignable[:, :-1] = target_is_real[:, :-1] & target_is_real[:, 1:]
    alignable &= _marked(links.sentence, len(alignable)).unsqueeze(1)

    columns = torch.arange(attention.size(-1), device=attention.device)
    end = (source_is_real * columns).amax(dim=1, keepdim=True)
    allowed = source_is_real if guided.unlinked == "eos" else source_is_real & columns.ne(end)
    likeliest = attention.masked_fill(~allowed.unsqueeze(1), -1.0).argmax(dim=-1)
    linked = alignable & likeliest.ne(end) & allowed.any(dim=1, keepdim=True)

    hit = linked.flatten()[links.rows] & likeliest.flatten()[links.rows].eq(links.source)
    sure = sample.get("link_sure")
    sure = torch.ones_like(hit) if sure is None else sure
    counts = {
        "predicted": linked.sum(),
        "sure": sure.sum(),
        "possible": torch.ones_like(hit).sum(),
        "hit_sure": (hit & sure).sum(),
        "hit_possible": hit.sum(),
    }
    return torch.stack([counts[name] for name in COLUMNS]).double()


def _marked(sentence: Tensor, size: int) -> Tensor:
    return torch.zeros(size, device=sentence.device).index_fill(0, sentence, 1.0) > 0


def log_entries(counts: Tensor) -> Dict[str, Any]:
    """The counts of :func:`count_batch` under the names that every worker logs in every batch."""
    return {PREFIX + name: counts[i] for i, name in enumerate(COLUMNS)}


def log_scores(logging_outputs: List[Dict[str, Any]], of: str = "") -> None:
    """Log :data:`SCORES` from the sums over all workers, if they were counted.

    :param of: begins the names of the figures and of the counts, such as ``de-en:`` for one of several language pairs.
    """
    from fairseq.logging import metrics

    if not any(of + PREFIX + COLUMNS[0] in log for log in logging_outputs):
        return
    for name in COLUMNS:
        metrics.log_scalar_sum(PREFIX + of + name, sum(log.get(of + PREFIX + name, 0) for log in logging_outputs))
    for name, score in SCORES.items():
        metrics.log_derived(of + name, _derived(score, PREFIX + of))


def _derived(score: Callable[[AlignmentCounts], float], begin: str) -> Callable[[Mapping[str, Any]], float]:
    def value(meters: Mapping[str, Any]) -> float:
        counts = AlignmentCounts(*(round(float(meters[begin + name].sum)) for name in COLUMNS))
        return SixDecimals(round(score(counts), 6))

    return value
