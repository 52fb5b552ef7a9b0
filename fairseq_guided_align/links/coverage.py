"""How much of a text its links cover."""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np

from fairseq_guided_align.links.link import CorpusLinks, InvertedLinks
from fairseq_guided_align.links.outside import chunks


@dataclass(frozen=True)
class LinkCoverage:
    """Counts over the sentences of a split, each counted once.

    :param sentences: sentence pairs.
    :param sentences_with_links: pairs that keep a link or more.
    :param target_tokens: target tokens, without ``</s>`` and other added tokens.
    :param linked_tokens: target tokens that keep a link or more.
    :param links: links that are kept.
    :param beyond_cut: links dropped because ``--truncate-source`` cut their source token off.
    :param outside_source: links dropped because the source sentence is shorter.
    :param outside_target: links dropped because the target sentence is shorter.
    """

    sentences: int = 0
    sentences_with_links: int = 0
    target_tokens: int = 0
    linked_tokens: int = 0
    links: int = 0
    beyond_cut: int = 0
    outside_source: int = 0
    outside_target: int = 0

    @property
    def outside(self) -> int:
        """Links that point outside the text as it was written."""
        return self.outside_source + self.outside_target

    def __add__(self, other: LinkCoverage) -> LinkCoverage:
        return LinkCoverage(*(a + b for a, b in zip(astuple(self), astuple(other))))

    def __str__(self) -> str:
        def share(part: int, whole: int) -> str:
            return f"{part:,} of {whole:,} ({100 * part / whole if whole else 0:.1f} %)"

        reasons = {
            "beyond --truncate-source's cut": self.beyond_cut,
            "outside the source sentence": self.outside_source,
            "outside the target sentence": self.outside_target,
        }
        dropped = ", ".join(f"{count:,} {why}" for why, count in reasons.items() if count)
        return (
            f"sentences with links {share(self.sentences_with_links, self.sentences)}, "
            f"target tokens with links {share(self.linked_tokens, self.target_tokens)}, {self.links:,} links, "
            f"dropped {dropped or '0'}"
        )


def measure_coverage(
    links: CorpusLinks | InvertedLinks, source_lengths: np.ndarray, source_kept: np.ndarray, target_lengths: np.ndarray
) -> LinkCoverage:
    """Coverage of a text by its links.

    :param links: of each sentence pair.
    :param source_lengths: (sentences,) source tokens of each pair as written.
    :param source_kept: (sentences,) source tokens that are left after truncation.
    :param target_lengths: (sentences,) target tokens.
    """
    total = LinkCoverage()
    for start, part in chunks(links):
        lengths, cut, targets = (
            column[start : start + len(part)] for column in (source_lengths, source_kept, target_lengths)
        )
        sentence = part.sentence()
        in_source, in_target = part.source < lengths[sentence], part.target < targets[sentence]
        kept = in_target & (part.source < cut[sentence])
        ends = np.cumsum(targets)
        linked = np.zeros(ends[-1], bool)
        linked[(ends - targets)[sentence[kept]] + part.target[kept]] = True
        total += LinkCoverage(
            len(part),
            len(np.unique(sentence[kept])),
            len(linked),
            int(linked.sum()),
            int(kept.sum()),
            int((in_source & in_target & ~kept).sum()),
            int((~in_source).sum()),
            int((in_source & ~in_target).sum()),
        )
    return total
