"""A chunk's logits to probabilities minus target, loss terms and hits, in one Triton kernel for a GPU.

Everything between the matrix product that makes a chunk's logits and the two products that take ``p - q``. Its time is
that of memory traffic: logits are read once and the difference is written once. A row that does not fit in the
registers is read twice, the second time from its end, where the cache still holds it.
"""

from __future__ import annotations

import functools
from typing import Optional

import torch
from torch import Tensor

try:
    # Beside torch's import, this one takes no time; only the first launch of a kernel compiles it
    import triton
    import triton.language as tl
except ImportError:
    triton = None  # type: ignore[assignment]

WHOLE_ROW = 2**15
"""Longest row, in entries, that is kept in the registers."""

LOOP_BLOCK, LOOP_WARPS = 2**13, 16
"""Entries of a longer row that are taken at a time, and the warps that take them."""


def why_no_kernel(device: torch.device) -> Optional[str]:
    """Why the kernel cannot be used on this device; None if it can. The first call for a GPU tries it there."""
    if triton is None:
        return "triton is not installed"
    if not isinstance(_row, triton.runtime.JITFunction):
        # TRITON_INTERPRET=1: slow, for tests
        return None
    if device.type != "cuda":
        return f"triton's kernels run on a GPU, not on the device {device.type}"
    if torch.version.hip is not None:
        return "the kernel has not been tried on ROCm"
    return _why_it_fails(device)


@functools.cache
def _why_it_fails(device: torch.device) -> Optional[str]:
    logits, target = torch.zeros(1, 4, device=device), torch.zeros(1, dtype=torch.int64, device=device)
    try:
        softmax_minus_target(logits, None, target, -1, 1.0, 1.0, logits[:, 0], logits[:, 1], None, None)
    except Exception as error:
        # Of many types: no C compiler, no headers of Python, a GPU that this triton does not know
        return f"triton cannot run a kernel: {type(error).__name__}: {error}"
    return None


def softmax_minus_target(
    logits: Tensor,
    bias: Optional[Tensor],
    target: Tensor,
    padding_index: int,
    on_label: float,
    scale: float,
    log_denominator: Tensor,
    label_logit: Tensor,
    hits: Optional[Tensor],
    difference: Optional[Tensor],
    *,
    block: Optional[int] = None,
    warps: Optional[int] = None,
    stages: int = 1,
) -> None:
    """Write the softmax' loss terms of a chunk of tokens, and its probabilities minus the target distribution.

    The four outputs are 0 in the rows of padding. A logit of minus infinity has probability 0. A label outside the
    vocabulary makes its row's label logit NaN. It is for devices about which :func:`why_no_kernel` says nothing.

    :param logits: (n, V) float32, contiguous within a row.
    :param bias: (V,) of any floating type, contiguous, added to the logits in float32; None: nothing is added.
    :param target: (n,) int64 labels, with any stride.
    :param padding_index: the label of padding.
    :param on_label: what is subtracted from the label's probability.
    :param scale: factor of the difference, applied in float32.
    :param log_denominator: (n,) float32, contiguous, written: logarithm of the softmax' denominator, in nats.
    :param label_logit: (n,) float32, contiguous, written: the label's logit, bias included.
    :param hits: (n,) int64 or bool, contiguous, written: whether the label is the first position of the highest logit;
        None: not wanted.
    :param difference: (n, V) float32, float16 or bfloat16, contiguous within a row, written: ``scale * p``, less
        ``scale * on_label`` at the label. It may be ``logits`` itself. None: not wanted.
    :param block: entries of a row that are taken at a time, a power of two from 4; None: as many as suit V.
    :param warps: groups of 32 threads that share a row, a power of two up to 32; None: as many as suit the block.
    :param stages: tiles that are loaded ahead of their use, where a row is longer than the block; 1: none.
    """
    count, vocabulary = logits.shape
    if not count:
        return
    strides = logits.stride(0), 0 if difference is None else difference.stride(0)
    # The compiler sees that a multiple of 4 is one, and accesses 16 bytes at a time; of others it knows only that of 16
    unit = 1 if any(size % 4 for size in (vocabulary, *strides)) else 4
    if block is None and vocabulary > WHOLE_ROW:
        block, warps = LOOP_BLOCK, warps or LOOP_WARPS
    elif block is None:
        block = max(1 << (vocabulary - 1).bit_length(), 1024)
    # A thread has registers for 32 entries
    warps = warps or min(max(block // 1024, 4), 32)
    with torch.cuda.device_of(logits):
        _row[(count,)](
            logits, bias, target, log_denominator, label_logit, hits, difference,
            vocabulary // unit, strides[0] // unit, strides[1] // unit, target.stride(0), padding_index,
            on_label, scale, UNIT=unit, BLOCK=block, WHOLE=vocabulary <= block, STAGES=stages, num_warps=warps,
        )  # fmt: skip


if triton is not None:
    # Lowest finite number: the difference of two infinities is not a number
    LOWEST = tl.constexpr(torch.finfo(torch.float32).min)

    @triton.jit
    def _load(logits, bias, offsets, vocabulary, POLICY: tl.constexpr):  # type: ignore[no-untyped-def]
        inside = offsets < vocabulary
        x = tl.load(logits + offsets, mask=inside, other=float("-inf"), eviction_policy=POLICY)
        if bias is not None:
            x += tl.load(bias + offsets, mask=inside, other=0.0, eviction_policy="evict_last").to(tl.float32)
        return x

    @triton.jit
    def _store(difference, value, offsets, vocabulary, label, at_label):  # type: ignore[no-untyped-def]
        value = tl.where(offsets == label, value - at_label, value)
        tl.store(difference + offsets, value.to(difference.dtype.element_ty), mask=offsets < vocabulary)

    @triton.jit(
        # Slices of larger tensors, whose alignment differs from chunk to chunk
        do_not_specialize=["target_stride"],
        do_not_specialize_on_alignment=["target", "log_denominator", "label_logit", "hits"],
    )
    def _row(  # type: ignore[no-untyped-def]
        logits, bias, target, log_denominator, label_logit, hits, difference,
        units, logits_stride, difference_stride, target_stride, padding_index, on_label, scale,
        UNIT: tl.constexpr, BLOCK: tl.constexpr, WHOLE: tl.constexpr, STAGES: tl.constexpr,
    ):  # fmt: skip
        # In 64 bits, since a matrix may have more entries than 32 can count
        row = tl.program_id(0).to(tl.int64)
        vocabulary = units * UNIT
        tiles = tl.cdiv(vocabulary, BLOCK)
        logits += row * (logits_stride * UNIT)
        if difference is not None:
            difference += row * (difference_stride * UNIT)
        # A thread takes four neighbours, so that reductions over the second axis stay within it
        offsets = tl.arange(0, BLOCK // 4)[:, None] * 4 + tl.arange(0, 4)[None, :]
        label = tl.load(target + row * target_stride)

        if label == padding_index:
            tl.store(log_denominator + row, 0.0)
            tl.store(label_logit + row, 0.0)
            if hits is not None:
                tl.store(hits + row, 0)
            if difference is not None:
                for i in tl.range(0, tiles):
                    nothing = tl.zeros((BLOCK // 4, 4), difference.dtype.element_ty)
                    tl.store(difference + i * BLOCK + offsets, nothing, mask=i * BLOCK + offsets < vocabulary)
            return

        known = (label >= 0) & (label < vocabulary)
        of_label = tl.load(logits + label, mask=known, other=float("nan"))
        if bias is not None:
            of_label += tl.load(bias + label, mask=known, other=0.0).to(tl.float32)
        # Comparing 64 bits with every position would take twice the time
        label = tl.where(known, label, -1).to(tl.int32)

        if WHOLE:
            x = _load(logits, bias, offsets, vocabulary, "evict_first")
            highest = tl.max(tl.max(x, axis=1), axis=0)
            if hits is not None:
                before = tl.max(tl.max(tl.where(offsets < label, x, float("-inf")), axis=1), axis=0)
            x = tl.exp(x - highest)
            total = tl.sum(tl.sum(x, axis=1), axis=0)
        else:
            # A maximum and a sum for each four columns, brought together once, after the loop
            top = tl.full((BLOCK // 4,), LOWEST, tl.float32)
            sums = tl.zeros((BLOCK // 4,), tl.float32)
            earlier = tl.full((BLOCK // 4,), float("-inf"), tl.float32)
            for i in tl.range(0, tiles, num_stages=STAGES):
                x = _load(logits, bias, i * BLOCK + offsets, vocabulary, "evict_last")
                if hits is not None:
                    x_before = tl.where(i * BLOCK + offsets < label, x, float("-inf"))
                    earlier = tl.maximum(earlier, tl.max(x_before, axis=1))
                raised = tl.maximum(top, tl.max(x, axis=1))
                sums = sums * tl.exp(top - raised) + tl.sum(tl.exp(x - raised[:, None]), axis=1)
                top = raised
            highest = tl.max(top, axis=0)
            before = tl.max(earlier, axis=0)
            total = tl.sum(sums * tl.exp(top - highest), axis=0)

        tl.store(log_denominator + row, highest + tl.log(total))
        tl.store(label_logit + row, of_label)
        if hits is not None:
            hit = (of_label == highest) & (before < of_label)
            tl.store(hits + row, hit.to(hits.dtype.element_ty))
        if difference is not None:
            factor = scale / total
            if WHOLE:
                _store(difference, x * factor, offsets, vocabulary, label, scale * on_label)
            else:
                for i in tl.range(0, tiles, num_stages=STAGES):
                    # From the end, which the cache still holds
                    columns = (tiles - 1 - i) * BLOCK + offsets
                    x = _load(logits, bias, columns, vocabulary, "evict_first")
                    _store(difference, tl.exp(x - highest) * factor, columns, vocabulary, label, scale * on_label)
