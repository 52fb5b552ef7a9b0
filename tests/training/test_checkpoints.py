"""fairseq's own programs, each in a process of its own, on checkpoints of this package; and a hostile checkpoint."""

from __future__ import annotations

import pickle
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from fairseq_runs import GUIDED, TINY_MODEL, TINY_TRAINING, USER_DIR
from forked_programs import Programs

import fairseq_guided_align
from fairseq_guided_align.cli.main import main

Program = Callable[..., subprocess.CompletedProcess]
COMMON = ["--user-dir", USER_DIR, "--task", "translation_guided_alignment", "--cpu"]


@pytest.fixture(scope="module")
def program(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Program:
    """Runs one of fairseq's programs in a process that has imported fairseq, and nothing of this package."""
    folder = tmp_path_factory.mktemp("programs")

    def run(main: str, *arguments: object, text: str = "", check: bool = True) -> subprocess.CompletedProcess:
        command = [str(folder / main), *map(str, arguments)]
        done = subprocess.run(command, input=text, capture_output=True, text=True, encoding="utf-8", check=False)
        assert not check or done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
        return done

    programs.write(folder, {name: f"fairseq_cli.{name}" for name in ("generate", "interactive", "train")})
    return run


@pytest.mark.slow
def test_generate_and_score_the_reference(made_up: Any, trained: Any, program: Program) -> None:
    arguments = ["--path", trained.checkpoint, "--gen-subset", "test", "--batch-size", 8, "--print-alignment", "hard"]
    done = program("generate", made_up.binarised, *COMMON, *arguments, "--beam", 2, "--max-len-b", 20)
    assert sum(line.startswith("A-") for line in done.stdout.splitlines()) == 40


@pytest.mark.slow
def test_interactive(made_up: Any, trained: Any, program: Program) -> None:
    text = "".join((made_up.text / "test.src").read_text(encoding="utf-8").splitlines(keepends=True)[:2])
    done = program(
        "interactive", made_up.binarised, *COMMON, "--path", trained.checkpoint, "--beam", 2, "--source-lang", "src",
        "--target-lang", "tgt", "--print-alignment", "hard", "--max-len-b", 20,
        text=text,
    )  # fmt: skip
    assert [line.split("\t")[0] for line in done.stdout.splitlines() if line[:2] == "A-"] == ["A-0", "A-1"]


@pytest.mark.slow
def test_resume(made_up: Any, trained: Any, program: Program, tmp_path: Path) -> None:
    shutil.copyfile(trained.checkpoint, tmp_path / "checkpoint_last.pt")
    done = program(
        "train", made_up.binarised, "--user-dir", USER_DIR, *GUIDED, *TINY_MODEL, *TINY_TRAINING, "--save-dir",
        tmp_path, "--log-format", "json", "--encoder-embed-dim", 32, "--decoder-embed-dim", 32, "--max-update", 302,
        "--batch-size", 32, "--lr", 0.01,
    )  # fmt: skip
    log = done.stdout + done.stderr
    assert re.search(r"checkpoint_last.pt \(epoch \d+ @ 300 updates\)", log)
    assert '"num_updates": "302"' in log
    assert "valid_loss_per_token" in log


def test_a_checkpoint_holds_only_types_that_are_allow_listed(trained: Any) -> None:
    state = torch.load(trained.checkpoint, map_location="cpu", weights_only=True)
    assert state["cfg"]["model"].guided_alignment_layers == "1"


class Hostile:
    """Runs code when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple:
        return Path.touch, (self.trace,)


@pytest.mark.slow
def test_a_hostile_checkpoint_is_refused_and_runs_nothing(
    made_up: Any, trained: Any, program: Program, tmp_path: Path
) -> None:
    state = torch.load(trained.checkpoint, map_location="cpu", weights_only=True)
    trace = tmp_path / "it-ran"
    state["extra_state"]["surprise"] = Hostile(trace)
    hostile = tmp_path / "hostile.pt"
    torch.save(state, hostile)
    done = program(
        "generate", made_up.binarised, *COMMON, "--path", hostile, "--gen-subset", "test", "--batch-size", 8,
        check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "weights_only" in done.stdout + done.stderr.lower()
    assert not trace.exists()
    # the file is hostile indeed: without the protection it does run
    torch.load(hostile, map_location="cpu", weights_only=False)
    assert trace.exists()


def test_loading_stays_weights_only_by_default(tmp_path: Path) -> None:
    fairseq_guided_align.register()
    path = tmp_path / "code.pt"
    torch.save({"code": Hostile(tmp_path / "trace")}, path)
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path)
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize("command", ["extract", "ctranslate2"])
@pytest.mark.parametrize("content", ["text", "code", "empty", "other"])
def test_what_is_no_checkpoint_is_told(
    made_up: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, content: str
) -> None:
    if command == "ctranslate2":
        pytest.importorskip("ctranslate2")
    path = tmp_path / "file.pt"
    if content == "text":
        path.write_text("no checkpoint\n")
    elif content == "code":
        torch.save({"cfg": Hostile(tmp_path / "trace")}, path)
    elif content == "other":
        torch.save({"weights": torch.zeros(2)}, path)
    else:
        path.touch()
    arguments = [] if command == "extract" else [str(made_up.binarised), str(tmp_path / "out")]
    assert main([command, str(path), *arguments]) == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert f"{path}: cannot be read as a checkpoint: " in told
    # torch advises to switch the protection off
    assert "False" not in told
    assert not (tmp_path / "trace").exists()


def test_a_checkpoint_names_the_languages_that_the_data_folder_told(trained: Any) -> None:
    state = torch.load(trained.checkpoint, weights_only=True)
    assert (state["cfg"]["task"]["source_lang"], state["cfg"]["task"]["target_lang"]) == ("src", "tgt")
    assert (state["cfg"]["model"].source_lang, state["cfg"]["model"].target_lang) == ("src", "tgt")
