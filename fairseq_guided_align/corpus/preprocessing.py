"""From raw text and word links to a data folder that fairseq trains on.

The folder holds what stock ``fairseq-preprocess`` writes, its log apart, ``{split}.links.{source}-{target}`` with
subword links, ``guided_alignment.json`` with the settings, the SentencePiece models, and ``text/`` with the words and
pieces that were binarised, so that links alone can be binarised again. Training text that is cut several times lies in
folders of its own inside, see ``cut_folders``. The folder is made under another name and renamed when complete.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from fairseq_guided_align import __version__
from fairseq_guided_align.corpus.binarized_text import binarize_text, verify_text
from fairseq_guided_align.corpus.blocks import Models
from fairseq_guided_align.corpus.cut_folders import CutFolder, folders_of_cuts
from fairseq_guided_align.corpus.files import Corpus, PreprocessSettings, check_dictionaries, check_lengths
from fairseq_guided_align.corpus.link_counts import ConversionCounts
from fairseq_guided_align.corpus.missing_links import align_missing, parts_beside
from fairseq_guided_align.corpus.unknown_tokens import UnknownTokens
from fairseq_guided_align.corpus.vocabularies import find_unknown_tokens, write_dictionaries, write_models
from fairseq_guided_align.corpus.written_splits import WrittenSplit, write_split
from fairseq_guided_align.files.atomic import atomic_folder
from fairseq_guided_align.files.byte_lines import PathLike, count_lines
from fairseq_guided_align.links.reading import as_pharaoh
from fairseq_guided_align.subwords.settings import SETTINGS_FILE, described_words

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
        parts = parts_beside(destdir)
        with atomic_folder(destdir) as folder:
            counts = _fill(folder, in_pharaoh, settings, parts)
    if settings.chunking is not None:
        shutil.rmtree(parts, ignore_errors=True)  # Not before: whatever stops the rest, chunks are aligned once
    return counts


def _in_pharaoh(corpus: Corpus, settings: PreprocessSettings, stack: ExitStack) -> Corpus:
    if corpus.links is None:
        return corpus
    sentences = partial(count_lines, corpus.text[0])
    return replace(
        corpus, links_text=stack.enter_context(as_pharaoh(corpus.links, sentences, settings.conversion.one_based))
    )


def _fill(
    folder: Path, corpora: Sequence[Corpus], settings: PreprocessSettings, parts: Path
) -> dict[str, ConversionCounts]:
    text = folder / TEXT_FOLDER
    text.mkdir()
    models = write_models(corpora, folder, settings)
    corpora = align_missing(corpora, text, settings, parts)
    cuts = folders_of_cuts(folder, corpora, models, settings)
    splits = [_write_splits(cut, models) for cut in cuts]
    of_training = [
        written[corpus.split].symbols
        for cut, written in zip(cuts, splits)
        for corpus in cut.corpora
        if corpus.is_training
    ]
    dictionaries = write_dictionaries(text, models, of_training, settings)
    for cut, written in zip(cuts, splits):
        _finish(cut, models, dictionaries, written)
    for cut in cuts:  # Not before all are binarised: the dictionaries lie in the first one's text
        _tidy(cut.folder / TEXT_FOLDER, settings)
    return {split: written.counts for split, written in splits[0].items()}


def _write_splits(cut: CutFolder, models: Models) -> dict[str, WrittenSplit]:
    text = cut.folder / TEXT_FOLDER
    text.mkdir(exist_ok=True)
    cut.announce()
    return {corpus.split: write_split(corpus, cut.folder, text, models, cut.settings) for corpus in cut.corpora}


def _finish(cut: CutFolder, models: Models, dictionaries: tuple[str, str], written: Mapping[str, WrittenSplit]) -> None:
    """What comes of the text once the dictionaries are made."""
    folder, settings = cut.folder, cut.settings
    cut.announce()
    symbols = {split: one.symbols for split, one in written.items()}
    unknown = find_unknown_tokens(symbols, dictionaries, settings)
    binarize_text(written, folder / TEXT_FOLDER, folder, dictionaries, settings)
    verify_text({split: one.counts for split, one in written.items()}, folder, settings)
    _write_settings(cut, models, written, unknown)


def _tidy(text: Path, settings: PreprocessSettings) -> None:
    for path in text.iterdir():
        if not settings.keep_text or path.name.startswith("dict.") or path.suffix == ".aligner":
            path.unlink()
    if not settings.keep_text:
        text.rmdir()


def _write_settings(
    cut: CutFolder,
    models: Models,
    written: Mapping[str, WrittenSplit],
    unknown: Mapping[str, tuple[UnknownTokens, UnknownTokens]],
) -> None:
    settings = cut.settings
    splits = {}
    for corpus in cut.corpora:
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
        **({} if settings.sampling is None else {"subword_sampling": asdict(settings.sampling)}),
        "splits": splits,
    }
    (cut.folder / SETTINGS_FILE).write_text(
        json.dumps(described, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )
