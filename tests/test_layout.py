"""The order of the package's rooms, and what loads neither torch nor fairseq."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import fairseq_guided_align

PACKAGE = Path(fairseq_guided_align.__file__).parent
NAME = "fairseq_guided_align"
HEAVY = {"torch", "fairseq", "fairseq_cli"}

# What text-only commands, and the help of all, stand on: torch and fairseq take seconds to import.
TEXT_ONLY_ROOMS = ["files", "links", "scores", "markup", "pictures", "cli"]
TEXT_ONLY = ["errors", "subwords.conversion", "subwords.pieces", "demo.server"]
# Formulas that anybody can use on tensors.
FAIRSEQ_FREE = ["losses.formulas"]


def names(room: str) -> list[str]:
    return [f"{room}.{path.stem}" for path in sorted((PACKAGE / room).glob("*.py")) if path.stem != "__init__"]


def loads(modules: list[str], heavy: set[str]) -> str:
    """Which of `heavy` are loaded after an import of these modules, as a list in text."""
    code = (
        "import importlib, sys\n"
        f"for name in {modules!r}: importlib.import_module('{NAME}.' + name)\n"
        f"print(sorted({heavy!r} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def test_rooms_import_downwards() -> None:
    # The contracts stand in pyproject.toml.
    code = "import sys; from importlinter.cli import lint_imports_command; lint_imports_command()"
    run = subprocess.run(
        [sys.executable, "-c", code, "--no-cache"],
        cwd=PACKAGE.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "Contracts: 3 kept, 0 broken." in run.stdout


def test_text_only_modules_load_neither_torch_nor_fairseq() -> None:
    modules = TEXT_ONLY + [name for room in TEXT_ONLY_ROOMS for name in names(room)]
    assert loads(modules, HEAVY) == "[]"


def test_formulas_do_without_fairseq() -> None:
    assert loads(FAIRSEQ_FREE, {"fairseq", "fairseq_cli"}) == "[]"
