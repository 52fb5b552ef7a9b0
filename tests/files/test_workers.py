"""Work in processes: how many there are, and how far ahead of what is taken they get."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.files.workers import map_in_order


def process(item: int) -> int:
    return os.getpid()


def test_one_worker_is_this_process() -> None:
    assert list(map_in_order(process, range(3), 1)) == [os.getpid()] * 3
    assert os.getpid() not in map_in_order(process, range(3), 2)


def on_interrupt(item: int) -> object:
    return signal.getsignal(signal.SIGINT)


def test_an_interrupt_is_left_to_the_parent() -> None:
    """Else every worker would print where it was."""
    assert set(map_in_order(on_interrupt, range(4), 2)) == {signal.SIG_IGN}


def test_no_worker_is_refused() -> None:
    with pytest.raises(GuidedAlignError, match="at least one worker; got 0"):
        list(map_in_order(process, range(3), 0))


def test_no_more_is_read_than_is_said_to_be_under_way() -> None:
    read: list[int] = []

    def items() -> Iterator[int]:
        for number in range(100):
            read.append(number)
            yield number

    results = map_in_order(process, items(), 2, ahead=3, together=5)
    next(results)
    assert len(read) == 2 * 3 * 5
    results.close()
