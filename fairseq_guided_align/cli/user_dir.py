"""`fairseq-guided-align user-dir`: the folder that fairseq's `--user-dir` wants."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from fairseq_guided_align.files.atomic import STANDARD_OUTPUT, atomic_file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command and add its options."""
    parser.description = "Prints the folder of the installed package, for fairseq-train --user-dir FOLDER."


def run(args: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    # The bytes of the path itself, whatever the output's encoding: shells pass them on to fairseq.
    with atomic_file(STANDARD_OUTPUT) as stream:
        stream.write(os.fsencode(Path(__file__).resolve().parents[1]) + b"\n")
    return 0
