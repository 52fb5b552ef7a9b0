"""Files of links in any form that is read: Pharaoh text, or NAACL word alignments, which many gold sets are.

A file is recognised by its first line that is not empty. NAACL's form (Mihalcea and Pedersen 2003) has one link a line:
number of the sentence pair, source position, target position, all from 1, then S (sure) or P (possible) and a
confidence, which may both be missing. Position 0 is no word: such lines say that a word has no link.

GIZA++'s A3 form is recognised, and refused with what to do.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Optional

import numpy as np

from fairseq_guided_align import pharaoh
from fairseq_guided_align.byte_lines import BegunPipe, PathLike, is_pipe, read_blocks
from fairseq_guided_align.errors import AlignmentFormatError, AlignmentLengthError, AlignmentRangeError
from fairseq_guided_align.links import MAX_INDEX, CorpusLinks
from fairseq_guided_align.progress import say

_NAACL = re.compile(rb"\s*(\d+)\s+(\d+)\s+(\d+)(?:\s+([SPsp]))?(?:\s+(\d*\.?\d+(?:[eE][-+]?\d+)?))?\s*")
_A3 = re.compile(rb"# Sentence pair \(\d+\)|.*\(\{[ \d]*\}\)")
_EXPECTED = "expected a NAACL word alignment, PAIR SOURCE TARGET S or P, such as 0001 1 3 S"


def is_naacl(path: PathLike) -> bool:
    """Whether a file of links is in NAACL's form.

    :param path: a pipe only after :func:`begun`, or nothing would be left to read.
    :raises AlignmentFormatError: it is GIZA++'s.
    :raises GuidedAlignError: the file cannot be read.
    """
    for number, line in _first_lines(path):
        if line.strip():
            if _A3.match(line):
                raise AlignmentFormatError(
                    f"{path}:{number}: expected links as Pharaoh text or in NAACL's form; got GIZA++'s A3 form,"
                    " which has three lines a sentence pair, and one direction; make Pharaoh text of both"
                    " directions' files with Moses: giza2bal.pl -d FORWARD.A3.final -i REVERSE.A3.final | symal"
                    " -alignment=grow -diagonal=yes -final=yes -both=yes"
                )
            return _NAACL.fullmatch(line) is not None
    return False


def _first_lines(path: PathLike) -> Iterator[tuple[int, bytes]]:
    """Lines with their numbers, the first that is not empty among them."""
    if isinstance(path, BegunPipe):
        # What can be read once is left to be read.
        yield from enumerate(path.first_lines(), start=1)
        return
    for first_line, block in read_blocks(path, 1 << 16):
        yield from enumerate(block.split(b"\n"), start=first_line)


def begun(path: PathLike, whole: bool = False) -> PathLike:
    """The file itself; a pipe so that its form can be told before it is read.

    :param whole: also so that it can be read again; its text is held in memory.
    :raises GuidedAlignError: the pipe cannot be read.
    """
    return BegunPipe(path, whole) if is_pipe(path) and not isinstance(path, BegunPipe) else path


def read_link_file(path: PathLike, one_based: bool = False, sentences: Optional[int] = None) -> CorpusLinks:
    """All links of a file.

    :param one_based: positions of Pharaoh text count from 1, as NAACL's always do.
    :param sentences: of the text; NAACL's form says nothing of pairs without links, so those at the end are added.
        None: as many as the last pair with links has.
    :raises AlignmentFormatError, AlignmentRangeError: a link cannot be read; with file and line.
    :raises AlignmentLengthError: a NAACL file has links of more pairs.
    :raises GuidedAlignError: the file cannot be read.
    """
    path = begun(path)
    if is_naacl(path):
        return _read_naacl(path, sentences)
    return pharaoh.read_links(path, one_based)


def naacl_sentences(path: PathLike) -> int:
    """The largest number of a sentence pair in a NAACL file. Raises as :func:`read_link_file`."""
    return len(_read_naacl(path, None, tell=False))


def filled(links: CorpusLinks, path: PathLike, sentences: int) -> CorpusLinks:
    """Links of a NAACL file that was read before the number of sentence pairs was known, with those at the end.

    Raises as :func:`read_link_file`.
    """
    if not is_naacl(path) or len(links) >= sentences:
        return links
    return CorpusLinks.concatenated([links, CorpusLinks.empty(sentences - len(links))])


@contextmanager
def as_pharaoh(path: PathLike, sentences: Callable[[], Optional[int]], one_based: bool = False) -> Iterator[PathLike]:
    """A file of the same links in Pharaoh text, one line a sentence pair: the file itself where that is its form.

    :param sentences: asked for the number of pairs of the text, where the file does not say it; None: as many as the
        last pair with links has.
    :param one_based: how positions are counted by whoever reads the file.
    """
    path = begun(path)
    if not is_naacl(path):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="links-") as folder:
        text = Path(folder) / "links"
        text.write_bytes(pharaoh.format_block(_read_naacl(path, sentences()), one_based))
        yield text


def _read_naacl(path: PathLike, sentences: Optional[int], tell: bool = True) -> CorpusLinks:
    rows: list[tuple[int, int, int]] = []
    weights, sures = [], []
    without_word = last = 0
    for first_line, block in read_blocks(path):
        for number, line in enumerate(block.split(b"\n"), start=first_line):
            if not line.strip():
                continue
            match = _NAACL.fullmatch(line)
            if match is None:
                raise AlignmentFormatError(f"{path}:{number}: {_EXPECTED}; got {_shown(line)}")
            pair, source, target = (int(one) for one in match.groups()[:3])
            if max(pair, source, target) > MAX_INDEX:
                raise AlignmentRangeError(f"{path}:{number}: expected numbers up to {MAX_INDEX}; got {_shown(line)}")
            if not pair or not (source or target):
                raise AlignmentRangeError(
                    f"{path}:{number}: expected pairs and positions that count from 1, or 0 for no word on one side;"
                    f" got {_shown(line)}"
                )
            if sentences is not None and pair > sentences:
                raise AlignmentLengthError(
                    f"{path}:{number}: expected links of the text's {sentences} sentence pairs; got one of pair {pair}"
                )
            last = max(last, pair)
            if not (source and target):
                without_word += 1
                continue
            weight = 1.0 if match[5] is None else float(match[5])
            if not 0 < np.float32(weight) < np.inf:
                raise AlignmentFormatError(
                    f"{path}:{number}: expected a confidence that is a finite number above 0; got {_shown(line)}. Leave"
                    " out links of confidence 0"
                )
            rows.append((pair - 1, source - 1, target - 1))
            weights.append(weight)
            sures.append(match[4] is None or match[4].upper() == b"S")
    count = last if sentences is None else sentences
    left_out = f"; {without_word} that link a word to none (position 0) left out" if without_word else ""
    if tell:
        say(f"{path}: NAACL word alignments: {len(rows)} links of {count} sentence pairs{left_out}")
    table = np.array(rows, np.int64).reshape(-1, 3)
    return CorpusLinks.from_columns(
        count, table[:, 0], table[:, 1], table[:, 2], np.array(weights, np.float32), np.array(sures, bool)
    )


def _shown(line: bytes) -> str:
    text = line.strip().decode("utf-8", "backslashreplace")
    return repr(text if len(text) <= 60 else text[:60] + "...")
