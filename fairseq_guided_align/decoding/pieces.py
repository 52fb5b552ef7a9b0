"""Token ids to subword pieces."""

from __future__ import annotations

from typing import Any

from torch import Tensor


def pieces_of(tokens: Tensor, dictionary: Any) -> list[str]:
    """The pieces of a sentence, without the token at its end.

    :param tokens: (tokens,) ids, of which the last is ``</s>`` or a language token.
    :param dictionary: fairseq's.
    """
    return [dictionary[token] for token in tokens.tolist()[:-1]]
