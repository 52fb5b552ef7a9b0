"""`fairseq-guided-align align`: word links of a text that has none."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial

import numpy as np

from fairseq_guided_align.cli.argument_types import count, text_to_write
from fairseq_guided_align.cli.options import WORD_SPLIT, add, add_old_name, chosen_chunks, chosen_words, text_of_columns
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.files.atomic import atomic_text
from fairseq_guided_align.files.byte_lines import count_lines, raise_length_error, read_lines
from fairseq_guided_align.files.copies import readable_again
from fairseq_guided_align.files.opening import PathLike, is_pipe
from fairseq_guided_align.files.progress import line_counter, say
from fairseq_guided_align.links.aligner import (
    LONGEST_SENTENCE,
    AlignerInput,
    AlignerSettings,
    align_with_eflomal,
    spaced,
)
from fairseq_guided_align.links.chunked_text import WHOLE, ChunkCounts, Chunking, Outputs, Part
from fairseq_guided_align.links.chunks import align_in_chunks
from fairseq_guided_align.links.link import CorpusLinks
from fairseq_guided_align.links.pharaoh import format_block
from fairseq_guided_align.links.symmetrisation import SYMMETRISATIONS
from fairseq_guided_align.links.words import split_words
from fairseq_guided_align.subwords.aligned_pieces import align_words_and_pieces


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command and add its options."""
    parser.description = (
        "Makes word links of a text with eflomal, an aligner of its own (pip install"
        " 'fairseq-guided-align[aligner]'): in both directions, then symmetrised. Give it all the text there is: it"
        " learns from what it aligns. A text that is too large for one process is aligned in chunks, which share what a"
        " sample of the text teaches."
    )
    add(parser, "--source", "--target", note=", in words")
    add(parser, "--tsv", note=", in place of --source and --target")
    add(parser, "--columns")
    add(parser, "--output", note="links to write, Pharaoh text", type=text_to_write, required=True)
    add(parser, *WORD_SPLIT)
    standard = AlignerSettings()
    add(parser, "--symmetrisation", note=f" (default: {standard.method})", default=standard.method)
    add_old_name(parser, "--method", "--symmetrisation", tuple(SYMMETRISATIONS))
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
    add(parser, "--also-pieces")
    large = parser.add_argument_group("large text, and what was learnt from other text")
    add(large, "--chunk-pairs", note="OUTPUT")
    large.add_argument("--jobs", type=count, metavar="J", help="chunks aligned at the same time (default: 1)")
    add(large, "--sample-pairs", "--priors", "--save-priors")
    large.add_argument(
        "--part",
        metavar="K/N",
        type=_part,
        help="align only the chunks of part K of N, from 1, on a disk that all share; the part that ends last writes"
        " OUTPUT; slurm: as the variables of a SLURM job array say",
    )


def _part(argument: str) -> Part:
    if argument == "slurm":
        numbers = [os.environ.get(f"SLURM_ARRAY_TASK_{name}", "") for name in ("ID", "MIN", "COUNT")]
        if not all(number.isdecimal() for number in numbers):
            raise argparse.ArgumentTypeError("slurm: expected SLURM_ARRAY_TASK_ID, _MIN and _COUNT; is it a job array?")
        task, first, of = map(int, numbers)
        number = task - first + 1
    else:
        parts = argument.split("/")
        if len(parts) != 2 or not all(part.isdecimal() for part in parts):
            raise argparse.ArgumentTypeError(f"expected K/N, such as 3/16, or slurm; got {argument!r}")
        number, of = map(int, parts)
    if not 1 <= number <= of:
        raise argparse.ArgumentTypeError(f"expected a part from 1 to {of}; got {number}")
    return Part(number, of)


def run(args: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    settings = AlignerSettings(args.symmetrisation, args.model, args.samplers, args.length, args.null_prior)
    chunking = chosen_chunks(args)
    if args.chunk_pairs is None:
        given = [name for name in ("jobs", "part") if getattr(args, name) is not None]
        if given:
            raise GuidedAlignError(f"--{given[0]} goes with --chunk-pairs")
    with _text(args) as text:
        if chunking is None:
            return _align(args, settings, *text)
        return _align_in_chunks(args, settings, chunking, *text)


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
    seen = AlignerInput()
    links = with_links = 0
    with atomic_text(args.output) as stream, ExitStack() as stack, line_counter("symmetrise") as bar:
        for chunk in _linked(args, settings, [source_path, target_path], seen, stack):
            stream.write(format_block(chunk))
            links += len(chunk.source)
            with_links += int(np.count_nonzero(np.diff(chunk.offsets)))
            bar.update(len(chunk))
    _tell(args.output, ChunkCounts(seen.sentences, links, with_links, len(seen.too_long)))
    return 0


def _linked(
    args: argparse.Namespace, settings: AlignerSettings, text: list[PathLike], seen: AlignerInput, stack: ExitStack
) -> Iterator[CorpusLinks]:
    copies = (args.forward_output, args.reverse_output)
    if args.also_pieces:
        text = [stack.enter_context(readable_again(path)) for path in text]
    source, target = (partial(_words, path, word_split) for path, word_split in zip(text, chosen_words(args)))
    if args.also_pieces:
        return align_words_and_pieces(source, target, args.also_pieces, settings, seen, *copies)
    return align_with_eflomal(source(), target(), settings, seen, *copies)


def _words(path: PathLike, word_split: str) -> Iterator[str]:
    """The lines, words with single spaces between them."""
    return (spaced(split_words(line, word_split)) for line in read_lines(path))


def _align_in_chunks(
    args: argparse.Namespace,
    settings: AlignerSettings,
    chunking: Chunking,
    source_path: PathLike,
    target_path: PathLike,
) -> int:
    with ExitStack() as stack:
        source, target = (stack.enter_context(readable_again(path)) for path in (source_path, target_path))
        if chunking.priors is not None:
            chunking = replace(chunking, priors=stack.enter_context(readable_again(chunking.priors)))
        pairs = count_lines(source)
        if count_lines(target) != pairs:
            raise_length_error([source, target])
        text = chunking.text(source, target, pairs, chosen_words(args), settings)
        outputs = Outputs(args.output, args.forward_output, args.reverse_output, chunking.save_priors)
        say(f"aligning {pairs} sentence pairs in {text.chunks} chunks")
        counts = align_in_chunks(text, outputs, args.jobs or 1, args.part or WHOLE)
        if counts is not None:
            _tell(args.output, counts)
    return 0


def _tell(output: str, counts: ChunkCounts) -> None:
    if counts.too_long:
        say(f"warning: {counts.too_long} sentence pairs have more than {LONGEST_SENTENCE} words on a side: no links")
    say(f"{output}: {counts.pairs} sentence pairs, {counts.with_links} with links; {counts.links} links")
