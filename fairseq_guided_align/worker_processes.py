"""A function over many items in several processes, results in order, memory bounded."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_in_order(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int = 1, ahead: int = 4
) -> Iterator[Result]:
    """As ``map``, in ``workers`` processes; at most ``ahead`` items a worker are under way or wait to be taken.

    With one worker no process is started. An error in ``function`` comes out where its result would have.

    :param function: of a module's own level, with picklable items and results, where ``workers`` is above 1.
    """
    if workers <= 1:
        yield from map(function, items)
        return
    with multiprocessing.get_context().Pool(workers) as pool:
        under_way: deque = deque()
        for item in items:
            under_way.append(pool.apply_async(function, (item,)))
            if len(under_way) >= workers * ahead:
                yield under_way.popleft().get()
        while under_way:
            yield under_way.popleft().get()
