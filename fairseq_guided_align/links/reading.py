"""Files of links in any form that is read: Pharaoh text, or one of :data:`FORMS`.

A file is recognised by its first line that is not empty. GIZA++'s A3 form is recognised, and refused with what to do.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fairseq_guided_align.errors import AlignmentFormatError, AlignmentLengthError, AlignmentRangeError
from fairseq_guided_align.files.byte_lines import count_lines, read_blocks
from fairseq_guided_align.files.opening import BegunPipe, PathLike, is_pipe
from fairseq_guided_align.files.progress import say
from fairseq_guided_align.links import pharaoh
from fairseq_guided_align.links.link import MAX_INDEX, CorpusLinks

_NAACL = re.compile(rb"\s*(\d+)\s+(\d+)\s+(\d+)(?:\s+([SPsp]))?(?:\s+(\d*\.?\d+(?:[eE][-+]?\d+)?))?\s*")
_A3 = re.compile(rb"# Sentence pair \(\d+\)|.*\(\{[ \d]*\}\)")


class LinkForm(NamedTuple):
    """A form of link files in which pairs without links may be missing. A new form gets its line in :data:`FORMS`.

    :param name: for messages.
    :param begins: whether a line may be the first of such a file, and of no file of another form.
    :param read: of a file and the number of the text's sentence pairs (None: as many as the last pair with links has),
        its links and what is to be said of those left out. Raises as :func:`read_link_file`.
    """

    name: str
    begins: Callable[[bytes], object]
    read: Callable[[PathLike, int | None], tuple[CorpusLinks, str]]


def form_of(path: PathLike) -> LinkForm | None:
    """The form of a link file; None for Pharaoh text.

    :param path: a pipe only after :func:`begun`, or nothing would be left to read.
    :raises AlignmentFormatError: it is GIZA++'s.
    :raises GuidedAlignError: the file cannot be read.
    """
    # What can be read once is left to be read.
    for number, line in _not_empty(path.first_lines(), 1) if isinstance(path, BegunPipe) else _lines(path):
        if _A3.match(line):
            raise AlignmentFormatError(
                f"{path}:{number}: expected links as Pharaoh text or in NAACL's form; got GIZA++'s A3 form,"
                " which has three lines a sentence pair, and one direction; make Pharaoh text of both"
                " directions' files with Moses: giza2bal.pl -d FORWARD.A3.final -i REVERSE.A3.final | symal"
                " -alignment=grow -diagonal=yes -final=yes -both=yes"
            )
        return next((form for form in FORMS if form.begins(line)), None)
    return None


def begun(path: PathLike, whole: bool = False) -> PathLike:
    """The file itself; a pipe so that its form can be told before it is read.

    :param whole: also so that it can be read again; its text is held in memory.
    :raises GuidedAlignError: the pipe cannot be read.
    """
    return BegunPipe(path, whole) if is_pipe(path) and not isinstance(path, BegunPipe) else path


def read_link_file(path: PathLike, one_based: bool = False, sentences: int | None = None) -> CorpusLinks:
    """All links of a file.

    :param one_based: positions of Pharaoh text count from 1, as NAACL's always do.
    :param sentences: of the text, as a file may lack the last pairs. None: as many as the last pair with links has.
    :raises AlignmentFormatError, AlignmentRangeError: a link cannot be read; with file and line.
    :raises AlignmentLengthError: a NAACL file has links of more pairs.
    :raises GuidedAlignError: the file cannot be read.
    """
    path = begun(path)
    form = form_of(path)
    return pharaoh.read_links(path, one_based) if form is None else _read(form, path, sentences)


def count_pairs(path: PathLike) -> int:
    """Sentence pairs of a link file; the last with links, where those without may be missing.

    Raises as :func:`read_link_file`.
    """
    form = form_of(path)
    return count_lines(path) if form is None else len(form.read(path, None)[0])


def filled(links: CorpusLinks, path: PathLike, sentences: int) -> CorpusLinks:
    """Links that were read before the number of sentence pairs was known, with the pairs that the file may lack.

    Raises as :func:`read_link_file`.
    """
    missing = sentences - len(links)
    return CorpusLinks.concatenated([links, CorpusLinks.empty(missing)]) if missing > 0 and form_of(path) else links


@contextmanager
def as_pharaoh(path: PathLike, sentences: Callable[[], int | None], one_based: bool = False) -> Iterator[PathLike]:
    """A file of the same links in Pharaoh text, one line a sentence pair: the file itself where that is its form.

    :param sentences: asked for the number of pairs of the text, where the file does not say it; None: as many as the
        last pair with links has.
    :param one_based: how positions are counted by whoever reads the file.
    """
    path = begun(path)
    form = form_of(path)
    if form is None:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="links-") as folder:
        text = Path(folder) / "links"
        text.write_bytes(pharaoh.format_block(_read(form, path, sentences()), one_based))
        yield text


def _read(form: LinkForm, path: PathLike, sentences: int | None) -> CorpusLinks:
    links, left_out = form.read(path, sentences)
    say(f"{path}: {form.name}: {len(links.source)} links of {len(links)} sentence pairs{left_out}")
    return links


def _lines(path: PathLike) -> Iterator[tuple[int, bytes]]:
    """The lines that are not empty, with their numbers."""
    for first_line, block in read_blocks(path, 1 << 16):
        yield from _not_empty(block.split(b"\n"), first_line)


def _not_empty(lines: list[bytes], first_line: int) -> Iterator[tuple[int, bytes]]:
    return ((number, line) for number, line in enumerate(lines, start=first_line) if line.strip())


def _read_naacl(path: PathLike, sentences: int | None) -> tuple[CorpusLinks, str]:
    """Links in the form of the NAACL 2003 workshop (Mihalcea and Pedersen 2003), one a line.

    Number of the sentence pair, source position, target position, all from 1, then S (sure) or P (possible) and a
    confidence, which may both be missing. Position 0 is no word: such lines say that a word has no link.
    """
    rows = [_naacl_row(line, f"{path}:{number}", sentences) for number, line in _lines(path)]
    last = max((row[0] + 1 for row in rows), default=0)
    linked = [row for row in rows if row[1] >= 0 and row[2] >= 0]
    table = np.array([row[:3] for row in linked], np.int64).reshape(-1, 3)
    weights, sures = np.array([row[3] for row in linked], np.float32), np.array([row[4] for row in linked], bool)
    count = last if sentences is None else sentences
    links = CorpusLinks.from_columns(count, table[:, 0], table[:, 1], table[:, 2], weights, sures)
    without_word = len(rows) - len(linked)
    return links, f"; {without_word} that link a word to none (position 0) left out" if without_word else ""


def _naacl_row(line: bytes, where: str, sentences: int | None) -> tuple[int, int, int, float, bool]:
    """Pair, source and target from 0, weight, and whether the link is sure."""
    text = line.strip().decode("utf-8", "backslashreplace")
    shown = repr(text if len(text) <= 60 else text[:60] + "...")
    match = _NAACL.fullmatch(line)
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


FORMS = (LinkForm("NAACL word alignments", _NAACL.fullmatch, _read_naacl),)
"""The forms besides Pharaoh text."""
