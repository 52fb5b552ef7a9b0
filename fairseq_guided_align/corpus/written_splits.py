"""One split of a corpus, written into a data folder: its words, its pieces and its links."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

from fairseq_guided_align.corpus.blocks import Models, block_tasks, cut_and_convert
from fairseq_guided_align.corpus.coded_text import CodedText
from fairseq_guided_align.corpus.files import Corpus, PreprocessSettings
from fairseq_guided_align.corpus.link_counts import ConversionCounts
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.files.progress import line_counter, say
from fairseq_guided_align.files.workers import map_in_order
from fairseq_guided_align.links.link import CorpusLinks
from fairseq_guided_align.links.store import links_path, write_links
from fairseq_guided_align.subwords.special_tokens import special_token_warning


@dataclass
class WrittenSplit:
    """What was written.

    :param texts: the pieces of each side.
    :param left_out: sentence pairs left out.
    """

    texts: tuple[CodedText, CodedText]
    counts: ConversionCounts = field(default_factory=ConversionCounts)
    left_out: int = 0

    @property
    def symbols(self) -> tuple[Counter[str], Counter[str]]:
        """How often each piece occurs, of each side."""
        return self.texts[0].occurrences(), self.texts[1].occurrences()


def write_split(
    corpus: Corpus, folder: Path, text_folder: Path, models: Models, settings: PreprocessSettings
) -> WrittenSplit:
    """Write a split: pieces and words into the folder of text, links into the data folder. A summary is shown.

    :raises GuidedAlignError: text or links are wrong, or no pair is left.
    """
    source, target = (CodedText(text_folder / f"{corpus.split}.codes.{lang}") for lang in settings.langs)
    written = WrittenSplit((source, target))
    with closing(_written_blocks(corpus, text_folder, models, settings, written)) as blocks:
        if corpus.links is None:
            for _ in blocks:
                pass
        else:
            write_links(links_path(folder, corpus.split, *settings.langs), blocks)
    _summarise(corpus, settings, written)
    if written.left_out and not written.counts.sentences:
        raise GuidedAlignError(
            f"{corpus.split}: no sentence pair is left; raise --max-pieces or --max-ratio, or leave them out"
        )
    return written


def _written_blocks(
    corpus: Corpus, folder: Path, models: Models, settings: PreprocessSettings, written: WrittenSplit
) -> Generator[CorpusLinks, None, None]:
    """Write the text of each block, and give its links.

    :param written: filled in on the way.
    """
    counts = written.counts
    with ExitStack() as stack:
        names = [f"{corpus.split}{middle}.{lang}" for middle in ("", ".pieces") for lang in settings.langs]
        if corpus.links is not None:
            names.append(f"{corpus.split}.align")
        streams = [stack.enter_context(open(folder / name, "wb")) for name in names]
        bar = stack.enter_context(line_counter(corpus.split))
        tasks = block_tasks(corpus, models, settings)
        for block in stack.enter_context(closing(map_in_order(cut_and_convert, tasks, settings.workers))):
            for stream, text in zip(streams, (*block.words, *block.pieces, block.word_links)):
                stream.write(text)
            for side, lines in zip(written.texts, block.coded):
                side.append(lines)
            counts.add(block.counts)
            written.left_out += block.left_out
            bar.update(len(block.links) + block.left_out)
            yield block.links
        if corpus.links is not None:
            counts.check(corpus.links, settings.conversion.max_dropped)


def _summarise(corpus: Corpus, settings: PreprocessSettings, written: WrittenSplit) -> None:
    counts = written.counts
    if corpus.links is None:
        say(f"{corpus.split}: {counts.sentences} sentence pairs, without links")
    else:
        for warning in counts.warnings(corpus.links, settings.conversion.one_based):
            say(f"warning: {warning}")
        say(counts.summary(corpus.split))
    for lang, tokens in zip(settings.langs, (counts.source_tokens, counts.target_tokens)):
        if counts.sentences and not tokens:
            say(f"warning: {empty_side_warning(corpus.split, lang)}")
    if counts.special_tokens:
        say(f"warning: {special_token_warning(corpus.split, counts.special_tokens)}")
    if written.left_out:
        say(f"{corpus.split}: {written.left_out} pairs left out: a side too long, or empty, or lengths too different")


def empty_side_warning(split: str, lang: str) -> str:
    """What a warning says of a text of empty lines alone."""
    return f"{split}.{lang}: every line is empty, so that nothing can be learned from it: is it the right file?"
