"""Where the words of a words file stand in the plain text, found by their characters."""

from __future__ import annotations

import html
from collections.abc import Sequence

from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.markup.tagged_text import Range


def places_of_words(text: str, words: Sequence[str]) -> list[Range]:
    """``(start, stop)`` character ranges of words in a text, in order.

    White space may stand anywhere, and capitals do not matter. Words may be escaped as Moses' tokeniser does it
    (``&quot;``, ``@-@``), and may be pieces marked as SentencePiece or subword-nmt mark them.

    :raises GuidedAlignError: the words spell another text.
    """
    places = []
    position = 0
    for number, word in enumerate(words):
        for spelling in _spellings(word):
            found = _found(text, position, spelling)
            if found is not None:
                places.append(found)
                position = found[1]
                break
        else:
            raise GuidedAlignError(_mismatch(text, position, word, number))
    if text[position:].strip():
        raise GuidedAlignError(_mismatch(text, position, "", len(words)))
    return places


def _spellings(word: str) -> list[str]:
    """What a word may stand for, the likeliest first."""
    spellings = [word]
    if "&" in word:
        spellings.append(html.unescape(word))
    if word.startswith("▁"):
        spellings.append(word[1:])
    if word.endswith("@@"):
        spellings.append(word[:-2])
    if len(word) > 2 and word.startswith("@") and word.endswith("@"):
        spellings.append(word[1:-1])
    return spellings


def _found(text: str, position: int, word: str) -> Range | None:
    """The range of a word that begins at a position, or after white space there."""
    # White space other than ASCII's may be part of a word.
    while position < len(text) and text[position].isspace() and text[position] != word[:1]:
        position += 1
    stop = position + len(word)
    if text[position:stop] == word:
        return position, stop
    stop = position
    for character in word:
        while stop < len(text) and text[stop].isspace() and text[stop] != character:
            stop += 1
        # A letter may become two when it loses its capital form.
        if stop == len(text) or (text[stop] != character and text[stop].lower()[0] != character.lower()[0]):
            return None
        stop += 1
    return position, stop


def _mismatch(text: str, position: int, word: str, number: int) -> str:
    rest = text[position:].strip()
    shown = repr(rest[:30]) if rest else "the end"
    wanted = f"word {number + 1}, {word!r}," if word else "the end of the words"
    return (
        f"expected the words to spell the text; at {wanted} the text has {shown}; make the words from the text without"
        " its tags"
    )
