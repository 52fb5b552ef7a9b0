"""What is in an alignment file, counted against its two texts: links, coverage, and everything that is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from fairseq_guided_align.errors import AlignmentFormatError, AlignmentLengthError, AlignmentRangeError
from fairseq_guided_align.files.byte_lines import PathLike, count_lines, decode_line, is_pipe, read_blocks_together
from fairseq_guided_align.links.end_links import take_off_end_links
from fairseq_guided_align.links.link import CorpusLinks
from fairseq_guided_align.links.one_based import looks_one_based
from fairseq_guided_align.links.pharaoh import parse_block, parse_line
from fairseq_guided_align.links.reading import as_pharaoh
from fairseq_guided_align.links.split_evidence import SplitEvidence, evidence_of
from fairseq_guided_align.links.words import DEFAULT_SPLIT, count_other_words, count_words, separated
from fairseq_guided_align.subwords.pieces import CONTINUATION, SPACE_MARK, goes_on
from fairseq_guided_align.subwords.word_positions import WordPositions


@dataclass
class AlignmentReport:
    """Counts over sentence pairs; ``problems`` holds the first of each kind, with file and line.

    ``lines`` is the number of each file that can be read twice; whether a pipe has as many is seen at its end.
    ``end_links`` are of ``</s>``, as Marian writes them, which every command takes off; they count nowhere else.
    A link is out of range when it points outside its sentence; such links count nowhere else.
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
        """Things that training would stumble over or silently lose."""
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
    word_split: str = DEFAULT_SPLIT,
) -> AlignmentReport:
    """Read the three files side by side and count.

    :param source: text, words or pieces, in which source positions count.
    :param problems: how many examples of each kind of problem to keep.
    :param word_split: what separates them, one of ``links.words.WORD_SPLITS``.
    :raises GuidedAlignError: a file cannot be read, or is not Pharaoh text nor of NAACL's form.
    """
    with as_pharaoh(links, lambda: count_lines(source), one_based) as text:
        return _report(text, links, source, target, one_based, problems, word_split)


def _report(
    text: PathLike,
    links: PathLike,
    source: PathLike,
    target: PathLike,
    one_based: bool,
    problems: int,
    word_split: str,
) -> AlignmentReport:
    """As :func:`report_on`.

    :param text: the links as Pharaoh text.
    """
    report = AlignmentReport()
    paths = [text, source, target]
    report.lines = {
        str(name): count_lines(path) for name, path in zip([links, source, target], paths) if not is_pipe(path)
    }
    if not report.same_length:
        counts = ", ".join(f"{path} has {count}" for path, count in report.lines.items())
        report.problems.append(f"expected as many lines in each file; {counts}")
        return report
    for first_line, blocks in _blocks(report, paths):
        found = _readable(report, blocks[0], links, first_line, one_based, problems)
        for path, block in zip(paths[1:], blocks[1:]):
            _check_text(report, block, path, first_line, problems)
        source_words, target_words = count_words(blocks[1], word_split), count_words(blocks[2], word_split)
        other_words = (
            count_other_words(blocks[1], source_words, word_split),
            count_other_words(blocks[2], target_words, word_split),
        )
        same_words = (source_words == other_words[0]) & (target_words == other_words[1])
        found, end_links = take_off_end_links(found, source_words, target_words, same_words)
        report.end_links += end_links
        _add(report, found, source_words, target_words, links, first_line, one_based, problems)
        report.split_evidence += evidence_of(found, (source_words, target_words), other_words)[0]
        blocks = [separated(block, word_split) for block in blocks]
        sentence = found.sentence()
        report.source_positions.add(source_words, _spelt_words(blocks[1], source_words), sentence, found.source)
        report.target_positions.add(target_words, _spelt_words(blocks[2], target_words), sentence, found.target)
    return report


def _blocks(report: AlignmentReport, paths: list[PathLike]) -> Iterator[tuple[int, list[bytes]]]:
    """Blocks of lines that belong together, up to where a pipe turns out to have another number of lines."""
    try:
        yield from read_blocks_together(paths, 2000)
    except AlignmentLengthError as error:
        report.ends_together = False
        report.problems.append(str(error))


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


def _check_text(report: AlignmentReport, block: bytes, path: PathLike, first_line: int, problems: int) -> None:
    """Lines that are no text are for other programs to refuse; here they are counted."""
    try:
        block.decode()
    except UnicodeDecodeError:
        for line_number, line in enumerate(block.split(b"\n")[:-1], start=first_line):
            try:
                decode_line(line, path, line_number)
            except AlignmentFormatError as error:
                report.undecodable_lines += 1
                if report.undecodable_lines <= problems:
                    report.problems.append(str(error))


def _readable(
    report: AlignmentReport, block: bytes, path: PathLike, first_line: int, one_based: bool, problems: int
) -> CorpusLinks:
    try:
        return parse_block(block, path, first_line, one_based)
    except (AlignmentFormatError, AlignmentRangeError):
        return CorpusLinks.from_sentences(_lines_that_parse(report, block, path, first_line, one_based, problems))


def _lines_that_parse(
    report: AlignmentReport, block: bytes, path: PathLike, first_line: int, one_based: bool, problems: int
) -> Iterator:
    for line_number, line in enumerate(block.split(b"\n")[:-1], start=first_line):
        try:
            yield parse_line(line, f"{path}:{line_number}", one_based)
        except (AlignmentFormatError, AlignmentRangeError) as error:
            report.unreadable_lines += 1
            if report.unreadable_lines <= problems:
                report.problems.append(str(error))
            yield parse_line(b"")


def _add(
    report: AlignmentReport,
    links: CorpusLinks,
    source_words: np.ndarray,
    target_words: np.ndarray,
    path: PathLike,
    first_line: int,
    one_based: bool,
    problems: int,
) -> None:
    sentence = links.sentence()
    sources, targets = source_words[sentence], target_words[sentence]
    inside = (links.source < sources) & (links.target < targets)
    report.sentences += len(links)
    report.empty_sentences += int(((source_words == 0) | (target_words == 0)).sum())
    report.source_words += int(source_words.sum())
    report.target_words += int(target_words.sum())
    report.links += int(inside.sum())
    if links.sure is not None:
        report.possible += int((~links.sure & inside).sum())
    if links.weight is not None:
        report.weighted += int(((links.weight != 1) & inside).sum())
    report.sentences_with_links += len(np.unique(sentence[inside]))
    report.at_position_zero += int(((links.source == 0) | (links.target == 0)).sum())
    report.source_words_linked += _distinct(sentence[inside], links.source[inside])
    report.target_words_linked += _distinct(sentence[inside], links.target[inside])
    report.out_of_range_if_inverted += int(((links.target >= sources) | (links.source >= targets)).sum())
    shift = 0 if one_based else 1
    report.out_of_range_if_one_based += int(
        ((links.source - shift >= sources) | (links.target - shift >= targets)).sum()
    )
    base = int(one_based)
    for row in np.flatnonzero(~inside):
        report.out_of_range += 1
        if report.out_of_range <= problems:
            report.problems.append(
                f"{path}:{first_line + sentence[row]}: link {links.source[row] + base}-{links.target[row] + base}"
                f" points outside the sentence pair of {sources[row]} source and {targets[row]} target words"
            )


def _distinct(sentence: np.ndarray, position: np.ndarray) -> int:
    return len(np.unique((sentence << 32) | position.astype(np.int64)))
