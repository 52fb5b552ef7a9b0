"""`fairseq-guided-align view`: one HTML file to look through the links of a text."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fairseq_guided_align.cli.argument_types import named_files, named_text_to_read, text_to_read, text_to_write
from fairseq_guided_align.cli.options import MODEL, WORD_SPLIT, add, chosen_words, given_words
from fairseq_guided_align.errors import GuidedAlignError, SubwordMismatchError
from fairseq_guided_align.files.atomic import STANDARD_OUTPUT, atomic_text
from fairseq_guided_align.files.byte_lines import raise_length_error
from fairseq_guided_align.files.progress import say
from fairseq_guided_align.links.forms import FORM_NAMES
from fairseq_guided_align.links.link import CorpusLinks, SentenceLinks
from fairseq_guided_align.links.linked_text import PIECES_SPLIT, LinkedText
from fairseq_guided_align.links.reading import read_link_file, recognisable
from fairseq_guided_align.pictures.page import Pair, View, page_html, soft_links, view
from fairseq_guided_align.subwords.conversion import spread_over_pieces, subword_links_to_word_links
from fairseq_guided_align.subwords.spelling import match_sentence

if TYPE_CHECKING:
    from fairseq_guided_align.aligning.split_reading import ReadSentence


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command and add its options."""
    parser.description = f"""\
Writes one self-contained HTML file: a list of the sentence pairs, sortable by AER or length, and for each pair its
tokens joined by lines; hard links, soft links with their probability, gold links, two systems side by side, the
matrix, words or pieces. It needs no network and no server: open it in a browser.

Link files are {FORM_NAMES}, positions from 0; gold links may be possible (3?5); soft links carry
their probability (3-5:0.8), as `extract --method threshold` writes them. A --links file with such weights
serves as soft links too, unless --soft gives others for that NAME.

With --checkpoint, links, words and pieces come straight from models and a split of their data folder instead."""
    systems: dict[str, Any] = {
        "metavar": "NAME=FILE", "action": "append", "default": [], "type": named_text_to_read
    }  # fmt: skip
    add(parser, "--source", "--target", note=", in words")
    add(parser, "--gold")
    parser.add_argument("--links", **systems, help="hard links of a system; repeatable")
    parser.add_argument("--soft", **systems, help="soft links of a system; repeatable")
    add(parser, *WORD_SPLIT, note="default: spaces; of models: as the data folder says")
    pieces = parser.add_argument_group("subword pieces, for a switch between words and pieces")
    for side in ("source", "target"):
        pieces.add_argument(f"--{side}-pieces", metavar="FILE", type=text_to_read, help=f"the {side} text in pieces")
    add(pieces, "--subwords", note="default: sentencepiece; of models: as the data folder says")
    for kind, option in (("hard", "links"), ("soft", "soft")):
        pieces.add_argument(
            f"--piece-{option}",
            **systems,
            help=f"{kind} links between pieces; a system without --{option} shows them between words too",
        )
    models = parser.add_argument_group("models, instead of text and link files")
    models.add_argument(
        "--checkpoint", metavar="NAME=FILE", action="append", default=[], help="checkpoint of fairseq-train; repeatable"
    )
    add(models, *MODEL)
    models.add_argument("--split", help="split of the data folder (default: test)")
    add(parser, "--output", note="page to write, such as links.html", type=text_to_write, required=True)
    parser.add_argument("--title", default="Word alignments", help="of the page")
    parser.add_argument("--source-name", help="name or code of the source language, such as grc")
    parser.add_argument("--target-name", help="name or code of the target language, such as en")
    add(parser, "--one-based", note="all link files but GOLD")
    add(parser, "--gold-one-based")
    parser.add_argument("--limit", type=int, default=1000, metavar="N", help="show the first N pairs (default: 1000)")


HardAndSoft = tuple[SentenceLinks | None, SentenceLinks | None]
"""Hard and soft links of one system in one sentence pair; None where there are none to show."""


class Shown(NamedTuple):
    """What a page shows.

    :param of: number of all pairs, which may be more.
    """

    systems: list[str]
    languages: tuple[str, str]
    pairs: list[Pair]
    of: int


def run(args: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    _check(args)
    systems, languages, pairs, of = _of_models(args) if args.checkpoint else _of_files(args)
    page = page_html({
        "title": args.title,
        "source": args.source_name or languages[0],
        "target": args.target_name or languages[1],
        "systems": systems,
        "pairs": pairs,
    }).encode("utf-8")  # fmt: skip
    with atomic_text(args.output) as stream:
        stream.write(page)
    rest = "" if len(pairs) == of else f" (the first of {of}; --limit shows more)"
    tell = say if args.output == STANDARD_OUTPUT else print
    tell(
        f"wrote {args.output}: {len(pairs)} sentence pairs{rest}, links of {', '.join(systems)},"
        f" {len(page) / 1e6:.1f} MB"
    )
    return 0


def _check(args: argparse.Namespace) -> None:
    """:raises GuidedAlignError: options that do not go together."""
    pieces = (args.source_pieces, args.target_pieces)
    if args.limit < 1:
        raise GuidedAlignError(f"expected --limit of at least 1; got {args.limit}")
    if args.checkpoint:
        files = (args.source, args.target, args.links, args.soft, *pieces, args.piece_links, args.piece_soft)
        if any(files) or args.one_based:
            raise GuidedAlignError(
                "--checkpoint reads text and links from the models; give it no other text or link files"
            )
        return
    if not (args.source and args.target):
        raise GuidedAlignError("expected --source and --target with links, or --checkpoint")
    if args.data or args.split or args.device or args.lang_pair:
        raise GuidedAlignError("--data, --lang-pair, --split and --device go with --checkpoint")
    if any(pieces) and not all(pieces):
        raise GuidedAlignError("expected both --source-pieces and --target-pieces, or neither; got one")
    if (args.piece_links or args.piece_soft) and not all(pieces):
        raise GuidedAlignError("--piece-links and --piece-soft need --source-pieces and --target-pieces")


# Models


def _of_models(args: argparse.Namespace) -> Shown:
    split = args.split or "test"
    checkpoints = named_files(args.checkpoint, "--checkpoint")
    gold_path = recognisable(args.gold) if args.gold else ""
    gold = read_link_file(gold_path, args.gold_one_based) if args.gold else None
    # Importing torch and fairseq takes seconds, which links in files need not wait for.
    from fairseq_guided_align.aligning.extraction import AlignmentModel
    from fairseq_guided_align.aligning.split_reading import gold_of_split, read_pairs
    from fairseq_guided_align.subwords.settings import subword_kind

    models = [
        (name, AlignmentModel(path, args.data, device=args.device, lang_pair=args.lang_pair))
        for name, path in checkpoints.items()
    ]
    first = models[0][1]
    kind = subword_kind(first.data, args.subwords, "--subwords")
    of = first.split_size(split)
    if gold is not None:
        gold = gold_of_split(gold, gold_path, first, split, kind, given_words(args))
    pairs: list[Pair] = []
    for pair in read_pairs(models, split, range(min(args.limit, of)), kind, gold, word_split=given_words(args)):
        assert pair.words is not None
        words, pieces = (_view_of_models(sentence) for sentence in (pair.words, pair.pieces))
        pairs.append({"id": str(pair.number + 1), "words": words, "pieces": pieces})
    return Shown(list(checkpoints), (first.options.source_lang, first.options.target_lang), pairs, of)


def _view_of_models(sentence: ReadSentence) -> View:
    from fairseq_guided_align.attention.link_methods import read_links_off

    systems: list[HardAndSoft] = []
    for reading in sentence.readings:
        systems.append((read_links_off(reading.attention, reading.guided), soft_links(reading.attention)))
    return view(sentence.source, sentence.target, sentence.gold, systems)


# Files

Files = dict[str, CorpusLinks]
"""A system's link files by the name of their option, such as ``piece_links``."""

WordsOf = tuple[np.ndarray, np.ndarray]
"""The word of each source piece, and of each target piece."""


def _of_files(args: argparse.Namespace) -> Shown:
    words, pieces = _read_text(args)
    gold = words.links(args.gold, args.gold_one_based) if args.gold else None
    systems = _systems(args, words, pieces)
    pairs: list[Pair] = []
    for i in range(min(args.limit, len(words))):
        gold_links = None if gold is None else gold[i]
        words_of: WordsOf | None = None
        piece_view = None
        if pieces is not None:
            kind = args.subwords or "sentencepiece"
            words_of = (
                _words_of(args.source_pieces, i, pieces.source[i], words.source[i], kind),
                _words_of(args.target_pieces, i, pieces.target[i], words.target[i], kind),
            )
            piece_view = view(
                pieces.source[i],
                pieces.target[i],
                None if gold_links is None else spread_over_pieces(gold_links, *words_of),
                [_piece_level(files, i, words_of) for files in systems.values()],
            )
        word_links = [_word_level(files, i, words_of) for files in systems.values()]
        word_view = view(words.source[i], words.target[i], gold_links, word_links)
        pairs.append({"id": str(i + 1), "words": word_view, "pieces": piece_view})
    return Shown(list(systems), ("source", "target"), pairs, len(words))


def _read_text(args: argparse.Namespace) -> tuple[LinkedText, LinkedText | None]:
    """The text in words and, where they were given, in pieces."""
    words = LinkedText.read([args.source], [args.target], chosen_words(args), keep_words=True)
    if not args.source_pieces:
        return words, None
    pieces = LinkedText.read([args.source_pieces], [args.target_pieces], PIECES_SPLIT, keep_words=True)
    if len(pieces) != len(words):
        raise_length_error([args.source, args.source_pieces])
    return words, pieces


def _systems(args: argparse.Namespace, words: LinkedText, pieces: LinkedText | None) -> dict[str, Files]:
    """Each system's link files, in the order in which its first one was given."""
    systems: dict[str, Files] = {}
    for kind in ("links", "soft", "piece_links", "piece_soft"):
        text = pieces if pieces is not None and kind.startswith("piece") else words
        for name, path in named_files(getattr(args, kind), f"--{kind.replace('_', '-')}").items():
            systems.setdefault(name, {})[kind] = text.links(path, args.one_based)
    if not systems:
        raise GuidedAlignError("expected links to show: --links, --soft, --piece-links or --piece-soft NAME=FILE")
    for files in systems.values():
        for hard, soft in (("links", "soft"), ("piece_links", "piece_soft")):
            if hard in files and files[hard].weight is not None:
                files.setdefault(soft, files[hard])
    return systems


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


def _word_level(files: Files, index: int, words_of: WordsOf | None) -> HardAndSoft:
    hard, soft = (
        _links_of(files, index, kind, f"piece_{kind}", subword_links_to_word_links, words_of)
        for kind in ("links", "soft")
    )
    return hard, soft


def _piece_level(files: Files, index: int, words_of: WordsOf) -> HardAndSoft:
    hard, soft = (
        _links_of(files, index, f"piece_{kind}", kind, spread_over_pieces, words_of) for kind in ("links", "soft")
    )
    return hard, soft


def _links_of(
    files: Files, index: int, own: str, other: str, convert: Callable[..., SentenceLinks], words_of: WordsOf | None
) -> SentenceLinks | None:
    """Links of a sentence pair at one level, or converted from those at the other."""
    if own in files:
        return files[own][index]
    if other in files and words_of is not None:
        return convert(files[other][index], *words_of)
    return None
