"""Matrix products whose results are in float32 where their operands are in half precision; torch only."""

from __future__ import annotations

import torch
from torch import Tensor

HALF = (torch.float16, torch.bfloat16)


def product(a: Tensor, b: Tensor, out: Tensor | None = None) -> Tensor:
    """``a @ b``, in float32 where the operands are in half precision.

    :param a: (n, k).
    :param b: (k, m).
    :param out: (n, m) takes the result; None: a new matrix.
    """
    if a.dtype not in HALF:
        return torch.mm(a, b, out=out)
    return torch.mm(a, b, out_dtype=torch.float32, out=out)


def add_product(total: Tensor, a: Tensor, b: Tensor, factor: float) -> None:
    """Add ``factor * a @ b`` to ``total``, (n, m), which is in float32 where the operands are in half precision."""
    if a.dtype not in HALF:
        total.addmm_(a, b, alpha=factor)
    elif torch_version() >= (2, 11) and torch.version.hip is None:
        torch.addmm(total, a, b, alpha=factor, out_dtype=torch.float32, out=total)
    else:
        # A total in float32 was refused beside operands in half precision
        total.add_(product(a, b), alpha=factor)


def torch_version() -> tuple[int, ...]:
    """Major and minor version, such as (2, 11)."""
    return tuple(int(number) for number in torch.__version__.split(".")[:2])
