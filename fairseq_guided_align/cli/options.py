"""Options that several subcommands share, and what they tell in the same words."""

from __future__ import annotations

import argparse
import re
from typing import Any, Optional

from fairseq_guided_align.atomic_files import STANDARD_OUTPUT
from fairseq_guided_align.byte_lines import STANDARD_INPUT, PathLike
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.link_counts import LinkCounts
from fairseq_guided_align.progress import say
from fairseq_guided_align.subwords import POLICIES
from fairseq_guided_align.words import DEFAULT_SPLIT, WORD_SPLITS

Options = Any
"""A parser or one of its groups of options."""


def text_to_read(argument: str) -> str:
    """A file of text that a command reads: ``-`` is standard input."""
    return STANDARD_INPUT if argument == "-" else argument


def named_text_to_read(argument: str) -> str:
    """``NAME=FILE``, or ``FILE`` where the command takes it, likewise."""
    name, equals, path = argument.rpartition("=")
    return name + equals + text_to_read(path)


def texts_to_read(argument: str) -> str:
    """Files with commas between them, likewise."""
    return ",".join(map(text_to_read, argument.split(",")))


def text_to_write(argument: str) -> str:
    """A file of text that a command writes: ``-`` is standard output."""
    return STANDARD_OUTPUT if argument == "-" else argument


def checkpoint_to_write(argument: str) -> str:
    """A checkpoint that a command makes, which no stream can be."""
    if argument == "-":
        raise argparse.ArgumentTypeError("expected a file; - is standard output (./- is a file of that name)")
    return argument


def folder_to_write(argument: str) -> str:
    """A folder that a command makes, which no stream can be."""
    if argument == "-":
        raise argparse.ArgumentTypeError("expected a folder; - is standard output (./- is a folder of that name)")
    return argument


TEXT_TYPES = (text_to_read, named_text_to_read, texts_to_read, text_to_write)


def dash_help(parser: argparse.ArgumentParser) -> Optional[str]:
    """What a command's help says of ``-``; None where it reads and writes no file of text."""
    takes_text = any(action.type in TEXT_TYPES for action in parser._actions)
    return "- as a file of text is standard input or output." if takes_text else None


def check_streams(args: argparse.Namespace) -> None:
    """:raises GuidedAlignError: standard input or output is to be more than one file."""
    values = [value for some in vars(args).values() for value in (some if isinstance(some, list) else [some])]
    named = [path for value in values if isinstance(value, str) for path in re.split("[=,]", value)]
    for path, stream in ((STANDARD_INPUT, "standard input"), (STANDARD_OUTPUT, "standard output")):
        if named.count(path) > 1:
            raise GuidedAlignError(
                f"expected {stream} in place of one file; got - {named.count(path)} times: name a file for the others"
            )


def add_workers(options: Options) -> None:
    """How many processes share the work."""
    options.add_argument("--workers", type=int, default=1, metavar="N", help="processes (default: 1)")


def add_policy(options: Options, default: Optional[str] = "all", note: str = "default: all") -> None:
    """Which pieces of two linked words are linked.

    :param note: what the help says in brackets.
    """
    options.add_argument(
        "--policy",
        choices=POLICIES,
        default=default,
        help=f"link all pairs of pieces of two linked words, or only their first pieces ({note})",
    )


def add_link_reading(options: Options) -> None:
    """How links are read, and how many may be outside their sentences."""
    options.add_argument("--one-based", action="store_true", help="positions in the links count from 1")
    options.add_argument("--inverted", action="store_true", help="the links are TARGET-SOURCE")
    options.add_argument(
        "--max-dropped",
        type=_share,
        default=0.1,
        metavar="SHARE",
        help="share of the links that may point outside their sentences before it is an error (default: 0.1)",
    )


def add_word_split(options: Options, default: Optional[str] = DEFAULT_SPLIT, note: str = "") -> None:
    """What separates the words that links count.

    :param default: None: the command finds it out.
    :param note: what the help says of the default in brackets, where it is not ``default``.
    """
    options.add_argument(
        "--word-split",
        choices=WORD_SPLITS,
        default=default,
        help="what separates words: spaces: ASCII white space alone, so that a no-break space is part of a word;"
        " whitespace: any white space, as Python's str.split has it, and eflomal's command, simalign and awesome-align"
        f" with it ({note or f'default: {default}'})",
    )


def add_on_mismatch(options: Options) -> None:
    """What becomes of a pair whose words and pieces spell different text."""
    options.add_argument(
        "--on-mismatch",
        choices=("error", "drop-links"),
        default="error",
        help="where words and pieces of a pair spell different text: stop, or leave the pair without links and count it"
        " (default: error)",
    )


def add_sampling(options: Options, score: str) -> None:
    """Whether and how scores are resampled.

    :param score: what gets an interval, as the help says it.
    """
    options.add_argument("--confidence", action="store_true", help=f"add a bootstrap interval to every {score}")
    options.add_argument("--level", type=float, metavar="P", help="confidence level of intervals (default: 0.95)")
    options.add_argument("--samples", type=int, metavar="N", help="bootstrap resamples (default: 1000)")
    options.add_argument("--seed", type=int, metavar="N", help="of the resampling (default: 12345)")


def chosen_sampling(args: argparse.Namespace) -> dict[str, Any]:
    """How is resampled; what was not given gets its default.

    :param args: with the options of :func:`add_sampling`, and ``systems``: what is scored.
    :raises GuidedAlignError: something was given, and nothing is resampled.
    """
    defaults = {"level": 0.95, "samples": 1000, "seed": 12345}
    given = [f"--{name}" for name in defaults if getattr(args, name) is not None]
    if given and not args.confidence and len(args.systems) == 1:
        raise GuidedAlignError(f"{' and '.join(given)}: of resampling, which --confidence or a second system asks for")
    for name, default in defaults.items():
        if getattr(args, name) is None:
            setattr(args, name, default)
    return {name: getattr(args, name) for name in defaults}


def tell_counts(counts: LinkCounts, path: PathLike, name: str, one_based: bool) -> None:
    """Warnings and a summary of what was read, on standard error.

    :param name: what the summary begins with.
    """
    for warning in counts.warnings(path, one_based):
        say(f"warning: {warning}")
    say(counts.summary(name))


def _share(text: str) -> float:
    share = float(text)
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 1; got {text}")
    return share
