"""A text with its links: files of words or pieces, and link files that are checked against them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fairseq_guided_align.errors import AlignmentRangeError
from fairseq_guided_align.files.byte_lines import raise_length_error, read_lines
from fairseq_guided_align.files.progress import say
from fairseq_guided_align.links.end_links import take_off_end_links, told_end_links
from fairseq_guided_align.links.link import CorpusLinks
from fairseq_guided_align.links.outside import first_outside
from fairseq_guided_align.links.reading import read_link_file
from fairseq_guided_align.links.words import WordSplits, has_rare_space, split_words


@dataclass(frozen=True)
class LinkedText:
    """Source and target of a text, in words or in pieces.

    :param path: the source file, for messages.
    :param source: tokens of each sentence.
    :param target: tokens of each sentence, as many sentences.
    """

    path: str
    source: list[list[str]]
    target: list[list[str]]

    def __len__(self) -> int:
        return len(self.source)

    @classmethod
    def of_words(cls, source: str, target: str, word_split: WordSplits) -> LinkedText:
        """Read a text in words.

        :param word_split: what the words of source and target are.
        :raises AlignmentLengthError: the files have different numbers of lines.
        :raises GuidedAlignError: a file cannot be read.
        """
        return cls._read(
            source,
            target,
            lambda line: split_words(line, word_split.source),
            lambda line: split_words(line, word_split.target),
        )

    @classmethod
    def of_pieces(cls, source: str, target: str) -> LinkedText:
        """Read a text in pieces. As for fairseq, any white space separates them. Raises as :meth:`of_words`."""
        return cls._read(source, target, str.split, str.split)

    @classmethod
    def _read(
        cls, source: str, target: str, of_source: Callable[[str], list[str]], of_target: Callable[[str], list[str]]
    ) -> LinkedText:
        sides = [
            [split(line) for line in read_lines(path)] for path, split in ((source, of_source), (target, of_target))
        ]
        if len(sides[0]) != len(sides[1]):
            raise_length_error([source, target])
        return cls(source, *sides)

    def links(self, path: str, one_based: bool = False) -> CorpusLinks:
        """Read the links of this text, without those of ``</s>``.

        :param one_based: positions in the file count from 1.
        :raises AlignmentLengthError: the file has links of another number of sentence pairs.
        :raises AlignmentRangeError: a link points outside its sentence.
        """
        links = read_link_file(path, one_based, len(self))
        if len(links) != len(self):
            raise_length_error([self.path, path])
        sizes = [np.array([len(tokens) for tokens in side], np.int64) for side in (self.source, self.target)]
        certain = [not has_rare_space(" ".join([*s, *t]).encode()) for s, t in zip(self.source, self.target)]
        links, end_links = take_off_end_links(links, sizes[0], sizes[1], np.array(certain, bool))
        if end_links:
            say(told_end_links(end_links, f"{path}: "))
        outside = first_outside(links, *sizes)
        if outside is not None:
            line, base = outside.sentence, int(one_based)
            raise AlignmentRangeError(
                f"{path}:{line + 1}: expected links within {sizes[0][line]} source and {sizes[1][line]} target"
                f" tokens; got {outside.source + base}-{outside.target + base}. Are the links of another"
                " tokenisation (also: --word-split), or of the other direction?"
            )
        return links
