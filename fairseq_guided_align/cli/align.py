"""`fairseq-guided-align align`: word links of a text that has none."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from fairseq_guided_align.cli.options import add, add_old_name, text_of_columns, text_to_write
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.files.atomic import atomic_text
from fairseq_guided_align.files.byte_lines import count_lines, raise_length_error, read_lines
from fairseq_guided_align.files.opening import PathLike, is_pipe
from fairseq_guided_align.files.progress import line_counter, say
from fairseq_guided_align.links.aligner import LONGEST_SENTENCE, AlignerInput, AlignerSettings, align_with_eflomal
from fairseq_guided_align.links.pharaoh import format_block
from fairseq_guided_align.links.symmetrisation import SYMMETRISATIONS
from fairseq_guided_align.links.words import split_words


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command and add its options."""
    parser.description = (
        "Makes word links of a text with eflomal, an aligner of its own (pip install"
        " 'fairseq-guided-align[aligner]'): in both directions, then symmetrised. Give it all the text there is: it"
        " learns from what it aligns."
    )
    add(parser, "--source", "--target", note=", in words")
    add(parser, "--tsv", note=", in place of --source and --target")
    add(parser, "--columns")
    add(parser, "--output", note="links to write, Pharaoh text", type=text_to_write, required=True)
    add(parser, "--word-split")
    standard = AlignerSettings()
    add(parser, "--symmetrisation", note=f" (default: {standard.method})", default=standard.method)
    add_old_name(parser, "--method", "--symmetrisation", SYMMETRISATIONS)
    parser.add_argument(
        "--model",
        type=int,
        choices=(1, 2, 3),
        default=standard.model,
        help=f"IBM 1, HMM, or HMM with fertility (default: {standard.model})",
    )
    for option, kind, metavar, default, what in (
        ("--samplers", int, "N", standard.samplers, "independent samplers"),
        ("--length", float, "X", standard.relative_iterations, "iterations, relative to what eflomal chooses"),
        ("--null-prior", float, "P", standard.null_prior, "prior probability of a word without a link"),
    ):
        parser.add_argument(option, type=kind, metavar=metavar, default=default, help=f"{what} (default: {default:g})")
    for direction in ("forward", "reverse"):
        parser.add_argument(
            f"--{direction}-output",
            metavar="FILE",
            type=text_to_write,
            help=f"also write eflomal's {direction} links here",
        )


def run(args: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    settings = AlignerSettings(args.symmetrisation, args.model, args.samplers, args.length, args.null_prior)
    with _text(args) as (source, target):
        return _align(args, settings, source, target)


@contextmanager
def _text(args: argparse.Namespace) -> Iterator[tuple[PathLike, PathLike]]:
    """Source and target."""
    if args.tsv is None:
        if args.source is None or args.target is None or args.columns:
            raise GuidedAlignError("expected --source and --target, or --tsv, perhaps with --columns")
        yield args.source, args.target
        return
    if args.source is not None or args.target is not None:
        raise GuidedAlignError("--tsv: holds source and target; leave --source and --target out")
    with text_of_columns(args.tsv, args.columns, links=False) as (source, target):
        yield source, target


def _align(args: argparse.Namespace, settings: AlignerSettings, source_path: PathLike, target_path: PathLike) -> int:
    # Before the aligner works for hours. The lines of a pipe are counted as eflomal is given the text.
    lines = [count_lines(path) for path in (source_path, target_path) if not is_pipe(path)]
    if len(set(lines)) > 1:
        raise_length_error([source_path, target_path])
    say(f"aligning {lines[0] if lines else 'the'} sentence pairs; eflomal says nothing until it is done")
    source, target = (
        (" ".join(split_words(line, args.word_split)) for line in read_lines(path))
        for path in (source_path, target_path)
    )
    seen = AlignerInput()
    links = with_links = 0
    with atomic_text(args.output) as stream, line_counter("symmetrise") as bar:
        for chunk in align_with_eflomal(source, target, settings, seen, args.forward_output, args.reverse_output):
            stream.write(format_block(chunk))
            links += len(chunk.source)
            with_links += int(np.count_nonzero(np.diff(chunk.offsets)))
            bar.update(len(chunk))
    if seen.too_long:
        say(f"warning: {len(seen.too_long)} sentence pairs have more than {LONGEST_SENTENCE} words on a side: no links")
    say(f"{args.output}: {seen.sentences} sentence pairs, {with_links} with links; {links} links")
    return 0
