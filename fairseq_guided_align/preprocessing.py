"""From raw text and word links to a data folder that fairseq trains on.

The folder holds what stock ``fairseq-preprocess`` writes, ``{split}.links.{source}-{target}`` with subword links,
``guided_alignment.json`` with the settings, the SentencePiece models, and ``text/`` with the words and pieces that
were binarised, so that links alone can be binarised again. It is made under another name and renamed when complete.
"""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import NamedTuple, Optional

import numpy as np

from fairseq_guided_align import __version__
from fairseq_guided_align.aligner import AlignerSettings, align_text
from fairseq_guided_align.atomic_files import atomic_folder
from fairseq_guided_align.byte_lines import (
    PathLike,
    count_lines,
    decode_line,
    raise_length_error,
    read_blocks_together,
    read_lines,
)
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.fairseq_data import run_fairseq_preprocess, text_lengths, write_dictionary
from fairseq_guided_align.links import CorpusLinks
from fairseq_guided_align.pharaoh import format_block, parse_block
from fairseq_guided_align.progress import line_counter, say
from fairseq_guided_align.projection import (
    LINES_IN_BLOCK,
    ProjectionCounts,
    ProjectionSettings,
    Side,
    encoder,
    match_block,
    project_block,
)
from fairseq_guided_align.sentencepiece_models import train_model
from fairseq_guided_align.store import links_path, write_links
from fairseq_guided_align.subword_settings import SETTINGS
from fairseq_guided_align.worker_processes import map_in_order

TEXT_FOLDER = "text"
SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class PreprocessSettings:
    """Everything that the result depends on, apart from the texts.

    :param subwords: one of ``subwords.KINDS``: what the pieces are, or how the text is already cut.
    :param words_suffix: for each side, suffix of the text in words that the links refer to, where it is another than
        the text: ``PREFIX.SUFFIX``.
    :param models: for each side a SentencePiece model to use, or None to train one.
    :param joined: one dictionary, and one SentencePiece model, for both sides.
    :param dictionaries: for each side a dictionary to use, or None to make one.
    :param max_pieces: training pairs with more pieces on a side are left out.
    :param max_ratio: training pairs are left out where one side has more than this times the pieces of the other.
    :param aligner: makes the links of splits that have none; None to do without.
    :param allow_missing: splits without links are an error otherwise.
    """

    source_lang: str
    target_lang: str
    align_suffix: str = "align"
    subwords: str = "sentencepiece"
    words_suffix: tuple[Optional[str], Optional[str]] = (None, None)
    vocab_size: int = 8000
    model_type: str = "unigram"
    models: tuple[Optional[str], Optional[str]] = (None, None)
    joined: bool = False
    dictionaries: tuple[Optional[str], Optional[str]] = (None, None)
    projection: ProjectionSettings = field(default_factory=ProjectionSettings)
    max_pieces: Optional[int] = None
    max_ratio: Optional[float] = None
    aligner: Optional[AlignerSettings] = None
    allow_missing: bool = False
    keep_text: bool = True
    workers: int = 1
    fairseq_options: tuple[str, ...] = ()

    @property
    def langs(self) -> tuple[str, str]:
        return self.source_lang, self.target_lang


@dataclass(frozen=True)
class Corpus:
    """Files of one split or shard; ``links`` is None where it has none, ``words`` are the text where that is words."""

    split: str
    text: tuple[Path, Path]
    words: tuple[Path, Path]
    links: Optional[Path]

    @property
    def is_training(self) -> bool:
        return self.split.startswith("train")


class _Task(NamedTuple):
    corpus: Corpus
    settings: PreprocessSettings
    models: tuple[Optional[str], Optional[str]]
    first_line: int
    text: tuple[bytes, bytes]
    words: Optional[tuple[bytes, bytes]]
    links: Optional[bytes]


class _Block(NamedTuple):
    words: tuple[bytes, bytes]
    pieces: tuple[bytes, bytes]
    word_links: CorpusLinks
    links: CorpusLinks
    counts: ProjectionCounts
    symbols: tuple[Counter, Counter]
    left_out: int


def find_corpora(prefixes: dict[str, Sequence[str]], settings: PreprocessSettings) -> list[Corpus]:
    """The files of every split, ``train``, ``train1``, ..., checked to be there.

    :param prefixes: for each of ``SPLITS`` the prefixes of its files, the first of them for the split's own name.
    :raises GuidedAlignError: a file is missing; all missing ones are named.
    """
    corpora = []
    missing = []
    for split, some in prefixes.items():
        for number, prefix in enumerate(some):
            text = [_plain_or_gzip(f"{prefix}.{lang}") for lang in settings.langs]
            words = [
                _plain_or_gzip(f"{prefix}.{suffix}") if suffix else path
                for suffix, path in zip(settings.words_suffix, text)
            ]
            links: Optional[Path] = _plain_or_gzip(f"{prefix}.{settings.align_suffix}")
            missing += [str(path) for path in {*text, *words} if not path.is_file()]
            if links is not None and not links.is_file():
                if settings.aligner is None and not settings.allow_missing:
                    missing.append(f"{links} (links; see --aligner and --allow-missing-alignments)")
                links = None
            name = split if number == 0 else f"{split}{number}"
            corpora.append(Corpus(name, (text[0], text[1]), (words[0], words[1]), links))
    if missing:
        raise GuidedAlignError("no such file: " + ", ".join(sorted(missing)))
    if not any(corpus.split == "train" for corpus in corpora):
        if None in settings.dictionaries:
            raise GuidedAlignError("--trainpref is needed to make dictionaries; or give --srcdict and --tgtdict")
        if settings.subwords == "sentencepiece" and None in settings.models:
            raise GuidedAlignError("--trainpref is needed to train SentencePiece models; or give both models")
    return corpora


def preprocess(
    corpora: Sequence[Corpus], destdir: PathLike, settings: PreprocessSettings
) -> dict[str, ProjectionCounts]:
    """Make the data folder; a summary of each split goes to standard error.

    :return: counts of each split.
    :raises GuidedAlignError: whatever is wrong with texts, links, models or settings; nothing is left behind then.
    """
    for corpus in corpora:  # before models are trained for hours
        files = [*corpus.text, *corpus.words, *([] if corpus.links is None else [corpus.links])]
        if len({count_lines(path) for path in set(files)}) > 1:
            raise_length_error(files)
    with atomic_folder(destdir) as folder:
        text_folder = folder / TEXT_FOLDER
        text_folder.mkdir()
        models = _models(corpora, folder, settings) if settings.subwords == "sentencepiece" else (None, None)
        if settings.aligner is not None:
            corpora = _align_missing(corpora, text_folder, settings)
        counts: dict[str, ProjectionCounts] = {}
        left_out: dict[str, int] = {}
        symbols = (Counter[str](), Counter[str]())
        for corpus in corpora:
            counts[corpus.split], left_out[corpus.split] = _write_corpus(corpus, folder, models, symbols, settings)
        dictionaries = _dictionaries(corpora, folder, models, symbols, settings)
        _binarize_text(corpora, folder, dictionaries, settings)
        _verify_text(counts, folder, settings)
        _write_settings(folder, corpora, models, counts, left_out, settings)
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
    corpora: Sequence[Corpus],
    folder: Path,
    models: tuple[Optional[str], Optional[str]],
    symbols: tuple[Counter, Counter],
    settings: PreprocessSettings,
) -> tuple[str, str]:
    """Dictionaries to binarise with: those given; the models' vocabulary; else all symbols of the training text.

    A model's whole vocabulary is in its dictionary, seen in training or not: else a piece that only held-out text
    has would become ``<unk>``, and with it the ``▁`` that says where its word begins.
    """
    if settings.joined:
        both = symbols[0] + symbols[1]
        symbols = (both, both)
    paths = []
    for side, given in enumerate(settings.dictionaries):
        if given is None and settings.joined:
            given = settings.dictionaries[1 - side]
        if given is not None:
            paths.append(str(Path(given).resolve()))
            continue
        vocabulary: set[str] = set()
        for model in set(models if settings.joined else models[side : side + 1]):
            vocabulary.update(encoder(model).vocabulary() if model else ())
        path = folder / TEXT_FOLDER / ("dict.txt" if settings.joined else f"dict.{settings.langs[side]}.txt")
        size = write_dictionary(path, symbols[side], vocabulary)
        if not (settings.joined and side):
            say(f"{'both languages' if settings.joined else settings.langs[side]}: dictionary of {size} symbols")
        paths.append(str(path))
    return paths[0], paths[1]


# --- text and links -------------------------------------------------------------------------------------------


def _write_corpus(
    corpus: Corpus,
    folder: Path,
    models: tuple[Optional[str], Optional[str]],
    symbols: tuple[Counter, Counter],
    settings: PreprocessSettings,
) -> tuple[ProjectionCounts, int]:
    """Pieces, words and links of a split into the folder: (counts, pairs left out)."""
    counts = ProjectionCounts()
    left_out = 0
    text_folder = folder / TEXT_FOLDER

    def blocks() -> Iterator[CorpusLinks]:
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
            tasks = _tasks(corpus, models, settings)
            for block in map_in_order(_cut_and_project, tasks, settings.workers):
                for side in (0, 1):
                    open_text[0][side].write(block.words[side])
                    open_text[1][side].write(block.pieces[side])
                    if corpus.is_training:
                        symbols[side].update(block.symbols[side])
                if word_links is not None:
                    word_links.write(format_block(block.word_links))
                counts.add(block.counts)
                left_out += block.left_out
                bar.update(len(block.links) + block.left_out)
                yield block.links
            if corpus.links is not None:
                counts.check(corpus.links, settings.projection.max_dropped)

    if corpus.links is None:
        for _ in blocks():
            pass
        say(f"{corpus.split}: {counts.sentences} sentence pairs, without links")
    else:
        write_links(links_path(folder, corpus.split, *settings.langs), blocks())
        for warning in counts.warnings(corpus.links, settings.projection.one_based):
            say(f"warning: {warning}")
        say(counts.summary(corpus.split))
    if left_out:
        say(f"{corpus.split}: {left_out} pairs left out: a side too long, or empty, or lengths too different")
    return counts, left_out


def _tasks(
    corpus: Corpus, models: tuple[Optional[str], Optional[str]], settings: PreprocessSettings
) -> Iterator[_Task]:
    paths: list[PathLike] = [*corpus.text]
    has_words = corpus.words != corpus.text
    if has_words:
        paths += corpus.words
    if corpus.links is not None:
        paths.append(corpus.links)
    for first_line, blocks in read_blocks_together(paths, LINES_IN_BLOCK):
        yield _Task(
            corpus,
            settings,
            models,
            first_line,
            (blocks[0], blocks[1]),
            (blocks[2], blocks[3]) if has_words else None,
            blocks[-1] if corpus.links is not None else None,
        )


def _cut_and_project(task: _Task) -> _Block:
    """One block of lines: its pieces, and its links between them."""
    corpus, settings, first_line = task.corpus, task.settings, task.first_line
    pieces = []
    words = []
    for side in (0, 1):
        lines = _decoded(task.text[side], corpus.text[side], first_line)
        model = task.models[side]
        if model is not None:
            cut = [" ".join(one) for one in encoder(model).encode(lines)]
        else:
            cut = [" ".join(line.split()) for line in lines]
        pieces.append(cut)
        if task.words is not None:
            words.append(_decoded(task.words[side], corpus.words[side], first_line))
        elif settings.subwords == "bpe":
            words.append([join_bpe(line) for line in cut])
        else:
            words.append(lines)
    if task.links is None:
        links = CorpusLinks.empty(len(pieces[0]))
    else:
        assert corpus.links is not None
        links = parse_block(task.links, corpus.links, first_line, settings.projection.one_based)
        if settings.projection.inverted:
            links = links.inverted()
    keep = _kept(pieces, settings) if corpus.is_training else None
    left_out = 0
    line_numbers: Sequence[int] = range(first_line, first_line + len(pieces[0]))
    matched = []
    mismatches: Optional[list[str]] = [] if settings.projection.skip_mismatches else None
    blocks = [("\n".join([*some, ""]).encode(), "\n".join([*cut, ""]).encode()) for some, cut in zip(words, pieces)]
    for side, (words_block, pieces_block) in enumerate(blocks):
        # The pieces' own file is not for the user to look into: both are named by what they came from.
        name = Side(corpus.words[side], corpus.text[side], settings.subwords, task.models[side])
        matched.append(match_block(words_block, pieces_block, name, first_line, mismatches))
    if keep is not None and not keep.all():
        rows = np.flatnonzero(keep)
        left_out = len(keep) - len(rows)
        blocks = [
            ("\n".join([*(some[i] for i in rows), ""]).encode(), "\n".join([*(cut[i] for i in rows), ""]).encode())
            for some, cut in zip(words, pieces)
        ]
        pieces = [[cut[i] for i in rows] for cut in pieces]
        matched = [side.select(rows) for side in matched]
        links = links.select(rows)
        line_numbers = [first_line + i for i in rows.tolist()]
    projected = project_block(
        links, matched[0], matched[1], settings.projection, corpus.links or corpus.text[0], line_numbers
    )
    projected.counts.add_mismatches(mismatches)
    counted = [Counter[str](), Counter[str]()]
    if corpus.is_training:
        for side in (0, 1):
            for line in pieces[side]:
                counted[side].update(line.split(" ") if line else ())
    return _Block(
        (blocks[0][0], blocks[1][0]),
        (blocks[0][1], blocks[1][1]),
        links,
        projected.links,
        projected.counts,
        (counted[0], counted[1]),
        left_out,
    )


def _kept(pieces: Sequence[Sequence[str]], settings: PreprocessSettings) -> Optional[np.ndarray]:
    """(lines,) bool; None where nothing is to be left out."""
    if settings.max_pieces is None and settings.max_ratio is None:
        return None
    source, target = (np.array([len(line.split()) for line in side]) for side in pieces)
    keep = (source > 0) & (target > 0)
    if settings.max_pieces is not None:
        keep &= np.maximum(source, target) <= settings.max_pieces
    if settings.max_ratio is not None:
        keep &= np.maximum(source, target) <= settings.max_ratio * np.minimum(source, target)
    return keep


def join_bpe(line: str) -> str:
    """The words of a line of ``@@ `` pieces, as fairseq joins them."""
    return re.sub(r"@@( |$)", "", line)


def _decoded(block: bytes, path: PathLike, first_line: int) -> list[str]:
    lines = block.split(b"\n")[:-1]
    return [decode_line(line, path, number) for number, line in enumerate(lines, start=first_line)]


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
                joined = settings.subwords == "bpe" and corpus.words == corpus.text
                yield join_bpe(" ".join(line.split())) if joined else line

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
        *settings.fairseq_options,
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
            common += [f"--{kind}pref", ",".join(str(text / f"{split}.pieces") for split in some)]
    run_fairseq_preprocess([*common, "--destdir", str(folder)])
    for number, split in enumerate(shards, start=len(tests)):
        written = f"test{number or ''}.{settings.source_lang}-{settings.target_lang}."
        for path in folder.glob(written + "*"):
            path.rename(folder / f"{split}.{path.name.partition('.')[2]}")


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
    settings: PreprocessSettings,
) -> None:
    splits = {}
    for corpus in corpora:
        splits[corpus.split] = {
            **{name: value for name, value in asdict(counts[corpus.split]).items() if name != "examples"},
            "left_out": left_out[corpus.split],
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
                "text": TEXT_FOLDER if settings.keep_text else None,
                "splits": splits,
            },
            indent=2,
            ensure_ascii=False,
        )
        + "\n",
        encoding="utf-8",
    )


def _plain_or_gzip(path: str) -> Path:
    zipped = Path(path + ".gz")
    return zipped if zipped.is_file() and not Path(path).is_file() else Path(path)


def _lines(paths: Iterable[PathLike]) -> Iterator[str]:
    for path in paths:
        yield from read_lines(path)
