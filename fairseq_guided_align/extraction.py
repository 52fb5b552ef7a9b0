"""Aligning given text with a trained model: attention of a forced pass, in the order of the text."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Callable, Iterator, List, Optional, Sequence, Tuple

import numpy as np
import torch

import fairseq_guided_align
from fairseq_guided_align.attention import heads_of_layers
from fairseq_guided_align.decode_links import (
    argmax_links,
    combine_directions,
    merge_pieces,
    mutual_argmax_links,
    threshold_links,
)
from fairseq_guided_align.errors import AlignmentRangeError, GuidedAlignError
from fairseq_guided_align.forced_attention import forced_attentions, heads_to_read, unguided_heads
from fairseq_guided_align.guided_heads import GuidedHeads, parse_indices
from fairseq_guided_align.links import SentenceLinks

METHODS = ("argmax", "mutual-argmax", "threshold")


@dataclass(frozen=True)
class AlignedPair:
    """A sentence pair of subword pieces and the model's attention between them.

    :param source: source pieces, without ``</s>``.
    :param target: target pieces, without ``</s>``.
    :param attention: (target pieces, source pieces + 1) float32 probabilities; the last column is ``</s>``'s.
    """

    source: List[str]
    target: List[str]
    attention: np.ndarray

    def words(self, word_of_piece: Callable[[List[str]], np.ndarray]) -> np.ndarray:
        """Attention between words, (target words, source words + 1); the last column is ``</s>``'s.

        :param word_of_piece: word number of each piece, from 0.
        """
        source = np.asarray(word_of_piece(self.source), dtype=np.int64)
        eos = source.max(initial=-1) + 1
        return merge_pieces(self.attention, np.append(source, eos), word_of_piece(self.target))


def read_links_off(
    attention: np.ndarray, guided: GuidedHeads, method: str = "argmax", threshold: Optional[float] = None
) -> SentenceLinks:
    """Links of one sentence pair.

    :param attention: (target tokens, source tokens + 1) probabilities; the last column is ``</s>``'s.
    :param guided: with ``unlinked`` ``eos``, a target token whose attention is on ``</s>`` has no link; otherwise
        the column of ``</s>`` is not looked at.
    :param method: one of :data:`METHODS`.
    :param threshold: for ``threshold``, the least probability of a link, above 0, at most 1.
    :raises GuidedAlignError: no such method, or a threshold that is missing, superfluous or out of range.
    """
    if (threshold is None) == (method == "threshold"):
        raise GuidedAlignError(f"a threshold belongs to the method threshold; got {method} and {threshold}")
    null = -1 if guided.unlinked == "eos" else None
    matrix = attention if null is not None else attention[:, :-1]
    if method == "argmax":
        return argmax_links(matrix, null)
    if method == "mutual-argmax":
        return mutual_argmax_links(matrix, null_column=null)
    if method == "threshold":
        return threshold_links(matrix, threshold, null)  # type: ignore[arg-type]
    raise GuidedAlignError(f"expected a method out of {', '.join(METHODS)}; got {method!r}")


def links_of_both_directions(
    attention: np.ndarray, reverse: np.ndarray, method: str = "threshold", threshold: Optional[float] = None
) -> SentenceLinks:
    """Links of one sentence pair out of both directions' attention: the mean of p(s | t) and p(t | s).

    :param attention: (target tokens, source tokens + 1) probabilities of the model; last column ``</s>``.
    :param reverse: (source tokens, target tokens + 1) probabilities of the opposite model; last column ``</s>``.
    :param method: ``threshold``: where the mean is at least ``threshold``; ``mutual-argmax``: where source and
        target token are each other's likeliest in the mean.
    """
    mean = combine_directions(attention[:, :-1], reverse[:, :-1], "mean")
    if method == "threshold":
        return threshold_links(mean, threshold)  # type: ignore[arg-type]
    return mutual_argmax_links(mean)


class AlignmentModel:
    """A trained translation model that aligns.

    :param checkpoint: a checkpoint of fairseq's, trained with this package or without.
    :param data: the data folder; None: the one that the checkpoint was trained on.
    :param attention: ``guided``: the heads that were guided; ``last-layer``: all heads of the last layer, averaged,
        which stock fairseq reads.
    :param device: where the model runs; None: a GPU where there is one.
    :param layers: other layers to read than ``attention`` says, such as ``-2,-1`` or ``all``.
    :param heads: heads of these layers, likewise, averaged; ``all`` where only ``layers`` is given.
    :raises GuidedAlignError: the checkpoint cannot be read, has no cross-attention, or not these layers and heads.
    """

    def __init__(
        self,
        checkpoint: str,
        data: Optional[str] = None,
        attention: str = "guided",
        device: Optional[str] = None,
        layers: Optional[str] = None,
        heads: Optional[str] = None,
    ) -> None:
        fairseq_guided_align.register()
        from fairseq import checkpoint_utils

        # both tell their configuration and counts below this level, which belong to training
        for package in ("fairseq", "fairseq_guided_align"):
            logging.getLogger(package).setLevel(logging.WARNING)
        overrides = {} if data is None else {"data": data}
        try:
            models, self.cfg, self.task = checkpoint_utils.load_model_ensemble_and_task([checkpoint], overrides)
        except OSError as error:
            raise GuidedAlignError(f"{checkpoint}: cannot be read as a checkpoint: {error}") from error
        self.model = models[0].eval()
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.model.to(self.device)
        self.guided = heads_to_read(self.model) if attention == "guided" else unguided_heads(self.model)
        if layers is not None or heads is not None:
            self.guided = _other_heads(self.guided, layers, heads, heads_of_layers(self.model))

    def align_split(self, split: str, max_tokens: int = 4000) -> Iterator[Tuple[int, AlignedPair]]:
        """Aligned pairs of a split of the data folder with their numbers, in batches of similar length.

        :param max_tokens: tokens of a batch, padding included.
        """
        self.task.load_dataset(split)
        dataset = self.task.dataset(split)
        batches = self.task.get_batch_iterator(
            dataset, max_tokens=max_tokens, max_positions=self._max_positions(), ignore_invalid_inputs=False
        ).next_epoch_itr(shuffle=False)
        for batch in batches:
            yield from self.align_batch(batch)

    def align_sentences(
        self, split: str, numbers: Sequence[int], max_tokens: int = 4000
    ) -> Iterator[Tuple[int, AlignedPair]]:
        """Aligned pairs of some sentences of a split, in batches of similar length.

        :param numbers: positions in the split, from 0.
        :param max_tokens: tokens of a batch, padding included; a longer pair is a batch of its own.
        :raises AlignmentRangeError: the split has no such sentence.
        """
        size = self.split_size(split)
        for number in numbers:
            if not 0 <= number < size:
                raise AlignmentRangeError(
                    f"{split!r} has {size} sentence pairs, so a number lies in 1..{size}; got {number + 1}"
                )
        dataset = self.task.dataset(split)
        batch: List[int] = []
        for number in sorted(numbers, key=dataset.num_tokens):
            # the longest so far is the newest
            if batch and dataset.num_tokens(number) * (len(batch) + 1) > max_tokens:
                yield from self.align_batch(dataset.collater([dataset[i] for i in batch]))
                batch = []
            batch.append(number)
        if batch:
            yield from self.align_batch(dataset.collater([dataset[i] for i in batch]))

    def align_batch(self, batch: Any) -> Iterator[Tuple[int, AlignedPair]]:
        """Aligned pairs of one batch with their numbers."""
        from fairseq import utils

        padding = self.task.source_dictionary.pad()
        numbers = batch["id"].tolist()
        sources, targets = batch["net_input"]["src_tokens"], batch["target"]
        moved = utils.move_to_cuda(batch, self.device) if self.device.type == "cuda" else batch
        for number, source, target, attention in zip(
            numbers, sources, targets, forced_attentions(self.model, self.guided, moved, padding)
        ):
            yield (
                number,
                AlignedPair(
                    _pieces(source, self.task.source_dictionary),
                    _pieces(target, self.task.target_dictionary),
                    attention,
                ),
            )

    def split_size(self, split: str) -> int:
        """Number of sentence pairs of a split."""
        if split not in self.task.datasets:
            self.task.load_dataset(split)
        return len(self.task.dataset(split))

    def _max_positions(self) -> Any:
        from fairseq import utils

        return utils.resolve_max_positions(self.task.max_positions(), self.model.max_positions())


def _other_heads(
    guided: GuidedHeads, layers: Optional[str], heads: Optional[str], sizes: Sequence[int]
) -> GuidedHeads:
    if not sizes:
        raise GuidedAlignError("--layers, --heads: this model returns its attention itself; there is nothing to choose")
    chosen = guided.layers if layers is None else parse_indices(layers, "--layers")
    try:
        return GuidedHeads.resolve(
            chosen, parse_indices(heads, "--heads"), sizes, "mean", guided.position, guided.unlinked
        )
    except GuidedAlignError as error:
        raise GuidedAlignError(str(error).replace("--guided-alignment-", "--")) from None


def _pieces(tokens: torch.Tensor, dictionary: Any) -> List[str]:
    real = tokens[tokens.ne(dictionary.pad())][:-1]
    return [dictionary[token] for token in real.tolist()]
