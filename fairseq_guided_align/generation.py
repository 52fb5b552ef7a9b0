"""Decoding that hands out the guided heads' attention, read while the search runs: no second pass."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, Callable, Dict, List, Sequence

import torch
from fairseq.data import data_utils
from fairseq.sequence_generator import EnsembleModel, SequenceGenerator
from fairseq.sequence_scorer import SequenceScorer
from torch import Tensor

from fairseq_guided_align.attention import AttentionReader
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.forced_attention import heads_to_read, rows_of_tokens
from fairseq_guided_align.guided_heads import GuidedHeads
from fairseq_guided_align.printed_alignment import hard_alignment, soft_alignment, soft_links


class ModelReaders(ExitStack):
    """Attention readers of every model of an ensemble."""

    def __init__(self, models: Sequence[torch.nn.Module], guided: Sequence[GuidedHeads]) -> None:
        super().__init__()
        self._readers = [self.enter_context(AttentionReader(model, one)) for model, one in zip(models, guided)]

    def attention(self) -> Tensor:
        """The average over the models, (batch, target, source)."""
        return torch.stack([reader.attention() for reader in self._readers]).mean(dim=0)


def heads_of_ensemble(models: Sequence[torch.nn.Module]) -> List[GuidedHeads]:
    """What each model's checkpoint says was guided.

    :raises GuidedAlignError: the models differ in what a row of their attention means.
    """
    guided = [heads_to_read(model) for model in models]
    if len({(one.position, one.unlinked) for one in guided}) > 1:
        raise GuidedAlignError(
            "the models of an ensemble need the same --guided-alignment-position and --guided-alignment-unlinked for "
            f"their attention to be averaged; got {'; '.join(map(str, guided))}"
        )
    return guided


class GuidedEnsembleModel(EnsembleModel):
    """fairseq's ensemble, whose attention is that of each model's guided heads, averaged over the models."""

    def __init__(self, models: List[torch.nn.Module]) -> None:
        super().__init__(models)
        self.guided = heads_of_ensemble(models)

    def forward_decoder(self, *args: Any, **kwargs: Any) -> Any:
        """One step of the search; attention (batch * beam, source) of the row that predicts the next token."""
        with ModelReaders(self.models, self.guided) as readers:
            log_probabilities, _ = super().forward_decoder(*args, **kwargs)
        return log_probabilities, readers.attention()[:, -1, :]


class AlignmentPrinter:
    """Puts the guided heads' alignment into hypotheses.

    :param form: ``hard`` or ``soft``, of ``--print-alignment``.
    :param as_links: tells whether soft alignments are wanted as weighted links, the only ones that
        ``fairseq-interactive`` can print, instead of rows.
    """

    def __init__(
        self, guided: GuidedHeads, form: str, as_links: Callable[[], bool], padding: int, eos: int
    ) -> None:
        self._guided, self._form, self._as_links = guided, form, as_links
        self._padding, self._eos = padding, eos

    def attach(self, hypothesis: Dict[str, Any], attention: Tensor, source: Tensor) -> None:
        """Set ``alignment`` of a hypothesis.

        :param attention: (target tokens with ``</s>``, source columns) with target token t's attention in row t.
        :param source: (source columns,) tokens, padding included.
        """
        matrix = attention.float().cpu().numpy()[:, source.ne(self._padding).cpu().numpy()]
        tokens = hypothesis["tokens"]
        if self._form == "soft" and not self._as_links():
            hypothesis["alignment"] = soft_alignment(matrix)
            return
        if len(tokens) and int(tokens[-1]) == self._eos:
            matrix = matrix[:-1]
        hypothesis["alignment"] = soft_links(matrix) if self._form == "soft" else hard_alignment(matrix, self._guided)


class GuidedSequenceGenerator(SequenceGenerator):
    """``SequenceGenerator`` whose hypotheses carry the alignments of the guided heads.

    Each hypothesis gets ``attention`` (source, target), the guided one with target token t's in column t, and
    ``alignment``. Models with ``--full-context-alignment`` need a second, forced pass; others do not.
    """

    def __init__(
        self,
        models: List[torch.nn.Module],
        tgt_dict: Any,
        print_alignment: str = "hard",
        soft_as_links: Callable[[], bool] = bool,
        left_pad_target: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(GuidedEnsembleModel(models), tgt_dict, **kwargs)
        self._left_pad_target = left_pad_target
        self._full_context = any(getattr(model, "full_context_alignment", False) for model in models)
        self._printer = AlignmentPrinter(self.model.guided[0], print_alignment, soft_as_links, self.pad, self.eos)

    @torch.no_grad()
    def generate(self, models: Any, sample: Dict[str, Any], **kwargs: Any) -> List[List[Dict[str, Any]]]:
        """Translate a batch."""
        finalized = super()._generate(sample, **kwargs)
        position = self.model.guided[0].position
        if self._full_context:
            self._force(sample, finalized)
        for source, hypotheses in zip(sample["net_input"]["src_tokens"], finalized):
            for hypothesis in hypotheses:
                attention = hypothesis["attention"].t().unsqueeze(0)
                attention = rows_of_tokens(attention, position).squeeze(0)
                hypothesis["attention"] = attention.t()
                self._printer.attach(hypothesis, attention, source)
        return finalized

    def _force(self, sample: Dict[str, Any], finalized: List[List[Dict[str, Any]]]) -> None:
        """Attention with full context, which the search does not have."""
        hypotheses = [hypothesis for beam in finalized for hypothesis in beam]
        sentence = [number for number, beam in enumerate(finalized) for _ in beam]
        net_input = {
            key: value[sentence] if torch.is_tensor(value) else value
            for key, value in sample["net_input"].items()
            if key != "prev_output_tokens"
        }
        net_input["prev_output_tokens"] = data_utils.collate_tokens(
            [hypothesis["tokens"] for hypothesis in hypotheses],
            self.pad,
            self.eos,
            self._left_pad_target,
            move_eos_to_beginning=True,
        )
        with ModelReaders(self.model.models, self.model.guided) as readers:
            for model in self.model.models:
                model(**net_input)
        real = net_input["prev_output_tokens"].ne(self.pad)
        for hypothesis, attention, rows in zip(hypotheses, readers.attention(), real):
            hypothesis["attention"] = attention[rows].t()


class GuidedSequenceScorer(SequenceScorer):
    """``SequenceScorer`` (``--score-reference``) whose hypotheses carry the alignments of the guided heads."""

    def __init__(self, tgt_dict: Any, print_alignment: str = "hard", soft_as_links: Callable[[], bool] = bool) -> None:
        super().__init__(tgt_dict)
        self._form, self._soft_as_links = print_alignment, soft_as_links

    @torch.no_grad()
    def generate(self, models: List[Any], sample: Dict[str, Any], **kwargs: Any) -> List[List[Dict[str, Any]]]:
        """Score the batch's references."""
        guided = heads_of_ensemble(models)
        with ModelReaders(models, guided) as readers:
            hypotheses = super().generate(models, sample, **kwargs)
        attentions = rows_of_tokens(readers.attention(), guided[0].position)
        printer = AlignmentPrinter(guided[0], self._form, self._soft_as_links, self.pad, self.eos)
        for best, attention, target, source in zip(
            hypotheses, attentions, sample["target"], sample["net_input"]["src_tokens"]
        ):
            attention = attention[target.ne(self.pad)]
            best[0]["attention"] = attention.t()
            printer.attach(best[0], attention, source)
        return hypotheses
