"""Sentences as a model reads them: subword pieces, and the word of the text that each of them spells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fairseq_guided_align.errors import GuidedAlignError, SubwordMismatchError
from fairseq_guided_align.files.byte_lines import NumberedLines, lines_of, raise_length_error, read_blocks
from fairseq_guided_align.links.words import (
    DEFAULT_SPLIT,
    count_both,
    has_rare_space,
    is_by_spaces,
    split_words,
)
from fairseq_guided_align.subwords.pieces import text_of, without_mark, word_of_piece
from fairseq_guided_align.subwords.sentencepiece_models import PieceEncoder
from fairseq_guided_align.subwords.settings import settings_path, subword_kind, subword_settings, word_split_of
from fairseq_guided_align.subwords.special_tokens import UNKNOWN
from fairseq_guided_align.subwords.spelling import match_sentence


@dataclass(frozen=True)
class PiecedSentence:
    """A sentence cut into pieces.

    :param pieces: as fairseq reads them, without ``</s>``.
    :param word: (pieces,) int64, the word of each piece, from 0; -1 for a piece of none.
    :param words: number of words.
    """

    pieces: list[str]
    word: np.ndarray
    words: int

    @classmethod
    def of_pieces(cls, pieces: Sequence[str], kind: str) -> PiecedSentence:
        """Words found from the pieces alone."""
        word = word_of_piece(pieces, kind)
        return cls(list(pieces), word, int(word.max(initial=-1)) + 1)

    def texts(self, kind: str) -> list[str]:
        """The words as the pieces spell them, without the marks of subwords.

        :param kind: one of ``subwords.pieces.SUBWORD_KINDS``.
        """
        texts = []
        for number in range(self.words):
            pieces = [self.pieces[i] for i in np.flatnonzero(self.word == number)]
            if kind == "sentencepiece":
                texts.append(text_of(pieces, kind))
            else:
                texts.append("".join(without_mark(piece, kind) for piece in pieces))
        return texts


@dataclass(frozen=True)
class TextCutter:
    """Cuts the lines of a text as the training text was cut.

    :param kind: one of ``subwords.pieces.SUBWORD_KINDS``.
    :param model: SentencePiece model; None: lines are pieces already, separated by white space.
    :param word_split: what the words of a line are, one of ``links.words.WORD_SPLITS``.
    """

    kind: str
    model: PieceEncoder | None = None
    word_split: str = DEFAULT_SPLIT

    def __call__(self, lines: Sequence[str]) -> list[PiecedSentence]:
        """:raises SubwordMismatchError: the model's pieces do not spell a line's words; the message shows the line."""
        if self.model is None:
            return [self._in_pieces(line) for line in lines]
        return [self._matched(line, pieces) for line, pieces in zip(lines, self.model.encode(lines))]

    def words(self, line: str) -> list[str]:
        """The words that a cut line counts, as text."""
        return split_words(text_of(split_words(line), self.kind) if self.model is None else line, self.word_split)

    def _in_pieces(self, line: str) -> PiecedSentence:
        by_spaces = is_by_spaces(self.word_split)
        if by_spaces and (self.kind == "sentencepiece" or not has_rare_space(line.encode())):
            return PiecedSentence.of_pieces(line.split(), self.kind)
        # What separates pieces for fairseq may be part of a word.
        return self._matched(text_of(split_words(line), self.kind), line.split())

    def _matched(self, line: str, pieces: list[str]) -> PiecedSentence:
        try:
            return _matched(split_words(line, self.word_split), pieces, self.kind, self.model)
        except SubwordMismatchError as error:
            raise SubwordMismatchError(f"{line!r}: {error}; give another SentencePiece model") from error


def _matched(words: Sequence[str], pieces: list[str], kind: str, model: PieceEncoder | None) -> PiecedSentence:
    spelling = match_sentence(words, pieces, kind, None if model is None else model.places_of)
    return PiecedSentence(pieces, spelling.word_of_piece(0), len(words))


class SplitWords:
    """Which words the pieces of a binarised split spell, in one language.

    The text that ``preprocess`` keeps in the data folder says so. Without it, the words are read off the pieces. Pieces
    show one word more wherever a normaliser put a space into a word, as NFKC does for ``᾽`` and ``´``. They show no
    words at all where the text has no spaces.

    :param data: the data folder.
    :param kind: one of ``subwords.pieces.SUBWORD_KINDS``.
    :param word_split: other words than the folder's, one of ``links.words.WORD_SPLITS``.
    :raises GuidedAlignError: the folder's files do not belong together, or other words are wanted, and it has no text.
    """

    def __init__(self, data: str, split: str, lang: str, kind: str, word_split: str | None = None) -> None:
        self._kind = kind
        self._word_split = word_split_of(data, lang, word_split)
        self._text: list[NumberedLines] | None = None
        settings = subword_settings(data)
        folder = settings_path(data).parent
        self._files = [folder / str(settings.get("text")) / f"{split}{middle}.{lang}" for middle in ("", ".pieces")]
        if settings.get("text") and settings.get("subwords") == kind and all(path.is_file() for path in self._files):
            self._text = [NumberedLines(path) for path in self._files]
            if len(self._text[0]) != len(self._text[1]):
                raise_length_error(self._files)
            model = model_in_folder(data, lang)
            self._model = None if model is None else PieceEncoder(model)
        elif word_split is not None:
            raise GuidedAlignError(
                f"{folder}: --word-split: keeps no text of {split!r} to count words in; leave the option out: words are"
                " then read off the pieces"
            )

    def of(self, number: int, pieces: Sequence[str]) -> PiecedSentence:
        """A sentence of the split with its words.

        :param number: from 0.
        :param pieces: as the dictionary gives them, so that some may be ``<unk>``; ``--truncate-source`` leaves the
            first of them.
        :raises GuidedAlignError: the kept text is of other pieces.
        """
        if self._text is None:
            return PiecedSentence.of_pieces(pieces, self._kind)
        cut = self._text[1][number].split() if number < len(self._text[1]) else []
        if len(pieces) > len(cut) or any(piece not in (kept, UNKNOWN) for piece, kept in zip(pieces, cut)):
            raise GuidedAlignError(
                f"{self._files[0]}:{number + 1}: expected the text of the binarised split; its pieces are"
                f" {' '.join(pieces)!r}, those of the text {' '.join(cut)!r}. Was either changed? Make the folder anew"
                " with preprocess"
            )
        words = split_words(self._text[0][number], self._word_split)
        try:
            sentence = _matched(words, cut, self._kind, self._model)
        except SubwordMismatchError:  # Such a pair has no links either
            return PiecedSentence.of_pieces(pieces, self._kind)
        return PiecedSentence(list(pieces), sentence.word[: len(pieces)], sentence.words)

    def counts(self, pieces: Iterable[Sequence[str]]) -> tuple[np.ndarray, np.ndarray]:
        """(sentences,) int64, the words of every sentence of the split, and those by the definition not in use.

        :param pieces: of every sentence; asked for only where no text is kept.
        """
        if self._text is None:
            words = np.array([PiecedSentence.of_pieces(one, self._kind).words for one in pieces], np.int64)
            return words, words
        none = np.zeros(0, np.int64)
        blocks = (lines_of(block) for _, block in read_blocks(self._files[0]))
        own, others = zip((none, none), *(count_both(block, self._word_split) for block in blocks))
        return np.concatenate(own), np.concatenate(others)


def model_in_folder(data: str, lang: str) -> Path | None:
    """The SentencePiece model of a language; None where the folder's settings name none."""
    settings = subword_settings(data)
    for side in ("source", "target"):
        name = settings.get(f"{side}_sentencepiece_model")
        if settings.get(f"{side}_lang") == lang and name:
            return settings_path(data).parent / str(name)
    return None


def text_cutters(
    data: str,
    langs: tuple[str, str],
    kind: str | None = None,
    models: Sequence[str | None] = (None, None),
    cut_already: bool = False,
    kind_option: str = "--subwords",
    word_split: Sequence[str | None] = (None, None),
) -> tuple[TextCutter, TextCutter]:
    """How the source and the target text of a data folder are cut.

    :param data: the folder; what it does not say has to be given.
    :param langs: source and target of the model, which may read the folder in the other direction.
    :param kind: as :func:`~fairseq_guided_align.subwords.settings.subword_kind`.
    :param models: SentencePiece models of both sides, instead of the folder's.
    :param cut_already: the text is pieces, also where they are SentencePiece's.
    :param word_split: what the words of both sides are; None: as the folder says.
    :raises GuidedAlignError: the kind is unknown, or a SentencePiece model is missing.
    """
    kind = subword_kind(data, kind, kind_option)
    words = [word_split_of(data, lang, given) for lang, given in zip(langs, word_split)]
    if kind != "sentencepiece" or cut_already:
        return TextCutter(kind, word_split=words[0]), TextCutter(kind, word_split=words[1])

    def cutter(lang: str, given: str | None, words: str) -> TextCutter:
        path = given or model_in_folder(data, lang)
        if path is None:
            raise GuidedAlignError(
                f"{settings_path(data)}: expected the name of the SentencePiece model of {lang}; give the model, or"
                " text that is cut into pieces already"
            )
        return TextCutter(kind, PieceEncoder(path), words)

    return cutter(langs[0], models[0], words[0]), cutter(langs[1], models[1], words[1])
