"""`fairseq-guided-align plot`: pictures of what trained models attend to in sentences of a split."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairseq_guided_align.cli.argument_types import perhaps_named_file
from fairseq_guided_align.cli.options import MODEL, WORD_SPLIT, add, given_words, refuse_words
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.files.arguments import sentence_numbers
from fairseq_guided_align.files.opening import PathLike
from fairseq_guided_align.links.reading import read_link_file, recognisable

if TYPE_CHECKING:
    from fairseq_guided_align.aligning.extraction import AlignmentModel
    from fairseq_guided_align.aligning.split_reading import ReadSentence
    from fairseq_guided_align.attention.guided_heads import GuidedHeads
    from fairseq_guided_align.links.link import CorpusLinks

MOST_COLUMNS = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command and add its options."""
    parser.description = """\
Draws the attention matrix of sentence pairs of a binarised split: source tokens across, target tokens down, gold
links outlined. Several checkpoints are drawn side by side. Read are the heads that were guided, as the checkpoint
says (for a model without guidance what stock fairseq reads: all heads of the last layer, averaged), or any others."""
    parser.add_argument(
        "checkpoints", metavar="CHECKPOINT", nargs="+", help="checkpoint of fairseq-train, or NAME=CHECKPOINT"
    )
    add(
        parser,
        "--output",
        note="picture to write: .png, .svg or .pdf; with several sentences each has a file of its own, with its number"
        " before the suffix",
        required=True,
    )
    add(parser, *MODEL)
    parser.add_argument("--split", default="test", help="split of the data folder (default: test)")
    parser.add_argument(
        "--sentences",
        metavar="N,N-N",
        default="1",
        help="lines of the split's text, from 1, such as 1,7,20-22 (default: 1)",
    )
    add(parser, "--level", note="what the tokens are")
    add(parser, "--subwords", "--attention")
    add(parser, *WORD_SPLIT, note="only for words; default: as the data folder says")
    parser.add_argument("--layers", metavar="LIST", help="read these decoder layers instead: 0 or --layers=-2,-1")
    parser.add_argument("--heads", metavar="LIST", help="read these heads of the layers, averaged (default: all)")
    parser.add_argument("--each-head", action="store_true", help="a matrix for each layer and head, not their average")
    gold = parser.add_mutually_exclusive_group()
    add(gold, "--gold", note=", one line for each of the split's pairs (default: the links in the data folder)")
    gold.add_argument("--no-gold", action="store_true", help="outline nothing")
    add(parser, "--gold-one-based")
    parser.add_argument("--source-name", help="name of the source axis (default: the language code)")
    parser.add_argument("--target-name", help="name of the target axis (default: the language code)")
    parser.add_argument("--dpi", type=float, default=150, help="dots an inch of a PNG (default: 150)")


def run(args: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    # What needs no model comes first: models take seconds to load.
    numbers = sentence_numbers(args.sentences, "--sentences")
    _check(args)
    gold_path = recognisable(args.gold) if args.gold else ""
    gold = read_link_file(gold_path, args.gold_one_based) if args.gold else None
    models, columns = _models(args)
    # All are read before the first picture is written.
    sentences = list(_sentences(args, models, numbers, gold, gold_path))
    languages = models[0][1].options
    for number, sentence in zip(numbers, sentences):
        path = Path(args.output)
        if len(numbers) > 1:
            path = path.with_name(f"{path.stem}-{number}{path.suffix}")
        _draw(args, path, number, sentence, [name for name, _ in models], columns, languages)
        print(f"wrote {path}")
    return 0


def _check(args: argparse.Namespace) -> None:
    """:raises GuidedAlignError: options out of range, or that do not go together."""
    from fairseq_guided_align.pictures.plots import FORMATS

    if not 10 <= args.dpi <= 2000:
        raise GuidedAlignError(f"--dpi: expected a number in 10..2000; got {args.dpi:g}")
    if Path(args.output).suffix.lower() not in FORMATS:
        raise GuidedAlignError(f"{args.output}: expected a file name that ends in {', '.join(FORMATS)}")
    if args.level == "pieces" and not args.gold:
        refuse_words(args, "--level words, or with --gold")


def _sentences(
    args: argparse.Namespace,
    models: list[tuple[str, AlignmentModel]],
    numbers: list[int],
    gold: CorpusLinks | None,
    gold_path: PathLike,
) -> Iterator[ReadSentence]:
    """The sentences of these numbers, from 1, at the level asked for."""
    from fairseq_guided_align.aligning.split_reading import gold_of_split, read_pairs
    from fairseq_guided_align.subwords.settings import subword_kind

    first = models[0][1]
    kind = None
    if args.level == "words" or args.gold:
        kind = subword_kind(first.data, args.subwords, "--subwords")
    if gold is not None and kind is not None:
        gold = gold_of_split(gold, gold_path, first, args.split, kind, given_words(args))
    for pair in read_pairs(
        models, args.split, [n - 1 for n in numbers], kind, gold, not args.no_gold, given_words(args)
    ):
        sentence = pair.pieces if args.level == "pieces" else pair.words
        assert sentence is not None
        if not sentence.target:
            raise GuidedAlignError(
                f"sentence {pair.number + 1} of {args.split!r}: its target is empty, so there is nothing to draw; name"
                " others with --sentences"
            )
        yield sentence


def _draw(
    args: argparse.Namespace,
    path: Path,
    number: int,
    sentence: ReadSentence,
    names: list[str],
    columns: int,
    languages: Any,
) -> None:
    """Draw a sentence into a file.

    :param names: of the models, one a panel.
    :param columns: the most panels in a row.
    :param languages: options that name the languages.
    """
    from fairseq_guided_align.pictures.fonts import font_warnings_as_lines
    from fairseq_guided_align.pictures.plots import Panel, attention_figure, save_figure

    panels = [
        Panel(reading.attention, _title(name, reading.guided, args.each_head))
        for name, reading in zip(names, sentence.readings)
    ]
    with font_warnings_as_lines():
        figure = attention_figure(
            panels,
            [*sentence.source, "</s>"],
            sentence.target,
            sentence.gold,
            f"{args.split}, sentence {number}",
            args.source_name or languages.source_lang,
            args.target_name or languages.target_lang,
            columns,
        )
    save_figure(figure, path, args.dpi)


def _models(args: argparse.Namespace) -> tuple[list[tuple[str, AlignmentModel]], int]:
    """The models, one a panel, with their names; and the most panels in a row."""
    from fairseq_guided_align.aligning.extraction import AlignmentModel

    models: list[tuple[str, AlignmentModel]] = []
    columns = MOST_COLUMNS
    for argument in args.checkpoints:
        name, path = perhaps_named_file(argument)
        model = AlignmentModel(path, args.data, args.attention, args.device, args.layers, args.heads, args.lang_pair)
        if args.each_head:
            models += [(name, single) for single in model.single_heads()]
            columns = len(model.guided.heads)  # So that each layer has a row.
        else:
            models.append((name, model))
    return models, columns


def _title(name: str, guided: GuidedHeads, each_head: bool) -> str:
    """A panel's title: the model's name, and the heads that were read where they are not all of the guided ones."""
    if name and not each_head:
        return name
    layers, heads = (",".join(map(str, numbers)) for numbers in (guided.layers, guided.heads))
    read = f"layer {layers}, head {heads}" if guided.layers else "attention"
    return "\n".join(filter(None, (name, read)))
