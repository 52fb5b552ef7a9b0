"""Where sentences begin and end, by sentencex, a library that the Wikimedia Foundation keeps."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.markup.tagged_text import Range

SentenceSplitter = Callable[[str], Sequence[Range]]
"""Gives the ranges of a text's sentences, in order, without white space around them."""

_SPACE = re.compile(r"\s")


def sentence_splitter(lang: str) -> SentenceSplitter:
    """What finds the sentences of a text.

    :param lang: the text's language, such as ``de`` or ``zh-Hans``; for one that sentencex does not know it takes the
        rules of a language like it, or of English.
    :raises GuidedAlignError: sentencex is not installed.
    """
    try:
        from sentencex import segment
    except ImportError as error:
        raise GuidedAlignError(
            "sentencex, which finds the sentences of a document, is not installed: pip install"
            f" 'fairseq-guided-align[documents]' ({error})"
        ) from error
    code = re.split("[-_]", lang)[0].lower()

    def split(text: str) -> list[Range]:
        # Line breaks of a document part no sentences.
        flat = _SPACE.sub(" ", text)
        found = []
        start = 0
        for sentence in segment(code, flat):
            start = flat.index(sentence, start)
            stop = start + len(sentence.rstrip())
            inside = start + len(sentence) - len(sentence.lstrip())
            if inside < stop:
                found.append((inside, stop))
            start += len(sentence)
        return found

    return split


def with_protected_text_whole(sentences: Sequence[Range], protected: Sequence[Range]) -> list[Range]:
    """Sentences, where those that part protected text are one."""
    found: list[Range] = []
    for start, stop in sentences:
        if found and any(first < start < last for first, last in protected):
            found[-1] = found[-1][0], stop
        else:
            found.append((start, stop))
    return found
