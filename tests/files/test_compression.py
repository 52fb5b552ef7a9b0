"""Compressed files: those of real programs, however they are put together, whole or not; what the package writes."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import threading
from pathlib import Path

import pytest
import zstandard
from compressed import COMPRESS, DECOMPRESS

from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.files.atomic import atomic_text
from fairseq_guided_align.files.byte_lines import FileRange, count_lines, lines_of, locate_blocks, read_blocks
from fairseq_guided_align.files.compression import COMPRESSIONS, plain_or_compressed
from fairseq_guided_align.files.opening import BegunPipe

TEXT = "".join(f"{number} λέξη {random.Random(number).random()}\n" for number in range(20_000)).encode()


def read(path: Path | str) -> bytes:
    return b"".join(block for _, block in read_blocks(path))


def test_every_kind_is_tested() -> None:
    assert [kind.name for kind in COMPRESSIONS] == list(COMPRESS)


@pytest.mark.parametrize("kind", COMPRESS)
def test_several_streams_are_one_text(tmp_path: Path, kind: str) -> None:
    """As `cat one.gz other.gz` and parallel compressors make them, with the padding that gzip and xz allow."""
    compress, path = COMPRESS[kind], tmp_path / "file"
    third = len(TEXT) // 3
    parts = [TEXT[:third], b"", TEXT[third:]]
    for between in (b"", b"\0" * 512) if kind != "zstd" else (b"", b"\x5a\x2a\x4d\x18\x03\0\0\0abc"):
        path.write_bytes(between.join(map(compress, parts)) + between)
        assert read(path) == TEXT
        assert count_lines(path) == 20_000
    if kind == "zstd":
        path.write_bytes(b"\x50\x2a\x4d\x18\x03\0\0\0abc" + compress(TEXT))
        assert read(path) == TEXT
    path.write_bytes(compress(b""))
    assert read(path) == b""
    path.write_bytes(compress(b"\xef\xbb\xbfa\r\nb"))
    assert read(path) == b"a\r\nb"


@pytest.mark.parametrize(
    ("kind", "command"),
    [
        ("gzip", "gzip -9"), ("xz", "xz -1 -T2 --block-size=65536"), ("xz", "xz -9e --check=sha256"),
        ("zstd", "zstd -q -19"), ("zstd", "zstd -q --long=27 -T2"), ("zstd", "pzstd -q -p 2"),
    ],
)  # fmt: skip
def test_files_of_real_programs(tmp_path: Path, kind: str, command: str) -> None:
    if shutil.which(command.split()[0]) is None:
        pytest.skip(f"no {command.split()[0]}")
    path = tmp_path / "file"
    path.write_bytes(subprocess.run([*command.split(), "-c"], input=TEXT, capture_output=True, check=True).stdout)
    assert read(path) == TEXT
    # Other processes get the text, not where it is.
    located = [block for _, block in locate_blocks(path)]
    assert not any(isinstance(block, FileRange) for block in located)
    assert b"".join(map(lines_of, located)) == TEXT


@pytest.mark.parametrize("kind", COMPRESS)
def test_a_file_that_ends_early(tmp_path: Path, kind: str) -> None:
    path, whole = tmp_path / "cut", COMPRESS[kind](TEXT)
    for left in (7, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:left])
        with pytest.raises(GuidedAlignError, match=rf"cut: cannot be read from line \d+ on: the {kind} data end early"):
            read(path)
    path.write_bytes(whole + whole[:-1])
    with pytest.raises(GuidedAlignError, match=rf"the {kind} data end early"):
        read(path)


@pytest.mark.parametrize("kind", COMPRESS)
def test_a_damaged_file(tmp_path: Path, kind: str) -> None:
    """A checksum notices what changes the text alone; what stands behind the last stream is no padding."""
    path, whole = tmp_path / "damaged", bytearray(COMPRESS[kind](TEXT))
    if kind == "zstd":
        whole = bytearray(zstandard.ZstdCompressor(write_checksum=True).compress(TEXT))
    whole[len(whole) // 2] ^= 0x10
    for data in (bytes(whole), COMPRESS[kind](TEXT) + b"more text\n"):
        path.write_bytes(data)
        with pytest.raises(GuidedAlignError, match=rf"damaged: cannot be read from line \d+ on: .*{kind} data"):
            read(path)


@pytest.mark.parametrize("kind", COMPRESS)
def test_a_pipe_that_gives_a_byte_at_a_time(tmp_path: Path, kind: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    data = COMPRESS[kind](b"first\nsecond\n")

    def write() -> None:
        with open(tmp_path / "pipe", "wb", buffering=0) as stream:
            for byte in data:
                stream.write(bytes([byte]))

    for reading in (read, lambda path: read(BegunPipe(path))):
        writer = threading.Thread(target=write)
        writer.start()
        assert reading(tmp_path / "pipe") == b"first\nsecond\n"
        writer.join()


def test_the_names_ending_says_how_a_file_is_written(tmp_path: Path) -> None:
    for own in COMPRESSIONS:
        path = tmp_path / f"out.txt{own.ending}"
        with atomic_text(path) as stream:
            stream.writelines(TEXT.splitlines(keepends=True))
        assert DECOMPRESS[own.name](path.read_bytes()) == TEXT
        assert len(path.read_bytes()) < 0.7 * len(TEXT)
        with atomic_text(tmp_path / f"again{own.ending}") as stream:
            stream.write(TEXT)
        assert (tmp_path / f"again{own.ending}").read_bytes() == path.read_bytes()
        if own.name == "gzip":
            assert path.read_bytes()[3:8] == bytes(5), "no name and no time in it"
        with pytest.raises(ZeroDivisionError), atomic_text(path) as stream:
            stream.write(b"%d" % (1 // 0))
        assert read(path) == TEXT
    assert sorted(os.listdir(tmp_path)) == sorted(
        f"{name}{own.ending}" for own in COMPRESSIONS for name in ("again", "out.txt")
    )


def test_a_name_or_that_of_a_compressed_file(tmp_path: Path) -> None:
    name = tmp_path / "train.de"
    assert plain_or_compressed(str(name)) == name
    for kind in reversed(COMPRESSIONS):
        Path(f"{name}{kind.ending}").touch()
        assert plain_or_compressed(str(name)) == Path(f"{name}{kind.ending}")
    name.touch()
    assert plain_or_compressed(str(name)) == name
