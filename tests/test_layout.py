"""The layering of the package, read from the imports themselves."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import fairseq_guided_align

PACKAGE = Path(fairseq_guided_align.__file__).parent
NAME = "fairseq_guided_align"

# From the text to the screen: a file imports only from files above it. A new file gets its line here.
ORDER = [
    "errors",
    "compat",
    "byte_lines",
    "words",
    "progress",
    "atomic_files",
    "checkpoint_files",
    "dictionary_prints",
    "averaging",
    "worker_processes",
    "links",
    "pharaoh",
    "link_files",
    "end_links",
    "symmetrise",
    "subwords",
    "special_tokens",
    "word_positions",
    "split_evidence",
    "alignment_report",
    "link_counts",
    "subword_settings",
    "folder_languages",
    "piece_words",
    "same_spelling",
    "spelling",
    "sentencepiece_models",
    "text_pieces",
    "projection",
    "dictionaries",
    "unknown_tokens",
    "fairseq_options",
    "fairseq_data",
    "folder_mends",
    "store",
    "binarization",
    "link_sources",
    "aligner",
    "corpus_files",
    "corpus_blocks",
    "preprocessing",
    "batching",
    "dataset",
    "guided_heads",
    "attention",
    "losses",
    "half_products",
    "cross_entropy_kernel",
    "chunked_cross_entropy",
    "output_projection",
    "vocabulary_softmax",
    "guided_cost",
    "schedule",
    "log_values",
    "coverage",
    "decode_links",
    "metrics",
    "scored_text",
    "significance",
    "visible_text",
    "fonts",
    "picture_text",
    "picture_layout",
    "picture_files",
    "plots",
    "training_log",
    "training_curves",
    "page",
    "markup.tagged_text",
    "markup.builder",
    "markup.blocks",
    "markup.xml_tokens",
    "markup.xml_markup",
    "markup.xliff_markup",
    "markup.html_markup",
    "markup.placeholders",
    "markup.kinds",
    "markup.units",
    "markup.segment",
    "markup.edges",
    "markup.anchors",
    "markup.elements",
    "markup.linked_sentence",
    "markup.likely_spans",
    "markup.spans",
    "markup.breaks",
    "markup.placing",
    "markup.writing",
    "markup.word_places",
    "markup.protected",
    "markup.carrying",
    "markup",
    "markup.tag_files",
    "markup.score",
    "word_attention",
    "printed_alignment",
    "forced_attention",
    "validation_aer",
    "loaded_models",
    "extraction",
    "api",
    "ctranslate2_models",
    "split_reading",
    "training_pictures",
    "generation",
    "pair_links",
    "checkpoint_options",
    "resuming",
    "guided_task",
    "criterion_options",
    "head_choice",
    "criterion",
    "task",
    "multilingual_task",
    "help_options",
]

# What the text-only commands stand on: torch and fairseq take seconds to import.
TEXT_ONLY = [
    "errors",
    "byte_lines",
    "words",
    "progress",
    "atomic_files",
    "links",
    "pharaoh",
    "link_files",
    "symmetrise",
    "subwords",
    "store",
    "metrics",
    "significance",
    "visible_text",
    "fonts",
    "picture_text",
    "picture_layout",
    "picture_files",
    "plots",
    "training_log",
    "training_curves",
    "page",
    "piece_words",
    "markup",
    "markup.tag_files",
    "markup.score",
]
TEXT_ONLY_COMMANDS = ["main", "user_dir", "check", "tags", "tag_score", "aer", "curves", "view"]
HEAVY = {"torch", "fairseq", "fairseq_cli"}
# Formulas that anybody can use on tensors.
FAIRSEQ_FREE = ["losses"]


def modules() -> dict[str, Path]:
    """Name without the package's, such as `links` or `cli.main` -> file."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts[-1] == "__init__":
            parts = parts[:-1]
        found[".".join(parts)] = path
    return found


MODULES = modules()


class _Imports(ast.NodeVisitor):
    """Absolute names of everything that a module imports; `eager` holds those of the module's own level."""

    def __init__(self, package: list[str]) -> None:
        self.package = package
        self.depth = 0
        self.all: set[str] = set()
        self.eager: set[str] = set()

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._deeper(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._deeper(node)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._deeper(node)

    def visit_If(self, node: ast.If) -> None:
        if ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            self.depth += 1
            for child in node.body:
                self.visit(child)
            self.depth -= 1
            for child in node.orelse:
                self.visit(child)
        else:
            self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._add(alias.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        base = node.module or ""
        if node.level:
            above = self.package[: len(self.package) - node.level + 1]
            base = ".".join([*above, *([base] if base else [])])
        for alias in node.names:
            self._add(f"{base}.{alias.name}")

    def _deeper(self, node: ast.AST) -> None:
        self.depth += 1
        self.generic_visit(node)
        self.depth -= 1

    def _add(self, name: str) -> None:
        self.all.add(name)
        if not self.depth:
            self.eager.add(name)


def imports_of(module: str) -> _Imports:
    path = MODULES[module]
    parts = [NAME, *(module.split(".") if module else [])]
    package = parts if path.name == "__init__.py" else parts[:-1]
    visitor = _Imports(package)
    visitor.visit(ast.parse(path.read_text(encoding="utf-8"), str(path)))
    return visitor


def own(names: set[str]) -> set[str]:
    """The modules of the package among imported names: `fairseq_guided_align.links.invert` -> `links`."""
    found = set()
    for name in names:
        if name != NAME and not name.startswith(NAME + "."):
            continue
        inner = name[len(NAME) + 1 :]
        while inner and inner not in MODULES:
            inner = inner.rpartition(".")[0]
        found.add(inner)
    return found


def top_level(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def ordered() -> list[str]:
    return [name for name in MODULES if name and not name.startswith("cli")]


def test_every_file_has_its_place_in_the_order() -> None:
    assert sorted(set(ordered()) - set(ORDER)) == []


@pytest.mark.parametrize("module", [m for m in ordered() if m in ORDER])
def test_imports_point_upwards(module: str) -> None:
    rank = {name: i for i, name in enumerate(ORDER)}
    # The empty name is the package itself, imported for its version.
    others = own(imports_of(module).all) - {""}
    below = {other for other in others if rank.get(other, len(ORDER)) >= rank[module]}
    assert not below, f"{module}.py imports {sorted(below)}, which are not above it"


def test_criterion_and_task_do_not_know_each_other() -> None:
    for task in ("guided_task", "task", "multilingual_task"):
        assert task not in own(imports_of("criterion").all)
        assert "criterion" not in own(imports_of(task).all)


@pytest.mark.parametrize("module", ordered())
def test_library_does_not_import_the_command_line(module: str) -> None:
    assert not {name for name in own(imports_of(module).all) if name.startswith("cli")}


@pytest.mark.parametrize("module", [m for m in MODULES if m.startswith("cli.")])
def test_subcommands_do_not_import_each_other(module: str) -> None:
    others = {name for name in own(imports_of(module).all) if name.startswith("cli.")} - {module, "cli.options"}
    assert not others


def heavy_imports(module: str) -> dict[str, set[str]]:
    """Module -> heavy packages imported when it is loaded, over everything it loads in turn."""
    seen: dict[str, set[str]] = {}
    queue = [module, ""]
    while queue:
        name = queue.pop()
        if name in seen:
            continue
        imports = imports_of(name)
        seen[name] = top_level(imports.eager) & HEAVY
        queue.extend(own(imports.eager))
    return {name: heavy for name, heavy in seen.items() if heavy}


@pytest.mark.parametrize("module", [m for m in TEXT_ONLY + [f"cli.{c}" for c in TEXT_ONLY_COMMANDS] if m in MODULES])
def test_text_only_modules_load_neither_torch_nor_fairseq(module: str) -> None:
    assert heavy_imports(module) == {}


@pytest.mark.parametrize("module", [m for m in FAIRSEQ_FREE if m in MODULES])
def test_formulas_do_without_fairseq(module: str) -> None:
    assert not top_level(imports_of(module).all) & {"fairseq", "fairseq_cli"}


def test_loaded_modules_confirm_what_the_sources_say() -> None:
    names = [f"{NAME}.{m}" for m in TEXT_ONLY + [f"cli.{c}" for c in TEXT_ONLY_COMMANDS] if m in MODULES]
    code = (
        "import importlib, sys\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        f"print(sorted({HEAVY!r} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "[]"


def test_the_reader_of_imports_sees_all_forms() -> None:
    visitor = _Imports([NAME, "cli"])
    visitor.visit(
        ast.parse(
            "import torch.nn as nn\n"
            "from . import main\n"
            "from ..links import invert\n"
            "from typing import TYPE_CHECKING\n"
            "if TYPE_CHECKING:\n    import fairseq\n"
            "try:\n    import numpy\nexcept ImportError:\n    pass\n"
            "def f():\n    from fairseq_guided_align import task\n"
        )
    )
    assert visitor.eager == {
        "torch.nn",
        f"{NAME}.cli.main",
        f"{NAME}.links.invert",
        "typing.TYPE_CHECKING",
        "numpy",
    }
    assert visitor.all - visitor.eager == {"fairseq", f"{NAME}.task"}
    assert top_level(visitor.all) & HEAVY == {"torch", "fairseq"}
