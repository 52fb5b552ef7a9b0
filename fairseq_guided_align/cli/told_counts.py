"""What commands say of the links and text that they have read."""

from __future__ import annotations

from fairseq_guided_align.corpus.link_counts import LinkCounts
from fairseq_guided_align.files.opening import PathLike
from fairseq_guided_align.files.progress import say


def tell_counts(counts: LinkCounts, path: PathLike, name: str, one_based: bool) -> None:
    """Warnings and a summary of what was read, on standard error.

    :param name: what the summary begins with.
    """
    for warning in counts.warnings(path, one_based):
        say(f"warning: {warning}")
    say(counts.summary(name))


def tell_if_empty(pairs: int, what: str) -> None:
    """A warning where a command has read no sentence pair, and so writes an empty file.

    :param what: the text that it has read.
    """
    if not pairs:
        say(f"warning: {what}: has no sentence pair, so that nothing is written: is it the right text?")
