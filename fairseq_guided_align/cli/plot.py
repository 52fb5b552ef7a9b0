"""`fairseq-guided-align plot`: pictures of what trained models attend to in sentences of a split."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Optional

from fairseq_guided_align.cli.options import add_word_split, text_to_read
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.subwords import KINDS

HELP = "draw attention matrices of sentences, of one or several checkpoints"

DESCRIPTION = """\
Draws the attention matrix of sentence pairs of a binarised split: source tokens across, target tokens down, gold
links outlined. Several checkpoints are drawn side by side. Read are the heads that were guided, as the checkpoint
says (for a model without guidance what stock fairseq reads: all heads of the last layer, averaged), or any others."""

MOST_COLUMNS = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.description = DESCRIPTION
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "checkpoints", metavar="CHECKPOINT", nargs="+", help="checkpoint of fairseq-train, or NAME=CHECKPOINT"
    )
    parser.add_argument(
        "--out", "-o", metavar="FILE", required=True, help="picture to write: .png, .svg or .pdf; with several"
        " sentences each has a file of its own, with its number before the suffix",
    )  # fmt: skip
    parser.add_argument("--data", help="data folder (default: the one that each model was trained on)")
    parser.add_argument("--lang-pair", metavar="SRC-TGT", help="language pair to read, of models of several pairs")
    parser.add_argument("--split", default="test", help="split of the data folder (default: test)")
    parser.add_argument(
        "--sentences", metavar="N,N-N", default="1", help="lines of the split's text, from 1, such as 1,7,20-22"
        " (default: 1)",
    )  # fmt: skip
    parser.add_argument(
        "--level", choices=("words", "pieces"), default="words", help="what the tokens are (default: words)"
    )
    parser.add_argument(
        "--subwords", choices=KINDS, help="how pieces make up words (default: as guided_alignment.json in the data"
        " folder says)",
    )  # fmt: skip
    add_word_split(parser, None, "only for words; default: as the data folder says")
    parser.add_argument(
        "--attention",
        choices=("guided", "last-layer"),
        default="guided",
        help="guided: the heads that were guided; last-layer: what stock fairseq reads (default: guided)",
    )
    parser.add_argument("--layers", metavar="LIST", help="read these decoder layers instead: 0 or --layers=-2,-1")
    parser.add_argument("--heads", metavar="LIST", help="read these heads of the layers, averaged (default: all)")
    parser.add_argument("--each-head", action="store_true", help="a matrix for each layer and head, not their average")
    gold = parser.add_mutually_exclusive_group()
    gold.add_argument(
        "--gold", metavar="FILE", type=text_to_read, help="links between words to outline, one line for each of the"
        " split's (default: the links in the data folder)",
    )  # fmt: skip
    gold.add_argument("--no-gold", action="store_true", help="outline nothing")
    parser.add_argument("--gold-one-based", action="store_true", help="positions in GOLD count from 1")
    parser.add_argument("--source-name", help="name of the source axis (default: the language code)")
    parser.add_argument("--target-name", help="name of the target axis (default: the language code)")
    parser.add_argument("--dpi", type=float, default=150, help="dots an inch of a PNG (default: 150)")
    parser.add_argument("--device", help="where the models run, such as cpu or cuda:0 (default: a GPU if there is one)")


def run(args: argparse.Namespace) -> int:
    """Carry the command out; returns its exit code."""
    # First what needs no model: models take seconds to load.
    numbers = parse_numbers(args.sentences)
    if not 10 <= args.dpi <= 2000:
        raise GuidedAlignError(f"--dpi: expected a number in 10..2000; got {args.dpi:g}")
    from fairseq_guided_align.link_files import begun, read_link_file
    from fairseq_guided_align.plots import FORMATS, attention_figure, save_figure

    if Path(args.out).suffix.lower() not in FORMATS:
        raise GuidedAlignError(f"{args.out}: expected a file name that ends in {', '.join(FORMATS)}")
    gold_path = begun(args.gold) if args.gold else ""
    gold = read_link_file(gold_path, args.gold_one_based) if args.gold else None
    from fairseq_guided_align.fonts import font_warnings_as_lines
    from fairseq_guided_align.split_reading import gold_of_split, read_pairs
    from fairseq_guided_align.subword_settings import subword_kind

    if args.word_split and args.level == "pieces" and not args.gold:
        raise GuidedAlignError("--word-split goes with --level words, or with --gold")
    models, columns = _models(args)
    first = models[0][1].options
    kind = None
    if args.level == "words" or args.gold:
        kind = subword_kind(first.data, args.subwords, "--subwords")
    if gold is not None and kind is not None:
        gold = gold_of_split(gold, gold_path, models[0][1], args.split, kind, args.word_split)
    pairs = []
    # Before the first picture is written.
    for pair in read_pairs(models, args.split, [n - 1 for n in numbers], kind, gold, not args.no_gold, args.word_split):
        sentence = pair.pieces if args.level == "pieces" else pair.words
        assert sentence is not None
        if not sentence.target:
            raise GuidedAlignError(
                f"sentence {pair.number + 1} of {args.split!r}: its target is empty, so there is nothing to draw; name"
                " others with --sentences"
            )
        pairs.append((pair, sentence))
    for pair, sentence in pairs:
        panels = _panels([name for name, _ in models], sentence.readings, args.each_head)
        with font_warnings_as_lines():
            figure = attention_figure(
                panels,
                [*sentence.source, "</s>"],
                sentence.target,
                sentence.gold,
                f"{args.split}, sentence {pair.number + 1}",
                args.source_name or first.source_lang,
                args.target_name or first.target_lang,
                columns,
            )
        out = _path(args.out, pair.number + 1, len(numbers))
        save_figure(figure, out, args.dpi)
        print(f"wrote {out}")
    return 0


def _models(args: argparse.Namespace) -> tuple[list[tuple[str, Any]], int]:
    """The models, one a panel, with their names; and the most panels in a row."""
    from fairseq_guided_align.extraction import AlignmentModel

    models: list[tuple[str, Any]] = []
    columns = MOST_COLUMNS
    for argument in args.checkpoints:
        name, path = _named(argument)
        model = AlignmentModel(path, args.data, args.attention, args.device, args.layers, args.heads, args.lang_pair)
        models += [(name, one) for one in _single_heads(model)] if args.each_head else [(name, model)]
        if args.each_head:
            columns = len(model.guided.heads)  # so that each layer has a row
    return models, columns


def parse_numbers(text: str) -> list[int]:
    """Line numbers, from 1, of ``1,7,20-22``, in this order.

    :raises GuidedAlignError: something else, or a number twice.
    """
    numbers: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise GuidedAlignError(f"--sentences: expected numbers from 1, such as 1,7,20-22; got {text!r}")
        numbers += range(int(first), int(last or first) + 1)
    if not numbers or 0 in numbers:
        raise GuidedAlignError(f"--sentences: expected numbers from 1, such as 1,7,20-22; got {text!r}")
    if len(set(numbers)) != len(numbers):
        raise GuidedAlignError(f"--sentences: expected each sentence once; got {text!r}")
    return numbers


def _named(argument: str) -> tuple[str, str]:
    """(name, path) of ``NAME=CHECKPOINT`` or ``CHECKPOINT``."""
    if not Path(argument).exists() and "=" in argument:
        name, _, path = argument.partition("=")
        return name, path
    return "", argument


def _single_heads(model: Any) -> list[Any]:
    """The model once for each of its chosen layers and heads."""
    import copy
    import dataclasses

    if not model.guided.layers:
        raise GuidedAlignError("--each-head: this model returns its attention itself, without heads")
    singles = []
    for layer in model.guided.layers:
        for head in model.guided.heads:
            single = copy.copy(model)
            single.guided = dataclasses.replace(model.guided, layers=(layer,), heads=(head,))
            singles.append(single)
    return singles


def _panels(names: list[str], readings: list[Any], each_head: bool) -> list[Any]:
    from fairseq_guided_align.plots import Panel

    panels = []
    for name, reading in zip(names, readings):
        what = _heads_read(reading.guided) if each_head or not name else ""
        panels.append(Panel(reading.attention, "\n".join(filter(None, (name, what)))))
    return panels


def _heads_read(guided: Any) -> Optional[str]:
    if not guided.layers:
        return "attention"
    layers, heads = (",".join(map(str, numbers)) for numbers in (guided.layers, guided.heads))
    return f"layer {layers}, head {heads}"


def _path(out: str, number: int, of: int) -> Path:
    path = Path(out)
    return path if of == 1 else path.with_name(f"{path.stem}-{number}{path.suffix}")
