"""Options that every task of this package has, for the command line and for YAML."""

from dataclasses import dataclass
from typing import Optional

from fairseq.dataclass import ChoiceEnum, FairseqDataclass
from omegaconf import II

from fairseq_guided_align.links.forms import FORM_NAMES
from fairseq_guided_align.subwords.pieces import SUBWORD_KINDS
from fairseq_guided_align.training.option import option


@dataclass
class GuidedTaskConfig(FairseqDataclass):
    """Options that every task of this package has."""

    alignment_files: Optional[str] = option(
        None,
        f"links between the tokens of the binarised text ({FORM_NAMES}), as SPLIT=FILE entries separated "
        "by commas (train=a.align,train1=b.align,valid=c.align); default: the binary links in the data folder",
    )
    alignment_one_based: bool = option(False, "positions in --alignment-files start at 1 instead of 0")
    alignment_inverted: bool = option(False, "--alignment-files hold target-source pairs instead of source-target")
    allow_missing_alignments: bool = option(
        False, "train although splits or shards have no alignments; they are used without guidance"
    )
    eval_aer: bool = option(
        False,
        "validation reports aer, alignment_precision and alignment_recall (fractions) of the links that "
        "the attention shows against those of the split, counted as by the command aer: pairs without links are "
        "left out. For --best-checkpoint-metric aer",
    )
    alignment_level: ChoiceEnum(["pieces", "words"]) = option(  # type: ignore[valid-type]
        "pieces", "what the links of --print-alignment join: the model's subword pieces, or words"
    )
    alignment_subwords: Optional[ChoiceEnum(list(SUBWORD_KINDS))] = option(  # type: ignore[valid-type]
        None,
        "how pieces make up words, for --alignment-level words (default: as the data folder's "
        "guided_alignment.json says)",
    )
    alignment_threshold: Optional[float] = option(
        None,
        "--print-alignment soft prints weighted links (source-target:probability) of at least this "
        "probability, above 0 and at most 1 (default: fairseq-generate prints rows of probabilities, and "
        "fairseq-interactive links of at least 0.01)",
    )
    attention_images: Optional[str] = option(
        None,
        "numbers of sentence pairs of the first validation set, from 1, such as 1,5,20-22: while the model "
        "trains, TensorBoard (--tensorboard-logdir) gets pictures of the attention of the guided heads in them",
    )
    attention_images_interval: int = option(500, "updates from one picture of --attention-images to the next")
    tensorboard_logdir: Optional[str] = II("common.tensorboard_logdir")
    update_ordered_indices_seed: bool = II("dataset.update_ordered_indices_seed")
