"""The task ``translation_guided_alignment``: stock translation, with links that are found, checked and counted."""

import logging
from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional

import numpy as np
import torch
from fairseq import utils
from fairseq.data import ConcatDataset, LanguagePairDataset
from fairseq.dataclass import ChoiceEnum
from fairseq.distributed.utils import get_data_parallel_rank
from fairseq.tasks import register_task
from fairseq.tasks.translation import TranslationConfig, TranslationTask
from omegaconf import II

from fairseq_guided_align.attention import AttentionReader, check_has_attention, cross_attentions
from fairseq_guided_align.coverage import LinkCoverage, measure_coverage
from fairseq_guided_align.dataset import GuidedPairDataset, pair_counts
from fairseq_guided_align.errors import AlignmentRangeError, GuidedAlignError
from fairseq_guided_align.forced_attention import heads_to_read
from fairseq_guided_align.generation import GuidedSequenceGenerator, GuidedSequenceScorer
from fairseq_guided_align.guided_heads import GuidedHeads
from fairseq_guided_align.link_sources import (
    ConcatenatedLinks,
    Links,
    find_links,
    parse_alignment_files,
)
from fairseq_guided_align.links import CorpusLinks
from fairseq_guided_align.printed_alignment import PrintedForm
from fairseq_guided_align.subword_settings import subword_kind
from fairseq_guided_align.subwords import KINDS
from fairseq_guided_align.training_pictures import (
    TrainingPictures,
    parse_sentence_numbers,
    tensorboard_is_there,
)
from fairseq_guided_align.validation_aer import count_batch, log_entries, log_scores

logger = logging.getLogger(__name__)


@dataclass
class TranslationGuidedAlignmentConfig(TranslationConfig):
    """Options of ``--task translation_guided_alignment``."""

    alignment_files: Optional[str] = field(
        default=None,
        metadata={
            "help": "alignment text files between the tokens of the binarised text, as SPLIT=FILE entries separated "
            "by commas (train=a.align,train1=b.align,valid=c.align); default: the binary links in the data folder"
        },
    )
    alignment_one_based: bool = field(
        default=False, metadata={"help": "positions in --alignment-files start at 1 instead of 0"}
    )
    alignment_inverted: bool = field(
        default=False, metadata={"help": "--alignment-files hold target-source pairs instead of source-target"}
    )
    allow_missing_alignments: bool = field(
        default=False,
        metadata={"help": "train although splits or shards have no alignments; they are used without guidance"},
    )
    eval_aer: bool = field(
        default=False,
        metadata={
            "help": "validation reports aer, alignment_precision and alignment_recall (fractions) of the links that "
            "the attention shows against those of the split; pairs without links are left out. For "
            "--best-checkpoint-metric aer"
        },
    )
    attention_images: Optional[str] = field(
        default=None,
        metadata={
            "help": "numbers of sentence pairs of the first validation set, from 1, such as 1,5,9: while the model "
            "trains, TensorBoard (--tensorboard-logdir) gets pictures of the attention of the guided heads in them"
        },
    )
    attention_images_interval: int = field(
        default=500, metadata={"help": "updates from one picture of --attention-images to the next"}
    )
    tensorboard_logdir: Optional[str] = II("common.tensorboard_logdir")
    alignment_level: ChoiceEnum(["pieces", "words"]) = field(  # type: ignore[valid-type]
        default="pieces",
        metadata={"help": "what the links of --print-alignment join: the model's subword pieces, or words"},
    )
    alignment_subwords: Optional[ChoiceEnum(list(KINDS))] = field(  # type: ignore[valid-type]
        default=None,
        metadata={
            "help": "how pieces make up words, for --alignment-level words (default: as the data folder's "
            "guided_alignment.json says)"
        },
    )
    alignment_threshold: Optional[float] = field(
        default=None,
        metadata={
            "help": "--print-alignment soft prints weighted links (source-target:probability) of at least this "
            "probability, above 0 and at most 1 (default: fairseq-generate prints rows of probabilities, and "
            "fairseq-interactive links of at least 0.01)"
        },
    )


@register_task("translation_guided_alignment", dataclass=TranslationGuidedAlignmentConfig)
class TranslationGuidedAlignmentTask(TranslationTask):
    """Translation with guided alignment.

    Batches carry links (see ``batching``), the choice of guided heads is checked when training starts, and decoding
    reads the heads that were guided.
    """

    def __init__(self, cfg: TranslationGuidedAlignmentConfig, src_dict: Any, tgt_dict: Any) -> None:
        if cfg.num_batch_buckets > 0 and not hasattr(np, "compat"):
            raise GuidedAlignError(
                f"--num-batch-buckets: fairseq's bucketing needs numpy.compat, which numpy {np.__version__} no longer "
                "has; install numpy below 2, or leave the option out"
            )
        if cfg.upsample_primary < 1:
            # fairseq's default, -1, is meant as 1 but repeats the first of several shards -1 times
            cfg.upsample_primary = 1
        # the parent would read fairseq's own alignments a second time
        cfg.load_alignments = False
        super().__init__(cfg, src_dict, tgt_dict)
        self.link_coverage: Dict[str, LinkCoverage] = {}
        self._files = parse_alignment_files(cfg.alignment_files)
        self._model: Any = None
        # decoding needs no links; training and validation do, and only they build a criterion
        self._guides = False
        self._validates = False
        self._interactive = False
        self._pictures: Optional[TrainingPictures] = None
        self._picture_asked_for: Optional[int] = None
        self.state.add_factory("finished_updates", int)

    @property
    def finished_updates(self) -> int:
        """Updates that were done when the latest training step began.

        Kept in the checkpoint, so that validating it weighs the costs as training's own validation did.
        """
        return self.state.finished_updates

    # Building the model and the criterion

    def build_model(self, cfg: Any, from_checkpoint: bool = False) -> Any:
        """The model, which remembers the heads that its checkpoint says were guided."""
        guided = GuidedHeads.stored(cfg)
        model = super().build_model(cfg, from_checkpoint)
        model.guided_heads = guided
        self._model = model
        return model

    def build_criterion(self, cfg: Any, *args: Any, **kwargs: Any) -> Any:
        """The criterion, with its choice of layers and heads checked against the model before training starts."""
        criterion = super().build_criterion(cfg, *args, **kwargs)
        self._guides = getattr(criterion, "guides", False)
        if self._model is not None and hasattr(criterion, "prepare"):
            criterion.prepare(self._model)
        if self.cfg.eval_aer and not self._guides and not cross_attentions(self._model):
            raise GuidedAlignError(
                f"--eval-aer reads the cross-attention of a Transformer decoder, which {type(self._model).__name__} "
                "does not have; leave it out"
            )
        if self.cfg.attention_images:
            self._check_pictures()
        self._validates = True
        return criterion

    def _check_pictures(self) -> None:
        parse_sentence_numbers(self.cfg.attention_images)
        if self.cfg.attention_images_interval < 1:
            raise GuidedAlignError(
                f"--attention-images-interval: expected at least 1; got {self.cfg.attention_images_interval}"
            )
        if not self._guides and not cross_attentions(self._model):
            raise GuidedAlignError(
                f"--attention-images reads the cross-attention of a Transformer decoder, which "
                f"{type(self._model).__name__} does not have; leave it out"
            )

    def train_step(
        self, sample: Any, model: Any, criterion: Any, optimizer: Any, update_num: int, ignore_grad: bool = False
    ) -> Any:
        """Forward and backward pass of a batch."""
        self.state.merge_state_dict({"finished_updates": update_num})
        if self.cfg.attention_images and update_num != self._picture_asked_for:
            self._draw_attention(model, criterion, update_num)
            self._picture_asked_for = update_num
        return super().train_step(sample, model, criterion, optimizer, update_num, ignore_grad)

    def _draw_attention(self, model: Any, criterion: Any, update_num: int) -> None:
        if self._picture_asked_for is None:
            self._prepare_pictures(model)
        if self._pictures is not None and update_num % self.cfg.attention_images_interval == 0:
            guided = criterion.guided_heads if self._guides else heads_to_read(model)
            self._pictures.draw(self._model, guided, update_num)

    def _prepare_pictures(self, model: Any) -> None:
        """Refusals are every worker's, pictures the first one's."""
        if not self.cfg.tensorboard_logdir:
            raise GuidedAlignError("--attention-images needs --tensorboard-logdir, where the pictures go")
        if type(model).__name__ == "FullyShardedDataParallel":
            raise GuidedAlignError(
                "--attention-images: with --ddp-backend fully_sharded no worker has the whole model to draw from; "
                "draw checkpoints with fairseq-guided-align plot"
            )
        split = next((name for name in self.datasets if name != self.cfg.train_subset), None)
        if split is None:
            raise GuidedAlignError("--attention-images needs a validation set; got --disable-validation")
        alone = not (torch.distributed.is_available() and torch.distributed.is_initialized())
        if (alone or get_data_parallel_rank() == 0) and tensorboard_is_there():
            self._pictures = TrainingPictures(
                self.cfg.tensorboard_logdir,
                split,
                self.datasets[split],
                parse_sentence_numbers(self.cfg.attention_images),
                (self.source_dictionary, self.target_dictionary),
            )

    def valid_step(self, sample: Any, model: Any, criterion: Any) -> Any:
        """Losses of a batch, and with ``--eval-aer`` the counts of its links, off the same forward pass."""
        if not self.cfg.eval_aer:
            return super().valid_step(sample, model, criterion)
        padding, counts = self.target_dictionary.pad(), []

        def observe(attentions: List[Any], guided: GuidedHeads, seen: Any) -> None:
            counts.append(count_batch(attentions, seen, guided, padding))

        def watched(model: Any, sample: Any) -> Any:
            if getattr(criterion, "guides", False):
                criterion.attention_observer = observe
                try:
                    return criterion(model, sample)
                finally:
                    criterion.attention_observer = None
            guided = heads_to_read(model)
            with AttentionReader(model, guided) as reader:
                outcome = criterion(model, sample)
            observe([reader.attention()], guided, sample)
            return outcome

        loss, sample_size, log = super().valid_step(sample, model, watched)
        log.update(log_entries(counts[0]))
        return loss, sample_size, log

    def reduce_metrics(self, logging_outputs: List[Dict[str, Any]], criterion: Any) -> None:
        """Log the figures of the batches of all workers."""
        super().reduce_metrics(logging_outputs, criterion)
        log_scores(logging_outputs)

    def build_generator(self, models: List[Any], args: Any, *others: Any, **kwargs: Any) -> Any:
        """The generator; where alignments are asked for, one that reads the guided heads."""
        # --replace-unk copies the source word that a token is aligned to
        form = getattr(args, "print_alignment", None)
        if form is None and getattr(args, "replace_unk", None) is not None:
            form = "hard"
        if not form:
            return super().build_generator(models, args, *others, **kwargs)
        for model in models:
            check_has_attention(model)
        printed = PrintedForm(
            form,
            # hard alignments that only --replace-unk wants have nothing to cut
            self.cfg.alignment_threshold if getattr(args, "print_alignment", None) else None,
            self._word_kind(),
            in_rows=lambda: not self._interactive,
        )
        if getattr(args, "score_reference", False):
            return GuidedSequenceScorer(self.target_dictionary, self.source_dictionary, printed)
        kwargs["seq_gen_cls"] = GuidedSequenceGenerator
        kwargs["extra_gen_cls_kwargs"] = {
            **(kwargs.get("extra_gen_cls_kwargs") or {}),
            "source_dictionary": self.source_dictionary,
            "printed_form": printed,
            "left_pad_target": self.cfg.left_pad_target,
        }
        return super().build_generator(models, args, *others, **kwargs)

    def _word_kind(self) -> Optional[str]:
        if str(self.cfg.alignment_level) == "pieces":
            return None
        return subword_kind(self.cfg.data, self.cfg.alignment_subwords, "--alignment-subwords")

    def build_dataset_for_inference(self, *args: Any, **kwargs: Any) -> Any:
        """Text that is typed or piped in, for ``fairseq-interactive``."""
        self._interactive = True
        return super().build_dataset_for_inference(*args, **kwargs)

    # Loading links

    def load_dataset(self, split: str, epoch: int = 1, combine: bool = False, **kwargs: Any) -> None:
        """Load a split and its links, and log how much of it they cover.

        :raises GuidedAlignError: no links, another number of lines, or links of the wrong direction.
        """
        super().load_dataset(split, epoch=epoch, combine=combine, **kwargs)
        pairs = self.datasets[split]
        if pairs.tgt is None:
            return
        shards = pairs.src
        while not isinstance(shards, ConcatDataset) and hasattr(shards, "dataset"):
            shards = shards.dataset
        if isinstance(shards, ConcatDataset):
            sizes, repeats = [len(part) for part in shards.datasets], list(shards.sample_ratios)
        else:
            sizes, repeats = [len(shards)], [1]
        found = [
            self._find_links(split, split + (str(k) if k else ""), epoch, size) for k, size in enumerate(sizes)
        ]
        if all(links is None for links in found):
            if self.cfg.eval_aer and self._validates and split != self.cfg.train_subset:
                raise GuidedAlignError(f"--eval-aer: {split!r} has no alignments; add them, or leave the option out")
            return
        parts = [links if links is not None else _no_links(size) for links, size in zip(found, sizes)]
        self.link_coverage[split] = self._coverage(split, pairs, parts, repeats)
        self.datasets[split] = GuidedPairDataset(pairs, ConcatenatedLinks(parts, repeats))

    def _data_dir(self, split: str, epoch: int) -> str:
        paths = utils.split_paths(self.cfg.data)
        return paths[(epoch - 1) % len(paths)] if split == self.cfg.train_subset else paths[0]

    def _find_links(self, split: str, shard: str, epoch: int, sentences: int) -> Optional[Links]:
        data_dir = self._data_dir(split, epoch)
        source, target = self.cfg.source_lang, self.cfg.target_lang
        links = find_links(
            data_dir,
            shard,
            source,
            target,
            sentences,
            self._files.get(shard),
            self.cfg.alignment_one_based,
            self.cfg.alignment_inverted,
            self.cfg.dataset_impl,
        )
        if links is None and not self.cfg.allow_missing_alignments and self._guides:
            raise GuidedAlignError(
                f"no alignments for {shard!r} in {data_dir}: expected {shard}.links.{source}-{target} (written by "
                f"fairseq-guided-align preprocess or binarize), {shard}.align.{source}-{target}.idx (written by "
                f"fairseq-preprocess --align-suffix), or --alignment-files {shard}=FILE; "
                "--allow-missing-alignments goes on without them"
            )
        return links

    def _coverage(
        self, split: str, pairs: LanguagePairDataset, parts: List[Links], repeats: List[int]
    ) -> LinkCoverage:
        source, target = pair_counts(pairs)
        total, start = LinkCoverage(), 0
        for part, times in zip(parts, repeats):
            span = slice(start, start + len(part))
            lengths = source.written[span], source.kept[span], target.written[span]
            coverage = measure_coverage(part, *lengths)
            if coverage.outside > 0.01 * coverage.links:
                _refuse_other_direction(split, part, coverage, *lengths)
            total += coverage
            start += len(part) * times
        logger.info(f"links of {split}: {total}")
        if not total.links and not self.cfg.allow_missing_alignments and self._guides:
            raise GuidedAlignError(
                f"the alignments of {split!r} hold no usable link, so nothing would be guided; look at them with "
                "fairseq-guided-align check; --allow-missing-alignments goes on without them"
            )
        return total


def _no_links(sentences: int) -> CorpusLinks:
    return CorpusLinks(np.zeros(sentences + 1, np.int64), np.empty(0, np.int32), np.empty(0, np.int32))


def _refuse_other_direction(
    split: str,
    links: Links,
    coverage: LinkCoverage,
    source_lengths: np.ndarray,
    source_kept: np.ndarray,
    target_lengths: np.ndarray,
) -> None:
    inverted = measure_coverage(
        CorpusLinks(links.offsets, links.target, links.source), source_lengths, source_kept, target_lengths
    )
    if inverted.outside * 10 < coverage.outside:
        raise AlignmentRangeError(
            f"the links of {split!r} are of the other direction: {coverage.outside:,} of them point outside their "
            f"sentences, and {inverted.outside:,} would if each source-target pair were a target-source pair; "
            "binarise them with --inverted, or give --alignment-inverted with --alignment-files"
        )
