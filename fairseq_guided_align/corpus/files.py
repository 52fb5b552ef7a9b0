"""What is preprocessed: the files of every split, and the settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fairseq_guided_align.corpus.dictionaries import read_symbols
from fairseq_guided_align.corpus.fairseq_options import FairseqOptions
from fairseq_guided_align.corpus.subword_links import ConversionSettings
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.files.arguments import between_commas
from fairseq_guided_align.files.byte_lines import PathLike, count_lines, raise_length_error
from fairseq_guided_align.files.compression import plain_or_compressed
from fairseq_guided_align.links.aligner import AlignerSettings
from fairseq_guided_align.links.chunked_text import Chunking
from fairseq_guided_align.subwords.sampling import Sampling

SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class PreprocessSettings:
    """Everything that the result depends on, apart from the texts.

    :param subwords: one of ``subwords.pieces.SUBWORD_KINDS``: what the pieces are, or how the text is already cut.
    :param words_suffix: for each side, the suffix of the text whose words the links count, ``PREFIX.SUFFIX``; None:
        they count the words of the text itself.
    :param models: for each side a SentencePiece model to use, or None to train one.
    :param joined: one dictionary, and one SentencePiece model, for both sides.
    :param dictionaries: for each side a dictionary to use, or None to make one.
    :param max_pieces: training pairs with more pieces on a side are left out.
    :param max_ratio: training pairs are left out where one side has more than this times the pieces of the other.
    :param aligner: makes the links of splits that have none; None to do without.
    :param aligner_pieces: sizes that ``subwords.aligned_pieces.align_words_and_pieces`` takes; with none, the aligner
        sees words alone.
    :param chunking: how the aligner takes a large text; None: all at once and without priors.
    :param allow_missing: splits without links are an error otherwise.
    :param sampling: how training text is cut at random; None: the models' best cut. Other text always gets that.
    """

    source_lang: str
    target_lang: str
    align_suffix: str = "align"
    subwords: str = "sentencepiece"
    words_suffix: tuple[str | None, str | None] = (None, None)
    vocab_size: int = 8000
    model_type: str = "unigram"
    models: tuple[str | None, str | None] = (None, None)
    joined: bool = False
    dictionaries: tuple[str | None, str | None] = (None, None)
    conversion: ConversionSettings = field(default_factory=ConversionSettings)
    max_pieces: int | None = None
    max_ratio: float | None = None
    aligner: AlignerSettings | None = None
    aligner_pieces: Sequence[int] = ()
    chunking: Chunking | None = None
    allow_missing: bool = False
    keep_text: bool = True
    workers: int = 1
    sampling: Sampling | None = None
    fairseq_options: FairseqOptions = field(default_factory=FairseqOptions)

    @property
    def langs(self) -> tuple[str, str]:
        return self.source_lang, self.target_lang

    def dictionary(self, side: int) -> str | None:
        """The given dictionary of a side, which is that of both where there is one for both; None to make one."""
        return self.dictionaries[side] or (self.dictionaries[1 - side] if self.joined else None)


@dataclass(frozen=True)
class Corpus:
    """Files of one split or shard.

    :param words: of the words that the links count; the text itself where it is words.
    :param links: None where there are none.
    :param links_text: the same links in Pharaoh text, where ``links`` is of another form.
    """

    split: str
    text: tuple[PathLike, PathLike]
    words: tuple[PathLike, PathLike]
    links: PathLike | None
    links_text: PathLike | None = None

    @property
    def links_to_read(self) -> PathLike | None:
        """The links as Pharaoh text; None where there are none."""
        return self.links if self.links_text is None else self.links_text

    @property
    def is_training(self) -> bool:
        return self.split.startswith("train")


def find_corpora(
    prefixes: Mapping[str, Sequence[str]],
    settings: PreprocessSettings,
    columns: Mapping[str, Sequence[Sequence[PathLike]]],
) -> list[Corpus]:
    """The files of every split, ``train``, ``train1``, ..., which must be there.

    :param prefixes: for each of ``SPLITS`` the prefixes of its files, the first of them for the split's own name.
    :param columns: for each of ``SPLITS`` further files of source, target and perhaps links.
    :raises GuidedAlignError: a file is missing; all missing ones are named.
    """
    corpora: list[Corpus] = []
    missing: list[str] = []
    for split, some in prefixes.items():
        for number, prefix in enumerate(some):
            text = [plain_or_compressed(f"{prefix}.{lang}") for lang in settings.langs]
            words = [
                plain_or_compressed(f"{prefix}.{suffix}") if suffix else path
                for suffix, path in zip(settings.words_suffix, text)
            ]
            links: Path | None = plain_or_compressed(f"{prefix}.{settings.align_suffix}")
            missing += [str(path) for path in {*text, *words} if not path.is_file()]
            if links is not None and not links.is_file():
                if settings.aligner is None and not settings.allow_missing:
                    missing.append(f"{links} (links; see --aligner and --allow-missing-alignments)")
                links = None
            name = split if number == 0 else f"{split}{number}"
            corpora.append(Corpus(name, (text[0], text[1]), (words[0], words[1]), links))
        for number, paths in enumerate(columns[split], start=len(some)):
            corpora.append(_corpus_of_columns(split if number == 0 else f"{split}{number}", paths, settings))
    if missing:
        raise GuidedAlignError("no such file: " + ", ".join(sorted(missing)))
    if not any(corpus.split == "train" for corpus in corpora):
        _check_without_training(settings)
    return corpora


def _corpus_of_columns(split: str, paths: Sequence[PathLike], settings: PreprocessSettings) -> Corpus:
    """A split out of the columns of a TSV: source, target and perhaps links."""
    source, target, *links = paths
    if not links and settings.aligner is None and not settings.allow_missing:
        raise GuidedAlignError(
            f"{source}: expected a column of links; got two columns; name it, as in --columns 1,2,3; see also"
            " --aligner and --allow-missing-alignments"
        )
    return Corpus(split, (source, target), (source, target), next(iter(links), None))


def _check_without_training(settings: PreprocessSettings) -> None:
    """:raises GuidedAlignError: dictionaries or models have to be made, and there is no training text."""
    if None in settings.dictionaries:
        raise GuidedAlignError("--trainpref is needed to make dictionaries; or give --srcdict and --tgtdict")
    if settings.subwords == "sentencepiece" and None in settings.models:
        raise GuidedAlignError("--trainpref is needed to train SentencePiece models; or give both models")


def split_prefixes(argument: str, lang: str) -> list[str]:
    """The prefixes of ``PREFIX,PREFIX``; a comma in the name of a folder or file that is there separates nothing.

    :param lang: ends the name of a file that each prefix has.
    """
    return between_commas(argument, lambda prefix: plain_or_compressed(f"{prefix}.{lang}").is_file())


def check_dictionaries(settings: PreprocessSettings) -> None:
    """Look at the dictionaries that were given, before models are trained for hours.

    :raises GuidedAlignError: one cannot be read, or the size of a dictionary is given that is not made.
    """
    for path in settings.dictionaries:
        if path is not None:
            read_symbols(path)
    source, target = (path is not None for path in settings.dictionaries)
    settings.fairseq_options.check_dictionaries((source, target), settings.joined)


def check_lengths(corpora: Sequence[Corpus]) -> None:
    """:raises AlignmentLengthError: files of a split differ in their number of lines.
    :raises GuidedAlignError: a text is empty, on which fairseq ends in a traceback.
    """
    for corpus in corpora:
        files = [*corpus.text, *corpus.words, *([] if corpus.links_to_read is None else [corpus.links_to_read])]
        lengths = {count_lines(path) for path in set(files)}
        if len(lengths) > 1:
            raise_length_error(files)
        if lengths == {0}:
            kind = corpus.split.rstrip("0123456789")
            raise GuidedAlignError(
                f"{corpus.text[0]}: expected text of {corpus.split}, which --{kind}pref names; got an empty file;"
                " fairseq reads no empty text: name another, or leave it out"
            )
