"""`binarize` and `project` in several processes: the same bytes, the same errors, nothing left of failures."""

from __future__ import annotations

import errno
import fcntl
import gzip
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from fairseq_guided_align.cli.main import main
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.files.atomic import atomic_file, atomic_folder, remove_leftovers
from fairseq_guided_align.files.byte_lines import FileRange, lines_of, locate_blocks, locate_blocks_together
from fairseq_guided_align.links.link import CorpusLinks
from fairseq_guided_align.links.pharaoh import format_block, read_links
from fairseq_guided_align.links.store import LinkStore, link_writer, links_path, write_links

LINES = 60_000  # several blocks


@pytest.fixture(scope="module")
def text() -> bytes:
    """Alignment text; only the last block has weights, and only another has possible links."""
    chance = random.Random(11)
    lines = [" ".join(f"{chance.randrange(90)}-{chance.randrange(90)}" for _ in range(5)) for _ in range(LINES)]
    lines[20_000:20_100] = ["3?4 0-0"] * 100
    lines[-100:] = ["0-0:0.5 1-1"] * 100
    return "\n".join(lines).encode()  # without a line feed at its end


FORMS = {
    "plain": lambda text: text + b"\n",
    "no last line feed": lambda text: text,
    "byte order mark": lambda text: b"\xef\xbb\xbf" + text,
    "carriage returns": lambda text: text.replace(b"\n", b"\r\n"),
    "gzip": gzip.compress,
}


@pytest.mark.parametrize("form", FORMS)
def test_binarize_gives_the_same_bytes(tmp_path: Path, text: bytes, form: str) -> None:
    (tmp_path / "links").write_bytes(FORMS[form](text))
    (tmp_path / "plain").write_bytes(text)
    write_links(tmp_path / "expected", [read_links(tmp_path / "plain")])
    for workers in ("1", "2"):
        bin_folder = tmp_path / workers
        bin_folder.mkdir()
        arguments = ["binarize", str(bin_folder), f"train={tmp_path / 'links'}", "-s", "a", "-t", "b"]
        assert main([*arguments, "--workers", workers]) == 0
        written = links_path(bin_folder, "train", "a", "b")
        assert written.read_bytes() == (tmp_path / "expected").read_bytes()
        assert os.listdir(bin_folder) == [written.name]


def test_binarize_links_from_target_to_source_that_count_from_one(tmp_path: Path) -> None:
    (tmp_path / "links").write_text("1-3 2-3\n")
    arguments = ["binarize", str(tmp_path), f"train={tmp_path / 'links'}", "-s", "a", "-t", "b"]
    assert main([*arguments, "--inverted", "--one-based"]) == 0
    assert LinkStore(links_path(tmp_path, "train", "a", "b"))[0].pairs() == [(2, 0), (2, 1)]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_errors_name_their_line(tmp_path: Path, text: bytes, capsys: pytest.CaptureFixture[str], workers: str) -> None:
    lines = text.split(b"\n")
    lines[50_000] += b" 1-x"
    (tmp_path / "links").write_bytes(b"\n".join(lines))
    (tmp_path / "bin").mkdir()
    files = ["-s", "a", "-t", "b", "--workers", workers]
    assert main(["binarize", str(tmp_path / "bin"), f"train={tmp_path / 'links'}", *files]) == 2
    assert "links:50001: expected SOURCE-TARGET, such as 3-5, 3-5:0.8 or (possible) 3?5; got '1-x'" in (
        capsys.readouterr().err
    )
    assert os.listdir(tmp_path / "bin") == []


def test_blocks_lie_where_they_are_said_to(tmp_path: Path, text: bytes) -> None:
    for form, made in FORMS.items():
        path = tmp_path / "links"
        path.write_bytes(made(text))
        found = list(locate_blocks(path))
        assert all(isinstance(block, FileRange) == (form != "gzip") for _, block in found)
        assert b"".join(lines_of(block) for _, block in found).replace(b"\r", b"") == text + b"\n"
        together = list(locate_blocks_together([path, path], 7000))
        assert [first for first, _ in together] == list(range(1, LINES + 1, 7000))
        for side in (0, 1):
            assert b"".join(lines_of(blocks[side]) for _, blocks in together).replace(b"\r", b"") == text + b"\n"


def test_a_file_that_shrinks_is_an_error(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "links").write_bytes(text)
    _, block = next(iter(locate_blocks(tmp_path / "links")))
    (tmp_path / "links").write_bytes(text[:1000])
    with pytest.raises(GuidedAlignError, match="links: became shorter while it was read"):
        lines_of(block)
    (tmp_path / "links").unlink()
    with pytest.raises(GuidedAlignError, match="links: cannot be read: No such file"):
        lines_of(block)


def killed_at_seven(number: int) -> tuple[CorpusLinks, int]:
    if number == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return CorpusLinks.empty(1), number


def test_a_killed_worker_is_an_error(tmp_path: Path) -> None:
    killed = pytest.raises(GuidedAlignError, match="a worker process was killed")
    with killed, link_writer(tmp_path / "links", 2) as writer:
        list(writer.append_all(killed_at_seven, range(20)))
    assert os.listdir(tmp_path) == []


def test_whoever_stops_in_between_leaves_nothing(tmp_path: Path) -> None:
    """The workers are gone before the folder that they write to, though somebody still holds what they made."""
    before = multiprocessing.active_children()
    with pytest.raises(KeyboardInterrupt), link_writer(tmp_path / "links", 2) as writer:  # noqa: PT012
        made = writer.append_all(one_link, range(100))
        assert next(made) == 0
        raise KeyboardInterrupt
    assert set(multiprocessing.active_children()) <= set(before)
    assert os.listdir(tmp_path) == []


def one_link(number: int) -> tuple[CorpusLinks, int]:
    columns = np.zeros(1, np.int64)
    return CorpusLinks.from_columns(1, columns, columns + number, columns), number


def test_project_gives_the_same_bytes_and_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chance = random.Random(2)
    words = [[chance.choice(["ab", "μῆνιν", "语"]) for _ in range(chance.randint(0, 5))] for _ in range(5000)]
    pieces = [[part for word in row for part in ("▁" + word[:1], word[1:]) if part] for row in words]
    links = [[(i, i) for i in range(len(row))] for row in words]
    (tmp_path / "words").write_text("".join(" ".join(row) + "\n" for row in words), "utf-8")
    (tmp_path / "pieces").write_text("".join(" ".join(row) + "\n" for row in pieces), "utf-8")
    (tmp_path / "links").write_text("\n".join(" ".join(f"{s}-{t}" for s, t in row) for row in links))
    (tmp_path / "zipped").write_bytes(gzip.compress((tmp_path / "links").read_bytes()))
    sides = [f"--{side}-{of}={tmp_path / of}" for side in ("source", "target") for of in ("words", "pieces")]
    for name in ("links", "zipped"):
        for workers in ("1", "3"):
            output = tmp_path / f"{name}.{workers}"
            arguments = ["--links", str(tmp_path / name), "--workers", workers, "--output", str(output)]
            assert main(["project", *sides, *arguments]) == 0
            assert output.read_bytes() == (tmp_path / "links.1").read_bytes()
    assert format_block(read_links(tmp_path / "links.1")) == (tmp_path / "links.1").read_bytes()
    pieces[4321] = ["▁c"]
    (tmp_path / "pieces").write_text("".join(" ".join(row) + "\n" for row in pieces), "utf-8")
    before = sorted(os.listdir(tmp_path))
    for workers in ("1", "2"):
        arguments = ["--links", str(tmp_path / "links"), "--workers", workers, "--output", str(tmp_path / "none")]
        assert main(["project", *sides, *arguments]) == 2
        assert "pieces:4322 (words: " in capsys.readouterr().err
    assert sorted(os.listdir(tmp_path)) == before


# --- processes that are killed -----------------------------------------------------------------------------------

IN_A_FOLDER = """
import sys, time
from fairseq_guided_align.files.atomic import atomic_file, atomic_folder
kind = {"file": atomic_file, "folder": atomic_folder}[sys.argv[1]]
with kind(sys.argv[2]):
    print("begun", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_a_killed_process_left_goes_with_the_next_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    path = tmp_path / "out [x]"
    (tmp_path / ".out [x].0-1.partial").write_text("another program's")
    kept = [".out [x].0-1.partial"]
    command = [sys.executable, "-c", IN_A_FOLDER, kind, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        remove_leftovers(path)  # it is still at work
        (left,) = set(os.listdir(tmp_path)) - set(kept)
        process.kill()
    assert capsys.readouterr().err == ""
    with atomic_folder(path):
        pass
    assert sorted(os.listdir(tmp_path)) == sorted([*kept, "out [x]"])
    assert f"removing {tmp_path / left}: of a process that was killed" in capsys.readouterr().err


def test_without_file_locks_what_was_left_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(handle: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(fcntl, "flock", flock)
    left = tmp_path / ".out.abcd_123.partial"
    left.touch()
    with atomic_file(tmp_path / "out") as stream:
        stream.write(b"whole")
    assert sorted(os.listdir(tmp_path)) == [left.name, "out"]
    assert f"warning: {left}: of a process that may be at work; remove it if" in capsys.readouterr().err


MAPPING = """
import os, sys, time
from fairseq_guided_align.files.workers import map_in_order
def items():
    for number in range(100):
        yield number
        time.sleep(0.2)
def process(number):
    return os.getpid()
for pid in map_in_order(process, items(), 2, ahead=1):
    print(pid, flush=True)
"""


def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    """Else they would wait for work for ever."""
    with subprocess.Popen([sys.executable, "-c", MAPPING], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        workers = {int(process.stdout.readline()) for _ in range(4)}
        process.kill()
    until = time.monotonic() + 10
    while workers and time.monotonic() < until:
        workers = {worker for worker in workers if is_running(worker)}
        time.sleep(0.02)
    assert not workers


def is_running(process: int) -> bool:
    """Whether there is such a process that is not only waiting for whoever asks how it ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
