"""The checkpoints that fairseq leaves in a folder: which of them are whole, and which is the newest."""

from __future__ import annotations

import functools
import logging
import os
import pickle
import re
import shutil
import zipfile
from pathlib import Path
from typing import Any, NoReturn

import torch

from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.files.atomic import atomic_file
from fairseq_guided_align.files.byte_lines import PathLike

logger = logging.getLogger(__name__)

FAIRSEQ_NAMES = re.compile(r"checkpoint(\d+|_\d+_\d+|_best|_last|\.best_\S+)\.pt")
"""Names that fairseq gives to checkpoints of one process's model."""

_ZIP_START = b"PK\x03\x04"
_OLD_START = pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2)
"""How files of torch below 1.6 begin."""


def is_cut_off(path: PathLike) -> bool:
    """Whether a file is empty or the beginning of a checkpoint, as a killed copy leaves it.

    Other files, and checkpoints that torch refuses to read, are not cut off: their reader says what is wrong.

    :raises OSError: it cannot be read.
    """
    with open(path, "rb") as stream:
        start = stream.read(len(_OLD_START))
    if start.startswith(_ZIP_START):
        # The directory of a zip archive stands at its end.
        return not zipfile.is_zipfile(path)
    if start != _OLD_START:
        return any(whole.startswith(start) for whole in (_ZIP_START, _OLD_START)) or not start.strip(b"\0")
    try:
        torch.load(path, map_location="cpu")
    except (EOFError, RuntimeError):
        return True
    except pickle.UnpicklingError:
        return False
    return False


def read_light(path: PathLike) -> dict[str, Any]:
    """What a whole checkpoint holds; its tensors stay on the disk until they are used.

    :raises OSError: it cannot be read. Raises as ``torch.load`` as well.
    """
    mapped = zipfile.is_zipfile(path)
    state: dict[str, Any] = torch.load(path, map_location="cpu", **({"mmap": True} if mapped else {}))
    return state


def raise_unreadable(path: PathLike, error: Exception) -> NoReturn:
    """:raises GuidedAlignError: always, with the reason that torch or the system gives."""
    # Torch's reasons go on with advice to read such files without any check.
    reason = (str(error).splitlines() or [type(error).__name__])[0].partition(" In PyTorch 2.6")[0]
    raise GuidedAlignError(f"{path}: cannot be read as a checkpoint: {reason}") from error


def updates_of(state: dict[str, Any]) -> int:
    """Updates that were done when a checkpoint was written."""
    return int(state["optimizer_history"][-1]["num_updates"])


def newest_whole(folder: PathLike) -> Path | None:
    """The whole checkpoint of the most updates that fairseq wrote into a folder; None if there is none."""
    found = []
    for path in sorted(Path(folder).iterdir()):
        if not FAIRSEQ_NAMES.fullmatch(path.name) or not path.is_file() or is_cut_off(path):
            continue
        try:
            found.append((updates_of(read_light(path)), path))
        except (OSError, EOFError, RuntimeError, pickle.UnpicklingError, KeyError, TypeError, IndexError):
            logger.warning(f"{path}: passed over: cannot be read as a checkpoint of fairseq's")
    return max(found, key=lambda one: one[0])[1] if found else None


def replace_if_cut_off(last: PathLike) -> None:
    """Replace a ``checkpoint_last.pt`` that is cut off by the newest whole checkpoint beside it, and say so.

    :raises GuidedAlignError: there is no whole one.
    """
    last = Path(last)
    if not last.is_file() or not is_cut_off(last):
        return
    size = last.stat().st_size
    newest = newest_whole(last.parent)
    if newest is None:
        raise GuidedAlignError(
            f"{last}: cut off after {size:,} bytes, by a run that was killed or a full disk, and there is no whole "
            "checkpoint beside it; remove it to start anew"
        )
    updates = updates_of(read_light(newest))
    copy_whole(newest, last)
    logger.warning(
        f"{last}: cut off after {size:,} bytes, by a run that was killed or a full disk; going on from the newest "
        f"whole checkpoint, {newest} ({updates} updates), which takes its place"
    )


def refuse_if_cut_off(path: PathLike) -> None:
    """:raises GuidedAlignError: a checkpoint that the user named is cut off."""
    path = Path(path)
    if not path.is_file() or not is_cut_off(path):
        return
    newest = newest_whole(path.parent)
    raise GuidedAlignError(
        f"{path}: cut off after {path.stat().st_size:,} bytes, by a run that was killed or a full disk; "
        + (f"the newest whole checkpoint beside it is {newest}" if newest else "there is no whole one beside it")
    )


def copy_whole(source: PathLike, target: PathLike) -> None:
    """A copy that appears complete or not at all.

    :raises GuidedAlignError: the disk is full, or ``target`` cannot be written.
    """
    with open(source, "rb") as whole, atomic_file(target) as stream:
        shutil.copyfileobj(whole, stream, 1 << 20)


def remove_unfinished(folder: PathLike) -> None:
    """Remove the unfinished checkpoints of killed runs, and say so; fairseq writes ``NAME.tmp`` and renames it."""
    for path in sorted(Path(folder).glob("*.pt.tmp")):
        if FAIRSEQ_NAMES.fullmatch(path.name[: -len(".tmp")]):
            logger.info(f"removing {path}: of a run that was killed while it wrote")
            os.unlink(path)


def copy_checkpoints_whole() -> None:
    """Let fairseq's copies of checkpoints, such as ``checkpoint_last.pt``, appear complete or not at all.

    fairseq up to 0.12.3 writes them in place, so a run that is killed meanwhile leaves them cut off.
    """
    from fairseq.file_io import PathManager

    copy = PathManager.copy

    @functools.wraps(copy)
    def copied(src_path: str, dst_path: str, overwrite: bool = False) -> Any:
        # A path such as s3://... is another program's to write.
        if "://" in f"{src_path} {dst_path}":
            return copy(src_path, dst_path, overwrite)
        copy_whole(src_path, dst_path)
        return True

    PathManager.copy = staticmethod(copied)
