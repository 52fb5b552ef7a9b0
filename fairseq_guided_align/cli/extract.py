"""`fairseq-guided-align extract`: links that a trained model sees between given sentences and translations."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from fairseq_guided_align.cli.options import (
    MODEL,
    SENTENCEPIECE_MODELS,
    WORD_SPLIT,
    add,
    add_old_name,
    given_words,
    refuse_words,
    tell_if_empty,
    text_to_write,
)
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.files.atomic import atomic_text
from fairseq_guided_align.files.opening import check_no_pipe
from fairseq_guided_align.files.progress import line_counter, say
from fairseq_guided_align.links.pharaoh import format_line
from fairseq_guided_align.links.symmetrisation import SYMMETRISATIONS
from fairseq_guided_align.subwords.settings import SETTINGS, subword_settings

if TYPE_CHECKING:
    from fairseq_guided_align.aligning.extraction import AlignmentModel


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Feeds a model the given translations and writes, for each sentence pair, the links of the attention that "
        "was guided: one line a pair, in the order of the text, SOURCE-TARGET from 0, as words or pieces."
    )
    parser.add_argument("checkpoint", help="checkpoint of fairseq-train")
    add(parser, *MODEL)
    parser.add_argument("--max-tokens", type=int, default=4000, help="tokens in a batch (default: 4000)")
    text = parser.add_argument_group("text, of a split or of two files")
    text.add_argument("--split", help="split of the data folder (default: test, without --source)")
    add(
        text,
        "--source",
        "--target",
        note=", one sentence a line: before SentencePiece cuts it, or cut already for other kinds of subwords",
    )
    text.add_argument(
        "--pieces", action="store_true", help="the files hold pieces already, separated by spaces, not words"
    )
    add(text, *SENTENCEPIECE_MODELS, note=f" (default: as {SETTINGS} says)")
    add(
        text,
        "--subwords",
        note=f"default: as {SETTINGS} in the data folder says; else sentencepiece for a split, and words for files",
    )
    note = f"only with --level words; default: as {SETTINGS} says, else spaces"
    add(text, *WORD_SPLIT, note=note)
    links = parser.add_argument_group("links")
    add(links, "--attention")
    add(links, "--level", note="what the links join")
    links.add_argument(
        "--method",
        choices=("argmax", "mutual-argmax", "threshold", "soft"),
        default="argmax",
        help="argmax: each target token's most likely source token; mutual-argmax: only where that source token "
        "has no likelier target token; threshold: every link of at least --threshold, with its probability as "
        "weight; soft: no links, but probabilities: for each target token those of the source tokens and of </s>, "
        "separated by commas (default: argmax)",
    )
    links.add_argument("--threshold", type=float, help="least probability of a link, above 0 and at most 1")
    add(links, "--output", note="links to write (default: -)", type=text_to_write, default="-")
    other = parser.add_argument_group("a second model, of the opposite direction")
    other.add_argument("--reverse-checkpoint", metavar="FILE", help="its checkpoint")
    other.add_argument("--reverse-data", metavar="DIR", help="its data folder (default: the one it was trained on)")
    ways = ("mean", *SYMMETRISATIONS)
    add(
        other,
        "--symmetrisation",
        choices=ways,
        note=": mean: links are read off the mean of both models' probabilities, with --method threshold or"
        " mutual-argmax; others: links are read off each model, then symmetrised (default: mean)",
    )
    add_old_name(other, "--combine", "--symmetrisation", ways)


def run(args: argparse.Namespace) -> int:
    _check(args)
    # Importing torch and fairseq takes seconds.
    from fairseq_guided_align.aligning.extraction import AlignmentModel

    model = AlignmentModel(args.checkpoint, args.data, args.attention, args.device, lang_pair=args.lang_pair)
    if args.reverse_checkpoint:
        opposite = f"{model.options.target_lang}-{model.options.source_lang}"
        reverse = AlignmentModel(
            args.reverse_checkpoint, args.reverse_data, args.attention, args.device, lang_pair=opposite
        )
        lines = _lines_of_both(args, model, reverse)
    else:
        lines = _lines(args, model)
    pairs = too_long = 0
    with atomic_text(args.output) as output, line_counter("aligning") as bar:
        for line in lines:
            pairs += 1
            too_long += line is None
            output.write(((line or "") + "\n").encode("utf-8"))
            bar.update()
    tell_if_empty(pairs, args.source or f"{model.data}: {args.split or 'test'}")
    if too_long:
        say(f"warning: {too_long} sentence pairs are too long for the model; their lines are empty")
    return 0


def _check(args: argparse.Namespace) -> None:
    """:raises GuidedAlignError: options out of range, or that do not go together."""
    if (args.threshold is None) == (args.method == "threshold"):
        raise GuidedAlignError("--threshold goes with --method threshold, and only with it")
    if args.threshold is not None and not 0 < args.threshold <= 1:
        raise GuidedAlignError(f"--threshold: expected a number above 0 and at most 1; got {args.threshold}")
    if args.max_tokens < 1:
        raise GuidedAlignError(f"--max-tokens: expected 1 or more; got {args.max_tokens}")
    if (args.source is None) != (args.target is None):
        raise GuidedAlignError("--source and --target go together: one file for each side")
    if args.source is not None and args.split is not None:
        raise GuidedAlignError("--split is text of the data folder, and --source and --target are other text; give one")
    if args.reverse_checkpoint is not None and args.source is not None:
        # Each of the two models reads the text from its start.
        check_no_pipe(args.source)
        check_no_pipe(args.target)
    models = args.source_sentencepiece_model or args.target_sentencepiece_model
    if args.source is None and (args.pieces or models):
        raise GuidedAlignError("--pieces and SentencePiece models go with --source and --target")
    if args.level == "pieces":
        refuse_words(args, "--level words")
    if args.reverse_checkpoint is None:
        if args.symmetrisation or args.reverse_data:
            raise GuidedAlignError("--symmetrisation and --reverse-data go with --reverse-checkpoint")
    elif args.method == "soft":
        raise GuidedAlignError("--method soft shows the probabilities of one model; leave --reverse-checkpoint out")
    elif args.symmetrisation in (None, "mean") and args.method == "argmax":
        raise GuidedAlignError(
            "the mean of two models goes with --method threshold or mutual-argmax; give one of them, or"
            " --symmetrisation"
        )


def _lines(args: argparse.Namespace, model: AlignmentModel) -> Iterator[str | None]:
    """A line of output for each sentence pair; None for one that is too long."""
    from fairseq_guided_align.aligning.extraction import read_links_off

    for matrix in _matrices(args, model):
        if matrix is None:
            yield None
        elif args.method == "soft":
            yield " ".join(",".join(f"{probability:.6f}" for probability in row) for row in matrix.tolist())
        else:
            yield format_line(read_links_off(matrix, model.guided, args.method, args.threshold))


def _lines_of_both(args: argparse.Namespace, model: AlignmentModel, reverse: AlignmentModel) -> Iterator[str | None]:
    """As :func:`_lines`, from a model and one of the opposite direction."""
    from fairseq_guided_align.aligning.extraction import links_of_both_directions

    if args.source is None:
        split = args.split or "test"
        sizes = model.split_size(split), reverse.split_size(split)
        if sizes[0] != sizes[1]:
            raise GuidedAlignError(
                f"{split!r} has {sizes[0]} sentence pairs for {args.checkpoint} and {sizes[1]} for "
                f"{args.reverse_checkpoint}; both need the same text"
            )
    how = (args.method, args.threshold, args.symmetrisation or "mean", (model.guided, reverse.guided))
    both = zip(_matrices(args, model), _matrices(args, reverse, is_reverse=True))
    for number, (one, other) in enumerate(both, start=1):
        if one is None or other is None:
            yield None
            continue
        if one.shape[0] != other.shape[1] - 1 or one.shape[1] - 1 != other.shape[0]:
            raise GuidedAlignError(
                f"sentence pair {number}: expected as many {args.level} for both models; got {one.shape[1] - 1} and "
                f"{other.shape[0]} of the source, {one.shape[0]} and {other.shape[1] - 1} of the target"
            )
        yield format_line(links_of_both_directions(one, other, *how))


def _matrices(args: argparse.Namespace, model: AlignmentModel, is_reverse: bool = False) -> Iterable[np.ndarray | None]:
    """Attention of every pair in the order of the text, at the level asked for."""
    from fairseq_guided_align.aligning.text_files import align_files

    words = given_words(args)[::-1] if is_reverse else given_words(args)
    if args.source is None:
        kind = args.subwords or subword_settings(model.data).get("subwords") or "sentencepiece"
        pairs = model.align_split(args.split or "test", kind, args.max_tokens, words)
    else:
        models, files = (args.source_sentencepiece_model, args.target_sentencepiece_model), (args.source, args.target)
        if is_reverse:
            models, files = models[::-1], files[::-1]
        pairs = align_files(model, files, args.subwords, models, args.pieces, words, args.max_tokens)
    for pair in pairs:
        if pair is None:
            yield None
        else:
            yield pair.words() if args.level == "words" else pair.attention
