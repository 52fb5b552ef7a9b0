"""A full disk: a clear error with the file's name, and nothing left that looks complete; also inside other programs.

A limit on the size of files stands in for a full disk, which takes an administrator: the error takes the same way.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest

from fairseq_guided_align.cli import preprocess as preprocess_command
from fairseq_guided_align.cli import project as project_command
from fairseq_guided_align.cli.main import main
from fairseq_guided_align.errors import GuidedAlignError

LINES = 3000


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Short sentences, so that fairseq's index is larger than the text that it is of."""
    folder = tmp_path_factory.mktemp("text")
    for suffix, line in (("s", "b"), ("t", "a c"), ("align", "0-0 0-1")):
        (folder / f"train.{suffix}").write_text(f"{line}\n" * LINES)
    return folder


@pytest.fixture(scope="module")
def data(text: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("fairseq")
    folder = tmp_path_factory.mktemp("data") / "bin"
    assert preprocess(text, folder, "--subwords", "words") == 0
    return folder


def preprocess(text: Path, destdir: Path, *options: object) -> int:
    files = ["-s", "s", "-t", "t", "--trainpref", str(text / "train"), "--destdir", str(destdir)]
    return main(["preprocess", *files, *map(str, options)])


@pytest.mark.parametrize("workers", [1, 2])
def test_project(text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], workers: int) -> None:
    sides = [f"--{side}-{of}={text}/train.{side[0]}" for side in ("source", "target") for of in ("words", "pieces")]
    output = tmp_path / "out.align"
    with largest_file(9000):
        arguments = ["project", "--links", str(text / "train.align"), *sides, "--subwords", "words"]
        assert main([*arguments, "--output", str(output), "--workers", str(workers)]) == 2
    assert f"{output}: cannot be written: File too large; free some space" in capsys.readouterr().err
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(("level", "workers"), [("pieces", 1), ("words", 2)])
def test_binarize(
    text: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], level: str, workers: int
) -> None:
    copy = tmp_path / "bin"
    shutil.copytree(data, copy)
    before = sorted(os.listdir(copy))
    links = (copy / "train.links.s-t").read_bytes()
    capsys.readouterr()
    with largest_file(9000):
        options = ["--level", level, "--workers", str(workers)]
        assert main(["binarize", str(copy), f"train={text / 'train.align'}", *options]) == 2
    assert f"{copy / 'train.links.s-t'}: cannot be written: File too large" in capsys.readouterr().err
    assert sorted(os.listdir(copy)) == before
    assert (copy / "train.links.s-t").read_bytes() == links


@pytest.mark.parametrize(
    ("options", "size", "named"),
    [
        (["--sentencepiece-vocab-size", "8"], 9000, "bin/sentencepiece.s.model"),
        (["--subwords", "words", "--workers", "2"], 20_000, "bin/train.links.s-t"),
        # fairseq's index takes 12 bytes a line, or 24; what is written before takes 8
        (["--subwords", "words", "--align-suffix", "none", "--allow-missing-alignments", "--workers", "2"], 30_000,
         "bin"),
        (["--subwords", "words", "--align-suffix", "none", "--allow-missing-alignments",
          "--fairseq-options=--dataset-impl lazy"], 40_000, "bin"),
    ],
)  # fmt: skip
def test_preprocess(
    text: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], options: list[str], size: int, named: str
) -> None:
    pytest.importorskip("fairseq")
    if "--subwords" not in options:
        pytest.importorskip("sentencepiece")
    with largest_file(size):
        assert preprocess(text, tmp_path / "bin", *options) == 2
    error = capfd.readouterr().err
    assert f"{tmp_path / named}: cannot be written: File too large; free some space" in error
    assert ("binarising the text" in error) == (named == "bin")
    assert os.listdir(tmp_path) == []


def test_align(text: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """eflomal itself does not notice that its links are cut short."""
    pytest.importorskip("eflomal")
    files = ["--source", str(text / "train.s"), "--target", str(text / "train.t"), "--output", str(tmp_path / "links")]
    with largest_file(9000):
        assert main(["align", *files, "--model", "1", "--forward-output", str(tmp_path / "forward")]) == 2
    error = capfd.readouterr().err
    assert "disk" in error
    assert "TMPDIR names another folder" in error
    assert os.listdir(tmp_path) == []


def test_standard_output(text: Path) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full")
    files = [f"--{name}={text / f'train.{suffix}'}" for name, suffix in
             (("links", "align"), ("source", "s"), ("target", "t"))]  # fmt: skip
    command = [sys.executable, "-m", "fairseq_guided_align.cli.main", "check", *files]
    with open("/dev/full", "wb") as full:
        run = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert run.returncode == 2
    assert run.stderr.endswith("check: error: standard output: cannot be written: No space left on device\n")
    assert "Traceback" not in run.stderr


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="needs an administrator")
@pytest.mark.parametrize("command", [preprocess_command, project_command])
def test_workers_are_gone_when_the_error_comes(text: Path, tmp_path: Path, command: ModuleType) -> None:
    """Else they keep files of the full disk open for as long as somebody looks at the error."""
    given = {
        preprocess_command: ["-s=s", "-t=t", f"--trainpref={text}/train", "--subwords=words", "--destdir"],
        project_command: [
            f"--links={text}/train.align", f"--source-words={text}/train.s", f"--source-pieces={text}/train.s",
            f"--target-words={text}/train.t", f"--target-pieces={text}/train.t", "--output",
        ],
    }[command]  # fmt: skip
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    arguments = parser.parse_args([*given, str(tmp_path / "out"), "--workers=2"])
    others = multiprocessing.active_children()
    with largest_file(9000), pytest.raises(GuidedAlignError, match="cannot be written") as error:
        command.run(arguments)
    assert set(multiprocessing.active_children()) <= set(others)
    del error  # until here, it holds every frame that it came through


def test_a_disk_that_is_really_full(text: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("fairseq")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], check=False)
    if mounted.returncode:
        pytest.skip("nothing can be mounted here")
    try:
        assert preprocess(text, disk / "bin", "--subwords", "words", "--workers", 2) == 2
        assert "cannot be written: No space left on device; free some space" in capfd.readouterr().err
        assert os.listdir(disk) == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)
