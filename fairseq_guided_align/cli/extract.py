"""``fairseq-guided-align extract``: links that a trained model sees between given sentences and translations."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, Optional

import numpy as np

from fairseq_guided_align.atomic_files import atomic_file
from fairseq_guided_align.byte_lines import check_no_pipe, decode_line, read_blocks_together
from fairseq_guided_align.cli.options import add_word_split, tell_if_empty, text_to_read, text_to_write
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.pharaoh import format_line
from fairseq_guided_align.progress import line_counter, say
from fairseq_guided_align.subword_settings import SETTINGS, subword_settings
from fairseq_guided_align.subwords import KINDS
from fairseq_guided_align.symmetrise import METHODS as SYMMETRISATIONS

HELP = "write the links that a trained model sees in given text"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.description = (
        "Feeds a model the given translations and writes, for each sentence pair, the links of the attention that "
        "was guided: one line a pair, in the order of the text, SOURCE-TARGET from 0, as words or pieces."
    )
    parser.add_argument("checkpoint", help="checkpoint of fairseq-train")
    parser.add_argument("--data", help="data folder (default: the one that the model was trained on)")
    parser.add_argument(
        "--lang-pair", metavar="SRC-TGT", help="language pair to read, of a model of several pairs, such as de-en"
    )
    text = parser.add_argument_group("text, of a split or of two files")
    text.add_argument("--split", help="split of the data folder (default: test, without --source)")
    text.add_argument(
        "--source", metavar="FILE", type=text_to_read,
        help="source sentences, one a line: as they are before they are cut into pieces "
        "by SentencePiece, otherwise as they were binarised"
    )  # fmt: skip
    text.add_argument("--target", metavar="FILE", type=text_to_read, help="their translations, likewise")
    text.add_argument(
        "--pieces", action="store_true", help="the files hold pieces already, separated by spaces, not words"
    )
    text.add_argument(
        "--source-sentencepiece-model", metavar="FILE", help=f"model of the source (default: as {SETTINGS} says)"
    )
    text.add_argument("--target-sentencepiece-model", metavar="FILE", help="likewise")
    text.add_argument(
        "--subwords",
        choices=KINDS,
        help=f"how pieces make up words (default: as {SETTINGS} in the data folder says; else sentencepiece for a "
        "split, and words for files)",
    )
    add_word_split(text, None, f"only with --level words; default: as {SETTINGS} says, else spaces")
    links = parser.add_argument_group("links")
    links.add_argument(
        "--attention",
        choices=("guided", "last-layer"),
        default="guided",
        help="guided: the heads that were guided, as the checkpoint says; last-layer: all heads of the last layer, "
        "averaged, which is what stock fairseq reads (default: guided)",
    )
    links.add_argument(
        "--level", choices=("words", "pieces"), default="words", help="what the links join (default: words)"
    )
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
    links.add_argument(
        "--output", "-o", metavar="FILE", type=text_to_write, default="-", help="links to write (default: -)"
    )
    other = parser.add_argument_group("a second model, of the opposite direction")
    other.add_argument("--reverse-checkpoint", metavar="FILE", help="its checkpoint")
    other.add_argument("--reverse-data", metavar="DIR", help="its data folder (default: the one it was trained on)")
    other.add_argument(
        "--combine",
        choices=("mean", *SYMMETRISATIONS),
        help="mean: links are read off the mean of both models' probabilities, with --method threshold or "
        "mutual-argmax; others: links are read off each model, and combined so (default: mean)",
    )
    parser.add_argument("--max-tokens", type=int, default=4000, help="tokens in a batch (default: 4000)")
    parser.add_argument("--device", help="where the models run, such as cpu or cuda:0 (default: a GPU if there is one)")


def run(args: argparse.Namespace) -> int:
    """Write the links; 0."""
    _check(args)
    from fairseq_guided_align.extraction import AlignmentModel

    model = AlignmentModel(args.checkpoint, args.data, args.attention, args.device, lang_pair=args.lang_pair)
    reverse = None
    if args.reverse_checkpoint:
        opposite = f"{model.options.target_lang}-{model.options.source_lang}"
        reverse = AlignmentModel(
            args.reverse_checkpoint, args.reverse_data, args.attention, args.device, lang_pair=opposite
        )
    pairs = too_long = 0
    with ExitStack() as stack:
        output = stack.enter_context(atomic_file(args.output))
        bar = stack.enter_context(line_counter("aligning"))
        for line in _lines(args, model, reverse):
            pairs += 1
            too_long += line is None
            output.write(((line or "") + "\n").encode("utf-8"))
            bar.update()
    tell_if_empty(pairs, args.source or f"{model.data}: {args.split or 'test'}")
    if too_long:
        say(f"warning: {too_long} sentence pairs are too long for the model; their lines are empty")
    return 0


def _check(args: argparse.Namespace) -> None:
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
        # Both models read the text.
        check_no_pipe(args.source)
        check_no_pipe(args.target)
    models = args.source_sentencepiece_model or args.target_sentencepiece_model
    if args.source is None and (args.pieces or models):
        raise GuidedAlignError("--pieces and SentencePiece models go with --source and --target")
    if args.word_split and args.level == "pieces":
        raise GuidedAlignError("--word-split goes with --level words")
    if args.reverse_checkpoint is None:
        if args.combine or args.reverse_data:
            raise GuidedAlignError("--combine and --reverse-data go with --reverse-checkpoint")
    elif args.method == "soft":
        raise GuidedAlignError("--method soft shows the probabilities of one model; leave --reverse-checkpoint out")
    elif args.combine in (None, "mean") and args.method == "argmax":
        raise GuidedAlignError(
            "the mean of two models goes with --method threshold or mutual-argmax; give one of them, or --combine"
        )


def _lines(args: argparse.Namespace, model: Any, reverse: Any) -> Iterator[Optional[str]]:
    """A line of output for each sentence pair; None for one that is too long."""
    from fairseq_guided_align.extraction import links_of_both_directions, read_links_off

    matrices = _matrices(args, model, is_reverse=False)
    if reverse is None:
        for matrix in matrices:
            if matrix is None:
                yield None
            elif args.method == "soft":
                yield " ".join(",".join(f"{probability:.6f}" for probability in row) for row in matrix.tolist())
            else:
                yield format_line(read_links_off(matrix, model.guided, args.method, args.threshold))
        return
    if args.source is None:
        split = args.split or "test"
        sizes = len(model.split(split)), len(reverse.split(split))
        if sizes[0] != sizes[1]:
            raise GuidedAlignError(
                f"{split!r} has {sizes[0]} sentence pairs for {args.checkpoint} and {sizes[1]} for "
                f"{args.reverse_checkpoint}; both need the same text"
            )
    guided = model.guided, reverse.guided
    for number, (one, other) in enumerate(zip(matrices, _matrices(args, reverse, is_reverse=True)), start=1):
        if one is None or other is None:
            yield None
            continue
        if one.shape[0] != other.shape[1] - 1 or one.shape[1] - 1 != other.shape[0]:
            raise GuidedAlignError(
                f"sentence pair {number}: expected as many {args.level} for both models; got {one.shape[1] - 1} and "
                f"{other.shape[0]} of the source, {one.shape[0]} and {other.shape[1] - 1} of the target"
            )
        links = links_of_both_directions(one, other, args.method, args.threshold, args.combine or "mean", guided)
        yield format_line(links)


def _matrices(args: argparse.Namespace, model: Any, is_reverse: bool) -> Iterator[Optional[np.ndarray]]:
    """Attention of every pair in the order of the text, at the level asked for."""
    from fairseq_guided_align.text_pieces import text_cutters

    known = args.subwords or subword_settings(model.data).get("subwords")
    if args.source is None:
        pairs = model.align_split(args.split or "test", known or "sentencepiece", args.max_tokens, args.word_split)
    else:
        models, files = (args.source_sentencepiece_model, args.target_sentencepiece_model), (args.source, args.target)
        if is_reverse:
            models, files = models[::-1], files[::-1]
        kind = known or ("sentencepiece" if any(models) else "words")
        langs = (model.options.source_lang, model.options.target_lang)
        cutters = text_cutters(model.data, langs, kind, models, args.pieces, word_split=args.word_split)
        pairs = model.align_text(_sentences(files, cutters), args.max_tokens)
    for pair in pairs:
        if pair is None:
            yield None
        else:
            yield pair.words() if args.level == "words" else pair.attention


def _sentences(files: Any, cutters: Any) -> Iterator[Any]:
    for first_line, blocks in read_blocks_together(files):
        sides = []
        for path, block, cut in zip(files, blocks, cutters):
            lines = [decode_line(line, path, first_line + k) for k, line in enumerate(block.split(b"\n")[:-1])]
            try:
                sides.append(cut(lines))
            except GuidedAlignError as error:
                raise GuidedAlignError(f"{path}: {error}") from error
        yield from zip(*sides)
