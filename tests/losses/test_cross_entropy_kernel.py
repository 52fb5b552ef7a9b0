"""The kernel of the loss against plain formulas in double precision: in triton's interpreter on the CPU, and on a GPU.

A kernel is for the interpreter or for a GPU from the moment that it is defined. The interpreter therefore has a process
of its own, which this file's main block is for.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from fairseq_guided_align.losses import cross_entropy_kernel as module
from fairseq_guided_align.losses.chunked_cross_entropy import chunked_cross_entropy
from fairseq_guided_align.losses.cross_entropy_kernel import cross_entropy_of_logits, why_no_kernel
from fairseq_guided_align.losses.formulas import label_smoothed_cross_entropy

PAD = 1
UNTOUCHED = 7.0

no_triton = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="triton is not installed")
no_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")


class Case:
    """A chunk of 10 tokens with all that may go wrong, and the kernel's outputs for it.

    Each matrix is the left part of a wider one. What lies to its right would be the highest logit by far.

    :param gap: width of what lies to the right.
    """

    def __init__(self, vocabulary: int, device: str, gap: int = 3) -> None:
        new = torch.Generator().manual_seed(vocabulary)
        last, count = vocabulary - 1, 10
        logits = torch.randn(count, vocabulary, generator=new) * 3
        target = torch.randint(2, vocabulary, (count,), generator=new)
        target[[1, 9]] = PAD
        logits[1, 3] = math.nan
        # Two highest logits: the label is the first of them, then the last
        logits[2, [3, last]], target[2] = 90.0, 3
        logits[3, [2, last]], target[3] = 90.0, last
        # The label's logit is the highest by far, so that its p is 1
        logits[4, last], target[4] = 200.0, last
        logits[5, : vocabulary - 2], target[5] = -math.inf, last
        logits[6, 1:], target[6] = -math.inf, 2
        logits[7] = torch.linspace(-1e4, 1e4, vocabulary)
        logits[8] = torch.linspace(1e4, 1e4 - 20, vocabulary)
        target[8] = 0
        self.logits = torch.full((count, vocabulary + gap), 1e30)
        self.logits[:, :vocabulary] = logits
        self.logits = self.logits.to(device)[:, :vocabulary]
        # A slice with gaps, as of a larger matrix
        self.target = target.repeat_interleave(3).to(device)[::3]
        self.gap = gap

    def expected(self, e: float, scale: float) -> tuple[list[float], list[float], list[bool], Tensor]:
        """Smoothed loss, loss without smoothing, hit and difference, by row."""
        rows: list[tuple[float, float, bool, Tensor]] = []
        for x, label in zip(self.logits.cpu().double(), self.target.tolist()):
            if label == PAD:
                rows.append((0.0, 0.0, False, torch.zeros_like(x)))
                continue
            values = x.tolist()
            highest = max(values)
            z = highest + math.log(sum(math.exp(value - highest) for value in values))
            q = [1 - e if k == label else e / (len(values) - 1) for k in range(len(values))]
            smoothed = sum(share * (z - value) for share, value in zip(q, values) if share)
            difference = (x - z).exp() - torch.tensor(q, dtype=torch.float64)
            rows.append((smoothed, z - values[label], values.index(highest) == label, difference * scale))
        smoothed, likelihood, hits, difference = zip(*rows)
        return list(smoothed), list(likelihood), list(hits), torch.stack(difference)

    def check(
        self, dtype: torch.dtype | None, hits: torch.dtype | None, *, e: float = 0.125, scale: float = 1.0,
        in_place: bool = False, **options: Any,
    ) -> None:  # fmt: skip
        *costs, hit, wanted = self.expected(e, scale)
        count, vocabulary = self.logits.shape

        def new(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.full(shape, UNTOUCHED, device=self.logits.device).to(dtype)

        logits = torch.as_strided(self.logits, (count, vocabulary + self.gap), (vocabulary + self.gap, 1)).clone()
        kept = logits.clone()
        columns = [new(count + 2, dtype=x) for x in (torch.float32, torch.float32, hits or torch.bool)]
        matrix = logits if in_place else new(count, vocabulary + self.gap, dtype=dtype or torch.float32)
        cross_entropy_of_logits(
            logits[:, :vocabulary], self.target, PAD, e / (vocabulary - 1), scale, columns[0][1:-1], columns[1][1:-1],
            None if hits is None else columns[2][1:-1], None if dtype is None else matrix[:, :vocabulary], **options,
        )  # fmt: skip

        for column in columns:
            assert bool((column[[0, -1]] == new(1, dtype=column.dtype)).all())
        assert bool((matrix[:, vocabulary:] == (1e30 if in_place else UNTOUCHED)).all())
        if not in_place:
            torch.testing.assert_close(logits, kept, rtol=0, atol=0, equal_nan=True)
        largest = self.logits.abs().masked_fill(self.logits.isinf(), 0).nan_to_num(0).amax(dim=1).cpu().double()
        for found_cost, cost in zip(columns, costs):
            # The logits themselves have the precision of the largest
            off = (found_cost[1:-1].cpu().double() - torch.tensor(cost).double()).nan_to_num(0, posinf=math.inf)
            assert bool((off.abs() <= 1e-6 * (1 + largest)).all()), (off, cost)
            assert found_cost[1:-1].isinf().tolist() == [math.isinf(one) for one in cost]
        if hits is not None:
            assert columns[2][1:-1].tolist() == hit
        if dtype is None:
            assert bool((matrix == UNTOUCHED).all())
            return

        found = matrix[:, :vocabulary].cpu().double()
        padding = self.target.cpu() == PAD
        assert not bool(found[padding].any())
        # p - q has the rounding error of q and that of an exponent, beside the result's
        exactness = torch.finfo(dtype).eps / 2
        if dtype == torch.bfloat16 and found.device == matrix.device:
            # The interpreter cuts where a GPU rounds
            exactness *= 2
        # Float32's smallest numbers may be flushed to 0, float16's are multiples of 2^-24
        smallest = {torch.float16: 2.0**-24, torch.bfloat16: 1e-37, torch.float32: 1e-37}[dtype]
        share = torch.full_like(wanted, e / (vocabulary - 1)).scatter_(1, self.target.cpu().unsqueeze(1), 1.0)
        bound = smallest + exactness * wanted.abs() + scale * (2e-5 * (wanted / scale + share).abs() + 3e-7 * share)
        assert bool(((found - wanted).abs() <= bound)[~padding].all())


def check_whole_rows(device: str) -> None:
    for vocabulary in (5, 1000, 1024, 4099):
        case = Case(vocabulary, device)
        case.check(torch.float16, torch.int64, scale=2.0**14)
        case.check(None, torch.bool, block=2**13)


def check_rows_in_blocks(device: str) -> None:
    """Ragged and exact ends; blocks that see nothing but minus infinity."""
    for vocabulary, block in ((5, 4), (1000, 128), (1024, 512), (4099, 1024)):
        for e, hits in ((0.0, torch.bool), (0.125, torch.int64)):
            case = Case(vocabulary, device)
            case.check(torch.float16, hits, e=e, scale=2.0**14, block=block, warps=4)
            case.check(None, hits, e=e, block=block, warps=4)


def check_types(device: str) -> None:
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        for block in (128, 1024):
            # The widths are multiples of 4, so that 16 bytes are accessed at a time
            Case(1000, device, gap=4).check(dtype, None, e=0.0, scale=3.0, block=block)


def check_in_place(device: str) -> None:
    for vocabulary, gap in ((1000, 0), (1000, 8), (1003, 1)):
        for block in (128, 1024):
            Case(vocabulary, device, gap).check(torch.float32, torch.bool, in_place=True, block=block)


def check_values_that_are_no_numbers(device: str) -> None:
    """They reach the loss, as they do in torch, and not a token beside them."""
    for block in (4, 16):
        for row, values in enumerate(([0.0, math.nan, *[0.0] * 8], [math.inf, *[0.0] * 9], [-math.inf] * 10)):
            logits = torch.zeros(4, 10)
            logits[row] = torch.tensor(values)
            smoothed, likelihood = torch.empty(2, 4, device=device)
            difference = torch.empty(4, 10, device=device)
            target = torch.tensor([2, 2, 2, 10], device=device)
            cross_entropy_of_logits(
                logits.to(device), target, PAD, 0.01, 1.0, smoothed, likelihood, None, difference, block=block
            )
            others = torch.arange(4) != row
            assert not math.isfinite(float(likelihood[row]))
            assert not math.isfinite(float(smoothed[row]))
            assert bool(difference[row].isnan().any())
            assert bool(difference.cpu()[others].isfinite().all())
            # The last label is outside the vocabulary
            sound = others & (torch.arange(4) != 3)
            for cost in (smoothed.cpu(), likelihood.cpu()):
                torch.testing.assert_close(cost[sound], torch.full_like(cost[sound], math.log(10)), rtol=1e-6, atol=0)
                assert bool(cost[3].isnan())


def check_no_tokens(device: str) -> None:
    nothing = torch.empty(0, device=device)
    target = nothing.to(torch.int64)
    cross_entropy_of_logits(nothing.view(0, 5), target, PAD, 0.0, 1.0, nothing, nothing, None, nothing.view(0, 5))


def check_digits_of_equal_parts(device: str) -> None:
    """What all logits have in common is large, and costs the loss no digits."""
    vocabulary, e = 4099, 0.125
    logits = 1e4 + torch.arange(vocabulary).remainder(7).float().expand(3, -1) / 8
    target = torch.tensor([0, 5, 4098])
    costs = torch.empty(2, 3, device=device)
    for block in (1024, 8192):
        cross_entropy_of_logits(
            logits.contiguous().to(device), target.to(device), PAD, e / (vocabulary - 1), 1.0, *costs, None, None,
            block=block,
        )  # fmt: skip
        wanted, _ = label_smoothed_cross_entropy(logits.double().log_softmax(-1), target, e, PAD)
        torch.testing.assert_close(costs[0].cpu().double(), wanted, rtol=2e-6, atol=0)


def check_the_whole_loss(device: str) -> None:
    """As the loss in chunks uses it: against the plain way, with its gradients."""
    for e, count_correct in ((0.0, False), (0.1, True)):
        new = torch.Generator().manual_seed(1)
        inputs = [torch.randn(*shape, generator=new).to(device).requires_grad_() for shape in ((5, 8, 16), (300, 16))]
        target = torch.randint(2, 300, (5, 8), generator=new)
        target[:, 5:] = PAD
        target = target.to(device)
        loss = chunked_cross_entropy(inputs[0], inputs[1], None, target, e, PAD, count_correct, 7, kernel=True)
        found = torch.autograd.grad(loss.total * 3, inputs)

        exact = [x.detach().double().requires_grad_() for x in inputs]
        log_probabilities = (exact[0] @ exact[1].t()).log_softmax(-1)
        smoothed, likelihood = label_smoothed_cross_entropy(log_probabilities, target, e, PAD)
        close = {"rtol": 1e-4, "atol": 1e-5}
        for ours, wanted in zip(loss[:3], (smoothed.sum(), smoothed.flatten(), likelihood.flatten())):
            torch.testing.assert_close(ours.double(), wanted.detach(), **close)
        if count_correct:
            right = log_probabilities.argmax(dim=-1).eq(target) & target.ne(PAD)
            assert int(loss.correct) == int(right.sum())
        for ours, wanted in zip(found, torch.autograd.grad(smoothed.sum() * 3, exact)):
            torch.testing.assert_close(ours.double(), wanted, **close)
        # Something may be frozen
        for k, one in enumerate(inputs):
            chosen = [x if x is one else x.detach() for x in inputs]
            alone = chunked_cross_entropy(chosen[0], chosen[1], None, target, e, PAD, False, 7, kernel=True)
            torch.testing.assert_close(torch.autograd.grad(alone.total * 3, one)[0], found[k])
        # In validation, nothing wants a gradient
        with torch.no_grad():
            again = chunked_cross_entropy(inputs[0], inputs[1], None, target, e, PAD, False, 7, kernel=True)
        torch.testing.assert_close(again.smoothed, loss.smoothed.detach())


CHECKS = {name: check for name, check in list(globals().items()) if name.startswith("check_")}


@pytest.fixture(scope="module")
def interpreted() -> dict[str, str]:
    """What went wrong in the interpreter, by check; nothing where it went well."""
    environment = {**os.environ, "TRITON_INTERPRET": "1", "PYTHONPATH": str(Path(module.__file__).parents[1])}
    done = subprocess.run([sys.executable, __file__], env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@no_triton
@pytest.mark.parametrize("name", CHECKS)
def test_in_the_interpreter(name: str, interpreted: dict[str, str]) -> None:
    assert not interpreted[name], interpreted[name]


@no_triton
@no_gpu
@pytest.mark.parametrize("name", CHECKS)
def test_on_a_gpu(name: str) -> None:
    assert why_no_kernel(torch.device("cuda")) is None
    CHECKS[name]("cuda")


@no_triton
@no_gpu
@pytest.mark.parametrize("vocabulary", [2**13, 32004, 2**15, 50000, 50257, 2**16, 2**18])
def test_large_vocabularies(vocabulary: int) -> None:
    for hits in (None, torch.bool):
        Case(vocabulary, "cuda", gap=4).check(torch.float16, hits, scale=2.0**14)
        Case(vocabulary, "cuda", gap=4).check(torch.float32, hits, in_place=True)


@no_triton
@no_gpu
def test_rows_beyond_the_reach_of_32_bits() -> None:
    if torch.cuda.mem_get_info()[0] < 12 * 2**30:
        pytest.skip("needs 12 GiB of GPU memory")
    logits = torch.empty(2**31 + 64, device="cuda").as_strided((3, 64), (2**30, 1)).zero_()
    smoothed, likelihood = torch.empty(2, 3, device="cuda")
    target = torch.tensor([2, 3, 4], device="cuda")
    cross_entropy_of_logits(logits, target, PAD, 0.0, 1.0, smoothed, likelihood, None, logits)
    torch.testing.assert_close(likelihood.cpu(), torch.full((3,), math.log(64)), rtol=1e-6, atol=0)
    wanted = 1 / 64 - torch.nn.functional.one_hot(target, 64).float()
    torch.testing.assert_close(logits, wanted, rtol=1e-6, atol=0)


@pytest.mark.skipif("TRITON_INTERPRET" in os.environ, reason="triton interprets kernels here")
def test_why_no_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    if module.triton is not None:
        assert why_no_kernel(torch.device("cpu")) == "triton's kernels run on a GPU, not on the device cpu"
    monkeypatch.setattr(module, "triton", None)
    assert why_no_kernel(torch.device("cuda")) == "triton is not installed"


def _mend_interpreter() -> None:
    """Let it take a loop's bound from an array of one entry, which numpy now refuses to triton 3.6."""
    from triton.runtime import interpreter

    patch = interpreter._patch_lang_tensor

    def mended(tensor: Any, *scope: Any) -> None:
        patch(tensor, *scope)
        tensor.__index__ = lambda self: self.handle.data.item()

    interpreter._patch_lang_tensor = mended


def _outcome(name: str) -> str:
    try:
        assert why_no_kernel(torch.device("cpu")) is None
        CHECKS[name]("cpu")
    except Exception:
        return traceback.format_exc()
    return ""


if __name__ == "__main__":
    _mend_interpreter()
    print(json.dumps({name: _outcome(name) for name in CHECKS}))
