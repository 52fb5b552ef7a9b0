"""What fairseq gets wrong about the files of a data folder, mended while the plugin is loaded."""

from __future__ import annotations

import functools
import re
from typing import Any

from fairseq_guided_align.corpus.fairseq_data import is_empty_text
from fairseq_guided_align.corpus.languages import folder_pair, languages
from fairseq_guided_align.errors import GuidedAlignError


def know_the_languages() -> None:
    """Find the language pair of a data folder whose language codes have hyphens, such as ``zh-Hans``.

    fairseq up to 0.12.3 takes the first file name with one hyphen, which then is ``dict.zh-Hans.txt``.
    """
    from fairseq.data import data_utils

    guess = data_utils.infer_language_pair

    @functools.wraps(guess)
    def inferred(path: str) -> Any:
        if not languages(path):
            return guess(path)
        pair = folder_pair(path)
        return (None, None) if pair is None else (pair.source, pair.target)

    data_utils.infer_language_pair = inferred


def know_the_validation_sets() -> None:
    """Let ``--valid-subset valid,valid1`` name all validation sets of a folder.

    fairseq up to 0.12.3 takes file names such as ``valid1.de-en.de`` for validation sets that are left out.
    """
    from fairseq.data import data_utils

    data_utils.raise_if_valid_subsets_unintentionally_ignored = _check_validation_sets


def refuse_empty_texts() -> None:
    """Say which text has no sentence; the traceback of fairseq up to 0.12.3 does not name it."""
    from fairseq.data import data_utils

    load = data_utils.load_indexed_dataset

    @functools.wraps(load)
    def loaded(path: str, dictionary: Any = None, *args: Any, **kwargs: Any) -> Any:
        # Alignments are read without a dictionary, and may be empty.
        is_text = dictionary is not None
        _check_not_empty(path, is_text and is_empty_text(path))
        dataset = load(path, dictionary, *args, **kwargs)
        _check_not_empty(path, is_text and dataset is not None and not len(dataset))
        return dataset

    data_utils.load_indexed_dataset = loaded


def _check_not_empty(path: str, is_empty: bool) -> None:
    if is_empty:
        raise GuidedAlignError(
            f"{path}: expected binarised text; it holds no sentence; binarise the right file, or leave this split out:"
            " --disable-validation trains without a validation set"
        )


def _check_validation_sets(config: Any) -> None:
    """:raises GuidedAlignError: no option uses or leaves out a validation set, or two options contradict."""
    from fairseq import utils
    from fairseq.file_io import PathManager

    options, data = config.dataset, getattr(config.task, "data", None)
    if options.disable_validation or not data:
        return
    named = options.valid_subset.split(",")
    if options.combine_valid_subsets:
        if named != ["valid"]:
            raise GuidedAlignError(
                "--combine-valid-subsets makes one validation set of valid, valid1 and so on, which is called valid;"
                f" got --valid-subset {options.valid_subset}; leave one of the two options out"
            )
        return
    if options.ignore_unused_valid_subsets:
        return
    there = {name.partition(".")[0] for folder in utils.split_paths(data) for name in PathManager.ls(folder)}
    unused = sorted(name for name in there - set(named) if re.fullmatch(r"valid\d+", name))
    if unused:
        raise GuidedAlignError(
            f"{data}: has the validation sets {', '.join(unused)}, which --valid-subset {options.valid_subset} does not"
            f" name; name them (--valid-subset {','.join([*named, *unused])}), or choose --combine-valid-subsets or"
            " --ignore-unused-valid-subsets"
        )
