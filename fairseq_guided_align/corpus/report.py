"""An alignment file counted against its two texts: links, coverage, and everything that is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from fairseq_guided_align.corpus.link_counts import linked_tokens
from fairseq_guided_align.errors import AlignmentFormatError, AlignmentLengthError, AlignmentRangeError
from fairseq_guided_align.files.byte_lines import count_lines, decode_line, read_blocks_together
from fairseq_guided_align.files.opening import PathLike, is_pipe
from fairseq_guided_align.links.end_links import take_off_end_links
from fairseq_guided_align.links.link import CorpusLinks
from fairseq_guided_align.links.one_based import looks_one_based
from fairseq_guided_align.links.outside import is_outside
from fairseq_guided_align.links.pharaoh import parse_block, parse_line
from fairseq_guided_align.links.reading import as_pharaoh
from fairseq_guided_align.links.split_evidence import SplitEvidence, evidence_of
from fairseq_guided_align.links.words import DEFAULT_SPLITS, WordSplits, count_both, separated
from fairseq_guided_align.subwords.pieces import CONTINUATION, SPACE_MARK, goes_on
from fairseq_guided_align.subwords.word_positions import WordPositions


@dataclass
class AlignmentReport:
    """Counts over sentence pairs.

    :param out_of_range: links outside their sentence. They count nowhere else.
    :param end_links: links of ``</s>``, as Marian writes them. Every command takes them off; they count nowhere else.
    :param lines: number of lines of each file that can be read twice; that of a pipe is known at its end.
    :param problems: messages about the first problems of each kind, with file and line.
    """

    sentences: int = 0
    sentences_with_links: int = 0
    empty_sentences: int = 0
    links: int = 0
    possible: int = 0
    weighted: int = 0
    source_words: int = 0
    target_words: int = 0
    source_words_linked: int = 0
    target_words_linked: int = 0
    out_of_range: int = 0
    out_of_range_if_inverted: int = 0
    out_of_range_if_one_based: int = 0
    at_position_zero: int = 0
    end_links: int = 0
    unreadable_lines: int = 0
    undecodable_lines: int = 0
    lines: dict[str, int] = field(default_factory=dict)
    ends_together: bool = True
    problems: list[str] = field(default_factory=list)
    source_positions: WordPositions = field(default_factory=WordPositions)
    target_positions: WordPositions = field(default_factory=WordPositions)
    split_evidence: SplitEvidence = field(default_factory=SplitEvidence)

    @property
    def same_length(self) -> bool:
        return self.ends_together and len(set(self.lines.values())) <= 1

    @property
    def looks_one_based(self) -> bool:
        """Whether no link of many sentence pairs has position 0 on either side."""
        return looks_one_based(self.sentences_with_links, self.at_position_zero)

    @property
    def looks_inverted(self) -> bool:
        """Whether links point outside that would all be inside with source and target swapped."""
        return self.out_of_range > 0 and self.out_of_range_if_inverted == 0

    @property
    def looks_like_words(self) -> bool:
        """Whether a text is in subword pieces and the links stay below its number of words."""
        return self.source_positions.suspicious or self.target_positions.suspicious

    @property
    def errors(self) -> int:
        """Number of problems that stop a training, or that cost it links silently."""
        nothing = not self.same_length or not self.links
        return (
            self.unreadable_lines
            + self.undecodable_lines
            + self.out_of_range
            + nothing
            + self.split_evidence.contradicts
        )


def report_on(
    links: PathLike,
    source: PathLike,
    target: PathLike,
    one_based: bool = False,
    problems: int = 5,
    word_split: WordSplits = DEFAULT_SPLITS,
) -> AlignmentReport:
    """Read the three files side by side and count.

    :param source: text, words or pieces, in which source positions count.
    :param problems: how many examples of each kind of problem to keep.
    :param word_split: what the tokens of source and target are.
    :raises GuidedAlignError: a file cannot be read, or its links are of no form of ``links.forms.FORMS``.
    """
    report = AlignmentReport()
    with as_pharaoh(links, lambda: count_lines(source), one_based) as text:
        paths = [text, source, target]
        names = [links, source, target]
        report.lines = {str(name): count_lines(path) for name, path in zip(names, paths) if not is_pipe(path)}
        if not report.same_length:
            counts = ", ".join(f"{path} has {count}" for path, count in report.lines.items())
            report.problems.append(f"expected as many lines in each file; {counts}")
            return report
        try:
            for first_line, blocks in read_blocks_together(paths, 2000):
                _Block(report, names, first_line, one_based, problems).count(blocks, word_split)
        except AlignmentLengthError as error:  # Where a pipe turns out to have another number of lines
            report.ends_together = False
            report.problems.append(str(error))
    return report


@dataclass(frozen=True)
class _Block:
    """Counts a block of lines into a report.

    :param names: of the links, the source and the target, as messages name them.
    :param examples: problems of each kind to show.
    """

    report: AlignmentReport
    names: list[PathLike]
    first_line: int
    one_based: bool
    examples: int

    def count(self, blocks: Sequence[bytes], word_split: WordSplits) -> None:
        """:param blocks: lines of the links, the source and the target."""
        report = self.report
        links, text = self._readable(blocks[0]), blocks[1:]
        for name, block in zip(self.names[1:], text):
            self._check_text(name, block)
        (source, other_source), (target, other_target) = map(count_both, text, word_split)
        same_words = (source == other_source) & (target == other_target)
        links, end_links = take_off_end_links(links, source, target, same_words)
        report.end_links += end_links
        report.split_evidence += evidence_of(links, (source, target), (other_source, other_target))[0]
        self._count_text(source, target)
        self._count_inside(links.where(self._inside(links, source, target)), source, target)
        sentence = links.sentence()
        for positions, block, split, words, position in (
            (report.source_positions, text[0], word_split.source, source, links.source),
            (report.target_positions, text[1], word_split.target, target, links.target),
        ):
            positions.add(words, _spelt_words(separated(block, split), words), sentence, position)

    def _count_text(self, source: np.ndarray, target: np.ndarray) -> None:
        self.report.sentences += len(source)
        self.report.empty_sentences += int(((source == 0) | (target == 0)).sum())
        self.report.source_words += int(source.sum())
        self.report.target_words += int(target.sum())

    def _count_inside(self, links: CorpusLinks, source: np.ndarray, target: np.ndarray) -> None:
        """:param links: all inside their sentences."""
        report, sentence = self.report, links.sentence()
        report.links += len(links.source)
        report.possible += int((~links.sures()).sum())
        report.weighted += int((links.weights() != 1).sum())
        report.sentences_with_links += int(np.count_nonzero(np.diff(links.offsets)))
        report.source_words_linked += linked_tokens(sentence, links.source, source)
        report.target_words_linked += linked_tokens(sentence, links.target, target)

    def _inside(self, links: CorpusLinks, source: np.ndarray, target: np.ndarray) -> np.ndarray:
        """(n,) bool: the links inside their sentences; the others are counted."""
        report, sentence = self.report, links.sentence()
        sources, targets = source[sentence], target[sentence]
        outside = is_outside(links, source, target)
        report.at_position_zero += int(((links.source == 0) | (links.target == 0)).sum())
        report.out_of_range_if_inverted += int(is_outside(links, target, source).sum())
        shift = 0 if self.one_based else 1
        report.out_of_range_if_one_based += int(is_outside(links, source + shift, target + shift).sum())
        base = int(self.one_based)
        for row in np.flatnonzero(outside):
            link = f"{links.source[row] + base}-{links.target[row] + base}"
            line = self.first_line + int(sentence[row])
            self._note("out_of_range", _outside_warning(self.names[0], line, link, (sources[row], targets[row])))
        return ~outside

    def _readable(self, block: bytes) -> CorpusLinks:
        """The block's links; lines that cannot be read are counted and have none."""
        path = self.names[0]
        try:
            return parse_block(block, path, self.first_line, self.one_based)
        except (AlignmentFormatError, AlignmentRangeError):
            pass
        sentences = []
        for number, line in enumerate(block.split(b"\n")[:-1], start=self.first_line):
            try:
                sentences.append(parse_line(line, f"{path}:{number}", self.one_based))
            except (AlignmentFormatError, AlignmentRangeError) as error:
                self._note("unreadable_lines", str(error))
                sentences.append(parse_line(b""))
        return CorpusLinks.from_sentences(sentences)

    def _check_text(self, path: PathLike, block: bytes) -> None:
        """Count lines that are not UTF-8; other programs refuse them."""
        try:
            block.decode()
        except UnicodeDecodeError:
            for number, line in enumerate(block.split(b"\n")[:-1], start=self.first_line):
                try:
                    decode_line(line, path, number)
                except AlignmentFormatError as error:
                    self._note("undecodable_lines", str(error))

    def _note(self, count: str, problem: str) -> None:
        """Count a problem, and keep the first few of its kind.

        :param count: the report's count of such problems.
        """
        found = getattr(self.report, count) + 1
        setattr(self.report, count, found)
        if found <= self.examples:
            self.report.problems.append(problem)


def _outside_warning(path: PathLike, line: int, link: str, words: tuple[int, int]) -> str:
    return (
        f"{path}:{line}: link {link} points outside the sentence pair of {words[0]} source and {words[1]} target words"
    )


def _spelt_words(block: bytes, tokens: np.ndarray) -> np.ndarray:
    """Words that the lines spell: as many as tokens, unless these are marked as subword pieces."""
    begins = SPACE_MARK.encode()
    lines = (line.split() for line in block.split(b"\n")[:-1])
    if begins in block:
        return np.array([sum(token.startswith(begins) for token in line) for line in lines], np.int64)
    if CONTINUATION.encode() in block:
        ends = ([not goes_on(token.decode(errors="replace")) for token in line] for line in lines)
        return np.array([sum(line) for line in ends], np.int64)
    return tokens
