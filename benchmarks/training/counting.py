"""Peak memory and memory traffic from the sizes of tensors alone, without a device that could hold them."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

BLOCK = 512
"""Bytes that CUDA's allocator of torch hands out at a time."""


class CountedMemory(TorchDispatchMode):
    """Inside the ``with`` block, adds up the tensors that operators make, for as long as anything refers to them.

    What is there already does not count, nor what an operator needs for itself and gives back.

    ``now`` and ``peak`` are bytes.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._sizes: dict[int, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for one in tree_leaves((args, kwargs)):
            self._see(one, counts=False)
        found = func(*args, **(kwargs or {}))
        for one in tree_leaves(found):
            self._see(one, counts=True)
        return found

    def _see(self, one: Any, counts: bool) -> None:
        if not isinstance(one, torch.Tensor):
            return
        storage = one.untyped_storage()
        key = storage._cdata
        if key in self._sizes:
            return
        self._sizes[key] = -(-storage.nbytes() // BLOCK) * BLOCK if counts else 0
        self.now += self._sizes[key]
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._forget, key)

    def _forget(self, key: int) -> None:
        self.now -= self._sizes.pop(key)


class CountedTraffic(TorchDispatchMode):
    """Inside the ``with`` block, counts operators, and the bytes that they read and write.

    An operator reads each of its arguments once and writes each of its results once, but for those that touch a part,
    such as ``gather``. What an operator does inside, and what a cache spares it, is not seen.

    ``operators`` are those that compute anything, which a GPU starts one at a time; ``bytes`` are theirs together.
    """

    def __init__(self) -> None:
        super().__init__()
        self.operators = self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        found = func(*args, **kwargs)
        name = func.overloadpacket.__name__
        if func.is_view or name in NO_WORK:
            return found
        self.operators += 1
        reads = _tensors((args, {key: value for key, value in kwargs.items() if key != "out"}))
        writes = _tensors(found)
        if name in FILLING or name.startswith("new_"):
            reads = []
        elif name in READING_A_PART:
            reads = [*writes, *reads[1:]]
        elif name in CHANGING_A_PART:
            reads, writes = [*reads[1:], reads[-1]], reads[-1:]
        self.bytes += sum(map(_size, (*reads, *writes)))
        return found


NO_WORK = {"_unsafe_view", "detach", "empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided"}
FILLING = {"arange", "fill_", "full", "full_like", "ones", "ones_like", "zero_", "zeros", "zeros_like"}
READING_A_PART = {"embedding", "gather", "index", "index_select"}
CHANGING_A_PART = {"index_add_", "index_copy_", "index_put_", "scatter_", "scatter_add_"}


def _tensors(values: Any) -> list[torch.Tensor]:
    return [one for one in tree_leaves(values) if isinstance(one, torch.Tensor)]


def _size(tensor: torch.Tensor) -> int:
    """Bytes; an expanded tensor is no larger than what it is expanded from."""
    return min(tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes())


@contextmanager
def without_values() -> Iterator[None]:
    """Lets fairseq's Transformer and criteria run on the device "meta", whose tensors have shapes and types alone.

    They ask whether a batch has padding, which ours here has not, and take sums for their log to the host.
    """
    with ExitStack() as stack:
        for name, answer in (
            ("torch.Tensor.__bool__", lambda tensor: False),
            ("torch.onnx.operators.shape_as_tensor", lambda tensor: tuple(tensor.shape)),
            ("fairseq.utils.item", lambda tensor: tensor),
        ):
            stack.enter_context(mock.patch(name, answer))
        yield
