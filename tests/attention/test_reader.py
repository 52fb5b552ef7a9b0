"""What is read from a Transformer: the right layers and heads, before dropout, in float32, changing nothing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import tiny_models
import torch
from stand_in import criterion

from fairseq_guided_align.attention.guided_heads import GuidedHeads, parse_indices
from fairseq_guided_align.attention.reader import (
    AttentionReader,
    check_has_attention,
    cross_attentions,
    find_decoder,
    heads_of_layers,
    returned_attention,
)
from fairseq_guided_align.errors import GuidedAlignError


def read(model: Any, layers: Any, heads: Any, reduction: str = "mean") -> tuple[list[torch.Tensor], Any]:
    guided = GuidedHeads.resolve(layers, heads, heads_of_layers(model), reduction)
    with AttentionReader(model, guided) as reader:
        output = model(**tiny_models.sample()["net_input"])
    return reader.attentions(), output


def computed(model: Any) -> list[torch.Tensor]:
    """(batch, head, target, source) of every layer, from the inputs of the cross-attention by its definition."""
    inputs: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []

    def keep(module: Any, args: Any, kwargs: Any) -> None:
        inputs.append((kwargs["query"], kwargs["key"], kwargs["key_padding_mask"]))

    modules = cross_attentions(model)
    hooks = [module.register_forward_pre_hook(keep, with_kwargs=True) for module in modules]
    model(**tiny_models.sample()["net_input"])
    for hook in hooks:
        hook.remove()
    found = []
    for module, (query, key, padding) in zip(modules, inputs):
        q = module.q_proj(query).unflatten(-1, (4, 4))
        k = module.k_proj(key).unflatten(-1, (4, 4))
        scores = torch.einsum("tbhd,sbhd->bhts", q, k) / 2
        if padding is not None:
            scores = scores.masked_fill(padding[:, None, None, :].bool(), -torch.inf)
        found.append(scores.softmax(dim=-1))
    return found


@pytest.mark.parametrize("arch", ["transformer", "transformer_align"])
def test_attention_of_every_layer_and_head(arch: str) -> None:
    model = tiny_models.model(arch, alignment_layer=0)
    wanted = computed(model)
    each, _ = read(model, None, None, "each")
    assert len(each) == 12
    for i, one in enumerate(each):
        torch.testing.assert_close(one, wanted[i // 4][:, i % 4])
    for layers, heads in (((0,), (0,)), ((-1,), (1, 3)), ((0, -1), (-1, 0))):
        (mean,), _ = read(model, layers, heads)
        parts = [wanted[layer][:, head] for layer in layers for head in heads]
        torch.testing.assert_close(mean, torch.stack(parts).mean(dim=0))


def test_what_the_model_returns_stays_the_same() -> None:
    model = tiny_models.model()
    plain = model(**tiny_models.sample()["net_input"])
    _, read_too = read(model, (0, 2), (1,))
    torch.testing.assert_close(read_too[0], plain[0])
    torch.testing.assert_close(read_too[1]["attn"][0], plain[1]["attn"][0])
    inputs = {**tiny_models.sample()["net_input"], "alignment_layer": 1, "alignment_heads": 2}
    guided = GuidedHeads.resolve((1,), (0, 1), heads_of_layers(model))
    stock = model(**inputs)[1]["attn"][0]
    with AttentionReader(model, guided) as reader:
        torch.testing.assert_close(model(**inputs)[1]["attn"][0], stock)
    # fairseq's own alignment_layer and alignment_heads name the same attention
    torch.testing.assert_close(reader.attention(), stock)


@pytest.mark.parametrize("asked", [{}, {"need_weights": True}, {"need_weights": False}, {"need_head_weights": True}])
def test_what_each_attention_module_returns_stays_the_same(asked: dict[str, bool]) -> None:
    model = tiny_models.model()
    module = cross_attentions(model)[0]
    query, key = torch.randn(3, 2, 16), torch.randn(4, 2, 16)

    def output() -> Any:
        return module(query=query, key=key, value=key, static_kv=True, **asked)

    attended, weights = output()
    with AttentionReader(model, GuidedHeads((0,), (0,))):
        read, also = output()
    torch.testing.assert_close(read, attended)
    assert (also is None) == (weights is None)
    if weights is not None:
        torch.testing.assert_close(also, weights)


def test_nothing_is_left_behind() -> None:
    model = tiny_models.model()
    reader = AttentionReader(model, GuidedHeads((0,), (0,)))
    with pytest.raises(RuntimeError, match="stop"), reader:
        raise RuntimeError("stop")
    for module in model.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks


def test_before_dropout_in_training() -> None:
    model = tiny_models.model(attention_dropout=0.9, dropout=0.5)
    (attention,), _ = read(model, (-1,), (0,))
    torch.testing.assert_close(attention.sum(dim=-1), torch.ones(3, 6))
    assert attention.requires_grad
    source = tiny_models.sample()["net_input"]["src_tokens"]
    assert not (attention * source.eq(1).unsqueeze(1)).any()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_single_precision_in_half_precision_models(dtype: torch.dtype) -> None:
    (attention,), output = read(tiny_models.model().to(dtype), (-1,), (0,))
    assert output[0].dtype == dtype
    assert attention.dtype == torch.float32
    torch.testing.assert_close(attention.sum(dim=-1), torch.ones(3, 6), rtol=1e-6, atol=1e-6)


def test_the_last_run_of_the_decoder_counts() -> None:
    model = tiny_models.model()
    guided = GuidedHeads((0,), (0,))
    sample = tiny_models.sample()["net_input"]
    with AttentionReader(model, guided) as reader:
        model(**sample)
        encoded = model.encoder(sample["src_tokens"], None)
        other = model.decoder(sample["prev_output_tokens"][:, :2], encoder_out=encoded)
    assert reader.attention().shape[:2] == (3, 2)
    assert other[0].shape[:2] == (3, 2)


def test_a_layer_that_did_not_run_is_named() -> None:
    model = tiny_models.model()
    with AttentionReader(model, GuidedHeads((1,), (0,))) as reader:
        pass
    with pytest.raises(GuidedAlignError, match=r"layers \[1\] are guided, but did not run"):
        reader.attentions()


def test_weights_that_are_not_those_of_each_head_are_refused() -> None:
    """torch's own attention, which fairseq takes without ``static_kv``, averages the heads after dropout."""
    model = tiny_models.model()
    module = cross_attentions(model)[0]
    query = torch.zeros(2, 1, 16)
    refused = pytest.raises(GuidedAlignError, match=r"decoder layer 0 .* gave \(1, 2, 2\)")
    with refused, AttentionReader(model, GuidedHeads((0,), (0,))):
        module(query=query, key=query, value=query)
    module.forward = lambda **inputs: (inputs["query"], None)  # type: ignore[method-assign, assignment]
    refused = pytest.raises(GuidedAlignError, match=r"decoder layer 0 .* gave NoneType")
    with refused, AttentionReader(model, GuidedHeads((0,), (0,))):
        module(query=query)


def test_found_under_wrappers() -> None:
    model = tiny_models.model()
    wrapped = SimpleNamespace(module=model)
    assert find_decoder(wrapped) is model.decoder  # type: ignore[arg-type]
    outer = torch.nn.Module()
    outer.module = torch.nn.Module()
    outer.module.module = model
    assert cross_attentions(outer) == cross_attentions(model)
    assert find_decoder(torch.nn.Linear(1, 1)) is None


# Refused at start-up


MODELS_WITHOUT = {
    "lstm": {
        "encoder_hidden_size": 16, "decoder_out_embed_dim": 16, "criterion": "guided_alignment_ce",
        "decoder_layers": 1,
    },
    "fconv": {
        "encoder_layers": "[(16, 3)]", "decoder_layers": "[(16, 3)]", "decoder_attention": "True",
        "decoder_out_embed_dim": 16,
    },
}  # fmt: skip


@pytest.mark.parametrize("arch", MODELS_WITHOUT)
def test_models_without_usable_attention(arch: str) -> None:
    model = tiny_models.model(arch, **MODELS_WITHOUT[arch])
    with pytest.raises(GuidedAlignError, match="cross-attention of a Transformer decoder"):
        check_has_attention(model)


def test_convolutions_with_a_transformers_cross_attention_can_be_guided() -> None:
    model = tiny_models.model(
        "lightconv", encoder_kernel_size_list=[3], decoder_kernel_size_list=[3, 3, 3], encoder_conv_dim=16,
        decoder_conv_dim=16, encoder_conv_type="lightweight", decoder_conv_type="lightweight",
        weight_softmax=True, weight_dropout=0.0,
    )  # fmt: skip
    loss, _, log = criterion(tiny_models.task())(model, tiny_models.sample())
    loss.backward()
    assert float(log["alignment_loss"]) > 0


def test_a_frozen_decoder_is_refused() -> None:
    model = tiny_models.model()
    model.requires_grad_(False)
    with pytest.raises(GuidedAlignError, match="no gradient flows"):
        criterion(tiny_models.task())(model, tiny_models.sample())
    criterion(tiny_models.task())(model.eval(), tiny_models.sample())


@pytest.mark.parametrize(
    ("layers", "heads", "message"),
    [
        ((3,), (0,), "--guided-alignment-layers: this model has 3 decoder layers, so an index lies in -3..2; got 3"),
        ((-4,), (0,), "got -4"),
        ((0,), (4,), "--guided-alignment-heads: this model has 4 heads in a layer"),
        ((0, -3), (0,), "may be named once"),
        ((0,), (1, 1), "may be named once"),
    ],
)
def test_layers_and_heads_that_are_not_there(layers: Any, heads: Any, message: str) -> None:
    with pytest.raises(GuidedAlignError, match=message):
        GuidedHeads.resolve(layers, heads, [4, 4, 4])


def test_indices() -> None:
    assert parse_indices("-2,-1", "x") == (-2, -1)
    assert parse_indices("0", "x") == (0,)
    assert parse_indices(" all ", "x") is None
    assert parse_indices(None, "x") is None
    for bad in ("", "a", "1,,2", "0.5"):
        with pytest.raises(GuidedAlignError, match="--opt: expected whole numbers"):
            parse_indices(bad, "--opt")


# Options


def cost(**options: str) -> float:
    guided = criterion(tiny_models.task(), **options)
    return float(guided(tiny_models.model(), tiny_models.sample())[2]["alignment_loss"])


LOSSES = {
    "layers": {"guided_alignment_layers": "-1"},
    "heads": {"guided_alignment_heads": "1"},
    "reduction": {"guided_alignment_layers": "0,1", "guided_alignment_reduction": "each"},
    "mean": {"guided_alignment_layers": "0,1"},
    "default": {},
}


def test_layers_heads_and_reduction_change_the_cost() -> None:
    costs = {name: cost(**options) for name, options in LOSSES.items()}
    assert len(set(costs.values())) == len(costs), costs
    assert cost(guided_alignment_layers="-2", guided_alignment_heads="0") == costs["default"]


def test_each_is_the_mean_of_the_heads_costs() -> None:
    both = cost(guided_alignment_heads="0,1", guided_alignment_reduction="each")
    one, other = cost(guided_alignment_heads="0"), cost(guided_alignment_heads="1")
    assert both == pytest.approx((one + other) / 2, rel=1e-6)


def test_the_choice_survives_a_models_configuration() -> None:
    guided = GuidedHeads((0, 2), (1, 3), "each", "next", "eos")
    kept = SimpleNamespace()
    guided.store(kept)
    assert GuidedHeads.stored(kept) == guided
    assert not hasattr(kept, "alignment_layer")
    first = GuidedHeads((1,), (0, 1))
    first.store(kept)
    assert (kept.alignment_layer, kept.alignment_heads) == (1, 2)
    assert GuidedHeads.stored(SimpleNamespace()) is None


# Returned by the model


def test_returned_attention_is_understood() -> None:
    attention = torch.ones(2, 3, 4)
    for extra in (attention, [attention], (attention, None)):
        assert returned_attention((None, {"attn": extra})) is attention
    extras = (None, {}, {"attn": []}, {"attn": torch.ones(3, 4)})
    for output in (attention, (attention,), *((None, extra) for extra in extras)):
        with pytest.raises(GuidedAlignError, match="'attn'"):
            returned_attention(output)
