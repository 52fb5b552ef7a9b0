"""Outputs that appear complete or not at all: written under another name, then renamed.

The other name is ``.NAME.RANDOM.partial``, so two runs at once do not write into each other's file; the last one to end
stays. Whoever writes it holds a lock on it. Only a process that is killed outright leaves one behind, without a lock;
the next one that writes NAME removes it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.files.compression import compressing
from fairseq_guided_align.files.opening import PathLike
from fairseq_guided_align.files.progress import say

STANDARD_OUTPUT = "/dev/stdout"
"""The path that stands for standard output."""

FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors where no space is left: on the disk, in the user's quota, or in a file of limited size."""

_SUFFIX = ".partial"
_NO_PLACE = (
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.EBUSY
)  # fmt: skip


@contextmanager
def atomic_file(path: PathLike) -> Iterator[BinaryIO]:
    """A file to write, which takes the place of ``path`` when the block ends without an error.

    On an error, and on Ctrl-C, what was at ``path`` before stays and nothing else is left. Where ``path`` is a symbolic
    link, the file that it names is written. Standard output, a pipe or a device, such as ``/dev/null``, is written to
    as it is.

    :raises GuidedAlignError: the disk is full, ``path`` is a folder, or the folder cannot be written to.
    """
    if str(path) == STANDARD_OUTPUT:
        if sys.stdout is None:
            raise GuidedAlignError(f"{path}: cannot be written: standard output is closed")
        # What was printed before is written first. The caller reports errors: it writes to standard output, too.
        sys.stdout.flush()
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path = Path(path)
    if path.exists() and not path.is_file():
        with clear_write_errors(path), open(path, "wb") as stream:
            yield stream
        return
    named, path = path, Path(os.path.realpath(path))
    with clear_write_errors(named):
        remove_leftovers(path)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=_SUFFIX, dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as stream:
                _lock(handle)
                yield stream
                stream.flush()
                os.fsync(handle)
                os.chmod(name, 0o666 & ~_umask())
                os.replace(name, path)
        finally:
            _remove(Path(name))


@contextmanager
def atomic_text(path: PathLike) -> Iterator[BinaryIO]:
    """As :func:`atomic_file`, of text: compressed where the name ends in .gz, .xz or .zst."""
    with atomic_file(path) as stream, compressing(stream, path) as text:
        yield text


@contextmanager
def atomic_folder(path: PathLike) -> Iterator[Path]:
    """A folder to fill, which becomes ``path`` when the block ends without an error.

    On an error, and on Ctrl-C, nothing is left of it.

    :raises GuidedAlignError: ``path`` exists and is not an empty folder, or is the current one; the disk is full, or
        the folder above it cannot be written to.
    """
    path = Path(path)
    # A process whose current folder is replaced stays in the old one.
    is_current = path.resolve() == Path.cwd()
    if is_current or (path.exists() and (not path.is_dir() or any(path.iterdir()))):
        raise GuidedAlignError(
            f"{path}: expected a folder that does not exist yet, or an empty one that is not the current; remove it or"
            " name another"
        )
    named, path = path, Path(os.path.realpath(path))  # A symbolic link stays one.
    with clear_write_errors(named):
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path)
        with scratch_folder(path) as temporary:
            try:
                yield temporary
            except GuidedAlignError as error:
                if str(temporary) not in str(error):
                    raise
                raise type(error)(str(error).replace(str(temporary), str(named))) from error
            os.chmod(temporary, 0o777 & ~_umask())
            if path.exists():
                path.rmdir()
            os.replace(temporary, path)


@contextmanager
def scratch_folder(path: PathLike) -> Iterator[Path]:
    """A folder beside ``path`` for what it is made of, on the same disk; gone at the end of the block.

    :raises OSError: it cannot be made.
    """
    path = Path(path)
    folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=_SUFFIX, dir=path.parent))
    handle = os.open(folder, os.O_RDONLY)
    try:
        _lock(handle)
        yield folder
    finally:
        os.close(handle)
        _remove(folder)


def remove_leftovers(path: PathLike) -> None:
    """Remove what killed processes left of ``path``, and say so.

    Where the file system knows no locks, what is left is only named: its process may be at work.

    :raises OSError: the folder that ``path`` is in cannot be listed.
    """
    path = Path(path)
    named = re.compile(rf"\.{re.escape(path.name)}\.\w{{8}}{re.escape(_SUFFIX)}")
    for name in filter(named.fullmatch, os.listdir(path.parent)):
        left = path.with_name(name)
        with suppress(OSError):  # Its process is at work or has just ended, or it is another user's.
            handle = os.open(left, os.O_RDONLY if left.is_dir() else os.O_RDWR)
            try:
                if not _lock(handle):
                    say(f"warning: {left}: of a process that may be at work; remove it if that one has ended")
                    continue
                say(f"removing {left}: of a process that was killed")
                _remove(left)
            finally:
                os.close(handle)


def _lock(handle: int) -> bool:
    """Lock an open file or folder until all processes that have it open by this handle close it.

    :return: False where the file system knows no such locks.
    :raises BlockingIOError: another process has locked it.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        return False
    return True


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def clear_write_errors(path: PathLike) -> Iterator[None]:
    """Replaces the operating system's errors of writing by ours, with the path and what to do.

    :raises GuidedAlignError: in place of an ``OSError`` about a full disk, a quota or missing rights.
    """
    try:
        yield
    except OSError as error:
        if error.errno in FULL_DISK:
            raise GuidedAlignError(
                f"{path}: cannot be written: {error.strerror}; free some space or write elsewhere."
                " Nothing incomplete was left"
            ) from error
        if error.errno in _NO_PLACE:
            raise GuidedAlignError(f"{path}: cannot be written: {error.strerror}") from error
        raise


def _umask() -> int:
    current = os.umask(0o022)
    os.umask(current)
    return current
