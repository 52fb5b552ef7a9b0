"""How many tagged segments a second one core does, start-up excluded."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from fairseq_guided_align.markup.carrying import carried
from fairseq_guided_align.markup.kinds import markup_of

WORDS = 15
XML = markup_of("xml")
_Case = TypeVar("_Case")
Segment = tuple[str, str, list[tuple[int, int, float]]]
"""Tagged source, plain target, links."""


def per_second(work: Callable[[_Case], object], cases: Sequence[_Case], rounds: int = 5) -> float:
    """Cases a second of processor time: the fastest round."""
    seconds = []
    for _ in range(rounds):
        start = time.process_time()
        for case in cases:
            work(case)
        seconds.append(time.process_time() - start)
    return len(cases) / min(seconds)


def made_up_segments(number: int = 2000) -> list[Segment]:
    """Segments of XML with two pairs, and a link for each word; two words change places."""
    numbers = random.Random(1)
    return [_made_up(numbers) for _ in range(number)]


def _made_up(numbers: random.Random) -> Segment:
    words = [f"word{numbers.randrange(1000)}" for _ in range(WORDS)]
    edges = sorted(numbers.sample(range(WORDS + 1), 4))
    for (start, stop), (opening, closing) in zip(
        [edges[:2], edges[2:]], [("<b>", "</b>"), ('<a href="x.html">', "</a>")]
    ):
        words[start] = opening + words[start]
        words[stop - 1] += closing
    order = list(range(WORDS))
    place = numbers.randrange(WORDS - 2)
    order[place], order[place + 2] = order[place + 2], order[place]
    target = [f"Wort{numbers.randrange(1000)}" for _ in range(WORDS)]
    return " ".join(words) + ".", " ".join(target) + ".", [(s, t, 1.0) for s, t in enumerate(order)]


def carry(segment: Segment) -> str:
    """What is timed: reading the segment, and its translation with tags."""
    source, target, links = segment
    return carried(XML.read(source), target, links, XML).text
