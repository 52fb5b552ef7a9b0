"""Beam search that hands out the guided heads' attention, read while the search runs: no second pass."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, Dict, List

import numpy as np
import torch
from fairseq.sequence_generator import EnsembleModel, SequenceGenerator

from fairseq_guided_align.attention import AttentionReader
from fairseq_guided_align.decode_links import argmax_links
from fairseq_guided_align.forced_attention import heads_to_read
from fairseq_guided_align.guided_heads import GuidedHeads


class GuidedEnsembleModel(EnsembleModel):
    """fairseq's ensemble, whose attention is that of each model's guided heads, averaged over the models."""

    def __init__(self, models: List[torch.nn.Module]) -> None:
        super().__init__(models)
        self.guided: List[GuidedHeads] = [heads_to_read(model) for model in models]

    def forward_decoder(self, *args: Any, **kwargs: Any) -> Any:
        """One step of the search; attention (batch * beam, source) of the row that predicts the next token."""
        with ExitStack() as stack:
            readers = [
                stack.enter_context(AttentionReader(model, guided))
                for model, guided in zip(self.models, self.guided)
            ]
            log_probabilities, _ = super().forward_decoder(*args, **kwargs)
        attention = torch.stack([reader.attention()[:, -1, :] for reader in readers]).mean(dim=0)
        return log_probabilities, attention


class GuidedSequenceGenerator(SequenceGenerator):
    """``SequenceGenerator`` whose hypotheses carry the links of the guided heads.

    Each hypothesis gets ``attention`` (source, target), the guided one, with target token t's attention in column t,
    and ``alignment``, in the form that ``fairseq-generate`` prints: (source, target) pairs for ``hard``, one list of
    printed probabilities a target token for ``soft``.
    """

    def __init__(self, models: List[torch.nn.Module], tgt_dict: Any, print_alignment: str = "hard", **kwargs: Any):
        super().__init__(GuidedEnsembleModel(models), tgt_dict, **kwargs)
        self.print_alignment = print_alignment

    @torch.no_grad()
    def generate(self, models: Any, sample: Dict[str, Any], **kwargs: Any) -> List[List[Dict[str, Any]]]:
        """Translate a batch."""
        finalized = super()._generate(sample, **kwargs)
        source = sample["net_input"]["src_tokens"]
        for tokens, hypotheses in zip(source, finalized):
            for hypothesis in hypotheses:
                self._attach(tokens, hypothesis)
        return finalized

    def _attach(self, source: torch.Tensor, hypothesis: Dict[str, Any]) -> None:
        guided = self.model.guided[0]
        attention = hypothesis["attention"].t()
        if guided.position == "next":
            # the row after the last one, which read </s>, was never computed
            attention = torch.cat([attention[1:], attention[-1:]])
        hypothesis["attention"] = attention.t()
        real = source.ne(self.pad)
        matrix = attention[:, real.to(attention.device)].float().cpu().numpy()
        if self.print_alignment == "soft":
            hypothesis["alignment"] = [[f"{p:.6f}" for p in row] for row in matrix.tolist()]
            return
        ends_with_eos = hypothesis["tokens"].numel() > 0 and int(hypothesis["tokens"][-1]) == self.eos
        hypothesis["alignment"] = hard_alignment(matrix[:-1] if ends_with_eos else matrix, guided)


def hard_alignment(matrix: np.ndarray, guided: GuidedHeads) -> List[Any]:
    """(source, target) pairs of each target token's most likely source token.

    :param matrix: (target tokens without ``</s>``, source tokens with ``</s>``) probabilities.
    :param guided: with ``unlinked`` ``eos``, a token whose attention is on ``</s>`` has no link.
    """
    if guided.unlinked == "eos":
        return argmax_links(matrix, null_column=-1).pairs()
    return argmax_links(matrix[:, :-1]).pairs()
