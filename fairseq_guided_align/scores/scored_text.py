"""The text of links that are scored, to find links of ``</s>``, links outside it and links of other words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fairseq_guided_align.errors import AlignmentLengthError
from fairseq_guided_align.files.byte_lines import PathLike, raise_length_error, read_blocks_together
from fairseq_guided_align.links.end_links import take_off_end_links
from fairseq_guided_align.links.link import CorpusLinks
from fairseq_guided_align.links.outside import is_outside
from fairseq_guided_align.links.split_evidence import evidence_of, split_contradiction_warning, split_warning
from fairseq_guided_align.links.words import WordSplits, count_other_words, count_words


@dataclass(frozen=True)
class ScoredText:
    """Numbers of words of a text.

    :param words: (pairs,) int64, words of each source, and of each target.
    :param other_words: the same by the definition that is not in use.
    :param shards: pairs in each of its files.
    :param word_split: the definitions in use.
    """

    words: tuple[np.ndarray, np.ndarray]
    other_words: tuple[np.ndarray, np.ndarray]
    shards: list[int]
    word_split: WordSplits

    @classmethod
    def read(cls, sources: Sequence[PathLike], targets: Sequence[PathLike], word_split: WordSplits) -> ScoredText:
        """A text in one or several files.

        :raises AlignmentLengthError: source and target have different numbers of lines, or of files.
        :raises GuidedAlignError: a file cannot be read.
        """
        if len(sources) != len(targets):
            raise_length_error([*sources, *targets])
        columns: list[list[np.ndarray]] = [[np.zeros(0, np.int64)] for _ in range(4)]
        shards = []
        for paths in zip(sources, targets):
            pairs = 0
            for _, blocks in read_blocks_together(paths, 2000):
                own = [count_words(block, split) for block, split in zip(blocks, word_split)]
                others = [count_other_words(*side) for side in zip(blocks, own, word_split)]
                for column, words in zip(columns, (*own, *others)):
                    column.append(words)
                pairs += len(own[0])
            shards.append(pairs)
        source, target, other_source, other_target = map(np.concatenate, columns)
        return cls((source, target), (other_source, other_target), shards, word_split)

    def looked_at(self, name: str, links: CorpusLinks) -> tuple[CorpusLinks, int, list[str]]:
        """The links without those of ``</s>``, the number of these, and what to warn of.

        :param name: of the links, for messages.
        :raises AlignmentLengthError: the text has another number of pairs.
        """
        if len(links) != len(self.words[0]):
            raise AlignmentLengthError(
                f"{name}: expected {len(self.words[0])} lines, one for each sentence pair of the text; got {len(links)}"
            )
        same_words = (self.words[0] == self.other_words[0]) & (self.words[1] == self.other_words[1])
        links, end_links = take_off_end_links(links, *self.words, same_words)
        evidence, _ = evidence_of(links, self.words, self.other_words)
        found = [warn(name, evidence, self.word_split) for warn in (split_contradiction_warning, split_warning)]
        outside = int(is_outside(links, *self.words).sum())
        if outside:
            found.append(_outside_warning(name, outside, len(links.source)))
        return links, end_links, [warning for warning in found if warning]


def _outside_warning(name: str, outside: int, links: int) -> str:
    return f"{name}: {outside} of {links} links point outside their sentence pairs in the text"
