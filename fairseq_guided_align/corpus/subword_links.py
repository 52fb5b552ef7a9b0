"""Files of word links to files of subword links, or back, block by block, in one process or several."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

import numpy as np

from fairseq_guided_align.corpus.link_counts import ConversionCounts, linked_tokens
from fairseq_guided_align.errors import SubwordMismatchError
from fairseq_guided_align.files.byte_lines import (
    Block,
    PathLike,
    lines_of,
    locate_blocks_together,
    read_blocks_together,
)
from fairseq_guided_align.files.workers import map_in_order
from fairseq_guided_align.links.end_links import take_off_end_links
from fairseq_guided_align.links.link import CorpusLinks
from fairseq_guided_align.links.outside import is_outside
from fairseq_guided_align.links.pharaoh import format_block, parse_block
from fairseq_guided_align.links.split_evidence import evidence_of, other_splits, told
from fairseq_guided_align.links.words import DEFAULT_SPLITS, WordSplits, count_other_words, separated
from fairseq_guided_align.subwords.conversion import (
    Converted,
    corpus_subword_links_to_word_links,
    word_links_to_subword_links,
)
from fairseq_guided_align.subwords.sentencepiece_models import PieceEncoder
from fairseq_guided_align.subwords.spelling import match_lines
from fairseq_guided_align.subwords.word_pieces import WordPieces

LINES_IN_BLOCK = 1000


@dataclass(frozen=True)
class Side:
    """One language of a corpus.

    :param words: text of words, in which the word links' positions count.
    :param pieces: the same text cut into subword pieces.
    :param kind: one of ``subwords.pieces.SUBWORD_KINDS``.
    :param model: SentencePiece model that cut it; used only where words and pieces have different characters.
    """

    words: PathLike
    pieces: PathLike
    kind: str
    model: PathLike | None = None


@dataclass(frozen=True)
class ConversionSettings:
    """How word links become subword links.

    :param policy: one of ``subwords.conversion.POLICIES``.
    :param back: read subword links and give word links instead.
    :param one_based: positions in the links count from 1.
    :param inverted: the links are target-source.
    :param skip_mismatches: where words and pieces of a pair differ, leave it without links instead of stopping.
    :param max_dropped: share of the links, in [0, 1], that may be dropped before it is an error.
    :param word_split: what the words of source and target are.
    """

    policy: str = "all"
    back: bool = False
    one_based: bool = False
    inverted: bool = False
    skip_mismatches: bool = False
    max_dropped: float = 0.1
    word_split: WordSplits = DEFAULT_SPLITS


@dataclass(frozen=True)
class ConversionFiles:
    """Links of a corpus and its text, line by line.

    :param links: as messages name it.
    :param links_text: Pharaoh text, where ``links`` is none.
    """

    links: PathLike
    source: Side
    target: Side
    settings: ConversionSettings = field(default_factory=ConversionSettings)
    links_text: PathLike | None = None


class ConversionTask(NamedTuple):
    """Some lines of every file: links, source words, source pieces, target words, target pieces."""

    files: ConversionFiles
    first_line: int
    blocks: list[Block]


def conversion_tasks(files: ConversionFiles, workers: int) -> Iterator[ConversionTask]:
    """Consecutive blocks of sentence pairs; several workers read them for themselves.

    :raises AlignmentLengthError: the files differ in their number of lines.
    """
    links = files.links if files.links_text is None else files.links_text
    paths = [links, files.source.words, files.source.pieces, files.target.words, files.target.pieces]
    together = read_blocks_together if workers == 1 else locate_blocks_together
    for first_line, blocks in together(paths, LINES_IN_BLOCK):
        yield ConversionTask(files, first_line, list(blocks))


def convert_to_text(files: ConversionFiles, workers: int) -> Generator[tuple[bytes, ConversionCounts], None, None]:
    """Lines of consecutive blocks of sentence pairs; memory does not grow with the files.

    :raises AlignmentLengthError: the files differ in their number of lines.
    :raises AlignmentFormatError, AlignmentRangeError: a link cannot be read; with file and line.
    :raises SubwordMismatchError: words and pieces of a pair differ; with file, line and the first difference.
    """
    return map_in_order(_convert_to_text, conversion_tasks(files, workers), workers)


def _convert_to_text(task: ConversionTask) -> tuple[bytes, ConversionCounts]:
    links, counts = convert_task(task)
    return format_block(links), counts


def convert_task(task: ConversionTask) -> tuple[CorpusLinks, ConversionCounts]:
    """Links of a block of sentence pairs, in the new units. Raises as :func:`convert_to_text`."""
    files = task.files
    block, *text = map(lines_of, task.blocks)
    links = read_block_links(block, files.links, task.first_line, files.settings)
    lines = range(task.first_line, task.first_line + len(links))
    sides = ((files.source, text[0], text[1]), (files.target, text[2], text[3]))
    return convert_block(links, sides, files.settings, files.links, lines)


def read_block_links(block: bytes, path: PathLike, first_line: int, settings: ConversionSettings) -> CorpusLinks:
    """Links of lines of Pharaoh text, in the direction of the text."""
    links = parse_block(block, path, first_line, settings.one_based)
    return links.inverted() if settings.inverted else links


def convert_block(
    links: CorpusLinks,
    sides: Sequence[tuple[Side, bytes, bytes]],
    settings: ConversionSettings,
    links_path: PathLike,
    line_numbers: Sequence[int],
) -> tuple[CorpusLinks, ConversionCounts]:
    """Links of one block of sentence pairs, in the new units.

    :param sides: source and target: their names, lines of words and lines of pieces.
    :param line_numbers: of each pair, for messages.
    """
    mismatches: list[str] = []
    source, target = (
        _match(separated(words, word_split), pieces, side, line_numbers, mismatches, settings.skip_mismatches)
        for (side, words, pieces), word_split in zip(sides, settings.word_split)
    )
    words_of, pieces_of = (source.words, target.words), (source.pieces, target.pieces)
    counts = ConversionCounts(word_split=settings.word_split)
    if settings.back:
        old_sizes, new_sizes = pieces_of, words_of
        links, counts.end_links = take_off_end_links(links, *old_sizes)
        counts.add_read(links)
        converted = corpus_subword_links_to_word_links(links, source, target)
    else:
        old_sizes, new_sizes = words_of, pieces_of
        texts = (sides[0][1], sides[1][1])
        links = _of_own_words(links, words_of, texts, counts, links_path, line_numbers)
        converted = word_links_to_subword_links(links, source, target, settings.policy)
    _count_converted(counts, converted, new_sizes)
    if not converted.kept.all():
        counts.examples += _first_dropped(links, converted.kept, old_sizes, settings.back, links_path, line_numbers)
    counts.add_mismatches(mismatches)
    return converted.links, counts


def _count_converted(counts: ConversionCounts, converted: Converted, sizes: tuple[np.ndarray, np.ndarray]) -> None:
    """:param sizes: (sentences,) tokens of each source and of each target, which the new links join."""
    made = converted.links
    counts.sentences_with_links = int(np.count_nonzero(np.diff(made.offsets)))
    counts.links_written = len(made.source)
    counts.out_of_range, counts.without_pieces = converted.out_of_range, converted.without_pieces
    counts.source_tokens, counts.target_tokens = (int(side.sum()) for side in sizes)
    sentence = made.sentence()
    counts.source_tokens_linked = linked_tokens(sentence, made.source, sizes[0])
    counts.target_tokens_linked = linked_tokens(sentence, made.target, sizes[1])


def _of_own_words(
    links: CorpusLinks,
    words: tuple[np.ndarray, np.ndarray],
    texts: tuple[bytes, bytes],
    counts: ConversionCounts,
    links_path: PathLike,
    line_numbers: Sequence[int],
) -> CorpusLinks:
    """The links without those of ``</s>``, and without those of pairs that count words by the other definition.

    :param words: (sentences,) words of each source and of each target.
    :param texts: lines of source and target words.
    :param counts: filled in.
    """
    word_split = counts.word_split
    other_words = (
        count_other_words(texts[0], words[0], word_split.source),
        count_other_words(texts[1], words[1], word_split.target),
    )
    same_words = (words[0] == other_words[0]) & (words[1] == other_words[1])
    links, counts.end_links = take_off_end_links(links, *words, same_words)
    counts.add_read(links)
    counts.split_evidence, of_other = evidence_of(links, words, other_words)
    if not of_other.any():
        return links
    first = int(np.argmax(of_other))
    own, other = ([int(side[first]) for side in sides] for sides in (words, other_words))
    counts.examples.append(_other_words_warning(f"{links_path}:{line_numbers[first]}", own, other, word_split))
    of_pair = of_other[links.sentence()]
    counts.of_other_words = int(of_pair.sum())
    return links.where(~of_pair)


def _other_words_warning(where: str, words: Sequence[int], other_words: Sequence[int], word_split: WordSplits) -> str:
    return (
        f"{where}: the links of this pair were left out: they fit its {other_words[0]} source and {other_words[1]}"
        f" target words {told(other_splits(word_split))}, not the {words[0]} and {words[1]} {told(word_split)}"
    )


def _first_dropped(
    links: CorpusLinks,
    kept: np.ndarray,
    sizes: tuple[np.ndarray, np.ndarray],
    back: bool,
    links_path: PathLike,
    line_numbers: Sequence[int],
) -> list[str]:
    """A message about the first link that was dropped for each reason.

    :param kept: (links,) bool.
    :param sizes: (sentences,) words of each source and of each target; pieces for ``back``.
    """
    sentence = links.sentence()
    outside = is_outside(links, *sizes)
    messages = []
    for of_reason in (outside, ~(outside | kept)):
        if not of_reason.any():
            continue
        row = int(np.argmax(of_reason))
        of = int(sentence[row])
        start = f"{links_path}:{line_numbers[of]}: link {links.source[row]}-{links.target[row]} (from 0) was dropped:"
        if outside[row]:
            reason = f"the pair has {sizes[0][of]} source and {sizes[1][of]} target {'pieces' if back else 'words'}"
        elif back:
            reason = "one of its pieces spells no word: it is a lone space, or words and pieces of the pair differ"
        else:
            reason = (
                "no piece spells one of its words: the pieces leave its text out, as they do with control characters,"
                " or words and pieces of the pair differ"
            )
        messages.append(f"{start} {reason}")
    return messages


def _match(
    words: bytes, pieces: bytes, side: Side, line_numbers: Sequence[int], mismatches: list[str], skip: bool
) -> WordPieces:
    """Which pieces spell which words of some lines of a side.

    :param mismatches: gets a message for each line whose words and pieces differ.
    :raises SubwordMismatchError: there is such a line, and it is not to be skipped.
    """

    def note(index: int, difference: str) -> None:
        line = line_numbers[index]
        message = f"{side.pieces}:{line} (words: {side.words}:{line}): {difference}"
        if not skip:
            raise SubwordMismatchError(message)
        mismatches.append(message)

    places_of = None if side.model is None else encoder(str(side.model)).places_of
    return match_lines(words, pieces, side.kind, places_of, note)


@cache
def encoder(model: str) -> PieceEncoder:
    """The model, read once in each process."""
    return PieceEncoder(model)
