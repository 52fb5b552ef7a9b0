"""The vocabulary softmax in chunks: the plain way's values and gradients, without its matrix."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.losses import chunked_cross_entropy as module
from fairseq_guided_align.losses.chunked_cross_entropy import chunked_cross_entropy, why_not_in_chunks
from fairseq_guided_align.losses.formulas import label_smoothed_cross_entropy
from fairseq_guided_align.losses.half_products import add_product

PAD = 1


class Case:
    """Random features, weights and labels, some of them padding."""

    def __init__(
        self, seed: int, shape: tuple[int, ...] = (3, 4), size: int = 5, vocabulary: int = 11, bias: bool = True,
        dtype: torch.dtype = torch.float64, spread: float = 1.0,
    ) -> None:  # fmt: skip
        new = torch.Generator().manual_seed(seed)
        self.features = (torch.randn(*shape, size, generator=new) * spread).to(dtype)
        self.weight = (torch.randn(vocabulary, size, generator=new) * spread).to(dtype)
        self.bias = torch.randn(vocabulary, generator=new).to(dtype) if bias else None
        self.target = torch.randint(vocabulary, shape, generator=new)
        self.target[torch.rand(shape, generator=new) < 0.3] = PAD

    @property
    def inputs(self) -> list[torch.Tensor]:
        return [x for x in (self.features, self.weight, self.bias) if x is not None]

    def to(self, dtype: torch.dtype) -> Case:
        new = object.__new__(Case)
        new.target = self.target
        new.features, new.weight = self.features.to(dtype), self.weight.to(dtype)
        new.bias = None if self.bias is None else self.bias.to(dtype)
        return new

    def plain(self, e: float, scale: float = 1.0) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor]]:
        """Costs of the tokens, and the gradients of their sum, through the whole matrix."""
        for x in self.inputs:
            x.requires_grad_()
        logits = torch.nn.functional.linear(self.features, self.weight, self.bias)
        smoothed, likelihood = label_smoothed_cross_entropy(logits.log_softmax(-1), self.target, e, PAD)
        gradients = torch.autograd.grad(smoothed.sum() * scale, self.inputs)
        return smoothed.detach().view(-1), likelihood.detach().view(-1), list(gradients)

    def chunked(self, e: float, scale: float = 1.0, **options: Any) -> tuple[Any, list[torch.Tensor]]:
        for x in self.inputs:
            x.requires_grad_()
        loss = chunked_cross_entropy(self.features, self.weight, self.bias, self.target, e, PAD, **options)
        return loss, list(torch.autograd.grad(loss.total * scale, self.inputs))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.1, 0.9]), st.booleans(), st.integers(1, 20), st.integers(2, 40))
def test_equals_the_plain_way_in_double_precision(
    seed: int, e: float, bias: bool, chunk_rows: int, vocabulary: int
) -> None:
    case = Case(seed, vocabulary=vocabulary, bias=bias, spread=3.0)
    smoothed, likelihood, gradients = case.plain(e, scale=-2.5)
    loss, found = case.chunked(e, scale=-2.5, chunk_rows=chunk_rows)
    exact = {"rtol": 1e-12, "atol": 1e-12}
    torch.testing.assert_close(loss.smoothed, smoothed, **exact)
    torch.testing.assert_close(loss.negative_log_likelihood, likelihood, **exact)
    torch.testing.assert_close(loss.total.detach(), smoothed.sum(), **exact)
    torch.testing.assert_close(found, gradients, **exact)


@pytest.mark.parametrize(("e", "bias"), [(0.0, False), (0.1, True)])
def test_single_precision_is_as_exact_as_the_plain_way(e: float, bias: bool) -> None:
    case = Case(0, (40, 16), size=64, vocabulary=3000, bias=bias, dtype=torch.float32, spread=0.5)
    smoothed, likelihood, gradients = case.to(torch.float64).plain(e)
    plain_smoothed, plain_likelihood, plain_gradients = case.plain(e)
    loss, found = case.chunked(e, chunk_rows=100)

    def error(a: torch.Tensor, b: torch.Tensor) -> float:
        return float((a.detach().double() - b).norm() / b.norm())

    for ours, plain, wanted in [
        (loss.smoothed, plain_smoothed, smoothed),
        (loss.negative_log_likelihood, plain_likelihood, likelihood),
        *zip(found, plain_gradients, gradients),
    ]:
        # the sums run in another order
        assert error(ours, wanted) < 2 * error(plain, wanted) + 2e-7


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_single_precision(dtype: torch.dtype) -> None:
    half = Case(3, (8, 8), size=16, vocabulary=300, dtype=dtype)
    smoothed, _, gradients = half.to(torch.float64).plain(0.1)
    loss, found = half.chunked(0.1)
    assert loss.total.dtype == torch.float32
    torch.testing.assert_close(loss.smoothed.double(), smoothed, rtol=1e-6, atol=1e-6)
    for ours, wanted in zip(found, gradients):
        assert ours.dtype == dtype
        torch.testing.assert_close(ours.double(), wanted, rtol=torch.finfo(dtype).eps, atol=1e-6)


def test_the_loss_scale_reaches_small_gradients_of_half_precision() -> None:
    case = Case(4, (2, 2), size=8, vocabulary=50, dtype=torch.float16)
    # certain of every label: without the loss scale, the gradients are 0 in float16
    with torch.no_grad():
        case.features.zero_()
        case.bias.zero_()  # type: ignore[union-attr]
        case.target.fill_(7)
        case.bias[7] = 20  # type: ignore[index]
    scale = 2.0**16
    _, _, gradients = case.to(torch.float64).plain(0.0, scale=scale)
    _, found = case.chunked(0.0, scale=scale)
    others = torch.arange(50) != 7
    unscaled = gradients[2][others] / scale
    assert not unscaled.half().any()
    torch.testing.assert_close(found[2][others].double(), gradients[2][others], rtol=1e-3, atol=0)


@pytest.mark.parametrize(
    ("dtype", "e", "version"),
    [
        (torch.float16, 0.1, "2.10.0"), (torch.float16, 0.0, "2.11.0"), (torch.bfloat16, 0.1, "2.11.0"),
        (torch.float64, 0.0, "2.11.0"), (torch.float64, 0.1, "2.11.0"),
    ],
)  # fmt: skip
def test_a_gpus_arithmetic(dtype: torch.dtype, e: float, version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Padding stays in the batch, and products of half-precision operands have results in single precision."""
    mm, addmm = torch.mm, torch.addmm

    def product(a: torch.Tensor, b: torch.Tensor, **options: Any) -> torch.Tensor:
        if "out_dtype" not in options:
            return mm(a, b, **options)
        out = options["out"]
        assert a.dtype == b.dtype == dtype
        found = mm(a.double(), b.double()).to(options["out_dtype"])
        return found if out is None else out.copy_(found)

    def add_product(
        total: torch.Tensor, a: torch.Tensor, b: torch.Tensor, alpha: float, out_dtype: torch.dtype, out: torch.Tensor
    ) -> torch.Tensor:
        assert a.dtype == b.dtype == dtype
        return out.copy_(addmm(total.double(), a.double(), b.double(), alpha=alpha).to(out_dtype))

    accelerator(monkeypatch, version)
    monkeypatch.setattr(torch, "mm", product)
    monkeypatch.setattr(torch, "addmm", add_product)
    monkeypatch.setattr(module, "_softmax_in_place", module._softmax)
    monkeypatch.setattr(module, "_without_padding", lambda *_: pytest.fail("would wait for the device"))
    case = Case(14, (8, 8), size=16, vocabulary=400, dtype=dtype)
    smoothed, likelihood, gradients = case.to(torch.float64).plain(e)
    options = module.ChunkOptions(e, PAD, True, 10, False, (True, True, True))
    with torch.no_grad():
        loss, found = module._loss_and_gradients(
            case.features.view(-1, 16), case.weight, case.bias, case.target.view(-1), options
        )
    exact = {"rtol": 1e-12, "atol": 1e-12} if dtype == torch.float64 else {"rtol": 1e-5, "atol": 1e-5}
    torch.testing.assert_close(loss.smoothed.double(), smoothed, **exact)
    torch.testing.assert_close(loss.negative_log_likelihood.double(), likelihood, **exact)
    for ours, wanted in zip(found, gradients):
        wanted = wanted.view(ours.shape)
        # entries of p - q are rounded to half precision, relative to each of them
        error = (ours.double() - wanted).norm() / wanted.norm()
        assert error < (1e-12 if dtype == torch.float64 else torch.finfo(dtype).eps)


@pytest.mark.parametrize("softmax", [module._softmax, module._softmax_in_place])
def test_the_softmax_and_its_denominator(softmax: Any) -> None:
    logits = 30 * torch.randn(20, 500, dtype=torch.float64)
    logits[3] -= 1e4
    logits[4] = 0
    p, log_denominator = softmax(logits.clone())
    exponentials = (logits - logits.amax(1, keepdim=True)).exp()
    torch.testing.assert_close(p, exponentials / exponentials.sum(1, keepdim=True))
    torch.testing.assert_close(log_denominator, logits.logsumexp(1, keepdim=True), rtol=1e-14, atol=1e-13)


@pytest.mark.parametrize(
    ("version", "hip", "operations"),
    [
        ("2.11.0", None, ["aten.addmm.dtype_out"]),
        ("2.10.0", None, ["aten.mm.dtype", "aten.add_.Tensor"]),
        ("2.13.0", "7.0", ["aten.mm.dtype", "aten.add_.Tensor"]),
    ],
)
def test_half_products_are_added_in_single_precision(
    version: str, hip: str | None, operations: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a temporary as large as the weights where torch can; values are left to tests/gpu/test_on_gpu.py."""
    accelerator(monkeypatch, version, hip)
    total = torch.empty(11, 4, device="meta")
    a, b = (torch.empty(*shape, dtype=torch.float16, device="meta") for shape in ((11, 5), (5, 4)))
    with Sizes() as seen:
        add_product(total, a, b, 0.5)
    assert seen.names == operations


def test_autocast_computes_in_its_type_and_keeps_the_gradients_exact() -> None:
    case = Case(5, (8, 8), size=16, vocabulary=300, dtype=torch.float32)
    smoothed, _, gradients = case.to(torch.float64).plain(0.1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss, found = case.chunked(0.1)
    torch.testing.assert_close(loss.smoothed.double(), smoothed, rtol=1e-5, atol=1e-5)
    for ours, wanted in zip(found, gradients):
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours.double(), wanted, rtol=1e-4, atol=1e-5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert case.to(torch.float64).chunked(0.1)[0].total.dtype == torch.float64


def test_an_impossible_label_costs_what_it_costs() -> None:
    case = Case(6, (2, 3), bias=False, spread=60.0)
    _, likelihood, _ = case.plain(0.0)
    loss, _ = case.to(torch.float32).chunked(0.0)
    # its probability is 0 in float32
    assert likelihood.max() > 200
    torch.testing.assert_close(loss.negative_log_likelihood.double(), likelihood, rtol=1e-6, atol=1e-4)


def test_counts_the_labels_that_win() -> None:
    case = Case(7, (20, 10), vocabulary=5)
    loss, _ = case.chunked(0.1, count_correct=True, chunk_rows=7)
    logits = torch.nn.functional.linear(case.features, case.weight, case.bias)
    wanted = sum(
        int(row.argmax()) == label
        for row, label in zip(logits.view(-1, 5), case.target.view(-1).tolist())
        if label != PAD
    )
    assert 0 < int(loss.correct) == wanted
    assert case.chunked(0.1)[0].correct is None


def test_nothing_but_padding() -> None:
    case = Case(8)
    case.target.fill_(PAD)
    loss, gradients = case.chunked(0.1, count_correct=True)
    assert loss.total.item() == loss.smoothed.abs().sum().item() == loss.correct.item() == 0
    assert not any(gradient.any() for gradient in gradients)


@pytest.mark.parametrize("frozen", [0, 1, 2])
def test_frozen_parts_get_no_gradient(frozen: int) -> None:
    case = Case(9)
    _, _, wanted = case.plain(0.1)
    for i, x in enumerate(case.inputs):
        x.requires_grad_(i != frozen)
    chunked_cross_entropy(case.features, case.weight, case.bias, case.target, 0.1, PAD).total.backward()
    for i, x in enumerate(case.inputs):
        assert (x.grad is None) == (i == frozen)
        if x.grad is not None:
            torch.testing.assert_close(x.grad, wanted[i], rtol=1e-12, atol=1e-12)


def test_without_gradients_no_gradients_are_formed() -> None:
    case = Case(10, dtype=torch.float32)
    case.plain(0.1)
    with torch.no_grad(), Sizes() as sizes:
        loss = chunked_cross_entropy(case.features, case.weight, case.bias, case.target, 0.1, PAD)
    assert not loss.total.requires_grad
    assert sizes.products == 1


def test_refuses_what_it_cannot_do() -> None:
    case = Case(11)
    case.plain(0.1)

    def total() -> torch.Tensor:
        return chunked_cross_entropy(case.features, case.weight, case.bias, case.target, 0.1, PAD).total

    with pytest.raises(GuidedAlignError, match="no second-order gradients; use --vocabulary-softmax full"):
        torch.autograd.grad(total(), case.inputs, create_graph=True)
    loss = total()
    torch.autograd.grad(loss, case.inputs, retain_graph=True)
    with pytest.raises(GuidedAlignError, match="this is the second; use --vocabulary-softmax full"):
        torch.autograd.grad(loss, case.inputs)


class Sizes(TorchDispatchMode):
    """Notes the operations and the largest of their results, and counts matrix products."""

    def __init__(self) -> None:
        super().__init__()
        self.largest = self.products = 0
        self.names: list[str] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = function(*args, **(kwargs or {}))
        self.names.append(str(function))
        self.products += function.overloadpacket in (torch.ops.aten.mm, torch.ops.aten.addmm_)
        for one in found if isinstance(found, (tuple, list)) else [found]:
            if isinstance(one, torch.Tensor):
                self.largest = max(self.largest, one.untyped_storage().nbytes() // one.element_size())
        return found


def test_the_whole_matrix_never_exists() -> None:
    case = Case(12, (16, 16), size=8, vocabulary=500)
    with Sizes() as plain:
        case.plain(0.1)
    with Sizes() as chunked:
        case.chunked(0.1, chunk_rows=16)
    assert plain.largest == 256 * 500
    assert chunked.largest == 16 * 500


def test_waits_for_no_device() -> None:
    """A meta tensor has no values, so that whatever needs one fails; the real GPU is asked in benchmarks/."""
    case = Case(13, dtype=torch.float16)
    meta = object.__new__(Case)
    meta.features, meta.weight, meta.bias = (x.detach().to("meta") for x in case.inputs)
    meta.target = case.target.to("meta")
    loss, gradients = meta.chunked(0.1, count_correct=True, chunk_rows=5)
    assert loss.total.device.type == "meta"
    assert [gradient.dtype for gradient in gradients] == [torch.float16] * 3


NEW_IN = "half precision takes products with float32 results, new in torch 2.8 (on ROCm: 2.10)"


def accelerator(monkeypatch: pytest.MonkeyPatch, version: str, hip: str | None = None, tunes: bool = False) -> None:
    """What torch says of itself where it was built for a GPU."""
    monkeypatch.setattr(torch, "__version__", version)
    monkeypatch.setattr(torch.version, "hip", hip)
    monkeypatch.setattr(torch.cuda.tunable, "is_enabled", lambda: tunes)


@pytest.mark.parametrize(
    ("device", "dtype", "torchs", "reason"),
    [
        ("cpu", torch.float16, {"version": "2.7.1"}, None),
        ("cuda", torch.float32, {"version": "2.7.1", "tunes": True}, None),
        ("cuda", torch.bfloat16, {"version": "2.8.0+cu128"}, None),
        ("cuda", torch.float16, {"version": "2.10.0a0+git1"}, None),
        ("cuda", torch.float16, {"version": "2.7.1"}, NEW_IN),
        ("cuda", torch.float16, {"version": "2.9.1+rocm6.4", "hip": "6.4"}, NEW_IN),
        ("cuda", torch.float16, {"version": "2.10.0+rocm7.0", "hip": "7.0"}, None),
        (
            "cuda", torch.float16, {"version": "2.13.0", "tunes": True},
            "TunableOp has no products of half precision with float32 results",
        ),
        ("mps", torch.float32, {"version": "2.13.0"}, "chunks have not been tried on the device mps"),
    ],
)  # fmt: skip
def test_where_chunks_are_used(
    device: str, dtype: torch.dtype, torchs: dict[str, Any], reason: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    accelerator(monkeypatch, **torchs)
    found = why_not_in_chunks(SimpleNamespace(device=torch.device(device), dtype=dtype))  # type: ignore[arg-type]
    assert (found or "").split(";")[0] == (reason or "")


def test_autocast_counts_as_half_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    accelerator(monkeypatch, "2.7.1")
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda device: device == "cuda")
    weight = SimpleNamespace(device=torch.device("cuda"), dtype=torch.float32)
    assert why_not_in_chunks(weight) is not None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("tokens", "vocabulary", "kernel", "wanted"),
    [
        # A quarter of the batch, where that is neither little nor much
        (16384, 32768, True, 4096),
        (16385, 32768, True, 4096),
        (10000, 32768, True, 2500),
        (4096, 32768, True, 1024),
        (100, 32768, True, 1024),
        (16384, 4096, True, 8192),
        (16384, 131072, True, 1024),
        (16384, 32768, False, 1024),
        (16384, 1000, False, 2**14),
    ],
)
def test_tokens_of_a_chunk_on_a_gpu(tokens: int, vocabulary: int, kernel: bool, wanted: int) -> None:
    assert module.rows_of_a_chunk(tokens, vocabulary, "cuda", kernel) == wanted


def test_the_kernel_is_for_what_it_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "why_no_kernel", lambda device: f"not on {device}")
    gpu = torch.device("cuda")
    assert module.why_not_by_kernel(gpu, torch.float16, True) == "the kernel knows no bias"
    assert module.why_not_by_kernel(gpu, torch.float64, False) == "the kernel computes in float32"
    assert module.why_not_by_kernel(gpu, torch.float16, False) == "not on cuda"
    with pytest.raises(ValueError, match="knows no bias"):
        Case(1).chunked(0.1, kernel=True)
