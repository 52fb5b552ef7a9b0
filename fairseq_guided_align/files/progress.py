"""The progress of long work, on standard error; quick work shows none."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm

SECONDS_OF_SILENCE = 2


def line_counter(title: str, lines: int | None = None, is_shown: bool = True) -> Any:
    """A tqdm bar that counts lines: use it in ``with``, and call ``update(lines)``.

    :param lines: all there are, where they are known: the bar tells the time that is left.
    :param is_shown: False for all but one of several processes.
    """
    return tqdm(
        desc=title,
        total=lines,
        disable=not is_shown,
        unit=" lines",
        unit_scale=True,
        file=sys.stderr,
        delay=SECONDS_OF_SILENCE,
        mininterval=0.5 if sys.stderr.isatty() else 30,
        leave=sys.stderr.isatty(),
    )


def say(text: str) -> None:
    """One line on standard error."""
    print(text, file=sys.stderr, flush=True)
