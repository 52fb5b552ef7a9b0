"""The texts that are trained on: data folders with links for training, and gold links for validation and test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmarks.quality.measuring import Data, run
from examples.greek_english import corpus
from examples.greek_english.settings import MAIN, QUICK, SOURCE, TARGET
from examples.made_up_text import make_text


def _greek_english(text: Path) -> str:
    found = corpus.read_wheel(corpus.fetch_wheel(text.parent / "cache"))
    corpus.write_corpus(found.verses, text, corpus.CREDITS)
    return MAIN.subwords


def _made_up(text: Path) -> str:
    verses = [corpus.Verse(str(k), p.source, p.target, p.links) for k, p in enumerate(make_text(440))]
    corpus.write_corpus(verses, text, "Made up by examples/made_up_text.py.\n")
    return QUICK.subwords


CORPORA: dict[str, Callable[[Path], str]] = {"greek-english": _greek_english, "made-up": _made_up}
"""Each writes its text into a folder and returns the options of ``preprocess``. `made-up` is there for rehearsals."""


def prepare(name: str, work: Path) -> Data:
    """The corpus's data folder below `work`; made where it is not there."""
    folder, text = work / "data-bin", work / "text"
    if not folder.exists():
        text.mkdir(parents=True, exist_ok=True)
        subwords = CORPORA[name](text)
        run(
            work / "preprocess.log", "fairseq_guided_align.cli.main", "preprocess",
            "--source-lang", SOURCE, "--target-lang", TARGET, "--align-suffix", "align",
            "--trainpref", text / "train", "--validpref", text / "valid", "--testpref", text / "test",
            *subwords.split(), "--destdir", folder,
        )  # fmt: skip
    return Data(folder, SOURCE, TARGET)
