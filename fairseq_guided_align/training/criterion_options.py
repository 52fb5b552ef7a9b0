"""Options of ``--criterion guided_alignment_ce``, for the command line and for YAML."""

from dataclasses import dataclass
from typing import Optional

from fairseq.dataclass import ChoiceEnum, FairseqDataclass
from omegaconf import II

from fairseq_guided_align.attention.guided_heads import POSITIONS, REDUCTIONS, UNLINKED
from fairseq_guided_align.losses.guided_cost import COSTS
from fairseq_guided_align.training.option import option


@dataclass
class GuidedAlignmentCrossEntropyConfig(FairseqDataclass):
    """Options of ``--criterion guided_alignment_ce``."""

    label_smoothing: float = option(
        0.0, "share of the target distribution, from 0 to below 1, spread over the other tokens"
    )
    report_accuracy: bool = option(False, "report accuracy, in per cent of tokens")
    ignore_prefix_size: int = option(0, "target tokens at the start of a sentence that cost nothing, in tokens")
    sentence_avg: bool = II("optimization.sentence_avg")
    vocabulary_softmax: ChoiceEnum(["auto", "chunked", "full"]) = option(  # type: ignore[valid-type]
        "auto",
        "chunked: a chunk of target tokens at a time, with a fraction of the memory and the same result; "
        "full: all at once, as fairseq does; auto: chunked where the model allows it",
    )
    guided_alignment_type: ChoiceEnum(list(COSTS)) = option(  # type: ignore[valid-type]
        "ce", "cost between links and attention: cross-entropy in nats, or mean squared error"
    )
    guided_alignment_weight: float = option(
        1.0, "weight of the guided-alignment cost, 0 or more; 0 trains without guidance"
    )
    guided_alignment_normalization: ChoiceEnum(["tokens", "opennmt-tf"]) = option(  # type: ignore[valid-type]
        "tokens",
        "tokens: summed over target tokens, so that batch size, --update-freq and workers change "
        "nothing; opennmt-tf: that sum divided by the batch's target tokens without </s>, as OpenNMT-tf does",
    )
    guided_alignment_rows: ChoiceEnum(["normalized", "binary"]) = option(  # type: ignore[valid-type]
        "normalized",
        "gold rows: the links of a target token share the weight 1, or each link counts with its own "
        "weight (1 for a plain link)",
    )
    guided_alignment_layers: Optional[str] = option(
        None,
        "guided decoder layers, from 0 or negative from the end, separated by commas, or all (write "
        "--guided-alignment-layers=-2,-1); default: the model's --alignment-layer if it has one, else the last but "
        "one, which leaves the last to the translation",
    )
    guided_alignment_heads: Optional[str] = option(
        None,
        "guided heads of these layers, written like the layers; default: the first --alignment-heads of "
        "a model that has this option, else head 0",
    )
    guided_alignment_reduction: ChoiceEnum(list(REDUCTIONS)) = option(  # type: ignore[valid-type]
        "mean", "guide the average of the chosen heads' probabilities, or each head by itself"
    )
    guided_alignment_position: ChoiceEnum(list(POSITIONS)) = option(  # type: ignore[valid-type]
        "same",
        "decoder row whose attention belongs to a target token: the same row, which predicts it, or "
        "the next one, which has read it (better alignments)",
    )
    guided_alignment_unlinked: ChoiceEnum(list(UNLINKED)) = option(  # type: ignore[valid-type]
        "ignore",
        "target tokens without links, in sentences that have some: ignore, or eos: guided to the "
        "source's </s> and read as unlinked there (better alignments)",
    )
    guided_alignment_decay: ChoiceEnum(["constant", "linear", "inverse-sqrt"]) = option(  # type: ignore[valid-type]
        "constant", "course of the guided-alignment weight after its warm-up"
    )
    guided_alignment_warmup_updates: int = option(0, "updates over which the weight rises linearly from 0")
    guided_alignment_decay_updates: int = option(0, "updates after the warm-up in which a linear decay reaches 0")
    guided_alignment_stop_updates: Optional[int] = option(None, "update from which on the weight is 0 (default: never)")
