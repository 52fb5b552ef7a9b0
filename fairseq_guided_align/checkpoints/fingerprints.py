"""Fingerprints of dictionaries, which a checkpoint keeps: with other entries its model is worthless.

Only the entries and their order count, not how often each was seen.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fairseq_guided_align.errors import DictionaryMismatchError
from fairseq_guided_align.files.byte_lines import PathLike

logger = logging.getLogger(__name__)

KEY = "guided_alignment_dictionaries"
"""In the model's configuration: ``LANGUAGE=FINGERPRINT``, separated by spaces; the source language first."""


def fingerprint(dictionary: Any) -> str:
    """Sixteen hexadecimal digits of a dictionary of fairseq's."""
    digest = hashlib.sha256()
    for symbol in dictionary.symbols:
        digest.update(symbol.encode("utf-8", "surrogatepass") + b"\n")
    return digest.hexdigest()[:16]


def prints_of(task: Any) -> dict[str, str]:
    """Fingerprints by language of what a translation task has loaded; empty for other tasks."""
    dictionaries = getattr(task, "dicts", None)
    if not dictionaries:
        options = getattr(task, "cfg", None) or getattr(task, "args", None)
        langs = getattr(options, "source_lang", None), getattr(options, "target_lang", None)
        both = getattr(task, "source_dictionary", None), getattr(task, "target_dictionary", None)
        if any(one is None for one in (*langs, *both)):
            return {}
        dictionaries = dict(zip(langs, both))
    return {str(lang): fingerprint(one) for lang, one in dictionaries.items()}


def prints_of_folder(data: PathLike, langs: Any) -> dict[str, str]:
    """Fingerprints of the dictionaries of a data folder, of those languages that have one there."""
    from fairseq.data import Dictionary

    paths = {lang: Path(data) / f"dict.{lang}.txt" for lang in langs}
    return {lang: fingerprint(Dictionary.load(str(path))) for lang, path in paths.items() if path.is_file()}


def store_prints(task: Any, model_config: Any) -> None:
    """Write the fingerprints of a task's dictionaries into a model's configuration, which the checkpoint keeps."""
    found = prints_of(task)
    if found:
        setattr(model_config, KEY, " ".join(f"{lang}={one}" for lang, one in found.items()))


def stored_prints(model_config: Any) -> dict[str, str] | None:
    """What :func:`store_prints` wrote, or None.

    :param model_config: a configuration of fairseq's, or a dictionary.
    """
    text = model_config.get(KEY) if isinstance(model_config, Mapping) else getattr(model_config, KEY, None)
    if not text:
        return None
    return {lang: one for lang, _, one in (part.rpartition("=") for part in str(text).split())}


def check_prints(model_config: Any, found: Mapping[str, str], data: str, name: str = "the checkpoint") -> None:
    """Refuse dictionaries that a model was not trained with; of an older model say that they cannot be checked.

    :param model_config: see :func:`stored_prints`.
    :param found: fingerprints of the dictionaries that are to be used.
    :param data: the folder that they come from, for the message.
    :param name: the checkpoint, for the message.
    :raises DictionaryMismatchError: they differ.
    """
    if not found:
        return
    trained = stored_prints(model_config)
    if trained is None:
        logger.warning(
            f"{name}: keeps no fingerprint of its dictionaries, as it is of an older version or of fairseq alone; "
            f"whether those of {data} are the same cannot be checked"
        )
        return
    if len(trained) == len(found) == 2 and trained.keys() != found.keys():
        # The languages may have been renamed; the first is the source.
        trained = dict(zip(found, trained.values()))
    differing = [lang for lang, one in found.items() if trained.get(lang, one) != one]
    if differing:
        files = " and ".join(f"dict.{lang}.txt" for lang in differing)
        raise DictionaryMismatchError(
            f"{name}: was trained with other dictionaries than {data} has: in {files}, entries differ, or their "
            "order; name the data folder that it was trained on, as it was then"
        )
