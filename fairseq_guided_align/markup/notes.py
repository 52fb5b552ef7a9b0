"""What there is to say of segments whose tags were carried: line by line, and in all."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple


class Note(NamedTuple):
    """Something of a segment that the user may want to look at.

    :param line: of the segment, from 1.
    :param kind: ``guessed``, ``repaired``, ``error``, ``replaced``, ``inserted`` or ``lost``.
    :param text: the tag, the number of repaired tags, the error, or the protected text.
    """

    line: int
    kind: str
    text: str

    def row(self) -> bytes:
        """The note as a line of a report."""
        text = re.sub(r"[\t\n\r]", " ", self.text)
        return f"{self.line}\t{self.kind}\t{text}\n".encode()


_TOLD = {
    "guessed": "guessed for want of links",
    "repaired": "segments with tags repaired",
    "error": "segments whose tags do not fit together",
    "replaced": "protected texts put in place of linked words",
    "inserted": "protected texts put in by a guess",
    "lost": "protected texts missing, without links",
}


@dataclass
class SegmentCounts:
    """Segments, their tags and what there is to say of them, counted over many segments."""

    lines: int = 0
    tagged_lines: int = 0
    tags: int = 0
    notes: dict[str, int] = field(default_factory=dict)

    def add(self, tags: int, notes: Iterable[Note]) -> None:
        """Count a segment.

        :param tags: how many it has.
        """
        self.lines += 1
        self.tags += tags
        self.tagged_lines += bool(tags)
        self.add_notes(notes)

    def add_notes(self, notes: Iterable[Note]) -> None:
        """Count what there is to say."""
        for note in notes:
            self.notes[note.kind] = self.notes.get(note.kind, 0) + 1

    def __add__(self, other: SegmentCounts) -> SegmentCounts:
        kinds = {**self.notes, **other.notes}
        notes = {kind: self.notes.get(kind, 0) + other.notes.get(kind, 0) for kind in kinds}
        lines, tagged_lines = self.lines + other.lines, self.tagged_lines + other.tagged_lines
        return SegmentCounts(lines, tagged_lines, self.tags + other.tags, notes)

    def summary(self, name: str) -> str:
        """One line for the user; ``name`` begins it."""
        told = [f"{self.notes[kind]} {text}" for kind, text in _TOLD.items() if kind in self.notes]
        seen = f"{name}: {self.lines} segments, {self.tagged_lines} with tags; {self.tags} tags"
        return "; ".join([seen, *told])
