"""Options of ``--criterion guided_alignment_ce``, for the command line and for YAML."""

from dataclasses import dataclass, field
from typing import Optional

from fairseq.dataclass import ChoiceEnum, FairseqDataclass
from omegaconf import II

from fairseq_guided_align.attention.guided_heads import POSITIONS, REDUCTIONS, UNLINKED
from fairseq_guided_align.losses.guided_cost import COSTS


@dataclass
class GuidedAlignmentCrossEntropyConfig(FairseqDataclass):
    """Options of ``--criterion guided_alignment_ce``."""

    label_smoothing: float = field(
        default=0.0,
        metadata={"help": "share of the target distribution, from 0 to below 1, spread over the other tokens"},
    )
    report_accuracy: bool = field(default=False, metadata={"help": "report accuracy, in per cent of tokens"})
    ignore_prefix_size: int = field(
        default=0, metadata={"help": "target tokens at the start of a sentence that cost nothing, in tokens"}
    )
    sentence_avg: bool = II("optimization.sentence_avg")
    vocabulary_softmax: ChoiceEnum(["auto", "chunked", "full"]) = field(  # type: ignore[valid-type]
        default="auto",
        metadata={
            "help": "chunked: a chunk of target tokens at a time, with a fraction of the memory and the same result; "
            "full: all at once, as fairseq does; auto: chunked where the model allows it"
        },
    )
    guided_alignment_type: ChoiceEnum(list(COSTS)) = field(  # type: ignore[valid-type]
        default="ce",
        metadata={"help": "cost between links and attention: cross-entropy in nats, or mean squared error"},
    )
    guided_alignment_weight: float = field(
        default=1.0, metadata={"help": "weight of the guided-alignment cost, 0 or more; 0 trains without guidance"}
    )
    guided_alignment_normalization: ChoiceEnum(["tokens", "opennmt-tf"]) = field(  # type: ignore[valid-type]
        default="tokens",
        metadata={
            "help": "tokens: summed over target tokens, so that batch size, --update-freq and workers change "
            "nothing; opennmt-tf: that sum divided by the batch's target tokens without </s>, as OpenNMT-tf does"
        },
    )
    guided_alignment_rows: ChoiceEnum(["normalized", "binary"]) = field(  # type: ignore[valid-type]
        default="normalized",
        metadata={
            "help": "gold rows: the links of a target token share the weight 1, or each link counts with its own "
            "weight (1 for a plain link)"
        },
    )
    guided_alignment_layers: Optional[str] = field(
        default=None,
        metadata={
            "help": "guided decoder layers, from 0 or negative from the end, separated by commas, or all (write "
            "--guided-alignment-layers=-2,-1); default: the model's --alignment-layer if it has one, else the last"
        },
    )
    guided_alignment_heads: Optional[str] = field(
        default=None,
        metadata={
            "help": "guided heads of these layers, written like the layers; default: the first --alignment-heads of "
            "a model that has this option, else head 0"
        },
    )
    guided_alignment_reduction: ChoiceEnum(list(REDUCTIONS)) = field(  # type: ignore[valid-type]
        default="mean",
        metadata={"help": "guide the average of the chosen heads' probabilities, or each head by itself"},
    )
    guided_alignment_position: ChoiceEnum(list(POSITIONS)) = field(  # type: ignore[valid-type]
        default="same",
        metadata={
            "help": "decoder row whose attention belongs to a target token: the same row, which predicts it, or "
            "the next one, which has read it (better alignments)"
        },
    )
    guided_alignment_unlinked: ChoiceEnum(list(UNLINKED)) = field(  # type: ignore[valid-type]
        default="ignore",
        metadata={
            "help": "target tokens without links, in sentences that have some: ignore, or eos: guided to the "
            "source's </s> and read as unlinked there (better alignments)"
        },
    )
    guided_alignment_decay: ChoiceEnum(["constant", "linear", "inverse-sqrt"]) = field(  # type: ignore[valid-type]
        default="constant", metadata={"help": "course of the guided-alignment weight after its warm-up"}
    )
    guided_alignment_warmup_updates: int = field(
        default=0, metadata={"help": "updates over which the weight rises linearly from 0"}
    )
    guided_alignment_decay_updates: int = field(
        default=0, metadata={"help": "updates after the warm-up in which a linear decay reaches 0"}
    )
    guided_alignment_stop_updates: Optional[int] = field(
        default=None, metadata={"help": "update from which on the weight is 0 (default: never)"}
    )
