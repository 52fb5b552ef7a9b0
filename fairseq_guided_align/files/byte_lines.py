"""Text files as lines and as blocks of whole lines, LF or CRLF, compressed or not, without loading them whole."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple, NoReturn

import numpy as np

from fairseq_guided_align.errors import AlignmentFormatError, AlignmentLengthError, GuidedAlignError
from fairseq_guided_align.files.compression import Decompressed
from fairseq_guided_align.files.opening import BYTE_ORDER_MARK, PathLike, check_no_pipe, is_pipe, open_bytes, stored_at

BLOCK_BYTES = 1 << 19  # The arrays of a block then stay in the processor's cache.


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


def read_blocks(path: PathLike, block_bytes: int = BLOCK_BYTES) -> Iterator[tuple[int, bytes]]:
    """Blocks of whole lines, each with the number of its first line, from 1.

    Every block but the last ends in a line feed. A byte order mark at the start of the file is left out.

    :param block_bytes: about this much is read at a time; a longer line makes a longer block.
    :raises GuidedAlignError: the file cannot be read, or its compressed data are damaged.
    """
    line_number = 1
    pending: list[bytes] = []
    at_start = True
    with open_bytes(path) as stream:
        while True:
            try:
                data = stream.read(block_bytes)
            except (EOFError, OSError) as error:
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


def lines_with_text(path: PathLike) -> Iterator[tuple[int, bytes]]:
    """The lines that are not empty, each with its number, from 1. Raises as :func:`read_blocks`."""
    for first_line, block in read_blocks(path, 1 << 16):
        yield from numbered_with_text(block.split(b"\n"), first_line)


def numbered_with_text(lines: list[bytes], first_line: int) -> Iterator[tuple[int, bytes]]:
    """Those of some lines that are not empty, each with its number.

    :param first_line: the number of the first of them.
    """
    return ((number, line) for number, line in enumerate(lines, start=first_line) if line.strip())


def locate_blocks(path: PathLike) -> Iterator[tuple[int, Block]]:
    """As :func:`read_blocks`, but where each block is, for other processes to read.

    Blocks of compressed files and of pipes are the bytes themselves.
    """
    located = _Locator(path)
    return ((first_line, located(block)) for first_line, block in read_blocks(path))


def _text_start(path: PathLike) -> int | None:
    """Where the text of a plain file begins: after a byte order mark; None where it is compressed."""
    with open_bytes(path) as stream:
        if isinstance(stream, Decompressed):
            return None
        return len(BYTE_ORDER_MARK) if stream.read(len(BYTE_ORDER_MARK)) == BYTE_ORDER_MARK else 0


class _Locator:
    """Where the blocks of a file are, which are given one after the other."""

    def __init__(self, path: PathLike) -> None:
        path = stored_at(path)
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
    """Offset just after each line feed."""
    return np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n")) + 1
