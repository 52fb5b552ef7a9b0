"""Files of links in any of ``forms.FORMS``, recognised by their first line that is not empty.

GIZA++'s A3 form is recognised, too, and refused with what to do.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from fairseq_guided_align.errors import AlignmentFormatError
from fairseq_guided_align.files.byte_lines import lines_with_text, numbered_with_text
from fairseq_guided_align.files.opening import BegunPipe, PathLike, is_pipe
from fairseq_guided_align.files.progress import say
from fairseq_guided_align.links import pharaoh
from fairseq_guided_align.links.forms import FORM_NAMES, FORMS, PHARAOH, LinkForm
from fairseq_guided_align.links.link import CorpusLinks

_A3 = re.compile(rb"# Sentence pair \(\d+\)|.*\(\{[ \d]*\}\)")


def form_of(path: PathLike) -> LinkForm:
    """The form of a link file.

    :param path: a pipe only after :func:`recognisable`, or nothing would be left to read.
    :raises AlignmentFormatError: it is GIZA++'s.
    :raises GuidedAlignError: the file cannot be read.
    """
    # What can be read once is left to be read.
    lines = numbered_with_text(path.first_lines(), 1) if isinstance(path, BegunPipe) else lines_with_text(path)
    for number, line in lines:
        if _A3.match(line):
            raise AlignmentFormatError(
                f"{path}:{number}: expected links as {FORM_NAMES}; got GIZA++'s A3 form,"
                " which has three lines a sentence pair, and one direction; make Pharaoh text of both"
                " directions' files with Moses: giza2bal.pl -d FORWARD.A3.final -i REVERSE.A3.final | symal"
                " -alignment=grow -diagonal=yes -final=yes -both=yes"
            )
        return next((form for form in FORMS if form.begins(line)), PHARAOH)
    return PHARAOH


def recognisable(path: PathLike, whole: bool = False) -> PathLike:
    """The path of a file itself; that of a pipe as one whose form can be told before it is read.

    :param whole: also so that it can be read again; its text is held in memory.
    :raises GuidedAlignError: the pipe cannot be read.
    """
    return BegunPipe(path, whole) if is_pipe(path) and not isinstance(path, BegunPipe) else path


def read_link_file(path: PathLike, one_based: bool = False, sentences: int | None = None) -> CorpusLinks:
    """All links of a file.

    :param one_based: positions count from 1, where the form leaves this open.
    :param sentences: of the text, for a form that may lack the last pairs. None: as many as the file has.
    :raises AlignmentFormatError, AlignmentRangeError: a link cannot be read; with file and line.
    :raises AlignmentLengthError: such a file has links of more pairs.
    :raises GuidedAlignError: the file cannot be read.
    """
    path = recognisable(path)
    return _read(form_of(path), path, one_based, sentences)


def count_pairs(path: PathLike) -> int:
    """Number of sentence pairs of a link file; where pairs without links may be missing, the number of the last one.

    Raises as :func:`read_link_file`.
    """
    return form_of(path).count_pairs(path)


def with_missing_pairs(links: CorpusLinks, path: PathLike, sentences: int) -> CorpusLinks:
    """The links with empty pairs added at the end, where the form of their file may lack these.

    For links that were read before the number of sentence pairs was known. Raises as :func:`read_link_file`.
    """
    missing = sentences - len(links)
    if missing <= 0 or form_of(path).has_every_pair:
        return links
    return CorpusLinks.concatenated([links, CorpusLinks.empty(missing)])


@contextmanager
def as_pharaoh(path: PathLike, sentences: Callable[[], int | None], one_based: bool = False) -> Iterator[PathLike]:
    """A file of the same links in Pharaoh text, one line a sentence pair: the file itself where that is its form.

    :param sentences: asked for the number of pairs of the text, for a form that may lack the last pairs; None: as many
        as the file has.
    :param one_based: positions count from 1: those of the file, where its form leaves this open, and of what is given.
    """
    path = recognisable(path)
    form = form_of(path)
    if form is PHARAOH:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="links-") as folder:
        text = Path(folder) / "links"
        text.write_bytes(pharaoh.format_block(_read(form, path, one_based, sentences()), one_based))
        yield text


def _read(form: LinkForm, path: PathLike, one_based: bool, sentences: int | None) -> CorpusLinks:
    links, left_out = form.read(path, one_based, sentences)
    if form is not PHARAOH:
        say(f"{path}: {form.name}: {len(links.source)} links of {len(links)} sentence pairs{left_out}")
    return links
