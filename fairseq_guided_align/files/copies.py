"""Pipes as files that can be read more than once."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fairseq_guided_align.files.atomic import clear_write_errors
from fairseq_guided_align.files.byte_lines import read_blocks
from fairseq_guided_align.files.opening import CopiedText, PathLike, is_pipe


@contextmanager
def readable_again(path: PathLike) -> Iterator[PathLike]:
    """The file itself; of a pipe a copy, which is gone at the end of the block.

    :raises GuidedAlignError: the pipe cannot be read, or there is no room for the copy.
    """
    if not is_pipe(path):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="copy-") as folder:
        copy = Path(folder) / "text"
        with clear_write_errors(folder), open(copy, "wb") as stream:
            stream.writelines(block for _, block in read_blocks(path))
        yield CopiedText(path, copy)
