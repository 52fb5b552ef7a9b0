"""The SentencePiece models and dictionaries of a data folder."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from fairseq_guided_align.corpus.blocks import Models
from fairseq_guided_align.corpus.dictionaries import read_symbols, write_dictionary
from fairseq_guided_align.corpus.files import Corpus, PreprocessSettings
from fairseq_guided_align.corpus.subword_links import encoder
from fairseq_guided_align.corpus.unknown_tokens import UnknownTokens, unknown_warning
from fairseq_guided_align.files.byte_lines import read_lines
from fairseq_guided_align.files.progress import say
from fairseq_guided_align.subwords.sentencepiece_models import train_model
from fairseq_guided_align.subwords.special_tokens import spelled_for_fairseq


def write_models(corpora: Sequence[Corpus], folder: Path, settings: PreprocessSettings) -> Models:
    """SentencePiece models in the data folder: those given, or trained on the training text; none of other subwords."""
    if settings.subwords != "sentencepiece":
        return None, None
    training = [corpus for corpus in corpora if corpus.is_training]

    def train(path: Path, sides: Sequence[int], name: str) -> str:
        say(f"training a SentencePiece model of {settings.vocab_size} pieces on {name}")
        lines = (line for corpus in training for side in sides for line in read_lines(corpus.text[side]))
        train_model(lines, path, settings.vocab_size, settings.model_type)
        return str(path)

    if settings.joined and settings.models == (None, None):
        path = train(folder / "sentencepiece.model", (0, 1), "both languages")
        return path, path
    paths = []
    for side, (lang, given) in enumerate(zip(settings.langs, settings.models)):
        own = folder / f"sentencepiece.{lang}.model"
        if given is None:
            train(own, (side,), lang)
        else:
            encoder(given)  # Says what is wrong with it
            shutil.copyfile(given, own)
        paths.append(str(own))
    return paths[0], paths[1]


def write_dictionaries(
    folder: Path,
    models: Models,
    of_training: Sequence[Sequence[Counter]],
    settings: PreprocessSettings,
) -> tuple[str, str]:
    """Dictionaries to binarise with: those given; the models' vocabulary; else all symbols of the training text.

    A model's whole vocabulary is in its dictionary, seen in training or not: else a piece that only held-out text
    has would become ``<unk>``, and with it the ``▁`` that says where its word begins.

    :param of_training: how often each token occurs in the source and in the target of each training text.
    """
    symbols = tuple(sum((one[side] for one in of_training), Counter[str]()) for side in (0, 1))
    if settings.joined:
        both = symbols[0] + symbols[1]
        symbols = (both, both)
    paths = []
    for side in (0, 1):
        given = settings.dictionary(side)
        if given is not None:
            paths.append(str(Path(given).resolve()))
            continue
        vocabulary: set[str] = set()
        for model in set(models if settings.joined else models[side : side + 1]):
            vocabulary.update(map(spelled_for_fairseq, encoder(model).vocabulary()) if model else ())
        path = folder / ("dict.txt" if settings.joined else f"dict.{settings.langs[side]}.txt")
        limits = settings.fairseq_options.sizes[0 if settings.joined else side]
        size = write_dictionary(path, symbols[side], vocabulary, limits)
        if not (settings.joined and side):
            say(f"{'both languages' if settings.joined else settings.langs[side]}: dictionary of {size} symbols")
        paths.append(str(path))
    return paths[0], paths[1]


def find_unknown_tokens(
    symbols: Mapping[str, Sequence[Counter]], dictionaries: tuple[str, str], settings: PreprocessSettings
) -> dict[str, tuple[UnknownTokens, UnknownTokens]]:
    """The tokens of each split that become ``<unk>``, of both sides; shown, with a warning where they are many.

    :param symbols: how often each token occurs in the source and in the target of each split.
    """
    known = [read_symbols(path) for path in dictionaries]
    both_given = None not in settings.dictionaries
    found = {}
    for split, counters in symbols.items():
        sides = [UnknownTokens.counted(occurrences, tokens) for occurrences, tokens in zip(counters, known)]
        found[split] = (sides[0], sides[1])
        shares = " and ".join(
            f"{one.unknown} of {one.tokens} {name} tokens ({100 * one.share:.2f} %)"
            for one, name in zip(sides, ("source", "target"))
        )
        say(f"{split}: <unk> stands for {shares}")
        for side, one in enumerate(sides):
            if one.is_high(settings.subwords):
                swapped = UnknownTokens.counted(counters[side], known[1 - side]) if both_given else None
                say(f"warning: {unknown_warning(split, settings.langs[side], one, swapped)}")
    return found
