"""A corpus block by block: cut into pieces, cleaned, and its word links turned into links between the pieces."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Optional

import numpy as np

from fairseq_guided_align.corpus.files import Corpus, PreprocessSettings
from fairseq_guided_align.corpus.subword_links import (
    LINES_IN_BLOCK,
    ProjectionCounts,
    Side,
    encoder,
    match_block,
    project_block,
)
from fairseq_guided_align.files.byte_lines import (
    Block,
    PathLike,
    decode_line,
    lines_of,
    locate_blocks_together,
    read_blocks_together,
)
from fairseq_guided_align.links.link import CorpusLinks
from fairseq_guided_align.links.pharaoh import format_block, parse_block
from fairseq_guided_align.links.words import count_other_words, separated, split_words
from fairseq_guided_align.subwords.pieces import text_of
from fairseq_guided_align.subwords.special_tokens import flagged_symbols, write_line


class BlockTask(NamedTuple):
    """Some lines of a corpus's files, and how to cut them; ``words`` is None where the text is words."""

    corpus: Corpus
    settings: PreprocessSettings
    models: tuple[Optional[str], Optional[str]]
    first_line: int
    text: tuple[Block, Block]
    words: Optional[tuple[Block, Block]]
    links: Optional[Block]


class CutBlock(NamedTuple):
    """What is written of a block of lines.

    :param words: lines of words, of each side.
    :param pieces: lines of pieces, of each side.
    :param word_links: lines of alignment text.
    :param links: between pieces.
    :param symbols: how often each piece occurs, of each side.
    :param left_out: sentence pairs left out.
    """

    words: tuple[bytes, bytes]
    pieces: tuple[bytes, bytes]
    word_links: bytes
    links: CorpusLinks
    counts: ProjectionCounts
    symbols: tuple[Counter, Counter]
    left_out: int


def block_tasks(
    corpus: Corpus, models: tuple[Optional[str], Optional[str]], settings: PreprocessSettings
) -> Iterator[BlockTask]:
    """Consecutive blocks of a corpus; several workers read them for themselves.

    :param models: SentencePiece models of both sides; None where the text is cut already.
    :raises AlignmentLengthError: the files differ in their number of lines.
    """
    paths: list[PathLike] = [*corpus.text]
    has_words = corpus.words != corpus.text
    if has_words:
        paths += corpus.words
    if corpus.pharaoh is not None:
        paths.append(corpus.pharaoh)
    together = read_blocks_together if settings.workers == 1 else locate_blocks_together
    for first_line, blocks in together(paths, LINES_IN_BLOCK):
        yield BlockTask(
            corpus,
            settings,
            models,
            first_line,
            (blocks[0], blocks[1]),
            (blocks[2], blocks[3]) if has_words else None,
            blocks[-1] if corpus.links is not None else None,
        )


def cut_and_project(task: BlockTask) -> CutBlock:
    """One block of lines: its pieces, and its links between them."""
    corpus, settings, first_line = task.corpus, task.settings, task.first_line
    pieces = []
    words = []
    special_tokens: list[list[int]] = []
    for side in (0, 1):
        lines = _decoded(task.text[side], corpus.text[side], first_line)
        model = task.models[side]
        if model is not None:
            cut = [" ".join(one) for one in encoder(model).encode(lines)]
        else:
            cut = [" ".join(line.split()) for line in lines]
        own = own_symbols(settings, side)
        for_fairseq = [write_line(line, own) for line in cut]
        special_tokens.append([count for _, count in for_fairseq])
        pieces.append([line for line, _ in for_fairseq])
        if task.words is not None:
            words.append(_decoded(task.words[side], corpus.words[side], first_line))
        elif settings.subwords == "bpe":
            words.append([text_of(split_words(line), "bpe") for line in lines])
        else:
            words.append(lines)
    if task.links is None:
        links = CorpusLinks.empty(len(pieces[0]))
    else:
        assert corpus.links is not None
        links = parse_block(lines_of(task.links), corpus.links, first_line, settings.projection.one_based)
        if settings.projection.inverted:
            links = links.inverted()
    line_numbers: Sequence[int] = range(first_line, first_line + len(pieces[0]))
    keep = _kept(pieces, settings) if corpus.is_training else None
    left_out = 0
    if keep is not None and not keep.all():
        # Before words and pieces are compared: what is left out cannot stop the command.
        rows = np.flatnonzero(keep)
        left_out = len(keep) - len(rows)
        words, pieces = ([[lines[i] for i in rows] for lines in sides] for sides in (words, pieces))
        links = links.select(rows)
        line_numbers = [first_line + i for i in rows.tolist()]
    matched = []
    mismatches: Optional[list[str]] = [] if settings.projection.skip_mismatches else None
    blocks = [("\n".join([*some, ""]).encode(), "\n".join([*cut, ""]).encode()) for some, cut in zip(words, pieces)]
    word_split = settings.projection.word_split
    other_words = []
    for side, (words_block, pieces_block) in enumerate(blocks):
        # The pieces' own file is not for the user to look into: both are named by what they came from.
        name = Side(corpus.words[side], corpus.text[side], settings.subwords, task.models[side])
        matched.append(match_block(separated(words_block, word_split), pieces_block, name, line_numbers, mismatches))
        other_words.append(count_other_words(words_block, matched[side].words, word_split))
    projected = project_block(
        links,
        matched[0],
        matched[1],
        settings.projection,
        corpus.links or corpus.text[0],
        line_numbers,
        (other_words[0], other_words[1]),
    )
    projected.counts.add_mismatches(mismatches)
    kept = range(len(special_tokens[0])) if keep is None else np.flatnonzero(keep).tolist()
    projected.counts.special_tokens = sum(side[i] for side in special_tokens for i in kept)
    counted = [Counter[str](), Counter[str]()]
    for side in (0, 1):
        for line in pieces[side]:
            counted[side].update(line.split(" ") if line else ())
    return CutBlock(
        (blocks[0][0], blocks[1][0]),
        (blocks[0][1], blocks[1][1]),
        format_block(links),
        projected.links,
        projected.counts,
        (counted[0], counted[1]),
        left_out,
    )


def own_symbols(settings: PreprocessSettings, side: int) -> frozenset[str]:
    """Pieces for which the side's given dictionary has symbols in place of fairseq's own tokens."""
    given = settings.dictionary(side)
    return frozenset() if given is None else flagged_symbols(given)


def _kept(pieces: Sequence[Sequence[str]], settings: PreprocessSettings) -> Optional[np.ndarray]:
    """(lines,) bool; None where nothing is to be left out."""
    if settings.max_pieces is None and settings.max_ratio is None:
        return None
    source, target = (np.array([len(line.split()) for line in side]) for side in pieces)
    keep = (source > 0) & (target > 0)
    if settings.max_pieces is not None:
        keep &= np.maximum(source, target) <= settings.max_pieces
    if settings.max_ratio is not None:
        keep &= np.maximum(source, target) <= settings.max_ratio * np.minimum(source, target)
    return keep


def _decoded(block: Block, path: PathLike, first_line: int) -> list[str]:
    lines = lines_of(block).split(b"\n")[:-1]
    return [decode_line(line, path, number) for number, line in enumerate(lines, start=first_line)]
