"""Links of the splits that have no file of links, by an aligner."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from fairseq_guided_align.corpus.files import Corpus, PreprocessSettings
from fairseq_guided_align.files.byte_lines import PathLike, count_lines, read_blocks, read_lines
from fairseq_guided_align.files.progress import say
from fairseq_guided_align.links.aligner import AlignerSettings, align_with_eflomal, spaced
from fairseq_guided_align.links.chunked_text import Chunking, Outputs
from fairseq_guided_align.links.chunks import align_in_chunks
from fairseq_guided_align.links.link import CorpusLinks
from fairseq_guided_align.links.pharaoh import format_block, parse_block
from fairseq_guided_align.links.words import split_words
from fairseq_guided_align.subwords.aligned_pieces import align_words_and_pieces
from fairseq_guided_align.subwords.pieces import text_of


def parts_beside(destdir: PathLike) -> Path:
    """The folder for chunks that are aligned, beside the data folder: the next run goes on with them."""
    path = Path(os.path.realpath(destdir))
    return path.with_name(f".{path.name}.parts")


def align_missing(corpora: Sequence[Corpus], folder: Path, settings: PreprocessSettings, parts: Path) -> list[Corpus]:
    """Splits without links get them from the aligner, if there is one; it sees the text of all splits.

    :param folder: gets the files of links.
    :param parts: gets chunks that are done, where the text is aligned in chunks.
    """
    if settings.aligner is None or all(corpus.links is not None for corpus in corpora):
        return list(corpora)
    aligned: list[Corpus] = []
    rest = CorpusLinks.concatenated([])
    inverted, one_based = settings.conversion.inverted, settings.conversion.one_based
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        chunks = _links(corpora, settings, Path(scratch), parts)
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


def _links(
    corpora: Sequence[Corpus], settings: PreprocessSettings, scratch: Path, parts: Path
) -> Iterator[CorpusLinks]:
    """Links of all splits, one after the other. Parameters as of :func:`_links_in_chunks`."""
    assert settings.aligner is not None
    missing = ", ".join(corpus.split for corpus in corpora if corpus.links is None)
    source, target = (partial(_words, corpora, side, settings) for side in (0, 1))
    if settings.chunking is not None:
        lines = source(), target()
        return _links_in_chunks(lines, settings.aligner, settings.chunking, settings.workers, scratch, parts)
    say(f"aligning {missing}; eflomal says nothing until it is done")
    if settings.aligner_pieces:
        return align_words_and_pieces(source, target, settings.aligner_pieces, settings.aligner)
    return align_with_eflomal(source(), target(), settings.aligner)


def _words(corpora: Sequence[Corpus], side: int, settings: PreprocessSettings) -> Iterator[str]:
    """The lines of one side of all splits, words with single spaces between them."""
    for corpus in corpora:
        for line in read_lines(corpus.words[side]):
            if settings.subwords == "bpe" and corpus.words == corpus.text:
                line = text_of(split_words(line), "bpe")
            yield spaced(split_words(line, settings.conversion.word_split[side]))


def _links_in_chunks(
    lines: tuple[Iterable[str], Iterable[str]],
    aligner: AlignerSettings,
    chunking: Chunking,
    workers: int,
    scratch: Path,
    parts: Path,
) -> Iterator[CorpusLinks]:
    """Links of a text that is aligned in chunks.

    :param lines: of source and target.
    :param scratch: folder for copies of the text and for its links.
    """
    source, target, links = (scratch / name for name in ("source", "target", "links"))
    for side, path in zip(lines, (source, target)):
        with open(path, "wb") as stream:
            stream.writelines(line.encode() + b"\n" for line in side)
    pairs = count_lines(source)
    text = chunking.text(source, target, pairs, ("spaces", "spaces"), aligner)
    say(f"aligning {pairs} sentence pairs of all splits in {text.chunks} chunks")
    align_in_chunks(text, Outputs(links, priors=chunking.save_priors), workers, parts=parts)
    for first_line, block in read_blocks(links):
        yield parse_block(block, links, first_line)
