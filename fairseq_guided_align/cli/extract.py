"""`fairseq-guided-align extract`: links that a trained model sees between given sentences and translations."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from fairseq_guided_align.aligning.link_models import (
    ONE_DIRECTION,
    TWO_DIRECTIONS,
    LinkReader,
    file_of_readers,
    keep_reader,
    kept_reader,
)
from fairseq_guided_align.cli.argument_types import text_to_read, text_to_write
from fairseq_guided_align.cli.options import (
    MODEL,
    SENTENCEPIECE_MODELS,
    WORD_SPLIT,
    add,
    add_old_name,
    given_words,
    refuse_words,
)
from fairseq_guided_align.cli.told_counts import tell_if_empty
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.files.atomic import STANDARD_OUTPUT
from fairseq_guided_align.files.opening import check_no_pipe
from fairseq_guided_align.files.processes import Process, this_process
from fairseq_guided_align.files.progress import line_counter, say
from fairseq_guided_align.files.shares import check_can_be_joined, check_can_be_shared, share_of, share_of_files
from fairseq_guided_align.links.pharaoh import format_line
from fairseq_guided_align.links.reading import read_link_file, recognisable
from fairseq_guided_align.links.symmetrisation import SYMMETRISATIONS
from fairseq_guided_align.scores.metrics import AlignmentCounts
from fairseq_guided_align.scores.tables import as_table
from fairseq_guided_align.subwords.settings import SETTINGS_FILE, subword_settings

if TYPE_CHECKING:
    from fairseq_guided_align.aligning.extraction import AlignmentModel
    from fairseq_guided_align.aligning.link_models import Matrices
    from fairseq_guided_align.aligning.process_group import ProcessGroup

HEADS = ["links are read", "links", "precision", "recall", "AER"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command and add its options."""
    parser.description = (
        "Feeds a model the given translations and writes, for each sentence pair, the links of the attention that "
        "was guided: one line a pair, in the order of the text, SOURCE-TARGET from 0, as words or pieces.\n\n"
        "Several processes of torchrun or srun share the lines, and write one file."
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
    add(text, *SENTENCEPIECE_MODELS, note=f" (default: as {SETTINGS_FILE} says)")
    add(
        text,
        "--subwords",
        note=f"default: as {SETTINGS_FILE} in the data folder says; else sentencepiece for a split, and words for"
        " files",
    )
    note = f"only with --level words; default: as {SETTINGS_FILE} says, else spaces"
    add(text, *WORD_SPLIT, note=note)
    links = parser.add_argument_group("links")
    add(links, "--attention")
    add(links, "--level", note="what the links join")
    links.add_argument(
        "--method",
        choices=("tuned", "argmax", "mutual-argmax", "threshold", "soft"),
        help="tuned: as --tune has learnt for this checkpoint, with probabilities as weights; argmax: each target "
        "token's most likely source token; mutual-argmax: only where that source token has no likelier target token; "
        "threshold: every link of at least --threshold, with its probability as weight; soft: no links, but "
        "probabilities: for each target token those of the source tokens and of </s>, separated by commas "
        "(default: tuned where --tune was run, else argmax)",
    )
    links.add_argument("--threshold", type=float, help="least probability of a link, above 0 and at most 1")
    links.add_argument(
        "--tune",
        metavar="FILE",
        type=text_to_read,
        help="instead of writing links, learn from these links of the text (best: validation text) how to read them "
        "off the attention, for --method tuned. What is learnt is kept in a file beside the checkpoint, for words and "
        "pieces, one model and two",
    )
    add(links, "--gold-one-based", help="positions in the links of --tune count from 1")
    add(links, "--output", note="links to write (default: -)", type=text_to_write, default="-")
    other = parser.add_argument_group("a second model, of the opposite direction")
    other.add_argument("--reverse-checkpoint", metavar="FILE", help="its checkpoint")
    other.add_argument("--reverse-data", metavar="DIR", help="its data folder (default: the one it was trained on)")
    ways = ("mean", *SYMMETRISATIONS)
    add(
        other,
        "--symmetrisation",
        choices=ways,
        note=". Links are read off each model first. mean: links are read off the mean of both models' probabilities"
        " instead, with --method threshold or mutual-argmax (default: mean)",
    )
    add_old_name(other, "--combine", "--symmetrisation", ways)


def run(args: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    process = this_process()
    _check(args, process)
    reader = None if args.tune else _kept_reader(args, process)
    # Importing torch and fairseq takes seconds.
    from fairseq_guided_align.aligning.process_group import ProcessGroup

    with ProcessGroup(process, args.output) as group:
        return _extract(args, group, reader)


def _extract(args: argparse.Namespace, group: ProcessGroup, reader: LinkReader | None) -> int:
    """Align the share of this process; returns the exit code."""
    from fairseq_guided_align.aligning.extraction import AlignmentModel
    from fairseq_guided_align.aligning.process_group import device_of

    process = group.process
    device = device_of(process, args.device)
    model = AlignmentModel(args.checkpoint, args.data, args.attention, device, lang_pair=args.lang_pair)
    reverse = None
    if args.reverse_checkpoint:
        opposite = f"{model.options.target_lang}-{model.options.source_lang}"
        reverse = AlignmentModel(args.reverse_checkpoint, args.reverse_data, args.attention, device, lang_pair=opposite)
    sets = _sets_of_matrices(args, model, reverse, _share(args, model, process))
    if args.tune:
        return _tune(args, model, sets)
    to_line = _to_line(args, model, reverse, reader)
    pairs = too_long = 0
    with group.outputs([args.output]) as (output,), line_counter("aligning", is_shown=process.is_first) as bar:
        assert output is not None
        for matrices in sets:
            pairs += 1
            too_long += matrices is None
            output.write(("" if matrices is None else to_line(matrices)).encode("ascii") + b"\n")
            bar.update()
    pairs, too_long = (sum(counts) for counts in zip(*group.gathered((pairs, too_long))))
    if process.is_first:
        tell_if_empty(pairs, args.source or f"{model.data}: {args.split or 'test'}")
        if too_long:
            say(f"warning: {too_long} sentence pairs are too long for the model; their lines are empty")
    return 0


def _share(args: argparse.Namespace, model: AlignmentModel, process: Process) -> range | None:
    """Positions in the text of the pairs that this process aligns; None: all."""
    from fairseq_guided_align.aligning.extraction import PAIRS_SORTED_TOGETHER

    if args.source is not None:
        return share_of_files([args.source, args.target], process, PAIRS_SORTED_TOGETHER)
    return (
        None if process.is_alone else share_of(model.split_size(args.split or "test"), process, PAIRS_SORTED_TOGETHER)
    )


def _check(args: argparse.Namespace, process: Process) -> None:
    """:raises GuidedAlignError: options out of range, or that do not go together."""
    if args.tune:
        _check_tune(args, process)
    elif args.gold_one_based:
        raise GuidedAlignError("--gold-one-based says how the links of --tune count; give both, or leave it out")
    check_can_be_joined(args.output, "--output", process)
    for path in (args.source, args.target):
        if path is not None:
            check_can_be_shared(path, process)
    _check_threshold(args)
    if args.max_tokens < 1:
        raise GuidedAlignError(f"--max-tokens: expected 1 or more; got {args.max_tokens}")
    _check_text(args)
    if args.level == "pieces":
        refuse_words(args, "--level words")
    _check_directions(args)


def _check_tune(args: argparse.Namespace, process: Process) -> None:
    if args.method or args.threshold or args.symmetrisation not in (None, "mean"):
        raise GuidedAlignError("--tune learns how links are read; leave --method, --threshold and --symmetrisation out")
    if not process.is_alone:
        raise GuidedAlignError("--tune learns in one process; run it without torchrun, or as one task of SLURM")
    if args.output != STANDARD_OUTPUT:
        raise GuidedAlignError("--tune writes no links; leave --output out, and run extract once more to get them")


def _check_threshold(args: argparse.Namespace) -> None:
    if args.method == "threshold" and args.threshold is None:
        raise GuidedAlignError("--method threshold needs --threshold")
    if args.threshold is not None and args.method not in ("threshold", "tuned"):
        raise GuidedAlignError("--threshold goes with --method threshold or tuned")
    if args.threshold is not None and not 0 < args.threshold <= 1:
        raise GuidedAlignError(f"--threshold: expected a number above 0 and at most 1; got {args.threshold}")


def _check_text(args: argparse.Namespace) -> None:
    """The text is a split, or files of both sides."""
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


def _check_directions(args: argparse.Namespace) -> None:
    """How the links of two models become one set."""
    if args.reverse_checkpoint is None:
        if args.symmetrisation or args.reverse_data:
            raise GuidedAlignError("--symmetrisation and --reverse-data go with --reverse-checkpoint")
    elif args.method == "soft":
        raise GuidedAlignError("--method soft shows the probabilities of one model; leave --reverse-checkpoint out")
    elif args.symmetrisation in (None, "mean") and args.method == "argmax":
        raise GuidedAlignError(
            "the mean of two models goes with --method tuned, threshold or mutual-argmax; give one of them, or"
            " --symmetrisation"
        )
    elif args.symmetrisation not in (None, "mean") and args.method == "tuned":
        raise GuidedAlignError("--method tuned reads both models at once; leave --symmetrisation out")


def _use(args: argparse.Namespace) -> str:
    """What ``--tune`` learns for, as the file beside the checkpoint names it."""
    use = f"{args.level}, {TWO_DIRECTIONS if args.reverse_checkpoint else ONE_DIRECTION}"
    return use if args.attention == "guided" else f"{use}, {args.attention}"


def _kept_reader(args: argparse.Namespace, process: Process) -> LinkReader | None:
    """What ``--tune`` has learnt, where links are to be read so.

    :raises GuidedAlignError: nothing was learnt, and there is no other way.
    """
    is_mean = args.symmetrisation in (None, "mean")
    if args.method not in (None, "tuned") or not is_mean:
        return None
    reader = kept_reader(args.checkpoint, _use(args))
    path = file_of_readers(args.checkpoint)
    if reader is not None:
        reader = reader if args.threshold is None else replace(reader, threshold=args.threshold)
        if process.is_first:
            say(f"links are read as {path} says, with probabilities of at least {reader.threshold:.3f}")
    elif args.method:
        raise GuidedAlignError(f"--method tuned: nothing is known of {_use(args)} in {path}; run --tune first")
    elif args.reverse_checkpoint:
        raise GuidedAlignError(
            "two models need a way to read links off the mean of their attention: learn one with --tune (best), or "
            "give --method threshold or mutual-argmax, or --symmetrisation"
        )
    return reader


def _to_line(
    args: argparse.Namespace, model: AlignmentModel, reverse: AlignmentModel | None, reader: LinkReader | None
) -> Callable[[Matrices], str]:
    """What makes a line of output of a sentence pair's attention."""
    from fairseq_guided_align.attention.link_methods import links_of_both_directions, read_links_off

    if reader is not None:
        return lambda matrices: format_line(reader.links(matrices))
    method = args.method or "argmax"
    if method == "soft":
        return lambda matrices: " ".join(",".join(f"{one:.6f}" for one in row) for row in matrices[0].tolist())
    if reverse is None:
        return lambda matrices: format_line(read_links_off(matrices[0], model.guided, method, args.threshold))
    how = method, args.threshold, args.symmetrisation or "mean", (model.guided, reverse.guided)
    return lambda matrices: format_line(links_of_both_directions(matrices[0], matrices[1], *how))


def _tune(args: argparse.Namespace, model: AlignmentModel, sets: Iterable[Matrices | None]) -> int:
    """Learn to read links, show what that gains, and keep it beside the checkpoint."""
    from fairseq_guided_align.aligning.tuning import compared, linked_attention

    path_of_gold = recognisable(args.tune)
    gold = read_link_file(path_of_gold, args.gold_one_based)
    with line_counter("aligning") as bar:
        pairs, left_out = linked_attention(sets, gold, path_of_gold, bar.update)
    print(as_table([HEADS, *map(_row, compared(pairs, model.guided))]))
    reader = LinkReader.fitted(pairs)
    path = keep_reader(args.checkpoint, _use(args), reader)
    say(f"{path}: extract reads links so from now on ({_use(args)}; learnt from {len(pairs)} sentence pairs)")
    if any(left_out.values()):
        say("sentence pairs left out: " + ", ".join(f"{count} {why}" for why, count in left_out.items() if count))
    return 0


def _row(compared: tuple[str, AlignmentCounts]) -> list[str]:
    name, counts = compared
    return [
        name,
        str(counts.predicted),
        *(f"{100 * score:.2f}" for score in (counts.precision, counts.recall, counts.aer)),
    ]


def _sets_of_matrices(
    args: argparse.Namespace, model: AlignmentModel, reverse: AlignmentModel | None, lines: range | None
) -> Iterator[Matrices | None]:
    """Attention of the wanted pairs in the order of the text, of one model or both; None for a pair that is too long.

    :param lines: positions of the wanted pairs in the text; None: all.
    """
    if reverse is None:
        yield from ((one,) if one is not None else None for one in _matrices(args, model, lines))
        return
    if args.source is None:
        split = args.split or "test"
        sizes = model.split_size(split), reverse.split_size(split)
        if sizes[0] != sizes[1]:
            raise GuidedAlignError(
                f"{split!r} has {sizes[0]} sentence pairs for {args.checkpoint} and {sizes[1]} for "
                f"{args.reverse_checkpoint}; both need the same text"
            )
    both = zip(_matrices(args, model, lines), _matrices(args, reverse, lines, is_reverse=True))
    for number, (one, other) in enumerate(both, start=1 if lines is None else lines.start + 1):
        if one is None or other is None:
            yield None
            continue
        if one.shape[0] != other.shape[1] - 1 or one.shape[1] - 1 != other.shape[0]:
            raise GuidedAlignError(
                f"sentence pair {number}: expected as many {args.level} for both models; got {one.shape[1] - 1} and "
                f"{other.shape[0]} of the source, {one.shape[0]} and {other.shape[1] - 1} of the target"
            )
        yield one, other


def _matrices(
    args: argparse.Namespace, model: AlignmentModel, lines: range | None, is_reverse: bool = False
) -> Iterable[np.ndarray | None]:
    """Attention of the wanted pairs in the order of the text, at the level asked for."""
    from fairseq_guided_align.aligning.text_files import align_files

    words = given_words(args)[::-1] if is_reverse else given_words(args)
    if args.source is None:
        kind = args.subwords or subword_settings(model.data).get("subwords") or "sentencepiece"
        pairs = model.align_split(args.split or "test", kind, args.max_tokens, words, lines)
    else:
        models, files = (args.source_sentencepiece_model, args.target_sentencepiece_model), (args.source, args.target)
        if is_reverse:
            models, files = models[::-1], files[::-1]
        pairs = align_files(model, files, args.subwords, models, args.pieces, words, args.max_tokens, lines)
    for pair in pairs:
        if pair is None:
            yield None
        else:
            yield pair.words() if args.level == "words" else pair.attention
