"""``extract`` and ``translate`` in two real processes: the file that one process makes, or none."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import MadeUpData, TrainedModel
from fairseq_runs import train
from forked_programs import Programs

from fairseq_guided_align.aligning.process_group import device_of
from fairseq_guided_align.cli.main import main
from fairseq_guided_align.files.processes import Process

ROOT = Path(__file__).resolve().parents[2]
MODULE = "fairseq_guided_align.cli.main"
PROGRAM = "fairseq-guided-align"
WORDS = ["--subwords", "words", "--device", "cpu"]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}", "OMP_NUM_THREADS": "1", **more}


def task_of_slurm(number: int, job: str = "7") -> dict[str, str]:
    """What ``srun`` tells the tasks of a job step."""
    return {
        "SLURM_PROCID": str(number), "SLURM_NTASKS": "2", "SLURM_LOCALID": str(number), "SLURM_JOB_ID": job,
        "SLURM_STEP_ID": "0",
    }  # fmt: skip


@pytest.fixture(scope="module")
def commands(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the command and torchrun are, which start at once."""
    folder = tmp_path_factory.mktemp("programs")
    programs.write(folder, {PROGRAM: MODULE, "torchrun": "torch.distributed.run"})
    return folder


def with_torchrun(commands: Path, *arguments: object) -> None:
    done = subprocess.run(
        [
            str(commands / "torchrun"), "--standalone", "--nproc-per-node", "2", "--no-python",
            str(commands / PROGRAM), *map(str, arguments),
        ],
        env=environment(), capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]


def as_tasks(command: Sequence[str], arguments: Sequence[object]) -> list[subprocess.Popen[str]]:
    """Two processes with the variables of SLURM's tasks."""
    return [
        subprocess.Popen(
            [*command, *map(str, arguments)], env=environment(**task_of_slurm(number)), stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]  # fmt: skip


def texts(made_up: MadeUpData, split: str) -> tuple[str, str]:
    return str(made_up.text / f"{split}.src"), str(made_up.text / f"{split}.tgt")


def left_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_extract_writes_what_one_process_writes(
    made_up: MadeUpData, trained: TrainedModel, commands: Path, tmp_path: Path
) -> None:
    """A split; and text of more lines than are read at a time, with an end that has no line feed."""
    source, target = tmp_path / "s.gz", tmp_path / "t"
    own = [Path(path).read_bytes() for path in texts(made_up, "train")]
    source.write_bytes(gzip.compress((own[0] * 6)[:-1]))
    target.write_bytes((own[1] * 6)[:-1])
    text = ["--source", source, "--target", target]
    for name, options in {"split": ["--split", "test", "--level", "pieces"], "text": text}.items():
        command = ["extract", trained.checkpoint, *WORDS, *options, "--output"]
        assert main([*map(str, command), str(tmp_path / f"{name}.one")]) == 0
        with_torchrun(commands, *command, tmp_path / f"{name}.two")
        assert (tmp_path / f"{name}.two").read_bytes() == (tmp_path / f"{name}.one").read_bytes()
    assert (tmp_path / "text.two").read_bytes().count(b"\n") == 2400
    assert left_in(tmp_path) == {"s.gz", "t", "split.one", "split.two", "text.one", "text.two"}


def test_both_directions(made_up: MadeUpData, trained: TrainedModel, commands: Path, tmp_path: Path) -> None:
    """Other batches round probabilities otherwise, so only the links are the same to the byte."""
    train(made_up.binarised, tmp_path, "-s", "tgt", "-t", "src", "--disable-validation", updates=2)
    source, target = texts(made_up, "valid")
    command = [
        "extract", str(trained.checkpoint), "--reverse-checkpoint", str(tmp_path / "checkpoint_last.pt"), *WORDS,
        "--source", source, "--target", target, "--method", "threshold", "--threshold", "0.2", "--output",
    ]  # fmt: skip
    assert main([*command, str(tmp_path / "one")]) == 0
    processes = as_tasks([str(commands / PROGRAM)], [*command, tmp_path / "two.gz"])
    errors = [process.communicate(timeout=200)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    one = (tmp_path / "one").read_text().splitlines()
    two = gzip.decompress((tmp_path / "two.gz").read_bytes()).decode().splitlines()
    assert len(one) == len(two) == 40
    for mine, other in zip(one, two):
        (links, weights), (other_links, other_weights) = (
            zip(*(link.split(":") for link in line.split())) for line in (mine, other)
        )
        assert links == other_links
        assert [float(weight) for weight in other_weights] == pytest.approx([float(w) for w in weights], abs=2e-6)
    assert left_in(tmp_path) == {"checkpoint_last.pt", "checkpoint1.pt", "one", "two.gz"} & left_in(tmp_path)
    assert not [name for name in left_in(tmp_path) if name.startswith(".")]


def test_translate_writes_what_one_process_writes(
    made_up: MadeUpData, trained: TrainedModel, commands: Path, tmp_path: Path
) -> None:
    """Translations, links and notes of two files; a share begins in the middle of each."""
    lines = Path(texts(made_up, "test")[0]).read_text(encoding="utf-8").splitlines()
    tagged = [f"<b>{line}</b>" if number % 3 else f"{line} <i/>" for number, line in enumerate(lines)]
    tagged[35] = f"{tagged[35]} </b>"
    (tmp_path / "first").write_text("".join(f"{line}\n" for line in tagged[:30]), encoding="utf-8")
    (tmp_path / "second").write_text("\n".join([*tagged[30:], "w1 " * 1100]), encoding="utf-8")

    def command(name: str) -> list[object]:
        return [
            "translate", trained.checkpoint, tmp_path / "first", tmp_path / "second", *WORDS, "--markup", "xml",
            "--on-error", "keep", "--beam", "2", "--output", tmp_path / f"{name}.text",
            "--links-output", tmp_path / f"{name}.links", "--report", tmp_path / f"{name}.report",
        ]  # fmt: skip

    alone = subprocess.run(
        [str(commands / PROGRAM), *map(str, command("one"))], env=environment(), capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    processes = as_tasks([str(commands / PROGRAM)], command("two"))
    errors = [process.communicate(timeout=200)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    for kind in ("text", "links", "report"):
        one, two = ((tmp_path / f"{name}.{kind}").read_bytes() for name in ("one", "two"))
        assert one == two
        assert one
    assert (tmp_path / "two.report").read_text().splitlines()[-1].startswith("36\trepaired")
    # The counts are those of all, and the first process tells them
    told = alone.stderr.replace("one.text", "two.text").splitlines()
    assert any("40 segments" in line for line in told)
    assert errors[0].splitlines() == [line for line in told if "second:11" not in line]
    assert errors[1].splitlines() == [line for line in told if "second:11" in line]
    assert not [name for name in left_in(tmp_path) if name.startswith(".")]


@pytest.mark.slow
def test_a_second_process_that_fails_fails_the_run(made_up: MadeUpData, trained: TrainedModel, tmp_path: Path) -> None:
    """As users start it. The second process fails at once, and torchrun ends the first, which is at work."""
    source, target = (Path(path).read_bytes() * 50 for path in texts(made_up, "train"))
    lines = source.split(b"\n")
    lines[10_100] = b"\xff"
    (tmp_path / "bad").write_bytes(b"\n".join(lines))
    (tmp_path / "target").write_bytes(target)
    (tmp_path / "links").write_text("of an earlier run\n")
    done = subprocess.run(
        [
            sys.executable, "-W", "ignore", "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
            "-m", MODULE, "extract", str(trained.checkpoint), "--source", str(tmp_path / "bad"),
            "--target", str(tmp_path / "target"), *WORDS, "--output", str(tmp_path / "links"),
        ],
        env=environment(), capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert f"{PROGRAM} extract: error: {tmp_path}/bad:10101: expected UTF-8 text; got byte 0xff" in done.stderr
    assert "exitcode  : 143" in done.stderr, "the first process had time to clean up"
    assert left_in(tmp_path) == {"bad", "target", "links"}
    assert (tmp_path / "links").read_text() == "of an earlier run\n"


@pytest.mark.slow
def test_a_first_process_that_is_killed_fails_the_run(
    made_up: MadeUpData, trained: TrainedModel, commands: Path, tmp_path: Path
) -> None:
    """Without anything to say, as when memory runs out. The folder of all parts was its own."""
    for name, path in zip("st", texts(made_up, "train")):
        (tmp_path / name).write_bytes(Path(path).read_bytes() * 100)
    processes = as_tasks(
        [str(commands / PROGRAM)],
        ["extract", trained.checkpoint, "--source", tmp_path / "s", "--target", tmp_path / "t", *WORDS,
         "--output", tmp_path / "links"],
    )  # fmt: skip
    while len(list(tmp_path.glob(".links.*.partial/*"))) < 2:
        time.sleep(0.02)
        assert all(process.poll() is None for process in processes)
    processes[0].kill()
    errors = [process.communicate(timeout=200)[1] for process in processes]
    assert [process.returncode for process in processes] == [-signal.SIGKILL, 2]
    assert errors[1].splitlines()[-1] == (
        f"{PROGRAM} extract: error: another process of this run has failed; its message says why. Nothing was written"
    )
    assert left_in(tmp_path) == {"s", "t"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["extract", "--tune", "FILE"], "--tune learns in one process; run it without torchrun"),
        (["extract"], "--output: expected a file, beside which several processes put their parts; got /dev/stdout"),
        (
            ["extract", "--source", "-", "--target", "FILE", "--output", "OUT"],
            "/dev/stdin: expected a file, of which several processes read their lines; got a pipe",
        ),
        (["translate", "--output", "OUT"], "/dev/stdin: expected a file, of which several processes read their lines"),
        (["translate", "FILE"], "--output: expected a file, beside which several processes put their parts"),
        (["translate", "FILE", "--output", "OUT", "--report", "-"], "--report: expected a file, beside which"),
        (
            ["translate", "FILE", "--output", "OUT", "--document", "html"],
            "--document: one document is translated in one process; run it without torchrun",
        ),
    ],
)
def test_what_needs_one_process_is_refused(
    trained: TrainedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    arguments: list[str], message: str,
) -> None:  # fmt: skip
    for name, value in task_of_slurm(1).items():
        monkeypatch.setenv(name, value)
    (tmp_path / "FILE").write_text("0-0\n")
    given = [str(tmp_path / one) if one.isupper() else one for one in arguments]
    assert main([given[0], str(trained.checkpoint), *given[1:]]) == 2
    assert message in capsys.readouterr().err
    assert left_in(tmp_path) == {"FILE"}


def test_a_process_that_stays_alone_says_so(
    made_up: MadeUpData, trained: TrainedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    from datetime import timedelta

    monkeypatch.setattr("fairseq_guided_align.aligning.process_group.TO_BEGIN", timedelta(seconds=1))
    for name, value in task_of_slurm(0).items():
        monkeypatch.setenv(name, value)
    command = ["extract", str(trained.checkpoint), "--split", "test", *WORDS, "--output", str(tmp_path / "links")]
    assert main(command) == 2
    assert "process 0 of 2 cannot reach the others, or they did not start" in capsys.readouterr().err
    assert left_in(tmp_path) == set()


def test_each_process_takes_a_gpu_of_its_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    devices: list[Any] = [None, "cuda", "cuda:0", "cpu"]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert [device_of(Process(5, 8, 1), asked) for asked in devices] == ["cuda:1", "cuda:1", "cuda:0", "cpu"]
    assert [device_of(Process(), asked) for asked in devices] == devices
    # A cluster may show each task its own GPU only
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert device_of(Process(5, 8, 1), None) == "cuda:0"
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert [device_of(Process(5, 8, 1), asked) for asked in devices] == devices
