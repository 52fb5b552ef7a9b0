#!/usr/bin/env python3
"""The Greek New Testament with its English translation and links made by hand, as text files.

    corpus.py --output DIR [--wheel FILE] [--verses N]

writes {train,valid,test}.{grc,en,align}: one verse a line, words separated by single spaces, links as
0-based SOURCE-TARGET. The source is the wheel `bible-alignments` of the package registry; it is only read,
not installed, and checked by its SHA-256. CREDITS.txt, written beside the text, says whose work it is.

The split is fixed, so that figures compare: of the verses that have words on both sides and at least one
link, in the order of their ids, number k is test where k mod 20 = 0, validation where k mod 20 = 10, else
training.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

REQUIREMENT = "bible-alignments==0.4.2"
WHEEL = "bible_alignments-0.4.2-py3-none-any.whl"
WHEEL_SHA256 = "84f6b15e706657777824aac811567cb5cb2b38ad2b94497209f5f3c3f67b0984"

GREEK = "data/sources/SBLGNT.tsv"
ENGLISH = "data/eng/targets/BSB/nt_BSB.tsv"
LINKS = "data/eng/alignments/BSB/SBLGNT-BSB-manual.json"

SPLITS = ("train", "valid", "test")
SUFFIXES = ("grc", "en", "align")

CREDITS = """\
The text and the links in this folder were taken from these works:

- Links: Bible Word Alignments, (c) 2022 Clear Bible, Inc, licence CC BY 4.0
  (https://creativecommons.org/licenses/by/4.0/), from bible-alignments 0.4.2,
  https://github.com/Clear-Bible/Alignments
- Greek: SBL Greek New Testament, (c) 2010 Society of Biblical Literature and Logos Bible Software,
  licence CC BY 4.0, https://sblgnt.com/
- English: Berean Standard Bible, public domain, https://berean.bible/

Changed here: one verse a line, words separated by spaces, links written as SOURCE-TARGET; links between
different verses left out.
"""


class CorpusError(ValueError):
    """The wheel is not the one that is meant, or does not hold what it should."""


@dataclass(frozen=True)
class Verse:
    """One sentence pair; links are 0-based (source, target), unique, sorted."""

    identifier: str
    source: tuple[str, ...]
    target: tuple[str, ...]
    links: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Corpus:
    """The verses that have text on both sides and at least one link, and what was left out."""

    verses: tuple[Verse, ...]
    links_across_verses: int
    links_to_unknown_words: int
    verses_without_links: int


def split_of(number: int) -> str:
    """Split of verse `number`, counted from 0 in the order of ids."""
    return {0: "test", 10: "valid"}.get(number % 20, "train")


def read_wheel(path: Path) -> Corpus:
    """Reads text and links out of the wheel.

    Word ids are BBCCCVVVWWW: book, chapter, verse, word; those of the Greek have an `n` before them. A record
    links each of its source words with each of its target words.

    Raises CorpusError if a file in the wheel is missing or not in this form.
    """
    try:
        with zipfile.ZipFile(path) as wheel:
            source = _verses(_rows(wheel, GREEK), prefix="n")
            target = _verses(_rows(wheel, ENGLISH), prefix="")
            records = json.loads(wheel.read(LINKS))["records"]
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise CorpusError(f"{path}: not the expected {WHEEL}: {error}") from error
    source_at = {word: (verse, i) for verse, words in source.items() for i, word in enumerate(words)}
    target_at = {word: (verse, i) for verse, words in target.items() for i, word in enumerate(words)}

    links: dict[str, set[tuple[int, int]]] = {}
    across = unknown = 0
    for record in records:
        for source_word in record["source"]:
            for target_word in record["target"]:
                if source_word not in source_at or target_word not in target_at:
                    unknown += 1
                    continue
                verse, i = source_at[source_word]
                other_verse, j = target_at[target_word]
                if verse != other_verse:
                    across += 1
                    continue
                links.setdefault(verse, set()).add((i, j))

    both = sorted(source.keys() & target.keys())
    verses = tuple(
        Verse(v, tuple(source[v].values()), tuple(target[v].values()), tuple(sorted(links[v])))
        for v in both
        if v in links
    )
    return Corpus(verses, across, unknown, len(both) - len(verses))


def _rows(wheel: zipfile.ZipFile, name: str) -> Iterator[dict[str, str]]:
    with wheel.open(name) as raw:
        text = io.TextIOWrapper(raw, encoding="utf-8", newline="")
        yield from csv.DictReader(text, delimiter="\t", quoting=csv.QUOTE_NONE)


def _verses(rows: Iterable[dict[str, str]], prefix: str) -> dict[str, dict[str, str]]:
    """Verse id -> {word id -> word}, in the order of the file."""
    verses: dict[str, dict[str, str]] = {}
    for row in rows:
        identifier, word = row["id"], row["text"]
        digits = identifier[len(prefix) :]
        if not identifier.startswith(prefix) or len(digits) != 11 or not digits.isdigit():
            raise ValueError(f"expected a word id {prefix}BBCCCVVVWWW; got {identifier!r}")
        if len(word.split()) != 1:
            raise ValueError(f"expected one word at {identifier}; got {word!r}")
        verses.setdefault(digits[:8], {})[identifier] = word
    return verses


def write_corpus(verses: Iterable[Verse], output: Path, credits: str = CREDITS) -> dict[str, int]:
    """Writes the nine files and CREDITS.txt; each appears whole or not at all. Returns verses per split."""
    output.mkdir(parents=True, exist_ok=True)
    lines: dict[str, list[str]] = {f"{split}.{suffix}": [] for split in SPLITS for suffix in SUFFIXES}
    counts = dict.fromkeys(SPLITS, 0)
    for number, verse in enumerate(verses):
        split = split_of(number)
        counts[split] += 1
        lines[f"{split}.grc"].append(" ".join(verse.source))
        lines[f"{split}.en"].append(" ".join(verse.target))
        lines[f"{split}.align"].append(" ".join(f"{i}-{j}" for i, j in verse.links))
    for name, content in lines.items():
        _write(output / name, "".join(f"{line}\n" for line in content))
    _write(output / "CREDITS.txt", credits)
    return counts


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text, encoding="utf-8", newline="\n")
    os.replace(temporary, path)


def fetch_wheel(cache: Path) -> Path:
    """The wheel, checked; downloaded with pip into `cache` unless it is there already.

    Raises CorpusError if it cannot be downloaded or is another file than the one whose hash is known.
    """
    path = cache / WHEEL
    if path.exists():
        if sha256(path) == WHEEL_SHA256:
            return path
        print(f"{path} is damaged; downloading it again", file=sys.stderr)
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix="download-") as folder:
        # The wheel is only read, so the versions of Python that its own code runs on do not matter.
        command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-deps"]
        command += ["--only-binary", ":all:", "--ignore-requires-python", "--dest", folder, REQUIREMENT]
        if subprocess.run(command, check=False, stdout=sys.stderr).returncode:
            raise CorpusError(
                f"could not download {REQUIREMENT} (the reason stands above). Run the command again, or get "
                f"{WHEEL} by other means and put it into {cache}"
            )
        downloaded = Path(folder) / WHEEL
        if not downloaded.exists():
            raise CorpusError(f"expected pip to download {WHEEL}; got {sorted(os.listdir(folder))}")
        check_wheel(downloaded)
        os.replace(downloaded, path)
    return path


def check_wheel(path: Path) -> None:
    """Raises CorpusError unless the file is the one whose hash is known."""
    got = sha256(path)
    if got != WHEEL_SHA256:
        raise CorpusError(f"{path}: expected SHA-256 {WHEEL_SHA256}; got {got}. Delete it and try again")


def sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def summary(corpus: Corpus, counts: dict[str, int]) -> str:
    """What was written and what was left out, in numbers."""
    used = corpus.verses[: sum(counts.values())]
    return "\n".join(
        [
            "verses: " + ", ".join(f"{counts[split]} {split}" for split in SPLITS),
            f"words: {sum(len(v.source) for v in used)} Greek, {sum(len(v.target) for v in used)} English; "
            f"{sum(len(v.links) for v in used)} links",
            f"left out: {corpus.links_across_verses} links between different verses, "
            f"{corpus.links_to_unknown_words} links to words that are not in the text, "
            f"{corpus.verses_without_links} verses without links",
        ]
    )


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--output", type=Path, required=True, help="folder for the text files")
    parser.add_argument("--cache", type=Path, help="folder that keeps the wheel (default: OUTPUT/../cache)")
    parser.add_argument("--wheel", type=Path, help="use this file instead of downloading it")
    parser.add_argument("--verses", type=int, help="only the first N verses (default: all)")
    args = parser.parse_args(argv)
    if args.verses is not None and args.verses < 11:
        parser.error("--verses: 11 or more are needed to have all three splits")
    try:
        if args.wheel is None:
            wheel = fetch_wheel(args.cache or args.output.parent / "cache")
        else:
            wheel = args.wheel
            check_wheel(wheel)
        corpus = read_wheel(wheel)
    except (CorpusError, OSError) as error:
        print(f"corpus.py: error: {error}", file=sys.stderr)
        return 2
    counts = write_corpus(corpus.verses[: args.verses], args.output)
    print(summary(corpus, counts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
