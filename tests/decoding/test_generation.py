"""Which attention the hypotheses of a search or of scored references carry, of models in memory."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
import tiny_models
import torch

from fairseq_guided_align.attention.guided_heads import GuidedHeads
from fairseq_guided_align.attention.reader import cross_attentions
from fairseq_guided_align.decoding.generation import GuidedSequenceGenerator, GuidedSequenceScorer, heads_of_ensemble
from fairseq_guided_align.decoding.printed_alignment import PrintedForm
from fairseq_guided_align.errors import GuidedAlignError


def lstm() -> Any:
    return tiny_models.model("lstm", encoder_hidden_size=16, decoder_out_embed_dim=16, decoder_layers=1, criterion="")


@pytest.mark.parametrize(
    ("other", "refused"),
    [
        ({}, None),
        ({"position": "next"}, "need the same --guided-alignment-position and --guided-alignment-unlinked"),
        ({"unlinked": "eos"}, "need the same --guided-alignment-position and --guided-alignment-unlinked"),
        (None, "a Transformer cannot be averaged with that of a model without cross-attention; got .*, LSTMModel"),
    ],
)
def test_what_an_ensemble_can_average(other: dict[str, str] | None, refused: str | None) -> None:
    models = [tiny_models.model(), tiny_models.model()]
    models[0].guided_heads = GuidedHeads((0,), (1,))
    if other is None:
        models[1] = lstm()
    else:
        models[1].guided_heads = GuidedHeads((2,), (0, 3), **other)
    with nullcontext() if refused is None else pytest.raises(GuidedAlignError, match=refused):
        assert heads_of_ensemble(models) == [model.guided_heads for model in models]


@pytest.fixture
def foreign() -> Any:
    """A model that is not fairseq's and returns its attention, (batch, target, source), beside its logits."""
    model = lstm().eval()
    with torch.no_grad():
        for weights in model.parameters():
            weights.mul_(8)  # so that attention differs from one token to the next
    decoder = type(model.decoder)
    model.decoder.__class__ = type("Decoder", (decoder,), {"__module__": "elsewhere"})
    assert not cross_attentions(model)
    return model


@pytest.fixture
def sample() -> dict[str, Any]:
    """Without the column of padding alone, which an LSTM does not take; decoders begin with ``</s>``, as fairseq's."""
    found = tiny_models.sample()
    net_input = found["net_input"]
    net_input["src_tokens"] = net_input["src_tokens"][:, 1:]
    net_input["prev_output_tokens"][:, 0] = tiny_models.task().target_dictionary.eos()
    return found


def attention_of_each(model: Any, sample: dict[str, Any], tokens: list[torch.Tensor]) -> list[torch.Tensor]:
    """(source, target) of each sentence, by forced passes of one target after the other."""
    found = []
    for sentence, target in enumerate(tokens):
        previous = target.roll(1).expand(len(tokens), -1)
        found.append(model(**{**sample["net_input"], "prev_output_tokens": previous})[1][sentence].t())
    return found


def check_attention(model: Any, sample: dict[str, Any], hypotheses: list[dict[str, Any]]) -> None:
    """Of one hypothesis of each sentence."""
    wanted = attention_of_each(model, sample, [one["tokens"] for one in hypotheses])
    assert len(hypotheses) == len(wanted) == 3
    for one, attention in zip(hypotheses, wanted):
        torch.testing.assert_close(one["attention"], attention)


@torch.no_grad()
def test_scored_references_of_a_foreign_model_carry_what_it_returns(foreign: Any, sample: dict[str, Any]) -> None:
    words = tiny_models.task().target_dictionary
    scored = GuidedSequenceScorer(words, words, PrintedForm("soft")).generate([foreign], sample)
    check_attention(foreign, sample, [one[0] for one in scored])


@torch.no_grad()
def test_translations_of_a_foreign_model_carry_what_it_returns(foreign: Any, sample: dict[str, Any]) -> None:
    words = tiny_models.task().target_dictionary
    generator = GuidedSequenceGenerator([foreign], words, words, PrintedForm("soft"), beam_size=2, max_len_b=6)
    translated = generator.generate([foreign], sample)
    for rank in range(2):
        check_attention(foreign, sample, [one[rank] for one in translated])
