"""A corpus block by block: cut into pieces, cleaned, and its word links turned into links between the pieces."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from fairseq_guided_align.corpus.files import Corpus, PreprocessSettings
from fairseq_guided_align.corpus.link_counts import ConversionCounts
from fairseq_guided_align.corpus.subword_links import LINES_IN_BLOCK, Side, convert_block, encoder, read_block_links
from fairseq_guided_align.files.byte_lines import (
    Block,
    PathLike,
    decode_line,
    lines_of,
    locate_blocks_together,
    read_blocks_together,
)
from fairseq_guided_align.links.link import CorpusLinks
from fairseq_guided_align.links.pharaoh import format_block
from fairseq_guided_align.links.words import split_words
from fairseq_guided_align.subwords.coded_lines import CodedLines
from fairseq_guided_align.subwords.pieces import text_of
from fairseq_guided_align.subwords.sampling import sampler
from fairseq_guided_align.subwords.special_tokens import flagged_symbols

Models = tuple[str | None, str | None]
"""SentencePiece models of both sides; None where the text is cut already."""


class BlockTask(NamedTuple):
    """Some lines of a corpus's files, and how to cut them; ``words`` is None where the text is words."""

    corpus: Corpus
    settings: PreprocessSettings
    models: Models
    first_line: int
    text: tuple[Block, Block]
    words: tuple[Block, Block] | None
    links: Block | None


class CutBlock(NamedTuple):
    """What is written of a block of lines.

    :param words: lines of words, of each side.
    :param pieces: lines of pieces, of each side.
    :param coded: the same pieces.
    :param word_links: lines of alignment text.
    :param links: between pieces.
    :param left_out: sentence pairs left out.
    """

    words: list[bytes]
    pieces: list[bytes]
    coded: list[CodedLines]
    word_links: bytes
    links: CorpusLinks
    counts: ConversionCounts
    left_out: int


def block_tasks(corpus: Corpus, models: Models, settings: PreprocessSettings) -> Iterator[BlockTask]:
    """Consecutive blocks of a corpus; several workers read them for themselves.

    :raises AlignmentLengthError: the files differ in their number of lines.
    """
    paths: list[PathLike] = [*corpus.text]
    has_words = corpus.words != corpus.text
    if has_words:
        paths += corpus.words
    if corpus.links_to_read is not None:
        paths.append(corpus.links_to_read)
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


def cut_and_convert(task: BlockTask) -> CutBlock:
    """One block of lines: its pieces, and the links between them; without the pairs that training leaves out."""
    corpus, settings = task.corpus, task.settings
    words, cut = zip(*(_cut(task, side) for side in (0, 1)))
    pairs = len(cut[0].lengths)
    links = _word_links(task, pairs)
    keep = _kept((cut[0].lengths, cut[1].lengths), settings) if corpus.is_training else np.ones(pairs, bool)
    rows = np.flatnonzero(keep)
    # Before words and pieces are compared: in a pair that is left out, a difference is no error.
    if len(rows) < pairs:
        words, cut = tuple(_selected(lines, rows) for lines in words), tuple(side.select(keep) for side in cut)
        links = links.select(rows)
    coded, special_tokens = zip(*(cut[side].for_fairseq(own_symbols(settings, side)) for side in (0, 1)))
    pieces = [side.text() for side in coded]
    # Messages name the user's file, not that of the pieces, which nobody but this program has seen.
    names = [Side(corpus.words[i], corpus.text[i], settings.subwords, task.models[i]) for i in (0, 1)]
    made, counts = convert_block(
        links,
        list(zip(names, words, pieces)),
        settings.conversion,
        corpus.links or corpus.text[0],
        (task.first_line + rows).tolist(),
    )
    counts.special_tokens = sum(special_tokens)
    return CutBlock(list(words), pieces, list(coded), format_block(links), made, counts, len(keep) - len(rows))


def _word_links(task: BlockTask, pairs: int) -> CorpusLinks:
    """Links between words, as the file has them; none where the corpus has no file of links."""
    if task.links is None:
        return CorpusLinks.empty(pairs)
    assert task.corpus.links is not None
    return read_block_links(lines_of(task.links), task.corpus.links, task.first_line, task.settings.conversion)


def _cut(task: BlockTask, side: int) -> tuple[bytes, CodedLines]:
    """Lines of words and their pieces, of one side."""
    corpus, model = task.corpus, task.models[side]
    block = _text_of(task.text[side])
    lines = _decoded(block, corpus.text[side], task.first_line)
    sampling = task.settings.sampling if corpus.is_training else None
    if model is None:
        pieces = CodedLines.of_tokens([line.split() for line in lines])
    elif sampling is None:
        pieces = encoder(model).encode_coded(lines)
    else:
        chance = sampling.chance(corpus.split, side, task.first_line)
        pieces = CodedLines.of_tokens(sampler(model, sampling.alpha).cut(lines, chance))
    if task.words is not None:
        block = _text_of(task.words[side])
        _decoded(block, corpus.words[side], task.first_line)  # Says what is wrong with it
    elif task.settings.subwords == "bpe":
        block = "".join([text_of(split_words(line), "bpe") + "\n" for line in lines]).encode()
    return block, pieces


def own_symbols(settings: PreprocessSettings, side: int) -> frozenset[str]:
    """Pieces for which the side's given dictionary has symbols in place of fairseq's own tokens."""
    given = settings.dictionary(side)
    return frozenset() if given is None else flagged_symbols(given)


def _kept(lengths: tuple[np.ndarray, np.ndarray], settings: PreprocessSettings) -> np.ndarray:
    """(lines,) bool: the sentence pairs that are not left out.

    :param lengths: (lines,) pieces of each source and of each target.
    """
    source, target = lengths
    longer, shorter = np.maximum(source, target), np.minimum(source, target)
    keep = np.ones(len(longer), bool)
    if settings.max_pieces is not None:
        keep &= (shorter > 0) & (longer <= settings.max_pieces)
    if settings.max_ratio is not None:
        keep &= (shorter > 0) & (longer <= settings.max_ratio * shorter)
    return keep


def _selected(lines: bytes, rows: np.ndarray) -> bytes:
    every = lines.split(b"\n")
    return b"".join([every[row] + b"\n" for row in rows])


def _text_of(block: Block) -> bytes:
    """The block's lines, each ended by a line feed alone."""
    return lines_of(block).replace(b"\r\n", b"\n")


def _decoded(lines: bytes, path: PathLike, first_line: int) -> list[str]:
    try:
        return lines.decode().split("\n")[:-1]
    except UnicodeDecodeError:  # The message names the line
        return [decode_line(line, path, number) for number, line in enumerate(lines.split(b"\n"), start=first_line)]
