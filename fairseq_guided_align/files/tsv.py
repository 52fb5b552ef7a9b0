"""Columns of a TSV file as files of their own: source, target and links of a corpus that lies in one file."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from fairseq_guided_align.errors import AlignmentFormatError
from fairseq_guided_align.files.atomic import clear_write_errors
from fairseq_guided_align.files.byte_lines import read_blocks
from fairseq_guided_align.files.opening import CopiedText, PathLike


@contextmanager
def tsv_columns(path: PathLike, columns: Sequence[int]) -> Iterator[list[CopiedText]]:
    """Each column as a file that can be read again and again; all are gone at the end of the block.

    Tabs alone separate columns; there are no quotation marks and no escapes. Messages about a column name the TSV.

    :param path: a file or a pipe, compressed or not.
    :param columns: numbers from 1.
    :raises AlignmentFormatError: a row has too few columns; with its line.
    :raises GuidedAlignError: the file cannot be read, or there is no room for the copies.
    """
    with tempfile.TemporaryDirectory(prefix="tsv-") as folder:
        copies = [Path(folder) / str(number) for number in range(len(columns))]
        with clear_write_errors(folder), ExitStack() as stack:
            streams = [stack.enter_context(open(copy, "wb")) for copy in copies]
            for first_line, block in read_blocks(path):
                rows = _rows(block, path, first_line, columns)
                for stream, column in zip(streams, columns):
                    stream.write(b"".join([row[column - 1] + b"\n" for row in rows]))
        yield [CopiedText(path, copy) for copy in copies]


def _rows(block: bytes, path: PathLike, first_line: int, columns: Sequence[int]) -> list[list[bytes]]:
    rows = [line.split(b"\t") for line in block.removesuffix(b"\n").split(b"\n")]
    for number, row in enumerate(rows, start=first_line):
        if len(row) < max(columns):
            raise AlignmentFormatError(
                f"{path}:{number}: expected {max(columns)} columns, with tabs between them; got {len(row)}; mend the"
                " row, or choose other columns with --columns"
            )
    return rows
