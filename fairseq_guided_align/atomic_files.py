"""Outputs that appear complete or not at all: written under another name, then renamed."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from fairseq_guided_align.byte_lines import PathLike
from fairseq_guided_align.errors import GuidedAlignError


@contextmanager
def atomic_file(path: PathLike) -> Iterator[BinaryIO]:
    """A file to write, which takes the place of ``path`` when the block ends without an error.

    On an error, and on Ctrl-C, what was at ``path`` before stays and nothing else is left.

    :raises GuidedAlignError: the disk is full, or the folder cannot be written to.
    """
    path = Path(path)
    temporary = None
    try:
        with clear_write_errors(path):
            handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
            temporary = Path(name)
            with os.fdopen(handle, "wb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            os.chmod(temporary, 0o666 & ~_umask())
            os.replace(temporary, path)
            temporary = None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: PathLike) -> Iterator[Path]:
    """A folder to fill, which becomes ``path`` when the block ends without an error.

    On an error, and on Ctrl-C, nothing is left of it.

    :raises GuidedAlignError: ``path`` exists and is not an empty folder, the disk is full, or the folder
        above it cannot be written to.
    """
    path = Path(path)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise GuidedAlignError(
            f"{path}: expected a folder that does not exist yet, or an empty one; remove it or name another"
        )
    temporary = None
    try:
        with clear_write_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent))
            yield temporary
            os.chmod(temporary, 0o777 & ~_umask())
            if path.exists():
                path.rmdir()
            os.replace(temporary, path)
            temporary = None
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def clear_write_errors(path: PathLike) -> Iterator[None]:
    """Turns the operating system's errors of writing into ours, with the path and what to do.

    :raises GuidedAlignError: in place of an ``OSError`` about a full disk, a quota or missing rights.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise GuidedAlignError(
                f"{path}: cannot be written: {error.strerror}; free some space or write elsewhere."
                " Nothing incomplete was left"
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EISDIR):
            raise GuidedAlignError(f"{path}: cannot be written: {error.strerror}") from error
        raise


def _umask() -> int:
    current = os.umask(0o022)
    os.umask(current)
    return current
