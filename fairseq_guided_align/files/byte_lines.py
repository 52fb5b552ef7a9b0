"""Reading text files as lines and as blocks of whole lines: plain or gzip, LF or CRLF, without loading them whole."""

from __future__ import annotations

import gzip
import io
import os
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, NoReturn, cast

import numpy as np

from fairseq_guided_align.errors import AlignmentFormatError, AlignmentLengthError, GuidedAlignError

PathLike = str | Path

STANDARD_INPUT = "/dev/stdin"
"""The path that stands for standard input, which is read once, as a pipe is."""

BLOCK_BYTES = 1 << 19  # The arrays of a block then stay in the processor's cache.
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_GZIP = b"\x1f\x8b"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
"""Byte order marks, which no UTF-8 text begins with."""


class FileRange(NamedTuple):
    """Where some bytes of a plain file are, for another process to read."""

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


Block = bytes | FileRange
"""Whole lines, or where they are."""


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
    is_input = str(path) == STANDARD_INPUT
    if is_input and sys.stdin is None:
        raise GuidedAlignError(f"{path}: cannot be read: standard input is closed")
    with ExitStack() as on_error:
        try:
            # The number, not the path: what another user opened cannot be opened again.
            raw = on_error.enter_context(open(0 if is_input else path, "rb", closefd=not is_input))
            start = raw.peek(2)[:2]
        except OSError as error:
            raise GuidedAlignError(f"{path}: cannot be read: {error.strerror}") from error
        if start in _UTF_16:
            raise GuidedAlignError(
                f"{path}: expected UTF-8 text; got UTF-16; convert it: iconv -f UTF-16 -t UTF-8 FILE"
            )
        on_error.pop_all()  # The caller closes it.
        return cast(BinaryIO, _Unzipped(raw)) if start == _GZIP else raw


class _Unzipped(gzip.GzipFile):
    """Decompresses a stream, which may be a pipe, and closes it."""

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
            while not (whole or self.beginning.removeprefix(BYTE_ORDER_MARK).strip()):
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
        return self.beginning.removeprefix(BYTE_ORDER_MARK).split(b"\n")

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
    return str(path) == STANDARD_INPUT or Path(path).is_fifo()


def check_no_pipe(path: PathLike) -> None:
    """:raises GuidedAlignError: the file is a pipe, or standard input, and has to be read more than once."""
    if is_pipe(path):
        raise GuidedAlignError(
            f"{path}: expected a file that can be read more than once; got a pipe; write it to a file first"
        )


def read_blocks(path: PathLike, block_bytes: int = BLOCK_BYTES) -> Iterator[tuple[int, bytes]]:
    """Blocks of whole lines, each with the number of its first line, from 1.

    Every block but the last ends in a line feed. A byte order mark at the start of the file is left out.

    :param block_bytes: about this much is read at a time; a longer line makes a longer block.
    :raises GuidedAlignError: the file cannot be read, or its gzip data is damaged.
    """
    line_number = 1
    pending: list[bytes] = []
    at_start = True
    with open_bytes(path) as stream:
        while True:
            try:
                data = stream.read(block_bytes)
            except (EOFError, zlib.error, OSError) as error:
                raise GuidedAlignError(f"{path}: cannot be read from line {line_number} on: {error}") from error
            if not data:
                break
            data = data.removeprefix(BYTE_ORDER_MARK) if at_start else data
            at_start = False
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
    """As :func:`read_blocks`, but where each block is, for other processes to read; the bytes of gzip and pipes."""
    located = _Locator(path)
    return ((first_line, located(block)) for first_line, block in read_blocks(path))


def _text_start(path: PathLike) -> int | None:
    """Where the text of a plain file begins: after a byte order mark; None where it is compressed."""
    with open_bytes(path) as stream:
        if isinstance(stream, gzip.GzipFile):
            return None
        return len(BYTE_ORDER_MARK) if stream.read(len(BYTE_ORDER_MARK)) == BYTE_ORDER_MARK else 0


class _Locator:
    """Where the blocks of a file are, which are given one after the other."""

    def __init__(self, path: PathLike) -> None:
        self._path = str(path)
        self._offset = _text_start(path) if os.path.isfile(path) and not is_pipe(path) else None

    def __call__(self, block: bytes) -> Block:
        if self._offset is None:
            return block
        # The last line may have got a line feed that is not in the file.
        size = min(len(block), os.path.getsize(self._path) - self._offset)
        found = FileRange(self._path, self._offset, size)
        self._offset += size
        return found


def count_lines(path: PathLike) -> int:
    """Number of lines; a last line without a line feed counts.

    :raises GuidedAlignError: the file cannot be read, or is a pipe, which can be read once.
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
        for line_number, line in enumerate(block.removesuffix(b"\n").split(b"\n"), start=first_line):
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
            ends.append(size + _line_ends(block))
            size += len(block)
            if not block.endswith(b"\n"):
                ends.append(np.array([size]))
        self._ends = np.concatenate(ends)

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, number: int) -> str:
        start, end = int(self._ends[number]), int(self._ends[number + 1])
        line = FileRange(self._path, start, end - start).read()
        return decode_line(line.removesuffix(b"\n"), self._path, number + 1)


def decode_line(line: bytes, path: PathLike, line_number: int) -> str:
    """One line as text, without a carriage return at its end.

    :raises AlignmentFormatError: it is not UTF-8.
    """
    line = line.removesuffix(b"\r")
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise AlignmentFormatError(
            f"{path}:{line_number}: expected UTF-8 text; got byte 0x{line[error.start]:02x}"
            f" at byte {error.start + 1} of the line"
        ) from error


def read_blocks_together(paths: Sequence[PathLike], lines: int = 1000) -> Iterator[tuple[int, list[bytes]]]:
    """Blocks of as many lines of each file: (number of the first line, a block of each file).

    Every line of every block ends in a line feed.

    :param lines: lines in a block; the last may have fewer.
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
    """:raises AlignmentLengthError: always, with the number of lines of every file that is no pipe."""
    counts = ", ".join(
        f"{path} is a pipe" if is_pipe(path) else f"{path} has {count_lines(path)}"
        for path in dict.fromkeys(map(str, paths))
    )
    raise AlignmentLengthError(f"expected files with the same number of lines, one line a sentence pair; got: {counts}")


def _take_lines(path: PathLike, lines: int) -> Iterator[bytes]:
    """The file in blocks of this many lines, each with a line feed; the last block has fewer, or none."""
    parts: list[bytes] = []
    missing = lines  # To a whole block.
    for _, block in read_blocks(path):
        if not block.endswith(b"\n"):
            block += b"\n"
        ends = _line_ends(block)
        begin = taken = 0
        while len(ends) - taken >= missing:
            taken += missing
            end = int(ends[taken - 1])
            yield b"".join([*parts, block[begin:end]])
            parts, missing, begin = [], lines, end
        parts.append(block[begin:])
        missing -= len(ends) - taken
    yield b"".join(parts)


def _line_ends(block: bytes) -> np.ndarray:
    """Where each line's successor begins."""
    return np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n")) + 1
