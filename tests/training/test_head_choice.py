"""Which heads are guided: our options, the model's own, and what the model has."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest
import tiny_models
import torch
from stand_in import PlainModel

from fairseq_guided_align.attention.guided_heads import GuidedHeads
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.training.criterion_options import GuidedAlignmentCrossEntropyConfig
from fairseq_guided_align.training.head_choice import choose_heads


def chosen(own: dict[str, int] | None = None, decoder_layers: int = 3, **options: Any) -> GuidedHeads:
    """Of a decoder of so many layers with 4 heads, whose configuration holds ``own``."""
    cfg = GuidedAlignmentCrossEntropyConfig(**{f"guided_alignment_{key}": value for key, value in options.items()})
    return choose_heads(
        cfg, tiny_models.model(decoder_layers=decoder_layers), None if own is None else SimpleNamespace(**own)
    )


@pytest.mark.parametrize(
    ("own", "layers", "options", "wanted"),
    [
        (None, 3, {}, ((1,), (0,))),
        (None, 1, {}, ((0,), (0,))),
        ({}, 3, {}, ((1,), (0,))),
        ({"alignment_layer": 1}, 3, {}, ((1,), (0,))),
        ({"alignment_layer": -3, "alignment_heads": 2}, 3, {}, ((0,), (0, 1))),
        ({"alignment_heads": 4}, 3, {}, ((1,), (0, 1, 2, 3))),
        ({"alignment_layer": 1, "alignment_heads": 2}, 3, {"layers": "0"}, ((0,), (0, 1))),
        ({"alignment_layer": 1, "alignment_heads": 2}, 3, {"heads": "3"}, ((1,), (3,))),
        ({"alignment_layer": 1, "alignment_heads": 2}, 3, {"layers": "all", "heads": "-1,0"}, ((0, 1, 2), (0, 3))),
        # fairseq's default, which is nobody's choice where the decoder has no such layer
        ({"alignment_layer": 4}, 3, {}, ((1,), (0,))),
        ({"alignment_layer": 4}, 4, {}, ((2,), (0,))),
        ({"alignment_layer": 4}, 6, {}, ((4,), (0,))),
    ],
)
def test_our_options_come_first(
    own: dict[str, int] | None, layers: int, options: dict[str, str], wanted: tuple[Any, Any]
) -> None:
    found = chosen(own, layers, **options)
    assert (found.layers, found.heads) == wanted
    assert (found.reduction, found.position, found.unlinked) == ("mean", "same", "ignore")


def test_the_way_of_reading_is_part_of_it() -> None:
    how = {"reduction": "each", "position": "next", "unlinked": "eos"}
    found = chosen(**how)
    assert {key: getattr(found, key) for key in how} == how


@pytest.mark.parametrize(
    ("own", "options", "message"),
    [
        ({"alignment_layer": 3}, {}, "^--alignment-layer: this model has 3 decoder layers"),
        ({"alignment_layer": 1}, {"layers": "3"}, "^--guided-alignment-layers: this model has 3 decoder layers"),
        ({"alignment_layer": 1}, {"heads": "4"}, "^--guided-alignment-heads: this model has 4 heads"),
        ({"alignment_heads": 5}, {}, r"^--alignment-heads: expected a number of heads in 1\.\.4.*; got 5"),
        ({"alignment_heads": 0}, {}, r"^--alignment-heads: expected a number of heads in 1\.\.4.*; got 0"),
    ],
)
def test_errors_name_the_option_that_chose(own: dict[str, int], options: dict[str, str], message: str) -> None:
    with pytest.raises(GuidedAlignError, match=message):
        chosen(own, **options)


def test_a_model_without_cross_attention_modules_returns_what_is_guided(caplog: pytest.LogCaptureFixture) -> None:
    model = PlainModel(torch.zeros(1, 1, 1), torch.ones(1, 1, 1))
    cfg = GuidedAlignmentCrossEntropyConfig(guided_alignment_position="next", guided_alignment_unlinked="eos")
    with caplog.at_level(logging.WARNING, "fairseq_guided_align"):
        found = choose_heads(cfg, model, None)
    assert found == GuidedHeads((), (), "mean", "next", "eos")
    assert not caplog.records
    cfg.guided_alignment_heads = "1"
    with caplog.at_level(logging.WARNING, "fairseq_guided_align"):
        assert choose_heads(cfg, model, None) == found
    (record,) = caplog.records
    assert record.getMessage().startswith("--guided-alignment-heads cannot be followed: the model has no cross-att")
