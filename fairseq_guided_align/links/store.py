"""Links of a corpus in one memory-mapped binary file beside fairseq's binarised text.

Layout, little-endian: a header of 64 bytes, then the columns ``offsets`` (sentences + 1, int64), ``source`` (int32),
``target`` (int32), and, where the flags say so, ``weight`` (float32) and ``sure`` (bool), each starting at a multiple
of 8 bytes. The header holds the counts, so that a truncated file is known by its size.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeVar

import numpy as np

from fairseq_guided_align.errors import AlignmentStoreError
from fairseq_guided_align.files.atomic import atomic_file, scratch_folder
from fairseq_guided_align.files.byte_lines import PathLike
from fairseq_guided_align.files.workers import map_in_order
from fairseq_guided_align.links.link import CorpusLinks, SentenceLinks

MAGIC = b"FSGALNK\x00"
VERSION = 1
HEADER = struct.Struct("<8sIIQQii24x")
Task = TypeVar("Task")
Seen = TypeVar("Seen")

_DTYPES = {"offsets": "<i8", "source": "<i4", "target": "<i4", "weight": "<f4", "sure": "|b1"}
_FLAGS = {"weight": 1, "sure": 2}
_REMEDY = "write it again with `fairseq-guided-align binarize` or `preprocess`"


class StoreCounts(NamedTuple):
    """What a file of links holds, as its header says.

    ``largest_source`` and ``largest_target`` are the largest positions of any link, -1 where there are no links.
    """

    sentences: int
    links: int
    largest_source: int
    largest_target: int


def links_path(data_dir: PathLike, split: str, source_lang: str, target_lang: str) -> Path:
    """Where the links of a split lie: ``{data_dir}/{split}.links.{source_lang}-{target_lang}``."""
    return Path(data_dir) / f"{split}.links.{source_lang}-{target_lang}"


def write_links(path: PathLike, chunks: Iterable[CorpusLinks | SentenceLinks]) -> StoreCounts:
    """Write links as they come, in memory that does not grow with the corpus; the file appears when it is complete.

    :param chunks: in the corpus's order; each a sentence pair or several.
    :return: what was written.
    :raises GuidedAlignError: the disk is full, or the folder cannot be written to.
    """
    with link_writer(path) as writer:
        for chunk in chunks:
            writer.append(CorpusLinks.from_sentences([chunk]) if isinstance(chunk, SentenceLinks) else chunk)
    return writer.counts()


@contextmanager
def link_writer(path: PathLike, workers: int = 1) -> Iterator[LinkWriter]:
    """As :func:`write_links`, for links that several processes make.

    :param workers: processes that make links with :meth:`LinkWriter.append_all`.
    :raises GuidedAlignError: the disk is full, the folder cannot be written to, or a process was killed.
    """
    with atomic_file(path) as stream, scratch_folder(path) as folder, ExitStack() as at_work:
        writer = LinkWriter(folder, workers, at_work)
        yield writer
        writer.put_together(stream)


class LinkWriter:
    """Takes links in the corpus's order.

    Each process writes its links to its own file, so that processes exchange nothing but numbers. In the end the parts
    of all these files are copied to their place.

    :param folder: for these files.
    :param at_work: ends the processes when the folder is no longer needed.
    """

    def __init__(self, folder: Path, workers: int, at_work: ExitStack) -> None:
        self._folder, self.workers, self._at_work = folder, workers, at_work
        self._parts: list[_Part] = []

    def append(self, links: CorpusLinks) -> None:
        self._parts.append(_write_part(self._folder, links))

    def append_all(self, function: Callable[[Task], tuple[CorpusLinks, Seen]], tasks: Iterable[Task]) -> Iterator[Seen]:
        """Append the links that the function makes of each task, and give what it returns beside them.

        :param function: of a module's own level, with picklable tasks, where there are several workers.
        """
        results = map_in_order(partial(_make_part, function, self._folder), tasks, self.workers, ahead=2, together=4)
        self._at_work.callback(results.close)
        for part, seen in results:
            self._parts.append(part)
            yield seen

    def counts(self) -> StoreCounts:
        columns = list(zip(*(part.counts for part in self._parts))) or [(), (), (), ()]
        return StoreCounts(sum(columns[0]), sum(columns[1]), max(columns[2], default=-1), max(columns[3], default=-1))

    def put_together(self, stream: BinaryIO) -> None:
        """Write the complete file."""
        flags = 0
        for part in self._parts:
            flags |= part.flags
        stream.write(HEADER.pack(MAGIC, VERSION, flags, *self.counts()))
        for name in _columns_in(flags):
            stream.write(bytes(-stream.tell() % 8 + (8 if name == "offsets" else 0)))  # The first offset is 0.
            links = 0
            for part in self._parts:
                column = part.column(name)
                stream.write((column + links if name == "offsets" else column).data)
                links += part.counts.links


class LinkStore(CorpusLinks):
    """Read-only, memory-mapped links of a corpus, in a file that :func:`write_links` wrote.

    ``counts`` is a :class:`StoreCounts`. Pickled as its path, so that each process maps the file for itself.

    :raises AlignmentStoreError: the file is missing, truncated, of another kind or another version.
    """

    def __init__(self, path: PathLike) -> None:
        self.path = Path(path)
        self.counts, flags = _read_header(self.path)
        columns = {}
        for name, (start, length) in _places(flags, self.counts)[0].items():
            # An empty range cannot be mapped.
            mapped = np.memmap(self.path, _DTYPES[name], "r", start, (length,)) if length else ()
            columns[name] = np.asarray(mapped, _DTYPES[name])
        super().__init__(**columns)
        from_to = self.offsets[0] == 0 and self.offsets[-1] == self.counts.links
        if not from_to or (self.offsets[1:] < self.offsets[:-1]).any():
            raise AlignmentStoreError(
                f"{self.path}: expected offsets from 0 to {self.counts.links}, none below the one before; {_REMEDY}"
            )

    def __reduce__(self) -> tuple[type[LinkStore], tuple[Path]]:
        return LinkStore, (self.path,)


def _columns_in(flags: int) -> list[str]:
    return [name for name in _DTYPES if name not in _FLAGS or flags & _FLAGS[name]]


def _places(flags: int, counts: StoreCounts) -> tuple[dict[str, tuple[int, int]], int]:
    """Where each column begins in a file, with its length; and the file's size."""
    places = {}
    position = HEADER.size
    for name in _columns_in(flags):
        length = counts.sentences + 1 if name == "offsets" else counts.links
        position += -position % 8
        places[name] = position, length
        position += length * np.dtype(_DTYPES[name]).itemsize
    return places, position


def _read_header(path: Path) -> tuple[StoreCounts, int]:
    try:
        with open(path, "rb") as stream:
            header = stream.read(HEADER.size)
            size = os.fstat(stream.fileno()).st_size
    except OSError as error:
        raise AlignmentStoreError(f"{path}: cannot be read: {error.strerror}; {_REMEDY}") from error
    if not header.startswith(MAGIC):
        raise AlignmentStoreError(f"{path}: expected a binary file of links; got one that begins {header[:8]!r}")
    if len(header) < HEADER.size:
        raise AlignmentStoreError(f"{path}: truncated: {size} bytes; {_REMEDY}")
    _, version, flags, *numbers = HEADER.unpack(header)
    if version != VERSION or flags & ~sum(_FLAGS.values()):
        raise AlignmentStoreError(
            f"{path}: expected version {VERSION} of the format; got version {version}, flags {flags}; {_REMEDY}"
        )
    counts = StoreCounts(*numbers)
    _, expected = _places(flags, counts)
    if size != expected:
        raise AlignmentStoreError(
            f"{path}: expected {expected} bytes for {counts.sentences} sentences and {counts.links} links; got {size};"
            f" {_REMEDY}"
        )
    return counts, flags


class _Part(NamedTuple):
    """Links of consecutive sentence pairs in the file of the process that made them, column after column.

    :param path: the file.
    :param places: where each column begins in it.
    """

    path: Path
    places: dict[str, int]
    counts: StoreCounts
    flags: int

    def column(self, name: str) -> np.ndarray:
        """A column, without the first offset; one that the part lacks is all 1."""
        length = self.counts.sentences if name == "offsets" else self.counts.links
        if name not in self.places:
            return np.ones(length, _DTYPES[name])
        return np.fromfile(self.path, _DTYPES[name], length, offset=self.places[name])


def _make_part(function: Callable[[Task], tuple[CorpusLinks, Seen]], folder: Path, task: Task) -> tuple[_Part, Seen]:
    links, seen = function(task)
    return _write_part(folder, links), seen


def _write_part(folder: Path, links: CorpusLinks) -> _Part:
    """Append links to this process's own file in the folder."""
    flags = sum(flag for name, flag in _FLAGS.items() if getattr(links, name) is not None)
    places = {}
    path = folder / str(os.getpid())
    with open(path, "ab") as stream:
        for name in _columns_in(flags):
            column = links.offsets[1:] if name == "offsets" else getattr(links, name)
            places[name] = stream.tell()
            stream.write(np.ascontiguousarray(column, _DTYPES[name]).data)
    largest = [int(column.max(initial=-1)) for column in (links.source, links.target)]
    return _Part(path, places, StoreCounts(len(links), len(links.source), *largest), flags)
