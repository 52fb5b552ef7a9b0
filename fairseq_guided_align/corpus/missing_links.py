"""Links of the splits that have no file of links, by an aligner."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from fairseq_guided_align.corpus.files import Corpus, PreprocessSettings
from fairseq_guided_align.files.byte_lines import read_lines
from fairseq_guided_align.files.progress import say
from fairseq_guided_align.links.aligner import align_with_eflomal, spaced
from fairseq_guided_align.links.link import CorpusLinks
from fairseq_guided_align.links.pharaoh import format_block
from fairseq_guided_align.links.words import split_words
from fairseq_guided_align.subwords.aligned_pieces import align_words_and_pieces
from fairseq_guided_align.subwords.pieces import text_of


def align_missing(corpora: Sequence[Corpus], folder: Path, settings: PreprocessSettings) -> list[Corpus]:
    """Splits without links get them from the aligner, if there is one; it sees the text of all splits.

    :param folder: gets the files of links.
    """
    missing = [corpus.split for corpus in corpora if corpus.links is None]
    if settings.aligner is None or not missing:
        return list(corpora)
    say(f"aligning {', '.join(missing)}; eflomal says nothing until it is done")

    def words(side: int) -> Iterator[str]:
        for corpus in corpora:
            for line in read_lines(corpus.words[side]):
                if settings.subwords == "bpe" and corpus.words == corpus.text:
                    line = text_of(split_words(line), "bpe")
                yield spaced(split_words(line, settings.conversion.word_split[side]))

    if settings.aligner_pieces:
        source, target = partial(words, 0), partial(words, 1)
        chunks = align_words_and_pieces(source, target, settings.aligner_pieces, settings.aligner)
    else:
        chunks = align_with_eflomal(words(0), words(1), settings.aligner)
    aligned: list[Corpus] = []
    rest = CorpusLinks.concatenated([])
    inverted, one_based = settings.conversion.inverted, settings.conversion.one_based
    for corpus in corpora:
        needed = sum(1 for _ in read_lines(corpus.text[0]))
        # In the direction and from the base of all other links.
        path = folder / f"{corpus.split}.aligner"
        with open(path, "wb") as stream:
            while needed:
                if not len(rest):
                    rest = next(chunks)
                part, rest = rest[:needed], rest[needed:]
                stream.write(format_block(part.inverted() if inverted else part, one_based))
                needed -= len(part)
        aligned.append(replace(corpus, links=path) if corpus.links is None else corpus)
    return aligned
