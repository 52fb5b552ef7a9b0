"""From raw text and word links to a data folder that fairseq trains on.

The folder holds what stock ``fairseq-preprocess`` writes, ``{split}.links.{source}-{target}`` with subword links,
``guided_alignment.json`` with the settings, the SentencePiece models, and ``text/`` with the words and pieces that
were binarised, so that links alone can be binarised again. It is made under another name and renamed when complete.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Optional

from fairseq_guided_align import __version__
from fairseq_guided_align.aligner import align_text
from fairseq_guided_align.atomic_files import atomic_folder
from fairseq_guided_align.byte_lines import PathLike, count_lines, read_lines
from fairseq_guided_align.corpus_blocks import block_tasks, cut_and_project
from fairseq_guided_align.corpus_files import Corpus, PreprocessSettings, check_dictionaries, check_lengths
from fairseq_guided_align.dictionaries import read_symbols, write_dictionary
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.fairseq_data import run_fairseq_preprocess, text_lengths
from fairseq_guided_align.link_files import as_pharaoh
from fairseq_guided_align.links import CorpusLinks
from fairseq_guided_align.pharaoh import format_block
from fairseq_guided_align.progress import line_counter, say
from fairseq_guided_align.projection import ProjectionCounts, encoder
from fairseq_guided_align.sentencepiece_models import train_model
from fairseq_guided_align.special_tokens import flagged_symbols, special_token_warning, written
from fairseq_guided_align.store import links_path, write_links
from fairseq_guided_align.subword_settings import SETTINGS
from fairseq_guided_align.subwords import join_bpe
from fairseq_guided_align.unknown_tokens import UnknownTokens, unknown_warning
from fairseq_guided_align.words import split_words
from fairseq_guided_align.worker_processes import map_in_order

TEXT_FOLDER = "text"

Symbols = tuple[Counter, Counter]
"""How often each token occurs in the source and in the target text."""


def preprocess(
    corpora: Sequence[Corpus], destdir: PathLike, settings: PreprocessSettings
) -> dict[str, ProjectionCounts]:
    """Make the data folder; a summary of each split goes to standard error.

    :return: counts of each split.
    :raises GuidedAlignError: whatever is wrong with texts, links, models or settings; nothing is left behind then.
    """
    with ExitStack() as stack:
        in_pharaoh = [_in_pharaoh(corpus, settings, stack) for corpus in corpora]
        check_lengths(in_pharaoh)  # before models are trained for hours
        check_dictionaries(settings)
        return _preprocess(in_pharaoh, destdir, settings)


def _in_pharaoh(corpus: Corpus, settings: PreprocessSettings, stack: ExitStack) -> Corpus:
    if corpus.links is None:
        return corpus
    sentences = partial(count_lines, corpus.text[0])
    return replace(
        corpus, links_text=stack.enter_context(as_pharaoh(corpus.links, sentences, settings.projection.one_based))
    )


def _preprocess(
    corpora: Sequence[Corpus], destdir: PathLike, settings: PreprocessSettings
) -> dict[str, ProjectionCounts]:
    with atomic_folder(destdir) as folder:
        text_folder = folder / TEXT_FOLDER
        text_folder.mkdir()
        models = _models(corpora, folder, settings) if settings.subwords == "sentencepiece" else (None, None)
        if settings.aligner is not None:
            corpora = _align_missing(corpora, text_folder, settings)
        counts: dict[str, ProjectionCounts] = {}
        left_out: dict[str, int] = {}
        symbols: dict[str, Symbols] = {}
        for corpus in corpora:
            own = symbols[corpus.split] = (Counter[str](), Counter[str]())
            counts[corpus.split], left_out[corpus.split] = _write_corpus(corpus, folder, models, own, settings)
        of_training = [symbols[corpus.split] for corpus in corpora if corpus.is_training]
        dictionaries = _dictionaries(folder, models, of_training, settings)
        unknown = _unknown_tokens(symbols, dictionaries, settings)
        _binarize_text(corpora, folder, dictionaries, settings)
        _keep_flags(folder, dictionaries, settings)
        _verify_text(counts, folder, settings)
        _write_settings(folder, corpora, models, counts, left_out, unknown, settings)
        for path in text_folder.iterdir():
            if not settings.keep_text or path.name.startswith("dict.") or path.suffix == ".aligner":
                path.unlink()
        if not settings.keep_text:
            text_folder.rmdir()
    return counts


# --- models and dictionaries ----------------------------------------------------------------------------------


def _models(
    corpora: Sequence[Corpus], folder: Path, settings: PreprocessSettings
) -> tuple[Optional[str], Optional[str]]:
    """SentencePiece models in the data folder: those given, else trained on the training text."""
    training = [corpus for corpus in corpora if corpus.is_training]
    if settings.joined and settings.models == (None, None):
        path = folder / "sentencepiece.model"
        say(f"training a SentencePiece model of {settings.vocab_size} pieces on both languages")
        files = [path for corpus in training for path in corpus.text]
        train_model(_lines(files), path, settings.vocab_size, settings.model_type)
        return str(path), str(path)
    paths: list[Optional[str]] = []
    for side, (lang, given) in enumerate(zip(settings.langs, settings.models)):
        path = folder / f"sentencepiece.{lang}.model"
        if given is not None:
            encoder(given)  # says what is wrong with it
            shutil.copyfile(given, path)
        else:
            say(f"training a SentencePiece model of {settings.vocab_size} pieces on {lang}")
            files = [corpus.text[side] for corpus in training]
            train_model(_lines(files), path, settings.vocab_size, settings.model_type)
        paths.append(str(path))
    return paths[0], paths[1]


def _dictionaries(
    folder: Path,
    models: tuple[Optional[str], Optional[str]],
    of_training: Sequence[Symbols],
    settings: PreprocessSettings,
) -> tuple[str, str]:
    """Dictionaries to binarise with: those given; the models' vocabulary; else all symbols of the training text.

    A model's whole vocabulary is in its dictionary, seen in training or not: else a piece that only held-out text
    has would become ``<unk>``, and with it the ``▁`` that says where its word begins.
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
            vocabulary.update(map(written, encoder(model).vocabulary()) if model else ())
        path = folder / TEXT_FOLDER / ("dict.txt" if settings.joined else f"dict.{settings.langs[side]}.txt")
        limits = settings.fairseq_options.sizes[0 if settings.joined else side]
        size = write_dictionary(path, symbols[side], vocabulary, limits)
        if not (settings.joined and side):
            say(f"{'both languages' if settings.joined else settings.langs[side]}: dictionary of {size} symbols")
        paths.append(str(path))
    return paths[0], paths[1]


def _unknown_tokens(
    symbols: dict[str, Symbols], dictionaries: tuple[str, str], settings: PreprocessSettings
) -> dict[str, tuple[UnknownTokens, UnknownTokens]]:
    """What of each split becomes ``<unk>``, of both sides; shown, with a warning where it is much."""
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


# --- text and links -------------------------------------------------------------------------------------------


def _write_corpus(
    corpus: Corpus,
    folder: Path,
    models: tuple[Optional[str], Optional[str]],
    symbols: Symbols,
    settings: PreprocessSettings,
) -> tuple[ProjectionCounts, int]:
    """Pieces, words and links of a split into the folder: (counts, pairs left out).

    :param symbols: filled in on the way.
    """
    counts = ProjectionCounts()
    left_out = 0
    text_folder = folder / TEXT_FOLDER

    def blocks() -> Generator[CorpusLinks, None, None]:
        nonlocal left_out
        with ExitStack() as stack:
            open_text = [
                [
                    stack.enter_context(open(text_folder / f"{corpus.split}{middle}.{lang}", "wb"))
                    for lang in settings.langs
                ]
                for middle in ("", ".pieces")
            ]
            word_links = None
            if corpus.links is not None:
                word_links = stack.enter_context(open(text_folder / f"{corpus.split}.align", "wb"))
            bar = stack.enter_context(line_counter(corpus.split))
            tasks = block_tasks(corpus, models, settings)
            cut = stack.enter_context(closing(map_in_order(cut_and_project, tasks, settings.workers)))
            for block in cut:
                for side in (0, 1):
                    open_text[0][side].write(block.words[side])
                    open_text[1][side].write(block.pieces[side])
                    symbols[side].update(block.symbols[side])
                if word_links is not None:
                    word_links.write(block.word_links)
                counts.add(block.counts)
                left_out += block.left_out
                bar.update(len(block.links) + block.left_out)
                yield block.links
            if corpus.links is not None:
                counts.check_words(corpus.links, settings.projection.word_split)
                counts.check(corpus.links, settings.projection.max_dropped)

    with closing(blocks()) as made:
        if corpus.links is None:
            for _ in made:
                pass
        else:
            write_links(links_path(folder, corpus.split, *settings.langs), made)
    if corpus.links is None:
        say(f"{corpus.split}: {counts.sentences} sentence pairs, without links")
    else:
        for warning in counts.warnings(corpus.links, settings.projection.one_based):
            say(f"warning: {warning}")
        for warning in counts.word_warnings(corpus.links, settings.projection.word_split):
            say(f"warning: {warning}")
        say(counts.summary(corpus.split))
    for lang, tokens in zip(settings.langs, (counts.source_tokens, counts.target_tokens)):
        if counts.sentences and not tokens:
            say(f"warning: {empty_side_warning(corpus.split, lang)}")
    if counts.special_tokens:
        say(f"warning: {special_token_warning(corpus.split, counts.special_tokens)}")
    if left_out:
        say(f"{corpus.split}: {left_out} pairs left out: a side too long, or empty, or lengths too different")
        if not counts.sentences:
            raise GuidedAlignError(
                f"{corpus.split}: no sentence pair is left; raise --max-pieces or --max-ratio, or leave them out"
            )
    return counts, left_out


def empty_side_warning(split: str, lang: str) -> str:
    """What to tell of a text of empty lines alone."""
    return f"{split}.{lang}: every line is empty, so that nothing can be learned from it: is it the right file?"


# --- links that have to be made -------------------------------------------------------------------------------


def _align_missing(corpora: Sequence[Corpus], text_folder: Path, settings: PreprocessSettings) -> list[Corpus]:
    """Splits without links get them from the aligner, which sees the text of all splits."""
    assert settings.aligner is not None
    if all(corpus.links is not None for corpus in corpora):
        return list(corpora)
    missing = [corpus.split for corpus in corpora if corpus.links is None]
    say(f"aligning {', '.join(missing)}; eflomal says nothing until it is done")

    def words(side: int) -> Iterator[str]:
        for corpus in corpora:
            for line in read_lines(corpus.words[side]):
                words = split_words(line, settings.projection.word_split)
                joined = settings.subwords == "bpe" and corpus.words == corpus.text
                yield join_bpe(" ".join(words)) if joined else " ".join(words)

    chunks = align_text(words(0), words(1), settings.aligner)
    aligned: list[Corpus] = []
    rest = CorpusLinks.concatenated([])
    inverted, one_based = settings.projection.inverted, settings.projection.one_based
    for corpus in corpora:
        needed = sum(1 for _ in read_lines(corpus.text[0]))
        # In the form of the links that are read with them.
        path = text_folder / f"{corpus.split}.aligner"
        with open(path, "wb") as stream:
            while needed:
                if not len(rest):
                    rest = next(chunks)
                part, rest = rest[:needed], rest[needed:]
                stream.write(format_block(part.inverted() if inverted else part, one_based))
                needed -= len(part)
        aligned.append(replace(corpus, links=path) if corpus.links is None else corpus)
    return aligned


# --- fairseq --------------------------------------------------------------------------------------------------


def _binarize_text(
    corpora: Sequence[Corpus], folder: Path, dictionaries: tuple[str, str], settings: PreprocessSettings
) -> None:
    """Stock fairseq-preprocess on the pieces of every split."""
    text = folder / TEXT_FOLDER
    common = [
        "--source-lang", settings.source_lang,
        "--target-lang", settings.target_lang,
        "--workers", str(settings.workers),
        *settings.fairseq_options.arguments(),
    ]  # fmt: skip
    if settings.joined:
        common += ["--joined-dictionary", "--srcdict", dictionaries[0]]
    else:
        common += ["--srcdict", dictionaries[0], "--tgtdict", dictionaries[1]]
    splits = [corpus.split for corpus in corpora]
    say("binarising the text with fairseq-preprocess")
    # It knows one training text, but any number of test texts: further training text goes as such, and is renamed.
    shards = [split for split in splits if split.startswith("train") and split != "train"]
    tests = [split for split in splits if split.startswith("test")]
    of_kind = {
        "train": [split for split in splits if split == "train"],
        "valid": [split for split in splits if split.startswith("valid")],
        "test": tests + shards,
    }
    for kind, some in of_kind.items():
        if some:
            common += [f"--{kind}pref", ",".join(f"{split}.pieces" for split in some)]
    run_fairseq_preprocess([*common, "--destdir", str(folder.resolve())], text)
    for number, split in enumerate(shards, start=len(tests)):
        written = f"test{number or ''}.{settings.source_lang}-{settings.target_lang}."
        for path in folder.glob(written + "*"):
            path.rename(folder / f"{split}.{path.name.partition('.')[2]}")


def _keep_flags(folder: Path, dictionaries: tuple[str, str], settings: PreprocessSettings) -> None:
    """fairseq writes a dictionary without the flags of symbols that take the place of others, and cannot read it."""
    for lang, dictionary in zip(settings.langs, dictionaries):
        if flagged_symbols(dictionary):
            shutil.copyfile(dictionary, folder / f"dict.{lang}.txt")


def _verify_text(counts: dict[str, ProjectionCounts], folder: Path, settings: PreprocessSettings) -> None:
    """fairseq must have binarised the very tokens that the links count."""
    for split, expected in counts.items():
        for lang, tokens in zip(settings.langs, (expected.source_tokens, expected.target_tokens)):
            lengths = text_lengths(folder, split, *settings.langs, lang)
            if lengths is None:
                continue  # another --dataset-impl than mmap
            if len(lengths) != expected.sentences or lengths.total() != tokens:
                raise GuidedAlignError(
                    f"{split}.{lang}: expected fairseq to binarise {expected.sentences} sentences of {tokens} tokens in"
                    f" all; it made {len(lengths)} of {lengths.total()}"
                )


def _write_settings(
    folder: Path,
    corpora: Sequence[Corpus],
    models: tuple[Optional[str], Optional[str]],
    counts: dict[str, ProjectionCounts],
    left_out: dict[str, int],
    unknown: dict[str, tuple[UnknownTokens, UnknownTokens]],
    settings: PreprocessSettings,
) -> None:
    splits = {}
    for corpus in corpora:
        splits[corpus.split] = {
            **{name: value for name, value in asdict(counts[corpus.split]).items() if isinstance(value, int)},
            "left_out": left_out[corpus.split],
            "source_unknown": unknown[corpus.split][0].unknown,
            "target_unknown": unknown[corpus.split][1].unknown,
            "has_links": corpus.links is not None,
        }
    (folder / SETTINGS).write_text(
        json.dumps(
            {
                "version": __version__,
                "source_lang": settings.source_lang,
                "target_lang": settings.target_lang,
                "subwords": settings.subwords,
                "source_sentencepiece_model": Path(models[0]).name if models[0] else None,
                "target_sentencepiece_model": Path(models[1]).name if models[1] else None,
                "joined_dictionary": settings.joined,
                "policy": settings.projection.policy,
                "word_split": settings.projection.word_split,
                "text": TEXT_FOLDER if settings.keep_text else None,
                "splits": splits,
            },
            indent=2,
            ensure_ascii=False,
        )
        + "\n",
        encoding="utf-8",
    )


def _lines(paths: Iterable[PathLike]) -> Iterator[str]:
    for path in paths:
        yield from read_lines(path)
