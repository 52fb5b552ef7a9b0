"""Lines are handed on as they arrive, and no more of them than were asked for is held."""

from __future__ import annotations

import gzip
import os
import threading
from pathlib import Path

import pytest

from fairseq_guided_align.errors import AlignmentFormatError, GuidedAlignError
from fairseq_guided_align.files.arriving import arriving_lines


def flat(path: Path, most: int = 1000) -> list[str]:
    found: list[str] = []
    for first, lines in arriving_lines(path, most):
        assert first == len(found) + 1
        assert 0 < len(lines) <= most
        found += lines
    return found


@pytest.mark.parametrize(
    "text",
    ["", "a", "a\n", "\n", "\n\na\r\nb\u2028c\n\n", "\ufeffa\nb", "\ufeff", "a\n" * 2500 + "é" * 700_000 + "\nz"],
)
def test_lines_are_those_of_the_file(tmp_path: Path, text: str) -> None:
    expected = [line.removesuffix("\r") for line in text.removeprefix("\ufeff").split("\n")]
    expected = expected[:-1] if expected[-1] == "" else expected
    (tmp_path / "text").write_bytes(text.encode())
    assert flat(tmp_path / "text") == flat(tmp_path / "text", 7) == expected
    (tmp_path / "packed").write_bytes(gzip.compress(text.encode()))
    assert flat(tmp_path / "packed") == expected


def test_a_line_is_given_before_the_next_is_written(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    step = threading.Event()

    def write() -> None:
        with open(tmp_path / "pipe", "wb", buffering=0) as stream:
            stream.write(b"one\n")
            assert step.wait(10)
            stream.write(b"two\nth")
            stream.write(b"ree\n")

    writer = threading.Thread(target=write)
    writer.start()
    lines = arriving_lines(tmp_path / "pipe")
    assert next(lines) == (1, ["one"])
    step.set()
    assert [line for _, block in lines for line in block] == ["two", "three"]
    writer.join()


def test_no_more_is_read_than_is_asked_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    written = [0]

    def write() -> None:
        with open(tmp_path / "pipe", "wb", buffering=0) as stream:
            try:
                for _ in range(5000):
                    written[0] += stream.write(b"x" * 1023 + b"\n")
            except BrokenPipeError:
                pass

    writer = threading.Thread(target=write)
    writer.start()
    lines = arriving_lines(tmp_path / "pipe")
    for _ in range(3):
        next(lines)
    assert written[0] < 1_500_000  # Of 5 million: what was read, and what a pipe holds.
    lines.close()
    writer.join()
    assert written[0] < 1_500_000


def test_what_cannot_be_read_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"a\nb\n\xff\n")
    with pytest.raises(AlignmentFormatError, match=r"text:3: expected UTF-8 text; got byte 0xff at byte 1"):
        flat(tmp_path / "text")
    (tmp_path / "packed").write_bytes(gzip.compress(b"a\n" * 9000)[:-10])
    with pytest.raises(GuidedAlignError, match=r"packed: cannot be read from line \d+ on"):
        flat(tmp_path / "packed")
    with pytest.raises(GuidedAlignError, match="nowhere: cannot be read: No such file"):
        flat(tmp_path / "nowhere")
