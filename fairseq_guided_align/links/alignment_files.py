"""The option ``--alignment-files``: files of links by split, of ``SPLIT=FILE`` entries."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence

from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.files.arguments import between_commas, files_by_name, name_and_file


def parse_alignment_files(text: str | None) -> Mapping[str, str]:
    """Files by split, of ``train=FILE,valid=FILE``; a comma in the name of a file that is there separates nothing.

    :raises GuidedAlignError: an entry without a split or a file, or a split named twice.
    """
    entries = between_commas(text or "", lambda entry: os.path.isfile(name_and_file(entry.strip())[1]))
    return files_by_split(entries, "train=train.align,valid=valid.align", "--alignment-files")


def files_by_split(
    entries: Iterable[str], example: str = "train=train.align", option: str | None = None
) -> dict[str, str]:
    """Files by split, of ``SPLIT=FILE`` entries.

    :param example: of entries, for messages.
    :param option: that gave them, for messages.
    :raises GuidedAlignError: an entry without a split or a file, or a split that was given before.
    """
    return files_by_name(entries, "SPLIT", example, option)


def check_alignment_files(files: Mapping[str, str], data_dirs: Sequence[str], train_subset: str) -> None:
    """Refuse files that no split of the training would read, or that several folders would.

    :param files: by split or shard.
    :param data_dirs: of which ``train_subset`` is read in turn.
    :raises GuidedAlignError: names the split.
    """
    for split in files:
        if not any(name.startswith(split + ".") for folder in data_dirs for name in os.listdir(folder)):
            raise GuidedAlignError(
                f"--alignment-files: expected splits of {':'.join(data_dirs)}, such as {train_subset}; got {split!r}"
            )
        if len(data_dirs) > 1 and split.rstrip("0123456789") == train_subset:
            raise GuidedAlignError(
                f"--alignment-files: {len(data_dirs)} data folders take turns, and {split!r} names one file; put the "
                "links into the folders with fairseq-guided-align binarize"
            )
