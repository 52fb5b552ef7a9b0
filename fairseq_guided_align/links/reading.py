"""Files of links in any form that is read: Pharaoh text, or one of :data:`FORMS`.

A file is recognised by its first line that is not empty. GIZA++'s A3 form is recognised, and refused with what to do.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from fairseq_guided_align.errors import AlignmentFormatError
from fairseq_guided_align.files.byte_lines import count_lines, read_blocks
from fairseq_guided_align.files.opening import BegunPipe, PathLike, is_pipe
from fairseq_guided_align.files.progress import say
from fairseq_guided_align.links import naacl, pharaoh
from fairseq_guided_align.links.link import CorpusLinks

_A3 = re.compile(rb"# Sentence pair \(\d+\)|.*\(\{[ \d]*\}\)")


class LinkForm(NamedTuple):
    """A form of link files in which pairs without links may be missing; see :data:`FORMS`.

    :param name: for messages.
    :param begins: whether a line may be the first of such a file, and of no file of another form.
    :param read: called with the lines that are not empty, each with its number from 1; with the file's name for
        messages; and with the number of the text's sentence pairs (None: up to the last pair with links). Returns the
        links, and what to say of those that were left out. Raises as :func:`read_link_file`.
    """

    name: str
    begins: Callable[[bytes], bool]
    read: Callable[[Iterable[tuple[int, bytes]], PathLike, int | None], tuple[CorpusLinks, str]]


def form_of(path: PathLike) -> LinkForm | None:
    """The form of a link file; None for Pharaoh text.

    :param path: a pipe only after :func:`recognisable`, or nothing would be left to read.
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


def recognisable(path: PathLike, whole: bool = False) -> PathLike:
    """The path of a file itself; that of a pipe as one whose form can be told before it is read.

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
    path = recognisable(path)
    form = form_of(path)
    return pharaoh.read_links(path, one_based) if form is None else _read(form, path, sentences)


def count_pairs(path: PathLike) -> int:
    """Number of sentence pairs of a link file; where pairs without links may be missing, the number of the last one.

    Raises as :func:`read_link_file`.
    """
    form = form_of(path)
    return count_lines(path) if form is None else len(form.read(_lines(path), path, None)[0])


def with_missing_pairs(links: CorpusLinks, path: PathLike, sentences: int) -> CorpusLinks:
    """The links with empty pairs added at the end, where the form of their file may lack these.

    For links that were read before the number of sentence pairs was known. Raises as :func:`read_link_file`.
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
    path = recognisable(path)
    form = form_of(path)
    if form is None:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="links-") as folder:
        text = Path(folder) / "links"
        text.write_bytes(pharaoh.format_block(_read(form, path, sentences()), one_based))
        yield text


def _read(form: LinkForm, path: PathLike, sentences: int | None) -> CorpusLinks:
    links, left_out = form.read(_lines(path), path, sentences)
    say(f"{path}: {form.name}: {len(links.source)} links of {len(links)} sentence pairs{left_out}")
    return links


def _lines(path: PathLike) -> Iterator[tuple[int, bytes]]:
    """The lines that are not empty, with their numbers."""
    for first_line, block in read_blocks(path, 1 << 16):
        yield from _not_empty(block.split(b"\n"), first_line)


def _not_empty(lines: list[bytes], first_line: int) -> Iterator[tuple[int, bytes]]:
    return ((number, line) for number, line in enumerate(lines, start=first_line) if line.strip())


FORMS = (LinkForm("NAACL word alignments", naacl.begins, naacl.read),)
"""The forms besides Pharaoh text. In all of them, pairs without links may be missing.

A new form of this kind is a file beside ``naacl.py`` and a row here. It is named where NAACL is (search for it): in the
help of commands and of ``training/task_options.py``, in messages, and in pages 2 and 6 of the guide. Every command is
tried with it in ``tests/links/test_reading.py`` and ``tests/cli/test_standard_streams.py``.

A form that says by itself how many pairs it has is of another kind, which needs a field here first:
:func:`with_missing_pairs` and ``cli/aer.py`` take every form but Pharaoh text for one that does not say it.
"""
