"""Links of a corpus in one memory-mapped binary file beside fairseq's binarised text.

Layout, little-endian: a header of 64 bytes, then the columns ``offsets`` (sentences + 1, int64), ``source`` (int32),
``target`` (int32), and, where the flags say so, ``weight`` (float32) and ``sure`` (bool), each starting at a multiple
of 8 bytes. The header holds the counts, so that a truncated file is known by its size.
"""

from __future__ import annotations

import os
import shutil
import struct
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, Optional, Union, overload

import numpy as np

from fairseq_guided_align.atomic_files import atomic_file
from fairseq_guided_align.byte_lines import PathLike
from fairseq_guided_align.errors import AlignmentStoreError
from fairseq_guided_align.links import CorpusLinks, SentenceLinks, sentence_of

MAGIC = b"FSGALNK\x00"
VERSION = 1
HEADER = struct.Struct("<8sIIQQii24x")
_HAS_WEIGHT, _HAS_SURE = 1, 2
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
    path = Path(path)
    with atomic_file(path) as stream, _Columns(path.parent) as columns:
        for chunk in chunks:
            columns.append(CorpusLinks.from_sentences([chunk]) if isinstance(chunk, SentenceLinks) else chunk)
        counts = columns.counts()
        flags = (_HAS_WEIGHT if columns.weighted else 0) | (_HAS_SURE if columns.with_possible else 0)
        stream.write(HEADER.pack(MAGIC, VERSION, flags, *counts))
        for name in _column_names(flags):
            _pad(stream)
            columns.copy_to(name, stream)
    return counts


class LinkStore:
    """Read-only, memory-mapped links of a corpus; index it with a sentence pair's number.

    ``offsets``, ``source``, ``target``, ``weight`` (None: all 1) and ``sure`` (None: all sure) are arrays as in
    :class:`~fairseq_guided_align.links.CorpusLinks`; ``counts`` is a :class:`StoreCounts`.
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
        position = HEADER.size
        for name in _column_names(flags):
            position += -position % 8
            dtype = np.dtype(_COLUMNS[name])
            length = self.counts.sentences + 1 if name == "offsets" else self.counts.links
            # An empty range cannot be mapped.
            column: np.ndarray = np.memmap(self.path, dtype, "r", position, (length,)) if length else np.empty(0, dtype)
            setattr(self, name, column)
            position += length * dtype.itemsize
        if self.offsets[0] != 0 or self.offsets[-1] != self.counts.links:
            raise AlignmentStoreError(f"{self.path}: expected offsets from 0 to {self.counts.links}; {_REMEDY}")

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


def _pad(stream: BinaryIO) -> None:
    stream.write(b"\x00" * (-stream.tell() % 8))


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
    expected = HEADER.size
    for name in _column_names(flags):
        expected += -expected % 8
        expected += (sentences + 1 if name == "offsets" else links) * np.dtype(_COLUMNS[name]).itemsize
    if size != expected:
        raise AlignmentStoreError(
            f"{path}: expected {expected} bytes for {sentences} sentences and {links} links; got {size}; {_REMEDY}"
        )
    return StoreCounts(sentences, links, largest_source, largest_target), flags


class _Columns:
    """Columns that grow in unnamed files, which vanish however the process ends."""

    def __init__(self, folder: Path) -> None:
        self._files = {name: tempfile.TemporaryFile(dir=folder) for name in _COLUMNS}  # noqa: SIM115  # __exit__ closes
        self._sentences = self._links = 0
        self._largest_source = self._largest_target = -1
        self.weighted = self.with_possible = False
        self._files["offsets"].write(np.zeros(1, "<i8").tobytes())

    def __enter__(self) -> _Columns:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files.values():
            file.close()

    def append(self, chunk: CorpusLinks) -> None:
        offsets = np.asarray(chunk.offsets[1:], np.int64) + self._links
        self._write("offsets", offsets)
        self._write("source", chunk.source)
        self._write("target", chunk.target)
        # Until a weight other than 1 or a possible link is met, their columns are left out.
        if chunk.weight is not None and not self.weighted:
            self.weighted = True
            self._fill("weight")
        if self.weighted:
            self._write("weight", chunk.weights())
        if chunk.sure is not None and not self.with_possible:
            self.with_possible = True
            self._fill("sure")
        if self.with_possible:
            self._write("sure", chunk.sures())
        self._sentences += len(chunk)
        self._links += len(chunk.source)
        if len(chunk.source):
            self._largest_source = max(self._largest_source, int(chunk.source.max()))
            self._largest_target = max(self._largest_target, int(chunk.target.max()))

    def counts(self) -> StoreCounts:
        return StoreCounts(self._sentences, self._links, self._largest_source, self._largest_target)

    def copy_to(self, name: str, stream: BinaryIO) -> None:
        self._files[name].seek(0)
        shutil.copyfileobj(self._files[name], stream, 1 << 20)

    def _write(self, name: str, values: np.ndarray) -> None:
        self._files[name].write(np.ascontiguousarray(values, _COLUMNS[name]).tobytes())

    def _fill(self, name: str) -> None:
        remaining = self._links
        while remaining:
            some = min(remaining, 1 << 20)
            self._write(name, np.ones(some))
            remaining -= some
