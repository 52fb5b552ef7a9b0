"""Half-precision models and training: finite, and a link is worth the same however small its attention is."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tiny_models
import torch
from conftest import MadeUpData
from fairseq import utils
from fairseq.modules import MultiheadAttention
from fairseq.trainer import Trainer
from fairseq_runs import hydra_train, of_logger, train
from stand_in import batch, criterion

HALF = [torch.float16, torch.bfloat16]
KINDS = [("ce", "tokens"), ("mse", "tokens"), ("ce", "opennmt-tf"), ("mse", "opennmt-tf")]


def converted(sample: dict[str, Any], dtype: torch.dtype) -> dict[str, Any]:
    """The sample as fairseq's trainer casts it."""
    common = SimpleNamespace(fp16=dtype == torch.float16, bf16=dtype == torch.bfloat16)
    return Trainer._fp_convert_sample(SimpleNamespace(cfg=SimpleNamespace(common=common)), sample)


def backward(
    model: Any, sample: dict[str, Any], scale: float = 1.0, **options: Any
) -> tuple[float, dict[str, torch.Tensor]]:
    """Alignment loss, and the gradients of the whole loss, unscaled."""
    model.zero_grad()
    loss, _, log = criterion(tiny_models.task(), **options)(model, sample)
    (loss * scale).backward()
    grads = {name: p.grad.double() / scale for name, p in model.named_parameters() if p.grad is not None}
    return float(log["alignment_loss"]), grads


@pytest.mark.parametrize("dtype", HALF)
def test_close_to_double_precision(dtype: torch.dtype) -> None:
    half, exact = tiny_models.model().to(dtype), tiny_models.model()
    exact.load_state_dict(half.state_dict())
    exact.double()
    for type, normalization in KINDS:
        options = {"guided_alignment_type": type, "guided_alignment_normalization": normalization}
        cost, grads = backward(half, converted(tiny_models.sample(), dtype), **options)
        wanted, exact_grads = backward(exact, tiny_models.sample(), **options)
        error = torch.finfo(dtype).eps
        assert cost == pytest.approx(wanted, rel=20 * error)
        name = "decoder.layers.2.encoder_attn.q_proj.bias"
        difference = (grads[name] - exact_grads[name]).norm() / exact_grads[name].norm()
        assert difference < 20 * error


class OneAttention(torch.nn.Module):
    """fairseq's cross-attention alone, over two source tokens, one of which has ``gap`` nats less."""

    def __init__(self, gap: float) -> None:
        super().__init__()
        attention = MultiheadAttention(4, 1, encoder_decoder_attention=True)
        for projection in (attention.q_proj, attention.k_proj):
            torch.nn.init.eye_(projection.weight)
            torch.nn.init.zeros_(projection.bias)
        self.decoder = torch.nn.Module()
        self.decoder.layers = torch.nn.ModuleList([torch.nn.Module()])
        self.decoder.layers[0].encoder_attn = attention
        # each number stays small in half precision: scores are query * key / sqrt(4)
        size = math.sqrt(gap)
        self.query = torch.nn.Parameter(torch.tensor([size, 0, 0, 0]).expand(2, 1, 4).clone())
        self.key = torch.nn.Parameter(torch.tensor([[[-size, 0, 0, 0]], [[size, 0, 0, 0]]]))
        self.logits = torch.nn.Parameter(torch.zeros(1, 2, 5))

    def forward(self, **net_input: Any) -> Any:
        self.decoder.layers[0].encoder_attn(
            query=self.query, key=self.key, value=self.key, static_kv=True, need_weights=False
        )
        return self.logits, {}


def link_to_the_unlikely_one(dtype: torch.dtype) -> dict[str, Any]:
    return converted(batch([[4, 2]], [2], [[(0, 0, 1.0)]], 2, 2), dtype)


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("scale", [1.0, 2.0**12])
def test_a_link_with_an_attention_of_a_millionth_of_a_millionth(dtype: torch.dtype, scale: float) -> None:
    model = OneAttention(-math.log(1e-12)).to(dtype)
    cost, grads = backward(model, link_to_the_unlikely_one(dtype), scale)
    # what fairseq's decoder hands out would have lost it
    assert torch.tensor(1e-12).half() == 0
    assert cost == pytest.approx(-math.log(1e-12), rel=0.01)
    # d(-log p_0) / d query = (p_0 - 1) key_0 / 2 + p_1 key_1 / 2 = key_1 on its only number
    wanted = torch.zeros(2, 1, 4, dtype=torch.float64)
    wanted[0, 0, 0] = float(model.key[1, 0, 0].detach())
    torch.testing.assert_close(grads["query"], wanted, rtol=0.01, atol=0)


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize(("type", "normalization"), KINDS)
def test_nothing_becomes_infinite_or_nan(dtype: torch.dtype, type: str, normalization: str) -> None:
    options = {"guided_alignment_type": type, "guided_alignment_normalization": normalization}
    for gap in (0.0, 30.0, 80.0, 88.0, 100.0, 1000.0, 30000.0):
        for scale in (1.0, 2.0**8):
            cost, grads = backward(OneAttention(gap).to(dtype), link_to_the_unlikely_one(dtype), scale, **options)
            assert math.isfinite(cost), (gap, scale)
            assert all(torch.isfinite(one).all() for one in grads.values()), (gap, scale)


@pytest.mark.parametrize("dtype", HALF)
def test_the_trainers_cast_leaves_the_links_alone(dtype: torch.dtype) -> None:
    sample = tiny_models.sample()
    sample["link_weights"][:] = 0.1
    cast = converted(sample, dtype)
    for key in ("alignments", "align_weights", "link_weights"):
        assert cast[key].dtype == sample[key].dtype
        assert torch.equal(cast[key], sample[key])
    # it does cast what is float32, so the test means something
    assert converted({"x": torch.ones(1)}, dtype)["x"].dtype == dtype
    assert utils.apply_to_sample(lambda t: t, sample).keys() == cast.keys()


@pytest.mark.parametrize("dtype", HALF)
def test_inside_autocast(dtype: torch.dtype) -> None:
    """``--amp`` runs model and criterion under autocast."""
    for type in ("ce", "mse"):
        wanted, exact = backward(tiny_models.model(), tiny_models.sample(), guided_alignment_type=type)
        with torch.autocast("cpu", dtype):
            cost, grads = backward(tiny_models.model(), tiny_models.sample(), guided_alignment_type=type)
        error = torch.finfo(dtype).eps
        assert cost == pytest.approx(wanted, rel=20 * error)
        name = "decoder.layers.2.encoder_attn.q_proj.bias"
        assert float((grads[name] - exact[name]).norm() / exact[name].norm()) < 20 * error


# Through fairseq-train. Its --fp16 without --memory-efficient-fp16 needs a GPU.


QUIET = ["--no-save", "--disable-validation"]


def test_training(made_up: MadeUpData, tmp_path: Path) -> None:
    """Without a GPU ``--amp`` casts nothing; that it runs is all that can be seen. fairseq alone takes the options of
    bfloat16 for a TPU's.
    """
    exact = train(made_up.binarised, tmp_path / "exact", *QUIET, updates=5)
    for option, tolerance in (
        ("--memory-efficient-fp16", 0.01), ("--amp", 1e-6), ("--bf16", 0.05), ("--memory-efficient-bf16", 0.05)
    ):  # fmt: skip
        compare(train(made_up.binarised, tmp_path / option, *QUIET, option, updates=5), exact, tolerance)


def test_a_tpu_that_is_asked_for_is_still_one(made_up: MadeUpData, tmp_path: Path) -> None:
    # without torch_xla, this is where fairseq stops
    with pytest.raises(AttributeError, match="xla_device"):
        train(made_up.binarised, tmp_path, *QUIET, "--tpu", "--bf16", updates=1)


def test_training_in_bfloat16_with_hydra(made_up: MadeUpData, tmp_path: Path) -> None:
    quiet = ["checkpoint.no_save=true", "dataset.disable_validation=true"]
    exact = hydra_train(made_up.binarised, tmp_path / "exact", *quiet, updates=5)
    for option in ("bf16", "memory_efficient_bf16"):
        overrides = {"common.bf16=true", f"common.{option}=true"}
        compare(hydra_train(made_up.binarised, tmp_path / option, *quiet, *overrides, updates=5), exact, 0.05)


def compare(log: Any, exact: Any, tolerance: float) -> None:
    for key in ("alignment_loss", "loss_per_token", "gnorm"):
        half, single = of_logger(log, "train_inner", key), of_logger(exact, "train_inner", key)
        assert len(half) == len(single) == 5
        assert half == pytest.approx(single, rel=tolerance), key
