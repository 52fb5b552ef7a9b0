"""Some sentence pairs of a large text, aligned with the priors of all: a chunk, or the sample of the text."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fairseq_guided_align.files.byte_lines import Block, decode_line, lines_of
from fairseq_guided_align.files.opening import PathLike
from fairseq_guided_align.links.aligner import AlignerInput, align_with_eflomal, eflomal_package, spaced
from fairseq_guided_align.links.chunked_text import ChunkCounts, ChunkedText
from fairseq_guided_align.links.pharaoh import format_block
from fairseq_guided_align.links.priors import Prior, count_priors, priors_of_text, write_priors
from fairseq_guided_align.links.words import split_words

LINKS, FORWARD, REVERSE, PRIORS, DONE = "links", "forward", "reverse", "priors", "done"
"""What a chunk's files are of; the last is written last."""


class Sample(NamedTuple):
    """Pairs at the same distance from each other, aligned all at once.

    :param name: what its files are named after.
    """

    pairs: int
    name: str


@dataclass(frozen=True)
class ChunkWork:
    """What all chunks share.

    :param made_from: what all of them are made from besides their text.
    :param kept: kinds of files besides the links.
    :param sample: what the priors were learnt from, where they are of this text.
    """

    folder: Path
    text: ChunkedText
    priors: PathLike | None
    made_from: bytes
    kept: tuple[str, ...]
    sample: Sample | None = None

    def file(self, name: str, kind: str) -> Path:
        """Where a chunk, or the sample, has its file of a kind."""
        return self.folder / f"{name}.{kind}"


class AlignTask(NamedTuple):
    """Sentence pairs to align.

    :param lines: their numbers in the text, from 1.
    :param blocks: lines of source and target.
    """

    work: ChunkWork
    name: str
    lines: Sequence[int]
    blocks: Sequence[Block]


def align_block(task: AlignTask, wanted: tuple[str, ...]) -> ChunkCounts:
    """Align some sentence pairs and write the wanted kinds of files, the last of them last."""
    work, text = task.work, task.work.text
    source, target = (
        _words(lines_of(block), path, task.lines, word_split)
        for block, path, word_split in zip(task.blocks, (text.source, text.target), text.word_splits)
    )
    seen = AlignerInput()
    links = with_links = 0
    with tempfile.TemporaryDirectory(prefix="work-", dir=work.folder) as own:
        paths = {kind: Path(own) / kind for kind in (LINKS, FORWARD, REVERSE, PRIORS)}
        priors = None
        if work.priors is not None:
            known = own_priors(work, task.lines[0], source, target)
            priors = priors_of_text(work.priors, source, target, known)
        aligned = align_with_eflomal(source, target, text.settings, seen, paths[FORWARD], paths[REVERSE], priors)
        with open(paths[LINKS], "wb") as stream:
            for some in aligned:
                stream.write(format_block(some))
                links += len(some.source)
                with_links += int(np.count_nonzero(np.diff(some.offsets)))
        if PRIORS in wanted:
            with open(paths[FORWARD]) as forward, open(paths[REVERSE]) as reverse:
                counted = count_priors(eflomal_package(), list(zip(source, target)), forward, reverse)
                write_priors(paths[PRIORS], counted)
        for kind in wanted:
            os.replace(paths[kind], work.file(task.name, kind))
    return ChunkCounts(seen.sentences, links, with_links, len(seen.too_long))


def _words(block: bytes, path: PathLike, lines: Sequence[int], word_split: str) -> list[str]:
    """The lines, words with single spaces between them, as eflomal counts them.

    :param lines: their numbers in the file.
    """
    return [
        spaced(split_words(decode_line(line, path, number), word_split))
        for number, line in zip(lines, block.split(b"\n"))
    ]


def own_priors(work: ChunkWork, first_line: int, source: list[str], target: list[str]) -> Iterator[Prior]:
    """What the sample has learnt from some of a chunk's pairs, which is no evidence of others."""
    if work.sample is None:
        return
    numbers, rows = sampled(work.text.pairs, work.sample.pairs, first_line, len(source))
    links = []
    for kind in (FORWARD, REVERSE):
        with open(work.file(work.sample.name, kind)) as stream:
            links.append(list(islice(stream, numbers.start, numbers.stop)))
    yield from count_priors(eflomal_package(), [(source[row], target[row]) for row in rows], *links)


def sampled(of: int, pairs: int, first_line: int, lines: int) -> tuple[range, list[int]]:
    """Which pairs of a sample lie in some lines: their numbers in the sample, and in the lines, both from 0.

    :param of: pairs of the text.
    :param pairs: pairs of the sample; the i-th is pair i * of // pairs of the text.
    """
    before = first_line - 1
    begin, end = (-(-number * pairs // of) for number in (before, before + lines))
    return range(begin, end), [number * of // pairs - before for number in range(begin, end)]


def key_of(*parts: bytes) -> str:
    """A name that differs where any of the parts does, 24 hexadecimal digits."""
    key = hashlib.blake2b(digest_size=12)
    for part in parts:
        key.update(b"%d\n" % len(part))
        key.update(part)
    return key.hexdigest()
