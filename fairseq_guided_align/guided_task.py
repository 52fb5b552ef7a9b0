"""What the tasks of this package do besides translating: options, guided heads, AER in validation, printed links."""

import logging
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, List, Mapping, Optional

import torch
from fairseq import utils
from fairseq.data import RoundRobinZipDatasets
from fairseq.dataclass import ChoiceEnum, FairseqDataclass
from fairseq.distributed.utils import get_data_parallel_rank
from fairseq.search import DiverseBeamSearch
from omegaconf import II
from torch import Tensor

from fairseq_guided_align.attention import AttentionReader, check_has_attention, cross_attentions
from fairseq_guided_align.coverage import LinkCoverage
from fairseq_guided_align.dictionary_prints import check_prints, prints_of
from fairseq_guided_align.errors import DictionaryMismatchError, GuidedAlignError
from fairseq_guided_align.forced_attention import heads_to_read
from fairseq_guided_align.generation import GuidedSequenceGenerator, GuidedSequenceScorer
from fairseq_guided_align.guided_heads import GuidedHeads
from fairseq_guided_align.pair_links import PairLinks
from fairseq_guided_align.printed_alignment import PrintedForm
from fairseq_guided_align.resuming import ResumableTask, watch_training
from fairseq_guided_align.special_tokens import line_for
from fairseq_guided_align.subword_settings import subword_kind
from fairseq_guided_align.subwords import KINDS
from fairseq_guided_align.training_pictures import (
    PicturedPairs,
    TrainingPictures,
    parse_sentence_numbers,
    tensorboard_is_there,
)
from fairseq_guided_align.validation_aer import count_batch, log_entries, log_scores

logger = logging.getLogger(__name__)


@dataclass
class GuidedTaskConfig(FairseqDataclass):
    """Options that every task of this package has."""

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
            "the attention shows against those of the split, counted as by the command aer: pairs without links are "
            "left out. For --best-checkpoint-metric aer"
        },
    )
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
    update_ordered_indices_seed: bool = II("dataset.update_ordered_indices_seed")


class GuidedTask(ResumableTask):
    """Comes before a task of fairseq's among the bases of ours.

    The choice of guided heads is checked when training starts, and decoding reads the heads that were guided.
    """

    def set_up_guidance(self, options: Any) -> None:
        """To be called once fairseq's part is made.

        :param options: what has the attributes of :class:`GuidedTaskConfig` and those of fairseq's task.
        """
        self.options = options
        self.link_coverage: Dict[str, LinkCoverage] = {}
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

    @classmethod
    def load_dictionary(cls, filename: str) -> Any:
        """A dictionary of the data folder.

        :raises GuidedAlignError: it holds nothing but special symbols, so it is not that of any text.
        """
        dictionary = super().load_dictionary(filename)
        if len(dictionary) == dictionary.nspecial:
            raise GuidedAlignError(f"{filename}: expected a dictionary of the binarised text; it holds no token")
        return dictionary

    # Training and validation

    def load_dataset(self, split: str, epoch: int = 1, **kwargs: Any) -> None:
        """Load a split and its links, and log how much of it they cover; of all data folders before training.

        :raises GuidedAlignError: no links, another number of lines, links of the wrong direction, or a file of
            ``--alignment-files`` that no split reads.
        """
        if self._guides and split == self.options.train_subset and split not in self.datasets:
            # folders whose turn comes hours later
            for later in range(epoch + 1, epoch + len(utils.split_paths(self.options.data))):
                self.load_split(split, later, **kwargs)
        self.load_split(split, epoch, **kwargs)

    def load_split(self, split: str, epoch: int, **kwargs: Any) -> None:
        """What :meth:`load_dataset` does, of the one data folder whose turn it is."""
        raise NotImplementedError

    def build_model(self, cfg: Any, from_checkpoint: bool = False) -> Any:
        """The model, which remembers the heads that its checkpoint says were guided."""
        guided = GuidedHeads.stored(cfg)
        if from_checkpoint:
            check_prints(cfg, prints_of(self), self.options.data)
        model = super().build_model(cfg, from_checkpoint)
        model.guided_heads = guided
        self._model = model
        return model

    def build_criterion(self, cfg: Any, *args: Any, **kwargs: Any) -> Any:
        """The criterion, with its choice of layers and heads checked against the model before training starts."""
        watch_training()
        criterion = super().build_criterion(cfg, *args, **kwargs)
        self._guides = getattr(criterion, "guides", False)
        if self._model is not None and hasattr(criterion, "prepare"):
            criterion.prepare(self._model)
        if self.options.eval_aer:
            self.check_readable("--eval-aer")
        if self.options.attention_images:
            parse_sentence_numbers(self.options.attention_images)
            if self.options.attention_images_interval < 1:
                raise GuidedAlignError(
                    f"--attention-images-interval: expected at least 1; got {self.options.attention_images_interval}"
                )
            self.check_readable("--attention-images")
        self._validates = True
        return criterion

    def before_resuming(self, path: str, state: Dict[str, Any], continues: bool) -> None:
        """Compare the dictionaries of the checkpoint that training begins with to those of the data."""
        trained = state["args"] if state.get("args") is not None else state["cfg"]["model"]
        try:
            check_prints(trained, prints_of(self), self.options.data, path)
        except DictionaryMismatchError as error:
            if continues:
                raise
            logger.warning(f"--finetune-from-model begins with weights of other dictionaries: {error}")

    def check_readable(self, option: str) -> None:
        """Refuse an option that reads attention for a model which has none.

        :raises GuidedAlignError: names the option.
        """
        if not self._guides and not cross_attentions(self._model):
            raise GuidedAlignError(
                f"{option} reads the cross-attention of a Transformer decoder, which {type(self._model).__name__} "
                "does not have; leave it out"
            )

    def train_step(
        self, sample: Any, model: Any, criterion: Any, optimizer: Any, update_num: int, ignore_grad: bool = False
    ) -> Any:
        """Forward and backward pass of a batch, after a picture where it is time for one."""
        if self.options.attention_images and update_num != self._picture_asked_for:
            self._draw_attention(model, criterion, update_num)
            self._picture_asked_for = update_num
        self.state.merge_state_dict({"finished_updates": update_num})
        return super().train_step(sample, model, criterion, optimizer, update_num, ignore_grad)

    def _draw_attention(self, model: Any, criterion: Any, update_num: int) -> None:
        if self._picture_asked_for is None:
            self._prepare_pictures(model)
        if self._pictures is not None and update_num % self.options.attention_images_interval == 0:
            self._pictures.draw(criterion.guided_heads if self._guides else None, update_num)

    def _prepare_pictures(self, model: Any) -> None:
        """Refusals are every worker's, pictures the first one's."""
        if not self.options.tensorboard_logdir:
            raise GuidedAlignError("--attention-images needs --tensorboard-logdir, where the pictures go")
        if type(model).__name__ == "FullyShardedDataParallel":
            raise GuidedAlignError(
                "--attention-images: with --ddp-backend fully_sharded no worker has the whole model to draw from; "
                "draw checkpoints with fairseq-guided-align plot"
            )
        split = next((name for name in self.datasets if name != self.options.train_subset), None)
        if split is None:
            raise GuidedAlignError("--attention-images needs a validation set; got --disable-validation")
        alone = not (torch.distributed.is_available() and torch.distributed.is_initialized())
        if (alone or get_data_parallel_rank() == 0) and tensorboard_is_there():
            self._pictures = TrainingPictures(
                self.options.tensorboard_logdir,
                self.pictured(split),
                parse_sentence_numbers(self.options.attention_images),
            )

    def pictured(self, split: str) -> List[PicturedPairs]:
        """What ``--attention-images`` draws of a split."""
        dictionaries = self.source_dictionary, self.target_dictionary
        return [PicturedPairs(split, self.datasets[split], dictionaries, self._model)]

    def counting(self, criterion: Any) -> Callable[[Any, Any], Any]:
        """The criterion, which with ``--eval-aer`` also counts a batch's links, off the same forward pass."""
        if not self.options.eval_aer:
            return criterion
        padding = self.target_dictionary.pad()
        counts: List[Tensor] = []

        def observe(attentions: List[Any], guided: GuidedHeads, seen: Any) -> None:
            counts.append(count_batch(attentions, seen, guided, padding))

        def counted(model: Any, sample: Any) -> Any:
            if getattr(criterion, "guides", False):
                criterion.attention_observer = observe
                try:
                    loss, sample_size, log = criterion(model, sample)
                finally:
                    criterion.attention_observer = None
            else:
                guided = heads_to_read(model)
                with AttentionReader(model, guided) as reader:
                    loss, sample_size, log = criterion(model, sample)
                observe([reader.attention()], guided, sample)
            return loss, sample_size, {**log, **log_entries(counts[0])}

        return counted

    def reduce_metrics(self, logging_outputs: List[Dict[str, Any]], criterion: Any) -> None:
        """Log the figures of the batches of all workers."""
        super().reduce_metrics(logging_outputs, criterion)
        log_scores(logging_outputs)

    def filter_indices_by_size(self, indices: Any, dataset: Any, *args: Any, **kwargs: Any) -> Any:
        """Without what is too long for the model; something has to be left, of every language pair.

        :raises GuidedAlignError: nothing is left.
        """
        kept = super().filter_indices_by_size(indices, dataset, *args, **kwargs)
        left = [("", kept, dataset)]
        if isinstance(dataset, RoundRobinZipDatasets):
            left = [(f" of {pair}", dataset._ordered_indices[pair], own) for pair, own in dataset.datasets.items()]
        for pair, ordered, own in left:
            if not len(ordered):
                raise GuidedAlignError(
                    f"no sentence pair{pair} is left of {len(own)}: all are too long for the model; raise "
                    "--max-source-positions and --max-target-positions, or cut the text into sentences"
                )
        return kept

    def pair_links(self, source: str, target: str, files: Mapping[str, str], inverted: bool) -> PairLinks:
        """Where a language pair's links come from, as the options say."""
        return PairLinks(
            source,
            target,
            files,
            self.options.alignment_one_based,
            inverted,
            self._guides and not self.options.allow_missing_alignments,
            self.options.dataset_impl,
        )

    def check_aer_can_be_measured(self, split: str, name: str) -> None:
        """Refuse ``--eval-aer`` for a split without links, whose AER would be the best there is.

        :raises GuidedAlignError: names the split as ``name``.
        """
        if self.options.eval_aer and self._validates and split != self.options.train_subset:
            raise GuidedAlignError(f"--eval-aer: {name!r} has no alignments; add them, or leave the option out")

    # Decoding

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
        self._check_no_sentence_begins_with_padding()
        printed = PrintedForm(
            form,
            # hard alignments that only --replace-unk wants have nothing to cut
            self.options.alignment_threshold if getattr(args, "print_alignment", None) else None,
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
        }
        return super().build_generator(models, args, *others, **kwargs)

    def _check_no_sentence_begins_with_padding(self) -> None:
        """Such a word is lost in batches that are padded on the left.

        :raises GuidedAlignError: a source sentence of a split begins with one.
        """
        padding = self.source_dictionary.pad()
        for split, loaded in self.datasets.items():
            parts = loaded.datasets if isinstance(loaded, RoundRobinZipDatasets) else {split: loaded}
            for pairs in parts.values():
                number = next((n for n in range(len(pairs)) if pairs[n]["source"][0] == padding), None)
                if number is not None:
                    raise GuidedAlignError(
                        f"sentence {number + 1} of {split!r} begins with {self.source_dictionary[padding]}, which"
                        " fairseq takes for padding, so that its links would be shifted; read them with"
                        " fairseq-guided-align extract, or make the data folder with fairseq-guided-align preprocess,"
                        " which writes such words otherwise"
                    )

    def inference_step(
        self, generator: Any, models: List[Any], sample: Any, prefix_tokens: Optional[Tensor] = None, **kwargs: Any
    ) -> Any:
        """Hypotheses of a batch."""
        if prefix_tokens is not None:
            # The prefix of an empty reference is none; fairseq up to 0.12.3 searches for ever after a bare </s>.
            end, padding = self.target_dictionary.eos(), self.target_dictionary.pad()
            prefix_tokens = prefix_tokens.masked_fill(prefix_tokens[:, :1].eq(end), padding)
        if isinstance(getattr(generator, "search", None), DiverseBeamSearch):
            # fairseq up to 0.12.3 takes the numbers of the sentences for their positions in the batch
            sample = {key: value for key, value in sample.items() if key != "id"}
        return super().inference_step(generator, models, sample, prefix_tokens=prefix_tokens, **kwargs)

    def _word_kind(self) -> Optional[str]:
        if str(self.options.alignment_level) == "pieces":
            return None
        return subword_kind(self.options.data, self.options.alignment_subwords, "--alignment-subwords")

    def get_interactive_tokens_and_lengths(self, lines: List[str], encode_fn: Callable[[str], str]) -> Any:
        """Tokens of text that is typed or piped in; what is spelled like fairseq's own tokens is text there, too."""
        dictionary = self.source_dictionary
        return super().get_interactive_tokens_and_lengths(lines, lambda line: line_for(encode_fn(line), dictionary))

    def build_dataset_for_inference(self, *args: Any, **kwargs: Any) -> Any:
        """Text that is typed or piped in, for ``fairseq-interactive``."""
        self._interactive = True
        return super().build_dataset_for_inference(*args, **kwargs)
