"""A function over many items in several processes, results in order, memory bounded."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing.connection import wait
from typing import TypeVar

from fairseq_guided_align.errors import GuidedAlignError

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_in_order(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int, ahead: int = 4, together: int = 1
) -> Generator[Result, None, None]:
    """As ``map``, in ``workers`` processes, and in this one where there is one worker.

    Each worker has at most ``ahead * together`` items that are under way or wait to be taken. An error in ``function``
    takes the place of its result, or of that of the first item handed over with it.

    :param function: of a module's own level, with picklable items and results, where ``workers`` is above 1.
    :param together: items handed to a process at once; several where each takes a few milliseconds only.
    :raises GuidedAlignError: ``workers`` is below 1, or a process was killed.
    """
    if workers < 1:
        raise GuidedAlignError(f"expected at least one worker; got {workers}")
    if workers == 1:
        yield from map(function, items)
        return
    executor = ProcessPoolExecutor(workers, initializer=_begin)
    try:
        under_way: deque[Future[list[Result]]] = deque()
        remaining = iter(items)
        while some := list(islice(remaining, together)):
            under_way.append(executor.submit(_each, function, some))
            if len(under_way) >= workers * ahead:
                yield from under_way.popleft().result()
        while under_way:
            yield from under_way.popleft().result()
    except BrokenProcessPool as error:
        raise GuidedAlignError("a worker process was killed, perhaps for memory; use fewer workers") from error
    finally:
        executor.shutdown(cancel_futures=True)


def _each(function: Callable[[Item], Result], items: list[Item]) -> list[Result]:
    return [function(item) for item in items]


def keep_freed_memory() -> None:
    """Let this process keep freed memory instead of returning it to the system after every block of text.

    With glibc, the system would hand out and clear the same pages for each block anew: a fifth of the time of
    `project`. Does nothing with another C library.
    """
    try:
        set_option = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    trim_threshold, mmap_threshold = -1, -3  # As malloc.h numbers them.
    set_option(trim_threshold, 64 << 20)
    set_option(mmap_threshold, 32 << 20)


def _begin() -> None:
    """Leave Ctrl-C to the parent, which ends its workers, and end when the parent is killed."""
    keep_freed_memory()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
