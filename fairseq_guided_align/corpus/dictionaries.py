"""Dictionaries of fairseq as files of text: reading and writing them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path

from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.files.atomic import atomic_file
from fairseq_guided_align.files.byte_lines import PathLike, read_lines
from fairseq_guided_align.subwords.special_tokens import UNKNOWN

SPECIAL_SYMBOLS = ("<s>", "<pad>", "</s>", UNKNOWN)
_PLAIN_COUNT = re.compile("0|[1-9][0-9]{0,17}")


@dataclass(frozen=True)
class DictionarySize:
    """Which tokens of a text a dictionary keeps. The names are those of fairseq-preprocess's options.

    :param threshold: a token is kept if it occurs as often as this.
    :param nwords: size at the most, fairseq's 4 special symbols included; the most frequent tokens are kept. 0 or less:
        any.
    :param padding_factor: the size, fairseq's 4 special symbols included, is a multiple of this; 1 or less: any.
    """

    threshold: int = 0
    nwords: int = -1
    padding_factor: int = 8


def write_dictionary(
    path: PathLike, counts: Counter, symbols: Iterable[str] = (), size: DictionarySize = DictionarySize()
) -> int:
    """A dictionary as fairseq writes it: ``symbol count``, most frequent first, padded to a round size.

    :param counts: occurrences of each symbol.
    :param symbols: what the dictionary holds; those without occurrences get 0. All of ``counts`` when empty.
    :param size: what of these is kept.
    :return: its size, with the special symbols.
    """
    kept = set(symbols or counts) - set(SPECIAL_SYMBOLS)
    ordered = sorted(kept, key=lambda symbol: (-counts[symbol], symbol))
    if size.nwords > 0:
        ordered = ordered[: max(0, size.nwords - len(SPECIAL_SYMBOLS))]
    ordered = [symbol for symbol in ordered if counts[symbol] >= size.threshold]
    fill = -(len(ordered) + len(SPECIAL_SYMBOLS)) % max(1, size.padding_factor)
    taken = set(ordered)
    with atomic_file(path) as stream:
        for symbol in ordered:
            stream.write(f"{symbol} {counts[symbol]}\n".encode())
        # The text may have such words itself, and a dictionary has each once.
        made_up = (word for word in map("madeupword{:04d}".format, count()) if word not in taken)
        for word in islice(made_up, fill):
            stream.write(f"{word} 0\n".encode())
    return len(ordered) + fill + len(SPECIAL_SYMBOLS)


def read_symbols(path: PathLike) -> frozenset[str]:
    """The tokens that a dictionary of fairseq's holds, its special symbols but ``<unk>`` included.

    :raises GuidedAlignError: it cannot be read, or is not such a dictionary.
    """
    symbols = set(SPECIAL_SYMBOLS)
    for number, line in enumerate(read_lines(path), start=1):
        text = line.rstrip().removesuffix(" #fairseq:overwrite")
        symbol, space, occurrences = text.rpartition(" ")
        if not space or not occurrences.removeprefix("-").isdecimal():
            raise GuidedAlignError(
                f"{path}:{number}: expected a dictionary of fairseq's, a token and its number of occurrences on each"
                f" line, such as `the 120`; got {line[:80]!r}"
            )
        if symbol in symbols and text == line.rstrip():
            raise GuidedAlignError(
                f"{path}:{number}: expected each token once, and none of fairseq's own,"
                f" {' '.join(SPECIAL_SYMBOLS)}; got {symbol!r} again; remove the line"
            )
        symbols.add(symbol)
    return frozenset(symbols - {UNKNOWN})


def symbols_as_written(path: PathLike) -> list[str] | None:
    """The symbols of a dictionary in their order, without fairseq's special ones.

    :return: None where fairseq would write what it reads otherwise, or where it may refuse to read: symbols that take
        the place of others, counts that are no plain numbers, carriage returns.
    """
    try:
        text = Path(path).read_bytes().decode()
    except UnicodeDecodeError:
        return None
    rows = [line.rpartition(" ") for line in text.removesuffix("\n").split("\n")]
    if "\r" in text or not text.endswith("\n") or not all(row[0] and _PLAIN_COUNT.fullmatch(row[2]) for row in rows):
        return None
    return [row[0] for row in rows]
