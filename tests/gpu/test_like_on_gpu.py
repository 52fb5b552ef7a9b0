"""What needs no GPU to be seen of a step on one: devices, types, and whether anything waits for the device.

torch computes shapes, types and devices of tensors without values, on a device that is not the CPU, and fails where a
value is asked for or devices are mixed. Values and times are left to tests/gpu/test_on_gpu.py.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
import tiny_models
import torch
from stand_in import criterion
from torch._subclasses.fake_tensor import DataDependentOutputException, DynamicOutputShapeException, FakeTensorMode

from fairseq_guided_align.attention.guided_heads import GuidedHeads
from fairseq_guided_align.losses.chunked_cross_entropy import chunked_cross_entropy
from fairseq_guided_align.training.validation_aer import count_batch

HALF = [torch.float16, torch.bfloat16]


@pytest.fixture
def shapes_only(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tensors without values; fairseq's own models may ask whether a batch has padding, which is taken to be so."""

    def answer(tensor: torch.Tensor) -> bool:
        frame = sys._getframe(1)
        while frame.f_back is not None and "/torch/" in frame.f_code.co_filename:
            frame = frame.f_back
        if "/fairseq/" in frame.f_code.co_filename:
            return True
        raise AssertionError(f"{frame.f_code.co_filename}:{frame.f_lineno} waits for the device")

    monkeypatch.setattr(torch.Tensor, "__bool__", answer)
    # It asks for a tensor of the shape, through memory that these tensors do not have
    monkeypatch.setattr("torch.onnx.operators.shape_as_tensor", lambda tensor: tuple(tensor.shape))
    if torch.__version__.startswith("2.11."):
        monkeypatch.setattr(torch, "addmm", added_products)
    with FakeTensorMode():
        yield


def added_products(
    total: torch.Tensor, a: torch.Tensor, b: torch.Tensor, *, alpha: float, out_dtype: torch.dtype, out: torch.Tensor
) -> torch.Tensor:
    """torch 2.11 takes the type for a factor, where tensors have no values."""
    assert out is total
    assert total.dtype == out_dtype
    return total.add_(torch.mm(a, b, out_dtype=out_dtype), alpha=alpha)


DEVICE = "meta"  # For which our code does what it does on a GPU


def there(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: there(one) for key, one in value.items()}
    return value.to(DEVICE) if isinstance(value, torch.Tensor) else value


def model_there(arch: str, dtype: torch.dtype) -> Any:
    with torch.device(DEVICE):
        model = tiny_models.model(arch)
    moved: dict[int, torch.nn.Parameter] = {}  # Shared weights stay shared
    for module in model.modules():
        for name, one in module._parameters.items():
            if one is not None:
                moved.setdefault(id(one), torch.nn.Parameter(one.detach().to(DEVICE, dtype)))
                module._parameters[name] = moved[id(one)]
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = buffer.to(DEVICE, dtype if buffer.is_floating_point() else buffer.dtype)
    return model


CHOICES = [
    dict(zip(("type", "position", "unlinked", "normalization"), values))
    for values in (
        ("ce", "next", "eos", "tokens"),
        ("ce", "same", "ignore", "opennmt-tf"),
        ("mse", "next", "ignore", "tokens"),
        ("mse", "same", "eos", "opennmt-tf"),
    )
]


@pytest.mark.parametrize(
    ("arch", "dtype"), [("transformer", HALF[0]), ("transformer_align", HALF[1]), ("transformer", torch.float32)]
)
def test_the_criterion_stays_on_the_device(shapes_only: None, arch: str, dtype: torch.dtype) -> None:
    model, sample = model_there(arch, dtype), there(tiny_models.sample())
    for choice, softmax in zip(CHOICES, ("chunked", "full", "full", "chunked")):
        guided = criterion(
            tiny_models.task(), **{f"guided_alignment_{name}": value for name, value in choice.items()},
            guided_alignment_rows="binary", vocabulary_softmax=softmax, label_smoothing=0.1, report_accuracy=True,
            ignore_prefix_size=1,
        )  # fmt: skip
        loss, _, log = guided(model, sample)
        assert (loss.device.type, loss.dtype) == (DEVICE, torch.float32)
        assert all(value.device.type == DEVICE for value in log.values() if isinstance(value, torch.Tensor))
        loss.backward()
        # fairseq 0.12.2 keeps weights in its layers that it does not use
        gradients = {name: one.grad for name, one in model.named_parameters() if one.grad is not None}
        assert {"encoder.embed_tokens.weight", "decoder.output_projection.weight"} <= set(gradients)
        assert {(one.device.type, one.dtype) for one in gradients.values()} == {(DEVICE, dtype)}
        model.zero_grad(set_to_none=True)


@pytest.mark.parametrize("dtype", [torch.float32, *HALF])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_in_chunks_stays_on_the_device(shapes_only: None, dtype: torch.dtype, smoothing: float) -> None:
    inputs = [torch.zeros(*shape, dtype=dtype, device=DEVICE, requires_grad=True) for shape in ((7, 4), (11, 4), (11,))]
    target = torch.zeros(7, dtype=torch.int64, device=DEVICE)
    loss = chunked_cross_entropy(*inputs, target, smoothing, 1, count_correct=True, chunk_rows=3)
    assert {one.device.type for one in loss if one is not None} == {DEVICE}
    assert loss.total.dtype == torch.float32
    for found, one in zip(torch.autograd.grad(loss.total, inputs), inputs):
        assert (found.device.type, found.dtype, found.shape) == (DEVICE, dtype, one.shape)


@pytest.mark.parametrize("position", ["same", "next"])
def test_aer_in_validation_stays_on_the_device(shapes_only: None, position: str) -> None:
    sample = there(tiny_models.sample())
    columns = sample["net_input"]["src_tokens"].size(1)
    attention = torch.zeros(*sample["target"].shape, columns, device=DEVICE)
    for unlinked in ("eos", "ignore"):
        counts = count_batch([attention] * 2, sample, GuidedHeads((0,), (0, 1), "each", position, unlinked), 1)
        assert (counts.device.type, counts.dtype) == (DEVICE, torch.float64)


def test_waiting_and_mixing_would_be_noticed(shapes_only: None) -> None:
    here, elsewhere = torch.ones(2), torch.ones(2, device=DEVICE)
    with pytest.raises(RuntimeError, match=r"same device|two different devices"):
        here + elsewhere
    with pytest.raises(DataDependentOutputException):
        elsewhere.sum().item()
    with pytest.raises(DynamicOutputShapeException):
        elsewhere.nonzero()
    with pytest.raises(AssertionError, match=r"test_like_on_gpu.py:.* waits for the device"):
        bool(elsewhere.any())
    # A CPU may look for padding, which no other device does
    with pytest.raises(AssertionError, match=r"chunked_cross_entropy.py:.* waits for the device"):
        chunked_cross_entropy(torch.zeros(2, 3), torch.zeros(5, 3), None, torch.zeros(2, dtype=torch.int64), 0.1, 1)
