"""From arguments to values: the types of options, and ``NAME=FILE``. Files of text take one of :data:`TEXT_TYPES`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.files.arguments import files_by_name, name_and_file
from fairseq_guided_align.files.atomic import STANDARD_OUTPUT
from fairseq_guided_align.files.opening import STANDARD_INPUT
from fairseq_guided_align.links.words import check_word_split


def text_to_read(argument: str) -> str:
    """A text file that a command reads: ``-`` is standard input."""
    return STANDARD_INPUT if argument == "-" else argument


def named_text_to_read(argument: str) -> str:
    """``NAME=FILE`` or ``FILE``: a text file that a command reads."""
    name, path = name_and_file(argument)
    return f"{name}={text_to_read(path)}" if name or argument.startswith("=") else text_to_read(path)


def texts_to_read(argument: str) -> str:
    """Text files that a command reads, with commas between them."""
    return ",".join(map(text_to_read, argument.split(",")))


def text_to_write(argument: str) -> str:
    """A text file that a command writes: ``-`` is standard output."""
    return STANDARD_OUTPUT if argument == "-" else argument


def checkpoint_to_write(argument: str) -> str:
    """A checkpoint that a command makes; standard output cannot be one."""
    if argument == "-":
        raise argparse.ArgumentTypeError("expected a file; - is standard output (./- is a file of that name)")
    return argument


def folder_to_write(argument: str) -> str:
    """A folder that a command makes; standard output cannot be one."""
    if argument == "-":
        raise argparse.ArgumentTypeError("expected a folder; - is standard output (./- is a folder of that name)")
    return argument


def word_definition(argument: str) -> str:
    """What the words of a text are, one of ``links.words.WORD_SPLITS``."""
    try:
        check_word_split(argument)
    except GuidedAlignError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return argument


def column_numbers(argument: str) -> list[int]:
    """Numbers, from 1, of the columns of source and target, and perhaps of links."""
    parts = argument.split(",")
    if not (2 <= len(parts) <= 3 and all(part.isdecimal() and int(part) for part in parts)):
        raise argparse.ArgumentTypeError(
            f"expected SOURCE,TARGET or SOURCE,TARGET,LINKS, columns that count from 1, such as 1,2; got {argument!r}"
        )
    return list(map(int, parts))


def piece_sizes(argument: str) -> list[int]:
    """Sizes of subword models, such as ``8000,4000,2000``."""
    parts = argument.split(",")
    if not all(part.isdecimal() and int(part) for part in parts) or len(set(parts)) < len(parts):
        raise argparse.ArgumentTypeError(
            f"expected different numbers of pieces, such as 8000,4000,2000; got {argument!r}"
        )
    return list(map(int, parts))


def count(argument: str) -> int:
    """A whole number of at least 1."""
    if not argument.isdecimal() or not int(argument):
        raise argparse.ArgumentTypeError(f"expected a number of at least 1; got {argument!r}")
    return int(argument)


def fraction(argument: str) -> float:
    """A number from 0 to 1."""
    number = float(argument)
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 1; got {argument}")
    return number


TEXT_TYPES = (text_to_read, named_text_to_read, texts_to_read, text_to_write)
"""Types of files of text, which ``-`` and compression are for."""


def named_files(arguments: Sequence[str], option: str) -> dict[str, str]:
    """Files by name, of ``NAME=FILE`` arguments.

    :param option: for messages.
    :raises GuidedAlignError: a name or a file is missing, or a name was given before.
    """
    return files_by_name(arguments, "NAME", "guided=guided.align", option)


def perhaps_named_file(argument: str) -> tuple[str, str]:
    """Name and file of ``NAME=FILE`` or ``FILE``, whose name is empty. A file whose own name has ``=`` is that file."""
    return ("", argument) if Path(argument).exists() else name_and_file(argument)
