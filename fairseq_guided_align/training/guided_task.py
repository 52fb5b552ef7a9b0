"""What the tasks of this package do in training and validation: links, guided heads, AER, pictures."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from fairseq import utils
from fairseq.data import RoundRobinZipDatasets

from fairseq_guided_align.attention.guided_heads import GuidedHeads
from fairseq_guided_align.attention.reader import cross_attentions
from fairseq_guided_align.checkpoints.fingerprints import check_prints, prints_of
from fairseq_guided_align.errors import DictionaryMismatchError, GuidedAlignError
from fairseq_guided_align.links.coverage import LinkCoverage
from fairseq_guided_align.training.pair_links import PairLinks
from fairseq_guided_align.training.pictures import AttentionImages, PicturedPairs
from fairseq_guided_align.training.resuming import ResumableTask, watch_training
from fairseq_guided_align.training.task_decoding import DecodingTask
from fairseq_guided_align.training.validation_aer import counting, log_scores

logger = logging.getLogger(__name__)


class GuidedTask(DecodingTask, ResumableTask):
    """Comes before a task of fairseq's among the bases of ours.

    The choice of guided heads is checked when training starts, and decoding reads the heads that were guided.
    """

    def set_up_guidance(self, options: Any) -> None:
        """To be called once fairseq's part is made.

        :param options: has the attributes of ``GuidedTaskConfig`` and those of fairseq's task.
        """
        self.options = options
        self.link_coverage: dict[str, LinkCoverage] = {}
        self._model: Any = None
        # Only training and validation need links, and only they build a criterion.
        self._guides = False
        self._validates = False
        self._images: AttentionImages | None = None
        self.state.add_factory("finished_updates", int)

    @property
    def finished_updates(self) -> int:
        """Updates that were done when the latest training step began.

        The checkpoint keeps it, so that a later validation weighs the costs as the one in training did.
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

    def load_dataset(self, split: str, epoch: int = 1, **kwargs: Any) -> None:
        """Load a split and its links, and log how much of it they cover; of all data folders before training.

        :raises GuidedAlignError: no links, another number of lines, links of the wrong direction, or a file of
            ``--alignment-files`` that no split reads.
        """
        if self._guides and split == self.options.train_subset and split not in self.datasets:
            # Otherwise, what is wrong in these folders would stop the training hours later.
            for later in range(epoch + 1, epoch + len(utils.split_paths(self.options.data))):
                self.load_split(split, later, **kwargs)
        self.load_split(split, epoch, **kwargs)

    def load_split(self, split: str, epoch: int, **kwargs: Any) -> None:
        """What :meth:`load_dataset` does, of the one data folder whose turn it is."""
        raise NotImplementedError

    def pair_links(self, source: str, target: str, files: Mapping[str, str], inverted: bool) -> PairLinks:
        """Where a language pair's links come from, as the options say."""
        required = self._guides and not self.options.allow_missing_alignments
        one_based, implementation = self.options.alignment_one_based, self.options.dataset_impl
        return PairLinks(source, target, files, one_based, inverted, required, implementation)

    def put_links_beside(self, pairs: Any, links: PairLinks, split: str, data_dir: str, name: str) -> Any:
        """The sentence pairs of a split with their links; as they are, where there are no links.

        The coverage is kept as ``name``.

        :raises GuidedAlignError: ``--eval-aer`` for a split without links, whose AER would be the best there is; or
            see :meth:`PairLinks.beside`.
        """
        found = links.beside(pairs, split, data_dir, name)
        measured = self.options.eval_aer and self._validates and split != self.options.train_subset
        if measured and (found is None or not found[1].links):
            raise GuidedAlignError(f"--eval-aer: {name!r} has no alignments; add them, or leave the option out")
        if found is None:
            return pairs
        linked, self.link_coverage[name] = found
        return linked

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
            self._images = AttentionImages(self.options)
            self.check_readable("--attention-images")
        self._validates = True
        return criterion

    def before_resuming(self, path: str, state: dict[str, Any], continues: bool) -> None:
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
        if self._images is not None:
            self._images.before_update(self, model, criterion.guided_heads if self._guides else None, update_num)
        self.state.merge_state_dict({"finished_updates": update_num})
        return super().train_step(sample, model, criterion, optimizer, update_num, ignore_grad)

    def pictured(self, split: str) -> list[PicturedPairs]:
        """What ``--attention-images`` draws of a split."""
        dictionaries = self.source_dictionary, self.target_dictionary
        return [PicturedPairs(split, self.datasets[split], dictionaries, self._model)]

    def counting(self, criterion: Any) -> Callable[[Any, Any], Any]:
        """The criterion, which with ``--eval-aer`` also counts a batch's links."""
        return counting(criterion, self.target_dictionary.pad()) if self.options.eval_aer else criterion

    def reduce_metrics(self, logging_outputs: list[dict[str, Any]], criterion: Any) -> None:
        """Log the figures of the batches of all workers."""
        super().reduce_metrics(logging_outputs, criterion)
        log_scores(logging_outputs)

    def filter_indices_by_size(self, indices: Any, dataset: Any, *args: Any, **kwargs: Any) -> Any:
        """Leave out what is too long for the model.

        :raises GuidedAlignError: nothing is left, or nothing of a language pair.
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
