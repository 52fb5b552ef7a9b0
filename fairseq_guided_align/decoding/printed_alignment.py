"""Alignments in the forms that fairseq's own programs print and use, without the crashes of the stock ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from fairseq_guided_align.attention.guided_heads import GuidedHeads
from fairseq_guided_align.attention.hard_links import argmax_links, linkable
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.subwords.pieces import SUBWORD_KINDS
from fairseq_guided_align.subwords.text_pieces import PiecedSentence
from fairseq_guided_align.subwords.word_attention import word_attention

SHOWN_PROBABILITY = 0.01
"""Least probability of a link that ``fairseq-interactive --print-alignment soft`` shows if not told otherwise."""

PRINTED_FORMS = ("hard", "soft")


@dataclass(frozen=True)
class PrintedForm:
    """How alignments are printed.

    :param form: ``hard``: links of each target token with its likeliest source token; ``soft``: probabilities.
    :param threshold: soft alignments are weighted links of at least this probability, above 0, at most 1; None: rows
        of probabilities, or where the program cannot print rows, links of at least :data:`SHOWN_PROBABILITY`.
    :param words: how pieces make up the words that are linked, one of ``subwords.pieces.SUBWORD_KINDS``; None: pieces
        are linked.
    :param in_rows: tells whether the program can print rows of probabilities, as ``fairseq-generate`` can and
        ``fairseq-interactive`` cannot.
    :raises GuidedAlignError: a threshold for hard alignments or out of range, or another form or kind of words.
    """

    form: str = "hard"
    threshold: float | None = None
    words: str | None = None
    in_rows: Callable[[], bool] = field(default=lambda: True)

    def __post_init__(self) -> None:
        if self.form not in PRINTED_FORMS:
            raise GuidedAlignError(f"--print-alignment: expected {' or '.join(PRINTED_FORMS)}; got {self.form!r}")
        if self.threshold is not None:
            if self.form != "soft":
                raise GuidedAlignError("--alignment-threshold goes with --print-alignment soft, and only with it")
            if not 0 < self.threshold <= 1:
                raise GuidedAlignError(
                    f"--alignment-threshold: expected a number above 0 and at most 1; got {self.threshold}"
                )
        if self.words is not None and self.words not in SUBWORD_KINDS:
            raise GuidedAlignError(f"expected words made of {', '.join(SUBWORD_KINDS)}; got {self.words!r}")


class PrintedAlignment(Sequence[Any]):
    """What a hypothesis holds as ``alignment``; made when it is printed, because most of a beam never is.

    Iteration gives the items that fairseq prints: (source, target) for hard alignments. ``--replace-unk`` indexes it
    with a target token's position and gets the likeliest source position, for unlinked tokens too: a copied word is
    better than none.

    :param attention: gives (target tokens with ``</s>``, source tokens with ``</s>``) probabilities.
    :param source: gives the source pieces, without ``</s>``.
    :param target: gives the target pieces, without ``</s>``.
    :param guided: whether attention on ``</s>`` means no link.
    """

    def __init__(
        self,
        attention: Callable[[], np.ndarray],
        source: Callable[[], list[str]],
        target: Callable[[], list[str]],
        guided: GuidedHeads,
        form: PrintedForm,
    ) -> None:
        self._attention, self._source, self._target = attention, source, target
        self._guided, self._form = guided, form

    @cached_property
    def attention(self) -> np.ndarray:
        """(target, source) probabilities of what is linked, with the row and the column of ``</s>``."""
        pieces = self._attention()
        if self._form.words is None:
            return pieces
        words = (PiecedSentence.of_pieces(side(), self._form.words) for side in (self._source, self._target))
        return word_attention(pieces, *words)

    @cached_property
    def items(self) -> list[Any]:
        """What fairseq prints, joined by spaces."""
        if self._form.form == "hard":
            return argmax_links(*linkable(self.attention[:-1], self._guided)).pairs()
        rows = self._form.in_rows()
        if rows and self._form.threshold is None:
            return [[f"{probability:.6f}" for probability in row] for row in self.attention.tolist()]
        least = SHOWN_PROBABILITY if self._form.threshold is None else self._form.threshold
        matrix = self.attention[:-1, :-1]
        target, source = np.nonzero(matrix >= least)
        links = [(int(s), f"{t}:{matrix[t, s]:.4f}") for t, s in zip(target, source)]
        # fairseq-generate joins the parts of an item with commas, fairseq-interactive joins two with a hyphen.
        return [[f"{s}-{rest}"] for s, rest in links] if rows else links

    def __iter__(self) -> Iterator[Any]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, target: Any) -> Any:
        words = self.attention[:-1, :-1]
        if not words.size or target >= len(words):
            # fairseq's list of source tokens ends in a token of its own, which is harmless to copy.
            return words.shape[1]
        return int(words[target].argmax())
