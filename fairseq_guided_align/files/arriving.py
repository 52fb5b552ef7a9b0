"""Lines as they arrive: whoever writes a line into a pipe and waits gets it read at once."""

from __future__ import annotations

from collections.abc import Iterator

from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.files.byte_lines import BLOCK_BYTES, decode_line
from fairseq_guided_align.files.opening import BYTE_ORDER_MARK, PathLike, open_bytes

MOST_LINES = 1000


def arriving_lines(path: PathLike, most: int = MOST_LINES) -> Iterator[tuple[int, list[str]]]:
    """The file's lines in blocks: (number of the first, from 1; lines without their LF or CRLF).

    A block is what there is to read, at least a line, and waits for nothing more.

    :param most: lines in a block.
    :raises AlignmentFormatError: a line is not UTF-8.
    :raises GuidedAlignError: the file cannot be read, or its compressed data are damaged.
    """
    first = 1
    for lines in _whole_lines(path):
        for start in range(0, len(lines), most):
            block = lines[start : start + most]
            yield first, [decode_line(line, path, number) for number, line in enumerate(block, start=first)]
            first += len(block)


def _whole_lines(path: PathLike) -> Iterator[list[bytes]]:
    pending: list[bytes] = []
    seen = 0
    with open_bytes(path) as stream:
        while True:
            try:
                data = stream.read1(BLOCK_BYTES)  # type: ignore[attr-defined]
            except (EOFError, OSError) as error:
                raise GuidedAlignError(f"{path}: cannot be read from line {seen + 1} on: {error}") from error
            if not data:
                break
            *lines, rest = data.split(b"\n")
            if lines:
                lines[0] = b"".join([*pending, lines[0]])
                pending = []
                lines[0] = lines[0] if seen else lines[0].removeprefix(BYTE_ORDER_MARK)
                yield lines
                seen += len(lines)
            pending.append(rest)
    last = b"".join(pending)
    last = last if seen else last.removeprefix(BYTE_ORDER_MARK)
    if last:
        yield [last]
