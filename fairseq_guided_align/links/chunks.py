"""Word links of a large text, chunk by chunk, in several processes and on several machines.

Chunks that are done lie in a folder beside the output, ``.OUTPUT.parts``, each named after all that it was made from:
its text, the settings, and where its priors came from. So an interrupted run goes on where it stopped, and a changed
text is aligned anew only where it changed. When all chunks are there they become one file, in the order of the text.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.files.atomic import STANDARD_OUTPUT, atomic_file, atomic_text, clear_write_errors
from fairseq_guided_align.files.byte_lines import lines_of, locate_blocks_together
from fairseq_guided_align.files.opening import PathLike
from fairseq_guided_align.files.progress import line_counter, say
from fairseq_guided_align.files.workers import map_in_order
from fairseq_guided_align.links.aligned_block import (
    DONE,
    FORWARD,
    LINKS,
    PRIORS,
    REVERSE,
    AlignTask,
    ChunkWork,
    align_block,
    key_of,
)
from fairseq_guided_align.links.aligner import NOTHING_TO_ALIGN
from fairseq_guided_align.links.chunked_text import WHOLE, ChunkCounts, ChunkedText, Outputs, Part
from fairseq_guided_align.links.priors import merge_priors, write_priors
from fairseq_guided_align.links.sampled_priors import with_priors


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
        work = with_priors(ChunkWork(folder, text, text.priors, _described(text, kept), kept), jobs)
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


def _tasks(work: ChunkWork, part: Part, names: list[str], bar: Any) -> Iterator[AlignTask]:
    """The chunks of this part that are not done.

    :param names: gets the name of every chunk, also of other parts'.
    :param bar: is told of the pairs that are done.
    """
    text = work.text
    for first_line, blocks in locate_blocks_together([text.source, text.target], text.chunk_pairs):
        name = f"{len(names):07}.{key_of(work.made_from, *map(lines_of, blocks))}"
        names.append(name)
        lines = range(first_line, min(first_line + text.chunk_pairs, text.pairs + 1))
        if part.has(len(names) - 1, text.chunks):
            if not work.file(name, DONE).exists():
                yield AlignTask(work, name, lines, blocks)
                continue
            bar.initial += len(lines)  # So that the time that is left is told from what is done now
            bar.update(len(lines))


def _align_chunk(task: AlignTask) -> ChunkCounts:
    counts = align_block(task, (LINKS, *task.work.kept))
    with atomic_file(task.work.file(task.name, DONE)) as stream:
        stream.write(json.dumps(asdict(counts)).encode())
    return counts


def _joined(work: ChunkWork, names: Sequence[str], outputs: Outputs, keep: bool) -> ChunkCounts | None:
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
