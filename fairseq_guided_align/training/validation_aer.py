"""Alignment error rate in validation: a batch's links against those that its forward pass shows.

Counts are sums, so batches, workers and the order of the text change nothing; scores come from the sums. Links are
read off as by ``extract --method argmax`` and ``fairseq-generate --print-alignment hard``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from fairseq.logging import metrics
from torch import Tensor

from fairseq_guided_align.attention.forced import heads_to_read
from fairseq_guided_align.attention.guided_heads import GuidedHeads
from fairseq_guided_align.attention.reader import AttentionReader
from fairseq_guided_align.attention.token_rows import alignable_tokens, last_real, rows_of_tokens
from fairseq_guided_align.losses.batching import batch_links
from fairseq_guided_align.scores.metrics import COLUMNS, AlignmentCounts
from fairseq_guided_align.training.figures import total
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
    :return: (5,) float64, in the order of :data:`~fairseq_guided_align.scores.metrics.COLUMNS`.
    """
    attention = attentions[0] if len(attentions) == 1 else torch.stack(list(attentions)).mean(dim=0)
    target_is_real = sample["target"].ne(padding)
    source_is_real = sample["net_input"]["src_tokens"].ne(padding)
    attention = rows_of_tokens(attention, guided.shift, target_is_real)
    links = batch_links(sample, attention.size(-1))
    has_links = torch.zeros(len(target_is_real), device=attention.device).index_fill(0, links.sentence, 1.0) > 0
    alignable = alignable_tokens(target_is_real) & has_links.unsqueeze(1)

    columns = torch.arange(attention.size(-1), device=attention.device)
    end = last_real(source_is_real).unsqueeze(1)
    allowed = source_is_real if guided.end_is_null else source_is_real & columns.ne(end)
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


def counting(criterion: Any, padding: int) -> Callable[[Any, Any], Any]:
    """A criterion that also counts a batch's links, off the same forward pass, and adds the counts to its log.

    :param criterion: ours, or one that does not guide; what was guided is read, else what fairseq reads.
    :param padding: index of the padding token.
    """

    def counted(model: Any, sample: Any) -> Any:
        seen: list[Any] = []
        if getattr(criterion, "guides", False):
            criterion.attention_observer = lambda attentions, guided, _: seen.extend((attentions, guided))
            try:
                loss, sample_size, log = criterion(model, sample)
            finally:
                criterion.attention_observer = None
            attentions, guided = seen
        else:
            guided = heads_to_read(model)
            with AttentionReader(model, guided) as reader:
                loss, sample_size, log = criterion(model, sample)
            attentions = [reader.attention()]
        counts = count_batch(attentions, sample, guided, padding)
        return loss, sample_size, {**log, **{PREFIX + name: counts[i] for i, name in enumerate(COLUMNS)}}

    return counted


def log_scores(logging_outputs: list[dict[str, Any]], of: str = "") -> None:
    """Log :data:`SCORES` from the sums over all workers, if they were counted.

    :param of: begins the names of the figures and of the counts, such as ``de-en:`` for one of several language pairs.
    """
    if not any(of + PREFIX + COLUMNS[0] in log for log in logging_outputs):
        return
    for name in COLUMNS:
        metrics.log_scalar_sum(PREFIX + of + name, total(logging_outputs, of + PREFIX + name))
    for name, score in SCORES.items():
        metrics.log_derived(of + name, _derived(score, PREFIX + of))


def _derived(score: Callable[[AlignmentCounts], float], begin: str) -> Callable[[Mapping[str, Any]], float]:
    def value(meters: Mapping[str, Any]) -> float:
        counts = AlignmentCounts(*(round(float(meters[begin + name].sum)) for name in COLUMNS))
        return SixDecimals(round(score(counts), 6))

    return value
