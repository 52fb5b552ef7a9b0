"""Compressed files: recognised by their first bytes, written by the ending of their name. A new kind gets its line in
:data:`COMPRESSIONS`.
"""

from __future__ import annotations

import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

from fairseq_guided_align.errors import GuidedAlignError


class Compression(NamedTuple):
    """A kind of compressed file.

    :param name: for messages.
    :param ending: of the names of such files.
    :param begins: whether a file of these first bytes is one.
    :param at_once: compressed bytes to take at a time, so that what they become stays small.
    :param decompressor: of one stream or frame; with ``decompress``, ``eof`` and ``unused_data`` as those of ``zlib``.
    :param writer: compresses what is written to it into an open file, which it leaves open.
    """

    name: str
    ending: str
    begins: Callable[[bytes], bool]
    at_once: int
    decompressor: Callable[[], Any]
    writer: Callable[[BinaryIO], Any]


def _zstandard() -> Any:
    # Who runs fairseq with --user-dir alone, without an installation, may lack it.
    try:
        import zstandard
    except ImportError as error:
        raise GuidedAlignError("zstandard, which reads and writes .zst, is not installed: pip install zstandard") from (
            error
        )
    return zstandard


def _begins_as_zstd(start: bytes) -> bool:
    # Parallel compressors begin with a frame that is passed over.
    return start[:4] == b"\x28\xb5\x2f\xfd" or (start[1:4] == b"\x2a\x4d\x18" and 0x50 <= start[0] <= 0x5F)


LONGEST_START = 6
"""Bytes of a file's beginning that tell its kind."""

COMPRESSIONS = (
    Compression(
        "gzip",
        ".gz",
        lambda start: start.startswith(b"\x1f\x8b"),
        1 << 16,
        lambda: zlib.decompressobj(16 + zlib.MAX_WBITS),
        # Without a name and a time the same text gives the same file.
        lambda stream: gzip.GzipFile("", "wb", 6, stream, mtime=0),
    ),
    Compression(
        "xz",
        ".xz",
        lambda start: start.startswith(b"\xfd7zXZ\x00"),
        1 << 14,
        lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ),
        lambda stream: lzma.LZMAFile(stream, "wb"),  # noqa: SIM115
    ),
    Compression(
        "zstd",
        ".zst",
        _begins_as_zstd,
        1 << 12,
        # As `zstd --long=31` writes them at most.
        lambda: _zstandard().ZstdDecompressor(max_window_size=1 << 31).decompressobj(),
        lambda stream: _zstandard().ZstdCompressor(write_checksum=True).stream_writer(stream, closefd=False),
    ),
)
"""All kinds that are read and written."""


def compression_of(start: bytes) -> Compression | None:
    """The kind of a file by its first :data:`LONGEST_START` bytes; None where it is plain."""
    return next((kind for kind in COMPRESSIONS if kind.begins(start)), None)


def plain_or_compressed(path: str) -> Path:
    """The file of this name; if there is none, the file of this name with an ending such as ``.gz``; else the name."""
    candidates = [Path(path), *(Path(path + kind.ending) for kind in COMPRESSIONS)]
    return next((candidate for candidate in candidates if candidate.is_file()), candidates[0])


@contextmanager
def compressing(stream: BinaryIO, path: object) -> Iterator[BinaryIO]:
    """What to write to, so that ``stream`` gets text compressed as the ending of ``path`` says.

    ``stream`` itself for other endings.
    """
    kind = next((kind for kind in COMPRESSIONS if str(path).endswith(kind.ending)), None)
    if kind is None:
        yield stream
        return
    with io.BufferedWriter(kind.writer(stream), 1 << 16) as text:
        yield cast(BinaryIO, text)


class Decompressed(io.BufferedReader):
    """The text of a compressed file or pipe, however many streams or frames it is made of.

    Reading raises ``EOFError`` where the file ends early, and ``OSError`` where it is damaged.

    :param raw: the file, which is closed with this.
    """

    def __init__(self, raw: BinaryIO, kind: Compression) -> None:
        super().__init__(cast(io.RawIOBase, _Frames(raw, kind)), 1 << 16)


class _Frames(io.RawIOBase):
    def __init__(self, raw: BinaryIO, kind: Compression) -> None:
        self._raw, self._kind = raw, kind
        self._frame: Any = kind.decompressor()
        self._waiting = b""
        self._text = memoryview(b"")
        self._errors: tuple[type[Exception], ...] = (zlib.error, lzma.LZMAError)
        if kind.name == "zstd":
            self._errors = (_zstandard().ZstdError,)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._text:
            data = self._waiting or self._raw.read(self._kind.at_once)
            if not data:
                if self._frame is not None:
                    raise EOFError(f"the {self._kind.name} data end early: the file is not whole")
                return 0
            self._waiting = b""
            self._text = memoryview(self._decompressed(data))
        size = min(len(buffer), len(self._text))
        buffer[:size] = self._text[:size]
        self._text = self._text[size:]
        return size

    def _decompressed(self, data: bytes) -> bytes:
        if self._frame is None:
            # Files of gzip and xz may have zero bytes between streams and at the end.
            data = data.lstrip(b"\0")
            if not data:
                return b""
            self._frame = self._kind.decompressor()
        try:
            text: bytes = self._frame.decompress(data)
        except self._errors as error:
            raise OSError(f"damaged {self._kind.name} data: {error}") from error
        if self._frame.eof:
            self._waiting, self._frame = self._frame.unused_data, None
        return text

    def close(self) -> None:
        super().close()
        self._raw.close()
