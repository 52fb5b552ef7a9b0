"""`fairseq-guided-align user-dir`: the folder that fairseq's `--user-dir` wants."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "print the folder to pass to fairseq's --user-dir"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.description = "Prints the folder of the installed package, for fairseq-train --user-dir FOLDER."


def run(args: argparse.Namespace) -> int:
    """Carry the command out; returns its exit code."""
    print(user_dir())
    return 0


def user_dir() -> Path:
    """Absolute path of the package folder `fairseq_guided_align`."""
    return Path(__file__).resolve().parents[1]
