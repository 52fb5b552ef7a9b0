"""Entry point of `fairseq-guided-align`: imports one subcommand only, and turns errors into messages."""

from __future__ import annotations

import argparse
import ast
import difflib
import importlib
import io
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from fairseq_guided_align import __version__
from fairseq_guided_align.atomic_files import FULL_DISK
from fairseq_guided_align.cli.options import check_streams, dash_help
from fairseq_guided_align.errors import GuidedAlignError

PROG = "fairseq-guided-align"

# In the order in which a user meets them; the module is the name with _ for -.
SUBCOMMANDS = (
    "user-dir",
    "preprocess",
    "check",
    "project",
    "binarize",
    "align",
    "average",
    "extract",
    "tags",
    "tag-score",
    "aer",
    "plot",
    "view",
    "curves",
    "ctranslate2",
)

EXIT_ERROR = 2
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one subcommand; returns its exit code.

    2 for wrong usage, for every GuidedAlignError, for files that cannot be opened and for packages that are
    not installed (the message goes to stderr, without a traceback),
    130 after Ctrl-C, 141 when the reader of the output went away. Any other exception is a defect of the
    program and keeps its traceback.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    _make_output_say_everything()
    name = PROG
    try:
        command = _chosen(arguments)
        if command is None:
            _top_parser().print_help(sys.stderr)
            return EXIT_ERROR
        name = f"{PROG} {command}"
        code = _run(command, arguments[1:])
        # A reader that went away shows up here and not, as noise, when the interpreter shuts down.
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except GuidedAlignError as error:
        return _fail(name, str(error))
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        _silence_stdout()
        return EXIT_BROKEN_PIPE
    except ImportError as error:
        # Told by us, with the real one as its cause: what is not installed and how to install it.
        if error.__cause__ is None:
            raise
        return _fail(name, str(error))
    except OSError as error:
        if error.filename is None and error.errno in FULL_DISK:
            # Files are named by who writes them; what remains is where the output was sent to.
            _silence_stdout()
            return _fail(name, f"standard output: cannot be written: {error.strerror}")
        if error.filename is None:
            raise
        return _fail(name, f"{error.filename}: {error.strerror}")


def module_path(command: str) -> Path:
    """File of the subcommand's module; it need not exist."""
    return Path(__file__).with_name(command.replace("-", "_") + ".py")


def available() -> list[str]:
    """Names of the subcommands whose module is installed, in the order of SUBCOMMANDS."""
    return [command for command in SUBCOMMANDS if module_path(command).exists()]


def help_line(command: str) -> str:
    """HELP of the subcommand's module, read without importing it: some of them import torch and fairseq."""
    path = module_path(command)
    for statement in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.Assign):
            targets, value = statement.targets, statement.value
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            targets, value = [statement.target], statement.value
        else:
            continue
        if any(isinstance(target, ast.Name) and target.id == "HELP" for target in targets):
            return str(ast.literal_eval(value))
    raise RuntimeError(f"{path}: expected a line HELP = '...'; none found")


def _chosen(arguments: list[str]) -> str | None:
    """The subcommand's name; None without arguments. --help, --version and wrong names exit here."""
    if not arguments:
        return None
    first = arguments[0]
    if first in available():
        return first
    parser = _top_parser()
    if first.startswith("-"):
        # --help and --version leave from in here, and so does an unknown option.
        parser.parse_args(arguments[:1])
    near = difflib.get_close_matches(first, available(), n=1)
    hint = f"; did you mean {near[0]}?" if near else f"; choose from {', '.join(available())}"
    parser.error(f"unknown subcommand {first!r}{hint}")


def _top_parser() -> argparse.ArgumentParser:
    names = available()
    width = max(map(len, names)) + 2
    lines = [f"  {name:<{width}}{help_line(name)}" for name in names]
    parser = argparse.ArgumentParser(
        prog=PROG,
        usage=f"{PROG} [--help] [--version] SUBCOMMAND ...",
        description="Supervised word alignment for fairseq translation models.",
        epilog="\n".join(["subcommands:", *lines, "", f"{PROG} SUBCOMMAND --help shows the options of one."]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"{PROG} {__version__}")
    return parser


def _run(command: str, arguments: list[str]) -> int:
    # Importing fairseq makes the root logger tell everything, and matplotlib has a lot to tell about fonts.
    logging.getLogger("matplotlib").setLevel(logging.WARNING)
    module = importlib.import_module(f"fairseq_guided_align.cli.{command.replace('-', '_')}")
    parser = argparse.ArgumentParser(prog=f"{PROG} {command}", description=module.HELP)
    module.add_arguments(parser)
    parser.epilog = dash_help(parser) or parser.epilog
    args = parser.parse_args(arguments)
    check_streams(args)
    code: int = module.run(args)
    return code


def _make_output_say_everything() -> None:
    """A character that the output's encoding lacks is printed as its number, such as \\u03b1, and ends no command."""
    for stream in (sys.stdout, sys.stderr):
        # Whoever asked for another way of handling them has it.
        if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
            stream.reconfigure(errors="backslashreplace")


def _fail(name: str, message: str) -> int:
    print(f"{name}: error: {message}", file=sys.stderr)
    return EXIT_ERROR


def _silence_stdout() -> None:
    """Points stdout at nothing, or the interpreter complains about the closed pipe at exit."""
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, ValueError):
        return
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, descriptor)
    os.close(devnull)


if __name__ == "__main__":
    sys.exit(main())
