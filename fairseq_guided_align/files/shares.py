"""Several processes on one text: which lines are the share of each, and which files they can share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.files.atomic import STANDARD_OUTPUT
from fairseq_guided_align.files.byte_lines import count_lines, raise_length_error
from fairseq_guided_align.files.opening import PathLike, is_pipe
from fairseq_guided_align.files.processes import Process


def share_of(lines: int, process: Process, block: int) -> range:
    """Positions, from 0, of the lines of one process: consecutive, and about as many for each.

    With ten blocks or more for each process, shares begin where blocks begin. The batches are then those of a single
    process, and so is every digit of a probability.

    :param lines: of the whole text.
    :param block: lines that a single process sorts into batches together.
    """
    step = block if lines >= 10 * block * process.of else 1
    steps = -(-lines // step)
    begin, end = (min(lines, number * steps // process.of * step) for number in (process.number, process.number + 1))
    return range(begin, end)


def share_of_files(files: Sequence[PathLike], process: Process, block: int) -> range | None:
    """The share of a text of two or more files with as many lines; None, all of it, for a single process.

    :raises AlignmentLengthError: the files have different numbers of lines.
    :raises GuidedAlignError: a file cannot be read.
    """
    if process.is_alone:
        return None
    lines = [count_lines(path) for path in files]
    if len(set(lines)) > 1:
        raise_length_error(files)
    return share_of(lines[0], process, block)


def share_in_a_row(files: Sequence[PathLike], process: Process) -> range | None:
    """The share of a text that goes on from one file to the next; None, all of it, for a single process.

    :raises GuidedAlignError: a file cannot be read.
    """
    return None if process.is_alone else share_of(sum(map(count_lines, files)), process, 1)


def check_can_be_shared(path: PathLike, process: Process) -> None:
    """:raises GuidedAlignError: several processes cannot read their lines of it, because it is a pipe."""
    if not process.is_alone and is_pipe(path):
        raise GuidedAlignError(
            f"{path}: expected a file, of which several processes read their lines; got a pipe; write it to a file"
            " first, or run one process"
        )


def check_can_be_joined(path: PathLike, option: str, process: Process) -> None:
    """:raises GuidedAlignError: several processes cannot write it together, because it is not a file."""
    if not process.is_alone and (str(path) == STANDARD_OUTPUT or (Path(path).exists() and not Path(path).is_file())):
        raise GuidedAlignError(
            f"{option}: expected a file, beside which several processes put their parts; got {path}; name a file on"
            " a disk that all of them see, or run one process"
        )
