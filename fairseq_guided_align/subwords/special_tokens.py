"""Text that is spelled like fairseq's own tokens: ``<s>``, ``<pad>`` and ``</s>`` would be read as these.

A ``<pad>`` within a sentence is taken for padding. It is masked, and is not counted as a token, which shifts links.
Such pieces are written with full-width brackets, ``＜pad＞``. Unicode's NFKC turns these back, so that words and pieces
still spell the same. ``<unk>`` in a text stands for an unknown token, and ``<PAD>`` is a plain word.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

UNKNOWN = "<unk>"
"""fairseq's token for what a dictionary lacks."""

TAKEN = ("<s>", "<pad>", "</s>")
"""Tokens that no text can hold, unless the dictionary has symbols of its own for them."""

OVERWRITE = "#fairseq:overwrite"
"""Flag at the end of a dictionary's line whose symbol takes the place of one before it."""

_WRITTEN = {token: token.replace("<", "＜").replace(">", "＞") for token in TAKEN}


def spelled_for_fairseq(piece: str) -> str:
    """How a piece is written in text for fairseq."""
    return _WRITTEN.get(piece, piece)


@cache
def flagged_symbols(path: str) -> frozenset[str]:
    """Symbols that take the place of others in a dictionary's file; none where it cannot be read."""
    try:
        lines = Path(path).read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError):
        return frozenset()  # fairseq says what is wrong with it
    flagged = (line.rstrip().rsplit(" ", 2) for line in lines if line.rstrip().endswith(" " + OVERWRITE))
    return frozenset(parts[0] for parts in flagged if len(parts) == 3)


def index_of(piece: str, dictionary: Any) -> int:
    """The index of a piece of text in fairseq's dictionary; of fairseq's own tokens only that of ``<unk>``."""
    index = dictionary.index(piece)
    if index in (dictionary.bos(), dictionary.pad(), dictionary.eos()):
        index = dictionary.index(spelled_for_fairseq(piece))
    return int(index)


def pieces_of(tokens: Any, dictionary: Any) -> list[str]:
    """The pieces that tokens stand for in fairseq's dictionary.

    :param tokens: (pieces + 1,) tensor of indices; the last is ``</s>``'s.
    """
    return [dictionary[token] for token in tokens.tolist()[:-1]]


def line_for(line: str, dictionary: Any) -> str:
    """A line of pieces as fairseq's dictionary has to be given it."""
    if not any(token in line for token in TAKEN):
        return line
    taken = (dictionary.bos(), dictionary.pad(), dictionary.eos())
    return " ".join(spelled_for_fairseq(piece) if dictionary.index(piece) in taken else piece for piece in line.split())


def special_token_warning(name: str, count: int) -> str:
    """What to tell of pieces whose brackets were changed."""
    return (
        f"{name}: {count} tokens are spelled like fairseq's own {', '.join(TAKEN)}, and written with full-width"
        f" brackets, such as {_WRITTEN['<pad>']}, so that it reads them as text"
    )
