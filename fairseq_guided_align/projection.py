"""Files of word links to files of subword links, block by block, in one process or several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from typing import NamedTuple, Optional

import numpy as np

from fairseq_guided_align.byte_lines import PathLike, read_blocks_together
from fairseq_guided_align.errors import GuidedAlignError, SubwordMismatchError, check_links_dropped
from fairseq_guided_align.links import CorpusLinks
from fairseq_guided_align.pharaoh import parse_block
from fairseq_guided_align.sentencepiece_models import PieceEncoder
from fairseq_guided_align.spelling import match_lines
from fairseq_guided_align.subwords import (
    WordPieces,
    corpus_subword_links_to_word_links,
    word_links_to_subword_links,
)
from fairseq_guided_align.worker_processes import map_in_order

LINES_IN_BLOCK = 1000


@dataclass(frozen=True)
class Side:
    """One language of a corpus.

    :param words: text of words, in which the word links' positions count.
    :param pieces: the same text cut into subword pieces.
    :param kind: one of ``subwords.KINDS``.
    :param model: SentencePiece model that cut it; asked only where words and pieces have different characters.
    """

    words: PathLike
    pieces: PathLike
    kind: str
    model: Optional[PathLike] = None


@dataclass(frozen=True)
class ProjectionSettings:
    """How word links become subword links.

    :param policy: one of ``subwords.POLICIES``.
    :param back: read subword links and give word links instead.
    :param one_based: positions in the links count from 1.
    :param inverted: the links are target-source.
    :param skip_mismatches: where words and pieces of a pair differ, leave it without links instead of stopping.
    :param max_dropped: share of the links, in [0, 1], that may be dropped before it is an error.
    """

    policy: str = "all"
    back: bool = False
    one_based: bool = False
    inverted: bool = False
    skip_mismatches: bool = False
    max_dropped: float = 0.1


@dataclass
class ProjectionCounts:
    """What went in and came out; ``examples`` holds the first of what was lost, with file and line."""

    sentences: int = 0
    sentences_with_links: int = 0
    links_read: int = 0
    links_written: int = 0
    out_of_range: int = 0
    without_pieces: int = 0
    mismatched: int = 0
    at_position_zero: int = 0
    source_tokens: int = 0
    target_tokens: int = 0
    source_tokens_linked: int = 0
    target_tokens_linked: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, other: ProjectionCounts) -> None:
        for one in fields(self):
            if one.name != "examples":
                setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))
        self.examples = (self.examples + other.examples)[:5]

    def check(self, name: object, settings: ProjectionSettings) -> None:
        """:raises AlignmentRangeError: more links were dropped than the settings let pass."""
        check_links_dropped(name, self.out_of_range + self.without_pieces, self.links_read, settings.max_dropped)

    def summary(self, name: str) -> str:
        """One line of coverage: sentences with links, target tokens with links, links lost and why."""
        lost = [
            f"{count} {why}"
            for count, why in (
                (self.out_of_range, "outside their sentence"),
                (self.without_pieces, "of words that no piece spells"),
            )
            if count
        ]
        skipped = f"; {self.mismatched} pairs whose words and pieces differ" if self.mismatched else ""
        return (
            f"{name}: {self.sentences} sentence pairs, {_share(self.sentences_with_links, self.sentences)} with links;"
            f" {self.links_read} links became {self.links_written};"
            f" {_share(self.target_tokens_linked, self.target_tokens)} of target and"
            f" {_share(self.source_tokens_linked, self.source_tokens)} of source tokens linked;"
            f" links dropped: {', '.join(lost) if lost else 'none'}{skipped}"
        )


class ProjectedBlock(NamedTuple):
    """:param links: of consecutive sentence pairs, in the new units."""

    links: CorpusLinks
    counts: ProjectionCounts


def project_files(
    links: PathLike, source: Side, target: Side, settings: ProjectionSettings, workers: int = 1
) -> Iterator[ProjectedBlock]:
    """Links of consecutive blocks of sentence pairs; memory does not grow with the files.

    :raises AlignmentLengthError: the files differ in their number of lines.
    :raises AlignmentFormatError, AlignmentRangeError: a link cannot be read; with file and line.
    :raises SubwordMismatchError: words and pieces of a pair differ; with file, line and the first difference.
    """
    paths = [links, source.words, source.pieces, target.words, target.pieces]
    blocks = (
        (first_line, texts, links, source, target, settings)
        for first_line, texts in read_blocks_together(paths, LINES_IN_BLOCK)
    )
    return map_in_order(_project_block, blocks, workers)


def project_block(
    links: CorpusLinks,
    source: WordPieces,
    target: WordPieces,
    settings: ProjectionSettings,
    links_path: PathLike,
    line_numbers: Sequence[int],
) -> ProjectedBlock:
    """Links already read, already in the direction of the text, of one block of sentence pairs.

    :param line_numbers: of each pair, for messages.
    """
    if settings.back:
        projected = corpus_subword_links_to_word_links(links, source, target)
    else:
        projected = word_links_to_subword_links(links, source, target, settings.policy)
    made = projected.links
    source_tokens, target_tokens = (source.words, target.words) if settings.back else (source.pieces, target.pieces)
    sentence = made.sentence()
    counts = ProjectionCounts(
        sentences=len(links),
        sentences_with_links=int((np.diff(made.offsets) > 0).sum()),
        links_read=len(links.source),
        links_written=len(made.source),
        out_of_range=projected.out_of_range,
        without_pieces=projected.without_pieces,
        at_position_zero=int(((links.source == 0) | (links.target == 0)).sum()),
        source_tokens=int(source_tokens.sum()),
        target_tokens=int(target_tokens.sum()),
        source_tokens_linked=_distinct_tokens(sentence, made.source, source_tokens),
        target_tokens_linked=_distinct_tokens(sentence, made.target, target_tokens),
    )
    if not projected.kept.all():
        row = int(np.argmin(projected.kept))
        of = int(links.sentence()[row])
        sides = (source.pieces, target.pieces) if settings.back else (source.words, target.words)
        counts.examples.append(
            f"{links_path}:{line_numbers[of]}: link {links.source[row]}-{links.target[row]} (from 0) was dropped:"
            f" the pair has {sides[0][of]} source and {sides[1][of]} target {'pieces' if settings.back else 'words'}"
        )
    return ProjectedBlock(made, counts)


def match_block(
    words: bytes, pieces: bytes, side: Side, first_line: int, mismatches: Optional[list[str]]
) -> WordPieces:
    """Which pieces spell which words of some lines of a side; mismatches are collected, or an error without a list."""

    def where(index: int) -> str:
        return f"{side.pieces}:{first_line + index} (words: {side.words}:{first_line + index})"

    found: list[tuple[int, str]] = []

    def note(index: int, difference: str) -> None:
        if mismatches is None:
            raise SubwordMismatchError(f"{where(index)}: {difference}")
        found.append((index, difference))

    surfaces_of = None if side.model is None else encoder(str(side.model)).surfaces_of
    matched = match_lines(words, pieces, side.kind, surfaces_of, note)
    if mismatches is not None:
        mismatches.extend(f"{where(index)}: {difference}" for index, difference in found)
    return matched


@cache
def encoder(model: str) -> PieceEncoder:
    """The model, read once in each process."""
    return PieceEncoder(model)


def _project_block(
    task: tuple[int, list[bytes], PathLike, Side, Side, ProjectionSettings],
) -> ProjectedBlock:
    first_line, texts, links_path, source, target, settings = task
    links = parse_block(texts[0], links_path, first_line, settings.one_based)
    if settings.inverted:
        links = links.inverted()
    mismatches: Optional[list[str]] = [] if settings.skip_mismatches else None
    source_words = match_block(texts[1], texts[2], source, first_line, mismatches)
    target_words = match_block(texts[3], texts[4], target, first_line, mismatches)
    lines = range(first_line, first_line + len(links))
    block = project_block(links, source_words, target_words, settings, links_path, lines)
    if mismatches:
        block.counts.mismatched += len(mismatches)
        block.counts.examples = (mismatches + block.counts.examples)[:5]
    return block


def check_kind(kind: str, model: Optional[PathLike]) -> None:
    """:raises GuidedAlignError: a model is given for text that SentencePiece did not cut."""
    if model is not None and kind != "sentencepiece":
        raise GuidedAlignError(f"{model}: a SentencePiece model goes with --subwords sentencepiece; got {kind}")


def _distinct_tokens(sentence: np.ndarray, position: np.ndarray, tokens: np.ndarray) -> int:
    linked = np.zeros(int(tokens.sum()), bool)
    linked[(np.cumsum(tokens) - tokens)[sentence] + position] = True
    return int(linked.sum())


def _share(part: int, whole: int) -> str:
    return f"{part} ({100 * part / whole:.1f} %)" if whole else "0"
