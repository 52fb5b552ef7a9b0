"""How links are read off a model's attention, by the arguments of a user."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from fairseq_guided_align.aligning.link_models import ONE_DIRECTION, LinkReader, file_of_readers, kept_reader
from fairseq_guided_align.attention.guided_heads import GuidedHeads
from fairseq_guided_align.attention.link_methods import read_links_off
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.links.link import SentenceLinks


class LinkReading(NamedTuple):
    """How links are read off attention.

    :param level: what they join, ``words`` or ``pieces``.
    :param method: see ``attention.link_methods.read_links_off``; ``threshold`` likewise.
    :param learnt: reads them in place of the method.
    """

    level: str
    method: str
    threshold: float | None
    learnt: LinkReader | None = None

    @classmethod
    def of_model(cls, model: str, level: str, method: str | None, threshold: float | None) -> LinkReading:
        """As the arguments say; without a method, as ``extract --tune`` has learnt for the model, else ``argmax``.

        :param model: the checkpoint.
        :raises GuidedAlignError: ``tuned``, and nothing was learnt; or what was learnt cannot be read.
        """
        if method not in (None, "tuned"):
            return cls(level, method, threshold)
        use = f"{level}, {ONE_DIRECTION}"
        learnt = kept_reader(model, use)
        if learnt is None and method == "tuned":
            raise GuidedAlignError(f"method tuned: nothing is known of {use} in {file_of_readers(model)}")
        if learnt is not None and threshold is not None:
            learnt = replace(learnt, threshold=threshold)
        return cls(level, "argmax", threshold, learnt)

    def links(self, attention: np.ndarray, guided: GuidedHeads) -> SentenceLinks:
        """Links of a sentence pair.

        :param attention: (target, source + 1) probabilities at the reading's level; the last column is ``</s>``'s.
        """
        if self.learnt is not None:
            return self.learnt.links([attention])
        return read_links_off(attention, guided, self.method, self.threshold)
