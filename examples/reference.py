"""Writes the API reference, one HTML page a module, from the docstrings: ``python -m examples.reference FOLDER``.

Needs pdoc and a fairseq to import (``requirements/test.txt``).
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
import typing
from collections.abc import Iterator
from pathlib import Path

import pdoc

import fairseq_guided_align


def main(folder: str) -> int:
    """Write all pages into a folder; how many."""
    fairseq_guided_align.register()
    names = sorted(_modules())
    for name in names:
        _resolve_named_tuples(importlib.import_module(name))
    pdoc.render.configure(docformat="restructuredtext", show_source=False)
    pdoc.pdoc(*names, output_directory=Path(folder))
    return len(names)


def _modules() -> Iterator[str]:
    package = fairseq_guided_align.__name__
    yield package
    for module in pkgutil.walk_packages(fairseq_guided_align.__path__, package + "."):
        yield module.name


def _resolve_named_tuples(module: object) -> None:
    """Their constructors keep the types of their fields as text, without the module in which the text has a meaning."""
    for value in list(vars(module).values()):
        if isinstance(value, type) and issubclass(value, tuple) and hasattr(value, "_fields"):
            value.__new__.__annotations__ = typing.get_type_hints(value)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m examples.reference FOLDER")
    print(f"{main(sys.argv[1])} modules: {sys.argv[1]}/index.html")
