"""The text of links that are scored: it tells links of ``</s>``, links outside and links of other words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fairseq_guided_align.errors import AlignmentLengthError
from fairseq_guided_align.files.byte_lines import PathLike, raise_length_error, read_blocks_together
from fairseq_guided_align.links.end_links import take_off_end_links
from fairseq_guided_align.links.link import CorpusLinks
from fairseq_guided_align.links.split_evidence import evidence_of, split_contradiction_warning, split_warning
from fairseq_guided_align.links.words import count_other_words, count_words


@dataclass(frozen=True)
class ScoredText:
    """Numbers of words of a text.

    :param words: (pairs,) int64 of each source, and of each target.
    :param other_words: likewise by the definition that is not in use.
    :param shards: pairs in each of its files.
    :param word_split: the definition in use, one of ``links.words.WORD_SPLITS``.
    """

    words: tuple[np.ndarray, np.ndarray]
    other_words: tuple[np.ndarray, np.ndarray]
    shards: list[int]
    word_split: str

    @classmethod
    def read(cls, sources: Sequence[PathLike], targets: Sequence[PathLike], word_split: str) -> ScoredText:
        """A text in one or several files.

        :raises AlignmentLengthError: source and target have different numbers of lines, or of files.
        :raises GuidedAlignError: a file cannot be read.
        """
        if len(sources) != len(targets):
            raise_length_error([*sources, *targets])
        own: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
        others: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
        shards = []
        for paths in zip(sources, targets):
            pairs = 0
            for _, blocks in read_blocks_together(paths, 2000):
                for block, words, other_words in zip(blocks, own, others):
                    words.append(count_words(block, word_split))
                    other_words.append(count_other_words(block, words[-1], word_split))
                pairs += len(own[0][-1])
            shards.append(pairs)
        nothing = [np.zeros(0, np.int64)]
        joined = [np.concatenate([*nothing, *some]) for some in (*own, *others)]
        return cls((joined[0], joined[1]), (joined[2], joined[3]), shards, word_split)

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
        about = [f(name, evidence, self.word_split) for f in (split_contradiction_warning, split_warning)]
        warnings = [one for one in about if one]
        sentence = links.sentence()
        outside = int(((links.source >= self.words[0][sentence]) | (links.target >= self.words[1][sentence])).sum())
        if outside:
            warnings.append(_outside_warning(name, outside, len(sentence)))
        return links, end_links, warnings


def _outside_warning(name: str, outside: int, links: int) -> str:
    return f"{name}: {outside} of {links} links point outside their sentence pairs in the text"
