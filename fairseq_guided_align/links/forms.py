"""The forms in which files hold links: Pharaoh text, and those that are turned into it.

A new form is a module beside ``naacl.py`` and a row of :data:`FORMS`. The help of commands and the messages name the
forms out of these rows. Page 2 of the guide explains each.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from fairseq_guided_align.files.byte_lines import count_lines
from fairseq_guided_align.files.opening import PathLike
from fairseq_guided_align.links import naacl, pharaoh
from fairseq_guided_align.links.link import CorpusLinks


class LinkForm(NamedTuple):
    """A form of link files.

    :param name: for help and messages.
    :param description: for the help: what a link looks like, and what is special.
    :param begins: whether a line may be the first of such a file, and of no file of another form. It is given the first
        line that is not empty.
    :param read: called with the file; with whether its positions count from 1, where the form leaves this open; and
        with the number of the text's sentence pairs (None: as many as the file has). Returns the links, and what to say
        of those that were left out. Raises as ``reading.read_link_file``.
    :param count_pairs: the number of sentence pairs of a file. Raises as ``read``.
    :param has_every_pair: whether the file has an entry for every pair. If not, pairs without links may be missing at
        its end, and only the text can tell how many pairs there are.
    """

    name: str
    description: str
    begins: Callable[[bytes], bool]
    read: Callable[[PathLike, bool, int | None], tuple[CorpusLinks, str]]
    count_pairs: Callable[[PathLike], int]
    has_every_pair: bool


PHARAOH = LinkForm(
    "Pharaoh text",
    "one line a sentence pair: 3-5 is a sure link, 3?5 or 3p5 a possible one",
    pharaoh.begins,
    lambda path, one_based, _: (pharaoh.read_links(path, one_based), ""),
    count_lines,
    has_every_pair=True,
)
"""The form that commands write. A file that begins as none of :data:`FORMS` is read as this one."""

FORMS = (
    PHARAOH,
    LinkForm(
        "NAACL word alignments",
        "one line a link, such as 0001 4 6 S; positions always count from 1",
        naacl.begins,
        lambda path, _, sentences: naacl.read(path, sentences),
        lambda path: len(naacl.read(path, None)[0]),
        has_every_pair=False,
    ),
)

FORM_NAMES = " or ".join(form.name for form in FORMS)
