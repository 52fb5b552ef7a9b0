"""The tokens of a text that its dictionary does not hold: they become ``<unk>``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Set
from dataclasses import dataclass

HIGH_OF_PIECES = 0.01
"""Above this share there is a warning."""
HIGH_OF_WORDS = 0.05
"""The same for plain words: no dictionary holds all of them."""
EXAMPLES = 5


@dataclass(frozen=True)
class UnknownTokens:
    """Tokens of one side of a split that become ``<unk>``.

    :param unknown: their number.
    :param tokens: number of all tokens of the text.
    :param examples: the most frequent ones, at most :data:`EXAMPLES`.
    """

    unknown: int
    tokens: int
    examples: tuple[str, ...] = ()

    @classmethod
    def counted(cls, occurrences: Counter, known: Set[str]) -> UnknownTokens:
        """The tokens that are not ``known``.

        :param occurrences: of each token of the text.
        """
        missing = {token: count for token, count in occurrences.items() if token not in known}
        frequent = sorted(missing, key=lambda token: (-missing[token], token))[:EXAMPLES]
        return cls(sum(missing.values()), sum(occurrences.values()), tuple(frequent))

    @property
    def share(self) -> float:
        """In [0, 1]; 0 of an empty text."""
        return self.unknown / self.tokens if self.tokens else 0.0

    def is_high(self, subwords: str) -> bool:
        """Whether the share is more than text of this kind of subwords should have."""
        return self.share > (HIGH_OF_WORDS if subwords == "words" else HIGH_OF_PIECES)


def unknown_warning(name: str, lang: str, found: UnknownTokens, swapped: UnknownTokens | None = None) -> str:
    """The warning of a high share.

    :param name: the split.
    :param swapped: the same side by the other side's dictionary, where both were given.
    """
    advice = "is the dictionary of this text, cut into pieces in this way?"
    if swapped is not None and swapped.share < found.share / 2:
        advice = (
            f"by the other language's dictionary it would be {100 * swapped.share:.1f} %: are --srcdict and --tgtdict"
            " the right way round?"
        )
    return (
        f"{name}.{lang}: {100 * found.share:.1f} % of the tokens are not in the dictionary and become <unk>, most often"
        f" {' '.join(found.examples)}; {advice}"
    )
