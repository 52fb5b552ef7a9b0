"""Entry point of `fairseq-guided-align`: it imports one command only, and turns errors into messages."""

from __future__ import annotations

import argparse
import difflib
import importlib
import io
import logging
import os
import sys
from collections.abc import Sequence

from fairseq_guided_align import __version__
from fairseq_guided_align.cli.streams import check_streams, dash_help
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.files.atomic import FULL_DISK

PROG = "fairseq-guided-align"

COMMANDS = {
    "user-dir": "print the folder to pass to fairseq's --user-dir",
    "preprocess": "from raw text and word links to a data folder that fairseq trains on",
    "check": "check alignment files against their texts: lines, ranges, coverage",
    "project": "turn links between words into links between subword pieces, or back",
    "binarize": "binarise links alone, for a data folder whose text is binarised",
    "align": "make word links with eflomal, in both directions, symmetrised",
    "average": "average the weights of several checkpoints of one training",
    "extract": "write the links that a trained model sees in given text",
    "translate": "translate raw text, with tags or without, or a whole HTML or XLIFF document",
    "tags": "carry the tags of the source to its translation, along links",
    "demo": "serve a page on this machine to try a model: translation, tags and links",
    "tag-score": "score tagged translations against a reference: tags at their place",
    "aer": "score alignment files against gold links: precision, recall, F1, AER",
    "plot": "draw attention matrices of sentences, of one or several checkpoints",
    "view": "write one HTML page to look through links: gold, hard and soft, of several systems",
    "curves": "draw training curves from the logs of fairseq-train",
    "ctranslate2": "convert a checkpoint for CTranslate2, with the guided heads where it looks for them",
}
"""Each command with its line of help, in the order in which a user meets them. The module of a command has its name,
with _ for -; see :mod:`fairseq_guided_align.cli`. Some import torch and fairseq, so the list imports none."""

EXIT_ERROR = 2
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    :return: the command's exit code. 2: wrong usage, a GuidedAlignError, a file that cannot be opened, or a package
        that is not installed, with a message on standard error. 130: Ctrl-C. 141: the reader of the output went away.
        Any other exception is a defect of the program and keeps its traceback.
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
        # Here, a reader that went away is noticed; later, the interpreter would complain as it ends.
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
        # With a cause, the package raised it to say what to install; without, it is a defect.
        if error.__cause__ is None:
            raise
        return _fail(name, str(error))
    except OSError as error:
        if error.filename is None and error.errno in FULL_DISK:
            # Errors of files have their names; this one has none, so it is the output's.
            _silence_stdout()
            return _fail(name, f"standard output: cannot be written: {error.strerror}")
        if error.filename is None:
            raise
        return _fail(name, f"{error.filename}: {error.strerror}")


class _Paragraphs(argparse.HelpFormatter):
    """Fills each paragraph of a description by itself."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n\n".join(super(_Paragraphs, self)._fill_text(part, width, indent) for part in text.split("\n\n"))


def _chosen(arguments: list[str]) -> str | None:
    """The command's name; None without arguments. --help, --version and wrong names exit here."""
    if not arguments:
        return None
    first = arguments[0]
    if first in COMMANDS:
        return first
    parser = _top_parser()
    if first.startswith("-"):
        # This exits: with the help, the version, or an error about an unknown option.
        parser.parse_args(arguments[:1])
    near = difflib.get_close_matches(first, COMMANDS, n=1)
    hint = f"; did you mean {near[0]}?" if near else f"; choose from {', '.join(COMMANDS)}"
    parser.error(f"unknown subcommand {first!r}{hint}")


def _top_parser() -> argparse.ArgumentParser:
    width = max(map(len, COMMANDS)) + 2
    lines = [f"  {name:<{width}}{line}" for name, line in COMMANDS.items()]
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
    # Importing fairseq sets the root logger to INFO, at which matplotlib tells of every font.
    logging.getLogger("matplotlib").setLevel(logging.WARNING)
    module = importlib.import_module(f"fairseq_guided_align.cli.{command.replace('-', '_')}")
    parser = argparse.ArgumentParser(prog=f"{PROG} {command}", formatter_class=_Paragraphs)
    module.add_arguments(parser)
    parser.epilog = dash_help(parser)
    # Files may follow options also where a command takes any number of them.
    args = parser.parse_intermixed_args(arguments)
    check_streams(args)
    code: int = module.run(args)
    return code


def _make_output_say_everything() -> None:
    """Have a character that the output's encoding lacks printed as its number, such as \\u03b1, instead of an error."""
    for stream in (sys.stdout, sys.stderr):
        # A user who chose another way, with PYTHONIOENCODING, keeps it.
        if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
            stream.reconfigure(errors="backslashreplace")


def _fail(name: str, message: str) -> int:
    print(f"{name}: error: {message}", file=sys.stderr)
    return EXIT_ERROR


def _silence_stdout() -> None:
    """Point stdout at nothing, or the interpreter complains about the closed pipe at exit."""
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, ValueError):
        return
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, descriptor)
    os.close(devnull)


if __name__ == "__main__":
    sys.exit(main())
