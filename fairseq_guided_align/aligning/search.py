"""Beam search as this package needs it of an engine: sentences in pieces to hypotheses with their attention."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from fairseq_guided_align.attention.guided_heads import GuidedHeads
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.subwords.text_pieces import PiecedSentence


class Hypothesis(NamedTuple):
    """What a search found.

    :param pieces: without ``</s>``.
    :param score: log-probability in nats, normalised as the search does.
    :param attention: (target pieces, source pieces + 1) probabilities; the last column is ``</s>``'s.
    """

    pieces: list[str]
    score: float
    attention: np.ndarray


class Search(Protocol):
    """An engine with a model, ready to search."""

    name: str
    """What the user calls the model."""
    guided: GuidedHeads
    data: str
    """The folder that says how text is cut."""
    langs: tuple[str, str]
    """Source and target language."""

    def __call__(
        self, sources: Sequence[PiecedSentence], beam: int, nbest: int, max_tokens: int, options: Mapping[str, Any]
    ) -> Iterator[tuple[int, list[Hypothesis]]]:
        """(number, the best ``nbest`` hypotheses) of each sentence that is not too long for the model, in any order.

        :param max_tokens: source tokens of a batch, padding included.
        :param options: of the engine's search.
        :raises GuidedAlignError: the engine has no such option.
        """


def check_options(options: Mapping[str, Any], known: Sequence[str], whose: str) -> None:
    """:raises GuidedAlignError: an option that is none of those known.

    :param whose: search it is.
    """
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise GuidedAlignError(f"expected options of {whose} search, {', '.join(known)}; got {', '.join(unknown)}")
