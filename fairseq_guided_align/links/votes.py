"""One set of links out of several that are of the same text and direction, by vote."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fairseq_guided_align.errors import AlignmentLengthError
from fairseq_guided_align.links.link import CorpusLinks


def majority(alignments: Sequence[CorpusLinks]) -> CorpusLinks:
    """The links that at least half of the alignments have, each with weight 1 and sure.

    :param alignments: at least one.
    :raises AlignmentLengthError: they have different numbers of sentence pairs.
    """
    sentences = len(alignments[0])
    if any(len(one) != sentences for one in alignments):
        raise AlignmentLengthError(f"expected alignments of as many sentence pairs; got {[*map(len, alignments)]}")
    columns = [(one.sentence(), one.source, one.target) for one in alignments]
    # A column for each link, in order of sentence pair, source and target.
    every, votes = np.unique(np.concatenate([np.stack(rows) for rows in columns], axis=1), axis=1, return_counts=True)
    return CorpusLinks.from_columns(sentences, *every[:, 2 * votes >= len(alignments)])
