"""Links that seem to count from 1: none of many sentence pairs has a link at position 0."""

from __future__ import annotations

from fairseq_guided_align.files.byte_lines import PathLike

ENOUGH_PAIRS = 20
"""Sentence pairs that show how links count. Fewer may, by chance, have no link where others would have one."""


def looks_one_based(sentences_with_links: int, at_position_zero: int) -> bool:
    """Whether so many sentence pairs with links and none at position 0 speak for positions from 1."""
    return sentences_with_links >= ENOUGH_PAIRS and not at_position_zero


def one_based_warning(
    name: PathLike, sentences_with_links: int, at_position_zero: int, advice: str = "add --one-based"
) -> str | None:
    """What to warn the user of; None where nothing is suspicious."""
    if not looks_one_based(sentences_with_links, at_position_zero):
        return None
    return (
        f"{name}: none of {sentences_with_links} sentence pairs with links has a link at position 0;"
        f" if the file counts from 1, {advice}"
    )
