"""Attention of given sentence pairs as a slow loop over sentences and decoder layers, and fairseq's printed output.

Nothing of the package reads the attention here: each decoder layer is called by hand, one sentence at a time.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from reference import SHIFT

import fairseq_guided_align


@dataclass(frozen=True)
class Hypothesis:
    """One printed hypothesis: words of source and hypothesis, and what follows ``A-`` (None: not printed)."""

    number: int
    source: list[str]
    words: list[str]
    alignment: str | None

    def pairs(self) -> list[tuple[int, int]]:
        assert self.alignment is not None
        return [tuple(map(int, pair.split("-"))) for pair in self.alignment.split()]  # type: ignore[misc]

    def weights(self) -> dict[tuple[int, int], float]:
        """Links of interactive's soft form."""
        assert self.alignment is not None
        return {(int(s), int(t)): float(p) for s, t, p in re.findall(r"(\d+)-(\d+):(\S+)", self.alignment)}

    def matrix(self) -> np.ndarray:
        """Rows of generate's soft form, (target with ``</s>``, source with ``</s>``)."""
        assert self.alignment is not None
        return np.array([[float(p) for p in row.split(",")] for row in self.alignment.split()])


def printed(output: str) -> list[Hypothesis]:
    """The hypotheses that ``fairseq-generate`` or ``fairseq-interactive`` printed, in their order."""
    found: list[Hypothesis] = []
    source: list[str] = []
    for line in output.splitlines():
        kind, _, rest = line.partition("-")
        number, _, text = rest.partition("\t")
        if kind == "S" and number.isdigit():
            source = text.split(" ")
        elif kind == "H" and number.isdigit():
            found.append(Hypothesis(int(number), source, text.split("\t")[1].split(" "), None))
        elif kind == "A" and number.isdigit():
            last = found.pop()
            found.append(Hypothesis(last.number, last.source, last.words, text))
    return found


class SlowModels:
    """Models whose attention is computed one sentence and one layer at a time.

    :param layers: of the heads whose probabilities are averaged.
    :param position: one of ``SHIFT``.
    :param lang_pair: of models of several language pairs.
    """

    def __init__(
        self,
        checkpoints: Sequence[Path],
        layers: Sequence[int] = (1,),
        heads: Sequence[int] = (0,),
        position: str = "same",
        full_context: bool = False,
        lang_pair: str | None = None,
    ) -> None:
        fairseq_guided_align.register()
        from fairseq import checkpoint_utils

        overrides = dict(zip(("source_lang", "target_lang"), lang_pair.split("-") if lang_pair else ()))
        self.models, _, self.task = checkpoint_utils.load_model_ensemble_and_task(
            [str(one) for one in checkpoints], overrides
        )
        self.last = self.first = self.task.target_dictionary.eos()
        if lang_pair:
            self.models = [model.models[lang_pair] for model in self.models]
            self.last = self.task.get_encoder_langtok(*lang_pair.split("-"))
            self.first = self.task.get_decoder_langtok(lang_pair.split("-")[1])
        self.layers, self.heads, self.shift, self.full_context = layers, heads, SHIFT[position], full_context

    def matrix(self, source: Sequence[str], target: Sequence[str]) -> np.ndarray:
        """(target words + ``</s>``, source words + ``</s>``) probabilities; the last row stands for those below it."""
        mean = np.mean([self._of_model(model.eval(), source, target) for model in self.models], axis=0)
        return mean[[min(t + self.shift, len(mean) - 1) for t in range(len(mean))]]

    @torch.no_grad()
    def _of_model(self, model: Any, source: Sequence[str], target: Sequence[str]) -> np.ndarray:
        source_dictionary, dictionary = self.task.source_dictionary, self.task.target_dictionary
        tokens = torch.tensor([[*(source_dictionary.index(word) for word in source), self.last]])
        previous = torch.tensor([[self.first, *(dictionary.index(word) for word in target)]])
        encoded = model.encoder(tokens, torch.tensor([tokens.size(1)]))
        decoder = model.decoder
        x = decoder.embed_scale * decoder.embed_tokens(previous)
        x = (x + decoder.embed_positions(previous)).transpose(0, 1)
        if decoder.layernorm_embedding is not None:
            x = decoder.layernorm_embedding(x)
        mask = None if self.full_context else torch.triu(torch.full((len(x), len(x)), float("-inf")), 1)
        chosen = []
        for number, layer in enumerate(decoder.layers):
            x, attention, _ = layer(
                x, encoded["encoder_out"][0], None, self_attn_mask=mask, need_attn=True, need_head_weights=True
            )
            if number in self.layers:
                chosen += [attention[head, 0].numpy() for head in self.heads]
        return np.mean(chosen, axis=0)


def likeliest(matrix: np.ndarray, unlinked: str) -> list[tuple[int, int]]:
    """(source, target) of each target word's likeliest source word, by a loop.

    :param matrix: with the rows and columns of ``</s>``.
    """
    found = []
    end_is_a_choice = {"ignore": False, "eos": True}[unlinked]
    for t, row in enumerate(matrix[:-1]):
        best = max(range(len(row) - (not end_is_a_choice)), key=lambda s: row[s])
        if best < len(row) - 1:
            found.append((best, t))
    return found
