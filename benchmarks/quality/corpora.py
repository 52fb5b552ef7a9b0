"""The texts that are trained on: data folders with links for training, and links for validation and test."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from benchmarks.quality.measuring import Data, run
from examples.greek_english import corpus
from examples.greek_english.settings import MAIN, QUICK, SOURCE, TARGET
from examples.made_up_text import make_text
from fairseq_guided_align.links.aligner import AlignerSettings, align_with_eflomal
from fairseq_guided_align.links.pharaoh import format_block

HELD_OUT = {"valid": 1000, "test": 1000}
"""English messages of the catalogues that are kept out of the training text."""


class Text(NamedTuple):
    """:param subwords: options of ``preprocess``."""

    source: str
    target: str
    subwords: str
    write: Callable[[Path], None]


def _greek_english(text: Path) -> None:
    found = corpus.read_wheel(corpus.fetch_wheel(text.parent / "cache"))
    corpus.write_corpus(found.verses, text, corpus.CREDITS)


def _made_up(text: Path) -> None:
    verses = [corpus.Verse(str(k), p.source, p.target, p.links) for k, p in enumerate(make_text(440))]
    corpus.write_corpus(verses, text, "Made up by examples/made_up_text.py.\n")


def _catalogues(text: Path) -> None:
    """Messages of programs, English and German, without tags and placeholders; links by eflomal, over all of them."""
    from benchmarks.tags.corpus import distinct_messages
    from benchmarks.tags.words import marks_apart

    (text.parent / "wheels").mkdir(exist_ok=True)
    pairs: dict[str, list[tuple[list[str], list[str]]]] = {}
    for message in distinct_messages("de", text.parent / "wheels"):
        sides = message.source, message.target
        words = [[side[start:stop] for start, stop in marks_apart(side)] for side in sides]
        if not set("<>%{}$&") & set("".join(sides)) and 3 <= len(words[0]) <= 60 and 1 <= len(words[1]) <= 60:
            pairs.setdefault(message.source, []).append((words[0], words[1]))
    # An order that does not go by package; all translations of a message are on the same side.
    sources = sorted(pairs, key=lambda source: (zlib.crc32(source.encode()), source))
    splits, start = {}, 0
    for split, size in HELD_OUT.items():
        # One translation of each is enough for scores.
        splits[split] = [pairs[source][0] for source in sources[start : start + size]]
        start += size
    splits["train"] = [pair for source in sources[start:] for pair in pairs[source]]
    every = [pair for split in splits.values() for pair in split]
    lowered = [[" ".join(pair[side]).lower() for pair in every] for side in (0, 1)]
    aligned = align_with_eflomal(*lowered, AlignerSettings())
    links = b"".join(map(format_block, aligned)).decode("ascii").splitlines()
    start = 0
    for split, chosen in splits.items():
        lines = {"en": [" ".join(pair[0]) for pair in chosen], "de": [" ".join(pair[1]) for pair in chosen]}
        lines["align"] = links[start : start + len(chosen)]
        start += len(chosen)
        for suffix, content in lines.items():
            (text / f"{split}.{suffix}").write_text("".join(f"{line}\n" for line in content), encoding="utf-8")


CORPORA = {
    "greek-english": Text(SOURCE, TARGET, MAIN.subwords, _greek_english),
    "english-german": Text("en", "de", MAIN.subwords, _catalogues),
    "made-up": Text(SOURCE, TARGET, QUICK.subwords, _made_up),
}
"""`greek-english`: links by hand. `english-german`: links by eflomal, also of the held-out text, so that AER says how
far the model is from the aligner. `made-up` is there for rehearsals."""


def prepare(name: str, work: Path) -> Data:
    """The corpus's data folder below `work`; made where it is not there."""
    text, folder = CORPORA[name], work / "data-bin"
    if not folder.exists():
        (work / "text").mkdir(parents=True, exist_ok=True)
        text.write(work / "text")
        run(
            work / "preprocess.log", "fairseq_guided_align.cli.main", "preprocess",
            "--source-lang", text.source, "--target-lang", text.target, "--align-suffix", "align",
            *(word for split in ("train", "valid", "test") for word in (f"--{split}pref", work / "text" / split)),
            *text.subwords.split(), "--destdir", folder,
        )  # fmt: skip
    return Data(folder, text.source, text.target)
