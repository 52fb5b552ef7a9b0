"""How a data folder's text was cut into pieces: the file that ``fairseq-guided-align preprocess`` leaves there."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.links.words import DEFAULT_SPLIT, WordSplits, check_word_split
from fairseq_guided_align.subwords.pieces import SUBWORD_KINDS

SETTINGS_FILE = "guided_alignment.json"


def settings_path(data: str) -> Path:
    """The file of a data folder, which may be several, separated by ``:``; they share their subwords."""
    return Path(data.split(os.pathsep)[0]) / SETTINGS_FILE


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


def described_words(word_split: WordSplits) -> dict[str, str]:
    """What the file says of the words of source and target."""
    if word_split.source == word_split.target:
        return {"word_split": word_split.source}
    return {"source_word_split": word_split.source, "target_word_split": word_split.target}


def word_split_of(data: str, lang: str, given: str | None = None) -> str:
    """What the words of a language are in this data folder. Older folders do not say it.

    :param given: the user's answer, which wins.
    :raises GuidedAlignError: the folder says something unknown, or ICU is not installed.
    """
    settings = subword_settings(data)
    sides = [side for side in ("source", "target") if settings.get(f"{side}_lang") == lang]
    found = given
    for name in (*(f"{side}_word_split" for side in sides), "word_split"):
        found = settings.get(name) if found is None else found
    found = DEFAULT_SPLIT if found is None else str(found)
    try:
        check_word_split(found)
    except GuidedAlignError as error:
        if given is not None:
            raise
        raise GuidedAlignError(
            f"{settings_path(data)}: {error}; if that is no word of this version, was the folder made by a later one,"
            " or changed by hand?"
        ) from error
    return found


def subword_kind(data: str, given: str | None, option: str) -> str:
    """How pieces make up words in this data folder, one of ``subwords.pieces.SUBWORD_KINDS``.

    :param given: the user's answer, which wins.
    :param option: what it is called, for the message.
    :raises GuidedAlignError: neither says it, or the data folder says something unknown.
    """
    kind = subword_settings(data).get("subwords") if given is None else str(given)
    if kind not in SUBWORD_KINDS:
        missing = "it says nothing of subwords" if kind is None else f"got {kind!r} there"
        raise GuidedAlignError(
            f"{settings_path(data)}: expected how pieces make up words, one of {', '.join(SUBWORD_KINDS)}; {missing};"
            f" give {option}"
        )
    return kind
