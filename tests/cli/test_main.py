"""The entry point: what is listed, how fast it answers, how errors leave it."""

from __future__ import annotations

import argparse
import logging
import os
import subprocess
import sys
import time
import types
from pathlib import Path

import pytest

import fairseq_guided_align
from fairseq_guided_align.cli import main as cli
from fairseq_guided_align.errors import GuidedAlignError

COMMAND = [sys.executable, "-m", "fairseq_guided_align.cli.main"]


def call(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False)


def quickest(*arguments: str, tries: int = 3) -> float:
    """Seconds of the fastest of a few runs: other work on the machine only ever adds."""
    best = float("inf")
    for _ in range(tries):
        start = time.perf_counter()
        run = call(*arguments)
        best = min(best, time.perf_counter() - start)
        assert run.returncode == 0, run.stderr
    return best


@pytest.fixture
def fake_subcommand(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A subcommand in place of user-dir, whose run() the test sets."""
    module = types.ModuleType("fairseq_guided_align.cli.user_dir")
    module.HELP = "made up"  # type: ignore[attr-defined]
    module.add_arguments = lambda parser: parser.add_argument("--number", type=int)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


def test_help_lists_exactly_the_installed_subcommands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(["--help"])
    assert left.value.code == 0
    lines = capsys.readouterr().out.split("subcommands:\n")[1].split("\n\n")[0].splitlines()
    assert [line.split()[0] for line in lines] == cli.available()
    assert "user-dir" in cli.available()


def test_every_module_in_the_folder_is_a_listed_subcommand() -> None:
    files = {p.stem.replace("_", "-") for p in Path(cli.__file__).parent.glob("*.py")} - {"--init--", "main", "options"}
    assert files <= set(cli.SUBCOMMANDS)


@pytest.mark.parametrize("command", cli.available())
def test_help_line_is_read_without_importing(command: str) -> None:
    line = cli.help_line(command)
    assert line
    assert "\n" not in line


@pytest.mark.parametrize("command", cli.available())
def test_each_subcommand_has_help_and_the_agreed_functions(command: str) -> None:
    run = call(command, "--help")
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith(f"usage: fairseq-guided-align {command} ")


def test_version() -> None:
    assert call("--version").stdout == f"fairseq-guided-align {fairseq_guided_align.__version__}\n"


def test_user_dir_is_the_package_folder() -> None:
    run = call("user-dir")
    assert run.returncode == 0
    assert Path(run.stdout.strip()) == Path(fairseq_guided_align.__file__).resolve().parent


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("user-dir",), ("check", "--help")])
def test_text_only_commands_answer_within_a_second(arguments: tuple[str, ...]) -> None:
    if not arguments[0].startswith("-") and arguments[0] not in cli.available():
        pytest.skip(f"{arguments[0]} is not installed")
    assert quickest(*arguments) < 1.0


def test_no_arguments_shows_the_help_and_fails() -> None:
    run = call()
    assert run.returncode == 2
    assert run.stdout == ""
    assert "subcommands:" in run.stderr


def test_a_misspelt_subcommand_names_the_nearest() -> None:
    run = call("user-dri")
    assert run.returncode == 2
    assert "unknown subcommand 'user-dri'; did you mean user-dir?" in run.stderr


def test_unknown_option_before_the_subcommand() -> None:
    run = call("--no-such-option")
    assert run.returncode == 2
    assert "--no-such-option" in run.stderr


def test_a_guided_align_error_is_a_message_and_not_a_traceback(
    fake_subcommand: types.ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(args: argparse.Namespace) -> int:
        raise GuidedAlignError(f"text.align:{args.number}: expected 3-5; got 'x'")

    fake_subcommand.run = run  # type: ignore[attr-defined]
    assert cli.main(["user-dir", "--number", "7"]) == 2
    captured = capsys.readouterr()
    assert captured.err == "fairseq-guided-align user-dir: error: text.align:7: expected 3-5; got 'x'\n"
    assert captured.out == ""


def test_a_missing_file_is_a_message(
    fake_subcommand: types.ModuleType, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    missing = tmp_path / "missing.align"
    fake_subcommand.run = lambda args: len(missing.read_text())  # type: ignore[attr-defined]
    assert cli.main(["user-dir"]) == 2
    assert f"error: {missing}: No such file or directory" in capsys.readouterr().err


def test_a_fairseq_that_is_not_installed_is_a_message_that_says_what_to_install(
    fake_subcommand: types.ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # What the import system itself does for a module that is not there.
    monkeypatch.setitem(sys.modules, "fairseq", None)
    monkeypatch.setattr(fairseq_guided_align, "_registered", False)
    fake_subcommand.run = lambda args: fairseq_guided_align.register()  # type: ignore[attr-defined]
    assert cli.main(["user-dir"]) == 2
    error = capsys.readouterr().err
    assert "pip install 'fairseq-guided-align[fairseq]'" in error
    assert ("ve-fairseq==0.12.3" if sys.version_info >= (3, 11) else "fairseq==0.12.2") in error
    assert "Traceback" not in error


def test_an_import_that_fails_inside_the_program_keeps_its_traceback(fake_subcommand: types.ModuleType) -> None:
    def run(args: argparse.Namespace) -> int:
        import no_such_module_at_all  # noqa: F401

        return 0

    fake_subcommand.run = run  # type: ignore[attr-defined]
    with pytest.raises(ImportError, match="no_such_module_at_all"):
        cli.main(["user-dir"])


def test_a_defect_keeps_its_traceback(fake_subcommand: types.ModuleType) -> None:
    def run(args: argparse.Namespace) -> int:
        raise ZeroDivisionError

    fake_subcommand.run = run  # type: ignore[attr-defined]
    with pytest.raises(ZeroDivisionError):
        cli.main(["user-dir"])


def test_interrupt_exits_130(fake_subcommand: types.ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    def run(args: argparse.Namespace) -> int:
        raise KeyboardInterrupt

    fake_subcommand.run = run  # type: ignore[attr-defined]
    assert cli.main(["user-dir"]) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_matplotlib_stays_quiet_whatever_fairseq_makes_of_the_root_logger(
    fake_subcommand: types.ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    handler = logging.StreamHandler(sys.stderr)

    def run(args: argparse.Namespace) -> int:
        root = logging.getLogger()
        level = root.level
        root.setLevel(logging.DEBUG)
        root.addHandler(handler)
        logging.getLogger("matplotlib.font_manager").debug("findfont: score")
        root.removeHandler(handler)
        root.setLevel(level)
        return 0

    fake_subcommand.run = run  # type: ignore[attr-defined]
    assert cli.main(["user-dir"]) == 0
    assert capsys.readouterr().err == ""


def test_the_subcommands_exit_code_is_passed_on(fake_subcommand: types.ModuleType) -> None:
    fake_subcommand.run = lambda args: args.number  # type: ignore[attr-defined]
    assert cli.main(["user-dir", "--number", "1"]) == 1


@pytest.mark.skipif(os.name != "posix", reason="pipes")
def test_a_closed_pipe_is_quiet() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [*COMMAND, "user-dir"]
    run = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert run.returncode == 141
    assert run.stderr == ""
