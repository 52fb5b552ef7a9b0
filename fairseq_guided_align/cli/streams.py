"""Standard input and output in place of files: what the help says of them, and that each stands for one file."""

from __future__ import annotations

import argparse
import re

from fairseq_guided_align.cli.argument_types import TEXT_TYPES
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.files.atomic import STANDARD_OUTPUT
from fairseq_guided_align.files.opening import STANDARD_INPUT


def dash_help(parser: argparse.ArgumentParser) -> str | None:
    """What a command's help says of files of text, and of ``-``; None where it reads and writes none."""
    takes_text = any(action.type in TEXT_TYPES for action in parser._actions)
    if not takes_text:
        return None
    return (
        "- as a file of text is standard input or output. Files of text may be compressed: what is read in any way of"
        " gzip, xz and zstd, what is written by its name's ending, .gz, .xz or .zst."
    )


def check_streams(args: argparse.Namespace) -> None:
    """:raises GuidedAlignError: standard input or output stands for more than one file."""
    values = [value for some in vars(args).values() for value in (some if isinstance(some, list) else [some])]
    named = [path for value in values if isinstance(value, str) for path in re.split("[=,]", value)]
    for path, stream in ((STANDARD_INPUT, "standard input"), (STANDARD_OUTPUT, "standard output")):
        if named.count(path) > 1:
            raise GuidedAlignError(
                f"expected {stream} in place of one file; got - {named.count(path)} times: name a file for the others"
            )
