"""Outputs that appear complete or not at all: written under another name, then renamed.

The other name is ``.NAME.HOST-PROCESS.RANDOM.partial``. Only a process that is killed outright leaves one behind; the
next one that writes NAME removes it.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import BinaryIO

from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.files.byte_lines import PathLike
from fairseq_guided_align.files.progress import say

STANDARD_OUTPUT = "/dev/stdout"
"""The path under which standard output is written to."""

FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors of writing for want of space: of the disk, of the user's share of it, or in a file."""

_NO_PLACE = (
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.EBUSY
)  # fmt: skip


@contextmanager
def atomic_file(path: PathLike) -> Iterator[BinaryIO]:
    """A file to write, which takes the place of ``path`` when the block ends without an error.

    On an error, and on Ctrl-C, what was at ``path`` before stays and nothing else is left. A symbolic link stays one:
    the file that it names is written. Standard output, a pipe or a device, such as ``/dev/null``, is written to as it
    is.

    :raises GuidedAlignError: the disk is full, ``path`` is a folder, or the folder cannot be written to.
    """
    if str(path) == STANDARD_OUTPUT:
        if sys.stdout is None:
            raise GuidedAlignError(f"{path}: cannot be written: standard output is closed")
        # What was printed before comes first. What goes wrong is told by who called, of all that goes there.
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
    temporary = None
    try:
        with clear_write_errors(named):
            remove_leftovers(path)
            handle, name = tempfile.mkstemp(prefix=_prefix(path), suffix=_SUFFIX, dir=path.parent)
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

    :raises GuidedAlignError: ``path`` exists and is not an empty folder, or is the current one; the disk is full, or
        the folder above it cannot be written to.
    """
    path = Path(path)
    # Who stands in a folder that is renamed over sees the old one.
    is_current = path.resolve() == Path.cwd()
    if is_current or (path.exists() and (not path.is_dir() or any(path.iterdir()))):
        raise GuidedAlignError(
            f"{path}: expected a folder that does not exist yet, or an empty one that is not the current; remove it or"
            " name another"
        )
    named, path = path, Path(os.path.realpath(path))  # a symbolic link stays one
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
    folder = Path(tempfile.mkdtemp(prefix=_prefix(path), suffix=_SUFFIX, dir=path.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_leftovers(path: PathLike) -> None:
    """Remove what killed processes of this machine left of ``path``, and say so.

    What a process on another machine left is only named: whether that one is still at work cannot be seen from here.

    :raises OSError: the folder that ``path`` is in cannot be listed.
    """
    path = Path(path)
    named = re.compile(rf"\.{re.escape(path.name)}\.([0-9a-f]{{8}})-([0-9]+)\.\w+{re.escape(_SUFFIX)}")
    for name in os.listdir(path.parent):
        match = named.fullmatch(name)
        if match is None or (match[1] == _this_machine() and _is_running(int(match[2]))):
            continue
        left = path.with_name(name)
        if match[1] != _this_machine():
            say(f"warning: {left}: of a process on another machine; remove it if that one has ended")
            continue
        say(f"removing {left}: of a process that was killed")
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)


_SUFFIX = ".partial"


def _prefix(path: Path) -> str:
    return f".{path.name}.{_this_machine()}-{os.getpid()}."


@cache
def _this_machine() -> str:
    """Eight hexadecimal digits of the machine, or container, in which process numbers count."""
    try:
        numbering = os.readlink("/proc/self/ns/pid")
    except OSError:
        numbering = ""
    return hashlib.sha256(f"{socket.gethostname()} {numbering}".encode()).hexdigest()[:8]


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # it is another user's, or no process at all
        pass
    return True


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
