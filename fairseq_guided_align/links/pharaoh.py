"""Alignment text: one line a sentence pair, links as ``source-target``, separated by spaces.

A token is ``3-5`` (a sure link), ``4?6`` or ``4p6`` (a possible link); each may carry a weight, as ``3-5:0.8`` or
``3-5=0.8``. An empty line is a pair without links. Positions count from 0, or from 1 on request.

Files are parsed block by block with array operations; a block with anything unusual in it is parsed again line by
line, which either understands it or names the file, the line and the token.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Optional, Union

import numpy as np

from fairseq_guided_align.errors import AlignmentFormatError, AlignmentRangeError
from fairseq_guided_align.files.byte_lines import BLOCK_BYTES, PathLike, read_blocks
from fairseq_guided_align.links.link import MAX_INDEX, CorpusLinks, SentenceLinks

_TOKEN = re.compile(rb"([0-9]+)([-?p])([0-9]+)(?:[:=]([0-9]*\.?[0-9]*(?:[eE][-+]?[0-9]+)?))?")
_EXPECTED = "expected SOURCE-TARGET, such as 3-5, 3-5:0.8 or (possible) 3?5"


def parse_line(line: Union[str, bytes], where: str = "alignment", one_based: bool = False) -> SentenceLinks:
    """The links of one line.

    :param where: what an error names, such as ``train.align:17``.
    :param one_based: positions count from 1.
    :raises AlignmentFormatError: a token is no link, or its weight is not a finite number above 0.
    :raises AlignmentRangeError: a position is too large, or 0 in a 1-based line.
    """
    if isinstance(line, str):
        line = line.encode("utf-8", "surrogateescape")
    columns: tuple[list[int], list[int], list[float], list[bool]] = ([], [], [], [])
    _parse_tokens(line, where, int(one_based), columns)
    source, target, weight, sure = columns
    return SentenceLinks.from_columns(
        np.array(source, np.int64), np.array(target, np.int64), np.array(weight, np.float32), np.array(sure, bool)
    )


def format_line(links: SentenceLinks, one_based: bool = False) -> str:
    """One line, without a line feed, which :func:`parse_line` reads as the same links.

    Weights are written with the fewest digits that give the same float32 again; a weight of 1 is not written.
    """
    base = int(one_based)
    return " ".join(
        f"{s + base}{'-' if is_sure else '?'}{t + base}" + ("" if w == 1 else ":" + _format_weight(w))
        for s, t, w, is_sure in zip(links.source.tolist(), links.target.tolist(), links.weight, links.sure.tolist())
    )


def read_chunks(path: PathLike, one_based: bool = False, block_bytes: int = BLOCK_BYTES) -> Iterator[CorpusLinks]:
    """The links of a file, plain or gzip, some thousand lines at a time.

    :param block_bytes: text parsed at once.
    :raises AlignmentFormatError, AlignmentRangeError: as :func:`parse_line`, with file and line.
    :raises GuidedAlignError: the file cannot be read.
    """
    for first_line, block in read_blocks(path, block_bytes):
        yield parse_block(block, path, first_line, one_based)


def read_links(path: PathLike, one_based: bool = False) -> CorpusLinks:
    """All links of a file. Raises as :func:`read_chunks`."""
    return CorpusLinks.concatenated(read_chunks(path, one_based))


def parse_block(
    block: bytes, path: PathLike = "alignment", first_line: int = 1, one_based: bool = False
) -> CorpusLinks:
    """The links of whole lines; the last may lack its line feed. Raises as :func:`parse_line`."""
    fast = _parse_block_as_arrays(block, int(one_based))
    return _parse_block_by_line(block, path, first_line, int(one_based)) if fast is None else fast


def format_block(links: CorpusLinks, one_based: bool = False) -> bytes:
    """Whole lines, each ended by a line feed, which :func:`parse_block` reads as the same links."""
    largest = max(int(links.source.max()), int(links.target.max())) + int(one_based) if len(links.source) else 0
    if links.weight is not None or largest >= _TABLE_SIZE:
        return b"".join(format_line(sentence, one_based).encode() + b"\n" for sentence in links)
    # Every link takes two numbers' width, and every sentence without links as much; unused bytes are zero, and go.
    source = _table(ord("-"))[links.source + np.int32(one_based)]
    if links.sure is not None:
        source = np.where(links.sure, source, _table(ord("?"))[links.source + np.int32(one_based)])
    counts = np.diff(links.offsets)
    taken = np.maximum(counts, 1)
    last = np.cumsum(taken) - 1
    text = np.zeros((int(taken.sum()), 2), "<u8")
    rows = np.ones(len(text), bool)
    rows[last[counts == 0]] = False
    text[rows, 0] = source
    text[rows, 1] = _table(ord(" "))[links.target + np.int32(one_based)]
    text[last, 1] &= np.uint64(0x00FFFFFFFFFFFFFF)
    text[last, 1] |= np.uint64(ord("\n") << 56)
    return text.tobytes().translate(None, b"\0")


_TABLE_SIZE = 10_000


@cache
def _table(separator: int) -> np.ndarray:
    """(_TABLE_SIZE,) numbers as text: 8 bytes each, digits after zero bytes, the separator last."""
    return np.array(
        [int.from_bytes((b"%d%c" % (number, separator)).rjust(8, b"\0"), "little") for number in range(_TABLE_SIZE)],
        "<u8",
    )


def _format_weight(weight: np.float32) -> str:
    text = np.format_float_positional(weight, trim="-")
    return text if len(text) <= 12 else np.format_float_scientific(weight, trim="-")


def _parse_tokens(
    line: bytes, where: str, base: int, columns: tuple[list[int], list[int], list[float], list[bool]]
) -> None:
    if line.endswith(b"\n"):
        line = line[:-1]
    if line.endswith(b"\r"):
        line = line[:-1]
    for token in line.replace(b"\t", b" ").split(b" "):
        if not token:
            continue
        match = _TOKEN.fullmatch(token)
        if match is None:
            raise AlignmentFormatError(f"{where}: {_EXPECTED}; got {_shown(token)}")
        source, kind, target, weight = match.groups()
        for column, digits in zip(columns[:2], (source, target)):
            digits = digits.lstrip(b"0") or b"0"
            if len(digits) > 10 or int(digits) - base > MAX_INDEX:
                raise AlignmentRangeError(f"{where}: expected positions up to {MAX_INDEX}; got {_shown(token)}")
            if int(digits) < base:
                raise AlignmentRangeError(
                    f"{where}: expected positions that count from 1; got {_shown(token)}."
                    " If the file counts from 0, leave the 1-based option out"
                )
            column.append(int(digits) - base)
        columns[2].append(1.0 if weight is None else _parse_weight(weight, where, token))
        columns[3].append(kind == b"-")


def _parse_weight(digits: bytes, where: str, token: bytes) -> float:
    try:
        with np.errstate(over="ignore", under="ignore"):
            weight = float(np.float32(float(digits)))
    except ValueError:
        raise AlignmentFormatError(f"{where}: {_EXPECTED}; got {_shown(token)}") from None
    if not 0 < weight < float("inf"):
        raise AlignmentFormatError(
            f"{where}: expected a weight that is a finite number above 0; got {_shown(token)}."
            " Leave out links of weight 0"
        )
    return weight


def _shown(token: bytes) -> str:
    text = token.decode("utf-8", "backslashreplace")
    return repr(text if len(text) <= 60 else text[:60] + "...")


def _parse_block_by_line(block: bytes, path: PathLike, first_line: int, base: int) -> CorpusLinks:
    if block.endswith(b"\n"):
        block = block[:-1]
    elif not block:
        return CorpusLinks.concatenated([])
    lines = block.split(b"\n")
    columns: tuple[list[int], list[int], list[float], list[bool]] = ([], [], [], [])
    counts = []
    for line_number, line in enumerate(lines, start=first_line):
        before = len(columns[0])
        _parse_tokens(line, f"{path}:{line_number}", base, columns)
        counts.append(len(columns[0]) - before)
    source, target, weight, sure = columns
    return CorpusLinks.from_columns(
        len(lines),
        np.repeat(np.arange(len(lines)), counts),
        np.array(source, np.int64),
        np.array(target, np.int64),
        np.array(weight, np.float32),
        np.array(sure, bool),
    )


# What may stand before a number, hence what the number is.
_SOURCE, _TARGET, _WHOLE, _FRACTION, _NOTHING = range(5)
_ROLE = np.full(256, _NOTHING, np.uint8)
_ROLE[[ord(" "), ord("\n")]] = _SOURCE
_ROLE[[ord("-"), ord("?"), ord("p")]] = _TARGET
_ROLE[[ord(":"), ord("=")]] = _WHOLE
_ROLE[ord(".")] = _FRACTION
_MAY_FOLLOW = np.zeros((5, 5), bool)
_MAY_FOLLOW[_SOURCE, _TARGET] = True
_MAY_FOLLOW[_TARGET, [_SOURCE, _WHOLE]] = True
_MAY_FOLLOW[_WHOLE, [_SOURCE, _FRACTION]] = True
_MAY_FOLLOW[_FRACTION, _SOURCE] = True
_POWERS = 10 ** np.arange(16, dtype=np.int64)


def _parse_block_as_arrays(block: bytes, base: int) -> Optional[CorpusLinks]:
    """The links of a block in which nothing is unusual; None where it has to be read line by line."""
    if b"\r" in block:
        block = block.replace(b"\r\n", b"\n")
    if b"\t" in block:
        block = block.replace(b"\t", b" ")
    text = np.frombuffer(block, np.uint8)
    digits = text - np.uint8(ord("0"))
    is_digit = np.zeros(len(text) + 2, bool)
    np.less(digits, 10, out=is_digit[1:-1])
    edges = np.flatnonzero(is_digit[1:] != is_digit[:-1])
    starts, ends = edges[0::2], edges[1::2]
    line_ends = np.flatnonzero(text == ord("\n"))
    sentences = len(line_ends) + (len(block) > 0 and not block.endswith(b"\n"))

    strange = block.translate(None, b"0123456789- \n")
    if not strange:
        if len(starts) % 2 or 2 * block.count(b"-") != len(starts):
            return None
        if not ((text[ends[0::2]] == ord("-")).all() and (starts[1::2] == ends[0::2] + 1).all()):
            return None
        values = _numbers(digits, starts, ends, 9)
        if values is None:
            return None
        link_starts, source, target = starts[0::2], values[0::2], values[1::2]
        weight = sure = None
    else:
        if strange.translate(None, b"?p:=."):
            return None
        before = np.where(starts > 0, text[starts - 1], ord(" "))
        role = _ROLE[before]
        if not len(role) or role[0] != _SOURCE or role[-1] == _SOURCE:
            return None
        joined = role != _SOURCE
        if int(joined.sum()) != len(strange) + block.count(b"-"):
            return None
        if not (starts[1:] == ends[:-1] + 1)[joined[1:]].all() or not _MAY_FOLLOW[role[:-1], role[1:]].all():
            return None
        values = _numbers(digits, starts, ends, 15)
        if values is None:
            return None
        is_source = role == _SOURCE
        is_target = role == _TARGET
        link_starts, source, target = starts[is_source], values[is_source], values[is_target]
        sure = before[is_target] == ord("-")
        weight = _weights(role, values, ends - starts)
        if weight is None or max(int(source.max()), int(target.max())) - base > MAX_INDEX:
            return None

    if base:
        source, target = source - base, target - base
        if len(source) and min(int(source.min()), int(target.min())) < 0:
            return None
    up_to = np.searchsorted(link_starts, line_ends)
    counts = np.diff(up_to, prepend=0)
    if sentences > len(line_ends):
        counts = np.append(counts, len(link_starts) - (up_to[-1] if len(up_to) else 0))
    sentence = np.repeat(np.arange(sentences, dtype=np.int64), counts)
    return CorpusLinks.from_columns(sentences, sentence, source, target, weight, sure)


def _numbers(digits: np.ndarray, starts: np.ndarray, ends: np.ndarray, most: int) -> Optional[np.ndarray]:
    """Values of the runs of digits from ``starts`` to before ``ends``; None if one is longer than ``most`` digits."""
    width = ends - starts
    longest = int(width.max()) if len(width) else 0
    if longest > most:
        return None
    values = digits[ends - 1].astype(np.int32 if longest <= 9 else np.int64)
    for place in range(1, longest):
        longer = np.flatnonzero(width > place)
        values[longer] += digits[ends[longer] - 1 - place].astype(values.dtype) * values.dtype.type(10**place)
    return values


def _weights(role: np.ndarray, values: np.ndarray, width: np.ndarray) -> Optional[np.ndarray]:
    """(links,) float32 weights, rounded as Python's ``float`` rounds; None if one cannot be computed exactly so."""
    link = np.cumsum(role == _SOURCE) - 1
    whole = np.flatnonzero(role == _WHOLE)
    weight = np.ones(int(link[-1]) + 1, np.float32)
    if not len(whole):
        return weight
    following = np.minimum(whole + 1, len(role) - 1)
    has_fraction = (role[following] == _FRACTION) & (following > whole)
    decimals = np.where(has_fraction, width[following], 0)
    # Up to 15 digits, numerator and power of ten are exact in float64, so that the quotient is correctly rounded.
    if int((width[whole] + decimals).max()) > 15:
        return None
    scale = _POWERS[decimals]
    numerator = values[whole].astype(np.int64) * scale + np.where(has_fraction, values[following], 0)
    parsed = (numerator / scale).astype(np.float32)
    if not (np.isfinite(parsed) & (parsed > 0)).all():
        return None
    weight[link[whole]] = parsed
    return weight
