"""eflomal's priors: what alignments of earlier text say of words, jumps and fertilities, as files of text.

A line is a kind, what it is about, and how often it was seen, with tabs between them; ``eflomal-makepriors`` writes and
``eflomal-align --priors`` reads the same: ::

    LEX   word word count   a source word and its target word
    FERF  word number count target words of a source word
    FERR  word number count source words of a target word
    HMMF  jump count        from a target word's source word to that of the next
    HMMR  jump count        from a source word's target word to that of the next
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from fairseq_guided_align.errors import AlignmentFormatError
from fairseq_guided_align.files.atomic import atomic_text
from fairseq_guided_align.files.byte_lines import read_lines
from fairseq_guided_align.files.opening import PathLike

_KINDS = {"LEX": 2, "FERF": 2, "FERR": 2, "HMMF": 1, "HMMR": 1}
"""Kinds in the order of a file, and how many fields say what each is about."""

_ORDER = {kind: number for number, kind in enumerate(_KINDS)}
_MOST_OPEN = 200
"""Files that are merged at once."""


class Prior(NamedTuple):
    """A line of priors.

    :param about: words, or a word and a number, or a number.
    :param seen: how often.
    """

    kind: str
    about: tuple[str | int, ...]
    seen: float

    def line(self) -> str:
        """The line, which :func:`read_priors` reads as the same."""
        return "\t".join([self.kind, *map(str, self.about), f"{self.seen:.15g}"]) + "\n"


def read_priors(path: PathLike) -> Iterator[Prior]:
    """The priors of a file.

    :raises AlignmentFormatError: a line is none; with file and line.
    :raises GuidedAlignError: the file cannot be read.
    """
    for number, line in enumerate(read_lines(path), start=1):
        kind, *fields = line.split("\t")
        try:
            *about, count = fields
            if len(about) != _KINDS[kind]:
                raise ValueError
            yield Prior(kind, _about(kind, about), float(count))
        except (KeyError, ValueError):
            raise AlignmentFormatError(
                f"{path}:{number}: expected eflomal's priors, such as LEX, word, word, count with tabs between them;"
                f" got {line[:60]!r}"
            ) from None


def _about(kind: str, fields: list[str]) -> tuple[str | int, ...]:
    return tuple(fields) if kind == "LEX" else (*fields[:-1], int(fields[-1]))


def count_priors(
    eflomal: Any, text: Sequence[tuple[str, str]], forward: Iterable[str], reverse: Iterable[str]
) -> Iterator[Prior]:
    """Priors that an alignment gives, in the order of a file.

    Two words are seen as often as in the mean of both directions. eflomal takes one count for both.

    :param eflomal: the package.
    :param text: source and target of each pair, words with single spaces between them.
    :param forward: links of each pair in the forward direction, as eflomal writes them.
    :param reverse: links in the reverse direction.
    """
    # Pairs that eflomal did not align, for their length, say nothing of jumps.
    aligned = [(*pair, *links) for pair, *links in zip(text, forward, reverse) if all(link.strip() for link in links)]
    found = eflomal.calculate_priors(*([row[column] for row in aligned] for column in range(4)))
    lexical, forward_jumps, reverse_jumps, forward_fertility, reverse_fertility = found
    # eflomal's own command counts them forward alone, with which the other direction is aligned worse.
    lexical.update(_linked_words((source, target, links) for source, target, _, links in aligned))
    lexical = {words: seen / 2 for words, seen in lexical.items()}
    # eflomal's own command leaves them out; without them, words that have no link get one.
    for side, fertility in enumerate((forward_fertility, reverse_fertility)):
        words = Counter(word for row in aligned for word in row[side].split(" "))
        for (word, number), seen in list(fertility.items()):
            if number:
                words[word] -= seen
        fertility.update({(word, 0): seen for word, seen in words.items() if seen})
    for kind, counts in (
        ("LEX", lexical), ("FERF", forward_fertility), ("FERR", reverse_fertility), ("HMMF", forward_jumps),
        ("HMMR", reverse_jumps),
    ):  # fmt: skip
        for about in sorted(counts):
            yield Prior(kind, about if isinstance(about, tuple) else (about,), counts[about])


def _linked_words(aligned: Iterable[tuple[str, str, str]]) -> Iterator[tuple[str, str]]:
    """A source word and its target word of each link."""
    for source, target, links in aligned:
        sides = source.split(" "), target.split(" ")
        for link in links.split():
            i, j = link.split("-")
            yield sides[0][int(i)], sides[1][int(j)]


def write_priors(path: PathLike, priors: Iterable[Prior]) -> None:
    """Write a file of priors. Raises as :func:`files.atomic.atomic_text`."""
    with atomic_text(path) as stream:
        stream.writelines(prior.line().encode() for prior in priors)


def merge_priors(paths: Sequence[PathLike], folder: Path) -> Iterator[Prior]:
    """The sums of several files' priors, in the order of a file; memory does not grow with the files.

    :param paths: files whose lines are in that order.
    :param folder: gets sums of some of the files, where these are many.
    """
    paths = list(paths)
    while len(paths) > _MOST_OPEN:
        some, paths = paths[:_MOST_OPEN], paths[_MOST_OPEN:]
        paths.append(folder / f"merged.{len(paths)}.{Path(some[0]).name}")
        write_priors(paths[-1], merge_priors(some, folder))
    rows = heapq.merge(*map(read_priors, paths), key=_place)
    for (kind, about), same in groupby(rows, key=lambda prior: (prior.kind, prior.about)):
        yield Prior(kind, about, sum(prior.seen for prior in same))


def _place(prior: Prior) -> tuple[int, tuple[str | int, ...]]:
    return _ORDER[prior.kind], prior.about


def priors_of_text(
    path: PathLike, source: Iterable[str], target: Iterable[str], without: Iterable[Prior] = ()
) -> Iterator[str]:
    """The lines of a file of priors that say something of a text's words; eflomal holds them in memory.

    :param source: lines of words with single spaces between them.
    :param target: the same of the target.
    :param without: priors that are taken off the file's.
    """
    taken_off = {(prior.kind, prior.about): prior.seen for prior in without}
    # eflomal takes words without regard to case.
    words = [{word for line in side for word in line.lower().split(" ")} for side in (source, target)]
    sides = {"LEX": (0, 1), "FERF": (0,), "FERR": (1,), "HMMF": (), "HMMR": ()}
    for prior in read_priors(path):
        if all(str(word).lower() in words[side] for word, side in zip(prior.about, sides[prior.kind])):
            left = prior.seen - taken_off.get((prior.kind, prior.about), 0)
            if left > 0:
                yield prior._replace(seen=left).line()
