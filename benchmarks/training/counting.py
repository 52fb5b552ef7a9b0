"""Peak memory from the sizes of tensors alone, without a device that could hold them."""

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
