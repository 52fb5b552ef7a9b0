"""Commands' options, and standard input of this process, for tests of what commands read."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def standard_input(data: bytes, redirected: Path | None = None) -> Iterator[None]:
    """These bytes as this process's standard input: from a pipe, or, with a path, from a file there."""
    kept = os.dup(0)
    writer = None
    if redirected is not None:
        redirected.write_bytes(data)
        given = os.open(redirected, os.O_RDONLY)
    else:
        given, to_write = os.pipe()
        stream = os.fdopen(to_write, "wb")
        writer = threading.Thread(target=lambda: (stream.write(data), stream.close()))
        writer.start()
    try:
        os.dup2(given, 0)
        os.close(given)
        yield
        if writer is not None:
            writer.join()
    finally:
        os.dup2(kept, 0)
        os.close(kept)


def parser_of(command: str) -> argparse.ArgumentParser:
    module = importlib.import_module(f"fairseq_guided_align.cli.{command.replace('-', '_')}")
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    return parser
