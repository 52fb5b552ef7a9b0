"""`fairseq-guided-align align`: word links of a text that has none."""

from __future__ import annotations

import argparse

from fairseq_guided_align.cli.options import add_word_split, text_to_read, text_to_write
from fairseq_guided_align.files.atomic import atomic_file
from fairseq_guided_align.files.byte_lines import count_lines, is_pipe, raise_length_error, read_lines
from fairseq_guided_align.files.progress import line_counter, say
from fairseq_guided_align.links.aligner import LONGEST_SENTENCE, AlignerInput, AlignerSettings, align_with_eflomal
from fairseq_guided_align.links.pharaoh import format_block
from fairseq_guided_align.links.symmetrisation import SYMMETRISATIONS
from fairseq_guided_align.links.words import split_words

HELP = "make word links with eflomal, in both directions, symmetrised"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.description = (
        "Makes word links of a text with eflomal, an aligner of its own (pip install"
        " 'fairseq-guided-align[aligner]'): in both directions, then symmetrised. Give it all the text there is: it"
        " learns from what it aligns."
    )
    parser.add_argument("--source", metavar="FILE", type=text_to_read, required=True, help="source text, in words")
    parser.add_argument("--target", metavar="FILE", type=text_to_read, required=True, help="target text, as many lines")
    parser.add_argument(
        "--output", "-o", metavar="FILE", type=text_to_write, required=True, help="links to write, Pharaoh text"
    )
    add_word_split(parser)
    standard = AlignerSettings()
    parser.add_argument(
        "--method",
        choices=SYMMETRISATIONS,
        default=standard.method,
        help=f"how the two directions become one (default: {standard.method})",
    )
    parser.add_argument(
        "--model",
        type=int,
        choices=(1, 2, 3),
        default=standard.model,
        help="IBM 1, HMM, or HMM with fertility (default: 3)",
    )
    parser.add_argument(
        "--samplers", type=int, default=standard.samplers, metavar="N", help="independent samplers (default: 3)"
    )
    parser.add_argument(
        "--length",
        type=float,
        default=standard.relative_iterations,
        metavar="X",
        help="iterations, relative to what eflomal chooses (default: 1)",
    )
    parser.add_argument(
        "--null-prior",
        type=float,
        default=standard.null_prior,
        metavar="P",
        help="prior probability of a word without a link (default: 0.2)",
    )
    for direction in ("forward", "reverse"):
        parser.add_argument(
            f"--{direction}-output",
            metavar="FILE",
            type=text_to_write,
            help=f"also write eflomal's {direction} links here",
        )


def run(args: argparse.Namespace) -> int:
    """Carry the command out; returns its exit code."""
    settings = AlignerSettings(args.method, args.model, args.samplers, args.length, args.null_prior)
    # Before the aligner has worked for hours; of a pipe it is seen when eflomal has been given the text.
    lines = [count_lines(path) for path in (args.source, args.target) if not is_pipe(path)]
    if len(set(lines)) > 1:
        raise_length_error([args.source, args.target])
    say(f"aligning {lines[0] if lines else 'the'} sentence pairs; eflomal says nothing until it is done")
    seen = AlignerInput()
    links = with_links = 0
    with atomic_file(args.output) as stream, line_counter("symmetrise") as bar:
        for chunk in align_with_eflomal(
            (" ".join(split_words(line, args.word_split)) for line in read_lines(args.source)),
            (" ".join(split_words(line, args.word_split)) for line in read_lines(args.target)),
            settings,
            seen,
            args.forward_output,
            args.reverse_output,
        ):
            stream.write(format_block(chunk))
            links += len(chunk.source)
            with_links += sum(1 for count in (chunk.offsets[1:] - chunk.offsets[:-1]).tolist() if count)
            bar.update(len(chunk))
    if seen.too_long:
        say(f"warning: {len(seen.too_long)} sentence pairs have more than {LONGEST_SENTENCE} words on a side: no links")
    say(f"{args.output}: {seen.sentences} sentence pairs, {with_links} with links; {links} links")
    return 0
