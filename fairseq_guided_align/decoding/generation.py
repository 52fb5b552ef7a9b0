"""Decoding that hands out the guided heads' attention, read while the search runs: no second pass."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import torch
from fairseq.data import data_utils
from fairseq.sequence_generator import EnsembleModel, SequenceGenerator
from fairseq.sequence_scorer import SequenceScorer
from torch import Tensor

from fairseq_guided_align.attention.forced import heads_to_read
from fairseq_guided_align.attention.guided_heads import GuidedHeads
from fairseq_guided_align.attention.reader import AttentionReader, cross_attentions
from fairseq_guided_align.attention.token_rows import real_tokens, rows_of_tokens
from fairseq_guided_align.decoding.printed_alignment import PrintedAlignment, PrintedForm
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.subwords.special_tokens import pieces_of


class ModelReaders(ExitStack):
    """Attention readers of every model of an ensemble."""

    def __init__(self, models: Sequence[torch.nn.Module], guided: Sequence[GuidedHeads]) -> None:
        super().__init__()
        self._readers = [
            self.enter_context(AttentionReader(model, heads)) for model, heads in zip(models, guided) if heads.layers
        ]

    def attention(self) -> Tensor | None:
        """The average over the models, (batch, target, source); None for models that return theirs themselves."""
        if not self._readers:
            return None
        if len(self._readers) == 1:
            return self._readers[0].attention()
        return torch.stack([reader.attention() for reader in self._readers]).mean(dim=0)


def heads_of_ensemble(models: Sequence[torch.nn.Module]) -> list[GuidedHeads]:
    """What each model's checkpoint says was guided.

    :raises GuidedAlignError: the models differ in what a row of their attention means, or only some of them have
        cross-attention that can be read.
    """
    guided = [heads_to_read(model) for model in models]
    if len({(heads.position, heads.unlinked) for heads in guided}) > 1:
        raise GuidedAlignError(
            "the models of an ensemble need the same --guided-alignment-position and --guided-alignment-unlinked for "
            f"their attention to be averaged; got {'; '.join(map(str, guided))}; decode without --print-alignment and "
            "--replace-unk, or with models that agree"
        )
    if len({bool(cross_attentions(model)) for model in models}) > 1:
        raise GuidedAlignError(
            "the attention of a Transformer cannot be averaged with that of a model without cross-attention; "
            f"got {', '.join(type(model).__name__ for model in models)}"
        )
    return guided


class GuidedEnsembleModel(EnsembleModel):
    """fairseq's ensemble, whose attention is that of each model's guided heads, averaged over the models."""

    def __init__(self, models: list[torch.nn.Module]) -> None:
        super().__init__(models)
        self.guided = heads_of_ensemble(models)

    def forward_decoder(self, *args: Any, **kwargs: Any) -> Any:
        """One step of the search; attention (batch * beam, source) of the row that predicts the next token."""
        with ModelReaders(self.models, self.guided) as readers:
            log_probabilities, returned = super().forward_decoder(*args, **kwargs)
        attention = readers.attention()
        return log_probabilities, returned if attention is None else attention[:, -1, :]


class AlignmentPrinter:
    """Puts the guided heads' alignment into hypotheses.

    :param guided: which row of attention belongs to a token, and whether ``</s>`` means no link.
    :param form: how alignments are printed.
    :param dictionaries: of source and target.
    """

    def __init__(self, guided: GuidedHeads, form: PrintedForm, dictionaries: Sequence[Any]) -> None:
        self._guided, self._form = guided, form
        self._source_dictionary, self._target_dictionary = dictionaries

    def attach(self, hypothesis: dict[str, Any], attention: Tensor, source: Tensor) -> None:
        """Set ``attention`` (source columns, target tokens) and ``alignment`` of a hypothesis.

        :param attention: (target tokens with ``</s>``, source columns), the decoder's rows.
        :param source: (source columns,) tokens, padding included.
        """
        rows = rows_of_tokens(attention, self._guided.shift)
        real = real_tokens(source, self._source_dictionary.pad())
        tokens = hypothesis["tokens"]
        hypothesis["attention"] = rows.t()
        hypothesis["alignment"] = PrintedAlignment(
            lambda: rows[:, real].float().cpu().numpy(),
            lambda: pieces_of(source[real], self._source_dictionary),
            lambda: pieces_of(tokens, self._target_dictionary),
            self._guided,
            self._form,
        )


class GuidedSequenceGenerator(SequenceGenerator):
    """``SequenceGenerator`` whose hypotheses carry the alignments of the guided heads, see :class:`AlignmentPrinter`.

    Models with ``--full-context-alignment`` need a second, forced pass; others do not.
    """

    def __init__(
        self,
        models: list[torch.nn.Module],
        tgt_dict: Any,
        source_dictionary: Any,
        printed_form: PrintedForm,
        **kwargs: Any,
    ) -> None:
        super().__init__(GuidedEnsembleModel(models), tgt_dict, **kwargs)
        self._full_context = any(getattr(model, "full_context_alignment", False) for model in models)
        self._printer = AlignmentPrinter(self.model.guided[0], printed_form, (source_dictionary, tgt_dict))

    @torch.no_grad()
    def generate(self, models: Any, sample: dict[str, Any], **kwargs: Any) -> list[list[dict[str, Any]]]:
        """Translate a batch."""
        finalized = super()._generate(sample, **kwargs)
        if self._full_context:
            self._force(sample, finalized)
        for source, hypotheses in zip(sample["net_input"]["src_tokens"], finalized):
            for hypothesis in hypotheses:
                self._printer.attach(hypothesis, hypothesis["attention"].t(), source)
        return finalized

    def _force(self, sample: dict[str, Any], finalized: list[list[dict[str, Any]]]) -> None:
        """Attention with full context, which the search does not have."""
        hypotheses = [hypothesis for beam in finalized for hypothesis in beam]
        sentence = [number for number, beam in enumerate(finalized) for _ in beam]
        net_input = {
            key: value[sentence] if torch.is_tensor(value) else value for key, value in sample["net_input"].items()
        }
        net_input["prev_output_tokens"] = data_utils.collate_tokens(
            [hypothesis["tokens"] for hypothesis in hypotheses], self.pad, self.eos, move_eos_to_beginning=True
        )
        with ModelReaders(self.model.models, self.model.guided) as readers:
            for model in self.model.models:
                model(**net_input)
        attentions = readers.attention()
        assert attentions is not None, "only Transformers have a full context"
        real = net_input["prev_output_tokens"].ne(self.pad)
        for hypothesis, attention, rows in zip(hypotheses, attentions, real):
            hypothesis["attention"] = attention[rows].t()


class GuidedSequenceScorer(SequenceScorer):
    """``SequenceScorer`` (``--score-reference``) whose hypotheses carry the alignments of the guided heads."""

    def __init__(self, tgt_dict: Any, source_dictionary: Any, printed_form: PrintedForm) -> None:
        super().__init__(tgt_dict)
        self._form, self._dictionaries = printed_form, (source_dictionary, tgt_dict)

    @torch.no_grad()
    def generate(self, models: list[Any], sample: dict[str, Any], **kwargs: Any) -> list[list[dict[str, Any]]]:
        """Score the batch's references."""
        guided = heads_of_ensemble(models)
        with ModelReaders(models, guided) as readers:
            hypotheses = super().generate(models, sample, **kwargs)
        read = readers.attention()
        attentions = [best[0]["attention"] for best in hypotheses] if read is None else read
        printer = AlignmentPrinter(guided[0], self._form, self._dictionaries)
        for best, attention, target, source in zip(
            hypotheses, attentions, sample["target"], sample["net_input"]["src_tokens"]
        ):
            printer.attach(best[0], attention[target.ne(self.pad)], source)
        return hypotheses
