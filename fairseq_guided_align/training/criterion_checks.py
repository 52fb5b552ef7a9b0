"""What the criterion refuses: options, tasks and batches with which nothing, or something else, would be guided."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from fairseq.tasks.translation_multi_simple_epoch import TranslationMultiSimpleEpochTask
from torch import Tensor

from fairseq_guided_align.attention.guided_heads import parse_indices
from fairseq_guided_align.attention.reader import find_decoder
from fairseq_guided_align.errors import AlignmentLengthError, GuidedAlignError
from fairseq_guided_align.training.criterion_options import GuidedAlignmentCrossEntropyConfig
from fairseq_guided_align.training.head_choice import HEADS_OPTION, LAYERS_OPTION


def check_numbers(cfg: GuidedAlignmentCrossEntropyConfig, sentence_avg: bool) -> None:
    """:raises GuidedAlignError: options out of range, or ones that contradict each other."""
    if not 0 <= cfg.label_smoothing < 1:
        raise GuidedAlignError(f"--label-smoothing: expected 0 or more and below 1; got {cfg.label_smoothing}")
    if cfg.ignore_prefix_size < 0:
        raise GuidedAlignError(f"--ignore-prefix-size: expected 0 or more tokens; got {cfg.ignore_prefix_size}")
    if str(cfg.guided_alignment_normalization) == "opennmt-tf" and sentence_avg:
        raise GuidedAlignError(
            "--guided-alignment-normalization opennmt-tf divides by target tokens, which --sentence-avg "
            "contradicts; leave one of them out"
        )
    parse_indices(cfg.guided_alignment_layers, LAYERS_OPTION)
    parse_indices(cfg.guided_alignment_heads, HEADS_OPTION)


def check_task(task: Any, weight_varies: bool, in_program: bool) -> None:
    """:raises GuidedAlignError: the task has no links, moves words without them, or does not count the updates.

    :param in_program: one of fairseq's programs runs. Elsewhere, batches with links may come from anywhere.
    """
    if isinstance(task, TranslationMultiSimpleEpochTask):
        raise GuidedAlignError(
            "--task translation_multi_simple_epoch leaves links where they are when it puts language tokens before "
            "sentences, and decodes without the guided heads; use --task "
            "multilingual_translation_guided_alignment --arch multilingual_transformer (--share-encoders "
            "--share-decoders --encoder-langtok tgt for one model of all pairs), or --guided-alignment-weight 0"
        )
    cfg = getattr(task, "cfg", None) or getattr(task, "args", None)
    # A task from elsewhere may bring its links in its own way.
    unknown = not type(task).__module__.startswith("fairseq.")
    loads = getattr(cfg, "load_alignments", unknown) or hasattr(task, "link_coverage")
    if not loads and in_program:
        raise GuidedAlignError(
            f"the task {type(task).__name__} loads no alignments, so nothing would be guided; use --task "
            "translation_guided_alignment or multilingual_translation_guided_alignment, or a task that has "
            "--load-alignments with that option, or --guided-alignment-weight 0"
        )
    if weight_varies and not hasattr(task, "finished_updates"):
        raise GuidedAlignError(
            "a guided-alignment weight that changes with the updates needs --task translation_guided_alignment; "
            f"the task {type(task).__name__} does not tell the criterion the number of updates"
        )


def check_softmax(model: torch.nn.Module) -> None:
    """:raises GuidedAlignError: an adaptive softmax, which fairseq's ``adaptive_loss`` alone can train."""
    if getattr(find_decoder(model), "adaptive_softmax", None) is not None:
        raise GuidedAlignError(
            "--adaptive-softmax-cutoff goes with fairseq's criterion adaptive_loss only, because fairseq cannot "
            "train through the probabilities of its adaptive softmax; leave it out: --vocabulary-softmax chunked "
            "saves its memory, too"
        )


def check_links_are_there(task: Any, model: torch.nn.Module, sample: Any) -> None:
    """:raises GuidedAlignError: stock fairseq's task found no alignment files, which it does not say."""
    if not model.training or "alignments" in sample:
        return
    datasets = getattr(task, "datasets", {})
    subset = getattr(getattr(task, "cfg", None), "train_subset", "train")
    if subset in datasets and getattr(datasets[subset], "align_dataset", task) is None:
        raise GuidedAlignError(
            f"the data folder has no binarised alignments for {subset!r} in this direction, so nothing would be "
            "guided; make them with fairseq-preprocess --align-suffix (the direction of training counts), or "
            "use --task translation_guided_alignment"
        )


def check_gradient(attentions: Sequence[Tensor], model: torch.nn.Module) -> None:
    """:raises GuidedAlignError: training could not change the attention."""
    if model.training and torch.is_grad_enabled() and not attentions[0].requires_grad:
        raise GuidedAlignError(
            "no gradient flows through the guided attention (a frozen decoder, or activation checkpointing that is "
            "not fairseq's); train the decoder, or use --guided-alignment-weight 0"
        )


def check_shape(attention: Tensor, target: Tensor, source: Tensor | None) -> None:
    """:raises AlignmentLengthError: the attention, (batch, target, source), is not of this batch.

    :param target: (batch, target) tokens.
    :param source: (batch, source) tokens; None or of other dimensions: not text, so not compared.
    """
    is_text = source is not None and source.dim() == 2
    if attention.shape[:2] != target.shape or (is_text and source.size(1) != attention.size(2)):  # type: ignore[union-attr]
        raise AlignmentLengthError(
            f"the attention is {tuple(attention.shape)} for (batch, target, source), but the batch has "
            f"targets {tuple(target.shape)} and sources {None if source is None else tuple(source.shape)}"
        )
