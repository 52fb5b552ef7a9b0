"""What stock fairseq writes in a data folder, read without importing fairseq."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.files.byte_lines import PathLike

INDEX_MAGIC = b"MMIDIDX\x00\x00"
_LENGTHS_START = len(INDEX_MAGIC) + 8 + 1 + 8
_AT_A_TIME = 2**16


class TextLengths:
    """Tokens in each sentence of a binarised text, ``</s>`` not counted; slices are (n,) int64 arrays.

    Reads the index of fairseq's ``mmap`` datasets: magic, version (8 bytes), type code (1), number of sentences (8),
    then a 4-byte length each. Memory-mapped, and pickled as its path.

    :raises GuidedAlignError: the file cannot be read, is not such an index, or is truncated.
    """

    def __init__(self, path: PathLike) -> None:
        self.path = Path(path)
        try:
            with open(path, "rb") as stream:
                header = stream.read(_LENGTHS_START)
        except OSError as error:
            raise GuidedAlignError(f"{path}: cannot be read: {error.strerror}; binarise again") from error
        sentences = int.from_bytes(header[-8:], "little")
        found = max(0, self.path.stat().st_size - _LENGTHS_START) // 4
        if len(header) < _LENGTHS_START or not header.startswith(INDEX_MAGIC) or found < sentences:
            raise GuidedAlignError(f"{path}: truncated: expected {sentences} lengths, got {found}; binarise again")
        self._with_end: np.ndarray = np.empty(0, "<i4")
        if sentences:  # An empty range cannot be mapped
            self._with_end = np.memmap(path, "<i4", "r", _LENGTHS_START, (sentences,))

    def __len__(self) -> int:
        return len(self._with_end)

    def __getitem__(self, index: slice) -> np.ndarray:
        return self._with_end[index].astype(np.int64) - 1

    def total(self) -> int:
        """Tokens of the whole text."""
        # Read, not mapped: pages that were mapped stay in memory, 4 bytes a sentence, until another process wants some.
        total = -len(self)
        with open(self.path, "rb") as stream:
            stream.seek(_LENGTHS_START)
            for begin in range(0, len(self), _AT_A_TIME):
                lengths = np.fromfile(stream, "<i4", min(_AT_A_TIME, len(self) - begin))
                total += int(lengths.sum(dtype=np.int64))
        return total

    def __reduce__(self) -> tuple[type[TextLengths], tuple[Path]]:
        return TextLengths, (self.path,)


def lengths_path(data_dir: PathLike, split: str, source_lang: str, target_lang: str, lang: str) -> Path:
    """Where the index of a binarised text lies."""
    return Path(data_dir) / f"{split}.{source_lang}-{target_lang}.{lang}.idx"


def text_lengths(data_dir: PathLike, split: str, source_lang: str, target_lang: str, lang: str) -> TextLengths | None:
    """Lengths of a text in a data folder; None where there is no index of the ``mmap`` format.

    :raises GuidedAlignError: the index is truncated.
    """
    path = lengths_path(data_dir, split, source_lang, target_lang, lang)
    try:
        with open(path, "rb") as stream:
            if stream.read(len(INDEX_MAGIC)) != INDEX_MAGIC:
                return None
    except FileNotFoundError:
        return None
    return TextLengths(path)


def is_empty_text(path: PathLike) -> bool:
    """Whether a binarised text has a file of no bytes, or an index of no sentence, which fairseq cannot read.

    :param path: without ``.idx`` and ``.bin``; False where neither is there.
    """
    index, tokens = Path(f"{path}.idx"), Path(f"{path}.bin")
    if not (index.is_file() and tokens.is_file()):
        return False
    with open(index, "rb") as stream:
        header = stream.read(_LENGTHS_START)
    no_sentence = header.startswith(INDEX_MAGIC) and len(header) == _LENGTHS_START and not any(header[-8:])
    return not header or not tokens.stat().st_size or no_sentence
