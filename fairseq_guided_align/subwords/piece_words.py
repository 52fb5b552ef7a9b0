"""What people read of subword pieces: the words that they spell, and links between words shown on all pieces."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from fairseq_guided_align.links.link import SentenceLinks
from fairseq_guided_align.subwords.conversion import CONTINUATION, SPACE_MARK, goes_on

_BYTES = re.compile(r"(?:<0x[0-9A-F]{2}>)+")


def word_texts(pieces: Sequence[str], word: np.ndarray, kind: str) -> list[str]:
    """The words that pieces spell, without the marks of subwords.

    :param word: (pieces,) word number of each, -1 for none.
    :param kind: one of ``subwords.conversion.KINDS``.
    """
    texts = []
    for number in range(int(word.max(initial=-1)) + 1):
        parts = [pieces[i] for i in np.flatnonzero(word == number).tolist()]
        if kind == "bpe":
            parts = [part[: -len(CONTINUATION)] if goes_on(part) else part for part in parts]
        text = "".join(parts)
        if kind == "sentencepiece":
            text = _BYTES.sub(_decoded, text).replace(SPACE_MARK, " ").strip()
        texts.append(text)
    return texts


def spread_over_pieces(links: SentenceLinks, source_word: np.ndarray, target_word: np.ndarray) -> SentenceLinks:
    """Word links on all pieces of their words.

    :param source_word: (source pieces,) word number of each, -1 for none.
    :param target_word: (target pieces,) likewise.
    """
    rows, sources, targets = [], [], []
    for row, (s, t) in enumerate(links.pairs()):
        for i in np.flatnonzero(source_word == s).tolist():
            for j in np.flatnonzero(target_word == t).tolist():
                rows.append(row)
                sources.append(i)
                targets.append(j)
    return SentenceLinks.from_columns(
        np.array(sources, np.int64), np.array(targets, np.int64), links.weight[rows], links.sure[rows]
    )


def _decoded(found: re.Match) -> str:
    return bytes.fromhex(found[0].replace("<0x", "").replace(">", "")).decode("utf-8", "replace")
