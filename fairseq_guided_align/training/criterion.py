"""The criterion ``guided_alignment_ce``: its options checked against model and task, its sums and its log."""

import math
from contextlib import ExitStack, nullcontext
from typing import Any, Callable, Dict, List, Optional, Tuple

import torch
from fairseq import utils
from fairseq.criterions import FairseqCriterion, register_criterion
from fairseq.logging import metrics
from fairseq.tasks.translation_multi_simple_epoch import TranslationMultiSimpleEpochTask
from omegaconf import OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException
from torch import Tensor

from fairseq_guided_align.attention.guided_heads import GuidedHeads, parse_indices
from fairseq_guided_align.attention.reader import AttentionReader, find_decoder, returned_attention
from fairseq_guided_align.checkpoints.fingerprints import store_prints
from fairseq_guided_align.errors import AlignmentLengthError, GuidedAlignError
from fairseq_guided_align.losses.batching import batch_links
from fairseq_guided_align.losses.guided_cost import GuidedCost, TokenCosts
from fairseq_guided_align.losses.schedule import WeightSchedule
from fairseq_guided_align.losses.vocabulary_softmax import VocabularySoftmax
from fairseq_guided_align.training.criterion_options import GuidedAlignmentCrossEntropyConfig
from fairseq_guided_align.training.head_choice import HEADS_OPTION, LAYERS_OPTION, choose_heads
from fairseq_guided_align.training.log_values import ratio


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
        self.opennmt_tf = str(cfg.guided_alignment_normalization) == "opennmt-tf"
        self.cost = GuidedCost(
            squared_error=str(cfg.guided_alignment_type) == "mse",
            normalized=str(cfg.guided_alignment_rows) == "normalized",
            opennmt_tf=self.opennmt_tf,
            next_row=str(cfg.guided_alignment_position) == "next",
            unlinked_to_eos=str(cfg.guided_alignment_unlinked) == "eos",
            ignore_prefix_size=cfg.ignore_prefix_size,
        )
        self._check_options()
        self.softmax = VocabularySoftmax(
            str(cfg.vocabulary_softmax), cfg.label_smoothing, self.padding_idx, cfg.report_accuracy
        )
        self._prepared = False
        # what is guided, once prepare has chosen it
        self.guided_heads: Optional[GuidedHeads] = None
        # told what was read, so that nobody has to run the model a second time
        self.attention_observer: Optional[Callable[[List[Tensor], GuidedHeads, Dict[str, Any]], None]] = None

    @classmethod
    def build_criterion(cls, cfg: GuidedAlignmentCrossEntropyConfig, task: Any) -> "GuidedAlignmentCrossEntropy":
        """The criterion for ``cfg``; called by fairseq."""
        return cls(cfg, task)

    @property
    def guides(self) -> bool:
        """Whether the attention is guided at any time of the training."""
        return self.schedule.weight > 0

    def _check_options(self) -> None:
        cfg = self.cfg
        if not 0 <= cfg.label_smoothing < 1:
            raise GuidedAlignError(f"--label-smoothing: expected 0 or more and below 1; got {cfg.label_smoothing}")
        if cfg.ignore_prefix_size < 0:
            raise GuidedAlignError(f"--ignore-prefix-size: expected 0 or more tokens; got {cfg.ignore_prefix_size}")
        if self.opennmt_tf and self.sentence_avg:
            raise GuidedAlignError(
                "--guided-alignment-normalization opennmt-tf divides by target tokens, which --sentence-avg "
                "contradicts; leave one of them out"
            )
        parse_indices(cfg.guided_alignment_layers, LAYERS_OPTION)
        parse_indices(cfg.guided_alignment_heads, HEADS_OPTION)
        if not self.guides:
            return
        if isinstance(self.task, TranslationMultiSimpleEpochTask):
            raise GuidedAlignError(
                "--task translation_multi_simple_epoch leaves links where they are when it puts language tokens before "
                "sentences, and decodes without the guided heads; use --task "
                "multilingual_translation_guided_alignment --arch multilingual_transformer (--share-encoders "
                "--share-decoders --encoder-langtok tgt for one model of all pairs), or --guided-alignment-weight 0"
            )
        task_cfg = getattr(self.task, "cfg", None) or getattr(self.task, "args", None)
        # a task from elsewhere may bring its links in its own way
        unknown = not type(self.task).__module__.startswith("fairseq.")
        loads = getattr(task_cfg, "load_alignments", unknown) or hasattr(self.task, "link_coverage")
        # outside of fairseq's programs, batches with links may come from anywhere
        if not loads and self._program_configuration() is not None:
            raise GuidedAlignError(
                f"the task {type(self.task).__name__} loads no alignments, so nothing would be guided; use --task "
                "translation_guided_alignment or multilingual_translation_guided_alignment, or a task that has "
                "--load-alignments with that option, or --guided-alignment-weight 0"
            )
        if self.schedule.varies and not hasattr(self.task, "finished_updates"):
            raise GuidedAlignError(
                "a guided-alignment weight that changes with the updates needs --task translation_guided_alignment; "
                f"the task {type(self.task).__name__} does not tell the criterion the number of updates"
            )

    def prepare(self, model: torch.nn.Module) -> None:
        """Check the choice of layers and heads against the model and write it into the model's configuration.

        Called before training by our task, and by the first batch otherwise; more calls do nothing.
        """
        trains = self._program_configuration() is not None
        if trains and getattr(find_decoder(model), "adaptive_softmax", None) is not None:
            raise GuidedAlignError(
                "--adaptive-softmax-cutoff goes with fairseq's criterion adaptive_loss only, because fairseq cannot "
                "train through the probabilities of its adaptive softmax; leave it out: --vocabulary-softmax chunked "
                "saves its memory, too"
            )
        model_cfg = self._model_configuration()
        if model_cfg is not None and not self._prepared:
            with open_dict(model_cfg) if OmegaConf.is_config(model_cfg) else nullcontext():
                store_prints(self.task, model_cfg)
        self._prepared = True
        if self.guided_heads is not None or not self.guides:
            return
        self.guided_heads = choose_heads(self.cfg, model, model_cfg)
        if model_cfg is not None:
            with open_dict(model_cfg) if OmegaConf.is_config(model_cfg) else nullcontext():
                self.guided_heads.store(model_cfg)

    def _program_configuration(self) -> Any:
        """The whole configuration, which the trainer saves; None where the criterion was built on its own."""
        return self.cfg._get_parent() if OmegaConf.is_config(self.cfg) else None

    def _model_configuration(self) -> Any:
        """The model's node of the whole configuration, or None."""
        program = self._program_configuration()
        return program.get("model", None) if program is not None else None

    def forward(
        self, model: torch.nn.Module, sample: Dict[str, Any], reduce: bool = True
    ) -> Tuple[Tensor, int, Dict[str, Any]]:
        """Loss of a batch.

        :return: (loss, sample size, log). The loss is the smoothed cross-entropy plus the weighted guided-alignment
            cost, in nats: summed, or one value a target token (batch * target,) if ``reduce`` is false.
        """
        reading = None
        if self.guides:
            self.prepare(model)
            self._check_supply(model, sample)
            if self.guided_heads is not None and self.guided_heads.layers:
                reading = AttentionReader(model, self.guided_heads)
        target = self._scored_target(sample)
        to_loss = self.softmax.in_forward_pass(model, target, reduce)
        with ExitStack() as stack:
            for context in (reading, to_loss):
                if context is not None:
                    stack.enter_context(context)
            net_output = model(**sample["net_input"])
        sequence = to_loss.loss if to_loss is not None else self.softmax.of_logits(model, net_output, target)
        if sequence is None:
            raise GuidedAlignError(
                "the model did not use its output projection in this forward pass; use --vocabulary-softmax full"
            )
        costs = self._guided_costs(model, net_output, reading, sample) if self.guides else None

        ntokens, nsentences = sample["ntokens"], sample["target"].size(0)
        sample_size = nsentences if self.sentence_avg else ntokens
        # the total may hold gradients that the tokens' values lack
        loss = sequence.total if reduce else sequence.smoothed
        # an epoch's sum in float32 would lose the decimals that are printed
        zero = loss.new_zeros((), dtype=torch.float64)
        log = {
            "loss": sequence.smoothed.detach().sum(dtype=torch.float64),
            "nll_loss": sequence.negative_log_likelihood.detach().sum(dtype=torch.float64),
            "ntokens": ntokens,
            "nsentences": nsentences,
            "sample_size": sample_size,
            "alignment_loss": zero,
            "weighted_alignment_loss": zero,
            "guided_tokens": zero,
            "linked_tokens": zero,
            "alignable_tokens": zero,
            "links_dropped": sample.get("link_counts", {}).get("dropped", 0),
        }
        if costs is not None:
            weight = self.schedule(getattr(self.task, "finished_updates", 0))
            if self.opennmt_tf:
                weight /= max(ntokens - nsentences, 1)
            loss = loss + weight * (costs.cost.sum() if reduce else costs.cost.view(-1))
            log["alignment_loss"] = costs.cost.detach().sum(dtype=torch.float64)
            log["weighted_alignment_loss"] = weight * log["alignment_loss"]
            log["guided_tokens"] = costs.guided.sum()
            log["linked_tokens"] = costs.linked.sum()
            log["alignable_tokens"] = costs.alignable.sum()
        if self.cfg.report_accuracy:
            log["n_correct"], log["total"] = sequence.correct, target.ne(self.padding_idx).sum()
        return loss, sample_size, log

    def _scored_target(self, sample: Dict[str, Any]) -> Tensor:
        """The batch's labels, (batch, target), with padding for those that cost nothing."""
        target = sample["target"]
        if self.cfg.ignore_prefix_size > 0:
            target = target.clone()
            target[:, : self.cfg.ignore_prefix_size] = self.padding_idx
        return target

    def _guided_costs(
        self, model: torch.nn.Module, net_output: Any, reading: Optional[AttentionReader], sample: Dict[str, Any]
    ) -> TokenCosts:
        attentions = reading.attentions() if reading is not None else [returned_attention(net_output)]
        if reading and model.training and torch.is_grad_enabled() and not attentions[0].requires_grad:
            raise GuidedAlignError(
                "no gradient flows through the guided attention (a frozen decoder, or activation checkpointing); "
                "train the decoder, or use --guided-alignment-weight 0"
            )
        columns = attentions[0].size(-1)
        source = sample["net_input"].get("src_tokens")
        source_is_real = source.ne(self.padding_idx) if source is not None and source.dim() == 2 else None
        if attentions[0].shape[:2] != sample["target"].shape or (
            source_is_real is not None and source_is_real.size(1) != columns
        ):
            raise AlignmentLengthError(
                f"the attention is {tuple(attentions[0].shape)} for (batch, target, source), but the batch has "
                f"targets {tuple(sample['target'].shape)} and sources "
                f"{None if source is None else tuple(source.shape)}"
            )
        if self.attention_observer is not None and self.guided_heads is not None:
            self.attention_observer(attentions, self.guided_heads, sample)
        links = batch_links(sample, columns)
        target_is_real = sample["target"].ne(self.padding_idx)
        costs = [self.cost(attention, links, target_is_real, source_is_real) for attention in attentions]
        if len(costs) == 1:
            return costs[0]
        mean = torch.stack([one.cost for one in costs]).mean(dim=0)
        return TokenCosts(mean, costs[0].guided, costs[0].linked, costs[0].alignable)

    def _check_supply(self, model: torch.nn.Module, sample: Dict[str, Any]) -> None:
        """Refuse to train with stock fairseq's task when it found no alignment files, which it does not say."""
        if not model.training or "alignments" in sample:
            return
        datasets = getattr(self.task, "datasets", {})
        subset = getattr(getattr(self.task, "cfg", None), "train_subset", "train")
        if subset in datasets and getattr(datasets[subset], "align_dataset", self) is None:
            raise GuidedAlignError(
                f"the data folder has no binarised alignments for {subset!r} in this direction, so nothing would be "
                "guided; make them with fairseq-preprocess --align-suffix (the direction of training counts), or "
                "use --task translation_guided_alignment"
            )

    @classmethod
    def reduce_metrics(cls, logging_outputs: List[Dict[str, Any]]) -> None:
        """Log the batch's figures from the sums over all workers.

        ``loss`` in bits per sample-size unit, without the alignment cost; ``nll_loss`` in bits per token; ``ppl``;
        ``alignment_loss`` per guided target token, unweighted (nats for ``ce``); ``loss_per_token`` in nats, the
        whole objective over all target tokens; ``link_coverage``, the share from 0 to 1 of target tokens (without
        ``</s>``) that have links; ``links_dropped``, a count.
        """

        def total(key: str) -> Any:
            return sum(log.get(key, 0) for log in logging_outputs)

        tokens, sample_size = total("ntokens"), total("sample_size")
        metrics.log_scalar("loss", total("loss") / sample_size / math.log(2), sample_size, round=3)
        metrics.log_scalar("nll_loss", total("nll_loss") / tokens / math.log(2), tokens, round=3)
        metrics.log_derived("ppl", lambda meters: utils.get_perplexity(meters["nll_loss"].avg))
        for key in (
            "alignment_loss",
            "guided_tokens",
            "linked_tokens",
            "alignable_tokens",
        ):
            metrics.log_scalar_sum(f"_{key}", total(key))
        metrics.log_scalar_sum("_objective", total("loss") + total("weighted_alignment_loss"))
        metrics.log_scalar_sum("_tokens", tokens)
        metrics.log_scalar_sum("links_dropped", total("links_dropped"), round=0)
        metrics.log_derived("alignment_loss", ratio("_alignment_loss", "_guided_tokens"))
        metrics.log_derived("loss_per_token", ratio("_objective", "_tokens"))
        metrics.log_derived("link_coverage", ratio("_linked_tokens", "_alignable_tokens"))
        if "total" in logging_outputs[0]:
            metrics.log_scalar_sum("_correct", total("n_correct"))
            metrics.log_scalar_sum("_counted", total("total"))
            metrics.log_derived("accuracy", ratio("_correct", "_counted", 100.0))

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        """True: every entry of the log is a sum, and every rank logs the same entries in every batch."""
        return True


def _sentence_avg(cfg: GuidedAlignmentCrossEntropyConfig) -> bool:
    """fairseq's ``--sentence-avg``; its default where the criterion is built outside of fairseq's programs.

    There, what points to the node ``optimization`` of the whole configuration stays a piece of text or cannot be
    resolved.
    """
    try:
        return cfg.sentence_avg is True
    except OmegaConfBaseException:
        return False
