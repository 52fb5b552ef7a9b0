"""A trained model that aligns given text: attention of a forced pass, in the order of the text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import torch

from fairseq_guided_align.aligning.aligned_pairs import AlignedPair, AlignedText
from fairseq_guided_align.aligning.models import load_model
from fairseq_guided_align.attention.forced import forced_attentions, heads_to_read, lengths_of, unguided_heads
from fairseq_guided_align.attention.guided_heads import GuidedHeads, parse_indices
from fairseq_guided_align.attention.reader import heads_of_layers
from fairseq_guided_align.errors import AlignmentRangeError, GuidedAlignError
from fairseq_guided_align.subwords.special_tokens import index_of, pieces_of
from fairseq_guided_align.subwords.text_pieces import PiecedSentence, SplitWords

PAIRS_SORTED_TOGETHER = 10_000
"""Sentence pairs that are sorted by length together, so that memory does not grow with the text."""


class AlignmentModel:
    """A trained translation model that aligns.

    :param checkpoint: a checkpoint of fairseq's, trained with this package or without.
    :param data: the data folder; None: the one that the checkpoint was trained on.
    :param attention: ``guided``: the heads that were guided; ``last-layer``: all heads of the last layer, averaged,
        which stock fairseq reads.
    :param device: where the model runs; None: a GPU where there is one.
    :param layers: other layers to read than ``attention`` says, such as ``-2,-1`` or ``all``.
    :param heads: heads of these layers, such as ``0,1``, averaged; ``all`` where only ``layers`` is given.
    :param lang_pair: such as ``de-en``, which a model of several language pairs needs; one of a single pair must be
        of it.
    :raises GuidedAlignError: the checkpoint cannot be read, is of another task, has no cross-attention, or not these
        layers and heads; or there is no such device.
    """

    def __init__(
        self,
        checkpoint: str,
        data: str | None = None,
        attention: str = "guided",
        device: str | None = None,
        layers: str | None = None,
        heads: str | None = None,
        lang_pair: str | None = None,
    ) -> None:
        self.task, self.options, self.model = load_model(checkpoint, data, lang_pair)
        name = device or ("cuda" if torch.cuda.is_available() else "cpu")
        try:
            self.device = torch.device(name)
            self.model.to(self.device)
        except (AssertionError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            raise GuidedAlignError(f"--device: the model cannot run on {name!r}: {reason}") from error
        self.guided = heads_to_read(self.model) if attention == "guided" else unguided_heads(self.model)
        if layers is not None or heads is not None:
            self.guided = _other_heads(self.guided, layers, heads, heads_of_layers(self.model))

    def single_heads(self) -> list[AlignmentModel]:
        """This model once for each of the layers and heads that it reads.

        :raises GuidedAlignError: it returns its attention itself, without heads.
        """
        if not self.guided.layers:
            raise GuidedAlignError("--each-head: this model returns its attention itself, without heads")
        singles = []
        for layer in self.guided.layers:
            for head in self.guided.heads:
                single = copy(self)
                single.guided = replace(self.guided, layers=(layer,), heads=(head,))
                singles.append(single)
        return singles

    @property
    def data(self) -> str:
        """The data folder."""
        return str(self.options.data)

    @property
    def lang_pair(self) -> str:
        """Source and target language, such as ``de-en``."""
        return f"{self.options.source_lang}-{self.options.target_lang}"

    def split(self, name: str) -> Any:
        """A split of the data folder, fairseq's dataset.

        :raises GuidedAlignError: there is no such split.
        """
        if name not in self.task.datasets:
            try:
                self.task.load_dataset(name)
            except FileNotFoundError as error:
                raise GuidedAlignError(f"{self.data}: expected a binarised split {name!r}; {error}") from error
        pairs = self.task.dataset(name)
        return pairs.datasets[self.lang_pair] if self._is_multilingual else pairs

    @property
    def _is_multilingual(self) -> bool:
        return hasattr(self.task, "lang_pairs")

    def split_size(self, name: str) -> int:
        """Number of sentence pairs of a split."""
        return len(self.split(name))

    def split_words(
        self, name: str, kind: str, word_split: Sequence[str | None] = (None, None)
    ) -> tuple[SplitWords, SplitWords]:
        """What tells the words of a split's source and target pieces.

        :param kind: how pieces make up words, one of ``subwords.pieces.SUBWORD_KINDS``.
        :param word_split: what the words of source and target are; None: as the data folder says.
        """
        options = self.options
        source, target = word_split
        return SplitWords(self.data, name, options.source_lang, kind, source), SplitWords(
            self.data, name, options.target_lang, kind, target
        )

    def word_counts(
        self, name: str, kind: str, word_split: Sequence[str | None] = (None, None)
    ) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
        """Numbers of words of every sentence pair of a split.

        :param kind: how pieces make up words, one of ``subwords.pieces.SUBWORD_KINDS``.
        :param word_split: as in :meth:`split_words`.
        :return: (pairs,) int64 of the sources and of the targets; (pairs,) bool, where they are the same by both
            definitions of a word.
        """
        pairs = self.split(name)
        dictionaries = {"source": self.task.source_dictionary, "target": self.task.target_dictionary}
        found = [
            spelt.counts(pieces_of(pairs[number][side], dictionary) for number in range(len(pairs)))
            for spelt, (side, dictionary) in zip(self.split_words(name, kind, word_split), dictionaries.items())
        ]
        (sources, other_sources), (targets, other_targets) = found
        return (sources, targets), (sources == other_sources) & (targets == other_targets)

    def align_split(
        self,
        name: str,
        kind: str,
        max_tokens: int = 4000,
        word_split: Sequence[str | None] = (None, None),
        lines: range | None = None,
    ) -> Iterator[AlignedText | None]:
        """Aligned pairs of a split, in its order; None for a pair that is too long for the model.

        :param kind: how pieces make up words, one of ``subwords.pieces.SUBWORD_KINDS``.
        :param max_tokens: tokens of a batch, padding included.
        :param word_split: as in :meth:`split_words`.
        :param lines: positions in the split of the pairs that are wanted; None: all.
        """
        wanted = range(self.split_size(name)) if lines is None else lines
        source, target = self.split_words(name, kind, word_split)
        for start in range(0, len(wanted), PAIRS_SORTED_TOGETHER):
            numbers = wanted[start : start + PAIRS_SORTED_TOGETHER]
            found = dict(self.align_sentences(name, numbers, max_tokens))
            for number in numbers:
                pair = found.get(number)
                yield pair and AlignedText(
                    source.of(number, pair.source), target.of(number, pair.target), pair.attention
                )

    def align_sentences(
        self, split: str, numbers: Sequence[int], max_tokens: int = 4000
    ) -> Iterator[tuple[int, AlignedPair]]:
        """Aligned pairs of some sentences of a split with their numbers, in batches of similar length; without those
        that are too long for the model.

        :param numbers: positions in the split, from 0.
        :param max_tokens: tokens of a batch, padding included; a longer pair is a batch of its own.
        :raises AlignmentRangeError: the split has no such sentence.
        """
        pairs = self.split(split)
        for number in numbers:
            if not 0 <= number < len(pairs):
                raise AlignmentRangeError(
                    f"{split!r} has {len(pairs)} sentence pairs, so a number lies in 1..{len(pairs)}; got {number + 1}"
                )
        for number, attention in self._attentions(pairs, np.array(numbers, dtype=np.int64), max_tokens):
            item = pairs[number]
            yield (
                number,
                AlignedPair(
                    pieces_of(item["source"], self.task.source_dictionary),
                    pieces_of(item["target"], self.task.target_dictionary),
                    attention,
                ),
            )

    def align_text(
        self, pairs: Iterable[tuple[PiecedSentence, PiecedSentence]], max_tokens: int = 4000
    ) -> Iterator[AlignedText | None]:
        """Aligned pairs of given sentences, in their order; None for a pair that is too long for the model."""
        iterator = iter(pairs)
        while True:
            chunk = list(islice(iterator, PAIRS_SORTED_TOGETHER))
            if not chunk:
                return
            pairs_of_chunk = self.text_dataset(*zip(*chunk))
            found = dict(self._attentions(pairs_of_chunk, np.arange(len(chunk)), max_tokens))
            for number, (source, target) in enumerate(chunk):
                yield AlignedText(source, target, found[number]) if number in found else None

    def text_dataset(self, sources: Sequence[PiecedSentence], targets: Sequence[PiecedSentence] | None = None) -> Any:
        """fairseq's dataset of given sentences, with or without translations."""
        from fairseq.data import LanguagePairDataset, ListDataset

        def side(sentences: Sequence[PiecedSentence], dictionary: Any) -> tuple[Any, Any, Any]:
            tokens = [
                torch.tensor([*(index_of(piece, dictionary) for piece in sentence.pieces), dictionary.eos()])
                for sentence in sentences
            ]
            sizes = [len(one) for one in tokens]
            return ListDataset(tokens, sizes), np.array(sizes), dictionary

        target = (None, None, None) if targets is None else side(targets, self.task.target_dictionary)
        pairs = LanguagePairDataset(
            *side(sources, self.task.source_dictionary),
            *target,
            left_pad_source=self.options.left_pad_source,
            left_pad_target=self.options.left_pad_target,
        )
        if not self._is_multilingual:
            return pairs
        return self.task.alter_dataset_langtok(
            pairs,
            src_eos=self.task.source_dictionary.eos(),
            src_lang=self.options.source_lang,
            tgt_eos=self.task.target_dictionary.eos(),
            tgt_lang=self.options.target_lang,
        )

    def batches(self, pairs: Any, numbers: np.ndarray, max_tokens: int) -> Iterator[Any]:
        """Batches of similar length on the model's device; without pairs that are too long for the model.

        :param pairs: fairseq's dataset.
        :param numbers: (n,) int64 positions in it.
        :param max_tokens: tokens of a batch, padding included; a longer pair is a batch of its own.
        """
        from fairseq import utils
        from fairseq.data import data_utils

        longest = utils.resolve_max_positions(
            (self.options.max_source_positions, self.options.max_target_positions), self.model.max_positions()
        )
        kept, _ = pairs.filter_indices_by_size(numbers, longest)
        sizes = np.array([pairs.num_tokens(number) for number in kept.tolist()], dtype=np.int64)
        order = np.argsort(sizes, kind="stable")
        if not len(order):
            return
        limit = max(max_tokens, int(sizes.max()))
        for indices in data_utils.batch_by_size(
            kept[order], pairs.num_tokens, num_tokens_vec=sizes[order], max_tokens=limit
        ):
            batch = pairs.collater([pairs[int(index)] for index in indices])
            yield utils.move_to_cuda(batch, self.device) if self.device.type == "cuda" else batch

    def _attentions(self, pairs: Any, numbers: np.ndarray, max_tokens: int) -> Iterator[tuple[int, np.ndarray]]:
        padding = self.task.source_dictionary.pad()
        for batch in self.batches(pairs, numbers, max_tokens):
            ids = batch["id"].tolist()
            yield from zip(ids, forced_attentions(self.model, self.guided, batch, padding, lengths_of(pairs, ids)))


def _other_heads(guided: GuidedHeads, layers: str | None, heads: str | None, sizes: Sequence[int]) -> GuidedHeads:
    if not sizes:
        raise GuidedAlignError("--layers, --heads: this model returns its attention itself; there is nothing to choose")
    chosen = guided.layers if layers is None else parse_indices(layers, "--layers")
    return GuidedHeads.resolve(
        chosen,
        parse_indices(heads, "--heads"),
        sizes,
        "mean",
        guided.position,
        guided.unlinked,
        ("--layers", "--heads"),
    )
