"""A large text and how it is aligned: chunks, their sample, the machines' parts, the files that come out."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import NamedTuple

from fairseq_guided_align.files.opening import PathLike
from fairseq_guided_align.links.aligner import AlignerSettings

SAMPLE_PAIRS = 200_000
"""Sentence pairs that priors are learnt from, unless told otherwise."""


@dataclass(frozen=True)
class Chunking:
    """How much of a text is aligned at a time, and what it starts from and leaves.

    :param chunk_pairs: sentence pairs of a chunk, at least 1; None: all at once.
    :param sample_pairs: most pairs that priors are learnt from, where there are several chunks and no ``priors``; None:
        :data:`SAMPLE_PAIRS`, or as many as in a chunk where that is more.
    :param priors: a file of priors to start from, which can be read again.
    :param save_priors: gets the priors of the text, those of ``priors`` included.
    """

    chunk_pairs: int | None = None
    sample_pairs: int | None = None
    priors: PathLike | None = None
    save_priors: PathLike | None = None

    def text(
        self, source: PathLike, target: PathLike, pairs: int, word_splits: tuple[str, str], settings: AlignerSettings
    ) -> ChunkedText:
        """The text in chunks. Parameters as of :class:`ChunkedText`."""
        chunk = self.chunk_pairs or max(1, pairs)
        sample = self.sample_pairs or max(chunk, SAMPLE_PAIRS)
        return ChunkedText(source, target, pairs, word_splits, settings, chunk, sample, self.priors)


@dataclass(frozen=True)
class ChunkedText:
    """What is aligned, and how.

    :param source: a file that can be read again.
    :param target: likewise, with as many lines.
    :param pairs: their number.
    :param word_splits: what the words of source and target are, see ``links.words``.
    :param chunk_pairs: sentence pairs of a chunk, at least 1.
    :param sample_pairs: as of :class:`Chunking`.
    :param priors: a file of priors to start from.
    """

    source: PathLike
    target: PathLike
    pairs: int
    word_splits: tuple[str, str]
    settings: AlignerSettings
    chunk_pairs: int
    sample_pairs: int
    priors: PathLike | None = None

    @property
    def chunks(self) -> int:
        return max(1, -(-self.pairs // self.chunk_pairs))


class Outputs(NamedTuple):
    """Files to write; all but the first may be None."""

    links: PathLike
    forward: PathLike | None = None
    reverse: PathLike | None = None
    priors: PathLike | None = None


class Part(NamedTuple):
    """The share of one machine: the ``number``-th, from 1, of ``of`` parts."""

    number: int
    of: int

    def has(self, chunk: int, chunks: int) -> bool:
        """Whether a chunk, counted from 0, is in the share: consecutive chunks, as many in each part as can be."""
        return chunk * self.of // chunks == self.number - 1


WHOLE = Part(1, 1)


@dataclass(frozen=True)
class ChunkCounts:
    """Counts of aligned text, which are summed over chunks.

    :param with_links: sentence pairs with links.
    :param too_long: sentence pairs that are too long for eflomal.
    """

    pairs: int = 0
    links: int = 0
    with_links: int = 0
    too_long: int = 0

    def __add__(self, other: ChunkCounts) -> ChunkCounts:
        return ChunkCounts(*(one + two for one, two in zip(asdict(self).values(), asdict(other).values())))
