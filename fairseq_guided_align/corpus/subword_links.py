"""Files of word links to files of subword links, block by block, in one process or several."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple, Optional

import numpy as np

from fairseq_guided_align.corpus.link_counts import EXAMPLES, LinkCounts, share
from fairseq_guided_align.errors import AlignmentRangeError, SubwordMismatchError
from fairseq_guided_align.files.byte_lines import (
    Block,
    PathLike,
    lines_of,
    locate_blocks_together,
    read_blocks_together,
)
from fairseq_guided_align.files.workers import map_in_order
from fairseq_guided_align.links.end_links import take_off_end_links, told_end_links
from fairseq_guided_align.links.link import CorpusLinks
from fairseq_guided_align.links.pharaoh import format_block, parse_block
from fairseq_guided_align.links.split_evidence import (
    SplitEvidence,
    evidence_of,
    split_contradiction_warning,
    split_warning,
)
from fairseq_guided_align.links.words import DEFAULT_SPLIT, SHOWN, count_other_words, other_split, separated
from fairseq_guided_align.subwords.conversion import corpus_subword_links_to_word_links, word_links_to_subword_links
from fairseq_guided_align.subwords.sentencepiece_models import PieceEncoder
from fairseq_guided_align.subwords.spelling import match_lines
from fairseq_guided_align.subwords.word_pieces import WordPieces

LINES_IN_BLOCK = 1000


@dataclass(frozen=True)
class Side:
    """One language of a corpus.

    :param words: text of words, in which the word links' positions count.
    :param pieces: the same text cut into subword pieces.
    :param kind: one of ``subwords.pieces.KINDS``.
    :param model: SentencePiece model that cut it; asked only where words and pieces have different characters.
    """

    words: PathLike
    pieces: PathLike
    kind: str
    model: Optional[PathLike] = None


@dataclass(frozen=True)
class ProjectionSettings:
    """How word links become subword links.

    :param policy: one of ``subwords.conversion.POLICIES``.
    :param back: read subword links and give word links instead.
    :param one_based: positions in the links count from 1.
    :param inverted: the links are target-source.
    :param skip_mismatches: where words and pieces of a pair differ, leave it without links instead of stopping.
    :param max_dropped: share of the links, in [0, 1], that may be dropped before it is an error.
    :param word_split: what the words are, one of ``links.words.WORD_SPLITS``.
    """

    policy: str = "all"
    back: bool = False
    one_based: bool = False
    inverted: bool = False
    skip_mismatches: bool = False
    max_dropped: float = 0.1
    word_split: str = DEFAULT_SPLIT


@dataclass
class ProjectionCounts(LinkCounts):
    """What went in and came out. Tokens are of the new units.

    :param of_other_words: links left out because their pair's can only count words by the other definition.
    :param special_tokens: pieces that are spelled like fairseq's own tokens.
    :param split_evidence: by which definition the links count words.
    """

    links_written: int = 0
    without_pieces: int = 0
    mismatched: int = 0
    source_tokens: int = 0
    target_tokens: int = 0
    source_tokens_linked: int = 0
    target_tokens_linked: int = 0
    of_other_words: int = 0
    special_tokens: int = 0
    split_evidence: SplitEvidence = field(default_factory=SplitEvidence)

    @property
    def dropped(self) -> int:
        return self.out_of_range + self.without_pieces + self.of_other_words

    def check_words(self, path: PathLike, word_split: str) -> None:
        """:raises AlignmentRangeError: the links count words by another definition, so that many are shifted."""
        contradiction = split_contradiction_warning(path, self.split_evidence, word_split)
        if contradiction:
            raise AlignmentRangeError(contradiction)

    def word_warnings(self, path: PathLike, word_split: str) -> Iterator[str]:
        """Signs that the links count words by another definition."""
        suspicion = split_warning(path, self.split_evidence, word_split)
        if suspicion:
            yield suspicion

    def add_mismatches(self, mismatches: Optional[Sequence[str]]) -> None:
        """Count pairs whose words and pieces differ.

        :param mismatches: what to tell of each.
        """
        if mismatches:
            self.mismatched += len(mismatches)
            self.examples = [*mismatches, *self.examples][:EXAMPLES]

    def summary(self, name: str) -> str:
        """One line of coverage: sentences with links, target tokens with links, links lost and why."""
        lost = [
            f"{count} {why}"
            for count, why in (
                (self.out_of_range, "outside their sentence"),
                (self.without_pieces, "of words that no piece spells"),
                (self.of_other_words, "of pairs whose links count words otherwise"),
            )
            if count
        ]
        skipped = f"; {self.mismatched} pairs whose words and pieces differ" if self.mismatched else ""
        return (
            f"{name}: {self.sentences} sentence pairs, {share(self.sentences_with_links, self.sentences)} with links;"
            f" {self.links_read} links became {self.links_written};"
            f" {share(self.target_tokens_linked, self.target_tokens)} of target and"
            f" {share(self.source_tokens_linked, self.source_tokens)} of source tokens linked;"
            f" links dropped: {', '.join(lost) if lost else 'none'}{skipped}"
            f"{told_end_links(self.end_links)}"
        )


class ProjectedBlock(NamedTuple):
    """:param links: of consecutive sentence pairs, in the new units."""

    links: CorpusLinks
    counts: ProjectionCounts


@dataclass(frozen=True)
class ProjectionFiles:
    """Links of a corpus and its text, line by line.

    :param links: as messages name it.
    :param links_text: Pharaoh text, where ``links`` is none.
    """

    links: PathLike
    source: Side
    target: Side
    settings: ProjectionSettings = field(default_factory=ProjectionSettings)
    links_text: Optional[PathLike] = None


class ProjectionTask(NamedTuple):
    """Some lines of every file: links, source words, source pieces, target words, target pieces."""

    files: ProjectionFiles
    first_line: int
    blocks: list[Block]


def projection_tasks(files: ProjectionFiles, workers: int) -> Iterator[ProjectionTask]:
    """Consecutive blocks of sentence pairs; several workers read them for themselves.

    :raises AlignmentLengthError: the files differ in their number of lines.
    """
    links = files.links if files.links_text is None else files.links_text
    paths = [links, files.source.words, files.source.pieces, files.target.words, files.target.pieces]
    together = read_blocks_together if workers == 1 else locate_blocks_together
    for first_line, blocks in together(paths, LINES_IN_BLOCK):
        yield ProjectionTask(files, first_line, list(blocks))


def project_to_text(files: ProjectionFiles, workers: int) -> Generator[tuple[bytes, ProjectionCounts], None, None]:
    """Lines of consecutive blocks of sentence pairs; memory does not grow with the files.

    :raises AlignmentLengthError: the files differ in their number of lines.
    :raises AlignmentFormatError, AlignmentRangeError: a link cannot be read; with file and line.
    :raises SubwordMismatchError: words and pieces of a pair differ; with file, line and the first difference.
    """
    return map_in_order(_project_to_text, projection_tasks(files, workers), workers)


def _project_to_text(task: ProjectionTask) -> tuple[bytes, ProjectionCounts]:
    links, counts = project_task(task)
    return format_block(links), counts


def project_block(
    links: CorpusLinks,
    source: WordPieces,
    target: WordPieces,
    settings: ProjectionSettings,
    links_path: PathLike,
    line_numbers: Sequence[int],
    other_words: tuple[np.ndarray, np.ndarray],
) -> ProjectedBlock:
    """Links already read, already in the direction of the text, of one block of sentence pairs.

    :param line_numbers: of each pair, for messages.
    :param other_words: (sentences,) words of both sides by the definition that is not in use.
    """
    if settings.back:
        links, end_links = take_off_end_links(links, source.pieces, target.pieces)
    else:
        same_words = (source.words == other_words[0]) & (target.words == other_words[1])
        links, end_links = take_off_end_links(links, source.words, target.words, same_words)
    read = links
    evidence = SplitEvidence()
    examples = []
    if not settings.back:
        evidence, of_other = evidence_of(links, (source.words, target.words), other_words)
        if of_other.any():
            of = int(np.argmax(of_other))
            examples.append(
                _other_words_warning(
                    f"{links_path}:{line_numbers[of]}",
                    (int(source.words[of]), int(target.words[of])),
                    (int(other_words[0][of]), int(other_words[1][of])),
                    settings.word_split,
                )
            )
            links = links.where(~of_other[links.sentence()])
    if settings.back:
        projected = corpus_subword_links_to_word_links(links, source, target)
    else:
        projected = word_links_to_subword_links(links, source, target, settings.policy)
    made = projected.links
    source_tokens, target_tokens = (source.words, target.words) if settings.back else (source.pieces, target.pieces)
    sentence = made.sentence()
    counts = ProjectionCounts(
        sentences_with_links=int((np.diff(made.offsets) > 0).sum()),
        links_written=len(made.source),
        out_of_range=projected.out_of_range,
        without_pieces=projected.without_pieces,
        source_tokens=int(source_tokens.sum()),
        target_tokens=int(target_tokens.sum()),
        source_tokens_linked=_distinct_tokens(sentence, made.source, source_tokens),
        target_tokens_linked=_distinct_tokens(sentence, made.target, target_tokens),
        of_other_words=len(read.source) - len(links.source),
        split_evidence=evidence,
        end_links=end_links,
        examples=examples,
    )
    counts.add_read(read)
    if not projected.kept.all():
        sizes = (source.pieces, target.pieces) if settings.back else (source.words, target.words)
        counts.examples += _first_dropped(links, projected.kept, sizes, settings.back, links_path, line_numbers)
    return ProjectedBlock(made, counts)


def _first_dropped(
    links: CorpusLinks,
    kept: np.ndarray,
    sizes: tuple[np.ndarray, np.ndarray],
    back: bool,
    links_path: PathLike,
    line_numbers: Sequence[int],
) -> list[str]:
    """What to tell of the first link that was dropped for each reason.

    :param kept: (links,) bool.
    :param sizes: (sentences,) words of each source and of each target; pieces for ``back``.
    """
    sentence = links.sentence()
    inside = (links.source < sizes[0][sentence]) & (links.target < sizes[1][sentence])
    told = []
    for of_reason in (~inside, inside & ~kept):
        if not of_reason.any():
            continue
        row = int(np.argmax(of_reason))
        of = int(sentence[row])
        start = f"{links_path}:{line_numbers[of]}: link {links.source[row]}-{links.target[row]} (from 0) was dropped:"
        if not inside[row]:
            reason = f"the pair has {sizes[0][of]} source and {sizes[1][of]} target {'pieces' if back else 'words'}"
        elif back:
            reason = "one of its pieces spells no word: it is a lone space, or words and pieces of the pair differ"
        else:
            reason = (
                "no piece spells one of its words: the pieces leave its text out, as they do with control characters,"
                " or words and pieces of the pair differ"
            )
        told.append(f"{start} {reason}")
    return told


def _other_words_warning(where: str, words: tuple[int, int], other_words: tuple[int, int], word_split: str) -> str:
    return (
        f"{where}: the links of this pair were left out: they fit its {other_words[0]} source and {other_words[1]}"
        f" target words {SHOWN[other_split(word_split)]}, not the {words[0]} and {words[1]} {SHOWN[word_split]}"
    )


def match_block(
    words: bytes, pieces: bytes, side: Side, line_numbers: Sequence[int], mismatches: Optional[list[str]]
) -> WordPieces:
    """Which pieces spell which words of some lines of a side; mismatches are collected, or an error without a list.

    :param line_numbers: of each line, for messages.
    """

    def where(index: int) -> str:
        return f"{side.pieces}:{line_numbers[index]} (words: {side.words}:{line_numbers[index]})"

    found: list[tuple[int, str]] = []

    def note(index: int, difference: str) -> None:
        if mismatches is None:
            raise SubwordMismatchError(f"{where(index)}: {difference}")
        found.append((index, difference))

    places_of = None if side.model is None else encoder(str(side.model)).places_of
    matched = match_lines(words, pieces, side.kind, places_of, note)
    if mismatches is not None:
        mismatches.extend(f"{where(index)}: {difference}" for index, difference in found)
    return matched


@cache
def encoder(model: str) -> PieceEncoder:
    """The model, read once in each process."""
    return PieceEncoder(model)


def project_task(task: ProjectionTask) -> ProjectedBlock:
    """Links of a block of sentence pairs, in the new units. Raises as :func:`project_to_text`."""
    files, first_line = task.files, task.first_line
    settings = files.settings
    text = [lines_of(block) for block in task.blocks]
    links = parse_block(text[0], files.links, first_line, settings.one_based)
    if settings.inverted:
        links = links.inverted()
    mismatches: Optional[list[str]] = [] if settings.skip_mismatches else None
    lines = range(first_line, first_line + len(links))
    words = [separated(one, settings.word_split) for one in (text[1], text[3])]
    source = match_block(words[0], text[2], files.source, lines, mismatches)
    target = match_block(words[1], text[4], files.target, lines, mismatches)
    other_words = (
        count_other_words(text[1], source.words, settings.word_split),
        count_other_words(text[3], target.words, settings.word_split),
    )
    block = project_block(links, source, target, settings, files.links, lines, other_words)
    block.counts.add_mismatches(mismatches)
    return block


def _distinct_tokens(sentence: np.ndarray, position: np.ndarray, tokens: np.ndarray) -> int:
    linked = np.zeros(int(tokens.sum()), bool)
    linked[(np.cumsum(tokens) - tokens)[sentence] + position] = True
    return int(linked.sum())
