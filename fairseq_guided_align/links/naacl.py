"""Links in the form of the NAACL 2003 workshop (Mihalcea and Pedersen 2003), one a line.

Number of the sentence pair, source position, target position, all from 1, then S (sure) or P (possible) and a
confidence, which may both be missing. Position 0 is no word: such lines say that a word has no link.
"""

from __future__ import annotations

import re

import numpy as np

from fairseq_guided_align.errors import AlignmentFormatError, AlignmentLengthError, AlignmentRangeError
from fairseq_guided_align.files.byte_lines import PathLike, lines_with_text
from fairseq_guided_align.links.link import MAX_INDEX, CorpusLinks

_ROW = re.compile(rb"\s*(\d+)\s+(\d+)\s+(\d+)(?:\s+([SPsp]))?(?:\s+(\d*\.?\d+(?:[eE][-+]?\d+)?))?\s*")


def begins(line: bytes) -> bool:
    """Whether a line may be the first of such a file."""
    return _ROW.fullmatch(line) is not None


def read(path: PathLike, sentences: int | None) -> tuple[CorpusLinks, str]:
    """The links of a file, and what to say of lines that hold none.

    :param sentences: number of the text's sentence pairs; None: up to the last pair with links.
    :raises AlignmentFormatError, AlignmentRangeError: a line cannot be read; with file and line.
    :raises AlignmentLengthError: a link of a pair beyond the text.
    :raises GuidedAlignError: the file cannot be read.
    """
    rows = [_parsed(line, f"{path}:{number}", sentences) for number, line in lines_with_text(path)]
    last = max((row[0] + 1 for row in rows), default=0)
    linked = [row for row in rows if row[1] >= 0 and row[2] >= 0]
    table = np.array([row[:3] for row in linked], np.int64).reshape(-1, 3)
    weights, sures = np.array([row[3] for row in linked], np.float32), np.array([row[4] for row in linked], bool)
    count = last if sentences is None else sentences
    links = CorpusLinks.from_columns(count, table[:, 0], table[:, 1], table[:, 2], weights, sures)
    without_word = len(rows) - len(linked)
    return links, f"; {without_word} that link a word to none (position 0) left out" if without_word else ""


def _parsed(line: bytes, where: str, sentences: int | None) -> tuple[int, int, int, float, bool]:
    """Pair, source and target from 0, weight, and whether the link is sure."""
    text = line.strip().decode("utf-8", "backslashreplace")
    shown = repr(text if len(text) <= 60 else text[:60] + "...")
    match = _ROW.fullmatch(line)
    if match is None:
        raise AlignmentFormatError(
            f"{where}: expected a NAACL word alignment, PAIR SOURCE TARGET S or P, such as 0001 1 3 S; got {shown}"
        )
    pair, source, target = map(int, match.group(1, 2, 3))
    if max(pair, source, target) > MAX_INDEX:
        raise AlignmentRangeError(f"{where}: expected numbers up to {MAX_INDEX}; got {shown}")
    if not pair or not (source or target):
        raise AlignmentRangeError(
            f"{where}: expected pairs and positions that count from 1, or 0 for no word on one side; got {shown}"
        )
    if sentences is not None and pair > sentences:
        raise AlignmentLengthError(
            f"{where}: expected links of the text's {sentences} sentence pairs; got one of pair {pair}"
        )
    weight = 1.0 if match[5] is None else float(match[5])
    if source and target and not 0 < np.float32(weight) < np.inf:
        raise AlignmentFormatError(
            f"{where}: expected a confidence that is a finite number above 0; got {shown}. Leave out links of"
            " confidence 0"
        )
    return pair - 1, source - 1, target - 1, weight, match[4] is None or match[4].upper() == b"S"
