"""``--vocabulary-softmax``: chunks where the model allows them, and then the same training as without."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tiny_models
import torch
from conftest import MadeUpData
from fairseq_runs import of_logger, train
from stand_in import PAD, criterion
from torch import nn

from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.losses import chunked_cross_entropy, output_projection, vocabulary_softmax
from fairseq_guided_align.losses.output_projection import ProjectionToLoss, find_output_projection
from fairseq_guided_align.losses.vocabulary_softmax import VocabularySoftmax

MODELS: dict[str, dict[str, Any]] = {
    "transformer": {},
    "tied": {"arch": "transformer", "share_decoder_input_output_embed": True},
    "all tied": {"arch": "transformer", "share_all_embeddings": True},
    "projected": {"arch": "transformer", "decoder_output_dim": 8, "decoder_input_dim": 8},
    "transformer_align": {"alignment_layer": 1, "alignment_heads": 2},
    "full context": {"arch": "transformer_align", "full_context_alignment": True, "alignment_layer": 1},
    "bart_base": {"encoder_layerdrop": 0.0},
}


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of 4 tokens of the tiny batch's 18."""
    monkeypatch.setitem(chunked_cross_entropy.CHUNK_ROWS, "cpu", (1, 4))


def model(name: str) -> Any:
    options = dict(MODELS[name])
    return tiny_models.model(options.pop("arch", name), **options).double()


def outcome(
    model: Any, softmax: str, train: bool = True, **options: Any
) -> tuple[float, dict[str, float], dict[str, Any]]:
    """Loss, log and gradients."""
    model.zero_grad()
    model.train(train)
    with torch.set_grad_enabled(train):
        loss, _, log = criterion(tiny_models.task(), vocabulary_softmax=softmax, label_smoothing=0.1, **options)(
            model, tiny_models.sample()
        )
    if train:
        loss.backward()
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return loss.item(), {key: float(value) for key, value in log.items()}, gradients


OPTIONS: list[dict[str, Any]] = [
    {},
    {"guided_alignment_weight": 0.0, "ignore_prefix_size": 2, "report_accuracy": True},
    {"guided_alignment_type": "mse", "guided_alignment_position": "next", "sentence_avg": True},
    {"guided_alignment_normalization": "opennmt-tf", "report_accuracy": True},
]


@pytest.mark.parametrize("name", MODELS)
def test_the_same_loss_log_and_gradients(name: str) -> None:
    """Every model with guidance; one with every choice of options, which change nothing about the models."""
    for options in OPTIONS if name == "transformer" else OPTIONS[:1]:
        check_the_same(model(name), options)


def check_the_same(one: Any, options: dict[str, Any]) -> None:
    full = outcome(one, "full", **options)
    full = (*full[:2], {key: value.clone() for key, value in full[2].items()})
    chunked = outcome(one, "chunked", **options)
    # fairseq's log_softmax is in single precision, whatever the model's is
    assert chunked[0] == pytest.approx(full[0], rel=1e-6)
    assert chunked[1] == pytest.approx(full[1], rel=1e-6)
    assert chunked[2].keys() == full[2].keys()
    torch.testing.assert_close(chunked[2], full[2], rtol=1e-5, atol=1e-6)
    assert outcome(one, "chunked", train=False, **options)[1] == pytest.approx(
        outcome(one, "full", train=False, **options)[1], rel=1e-6
    )


def test_one_loss_a_token_where_no_gradients_are_wanted() -> None:
    one = model("tied").eval()
    with torch.no_grad():
        full, chunked = (
            criterion(tiny_models.task(), vocabulary_softmax=softmax)(one, tiny_models.sample(), reduce=False)[0]
            for softmax in ("full", "chunked")
        )
    assert chunked.shape == (18,)
    torch.testing.assert_close(chunked, full, rtol=1e-6, atol=1e-6, check_dtype=False)


def test_one_loss_a_token_with_gradients() -> None:
    gradients = []
    for softmax in ("full", "auto"):
        one = model("transformer")
        losses = criterion(tiny_models.task(), vocabulary_softmax=softmax)(one, tiny_models.sample(), reduce=False)[0]
        assert losses.shape == (18,)
        losses[3].backward()
        gradients.append(one.decoder.output_projection.weight.grad)
    assert gradients[0].any()
    torch.testing.assert_close(gradients[1], gradients[0])


def test_chunks_are_taken_where_no_gradient_of_one_token_is_wanted() -> None:
    softmax = VocabularySoftmax("auto", 0.1, PAD, False)
    target = tiny_models.sample()["target"]

    def in_chunks(summed: bool) -> bool:
        return softmax.in_forward_pass(model("tied"), target, summed) is not None

    assert in_chunks(summed=True)
    assert not in_chunks(summed=False)
    with torch.no_grad():
        assert in_chunks(summed=True)
        assert in_chunks(summed=False)


def test_padding_is_no_correct_token() -> None:
    target = torch.tensor([[4, PAD], [5, 6]])
    logits = nn.functional.one_hot(torch.tensor([[4, PAD], [5, 5]]), 9).double()
    loss = VocabularySoftmax("full", 0.1, PAD, True).of_logits(nn.Module(), (logits, {}), target)
    assert loss.correct is not None
    assert int(loss.correct) == 2


class OwnForward(type(tiny_models.model())):  # type: ignore[misc]
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        logits, extra = super().forward(*args, **kwargs)
        return logits * 2, extra


def with_own_forward() -> Any:
    one = model("tied")
    one.__class__ = OwnForward
    return one


def with_hook() -> Any:
    one = model("tied")
    one.decoder.output_projection.register_forward_hook(lambda *_: None)
    return one


def with_adaptive_softmax() -> Any:
    return tiny_models.model("transformer", adaptive_softmax_cutoff="5,9").double()


def with_other_projection() -> Any:
    one = model("transformer")
    one.decoder.output_projection = nn.Sequential(one.decoder.output_projection)
    return one


REFUSED = {
    with_own_forward: "OwnForward has a method forward of its own",
    with_hook: "hooks on the output projection expect logits",
    with_adaptive_softmax: "the model has an adaptive softmax",
    with_other_projection: "the output projection is a Sequential, no plain matrix product",
}


@pytest.mark.parametrize("build", REFUSED)
def test_models_that_need_their_logits(build: Any, caplog: pytest.LogCaptureFixture) -> None:
    one = build()
    assert find_output_projection(one) == REFUSED[build]
    with pytest.raises(GuidedAlignError, match=f"chunked is not possible: {REFUSED[build]}; use --vocabulary-softmax"):
        outcome(one, "chunked")
    full = outcome(one, "full", train=False)[0]
    with caplog.at_level("INFO", "fairseq_guided_align"):
        assert outcome(one, "auto", train=False)[0] == full
    assert f"vocabulary softmax: on all target tokens at once ({REFUSED[build]})" in caplog.text


def test_hooks_that_expect_logits() -> None:
    """With chunks, they would be passed over or given the loss."""
    for kind in ("forward_hook", "full_backward_hook", "full_backward_pre_hook"):
        check_hooks(kind, model("tied"))


def check_hooks(kind: str, one: Any) -> None:
    wrapped = DataParallel(one)
    for module in (wrapped, one, one.decoder, one.decoder.output_projection):
        handle = getattr(module, f"register_{kind}")(lambda *_: None)
        name = "the output projection" if isinstance(module, nn.Linear) else type(module).__name__
        assert find_output_projection(wrapped) == f"hooks on {name} expect logits"
        handle.remove()
    handle = getattr(nn.modules.module, f"register_module_{kind}")(lambda *_: None)
    try:
        assert find_output_projection(one) == "hooks on every module expect logits"
    finally:
        handle.remove()
    one.decoder.layers[0].register_forward_hook(lambda *_: None)
    one.register_forward_pre_hook(lambda *_: None)
    assert find_output_projection(wrapped) is one.decoder.output_projection


def test_a_hook_that_changes_the_logits_is_heeded() -> None:
    one = model("tied")
    one.register_forward_hook(lambda module, inputs, output: (output[0] / 2, output[1]))
    assert outcome(one, "auto")[0] == outcome(one, "full")[0]


def test_methods_replaced_in_one_object() -> None:
    for name in ("forward", "output_layer", "get_normalized_probs", "get_normalized_probs_scriptable"):
        one = model("tied")
        setattr(one.decoder, name, lambda *_, **__: None)
        assert find_output_projection(one) == f"{type(one.decoder).__name__} has a method {name} of its own"


def test_a_replaced_forward_of_the_projection_stays() -> None:
    one = model("tied")
    projection = one.decoder.output_projection
    projection.forward = own = lambda features: nn.Linear.forward(projection, features) / 2
    assert find_output_projection(one) == "the output projection's method forward has been replaced"
    assert outcome(one, "auto")[0] == outcome(one, "full")[0]
    assert projection.forward is own


class FullyShardedDataParallel(nn.Module):
    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module


class DataParallel(FullyShardedDataParallel):
    """Like torch's and fairseq's wrappers."""


class OwnOutputLayer(type(tiny_models.model().decoder)):  # type: ignore[misc]
    def output_layer(self, features: torch.Tensor) -> torch.Tensor:
        return super().output_layer(features) / 2


class NoDecoder(nn.Module):
    pass


def test_wrappers_and_other_decoders() -> None:
    one = model("tied")
    projection = one.decoder.output_projection
    assert find_output_projection(DataParallel(DataParallel(one))) is projection
    reason = "fully sharded data parallelism gathers the output weights itself"
    assert find_output_projection(DataParallel(FullyShardedDataParallel(one))) == reason
    assert find_output_projection(NoDecoder()) == "NoDecoder has no decoder"
    one.decoder.__class__ = OwnOutputLayer
    assert find_output_projection(one) == "OwnOutputLayer has a method output_layer of its own"
    one.decoder = NoDecoder()
    assert find_output_projection(one) == "NoDecoder is no Transformer decoder of fairseq's"
    one = model("tied")
    one.get_normalized_probs = lambda *_: None
    assert find_output_projection(one) == f"{type(one).__name__} has a method get_normalized_probs of its own"
    one = model("tied")
    projection = one.decoder.output_projection
    projection.register_forward_pre_hook(lambda *_: None)
    assert find_output_projection(one) == "hooks on the output projection expect logits"


def test_the_model_returns_the_loss_in_place_of_logits() -> None:
    """Wrappers of data parallelism see from what a model returns which parameters it used."""
    one, sample = model("tied"), tiny_models.sample()
    with ProjectionToLoss(one.decoder.output_projection, sample["target"], 0.1, 1, False) as to_loss:
        assert to_loss.loss is None
        returned = one(**sample["net_input"])[0]
    assert to_loss.loss is not None
    assert returned is to_loss.loss.total


def test_a_forward_pass_without_the_projection() -> None:
    one, sample = model("tied"), tiny_models.sample()
    sample["net_input"]["features_only"] = True
    with pytest.raises(GuidedAlignError, match="did not use its output projection in this forward pass; use --voc"):
        criterion(tiny_models.task(), vocabulary_softmax="auto")(one, sample)


def test_weights_that_chunks_cannot_use(monkeypatch: pytest.MonkeyPatch) -> None:
    one = model("tied")
    asked: list[torch.Tensor] = []
    monkeypatch.setattr(output_projection, "why_not_in_chunks", lambda weight: (asked.append(weight), "no")[1])
    assert find_output_projection(one) == "no"
    assert asked[0] is one.decoder.output_projection.weight


def test_the_projection_is_itself_again_after_an_error() -> None:
    one = model("tied")
    before = one.decoder.output_projection.forward
    wrong = ProjectionToLoss(one.decoder.output_projection, torch.ones(3, 6, dtype=torch.long), 0.1, 1, False)
    with pytest.raises(GuidedAlignError) as raised, wrong:
        one.decoder.output_projection(torch.ones(2, 6, 16, dtype=torch.double))
    assert str(raised.value) == (
        "the output projection was given (2, 6, 16) for (batch, target, features), but the targets are (3, 6); use "
        "--vocabulary-softmax full"
    )
    assert one.decoder.output_projection.forward == before


def test_trains_as_without_and_says_so_once(
    made_up: MadeUpData, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    logs, said = [], []
    for way in ("auto", "full"):
        caplog.clear()
        with caplog.at_level("INFO", "fairseq_guided_align"):
            logs.append(
                train(made_up.binarised, tmp_path / way, "--vocabulary-softmax", way, "--report-accuracy", updates=8)
            )
        said.append([record.message for record in caplog.records if "vocabulary softmax" in record.message])
    assert said == [
        ["vocabulary softmax: in chunks of target tokens, without the matrix of [tokens, vocabulary]"],
        ["vocabulary softmax: on all target tokens at once (as --vocabulary-softmax asks)"],
    ]
    for figure in ("loss", "nll_loss", "alignment_loss", "accuracy", "gnorm"):
        chunked, full = (of_logger(log, "train_inner", figure) for log in logs)
        assert len(chunked) > 5
        assert chunked == pytest.approx(full, rel=2e-3)
    valid = [of_logger(log, "valid", "valid_loss") for log in logs]
    assert valid[0] == pytest.approx(valid[1], rel=1e-3)


def test_the_log_says_how_a_gpu_computes_the_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    on_gpu = SimpleNamespace(weight=SimpleNamespace(device=torch.device("cuda"), dtype=torch.float16), bias=None)
    for reason, said in ((None, ", by our own kernel"), ("no triton", ", by torch's operators (no triton)")):
        monkeypatch.setattr(vocabulary_softmax, "why_not_by_kernel", lambda *_, reason=reason: reason)
        assert vocabulary_softmax._way_between_products(on_gpu) == said  # type: ignore[arg-type]
    assert vocabulary_softmax._way_between_products(nn.Linear(2, 3)) == ""
