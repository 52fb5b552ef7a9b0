"""Exceptions of this package. Every message names what was read, what was wanted, and what was got."""

from __future__ import annotations


class GuidedAlignError(ValueError):
    """Base of all errors that a user can cause and mend: bad input, bad settings, missing files."""


class AlignmentFormatError(GuidedAlignError):
    """Alignment text that is not Pharaoh text, or text that is not what its format says."""


class AlignmentRangeError(GuidedAlignError):
    """A link points outside its sentence pair, or an index is below zero or too large to hold."""


class AlignmentLengthError(GuidedAlignError):
    """Files that belong together line by line differ in their number of lines."""


class AlignmentStoreError(GuidedAlignError):
    """A binary file of links that is truncated, foreign, of another version, or cannot be written."""


def check_links_dropped(name: object, dropped: int, links: int, largest_share: float, first: str = "") -> None:
    """Few links outside their sentences are noise; many say that links and text do not belong together.

    :param first: what to tell of the first of them.
    :raises AlignmentRangeError: more than ``largest_share`` of the ``links`` were dropped.
    """
    if dropped > largest_share * links:
        raise AlignmentRangeError(
            f"{name}: {dropped} of {links} links point outside their sentences or at words that no piece spells, more"
            f" than the share of {largest_share:g} that is let pass; are they links of this text, cut into these words,"
            " in this direction, counting from 0? `fairseq-guided-align check` shows them; --max-dropped lets more pass"
            f"{first and '; the first: '}{first}"
        )


class SubwordMismatchError(GuidedAlignError):
    """Words and subword pieces of one sentence that do not spell the same text."""


class DictionaryMismatchError(GuidedAlignError):
    """A checkpoint and a data folder whose dictionaries differ."""


class MarkupError(GuidedAlignError):
    """Tags that do not fit together, or text that is not what its kind of markup asks for.

    :param line: 1-based, of the segment, or of the file where there is one.
    :param column: 1-based, in characters.
    """

    def __init__(self, reason: str, line: int, column: int, path: object = None) -> None:
        where = f"line {line}, column {column}" if path is None else f"{path}:{line}: column {column}"
        super().__init__(f"{where}: {reason}")
        self.reason = reason
        self.line = line
        self.column = column

    @classmethod
    def at(cls, reason: str, text: str, place: int) -> MarkupError:
        """The error of a place in a text, counted in characters from 0."""
        before = text[:place]
        return cls(reason, before.count("\n") + 1, place - (before.rfind("\n") + 1) + 1)
