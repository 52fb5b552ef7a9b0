"""`fairseq-guided-align view`: one HTML file to look through the links of a text."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np

from fairseq_guided_align.atomic_files import STANDARD_OUTPUT, atomic_file
from fairseq_guided_align.byte_lines import raise_length_error, read_lines
from fairseq_guided_align.cli.options import add_word_split, named_text_to_read, text_to_read, text_to_write
from fairseq_guided_align.end_links import take_off_end_links, told_end_links
from fairseq_guided_align.errors import AlignmentRangeError, GuidedAlignError, SubwordMismatchError
from fairseq_guided_align.link_files import begun, read_link_file
from fairseq_guided_align.links import CorpusLinks, SentenceLinks
from fairseq_guided_align.page import PageData, Pair, page_html, view
from fairseq_guided_align.piece_words import spread_over_pieces
from fairseq_guided_align.progress import say
from fairseq_guided_align.spelling import match_sentence
from fairseq_guided_align.subwords import KINDS, subword_links_to_word_links
from fairseq_guided_align.words import DEFAULT_SPLIT, has_rare_space, split_words

HELP = "write one HTML page to look through links: gold, hard and soft, of several systems"

DESCRIPTION = """\
Writes one self-contained HTML file: a list of the sentence pairs, sortable by AER or length, and for each pair its
tokens joined by lines; hard links, soft links with their probability, gold links, two systems side by side, the
matrix, words or pieces. It needs no network and no server: open it in a browser.

Link files are Pharaoh text, one line a sentence pair, positions from 0; gold links may be possible (3?5); soft links
carry their probability (3-5:0.8), as `extract --method threshold` writes them. A --links file with such weights
serves as soft links too, unless --soft gives others for that NAME.

With --checkpoint, links, words and pieces come straight from models and a split of their data folder instead."""

LEAST_PROBABILITY = 0.02
"""Of a soft link read off a model: weaker ones only make the page large."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.description = DESCRIPTION
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--source", metavar="FILE", type=text_to_read, help="source text, in words")
    parser.add_argument("--target", metavar="FILE", type=text_to_read, help="target text, likewise")
    parser.add_argument("--gold", metavar="FILE", type=text_to_read, help="gold links of the words")
    of_systems: dict[str, Any] = {
        "metavar": "NAME=FILE", "action": "append", "default": [], "type": named_text_to_read
    }  # fmt: skip
    parser.add_argument("--links", **of_systems, help="hard links of a system; repeatable")
    parser.add_argument("--soft", **of_systems, help="soft links of a system; repeatable")
    add_word_split(parser, None, "default: spaces; of models: as the data folder says")
    pieces = parser.add_argument_group("subword pieces, for a switch between words and pieces")
    pieces.add_argument("--source-pieces", metavar="FILE", type=text_to_read, help="the source text in pieces")
    pieces.add_argument("--target-pieces", metavar="FILE", type=text_to_read, help="the target text in pieces")
    pieces.add_argument(
        "--subwords",
        choices=KINDS,
        help="how pieces make up words (default: sentencepiece; of models: as guided_alignment.json in the data folder"
        " says)",
    )
    pieces.add_argument(
        "--piece-links",
        **of_systems,
        help="hard links between pieces; a system without --links shows them between words too",
    )
    pieces.add_argument("--piece-soft", **of_systems, help="soft links between pieces, likewise")
    models = parser.add_argument_group("models, instead of text and link files")
    models.add_argument(
        "--checkpoint", metavar="NAME=FILE", action="append", default=[], help="checkpoint of fairseq-train; repeatable"
    )
    models.add_argument("--data", help="data folder (default: the one that each model was trained on)")
    models.add_argument("--lang-pair", metavar="SRC-TGT", help="language pair to read, of models of several pairs")
    models.add_argument("--split", help="split of the data folder (default: test)")
    models.add_argument("--device", help="where the models run, such as cpu (default: a GPU if there is one)")
    parser.add_argument(
        "--out", "-o", metavar="FILE", type=text_to_write, required=True, help="page to write, such as links.html"
    )
    parser.add_argument("--title", default="Word alignments", help="of the page")
    parser.add_argument("--source-name", help="name or code of the source language, such as grc")
    parser.add_argument("--target-name", help="the same for the target, such as en")
    parser.add_argument("--one-based", action="store_true", help="positions in all link files but GOLD count from 1")
    parser.add_argument("--gold-one-based", action="store_true", help="positions in GOLD count from 1")
    parser.add_argument("--limit", type=int, default=1000, metavar="N", help="show the first N pairs (default: 1000)")


@dataclass
class System:
    """A system's link files as they were given; what was not given is None."""

    name: str
    hard: Optional[CorpusLinks] = None
    soft: Optional[CorpusLinks] = None
    piece_hard: Optional[CorpusLinks] = None
    piece_soft: Optional[CorpusLinks] = None


def run(args: argparse.Namespace) -> int:
    """Carry the command out; returns its exit code."""
    if args.limit < 1:
        raise GuidedAlignError(f"expected --limit of at least 1; got {args.limit}")
    data, of = _of_models(args) if args.checkpoint else _of_files(args)
    page = page_html(data).encode("utf-8")
    with atomic_file(args.out) as stream:
        stream.write(page)
    shown = len(data["pairs"])
    rest = "" if shown == of else f" (the first of {of}; --limit shows more)"
    names = ", ".join(data["systems"])
    tell = say if args.out == STANDARD_OUTPUT else print
    tell(f"wrote {args.out}: {shown} sentence pairs{rest}, links of {names}, {len(page) / 1e6:.1f} MB")
    return 0


def _of_models(args: argparse.Namespace) -> tuple[PageData, int]:
    """What models see in a split, and the number of its pairs."""
    files = [args.source, args.target, args.links, args.soft, args.source_pieces, args.piece_links, args.piece_soft]
    if any(files) or args.target_pieces or args.one_based:
        raise GuidedAlignError("--checkpoint reads text and links from the models; give it no other text or link files")
    split = args.split or "test"
    named = [_named(argument, "--checkpoint") for argument in args.checkpoint]
    if len({name for name, _ in named}) != len(named):
        raise GuidedAlignError("--checkpoint: expected a NAME of its own for each")
    gold_path = begun(args.gold) if args.gold else ""
    gold = read_link_file(gold_path, args.gold_one_based) if args.gold else None
    # torch and fairseq take seconds, which links in files need not wait for.
    from fairseq_guided_align.decode_links import threshold_links
    from fairseq_guided_align.extraction import AlignmentModel, read_links_off
    from fairseq_guided_align.split_reading import ReadSentence, gold_of_split, read_pairs
    from fairseq_guided_align.subword_settings import subword_kind

    models: list[tuple[str, Any]] = [
        (name, AlignmentModel(path, args.data, device=args.device, lang_pair=args.lang_pair)) for name, path in named
    ]
    config = models[0][1].options
    kind = subword_kind(config.data, args.subwords, "--subwords")
    of = models[0][1].split_size(split)
    if gold is not None:
        gold = gold_of_split(gold, gold_path, models[0][1], split, kind, args.word_split)

    def shown(sentence: ReadSentence) -> Any:
        systems: list[tuple[Optional[SentenceLinks], Optional[SentenceLinks]]] = []
        for one in sentence.readings:
            # sums over the pieces of a word are rounded
            probabilities = np.minimum(one.attention[:, :-1], 1)
            systems.append(
                (read_links_off(one.attention, one.guided), threshold_links(probabilities, LEAST_PROBABILITY))
            )
        return view(sentence.source, sentence.target, sentence.gold, systems)

    pairs: list[Pair] = []
    for pair in read_pairs(models, split, range(min(args.limit, of)), kind, gold, word_split=args.word_split):
        assert pair.words is not None
        pairs.append({"id": str(pair.number + 1), "words": shown(pair.words), "pieces": shown(pair.pieces)})
    return {
        "title": args.title,
        "source": args.source_name or config.source_lang,
        "target": args.target_name or config.target_lang,
        "systems": [name for name, _ in models],
        "pairs": pairs,
    }, of


def _of_files(args: argparse.Namespace) -> tuple[PageData, int]:
    """What files of text and links say, and the number of their pairs."""
    if not (args.source and args.target):
        raise GuidedAlignError("expected --source and --target with links, or --checkpoint")
    if args.data or args.split or args.device or args.lang_pair:
        raise GuidedAlignError("--data, --lang-pair, --split and --device go with --checkpoint")
    kind = args.subwords or "sentencepiece"
    if bool(args.source_pieces) != bool(args.target_pieces):
        raise GuidedAlignError("expected both --source-pieces and --target-pieces, or neither; got one")
    if (args.piece_links or args.piece_soft) and not args.source_pieces:
        raise GuidedAlignError("--piece-links and --piece-soft need --source-pieces and --target-pieces")
    source, target, source_pieces, target_pieces = _read_text(args)
    gold = _links(args.gold, args.gold_one_based, args.source, source, target) if args.gold else None
    systems = _systems(args, source, target, source_pieces, target_pieces)
    pairs: list[Pair] = []
    for i in range(min(args.limit, len(source))):
        words_of: Optional[tuple[np.ndarray, np.ndarray]] = None
        if source_pieces is not None and target_pieces is not None:
            words_of = (
                _words_of(args.source_pieces, i, source_pieces[i], source[i], kind),
                _words_of(args.target_pieces, i, target_pieces[i], target[i], kind),
            )
        gold_links = None if gold is None else gold[i]
        word_links = [_word_level(system, i, words_of) for system in systems]
        pair: Pair = {
            "id": str(i + 1),
            "words": view(source[i], target[i], gold_links, word_links),
            "pieces": None,
        }
        if words_of is not None and source_pieces is not None and target_pieces is not None:
            pair["pieces"] = view(
                source_pieces[i],
                target_pieces[i],
                None if gold_links is None else spread_over_pieces(gold_links, *words_of),
                [_piece_level(system, i, words_of) for system in systems],
            )
        pairs.append(pair)
    return {
        "title": args.title,
        "source": args.source_name or "source",
        "target": args.target_name or "target",
        "systems": [system.name for system in systems],
        "pairs": pairs,
    }, len(source)


def _read_text(
    args: argparse.Namespace,
) -> tuple[list[list[str]], list[list[str]], Optional[list[list[str]]], Optional[list[list[str]]]]:
    """Words of source and target, and their pieces where they were given; all of as many lines."""
    word_split = args.word_split or DEFAULT_SPLIT
    source, target = _words(args.source, word_split), _words(args.target, word_split)
    if len(source) != len(target):
        raise_length_error([args.source, args.target])
    if not args.source_pieces:
        return source, target, None, None
    source_pieces, target_pieces = _pieces(args.source_pieces), _pieces(args.target_pieces)
    for path, lines in ((args.source_pieces, source_pieces), (args.target_pieces, target_pieces)):
        if len(lines) != len(source):
            raise_length_error([args.source, path])
    return source, target, source_pieces, target_pieces


def _words(path: str, word_split: str) -> list[list[str]]:
    return [split_words(line, word_split) for line in read_lines(path)]


def _pieces(path: str) -> list[list[str]]:
    """What fairseq reads as tokens: separated by any whitespace."""
    return [line.split() for line in read_lines(path)]


def _named(argument: str, option: str) -> tuple[str, str]:
    name, equals, path = argument.partition("=")
    if not (name and equals and path):
        raise GuidedAlignError(f"{option}: expected NAME=FILE, such as guided=guided.align; got {argument!r}")
    return name, path


def _links(path: str, one_based: bool, text_path: str, source: list[list[str]], target: list[list[str]]) -> CorpusLinks:
    """Links of a file, checked against the text they belong to."""
    links = read_link_file(path, one_based, len(source))
    if len(links) != len(source):
        raise_length_error([text_path, path])
    sizes = [np.array([len(line) for line in side], np.int64) for side in (source, target)]
    one_definition = [not has_rare_space(" ".join([*one, *other]).encode()) for one, other in zip(source, target)]
    links, end_links = take_off_end_links(links, sizes[0], sizes[1], np.array(one_definition, bool))
    if end_links:
        say(told_end_links(end_links, f"{path}: "))
    sentence = links.sentence()
    outside = (links.source >= sizes[0][sentence]) | (links.target >= sizes[1][sentence])
    if bool(outside.any()):
        first = int(np.flatnonzero(outside)[0])
        line, base = int(sentence[first]), int(one_based)
        raise AlignmentRangeError(
            f"{path}:{line + 1}: expected links within {len(source[line])} source and {len(target[line])} target"
            f" tokens; got {links.source[first] + base}-{links.target[first] + base}. Are the links of another"
            " tokenisation (also: --word-split), or of the other direction?"
        )
    return links


def _systems(
    args: argparse.Namespace,
    source: list[list[str]],
    target: list[list[str]],
    source_pieces: Optional[list[list[str]]],
    target_pieces: Optional[list[list[str]]],
) -> list[System]:
    """Every system in the order in which its first file was given."""
    systems: dict[str, System] = {}
    for option, slot in (
        ("--links", "hard"),
        ("--soft", "soft"),
        ("--piece-links", "piece_hard"),
        ("--piece-soft", "piece_soft"),
    ):
        for argument in getattr(args, option[2:].replace("-", "_")):
            name, path = _named(argument, option)
            system = systems.setdefault(name, System(name))
            if getattr(system, slot) is not None:
                raise GuidedAlignError(f"{option}: expected one file a system; got a second one for {name!r}")
            of_pieces = slot.startswith("piece") and source_pieces is not None and target_pieces is not None
            sides = (source_pieces, target_pieces) if of_pieces else (source, target)
            text_path = args.source_pieces if of_pieces else args.source
            setattr(system, slot, _links(path, args.one_based, text_path, *sides))  # type: ignore[arg-type]
    if not systems:
        raise GuidedAlignError("expected links to show: --links, --soft, --piece-links or --piece-soft NAME=FILE")
    for system in systems.values():
        if system.soft is None and system.hard is not None and system.hard.weight is not None:
            system.soft = system.hard
        if system.piece_soft is None and system.piece_hard is not None and system.piece_hard.weight is not None:
            system.piece_soft = system.piece_hard
    return list(systems.values())


def _words_of(path: str, index: int, pieces: list[str], words: list[str], kind: str) -> np.ndarray:
    """The word of each piece.

    :raises SubwordMismatchError: words and pieces do not spell the same.
    """
    try:
        return match_sentence(words, pieces, kind).word_of_piece(0)
    except SubwordMismatchError as error:
        raise SubwordMismatchError(
            f"{path}:{index + 1}: expected pieces of {len(words)} words, as in the text; {error}. Is {kind} the right"
            " kind of subwords?"
        ) from error


def _word_level(
    system: System, index: int, words_of: Optional[tuple[np.ndarray, np.ndarray]]
) -> tuple[Optional[SentenceLinks], Optional[SentenceLinks]]:
    def one(own: Optional[CorpusLinks], of_pieces: Optional[CorpusLinks]) -> Optional[SentenceLinks]:
        if own is not None:
            return own[index]
        if of_pieces is None or words_of is None:
            return None
        return subword_links_to_word_links(of_pieces[index], *words_of)

    return one(system.hard, system.piece_hard), one(system.soft, system.piece_soft)


def _piece_level(
    system: System, index: int, words_of: tuple[np.ndarray, np.ndarray]
) -> tuple[Optional[SentenceLinks], Optional[SentenceLinks]]:
    def one(of_pieces: Optional[CorpusLinks], own: Optional[CorpusLinks]) -> Optional[SentenceLinks]:
        if of_pieces is not None:
            return of_pieces[index]
        return None if own is None else spread_over_pieces(own[index], *words_of)

    return one(system.piece_hard, system.hard), one(system.piece_soft, system.soft)
