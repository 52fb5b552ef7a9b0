"""A text with its links: how many words it has, what they are, and links that are checked against it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fairseq_guided_align.errors import AlignmentLengthError, AlignmentRangeError
from fairseq_guided_align.files.byte_lines import PathLike, decode_line, raise_length_error, read_blocks_together
from fairseq_guided_align.files.progress import say
from fairseq_guided_align.links.end_links import take_off_end_links, told_end_links
from fairseq_guided_align.links.link import CorpusLinks
from fairseq_guided_align.links.outside import first_outside, is_outside, outside_message
from fairseq_guided_align.links.reading import read_link_file
from fairseq_guided_align.links.split_evidence import evidence_of, split_contradiction_warning, split_warning
from fairseq_guided_align.links.words import WordSplits, count_both, split_words

PIECES_SPLIT = WordSplits("whitespace", "whitespace")
"""What separates pieces: any white space, as for fairseq."""


@dataclass(frozen=True)
class LinkedText:
    """Source and target of a text, in one or several files.

    :param path: the first source file, for messages.
    :param sizes: (pairs,) int64, words of each source, and of each target.
    :param other_sizes: the same by the definition of a word that is not in use.
    :param shards: pairs in each file.
    :param word_split: the definitions in use.
    :param source: words of each source; none where only their numbers were asked for.
    :param target: words of each target; none where only their numbers were asked for.
    """

    path: PathLike
    sizes: tuple[np.ndarray, np.ndarray]
    other_sizes: tuple[np.ndarray, np.ndarray]
    shards: list[int]
    word_split: WordSplits
    source: list[list[str]]
    target: list[list[str]]

    def __len__(self) -> int:
        return len(self.sizes[0])

    @classmethod
    def read(
        cls, sources: Sequence[PathLike], targets: Sequence[PathLike], word_split: WordSplits, keep_words: bool = False
    ) -> LinkedText:
        """Read a text.

        :param word_split: what the words of source and target are; :data:`PIECES_SPLIT` for a text in pieces.
        :param keep_words: not only their numbers, which need little memory.
        :raises AlignmentLengthError: source and target have different numbers of lines, or of files.
        :raises AlignmentFormatError: a line of words that are kept is not UTF-8.
        :raises GuidedAlignError: a file cannot be read.
        """
        if len(sources) != len(targets):
            raise_length_error([*sources, *targets])
        sizes: list[list[np.ndarray]] = [[np.zeros(0, np.int64)] for _ in range(4)]
        kept: tuple[list[list[str]], list[list[str]]] = ([], [])
        shards = []
        for paths in zip(sources, targets):
            pairs = 0
            for first_line, blocks in read_blocks_together(paths, 2000):
                own, others = zip(*map(count_both, blocks, word_split))
                for column, words in zip(sizes, (*own, *others)):
                    column.append(words)
                pairs += len(own[0])
                if keep_words:
                    for side, path, block, split in zip(kept, paths, blocks, word_split):
                        lines = enumerate(block.split(b"\n")[:-1], start=first_line)
                        side += [split_words(decode_line(line, path, number), split) for number, line in lines]
            shards.append(pairs)
        source, target, other_source, other_target = map(np.concatenate, sizes)
        return cls(sources[0], (source, target), (other_source, other_target), shards, word_split, *kept)

    def links(self, path: str, one_based: bool = False) -> CorpusLinks:
        """Read the links of this text, without those of ``</s>``, which a message counts.

        :param one_based: positions in the file count from 1.
        :raises AlignmentLengthError: the file has links of another number of sentence pairs.
        :raises AlignmentRangeError: a link points outside its sentence.
        """
        links = read_link_file(path, one_based, len(self))
        if len(links) != len(self):
            raise_length_error([self.path, path])
        links, end_links = self._without_end_links(links)
        if end_links:
            say(told_end_links(end_links, f"{path}: "))
        outside = first_outside(links, *self.sizes)
        if outside is not None:
            sources, targets = (side[outside.sentence] for side in self.sizes)
            hint = ". Are the links of another tokenisation (also: --word-split), or of the other direction?"
            told = outside_message(outside, sources, targets, "links", hint, int(one_based))
            raise AlignmentRangeError(f"{path}:{outside.sentence + 1}: {told}")
        return links

    def looked_at(self, name: str, links: CorpusLinks) -> tuple[CorpusLinks, int, list[str]]:
        """The links without those of ``</s>``, the number of these, and what to warn of.

        :param name: of the links, for messages.
        :raises AlignmentLengthError: the text has another number of pairs.
        """
        if len(links) != len(self):
            raise AlignmentLengthError(
                f"{name}: expected {len(self)} lines, one for each sentence pair of the text; got {len(links)}"
            )
        links, end_links = self._without_end_links(links)
        evidence, _ = evidence_of(links, self.sizes, self.other_sizes)
        found = [warn(name, evidence, self.word_split) for warn in (split_contradiction_warning, split_warning)]
        outside = int(is_outside(links, *self.sizes).sum())
        if outside:
            found.append(_outside_warning(name, outside, len(links.source)))
        return links, end_links, [warning for warning in found if warning]

    def _without_end_links(self, links: CorpusLinks) -> tuple[CorpusLinks, int]:
        same = (self.sizes[0] == self.other_sizes[0]) & (self.sizes[1] == self.other_sizes[1])
        return take_off_end_links(links, *self.sizes, same)


def _outside_warning(name: str, outside: int, links: int) -> str:
    return f"{name}: {outside} of {links} links point outside their sentence pairs in the text"
