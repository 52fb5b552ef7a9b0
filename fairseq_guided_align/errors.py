"""Exceptions of this package. Every message names what was read, what was wanted, and what was got."""


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


class SubwordMismatchError(GuidedAlignError):
    """Words and subword pieces of one sentence that do not spell the same text."""
