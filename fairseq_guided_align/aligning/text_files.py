"""Text files that a trained model aligns: one sentence a line, cut into pieces as the training text was."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fairseq_guided_align.aligning.aligned_pairs import AlignedText
from fairseq_guided_align.aligning.extraction import AlignmentModel
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.files.byte_lines import decode_line, read_blocks_together
from fairseq_guided_align.subwords.settings import subword_settings
from fairseq_guided_align.subwords.text_pieces import PiecedSentence, TextCutter, text_cutters


def align_files(
    model: AlignmentModel,
    files: tuple[str, str],
    kind: str | None = None,
    models: Sequence[str | None] = (None, None),
    cut_already: bool = False,
    word_split: Sequence[str | None] = (None, None),
    max_tokens: int = 4000,
    lines: range | None = None,
) -> Iterator[AlignedText | None]:
    """Aligned pairs in the order of the files; None for a pair that is too long for the model.

    :param files: source and target text, as many lines.
    :param kind: how pieces make up words, one of ``subwords.pieces.SUBWORD_KINDS``; None: as the data folder says, else
        ``sentencepiece`` with ``models``, else ``words``.
    :param models: SentencePiece models of source and target, instead of the data folder's.
    :param cut_already: the files hold pieces, separated by white space.
    :param word_split: what the words of source and target are; None: as the data folder says.
    :param max_tokens: tokens of a batch, padding included.
    :param lines: positions in the files, from 0, of the pairs that are wanted; None: all.
    :raises AlignmentLengthError: the files have different numbers of lines.
    :raises GuidedAlignError: a file cannot be read or cut, or a SentencePiece model is missing.
    """
    cutters = cutters_of(model, kind, models, cut_already, word_split)
    yield from model.align_text(_sentences(files, cutters, lines), max_tokens)


def cutters_of(
    model: AlignmentModel,
    kind: str | None = None,
    models: Sequence[str | None] = (None, None),
    cut_already: bool = False,
    word_split: Sequence[str | None] = (None, None),
) -> tuple[TextCutter, TextCutter]:
    """How given source and target text is cut for a model; arguments and errors as of :func:`align_files`."""
    kind = kind or subword_settings(model.data).get("subwords") or ("sentencepiece" if any(models) else "words")
    langs = (model.options.source_lang, model.options.target_lang)
    return text_cutters(model.data, langs, kind, models, cut_already, word_split=word_split)


def _sentences(
    files: tuple[str, str], cutters: tuple[TextCutter, TextCutter], wanted: range | None
) -> Iterator[tuple[PiecedSentence, PiecedSentence]]:
    for first_line, blocks in read_blocks_together(files):
        begin, end = (0, None) if wanted is None else _bounds(wanted, first_line)
        if end == 0:
            return
        sides = []
        for path, block, cut in zip(files, blocks, cutters):
            own = block.split(b"\n")[:-1][begin:end]
            lines = [decode_line(line, path, number) for number, line in enumerate(own, start=first_line + begin)]
            try:
                sides.append(cut(lines))
            except GuidedAlignError as error:
                raise GuidedAlignError(f"{path}: {error}") from error
        yield from zip(*sides)


def _bounds(wanted: range, first_line: int) -> tuple[int, int]:
    """Of the slice of a block's lines whose positions, from 0 in the file, are wanted; the block begins at a line."""
    return max(0, wanted.start - first_line + 1), max(0, wanted.stop - first_line + 1)
