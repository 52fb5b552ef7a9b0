"""Word links by an aligner that sees the text several times: in words, and in subword pieces of several sizes.

An aligner learns little of a word that is rare, and in a text of some thousand sentences most words are. Their pieces
are not: a stem is the same in all its forms. What several cuts of the text agree on is more often right than what one
of them says.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from fairseq_guided_align.files.atomic import atomic_text
from fairseq_guided_align.files.byte_lines import PathLike, read_blocks_together
from fairseq_guided_align.files.progress import say
from fairseq_guided_align.links.aligner import AlignerInput, AlignerSettings, align_both_directions
from fairseq_guided_align.links.link import CorpusLinks
from fairseq_guided_align.links.pharaoh import format_block, parse_block
from fairseq_guided_align.links.symmetrisation import symmetrise_corpus
from fairseq_guided_align.links.votes import majority
from fairseq_guided_align.subwords.conversion import subword_links_to_word_links
from fairseq_guided_align.subwords.pieces import SPACE_MARK
from fairseq_guided_align.subwords.sentencepiece_models import PieceEncoder, train_model
from fairseq_guided_align.subwords.text_pieces import PiecedSentence, TextCutter

LINES_IN_BLOCK = 10_000
Lines = Callable[[], Iterable[str]]
"""The lines of a text from its beginning, words with single spaces between them."""


@dataclass(frozen=True)
class _Cut:
    """The text in pieces of one size, aligned.

    :param sides: what cuts source and target; None: they stay words.
    """

    sides: tuple[TextCutter, TextCutter] | None
    forward: Path
    reverse: Path


def align_words_and_pieces(
    source: Lines,
    target: Lines,
    sizes: Sequence[int],
    settings: AlignerSettings,
    seen: AlignerInput | None = None,
    forward_copy: PathLike | None = None,
    reverse_copy: PathLike | None = None,
) -> Iterator[CorpusLinks]:
    """Links between words, some thousand sentence pairs at a time.

    The text is aligned in words, and once more for each size in pieces. In each direction, two words are linked where
    at least half of these alignments link them or pieces of theirs; then both directions are symmetrised.

    :param target: as many lines as of the source.
    :param sizes: pieces of the byte-pair models (SentencePiece) that are trained on each side.
    :param seen: gets the counts of both sides.
    :param forward_copy: file for the links of the forward direction, not symmetrised.
    :param reverse_copy: file for those of the reverse direction.
    :raises GuidedAlignError: as ``links.aligner.align_with_eflomal``; SentencePiece is not installed, or cannot train
        a model of such a size on this text.
    """
    with tempfile.TemporaryDirectory(prefix="align-") as name, ExitStack() as stack:
        folder = Path(name)
        # Models first: a text that is too small for one is an error before the aligner works for hours.
        cutters = {size: (_cutter(source, size, folder), _cutter(target, size, folder)) for size in sizes}
        say(f"1 of {1 + len(sizes)}: words")
        cuts = [_Cut(None, folder / "words.forward", folder / "words.reverse")]
        align_both_directions(source(), target(), settings, cuts[0].forward, cuts[0].reverse, seen)
        for number, (size, sides) in enumerate(cutters.items(), start=2):
            say(f"{number} of {1 + len(sizes)}: {size} pieces")
            cuts.append(_Cut(sides, folder / f"{size}.forward", folder / f"{size}.reverse"))
            pieces = _lines_of_pieces(source(), sides[0]), _lines_of_pieces(target(), sides[1])
            align_both_directions(*pieces, settings, cuts[-1].forward, cuts[-1].reverse)
        copies = [
            None if copy is None else stack.enter_context(atomic_text(copy)) for copy in (forward_copy, reverse_copy)
        ]
        for directions in _voted(source(), target(), cuts):
            for links, stream in zip(directions, copies):
                if stream is not None:
                    stream.write(format_block(links))
            yield symmetrise_corpus(*directions, settings.method)


def _cutter(lines: Lines, size: int, folder: Path) -> TextCutter:
    model = folder / "model"
    train_model(lines(), model, size, "bpe")
    return TextCutter("sentencepiece", PieceEncoder(model))


def _lines_of_pieces(lines: Iterable[str], cutter: TextCutter) -> Iterator[str]:
    return (" ".join(sentence.pieces) for block in _blocks(lines) for sentence in _in_pieces(block, cutter))


def _in_pieces(lines: Sequence[str], cutter: TextCutter) -> list[PiecedSentence]:
    """The lines in pieces. A mark of a word's start that stands alone is left out: it says nothing to an aligner."""
    found = []
    for sentence in cutter(lines):
        kept = [place for place, piece in enumerate(sentence.pieces) if piece != SPACE_MARK]
        found.append(PiecedSentence([sentence.pieces[place] for place in kept], sentence.word[kept], sentence.words))
    return found


def _blocks(lines: Iterable[str]) -> Iterator[list[str]]:
    lines = iter(lines)
    while block := list(islice(lines, LINES_IN_BLOCK)):
        yield block


def _voted(
    source: Iterable[str], target: Iterable[str], cuts: Sequence[_Cut]
) -> Iterator[tuple[CorpusLinks, CorpusLinks]]:
    """What the cuts agree on, of each direction."""
    files = [path for cut in cuts for path in (cut.forward, cut.reverse)]
    for texts in zip(_blocks(source), _blocks(target), read_blocks_together(files, LINES_IN_BLOCK)):
        *sides, (first_line, blocks) = texts
        of_words = []
        for number, cut in enumerate(cuts):
            pair = [
                parse_block(block, path, first_line)
                for block, path in zip(blocks[2 * number : 2 * number + 2], (cut.forward, cut.reverse))
            ]
            if cut.sides is not None:
                sentences = list(zip(*(_in_pieces(lines, cutter) for lines, cutter in zip(sides, cut.sides))))
                pair = [_between_words(links, sentences) for links in pair]
            of_words.append(pair)
        forward, reverse = (majority(of_direction) for of_direction in zip(*of_words))
        yield forward, reverse


def _between_words(links: CorpusLinks, sentences: Sequence[tuple[PiecedSentence, PiecedSentence]]) -> CorpusLinks:
    return CorpusLinks.from_sentences(
        subword_links_to_word_links(of_pair, source.word, target.word)
        for of_pair, (source, target) in zip(links, sentences)
    )
