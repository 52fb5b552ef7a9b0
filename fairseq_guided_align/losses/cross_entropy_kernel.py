"""A chunk's logits to loss, and to probabilities minus target distribution, in one Triton kernel for a GPU.

It does everything between the matrix product that makes a chunk's logits and the two products that take ``p - q``.
Its time is that of memory traffic: logits are read once, and the difference is written once. A row that does not fit
into the registers is read twice, the second time from its end, where the cache still holds it.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor

try:
    # Beside torch's import, this one takes no time; only the first launch of a kernel compiles it
    import triton
    import triton.language as tl
except ImportError:
    triton = None  # type: ignore[assignment]

WHOLE_ROW = 2**13
"""Longest row, in entries, that is kept in the registers; with 16,384 entries, reading them twice is faster."""

LOOP_BLOCK, LOOP_WARPS = 2**13, 32
"""Entries of a longer row that are taken at a time, and the warps that take them: the fastest of nine choices on an
H200, at 87 % of the speed at which memory is copied there."""


def why_no_kernel(device: torch.device) -> str | None:
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
def _why_it_fails(device: torch.device) -> str | None:
    logits, target = torch.zeros(1, 4, device=device), torch.zeros(1, dtype=torch.int64, device=device)
    try:
        cross_entropy_of_logits(logits, target, -1, 0.0, 1.0, logits[:, 0], logits[:, 1], None, None)
    except Exception as error:
        # Of many types: no C compiler, no headers of Python, a GPU that this triton does not know
        return f"triton cannot run a kernel: {type(error).__name__}: {error}"
    return None


def cross_entropy_of_logits(
    logits: Tensor,
    target: Tensor,
    padding_index: int,
    others: float,
    scale: float,
    smoothed: Tensor,
    likelihood: Tensor,
    hits: Tensor | None,
    difference: Tensor | None,
    *,
    block: int | None = None,
    warps: int | None = None,
) -> None:
    """Write the label-smoothed cross-entropy of a chunk of tokens, and what its gradient with the logits is.

    With V the vocabulary's size and e the share of label smoothing, q is ``1 - e`` on the label and ``e / (V - 1)`` on
    each other token. All outputs are 0 in the rows of padding. A logit of minus infinity has probability 0. A label
    outside the vocabulary makes its row's losses NaN. Only for devices for which :func:`why_no_kernel`
    returns None.

    :param logits: (n, V) float32, contiguous within a row.
    :param target: (n,) int64 labels, with any stride.
    :param padding_index: the label of padding.
    :param others: ``e / (V - 1)``.
    :param scale: factor of the difference, applied in float32.
    :param smoothed: (n,) float32, contiguous, written: the label-smoothed cross-entropy of each token, in nats.
    :param likelihood: (n,) float32, contiguous, written: the negative log-likelihood of each token, in nats.
    :param hits: (n,) int64 or bool, contiguous, written: whether the label is the first position of the highest logit;
        None: not wanted.
    :param difference: (n, V) float32, float16 or bfloat16, contiguous within a row, written: ``scale * (p - q)``. It
        may be ``logits`` itself. None: not wanted.
    :param block: entries of a row that are taken at a time, a power of two from 4; None: as many as suit V.
    :param warps: groups of 32 threads that share a row, a power of two up to 32; None: as many as suit the block.
    """
    count, vocabulary = logits.shape
    if not count:
        return
    strides = logits.stride(0), 0 if difference is None else difference.stride(0)
    # Told that sizes are multiples of 4, the compiler accesses 16 bytes at a time; by itself it sees multiples of 16
    unit = 1 if any(size % 4 for size in (vocabulary, *strides)) else 4
    if block is None and vocabulary > WHOLE_ROW:
        block, warps = LOOP_BLOCK, warps or LOOP_WARPS
    elif block is None:
        block = max(1 << (vocabulary - 1).bit_length(), 1024)
    # A thread has registers for 32 entries
    warps = warps or min(max(block // 1024, 4), 32)
    with torch.cuda.device_of(logits):
        _row[(count,)](
            logits, target, smoothed, likelihood, hits, difference,
            vocabulary // unit, strides[0] // unit, strides[1] // unit, target.stride(0), padding_index,
            others, scale, SMOOTHS=others > 0, UNIT=unit, BLOCK=block, WHOLE=vocabulary <= block, num_warps=warps,
        )  # fmt: skip


if triton is not None:
    # Lowest finite number: the difference of two infinities is not a number
    LOWEST = tl.constexpr(torch.finfo(torch.float32).min)

    @triton.jit
    def _load(logits, offsets, vocabulary, POLICY: tl.constexpr):  # type: ignore[no-untyped-def]
        return tl.load(logits + offsets, mask=offsets < vocabulary, other=float("-inf"), eviction_policy=POLICY)

    @triton.jit
    def _sum_above(x, near, offsets, vocabulary):  # type: ignore[no-untyped-def]
        return tl.sum(tl.where(offsets < vocabulary, x - near, 0.0), axis=1)

    @triton.jit
    def _store(difference, p, offsets, vocabulary, label, others, on_label, scale):  # type: ignore[no-untyped-def]
        value = scale * (p - others - tl.where(offsets == label, on_label, 0.0))
        tl.store(difference + offsets, value.to(difference.dtype.element_ty), mask=offsets < vocabulary)

    @triton.jit(
        # Slices of larger tensors, whose alignment differs from chunk to chunk
        do_not_specialize=["target_stride"],
        do_not_specialize_on_alignment=["target", "smoothed", "likelihood", "hits"],
    )
    def _row(  # type: ignore[no-untyped-def]
        logits, target, smoothed, likelihood, hits, difference,
        units, logits_stride, difference_stride, target_stride, padding_index, others, scale,
        SMOOTHS: tl.constexpr, UNIT: tl.constexpr, BLOCK: tl.constexpr, WHOLE: tl.constexpr,
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
            tl.store(smoothed + row, 0.0)
            tl.store(likelihood + row, 0.0)
            if hits is not None:
                tl.store(hits + row, 0)
            if difference is not None:
                for i in tl.range(0, tiles):
                    nothing = tl.zeros((BLOCK // 4, 4), difference.dtype.element_ty)
                    tl.store(difference + i * BLOCK + offsets, nothing, mask=i * BLOCK + offsets < vocabulary)
            return

        of_label = tl.load(logits + label, mask=(label >= 0) & (label < vocabulary), other=float("nan"))
        # Logits are summed as differences from it, since what is equal in all of them would cost digits
        near = tl.where(of_label > LOWEST, of_label, 0.0)
        if WHOLE:
            x = _load(logits, offsets, vocabulary, "evict_first")
            highest = tl.max(tl.max(x, axis=1), axis=0)
            if hits is not None:
                before = tl.max(tl.max(tl.where(offsets < label, x, float("-inf")), axis=1), axis=0)
            if SMOOTHS:
                above = tl.sum(_sum_above(x, near, offsets, vocabulary), axis=0)
            x = tl.exp(x - highest)
            total = tl.sum(tl.sum(x, axis=1), axis=0)
        else:
            # A maximum and sums for each four columns, brought together once, after the loop
            top = tl.full((BLOCK // 4,), LOWEST, tl.float32)
            sums = tl.zeros((BLOCK // 4,), tl.float32)
            above_near = tl.zeros((BLOCK // 4,), tl.float32)
            earlier = tl.full((BLOCK // 4,), float("-inf"), tl.float32)
            for i in tl.range(0, tiles):
                x = _load(logits, i * BLOCK + offsets, vocabulary, "evict_last")
                if hits is not None:
                    x_before = tl.where(i * BLOCK + offsets < label, x, float("-inf"))
                    earlier = tl.maximum(earlier, tl.max(x_before, axis=1))
                if SMOOTHS:
                    above_near += _sum_above(x, near, i * BLOCK + offsets, vocabulary)
                raised = tl.maximum(top, tl.max(x, axis=1))
                sums = sums * tl.exp(top - raised) + tl.sum(tl.exp(x - raised[:, None]), axis=1)
                top = raised
            highest = tl.max(top, axis=0)
            before = tl.max(earlier, axis=0)
            above = tl.sum(above_near, axis=0)
            total = tl.sum(sums * tl.exp(top - highest), axis=0)

        on_label = 1.0 - others * vocabulary
        of_total = tl.log(total)
        cost = highest - of_label + of_total
        tl.store(likelihood + row, cost)
        if SMOOTHS:
            cost = on_label * cost + others * (vocabulary * (highest - near + of_total) - above)
        tl.store(smoothed + row, cost)
        if hits is not None:
            hit = (of_label == highest) & (before < of_label)
            tl.store(hits + row, hit.to(hits.dtype.element_ty))
        if difference is not None:
            share = 1.0 / total
            if WHOLE:
                _store(difference, x * share, offsets, vocabulary, label, others, on_label, scale)
            else:
                for i in tl.range(0, tiles):
                    # From the end, which the cache still holds
                    columns = (tiles - 1 - i) * BLOCK + offsets
                    x = _load(logits, columns, vocabulary, "evict_first")
                    p = tl.exp(x - highest) * share
                    _store(difference, p, columns, vocabulary, label, others, on_label, scale)
