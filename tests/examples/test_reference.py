"""The API reference is built from the docstrings, by the command that the guide shows, and nothing is amiss."""

from __future__ import annotations

import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("pdoc")
    folder = tmp_path_factory.mktemp("reference")
    done = subprocess.run(
        [sys.executable, "-m", "examples.reference", str(folder / "api")], cwd=ROOT, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not re.findall(r"^Warn.*", done.stderr, re.MULTILINE)
    assert f"{folder}/api/index.html" in done.stdout
    return folder / "api"


def test_every_module_has_its_page(pages: Path) -> None:
    package = ROOT / "fairseq_guided_align"
    for path in package.rglob("*.py"):
        name = path.relative_to(ROOT).with_suffix("")
        page = name.parent if path.name == "__init__.py" else name
        assert (pages / page).with_suffix(".html").exists(), page


def test_parameters_are_lists_and_not_raw_text(pages: Path) -> None:
    text = unescape((pages / "fairseq_guided_align" / "aligning" / "extraction.html").read_text(encoding="utf-8"))
    assert "a checkpoint of fairseq's, trained with this package or without" in text
    assert ":param checkpoint:" not in text


def test_the_guide_shows_this_command() -> None:
    assert "python -m examples.reference api" in (ROOT / "examples/guide/README.md").read_text(encoding="utf-8")
