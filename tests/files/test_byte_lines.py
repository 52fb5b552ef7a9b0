"""Files read as blocks of lines, against reading them whole; several files line by line; work in processes."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_guided_align.errors import AlignmentFormatError, AlignmentLengthError, GuidedAlignError
from fairseq_guided_align.files.atomic import atomic_file, atomic_folder
from fairseq_guided_align.files.byte_lines import (
    NumberedLines,
    count_lines,
    lines_of,
    locate_blocks,
    locate_blocks_together,
    read_blocks,
    read_blocks_together,
    read_lines,
)
from fairseq_guided_align.files.workers import map_in_order

TEXT = st.lists(st.sampled_from(["", "a", "b c", "\u2028é", "a\rb"]), max_size=9).map("\n".join)


@settings(max_examples=100, deadline=None)
@given(text=TEXT, block_bytes=st.integers(1, 9), zipped=st.booleans())
def test_blocks_are_the_file(
    tmp_path_factory: pytest.TempPathFactory, text: str, block_bytes: int, zipped: bool
) -> None:
    path = tmp_path_factory.mktemp("text") / "file"
    data = text.encode()
    path.write_bytes(gzip.compress(data) if zipped else data)
    blocks = list(read_blocks(path, block_bytes))
    assert b"".join(block for _, block in blocks) == data
    assert all(block.endswith(b"\n") for _, block in blocks[:-1])
    assert all(len(block) <= block_bytes + max(map(len, data.split(b"\n"))) + 1 for _, block in blocks)
    for index, (first_line, _) in enumerate(blocks):
        assert first_line == 1 + sum(block.count(b"\n") for _, block in blocks[:index])
    lines = text.split("\n")[: -1 if text.endswith("\n") or not text else None]
    assert list(read_lines(path)) == lines
    assert count_lines(path) == len(lines)


LONG_LINES = [b"%d" % number + b"x" * (2**18 - 2) for number in range(5)]
"""Two of them are just what is read at once."""


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"ab\r\nc\n\nd e",
        b"\xef\xbb\xbfa\nb\nc",
        b"\n".join(LONG_LINES),
        b"\n".join([*LONG_LINES, b"x", b""]),
    ],
    ids=["empty", "empty line", "CRLF", "byte order mark", "long", "long, ended"],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_every_way_of_reading_gives_the_same_lines(tmp_path: Path, data: bytes, zipped: bool) -> None:
    path = tmp_path / "file"
    path.write_bytes(gzip.compress(data, 1) if zipped else data)
    text = data.removeprefix(b"\xef\xbb\xbf")
    raw = text.split(b"\n")[: -1 if text.endswith(b"\n") or not text else None]
    lines = [line.decode().removesuffix("\r") for line in raw]
    assert list(read_lines(path)) == lines
    if not zipped:
        numbered = NumberedLines(path)
        assert [numbered[number] for number in range(len(numbered))] == lines
    located = list(locate_blocks(path))
    assert b"".join(lines_of(block) for _, block in located).split(b"\n")[:-1] == raw
    assert [first for first, _ in located] == [first for first, _ in read_blocks(path)]
    for size in (1, 2, 3):
        expected = [b"".join(line + b"\n" for line in raw[first : first + size]) for first in range(0, len(raw), size)]
        for together in (read_blocks_together, locate_blocks_together):
            found = list(together([path, path], size))
            assert [first for first, _ in found] == list(range(1, len(raw) + 1, size))
            assert [[lines_of(block) for block in blocks] for _, blocks in found] == [[one, one] for one in expected]


@settings(max_examples=100, deadline=None)
@given(
    lines=st.lists(st.tuples(st.text("ab ", max_size=30), st.text("é", max_size=3)), max_size=20),
    size=st.integers(1, 6),
)
def test_blocks_of_several_files(
    tmp_path_factory: pytest.TempPathFactory, lines: list[tuple[str, str]], size: int
) -> None:
    folder = tmp_path_factory.mktemp("text")
    paths = [folder / "one", folder / "other"]
    for side, path in enumerate(paths):
        path.write_text("\n".join(line[side] for line in lines) + ("\n" if lines else ""), encoding="utf-8")
    found = list(read_blocks_together(paths, size))
    for side in (0, 1):
        assert b"".join(blocks[side] for _, blocks in found).decode() == "".join(line[side] + "\n" for line in lines)
    assert [first for first, _ in found] == list(range(1, len(lines) + 1, size))
    assert all(blocks[0].count(b"\n") == size for _, blocks in found[:-1])


def test_files_of_different_lengths_are_all_named(tmp_path: Path) -> None:
    for name, count in (("a", 3), ("b", 3), ("c", 5)):
        (tmp_path / name).write_text("x\n" * count)
    with pytest.raises(AlignmentLengthError, match=r"a has 3, .*b has 3, .*c has 5"):
        list(read_blocks_together([tmp_path / name for name in "abc"], 2))


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "latin1.txt"
    path.write_bytes("ok\nna\u00efve\n".encode("latin-1"))
    with pytest.raises(AlignmentFormatError, match=r"latin1\.txt:2: expected UTF-8 text; got byte 0xef at byte 3"):
        list(read_lines(path))
    with pytest.raises(AlignmentFormatError, match=r"latin1\.txt:2: "):
        NumberedLines(path)[1]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_is_said_as_such(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "text").write_bytes("\ufeffein Haus\n".encode(encoding))
    for read in (count_lines, lambda path: list(read_blocks(path))):
        with pytest.raises(GuidedAlignError, match="text: expected UTF-8 text; got UTF-16; convert it: iconv"):
            read(tmp_path / "text")


def test_file_appears_complete_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "out"
    with pytest.raises(RuntimeError), atomic_file(path) as stream:  # noqa: PT012  # the error comes from inside
        stream.write(b"half")
        raise RuntimeError
    assert os.listdir(tmp_path) == []
    with atomic_file(path) as stream:
        stream.write(b"whole")
    assert path.read_bytes() == b"whole"
    assert os.listdir(tmp_path) == ["out"]


def test_pipes_and_devices_stay_what_they_are(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as threads:
        read = threads.submit(pipe.read_bytes)
        with atomic_file(pipe) as stream:
            stream.write(b"whole")
        assert read.result() == b"whole"
    assert pipe.is_fifo()
    assert os.listdir(tmp_path) == ["pipe"]


def test_symbolic_links_stay(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "file").symlink_to(tmp_path / "disk" / "file")
    (tmp_path / "folder").symlink_to(tmp_path / "disk" / "folder")
    (tmp_path / "disk" / "folder").mkdir()
    for _ in range(2):
        with atomic_file(tmp_path / "file") as stream:
            stream.write(b"whole")
    with atomic_folder(tmp_path / "folder") as folder:
        (folder / "whole").write_text("")
    assert (tmp_path / "file").is_symlink()
    assert (tmp_path / "folder").is_symlink()
    assert (tmp_path / "disk" / "file").read_bytes() == b"whole"
    assert os.listdir(tmp_path / "disk" / "folder") == ["whole"]
    assert sorted(os.listdir(tmp_path / "disk")) == ["file", "folder"]


def test_places_that_cannot_be_written_are_told_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(GuidedAlignError, match="cannot be written: Is a directory"), atomic_file(tmp_path):
        pytest.fail("the work was done")
    (tmp_path / "file").touch()
    with pytest.raises(GuidedAlignError, match="cannot be written"), atomic_folder(tmp_path / "file" / "out"):
        pytest.fail("the work was done")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(GuidedAlignError, match="empty one that is not the current"), atomic_folder("."):
        pytest.fail("the work was done")


@contextmanager
def piped(path: Path, data: bytes) -> Iterator[Path]:
    """A pipe that gives these bytes once."""
    os.mkfifo(path)
    with ThreadPoolExecutor(1) as threads:
        threads.submit(path.write_bytes, data)
        yield path
        # Whoever refuses a pipe has not opened it.
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))


def test_a_pipe_is_read_once(tmp_path: Path) -> None:
    with piped(tmp_path / "links", b"a\nb\n") as path:
        assert list(read_lines(path)) == ["a", "b"]
    with piped(tmp_path / "zipped", gzip.compress(b"a\nb\n")) as path:
        assert list(read_lines(path)) == ["a", "b"]
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(GuidedAlignError, match="can be read more than once; got a pipe"):
        count_lines(tmp_path / "pipe")
    (tmp_path / "text").write_text("a\nb\nc\n")
    with (
        piped(tmp_path / "short", b"a\nb\n") as path,
        pytest.raises(AlignmentLengthError, match=r"short is a pipe, .*text has 3"),
    ):
        list(read_blocks_together([path, tmp_path / "text"]))


def test_folder_appears_complete_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "out"
    with pytest.raises(KeyboardInterrupt), atomic_folder(path) as folder:  # noqa: PT012
        (folder / "half").write_text("")
        raise KeyboardInterrupt
    assert os.listdir(path.parent) == []
    path.mkdir()
    with atomic_folder(path) as folder:
        (folder / "whole").write_text("")
    assert os.listdir(path.parent) == ["out"]
    assert os.listdir(path) == ["whole"]
    with pytest.raises(GuidedAlignError, match="does not exist yet, or an empty one"), atomic_folder(path):
        pass


def halved(number: int) -> int:
    if number % 2:
        raise GuidedAlignError(f"{number} is odd")
    return number // 2


@pytest.mark.parametrize(("workers", "together"), [(1, 1), (2, 1), (2, 2), (2, 3)])
def test_results_in_order_and_errors_in_place(workers: int, together: int) -> None:
    assert list(map_in_order(halved, range(0, 40, 2), workers, together=together)) == list(range(20))
    results = map_in_order(halved, [2, 4, 5, 6] if together < 3 else [2, 4, 6, 5], workers, together=together)
    assert [next(results), next(results)] == [1, 2]
    if together == 3:
        assert next(results) == 3
    with pytest.raises(GuidedAlignError, match="5 is odd"):
        next(results)
