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
from typing import BinaryIO, NamedTuple, Optional, TypeVar, Union, overload

import numpy as np

from fairseq_guided_align.errors import AlignmentStoreError
from fairseq_guided_align.files.atomic import atomic_file, scratch_folder
from fairseq_guided_align.files.byte_lines import PathLike
from fairseq_guided_align.files.workers import map_in_order
from fairseq_guided_align.links.link import CorpusLinks, SentenceLinks, sentence_of

MAGIC = b"FSGALNK\x00"
VERSION = 1
HEADER = struct.Struct("<8sIIQQii24x")
_HAS_WEIGHT, _HAS_SURE = 1, 2
Task = TypeVar("Task")
Seen = TypeVar("Seen")

_COLUMNS = {"offsets": "<i8", "source": "<i4", "target": "<i4", "weight": "<f4", "sure": "|b1"}
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


def write_links(path: PathLike, chunks: Iterable[Union[CorpusLinks, SentenceLinks]]) -> StoreCounts:
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
    """Takes links in the corpus's order. Each process keeps those that it makes in a file of its own, so that only
    their numbers go from one to another; in the end each part is copied to where it belongs.

    :param folder: for these files.
    :param at_work: ends the processes when the folder is no longer needed.
    """

    def __init__(self, folder: Path, workers: int, at_work: ExitStack) -> None:
        self._folder, self.workers, self._at_work = folder, workers, at_work
        self._parts: list[_Part] = []

    def append(self, links: CorpusLinks) -> None:
        self._parts.append(_keep_part(self._folder, links))

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
        return StoreCounts(
            sum(part.sentences for part in self._parts),
            sum(part.links for part in self._parts),
            max((part.largest_source for part in self._parts), default=-1),
            max((part.largest_target for part in self._parts), default=-1),
        )

    def put_together(self, stream: BinaryIO) -> None:
        """Write the complete file."""
        counts = self.counts()
        flags = 0
        for part in self._parts:
            flags |= part.flags
        stream.write(HEADER.pack(MAGIC, VERSION, flags, *counts))
        starts, size = _column_starts(flags, counts.sentences, counts.links)
        stream.truncate(size)
        sentences, links = 1, 0  # the first offset is 0, as is all that truncating adds
        for part in self._parts:
            rows = {name: sentences if name == "offsets" else links for name in starts}
            columns = {name: start + rows[name] * np.dtype(_COLUMNS[name]).itemsize for name, start in starts.items()}
            _put_in_place(part, stream, links, columns)
            sentences += part.sentences
            links += part.links


class LinkStore:
    """Read-only, memory-mapped links of a corpus; index it with a sentence pair's number.

    ``offsets``, ``source``, ``target``, ``weight`` (None: all 1) and ``sure`` (None: all sure) are arrays as in
    :class:`~fairseq_guided_align.links.link.CorpusLinks`; ``counts`` is a :class:`StoreCounts`.
    Pickled as its path, so that each process maps the file for itself.

    :raises AlignmentStoreError: the file is missing, truncated, of another kind or another version.
    """

    offsets: np.ndarray
    source: np.ndarray
    target: np.ndarray
    weight: Optional[np.ndarray]
    sure: Optional[np.ndarray]

    def __init__(self, path: PathLike) -> None:
        self.path = Path(path)
        self.counts, flags = _read_header(self.path)
        self.weight = self.sure = None
        for name, start in _column_starts(flags, self.counts.sentences, self.counts.links)[0].items():
            dtype = np.dtype(_COLUMNS[name])
            length = self.counts.sentences + 1 if name == "offsets" else self.counts.links
            # An empty range cannot be mapped.
            column: np.ndarray = np.memmap(self.path, dtype, "r", start, (length,)) if length else np.empty(0, dtype)
            setattr(self, name, column)
        from_to = self.offsets[0] == 0 and self.offsets[-1] == self.counts.links
        if not from_to or (self.offsets[1:] < self.offsets[:-1]).any():
            raise AlignmentStoreError(
                f"{self.path}: expected offsets from 0 to {self.counts.links}, none below the one before; {_REMEDY}"
            )

    def __len__(self) -> int:
        return self.counts.sentences

    @overload
    def __getitem__(self, index: int) -> SentenceLinks: ...

    @overload
    def __getitem__(self, index: slice) -> CorpusLinks: ...

    def __getitem__(self, index: Union[int, slice]) -> Union[SentenceLinks, CorpusLinks]:
        if isinstance(index, slice):
            return self.corpus()[index]
        return sentence_of(self.offsets, self.source, self.target, self.weight, self.sure, index)

    def __iter__(self) -> Iterator[SentenceLinks]:
        for index in range(len(self)):
            yield self[index]

    def corpus(self) -> CorpusLinks:
        """All links, still memory-mapped."""
        return CorpusLinks(self.offsets, self.source, self.target, self.weight, self.sure)

    def __reduce__(self) -> tuple[type[LinkStore], tuple[Path]]:
        return LinkStore, (self.path,)


def is_store(path: PathLike) -> bool:
    """Whether the file begins as the files of :func:`write_links` do."""
    try:
        with open(path, "rb") as stream:
            return stream.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def _column_names(flags: int) -> list[str]:
    names = ["offsets", "source", "target"]
    if flags & _HAS_WEIGHT:
        names.append("weight")
    if flags & _HAS_SURE:
        names.append("sure")
    return names


def _column_starts(flags: int, sentences: int, links: int) -> tuple[dict[str, int], int]:
    """Where each column begins in a file, and the file's size."""
    starts = {}
    position = HEADER.size
    for name in _column_names(flags):
        position += -position % 8
        starts[name] = position
        position += (sentences + 1 if name == "offsets" else links) * np.dtype(_COLUMNS[name]).itemsize
    return starts, position


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
    _, version, flags, sentences, links, largest_source, largest_target = HEADER.unpack(header)
    if version != VERSION or flags & ~(_HAS_WEIGHT | _HAS_SURE):
        raise AlignmentStoreError(
            f"{path}: expected version {VERSION} of the format; got version {version}, flags {flags}; {_REMEDY}"
        )
    _, expected = _column_starts(flags, sentences, links)
    if size != expected:
        raise AlignmentStoreError(
            f"{path}: expected {expected} bytes for {sentences} sentences and {links} links; got {size}; {_REMEDY}"
        )
    return StoreCounts(sentences, links, largest_source, largest_target), flags


class _Part(NamedTuple):
    """Links of consecutive sentence pairs as they lie in the file of the process that made them, column after column.

    :param path: the file.
    :param position: where the first column begins in it.
    """

    path: str
    position: int
    sentences: int
    links: int
    largest_source: int
    largest_target: int
    flags: int


def _make_part(function: Callable[[Task], tuple[CorpusLinks, Seen]], folder: Path, task: Task) -> tuple[_Part, Seen]:
    links, seen = function(task)
    return _keep_part(folder, links), seen


def _keep_part(folder: Path, links: CorpusLinks) -> _Part:
    """Append links to this process's own file in the folder."""
    flags = (_HAS_WEIGHT if links.weight is not None else 0) | (_HAS_SURE if links.sure is not None else 0)
    path = folder / str(os.getpid())
    with open(path, "ab") as stream:
        position = stream.tell()
        for name in _column_names(flags):
            column = links.offsets[1:] if name == "offsets" else getattr(links, name)
            stream.write(np.ascontiguousarray(column, _COLUMNS[name]).data)
    largest = [int(column.max(initial=-1)) for column in (links.source, links.target)]
    return _Part(str(path), position, len(links), len(links.source), largest[0], largest[1], flags)


def _put_in_place(part: _Part, stream: BinaryIO, links: int, columns: dict[str, int]) -> None:
    """Copy a part into the complete file; the columns that it lacks are all 1.

    :param links: links before the part.
    :param columns: where its share of each column begins.
    """
    kept = _column_names(part.flags)
    with open(part.path, "rb") as read:
        read.seek(part.position)
        for name, position in columns.items():
            dtype = np.dtype(_COLUMNS[name])
            length = part.sentences if name == "offsets" else part.links
            if name in kept:
                column = np.frombuffer(read.read(length * dtype.itemsize), dtype)
            else:
                column = np.ones(length, dtype)
            stream.seek(position)
            stream.write((column + links if name == "offsets" else column).data)
