"""`fairseq-guided-align user-dir`: the folder that fairseq's `--user-dir` wants."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from fairseq_guided_align.files.atomic import STANDARD_OUTPUT, atomic_file

HELP = "print the folder to pass to fairseq's --user-dir"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.description = "Prints the folder of the installed package, for fairseq-train --user-dir FOLDER."


def run(args: argparse.Namespace) -> int:
    """Carry the command out; returns its exit code."""
    # Its own bytes, not those of the output's encoding: shells give them to fairseq.
    with atomic_file(STANDARD_OUTPUT) as stream:
        stream.write(os.fsencode(user_dir()) + b"\n")
    return 0


def user_dir() -> Path:
    """Absolute path of the package folder `fairseq_guided_align`."""
    return Path(__file__).resolve().parents[1]
