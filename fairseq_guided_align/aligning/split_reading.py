"""Sentences of a binarised split with the attention of one or several trained models, as pieces and as words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from fairseq_guided_align.aligning.aligned_pairs import AlignedPair, AlignedText
from fairseq_guided_align.aligning.extraction import AlignmentModel
from fairseq_guided_align.attention.guided_heads import GuidedHeads
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.files.byte_lines import PathLike
from fairseq_guided_align.files.progress import say
from fairseq_guided_align.links.end_links import take_off_end_links, told_end_links
from fairseq_guided_align.links.link import CorpusLinks, SentenceLinks
from fairseq_guided_align.links.outside import check_inside
from fairseq_guided_align.links.reading import with_missing_pairs
from fairseq_guided_align.subwords.conversion import spread_over_pieces, subword_links_to_word_links
from fairseq_guided_align.subwords.text_pieces import PiecedSentence


@dataclass(frozen=True)
class Reading:
    """What one model attends to in one sentence pair.

    :param guided: the heads that were read, and how.
    :param attention: (target tokens, source tokens + 1) probabilities; the last column is ``</s>``'s.
    """

    guided: GuidedHeads
    attention: np.ndarray


@dataclass(frozen=True)
class ReadSentence:
    """A sentence pair at one level, words or pieces.

    :param source: tokens without ``</s>``.
    :param target: tokens without ``</s>``.
    :param gold: its gold links, or None where nothing is known of it.
    :param readings: one a model.
    """

    source: list[str]
    target: list[str]
    gold: SentenceLinks | None
    readings: list[Reading]


@dataclass(frozen=True)
class ReadPair:
    """A sentence pair of a split.

    :param number: from 0.
    :param words: None where it is unknown how pieces make up words.
    """

    number: int
    pieces: ReadSentence
    words: ReadSentence | None


def gold_of_split(
    gold: CorpusLinks,
    path: PathLike,
    model: AlignmentModel,
    split: str,
    kind: str,
    word_split: Sequence[str | None] = (None, None),
) -> CorpusLinks:
    """Gold links of a file that was read before the text was known, as :func:`read_pairs` takes them.

    Pairs without links that the file lacks at its end are added. Links of ``</s>`` are taken off, with a message.

    :param path: where the links were read; a pipe as :func:`~fairseq_guided_align.links.reading.recognisable` gives it.
    :param split: whose links they are.
    :param kind: how pieces make up words, one of ``subwords.pieces.SUBWORD_KINDS``.
    :param word_split: what the words of source and target are; None: as the data folder says.
    :raises GuidedAlignError: the links are of another number of pairs.
    """
    pairs = model.split_size(split)
    gold = with_missing_pairs(gold, path, pairs)
    if len(gold) != pairs:
        raise GuidedAlignError(f"expected gold links of the {pairs} sentence pairs of {split!r}; got {len(gold)} lines")
    sizes, same_words = model.word_counts(split, kind, word_split)
    gold, end_links = take_off_end_links(gold, *sizes, same_words)
    if end_links:
        say(told_end_links(end_links, f"{path}: "))
    return gold


def read_pairs(
    models: Sequence[tuple[str, AlignmentModel]],
    split: str,
    numbers: Sequence[int],
    kind: str | None = None,
    gold: CorpusLinks | None = None,
    with_gold: bool = True,
    word_split: Sequence[str | None] = (None, None),
) -> Iterator[ReadPair]:
    """Sentence pairs in the order of ``numbers``.

    :param models: with their names; all of the same text in the same pieces.
    :param split: of their data folders.
    :param numbers: positions in the split, from 0.
    :param kind: how pieces make up words, one of ``subwords.pieces.SUBWORD_KINDS``; None: pieces only.
    :param gold: links between words, of every pair of the split, see :func:`gold_of_split`; None: those of the data
        folder.
    :param with_gold: False leaves gold links out.
    :param word_split: what the words of source and target are; None: as the data folder says.
    :raises AlignmentRangeError: the split has no such sentence, or gold links point outside theirs.
    :raises GuidedAlignError: models of different text or pieces.
    """
    first_name, first = models[0]
    for name, model in models:
        if model.split_size(split) != first.split_size(split):
            raise GuidedAlignError(
                f"expected models of one text; {split!r} has {first.split_size(split)} sentence pairs for "
                f"{first_name} and {model.split_size(split)} for {name}"
            )
    spelt = None if kind is None else first.split_words(split, kind, word_split)
    found: list[dict[int, AlignedPair]] = [dict(model.align_sentences(split, numbers)) for _, model in models]
    for number in numbers:
        for (name, _), of_model in zip(models, found):
            if number not in of_model:
                raise GuidedAlignError(f"sentence {number + 1} of {split!r} is too long for the model {name}".rstrip())
        pairs = [of_model[number] for of_model in found]
        for (name, _), pair in zip(models, pairs):
            if (pair.source, pair.target) != (pairs[0].source, pairs[0].target):
                raise GuidedAlignError(
                    f"expected models of one text in the same pieces; sentence {number + 1} of {split!r} is "
                    f"{' '.join(pairs[0].source)!r} for {first_name} and {' '.join(pair.source)!r} for {name}"
                )
        own = _links_of_data(first, split, number) if gold is None and with_gold else None
        words = None
        if spelt is not None:
            words = spelt[0].of(number, pairs[0].source), spelt[1].of(number, pairs[0].target)
        yield _read_pair(number, pairs, [m.guided for _, m in models], words, kind, own, gold if with_gold else None)


def _read_pair(
    number: int,
    pairs: Sequence[AlignedPair],
    guided: Sequence[GuidedHeads],
    spelt: tuple[PiecedSentence, PiecedSentence] | None,
    kind: str | None,
    piece_gold: SentenceLinks | None,
    word_gold: CorpusLinks | None,
) -> ReadPair:
    source, target = pairs[0].source, pairs[0].target
    words = None
    if spelt is not None:
        assert kind is not None
        gold = None
        if word_gold is not None:
            gold = word_gold[number]
            check_inside(
                gold,
                spelt[0].words,
                spelt[1].words,
                f"gold links of line {number + 1}",
                ". Are they of this split, of this direction, from 0?",
            )
            piece_gold = spread_over_pieces(gold, spelt[0].word, spelt[1].word)
        elif piece_gold is not None:
            gold = subword_links_to_word_links(piece_gold, spelt[0].word, spelt[1].word)
        words = ReadSentence(
            spelt[0].texts(kind),
            spelt[1].texts(kind),
            gold,
            [Reading(g, AlignedText(*spelt, p.attention).words()) for g, p in zip(guided, pairs)],
        )
    readings = [Reading(g, p.attention) for g, p in zip(guided, pairs)]
    return ReadPair(number, ReadSentence(source, target, piece_gold, readings), words)


def _links_of_data(model: AlignmentModel, split: str, number: int) -> SentenceLinks | None:
    """Links of the data folder; None where it has none for the split, or none for this pair."""
    links = model.split(split)[number].get("links")
    return links if links is not None and len(links) else None
