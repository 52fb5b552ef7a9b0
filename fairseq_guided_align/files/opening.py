"""Opening text files, compressed or not, and pipes, which can be read once."""

from __future__ import annotations

import io
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, cast

from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.files.compression import LONGEST_START, Decompressed, compression_of

PathLike = str | Path

STANDARD_INPUT = "/dev/stdin"
"""The path that stands for standard input, which is read once, as a pipe is."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""What some UTF-8 files begin with; it is no text."""

_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
"""Byte order marks, which no UTF-8 text begins with."""


def open_bytes(path: PathLike) -> BinaryIO:
    """The file's bytes, decompressed if it begins as a compressed file does, whatever it is called.

    :raises GuidedAlignError: there is no such file, or it cannot be read; it is UTF-16, as Windows writes it.
    """
    if isinstance(path, BegunPipe):
        return path.from_the_beginning()
    path = stored_at(path)
    is_input = str(path) == STANDARD_INPUT
    if is_input and sys.stdin is None:
        raise GuidedAlignError(f"{path}: cannot be read: standard input is closed")
    with ExitStack() as on_error:
        try:
            # The number, not the path: what another user opened cannot be opened again.
            raw: BinaryIO = on_error.enter_context(open(0 if is_input else path, "rb", closefd=not is_input))
            # No more than its first line, behind which a pipe may make us wait.
            start = raw.readline(LONGEST_START)
            if raw.seekable():
                raw.seek(-len(start), io.SEEK_CUR)
            else:
                raw = cast(BinaryIO, io.BufferedReader(_Continued(start, raw)))
        except OSError as error:
            raise GuidedAlignError(f"{path}: cannot be read: {error.strerror}") from error
        if start[:2] in _UTF_16:
            raise GuidedAlignError(
                f"{path}: expected UTF-8 text; got UTF-16; convert it: iconv -f UTF-16 -t UTF-8 FILE"
            )
        kind = compression_of(start)
        stream = raw if kind is None else cast(BinaryIO, Decompressed(raw, kind))
        on_error.pop_all()  # The caller closes it.
        return stream


class BegunPipe(str):
    """A pipe, or standard input, of which one can tell what is in it before it is read.

    As text it is the path, which messages name.

    :param path: what :func:`is_pipe` is true of; it is opened.
    :param whole: its text is held in memory, so that it can be read again, as a file can.
    :raises GuidedAlignError: it cannot be read, or its compressed data are damaged.
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
        except (EOFError, OSError) as error:
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


class CopiedText(str):
    """Text out of a file or pipe that holds more, copied into a file of its own.

    As text it is the path of what it was copied from, which messages name.

    :param path: what it was copied from.
    :param file: where the copy is.
    """

    def __new__(cls, path: PathLike, file: PathLike) -> CopiedText:
        return super().__new__(cls, path)

    def __init__(self, path: PathLike, file: PathLike) -> None:
        self.file = str(file)

    def __getnewargs__(self) -> tuple[str, str]:  # type: ignore[override]
        return str(self), self.file


def stored_at(path: PathLike) -> PathLike:
    """Where the text is, of a path as messages name it."""
    return path.file if isinstance(path, CopiedText) else path


class _Continued(io.RawIOBase):
    """Bytes that were read from a stream, and its others."""

    def __init__(self, beginning: bytes, stream: BinaryIO) -> None:
        self._beginning, self._stream = beginning, stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._beginning[: len(buffer)]
        self._beginning = self._beginning[len(data) :]
        # What there is, without waiting for more.
        data = data or self._stream.read1(len(buffer))  # type: ignore[attr-defined]
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        super().close()
        self._stream.close()


def is_pipe(path: PathLike) -> bool:
    """Whether it can be read only once: a pipe, or standard input."""
    if isinstance(path, BegunPipe):
        return not path.is_whole
    path = stored_at(path)
    return str(path) == STANDARD_INPUT or Path(path).is_fifo()


def check_no_pipe(path: PathLike) -> None:
    """:raises GuidedAlignError: the file is a pipe, or standard input, and has to be read more than once."""
    if is_pipe(path):
        raise GuidedAlignError(
            f"{path}: expected a file that can be read more than once; got a pipe; write it to a file first"
        )
