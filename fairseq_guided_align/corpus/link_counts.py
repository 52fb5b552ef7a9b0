"""Counts of the links that were read for a corpus, added up block by block, and what to say about them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields

import numpy as np

from fairseq_guided_align.errors import AlignmentRangeError, check_links_dropped
from fairseq_guided_align.files.byte_lines import PathLike
from fairseq_guided_align.links.end_links import told_end_links
from fairseq_guided_align.links.link import CorpusLinks
from fairseq_guided_align.links.one_based import one_based_warning
from fairseq_guided_align.links.split_evidence import SplitEvidence, split_contradiction_warning, split_warning
from fairseq_guided_align.links.words import DEFAULT_SPLITS, WordSplits

EXAMPLES = 5


@dataclass
class LinkCounts:
    """Links that were read.

    :param sentences_with_links_read: sentence pairs with links in the file.
    :param sentences_with_links: sentence pairs that kept some.
    :param end_links: links of ``</s>``, as Marian writes them. They are taken off first, and count nowhere else.
    :param examples: messages about the first links that were lost, with file and line.
    """

    sentences: int = 0
    sentences_with_links_read: int = 0
    sentences_with_links: int = 0
    links_read: int = 0
    out_of_range: int = 0
    at_position_zero: int = 0
    end_links: int = 0
    examples: list[str] = field(default_factory=list)

    def add_read(self, links: CorpusLinks) -> None:
        """Count links as they were read, before any are dropped."""
        self.sentences += len(links)
        self.sentences_with_links_read += int(np.count_nonzero(np.diff(links.offsets)))
        self.links_read += len(links.source)
        self.at_position_zero += int(((links.source == 0) | (links.target == 0)).sum())

    def add(self, other: LinkCounts) -> None:
        """Add the counts of another part of the corpus.

        :param other: of the same class.
        """
        for one in fields(self):
            own, others = getattr(self, one.name), getattr(other, one.name)
            # The words are those of all parts; all else adds up.
            setattr(self, one.name, others if isinstance(others, WordSplits) else own + others)
        self.examples = self.examples[:EXAMPLES]

    @property
    def dropped(self) -> int:
        return self.out_of_range

    def check(self, path: PathLike, max_dropped: float) -> None:
        """:raises AlignmentRangeError: more than this share of the links of the file was dropped."""
        check_links_dropped(path, self.dropped, self.links_read, max_dropped, next(iter(self.examples), ""))

    def warnings(self, path: PathLike, one_based: bool) -> Iterator[str]:
        """What to say besides the summary.

        :param one_based: positions were taken to count from 1.
        """
        yield from self.examples
        if not one_based:
            suspicion = one_based_warning(path, self.sentences_with_links_read, self.at_position_zero)
            if suspicion:
                yield suspicion

    def summary(self, name: str) -> str:
        """One line: sentences with links, links, links lost and why."""
        dropped = f"{self.out_of_range} outside their sentence" if self.out_of_range else "none"
        return (
            f"{name}: {self.sentences} sentence pairs,"
            f" {with_share(self.sentences_with_links, self.sentences)} with links;"
            f" {self.links_read - self.dropped} links; links dropped: {dropped}"
            f"{told_end_links(self.end_links)}"
        )


@dataclass
class ConversionCounts(LinkCounts):
    """Links read, and what was made of them; tokens are what the new links join.

    :param of_other_words: links left out because those of their pair can only count words by the other definition.
    :param special_tokens: pieces that are spelled like fairseq's own tokens.
    :param word_split: what the words of source and target are.
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
    word_split: WordSplits = DEFAULT_SPLITS
    split_evidence: SplitEvidence = field(default_factory=SplitEvidence)

    @property
    def dropped(self) -> int:
        return self.out_of_range + self.without_pieces + self.of_other_words

    def check(self, path: PathLike, max_dropped: float) -> None:
        """:raises AlignmentRangeError: also where the links count words by another definition, which shifts many."""
        contradiction = split_contradiction_warning(path, self.split_evidence, self.word_split)
        if contradiction:
            raise AlignmentRangeError(contradiction)
        super().check(path, max_dropped)

    def warnings(self, path: PathLike, one_based: bool) -> Iterator[str]:
        """What to say besides the summary; also where the links may count words by another definition."""
        yield from super().warnings(path, one_based)
        suspicion = split_warning(path, self.split_evidence, self.word_split)
        if suspicion:
            yield suspicion

    def add_mismatches(self, mismatches: Sequence[str]) -> None:
        """Count pairs whose words and pieces differ; ``mismatches`` has a message for each."""
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
            f"{name}: {self.sentences} sentence pairs,"
            f" {with_share(self.sentences_with_links, self.sentences)} with links;"
            f" {self.links_read} links became {self.links_written};"
            f" {with_share(self.target_tokens_linked, self.target_tokens)} of target and"
            f" {with_share(self.source_tokens_linked, self.source_tokens)} of source tokens linked;"
            f" links dropped: {', '.join(lost) if lost else 'none'}{skipped}"
            f"{told_end_links(self.end_links)}"
        )


def with_share(part: int, whole: int) -> str:
    """A count, with its share of a whole."""
    return f"{part} ({100 * part / whole:.1f} %)" if whole else "0"


def linked_tokens(sentence: np.ndarray, position: np.ndarray, tokens: np.ndarray) -> int:
    """Number of distinct tokens among those of some links on one side.

    :param sentence: (links,) sentence of each link.
    :param position: (links,) its position, inside the sentence.
    :param tokens: (sentences,) tokens of each.
    """
    linked = np.zeros(int(tokens.sum()), bool)
    linked[(np.cumsum(tokens) - tokens)[sentence] + position] = True
    return int(linked.sum())
