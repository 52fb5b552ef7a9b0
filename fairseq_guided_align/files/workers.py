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
    """As ``map``, in ``workers`` processes; at most ``ahead * together`` items a worker are under way or wait to be
    taken.

    With one worker no process is started. An error in ``function`` comes out where its result would have, or that of
    the first item handed over with it.

    :param function: of a module's own level, with picklable items and results, where ``workers`` is above 1.
    :param together: items handed to a process at once; more where one takes a few milliseconds only.
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
    """Let this process use freed memory again instead of giving it back to the system after every block of text.

    glibc gives back what is free at the end of its heap, which makes the system hand out and clear the same pages for
    each block anew: a fifth of the time of `project`. Does nothing with another C library.
    """
    try:
        set_option = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    for option, value in ((_M_TRIM_THRESHOLD, 64 << 20), (_M_MMAP_THRESHOLD, 32 << 20)):
        set_option(option, value)


_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


def _begin() -> None:
    """Leave Ctrl-C to the parent, which ends its workers; and end with it where it is killed."""
    keep_freed_memory()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
