"""The criterion ``guided_alignment_ce``: the loss of a batch and its log."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from typing import Any

import torch
from fairseq import utils
from fairseq.criterions import FairseqCriterion, register_criterion
from fairseq.logging import metrics
from omegaconf import OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException
from torch import Tensor

from fairseq_guided_align.attention.guided_heads import GuidedHeads
from fairseq_guided_align.attention.reader import AttentionReader, returned_attention
from fairseq_guided_align.attention.token_rows import rows_of_tokens
from fairseq_guided_align.checkpoints.fingerprints import store_prints
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.losses.batching import batch_links
from fairseq_guided_align.losses.chunked_cross_entropy import SequenceLoss
from fairseq_guided_align.losses.guided_cost import GuidedCost, TokenCosts
from fairseq_guided_align.losses.schedule import WeightSchedule
from fairseq_guided_align.losses.vocabulary_softmax import VocabularySoftmax
from fairseq_guided_align.training import criterion_checks as checks
from fairseq_guided_align.training.criterion_options import GuidedAlignmentCrossEntropyConfig
from fairseq_guided_align.training.exempt_layers import exempt_layers
from fairseq_guided_align.training.figures import alignment_entries, log_bits, log_ratios, total
from fairseq_guided_align.training.head_choice import choose_heads


@register_criterion("guided_alignment_ce", dataclass=GuidedAlignmentCrossEntropyConfig)
class GuidedAlignmentCrossEntropy(FairseqCriterion):
    """Label-smoothed cross-entropy plus weighted guided-alignment cost.

    Summed over the batch's target tokens, in nats; fairseq divides by the sample size. Works with any fairseq
    Transformer, and with any model whose forward returns ``(logits, {"attn": attention})``, logits (batch, target,
    vocabulary) and attention (batch, target, source).

    :raises GuidedAlignError: options that contradict each other, the model or the task.
    """

    def __init__(self, cfg: GuidedAlignmentCrossEntropyConfig, task: Any) -> None:
        super().__init__(task)
        self.cfg = cfg
        self.sentence_avg = _sentence_avg(cfg)
        self.schedule = WeightSchedule(
            cfg.guided_alignment_weight,
            str(cfg.guided_alignment_decay),
            cfg.guided_alignment_warmup_updates,
            cfg.guided_alignment_decay_updates,
            cfg.guided_alignment_stop_updates,
        )
        self.cost = GuidedCost(
            type=str(cfg.guided_alignment_type),
            normalized=str(cfg.guided_alignment_rows) == "normalized",
            opennmt_tf=str(cfg.guided_alignment_normalization) == "opennmt-tf",
            unlinked_to_eos=str(cfg.guided_alignment_unlinked) == "eos",
            ignore_prefix_size=cfg.ignore_prefix_size,
        )
        checks.check_numbers(cfg, self.sentence_avg)
        if self.guides:
            checks.check_task(task, self.schedule.varies, self._program_configuration() is not None)
        self.softmax = VocabularySoftmax(
            str(cfg.vocabulary_softmax), cfg.label_smoothing, self.padding_idx, cfg.report_accuracy
        )
        self._prepared = False
        # What is guided, once prepare has chosen it.
        self.guided_heads: GuidedHeads | None = None
        # Gets the decoder's attention of every batch, so that nobody has to run the model a second time.
        self.attention_observer: Callable[[list[Tensor], GuidedHeads, dict[str, Any]], None] | None = None

    @classmethod
    def build_criterion(cls, cfg: GuidedAlignmentCrossEntropyConfig, task: Any) -> GuidedAlignmentCrossEntropy:
        """The criterion for ``cfg``; called by fairseq."""
        return cls(cfg, task)

    @property
    def guides(self) -> bool:
        """Whether the attention is guided at any time of the training."""
        return self.schedule.weight > 0

    def prepare(self, model: torch.nn.Module) -> None:
        """Check the choice of layers and heads against the model and write it into the model's configuration.

        Called before training by our task, and by the first batch otherwise; more calls do nothing.
        """
        program = self._program_configuration()
        if program is not None:
            checks.check_softmax(model)
        config = program.get("model", None) if program is not None else None
        with open_dict(config) if OmegaConf.is_config(config) else nullcontext():
            if config is not None and not self._prepared:
                store_prints(self.task, config)
            self._prepared = True
            if self.guides and self.guided_heads is None:
                self.guided_heads = choose_heads(self.cfg, model, config)
                exempt_layers(model, self.guided_heads.layers)
                if config is not None:
                    self.guided_heads.store(config)

    def _program_configuration(self) -> Any:
        """The whole configuration, which the trainer saves; None where the criterion was built on its own."""
        return self.cfg._get_parent() if OmegaConf.is_config(self.cfg) else None

    def forward(
        self, model: torch.nn.Module, sample: dict[str, Any], reduce: bool = True
    ) -> tuple[Tensor, int, dict[str, Any]]:
        """Loss of a batch.

        :return: (loss, sample size, log). The loss is the smoothed cross-entropy plus the weighted guided-alignment
            cost, in nats: summed, or one value a target token (batch * target,) if ``reduce`` is false.
        """
        if self.guides:
            self.prepare(model)
            checks.check_links_are_there(self.task, model, sample)
        target = self._scored_target(sample)
        sequence, attentions = self._forward_pass(model, sample["net_input"], target, reduce)
        costs = self._guided_costs(attentions, sample) if self.guides else None

        ntokens, nsentences = sample["ntokens"], sample["target"].size(0)
        weight = self.schedule(getattr(self.task, "finished_updates", 0))
        if self.cost.opennmt_tf:
            weight /= max(ntokens - nsentences, 1)
        # The total may hold gradients that the tokens' values lack.
        loss = sequence.total if reduce else sequence.smoothed
        if costs is not None:
            loss = loss + weight * (costs.cost.sum() if reduce else costs.cost.view(-1))
        sample_size = nsentences if self.sentence_avg else ntokens
        log = {
            "loss": sequence.smoothed.detach().sum(dtype=torch.float64),
            "nll_loss": sequence.negative_log_likelihood.detach().sum(dtype=torch.float64),
            "ntokens": ntokens,
            "nsentences": nsentences,
            "sample_size": sample_size,
            **alignment_entries(costs, weight, loss.device),
            "links_dropped": sample.get("link_counts", {}).get("dropped", 0),
        }
        if self.cfg.report_accuracy:
            log["n_correct"], log["total"] = sequence.correct, target.ne(self.padding_idx).sum()
        return loss, sample_size, log

    def _scored_target(self, sample: dict[str, Any]) -> Tensor:
        """The batch's labels, (batch, target), with padding for those that cost nothing."""
        target = sample["target"]
        if self.cfg.ignore_prefix_size > 0:
            target = target.clone()
            target[:, : self.cfg.ignore_prefix_size] = self.padding_idx
        return target

    def _forward_pass(
        self, model: torch.nn.Module, net_input: dict[str, Any], target: Tensor, reduce: bool
    ) -> tuple[SequenceLoss, list[Tensor]]:
        """The sequence loss, and the guided attentions, each (batch, target, source), of the decoder's rows."""
        to_loss = self.softmax.in_forward_pass(model, target, reduce)
        heads = self.guided_heads if self.guides else None
        reader = AttentionReader(model, heads) if heads is not None and heads.layers else None
        with ExitStack() as stack:
            for context in (reader, to_loss):
                if context is not None:
                    stack.enter_context(context)
            net_output = model(**net_input)
        sequence = to_loss.loss if to_loss is not None else self.softmax.of_logits(model, net_output, target)
        if sequence is None:
            raise GuidedAlignError(
                "the model did not use its output projection in this forward pass; use --vocabulary-softmax full"
            )
        if reader is None:
            return sequence, [returned_attention(net_output)] if self.guides else []
        attentions = reader.attentions()
        checks.check_gradient(attentions, model)
        return sequence, attentions

    def _guided_costs(self, attentions: list[Tensor], sample: dict[str, Any]) -> TokenCosts:
        """The cost of every target token, averaged over the guided attentions."""
        heads = self.guided_heads
        assert heads is not None, "prepare has chosen them"
        source, target = sample["net_input"].get("src_tokens"), sample["target"]
        checks.check_shape(attentions[0], target, source)
        if self.attention_observer is not None:
            self.attention_observer(attentions, heads, sample)
        links = batch_links(sample, attentions[0].size(-1))
        target_is_real = target.ne(self.padding_idx)
        source_is_real = source.ne(self.padding_idx) if source is not None and source.dim() == 2 else None
        costs = [
            self.cost(rows_of_tokens(attention, heads.shift, target_is_real), links, target_is_real, source_is_real)
            for attention in attentions
        ]
        if len(costs) == 1:
            return costs[0]
        mean = torch.stack([head.cost for head in costs]).mean(dim=0)
        return TokenCosts(mean, costs[0].guided, costs[0].linked, costs[0].alignable)

    @classmethod
    def reduce_metrics(cls, logging_outputs: list[dict[str, Any]]) -> None:
        """Log the batch's figures from the sums over all workers.

        ``loss`` in bits per sample-size unit, without the alignment cost; ``nll_loss`` in bits per token; ``ppl``;
        ``alignment_loss`` per guided target token, unweighted (nats for ``ce``); ``loss_per_token`` in nats, the
        whole objective over all target tokens; ``link_coverage``, the share from 0 to 1 of target tokens (without
        ``</s>``) that have links; ``links_dropped``, a count.
        """
        log_bits(logging_outputs, "loss", "sample_size")
        log_bits(logging_outputs, "nll_loss", "ntokens")
        metrics.log_derived("ppl", lambda meters: utils.get_perplexity(meters["nll_loss"].avg))
        metrics.log_scalar_sum("links_dropped", total(logging_outputs, "links_dropped"), round=0)
        log_ratios(logging_outputs, "alignment_loss", "loss_per_token", "link_coverage")
        if "total" in logging_outputs[0]:
            log_ratios(logging_outputs, "accuracy")

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        """True: every entry of the log is a sum, and every rank logs the same entries in every batch."""
        return True


def _sentence_avg(cfg: GuidedAlignmentCrossEntropyConfig) -> bool:
    """fairseq's ``--sentence-avg``; its default where the criterion is built outside of fairseq's programs.

    There, the pointer to the node ``optimization`` of the whole configuration stays text or cannot be resolved.
    """
    try:
        return cfg.sentence_avg is True
    except OmegaConfBaseException:
        return False
