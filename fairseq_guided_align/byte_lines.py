"""Reading text files as lines and as blocks of whole lines: plain or gzip, LF or CRLF, without loading them whole."""

from __future__ import annotations

import gzip
import io
import os
import sys
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, NoReturn, Optional, Union, cast

import numpy as np

from fairseq_guided_align.errors import AlignmentFormatError, AlignmentLengthError, GuidedAlignError

PathLike = Union[str, Path]

STANDARD_INPUT = "/dev/stdin"
"""The path under which standard input is read: as a pipe is, once, wherever the shell takes it from."""

BLOCK_BYTES = 1 << 19  # arrays of one block then stay in the processor's cache
_BOM = b"\xef\xbb\xbf"
_GZIP = b"\x1f\x8b"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
"""Byte order marks, which no UTF-8 text begins with."""


class FileRange(NamedTuple):
    """Some bytes of a plain file, for a process that reads them itself."""

    path: str
    offset: int
    size: int

    def read(self) -> bytes:
        """:raises GuidedAlignError: the file cannot be read, or has become shorter."""
        try:
            with open(self.path, "rb") as stream:
                stream.seek(self.offset)
                data = stream.read(self.size)
        except OSError as error:
            raise GuidedAlignError(f"{self.path}: cannot be read: {error.strerror}") from error
        if len(data) < self.size:
            raise GuidedAlignError(f"{self.path}: became shorter while it was read; leave it alone and start again")
        return data


Block = Union[bytes, FileRange]
"""Whole lines, or where they lie."""


def lines_of(block: Block) -> bytes:
    """The block's lines, each ended by a line feed. Raises as :meth:`FileRange.read`."""
    data = block if isinstance(block, bytes) else block.read()
    return data if data.endswith(b"\n") else data + b"\n"


def open_bytes(path: PathLike) -> BinaryIO:
    """The file's bytes, decompressed if it begins as gzip files do, whatever it is called.

    :raises GuidedAlignError: there is no such file, or it cannot be read; it is UTF-16, as Windows writes it.
    """
    if isinstance(path, BegunPipe):
        return path.from_the_beginning()
    if _is_standard_input(path) and sys.stdin is None:
        raise GuidedAlignError(f"{path}: cannot be read: standard input is closed")
    try:
        # The caller closes it. The number, not the path: what another user opened cannot be opened again.
        raw = open(0, "rb", closefd=False) if _is_standard_input(path) else open(path, "rb")  # noqa: SIM115
    except OSError as error:
        raise GuidedAlignError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        start = raw.peek(2)[:2]
    except OSError as error:
        raw.close()
        raise GuidedAlignError(f"{path}: cannot be read: {error.strerror}") from error
    if start in _UTF_16:
        raw.close()
        raise GuidedAlignError(f"{path}: expected UTF-8 text; got UTF-16; convert it: iconv -f UTF-16 -t UTF-8 FILE")
    return cast(BinaryIO, _Unzipped(raw)) if start == _GZIP else raw


class _Unzipped(gzip.GzipFile):
    """Decompresses a stream, a pipe too, and closes it."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        super().__init__(fileobj=raw, mode="rb")

    def close(self) -> None:
        super().close()
        self._raw.close()


class BegunPipe(str):
    """A pipe, or standard input, of which one can tell what is in it before it is read.

    As text it is the path, which messages name.

    :param path: what :func:`is_pipe` is true of; it is opened.
    :param whole: its text is held in memory, so that it can be read again, as a file can.
    :raises GuidedAlignError: it cannot be read, or its gzip data is damaged.
    """

    def __new__(cls, path: PathLike, whole: bool = False) -> BegunPipe:
        return super().__new__(cls, path)

    def __init__(self, path: PathLike, whole: bool = False) -> None:
        self.is_whole = whole
        self._stream = open_bytes(str(path))
        self.beginning = b""
        """Bytes up to the end of the first line that is not empty; all of them where there is none, or if whole."""
        try:
            if whole:
                self.beginning = self._stream.read()
            while not (whole or self.beginning.removeprefix(_BOM).strip()):
                line = self._stream.readline()
                if not line:
                    break
                self.beginning += line
        except (EOFError, zlib.error, OSError) as error:
            self._stream.close()
            raise GuidedAlignError(f"{path}: cannot be read from line 1 on: {error}") from error

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        # Other processes name it, and are given what was read.
        return str, (str(self),)

    def first_lines(self) -> list[bytes]:
        """Lines from the first one on, the first that is not empty among them."""
        return self.beginning.removeprefix(_BOM).split(b"\n")

    def from_the_beginning(self) -> BinaryIO:
        """All its bytes; if it is not whole, nothing is left afterwards."""
        if self.is_whole:
            return io.BytesIO(self.beginning)
        return cast(BinaryIO, io.BufferedReader(_Continued(self.beginning, self._stream)))


class _Continued(io.RawIOBase):
    """Bytes that were read from a stream, and its others."""

    def __init__(self, beginning: bytes, stream: BinaryIO) -> None:
        self._beginning, self._stream = beginning, stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._beginning[: len(buffer)]
        self._beginning = self._beginning[len(data) :]
        data = data or self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        super().close()
        self._stream.close()


def is_pipe(path: PathLike) -> bool:
    """Whether it can be read only once: a pipe, or standard input."""
    if isinstance(path, BegunPipe):
        return not path.is_whole
    return _is_standard_input(path) or Path(path).is_fifo()


def _is_standard_input(path: PathLike) -> bool:
    return str(path) == STANDARD_INPUT


def check_no_pipe(path: PathLike) -> None:
    """:raises GuidedAlignError: the file is a pipe, or standard input, and has to be read more than once."""
    if is_pipe(path):
        raise GuidedAlignError(
            f"{path}: expected a file that can be read more than once; got a pipe; write it to a file first"
        )


def read_blocks(path: PathLike, block_bytes: int = BLOCK_BYTES) -> Iterator[tuple[int, bytes]]:
    """Blocks of whole lines, each with the number of its first line, counted from 1.

    Every block but the last ends in a line feed; a byte order mark at the start of the file is left out.

    :param block_bytes: about this much is read at a time; a longer line makes a longer block.
    :raises GuidedAlignError: the file cannot be read, or its gzip data is damaged.
    """
    line_number = 1
    pending: list[bytes] = []
    with open_bytes(path) as stream:
        at_start = True
        while True:
            try:
                data = stream.read(block_bytes)
            except (EOFError, zlib.error, OSError) as error:
                raise GuidedAlignError(f"{path}: cannot be read from line {line_number} on: {error}") from error
            if not data:
                break
            if at_start:
                at_start = False
                data = data[len(_BOM) :] if data.startswith(_BOM) else data
            cut = data.rfind(b"\n") + 1
            if not cut:
                pending.append(data)
                continue
            block = b"".join([*pending, data[:cut]])
            pending = [data[cut:]] if cut < len(data) else []
            yield line_number, block
            line_number += count_line_feeds(block)
    if pending:
        yield line_number, b"".join(pending)


def locate_blocks(path: PathLike) -> Iterator[tuple[int, Block]]:
    """As :func:`read_blocks`, but where each block lies, for other processes to read; the bytes where the file is not
    a plain one: gzip, or a pipe.
    """
    located = _Locator(path)
    return ((first_line, located(block)) for first_line, block in read_blocks(path))


def _text_start(path: PathLike) -> Optional[int]:
    """Where the text of a file begins: after a byte order mark; None where it is compressed."""
    with open_bytes(path) as stream:
        if isinstance(stream, gzip.GzipFile):
            return None
        return len(_BOM) if stream.read(len(_BOM)) == _BOM else 0


class _Locator:
    """Where the blocks of a file lie, which have to be given one after the other."""

    def __init__(self, path: PathLike) -> None:
        self._path = str(path)
        self._offset: Optional[int] = None
        if os.path.isfile(path) and not is_pipe(path):
            self._offset = _text_start(path)

    def __call__(self, block: bytes) -> Block:
        if self._offset is None:
            return block
        # The last line may have been given a line feed that is not in the file.
        size = min(len(block), os.path.getsize(self._path) - self._offset)
        found = FileRange(self._path, self._offset, size)
        self._offset += size
        return found


def count_lines(path: PathLike) -> int:
    """Number of lines; a last line without a line feed counts.

    :raises GuidedAlignError: the file cannot be read, or it is a pipe, of which nothing would be left to read.
    """
    check_no_pipe(path)
    lines = 0
    for first_line, block in read_blocks(path):
        lines = first_line - 1 + count_line_feeds(block) + (not block.endswith(b"\n"))
    return lines


def count_line_feeds(block: bytes) -> int:
    """As ``block.count(b"\\n")``, several times faster."""
    return int(np.count_nonzero(np.frombuffer(block, np.uint8) == ord("\n")))


def read_lines(path: PathLike) -> Iterator[str]:
    """The file's lines as text, without their LF or CRLF. Only these end a line.

    :raises AlignmentFormatError: a line is not UTF-8.
    :raises GuidedAlignError: the file cannot be read.
    """
    for first_line, block in read_blocks(path):
        if block.endswith(b"\n"):
            block = block[:-1]
        for line_number, line in enumerate(block.split(b"\n"), start=first_line):
            yield decode_line(line, path, line_number)


class NumberedLines:
    """The lines of a plain file, from 0, each read when it is asked for.

    :raises GuidedAlignError: the file cannot be read.
    """

    def __init__(self, path: PathLike) -> None:
        self._path = str(path)
        size = _text_start(path) or 0
        ends = [np.array([size])]
        for _, block in read_blocks(path):
            ends.append(size + 1 + np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n")))
            size += len(block)
            if not block.endswith(b"\n"):
                ends.append(np.array([size]))
        self._ends = np.concatenate(ends)

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, number: int) -> str:
        start, end = int(self._ends[number]), int(self._ends[number + 1])
        line = FileRange(self._path, start, end - start).read()
        return decode_line(line[:-1] if line.endswith(b"\n") else line, self._path, number + 1)


def decode_line(line: bytes, path: PathLike, line_number: int) -> str:
    """One line as text, without a carriage return at its end.

    :raises AlignmentFormatError: it is not UTF-8.
    """
    if line.endswith(b"\r"):
        line = line[:-1]
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise AlignmentFormatError(
            f"{path}:{line_number}: expected UTF-8 text; got byte 0x{line[error.start]:02x}"
            f" at byte {error.start + 1} of the line"
        ) from error


def read_blocks_together(paths: Sequence[PathLike], lines: int = 1000) -> Iterator[tuple[int, list[bytes]]]:
    """Blocks of lines that belong together: (number of the first line, a block of whole lines for each file).

    Every line of every block ends in a line feed.

    :param lines: lines of each file in a block; the last block may have fewer.
    :raises AlignmentLengthError: the files differ in their number of lines.
    :raises GuidedAlignError: a file cannot be read.
    """
    readers = [_take_lines(path, lines) for path in paths]
    first_line = 1
    while True:
        blocks = [next(reader, b"") for reader in readers]
        counts = {count_line_feeds(block) for block in blocks}
        if len(counts) > 1:
            raise_length_error(paths)
        taken = counts.pop()
        if not taken:
            return
        yield first_line, blocks
        first_line += taken


def locate_blocks_together(paths: Sequence[PathLike], lines: int = 1000) -> Iterator[tuple[int, list[Block]]]:
    """As :func:`read_blocks_together`, with blocks as :func:`locate_blocks` gives them."""
    located = [_Locator(path) for path in paths]
    for first_line, blocks in read_blocks_together(paths, lines):
        yield first_line, [locate(block) for locate, block in zip(located, blocks)]


def raise_length_error(paths: Sequence[PathLike]) -> NoReturn:
    """:raises AlignmentLengthError: always, with every file's number of lines, but for pipes."""
    counts = ", ".join(
        f"{path} is a pipe" if is_pipe(path) else f"{path} has {count_lines(path)}"
        for path in dict.fromkeys(map(str, paths))
    )
    raise AlignmentLengthError(f"expected files with the same number of lines, one line a sentence pair; got: {counts}")


def _take_lines(path: PathLike, lines: int) -> Iterator[bytes]:
    """The file in blocks of this many lines, each line ended by a line feed; the last block has fewer, or none."""
    parts: list[bytes] = []
    missing = lines
    for _, block in read_blocks(path):
        if not block.endswith(b"\n"):
            block += b"\n"
        ends = np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n")) + 1
        begin = taken = 0
        while len(ends) - taken >= missing:
            taken += missing
            end = int(ends[taken - 1])
            yield b"".join([*parts, block[begin:end]])
            parts, missing, begin = [], lines, end
        parts.append(block[begin:])
        missing -= len(ends) - taken
    yield b"".join(parts)
