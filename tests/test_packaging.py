"""What a package manager sees: name, version, extras, console script, licence."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement

import fairseq_guided_align

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def egg_info(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What setuptools writes about the package from setup.py."""
    out = tmp_path_factory.mktemp("egg")
    subprocess.run(
        [sys.executable, "setup.py", "-q", "egg_info", "--egg-base", str(out)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    return out / "fairseq_guided_align.egg-info"


@pytest.fixture(scope="module")
def metadata(egg_info: Path) -> str:
    return (egg_info / "PKG-INFO").read_text(encoding="utf-8")


def requirements(metadata: str) -> list[Requirement]:
    return [Requirement(line) for line in re.findall(r"^Requires-Dist: (.*)$", metadata, re.MULTILINE)]


def installed_by(metadata: str, extra: str, python: str) -> set[str]:
    environment = {**default_environment(), "extra": extra, "python_version": python}
    return {
        f"{r.name}{r.specifier}"
        for r in requirements(metadata)
        if r.marker is not None and r.marker.evaluate(environment)
    }


def test_name_version_and_python(metadata: str) -> None:
    assert re.search(r"^Name: fairseq[-_]guided[-_]align$", metadata, re.MULTILINE)
    assert f"\nVersion: {fairseq_guided_align.__version__}\n" in metadata
    wanted = re.search(r"^Requires-Python: (.*)$", metadata, re.MULTILINE)
    assert wanted is not None
    assert set(wanted.group(1).split(",")) == {">=3.10", "<3.13"}


def test_plain_installation_pulls_neither_torch_nor_fairseq(metadata: str) -> None:
    assert {r.name for r in requirements(metadata) if r.marker is None} == {"numpy", "tqdm", "zstandard"}


@pytest.mark.parametrize(
    ("python", "wanted"),
    [
        ("3.10", "fairseq==0.12.2"),
        ("3.11", "ve-fairseq==0.12.3"),
        ("3.12", "ve-fairseq==0.12.3"),
    ],
)
def test_extra_installs_the_fairseq_that_fits(metadata: str, python: str, wanted: str) -> None:
    assert installed_by(metadata, "fairseq", python) == {wanted}


@pytest.mark.parametrize("extra", ["sentencepiece", "plots", "aligner", "icu", "browser", "test"])
def test_extras_exist(metadata: str, extra: str) -> None:
    assert installed_by(metadata, extra, "3.11")


def test_every_file_of_the_package_is_installed(egg_info: Path) -> None:
    package = ROOT / "fairseq_guided_align"
    there = {path.relative_to(ROOT).as_posix() for path in package.rglob("*") if path.is_file()}
    there = {name for name in there if "__pycache__" not in name}
    installed = set((egg_info / "SOURCES.txt").read_text(encoding="utf-8").splitlines())
    assert there - installed == set()


def test_changelog_has_an_entry_for_this_version() -> None:
    assert f"\n## {fairseq_guided_align.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_licence_is_mit() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert text.startswith("MIT License")
    assert "the fairseq_guided_align authors" in text
