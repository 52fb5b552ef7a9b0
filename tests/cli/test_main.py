"""The entry point: what is listed, how fast it answers, how errors leave it."""

from __future__ import annotations

import argparse
import logging
import os
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest

import fairseq_guided_align
from fairseq_guided_align.cli import main as cli
from fairseq_guided_align.errors import GuidedAlignError

COMMAND = [sys.executable, "-m", "fairseq_guided_align.cli.main"]


def call(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False)


@pytest.fixture
def fake_subcommand(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A subcommand in place of user-dir, whose run() the test sets."""
    module = types.ModuleType("fairseq_guided_align.cli.user_dir")
    module.add_arguments = lambda parser: parser.add_argument("--number", type=int)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


def left(*arguments: str) -> int:
    """Exit code of a command line that argparse ends."""
    with pytest.raises(SystemExit) as exit:
        cli.main(arguments)
    return int(exit.value.code or 0)


def test_help_lists_the_modules_of_the_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert left("--help") == 0
    lines = capsys.readouterr().out.split("subcommands:\n")[1].split("\n\n")[0].splitlines()
    assert [line.split(maxsplit=1) for line in lines] == [list(row) for row in cli.COMMANDS.items()]
    shared = {
        "--init--",
        "main",
        "argument-types",
        "options",
        "sampling-options",
        "streams",
        "tag-options",
        "told-counts",
    }
    files = {p.stem.replace("_", "-") for p in Path(cli.__file__).parent.glob("*.py")} - shared
    assert files == set(cli.COMMANDS)
    assert not any("\n" in line or not line for line in cli.COMMANDS.values())


def test_the_readme_names_every_command() -> None:
    readme = (Path(fairseq_guided_align.__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    table = readme.split("\n## Commands\n")[1].split("\n## ")[0]
    named = [
        name
        for row in table.splitlines()
        for name in re.findall(r"`([a-z][a-z0-9-]*)`", row.split("|")[1] if row else "")
    ]
    assert sorted(named) == sorted(cli.COMMANDS)


def test_paragraphs_of_a_description_stay_apart(
    fake_subcommand: types.ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        parser.description = "one\ntwo\n\nthree"

    fake_subcommand.add_arguments = add_arguments  # type: ignore[attr-defined]
    assert left("user-dir", "--help") == 0
    assert "\none two\n\nthree\n" in capsys.readouterr().out


def test_text_only_commands_answer_within_a_second_and_say_the_truth() -> None:
    package = Path(fairseq_guided_align.__file__).resolve().parent
    for arguments, said in (
        (("--version",), f"fairseq-guided-align {fairseq_guided_align.__version__}\n"),
        (("user-dir",), f"{package}\n"),
        (("check", "--help"), "usage: fairseq-guided-align check "),
    ):
        before = os.times()
        run = call(*arguments)
        after = os.times()
        assert run.returncode == 0, run.stderr
        assert run.stdout.startswith(said)
        # Of the processor: other work on the machine does not count.
        assert after.children_user + after.children_system - before.children_user - before.children_system < 1


def test_no_command_or_a_wrong_one_shows_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "subcommands:" in captured.err
    for wrong, said in (
        ("user-dri", "unknown subcommand 'user-dri'; did you mean user-dir?"),
        ("q", "unknown subcommand 'q'; choose from user-dir, preprocess, "),
        ("--no-such-option", "--no-such-option"),
    ):
        assert left(wrong) == 2
        assert said in capsys.readouterr().err


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


def test_a_defect_keeps_its_traceback(fake_subcommand: types.ModuleType) -> None:
    def run(args: argparse.Namespace) -> int:
        if args.number == 1:
            import no_such_module_at_all  # noqa: F401
        if args.number == 2:
            raise OSError("without a file")
        raise ZeroDivisionError

    fake_subcommand.run = run  # type: ignore[attr-defined]
    for number, defect in enumerate((ZeroDivisionError, ImportError, OSError)):
        with pytest.raises(defect):
            cli.main(["user-dir", "--number", str(number)])


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
def test_a_closed_pipe_is_quiet(tmp_path: Path) -> None:
    """Of what is written at once, and of what is printed and kept until the end."""
    for suffix, text in (("align", "0-0"), ("s", "a"), ("t", "b")):
        (tmp_path / f"x.{suffix}").write_text(f"{text}\n")
    for arguments in (["user-dir"], ["check", str(tmp_path / "x"), "-s", "s", "-t", "t"]):
        reader, writer = os.pipe()
        os.close(reader)
        environment = {**os.environ, "PYTHONUNBUFFERED": ""}
        run = subprocess.run(
            [*COMMAND, *arguments], stdout=writer, stderr=subprocess.PIPE, text=True, check=False, env=environment
        )
        os.close(writer)
        assert run.returncode == 141
        assert run.stderr == ""
