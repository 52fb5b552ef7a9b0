"""How a data folder's text was cut into pieces: the file that ``fairseq-guided-align preprocess`` leaves there."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.links.words import DEFAULT_SPLIT, WORD_SPLITS
from fairseq_guided_align.subwords.pieces import KINDS

SETTINGS = "guided_alignment.json"


def settings_path(data: str) -> Path:
    """The file of a data folder, which may be several, separated by ``:``; they share their subwords."""
    return Path(data.split(os.pathsep)[0]) / SETTINGS


def subword_settings(data: str) -> dict[str, Any]:
    """What the file says; empty where there is none.

    :raises GuidedAlignError: it is not such a file.
    """
    path = settings_path(data)
    if not path.exists():
        return {}
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise GuidedAlignError(f"{path}: expected settings in JSON; {error}; write it anew with preprocess") from error
    if not isinstance(settings, dict):
        raise GuidedAlignError(f"{path}: expected a JSON object; got {type(settings).__name__}")
    return settings


def word_split_of(data: str, given: str | None = None) -> str:
    """What the words of this data folder are, one of ``links.words.WORD_SPLITS``. Older folders do not say it.

    :param given: the user's answer, which wins.
    :raises GuidedAlignError: the folder says something unknown.
    """
    found = subword_settings(data).get("word_split", DEFAULT_SPLIT) if given is None else given
    if found not in WORD_SPLITS:
        raise GuidedAlignError(
            f"{settings_path(data)}: expected a definition of words out of {', '.join(WORD_SPLITS)}; got {found!r}; was"
            " the folder made by a later version, or changed by hand?"
        )
    return str(found)


def subword_kind(data: str, given: str | None, option: str) -> str:
    """How pieces make up words in this data folder, one of ``subwords.pieces.KINDS``.

    :param given: the user's answer, which wins.
    :param option: what it is called, for the message.
    :raises GuidedAlignError: neither says it, or the data folder says something unknown.
    """
    kind = subword_settings(data).get("subwords") if given is None else str(given)
    if kind not in KINDS:
        missing = "it says nothing of subwords" if kind is None else f"got {kind!r} there"
        raise GuidedAlignError(
            f"{settings_path(data)}: expected how pieces make up words, one of {', '.join(KINDS)}; {missing}; give "
            f"{option}"
        )
    return kind
