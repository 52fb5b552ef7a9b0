"""Word links of a large text, chunk by chunk, in several processes and on several machines.

Chunks that are done lie in a folder beside the output, ``.OUTPUT.parts``, each named after all that it was made from:
its text, the settings, and where its priors came from. So an interrupted run goes on where it stopped, and a changed
text is aligned anew only where it changed. When all chunks are there they become one file, in the order of the text.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.files.atomic import STANDARD_OUTPUT, atomic_file, atomic_text, clear_write_errors
from fairseq_guided_align.files.byte_lines import (
    Block,
    count_line_feeds,
    decode_line,
    lines_of,
    locate_blocks_together,
    read_blocks,
    read_blocks_together,
)
from fairseq_guided_align.files.opening import PathLike
from fairseq_guided_align.files.progress import line_counter, say
from fairseq_guided_align.files.workers import map_in_order
from fairseq_guided_align.links.aligner import (
    NOTHING_TO_ALIGN,
    AlignerInput,
    AlignerSettings,
    align_with_eflomal,
    eflomal_package,
    spaced,
)
from fairseq_guided_align.links.pharaoh import format_block
from fairseq_guided_align.links.priors import Prior, count_priors, merge_priors, priors_of_text, write_priors
from fairseq_guided_align.links.words import split_words

SAMPLE_PAIRS = 200_000
"""Sentence pairs that priors are learnt from, unless told otherwise."""

LINES_IN_BLOCK = 10_000

LINKS, FORWARD, REVERSE, PRIORS, DONE = "links", "forward", "reverse", "priors", "done"
"""What a chunk's files are of; the last is written last."""


@dataclass(frozen=True)
class Chunking:
    """How much of a text is aligned at a time, and what it starts from and leaves.

    :param chunk_pairs: sentence pairs of a chunk, at least 1; None: all at once.
    :param sample_pairs: most pairs that priors are learnt from, where there are several chunks and no ``priors``; None:
        :data:`SAMPLE_PAIRS`, or as many as in a chunk where that is more.
    :param priors: a file of priors to start from, which can be read again.
    :param save_priors: gets the priors of the text, those of ``priors`` included.
    """

    chunk_pairs: int | None = None
    sample_pairs: int | None = None
    priors: PathLike | None = None
    save_priors: PathLike | None = None

    def text(
        self, source: PathLike, target: PathLike, pairs: int, word_splits: tuple[str, str], settings: AlignerSettings
    ) -> ChunkedText:
        """The text in chunks. Parameters as of :class:`ChunkedText`."""
        chunk = self.chunk_pairs or max(1, pairs)
        sample = self.sample_pairs or max(chunk, SAMPLE_PAIRS)
        return ChunkedText(source, target, pairs, word_splits, settings, chunk, sample, self.priors)


@dataclass(frozen=True)
class ChunkedText:
    """What is aligned, and how.

    :param source: a file that can be read again.
    :param target: likewise, with as many lines.
    :param pairs: their number.
    :param word_splits: what the words of source and target are, see ``links.words``.
    :param chunk_pairs: sentence pairs of a chunk, at least 1.
    :param sample_pairs: as of :class:`Chunking`.
    :param priors: a file of priors to start from.
    """

    source: PathLike
    target: PathLike
    pairs: int
    word_splits: tuple[str, str]
    settings: AlignerSettings
    chunk_pairs: int
    sample_pairs: int
    priors: PathLike | None = None

    @property
    def chunks(self) -> int:
        return max(1, -(-self.pairs // self.chunk_pairs))


class Outputs(NamedTuple):
    """Files to write; all but the first may be None."""

    links: PathLike
    forward: PathLike | None = None
    reverse: PathLike | None = None
    priors: PathLike | None = None


class Part(NamedTuple):
    """The share of one machine: the ``number``-th, from 1, of ``of`` parts."""

    number: int
    of: int

    def has(self, chunk: int, chunks: int) -> bool:
        """Whether a chunk, counted from 0, is in the share: consecutive chunks, as many in each part as can be."""
        return chunk * self.of // chunks == self.number - 1


WHOLE = Part(1, 1)


@dataclass(frozen=True)
class ChunkCounts:
    """Counts of aligned text, which are summed over chunks.

    :param with_links: sentence pairs with links.
    :param too_long: sentence pairs that are too long for eflomal.
    """

    pairs: int = 0
    links: int = 0
    with_links: int = 0
    too_long: int = 0

    def __add__(self, other: ChunkCounts) -> ChunkCounts:
        return ChunkCounts(*(one + two for one, two in zip(asdict(self).values(), asdict(other).values())))


@dataclass(frozen=True)
class _Work:
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
    sample: _Sample | None = None

    def file(self, name: str, kind: str) -> Path:
        return self.folder / f"{name}.{kind}"


class _Task(NamedTuple):
    """Sentence pairs to align.

    :param lines: their numbers in the text, from 1.
    :param blocks: lines of source and target.
    """

    work: _Work
    name: str
    lines: Sequence[int]
    blocks: Sequence[Block]


def align_in_chunks(
    text: ChunkedText, outputs: Outputs, jobs: int, part: Part = WHOLE, parts: Path | None = None
) -> ChunkCounts | None:
    """Align a text and write its links, or align one machine's part of it.

    :param parts: folder for chunks that are done, which the caller removes; None: one beside the output, which is gone
        when they are joined.
    :return: counts of the whole text; None where chunks of other parts are missing, and nothing is written yet.
    :raises GuidedAlignError: there is nothing to align, eflomal is not installed or failed, text is not UTF-8, or a
        file cannot be written. Chunks that are done stay.
    """
    if not text.pairs:
        raise GuidedAlignError(NOTHING_TO_ALIGN)
    with _parts_folder(outputs.links, parts) as folder:
        kept = tuple(kind for kind, path in zip((FORWARD, REVERSE, PRIORS), outputs[1:]) if path is not None)
        work = _with_priors(_Work(folder, text, text.priors, _described(text, kept), kept), jobs)
        names: list[str] = []
        with (
            line_counter("align", text.pairs) as bar,
            closing(map_in_order(_align_chunk, _tasks(work, part, names, bar), jobs, ahead=1)) as done,
        ):
            for counts in done:
                bar.update(counts.pairs)
        missing = sum(not work.file(name, DONE).exists() for name in names)
        if missing:
            say(f"{len(names) - missing} of {len(names)} chunks are done; the part that ends last joins them")
            return None
        return _joined(work, names, outputs, keep=parts is not None)


@contextmanager
def _parts_folder(output: PathLike, parts: Path | None) -> Iterator[Path]:
    """Where chunks are kept: beside the output, where that is a file and ``parts`` names no other folder."""
    if parts is not None:
        parts.mkdir(exist_ok=True)
        yield parts
        return
    path = Path(os.path.realpath(output))
    if str(output) == STANDARD_OUTPUT or (path.exists() and not path.is_file()):
        with tempfile.TemporaryDirectory(prefix="align-") as name:
            yield Path(name)
        return
    folder = path.with_name(f".{path.name}.parts")
    with clear_write_errors(output):
        folder.mkdir(exist_ok=True)
        yield folder


def _described(text: ChunkedText, kept: tuple[str, ...]) -> bytes:
    return repr((asdict(text.settings), text.word_splits, kept)).encode()


def _key(*parts: bytes) -> str:
    key = hashlib.blake2b(digest_size=12)
    for part in parts:
        key.update(b"%d\n" % len(part))
        key.update(part)
    return key.hexdigest()


# --- priors -----------------------------------------------------------------------------------------------------------


class _Sample(NamedTuple):
    """Pairs at the same distance from each other, aligned all at once.

    :param name: what its files are named after.
    """

    pairs: int
    name: str


def _with_priors(work: _Work, jobs: int) -> _Work:
    """With the priors that every chunk starts from: those given, or those of a sample; none for a single chunk."""
    text = work.text
    if text.priors is not None:
        whole = _key(*(block for _, block in read_blocks(text.priors)))
        return replace(work, made_from=_key(work.made_from, whole.encode()).encode())
    if text.chunks == 1:
        return work
    pairs = min(text.sample_pairs, text.pairs)
    say(f"learning priors from {pairs} of {text.pairs} sentence pairs; eflomal says nothing until it is done")
    task = _sample_task(work, pairs)
    if not work.file(task.name, PRIORS).exists():
        # In a process of its own where chunks have such: its memory is free again before they begin.
        list(map_in_order(_align_sample, [task], jobs))
    priors = work.file(task.name, PRIORS)
    return replace(work, priors=priors, made_from=task.name.encode(), sample=_Sample(pairs, task.name))


def _sample_task(work: _Work, pairs: int) -> _Task:
    text = work.text
    sides: tuple[list[bytes], list[bytes]] = [], []
    for first_line, blocks in read_blocks_together([text.source, text.target], LINES_IN_BLOCK):
        _, inside = _sampled(text.pairs, pairs, first_line, count_line_feeds(blocks[0]))
        for side, block in zip(sides, blocks):
            lines = block.split(b"\n")
            side += [lines[number] + b"\n" for number in inside]
    joined = [b"".join(side) for side in sides]
    numbers = [number + 1 for number in _sampled(text.pairs, pairs, 1, text.pairs)[1]]
    return _Task(work, f"sample.{_key(work.made_from, *joined)}", numbers, joined)


def _sampled(of: int, pairs: int, first_line: int, lines: int) -> tuple[range, list[int]]:
    """Which pairs of a sample lie in some lines: their numbers in the sample, and in the lines, both from 0.

    :param of: pairs of the text.
    :param pairs: pairs of the sample; the i-th is pair i * of // pairs of the text.
    """
    before = first_line - 1
    begin, end = (-(-number * pairs // of) for number in (before, before + lines))
    return range(begin, end), [number * of // pairs - before for number in range(begin, end)]


def _align_sample(task: _Task) -> ChunkCounts:
    return _align_block(task, (FORWARD, REVERSE, PRIORS))


def _own_priors(work: _Work, first_line: int, source: list[str], target: list[str]) -> Iterator[Prior]:
    """What the sample has learnt from some of a chunk's pairs, which is no evidence of others."""
    if work.sample is None:
        return
    numbers, rows = _sampled(work.text.pairs, work.sample.pairs, first_line, len(source))
    links = []
    for kind in (FORWARD, REVERSE):
        with open(work.file(work.sample.name, kind)) as stream:
            links.append(list(islice(stream, numbers.start, numbers.stop)))
    yield from count_priors(eflomal_package(), [(source[row], target[row]) for row in rows], *links)


# --- chunks -----------------------------------------------------------------------------------------------------------


def _tasks(work: _Work, part: Part, names: list[str], bar: Any) -> Iterator[_Task]:
    """The chunks of this part that are not done.

    :param names: gets the name of every chunk, also of other parts'.
    :param bar: is told of the pairs that are done.
    """
    text = work.text
    for first_line, blocks in locate_blocks_together([text.source, text.target], text.chunk_pairs):
        name = f"{len(names):07}.{_key(work.made_from, *map(lines_of, blocks))}"
        names.append(name)
        lines = range(first_line, min(first_line + text.chunk_pairs, text.pairs + 1))
        if part.has(len(names) - 1, text.chunks):
            if not work.file(name, DONE).exists():
                yield _Task(work, name, lines, blocks)
                continue
            bar.initial += len(lines)  # So that the time that is left is told from what is done now
            bar.update(len(lines))


def _align_chunk(task: _Task) -> ChunkCounts:
    counts = _align_block(task, (LINKS, *task.work.kept))
    with atomic_file(task.work.file(task.name, DONE)) as stream:
        stream.write(json.dumps(asdict(counts)).encode())
    return counts


def _align_block(task: _Task, wanted: tuple[str, ...]) -> ChunkCounts:
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
            known = _own_priors(work, task.lines[0], source, target)
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


# --- the whole --------------------------------------------------------------------------------------------------------


def _joined(work: _Work, names: Sequence[str], outputs: Outputs, keep: bool) -> ChunkCounts | None:
    """Join all chunks, unless another part has, and remove them unless they are kept."""
    with ExitStack() as stack:
        handle = os.open(work.folder, os.O_RDONLY)
        stack.callback(os.close, handle)
        with suppress(OSError):  # Where the file system knows no locks, two parts that end at once both join.
            fcntl.flock(handle, fcntl.LOCK_EX)
        if not all(work.file(name, DONE).exists() for name in names):
            say("another part has joined the chunks")
            return None
        counts = ChunkCounts()
        for name in names:
            counts += ChunkCounts(**json.loads(work.file(name, DONE).read_bytes()))
        for kind, path in zip((LINKS, FORWARD, REVERSE), outputs):
            if path is not None:
                with atomic_text(path) as stream:
                    for name in names:
                        with open(work.file(name, kind), "rb") as chunk:
                            shutil.copyfileobj(chunk, stream)
        if outputs.priors is not None:
            old = [] if work.text.priors is None else [work.text.priors]
            files = [*old, *(work.file(name, PRIORS) for name in names)]
            write_priors(outputs.priors, merge_priors(files, work.folder))
        if not keep:
            shutil.rmtree(work.folder, ignore_errors=True)
    return counts
