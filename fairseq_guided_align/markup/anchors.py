"""Units that are written alike on both sides, such as names, numbers and placeholders: they say more than links do."""

from __future__ import annotations

from collections.abc import Sequence

from fairseq_guided_align.markup.segment_links import Link

_SHORTEST = 4
"""Letters that a word must have to be told by its spelling alone."""


def with_anchors(source: Sequence[str], target: Sequence[str], links: list[Link]) -> list[Link]:
    """The links, those of units that are written alike replaced by links from the first to the first, and so on.

    :param source: units; ``target`` likewise.
    """
    alike = {word.lower() for word in source}.intersection([word.lower() for word in target])
    alike = {word for word in alike if _tells(word)}
    if not alike:
        return links
    found: dict[str, tuple[list[int], list[int]]] = {word: ([], []) for word in alike}
    for side, words in enumerate((source, target)):
        for position, word in enumerate(words):
            places = found.get(word.lower())
            if places:
                places[side].append(position)
    anchors = [pair for first, second in found.values() if len(first) == len(second) for pair in zip(first, second)]
    return with_certain_links(links, anchors)


def with_certain_links(links: list[Link], pairs: Sequence[tuple[int, int]]) -> list[Link]:
    """The links, those of units that certainly belong together replaced by links between them."""
    sources, targets = {source for source, _ in pairs}, {target for _, target in pairs}
    kept = [link for link in links if link[0] not in sources and link[1] not in targets]
    return kept + [(source, target, 1.0) for source, target in pairs]


def names_of(source: Sequence[str]) -> set[str]:
    """The words that their spelling alone tells, in small letters."""
    return {word.lower() for word in source if _tells(word)}


def _tells(word: str) -> bool:
    return (len(word) >= _SHORTEST and any(map(str.isalpha, word))) or any(map(str.isdigit, word))
