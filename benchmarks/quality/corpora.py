"""The texts that are trained on: data folders with links for training, and gold links for validation and test."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.quality.measuring import Data
from examples.greek_english import corpus
from examples.greek_english.settings import MAIN, SOURCE, TARGET

CORPORA = ("greek-english",)


def prepare(name: str, work: Path) -> Data:
    """The corpus's data folder below `work`; made where it is not there."""
    assert name == "greek-english", name
    folder, text = work / "data-bin", work / "text"
    if not folder.exists():
        text.mkdir(parents=True, exist_ok=True)
        found = corpus.read_wheel(corpus.fetch_wheel(work / "cache"))
        corpus.write_corpus(found.verses, text, corpus.CREDITS)
        subprocess.run(
            [
                *(sys.executable, "-m", "fairseq_guided_align.cli.main", "preprocess"),
                *("--source-lang", SOURCE, "--target-lang", TARGET, "--align-suffix", "align"),
                *("--trainpref", text / "train", "--validpref", text / "valid", "--testpref", text / "test"),
                *(*MAIN.subwords.split(), "--destdir", folder),
            ],
            check=True,
        )
    return Data(folder, SOURCE, TARGET)
