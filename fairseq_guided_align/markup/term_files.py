"""Files of terms: a source term and a target term a line, with a tab between them."""

from __future__ import annotations

from fairseq_guided_align.errors import AlignmentFormatError
from fairseq_guided_align.files.byte_lines import PathLike, read_lines


def read_terms(path: PathLike) -> list[tuple[str, str]]:
    """The pairs of a list of terms; empty lines are passed over.

    :raises AlignmentFormatError: a line has another form.
    :raises GuidedAlignError: the file cannot be read.
    """
    pairs = []
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip():
            continue
        columns = [column.strip() for column in line.split("\t")]
        if len(columns) != 2 or not all(columns):
            raise AlignmentFormatError(
                f"{path}:{number}: expected a source term, a tab and a target term; got {line[:60]!r}"
            )
        pairs.append((columns[0], columns[1]))
    return pairs
