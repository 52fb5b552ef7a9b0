"""Reading text files as lines and as blocks of whole lines: plain or gzip, LF or CRLF, without loading them whole."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, Union, cast

from fairseq_guided_align.errors import AlignmentFormatError, AlignmentLengthError, GuidedAlignError

PathLike = Union[str, Path]

BLOCK_BYTES = 1 << 19  # arrays of one block then stay in the processor's cache
_BOM = b"\xef\xbb\xbf"


def open_bytes(path: PathLike) -> BinaryIO:
    """The file's bytes, decompressed if it begins as gzip files do, whatever it is called.

    :raises GuidedAlignError: there is no such file, or it cannot be read.
    """
    try:
        raw = open(path, "rb")  # noqa: SIM115  # the caller closes it
    except OSError as error:
        raise GuidedAlignError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        compressed = raw.peek(2)[:2] == b"\x1f\x8b"
    except OSError as error:
        raw.close()
        raise GuidedAlignError(f"{path}: cannot be read: {error.strerror}") from error
    if not compressed:
        return raw
    raw.close()
    return cast(BinaryIO, gzip.open(path, "rb"))


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
                raise GuidedAlignError(f"{path}: cannot be read after line {line_number}: {error}") from error
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
            line_number += block.count(b"\n")
    if pending:
        yield line_number, b"".join(pending)


def count_lines(path: PathLike) -> int:
    """Number of lines; a last line without a line feed counts.

    :raises GuidedAlignError: the file cannot be read.
    """
    lines = 0
    for first_line, block in read_blocks(path):
        lines = first_line - 1 + block.count(b"\n") + (not block.endswith(b"\n"))
    return lines


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


def read_lines_together(paths: Sequence[PathLike], group: int = 10_000) -> Iterator[tuple[int, list[list[str]]]]:
    """Groups of lines that belong together: (first line number, a list of lines for each file).

    :param group: lines of each file in a group; the last group may be shorter.
    :raises AlignmentLengthError: the files differ in their number of lines.
    :raises AlignmentFormatError: a line is not UTF-8.
    """
    streams = [read_lines(path) for path in paths]
    with ExitStack() as stack:
        for stream in streams:
            stack.callback(stream.close)  # type: ignore[attr-defined]
        first_line = 1
        while True:
            lines = [_take(stream, group) for stream in streams]
            counts = {len(some) for some in lines}
            if len(counts) > 1:
                raise_length_error(paths)
            if counts == {0} or not counts:
                return
            yield first_line, lines
            first_line += len(lines[0])


def raise_length_error(paths: Sequence[PathLike]) -> None:
    """:raises AlignmentLengthError: always, with every file's number of lines."""
    counts = ", ".join(f"{path} has {count_lines(path)}" for path in paths)
    raise AlignmentLengthError(f"expected files with the same number of lines, one line a sentence pair; got: {counts}")


def _take(stream: Iterator[str], count: int) -> list[str]:
    taken = []
    for line in stream:
        taken.append(line)
        if len(taken) == count:
            break
    return taken
