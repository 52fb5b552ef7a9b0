"""From raw text and word links to a data folder that fairseq trains on.

The folder holds what stock ``fairseq-preprocess`` writes, its log apart, ``{split}.links.{source}-{target}`` with
subword links, ``guided_alignment.json`` with the settings, the SentencePiece models, and ``text/`` with the words and
pieces that were binarised, so that links alone can be binarised again. It is made under another name and renamed when
complete.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from fairseq_guided_align import __version__
from fairseq_guided_align.corpus.binarized_text import binarize_text, verify_text
from fairseq_guided_align.corpus.blocks import Models
from fairseq_guided_align.corpus.files import Corpus, PreprocessSettings, check_dictionaries, check_lengths
from fairseq_guided_align.corpus.link_counts import ConversionCounts
from fairseq_guided_align.corpus.missing_links import align_missing
from fairseq_guided_align.corpus.unknown_tokens import UnknownTokens
from fairseq_guided_align.corpus.vocabularies import find_unknown_tokens, write_dictionaries, write_models
from fairseq_guided_align.corpus.written_splits import WrittenSplit, write_split
from fairseq_guided_align.files.atomic import atomic_folder
from fairseq_guided_align.files.byte_lines import PathLike, count_lines
from fairseq_guided_align.links.reading import as_pharaoh
from fairseq_guided_align.subwords.settings import SETTINGS, described_words

TEXT_FOLDER = "text"


def preprocess(
    corpora: Sequence[Corpus], destdir: PathLike, settings: PreprocessSettings
) -> dict[str, ConversionCounts]:
    """Make the data folder; a summary of each split goes to standard error.

    :return: counts of each split.
    :raises GuidedAlignError: whatever is wrong with texts, links, models or settings; nothing is left behind then.
    """
    with ExitStack() as stack:
        in_pharaoh = [_in_pharaoh(corpus, settings, stack) for corpus in corpora]
        check_lengths(in_pharaoh)  # Before models are trained for hours
        check_dictionaries(settings)
        with atomic_folder(destdir) as folder:
            return _fill(folder, in_pharaoh, settings)


def _in_pharaoh(corpus: Corpus, settings: PreprocessSettings, stack: ExitStack) -> Corpus:
    if corpus.links is None:
        return corpus
    sentences = partial(count_lines, corpus.text[0])
    return replace(
        corpus, links_text=stack.enter_context(as_pharaoh(corpus.links, sentences, settings.conversion.one_based))
    )


def _fill(folder: Path, corpora: Sequence[Corpus], settings: PreprocessSettings) -> dict[str, ConversionCounts]:
    text = folder / TEXT_FOLDER
    text.mkdir()
    models = write_models(corpora, folder, settings)
    corpora = align_missing(corpora, text, settings)
    splits = {corpus.split: write_split(corpus, folder, text, models, settings) for corpus in corpora}
    counts = {split: written.counts for split, written in splits.items()}
    of_training = [splits[corpus.split].symbols for corpus in corpora if corpus.is_training]
    dictionaries = write_dictionaries(text, models, of_training, settings)
    symbols = {split: written.symbols for split, written in splits.items()}
    unknown = find_unknown_tokens(symbols, dictionaries, settings)
    binarize_text(splits, text, folder, dictionaries, settings)
    verify_text(counts, folder, settings)
    _write_settings(folder, corpora, models, splits, unknown, settings)
    for path in text.iterdir():
        if not settings.keep_text or path.name.startswith("dict.") or path.suffix == ".aligner":
            path.unlink()
    if not settings.keep_text:
        text.rmdir()
    return counts


def _write_settings(
    folder: Path,
    corpora: Sequence[Corpus],
    models: Models,
    written: Mapping[str, WrittenSplit],
    unknown: Mapping[str, tuple[UnknownTokens, UnknownTokens]],
    settings: PreprocessSettings,
) -> None:
    splits = {}
    for corpus in corpora:
        of_split, (source, target) = written[corpus.split], unknown[corpus.split]
        splits[corpus.split] = {
            **{name: value for name, value in asdict(of_split.counts).items() if isinstance(value, int)},
            "left_out": of_split.left_out,
            "source_unknown": source.unknown,
            "target_unknown": target.unknown,
            "has_links": corpus.links is not None,
        }
    described = {
        "version": __version__,
        "source_lang": settings.source_lang,
        "target_lang": settings.target_lang,
        "subwords": settings.subwords,
        "source_sentencepiece_model": Path(models[0]).name if models[0] else None,
        "target_sentencepiece_model": Path(models[1]).name if models[1] else None,
        "joined_dictionary": settings.joined,
        "policy": settings.conversion.policy,
        **described_words(settings.conversion.word_split),
        "text": TEXT_FOLDER if settings.keep_text else None,
        "splits": splits,
    }
    (folder / SETTINGS).write_text(json.dumps(described, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
