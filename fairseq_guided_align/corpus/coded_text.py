"""The tokens of one side of a split, in a file of numbers until its dictionary is made."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fairseq_guided_align.subwords.coded_lines import CodedLines


class _Block(NamedTuple):
    """Where the arrays of some lines are in the file: codes, then lengths.

    :param dtype: of the codes.
    """

    tokens: int
    lines: int
    dtype: str


class CodedText:
    """Takes the lines of a text in their order, and gives them back block by block.

    In memory are the different tokens, with their numbers of occurrences, and a few numbers for each block.

    :param path: of the file, which is made.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._code: defaultdict[str, int] = defaultdict()
        self._code.default_factory = self._code.__len__
        self._counts = np.zeros(1024, np.int64)
        self._blocks: list[_Block] = []
        path.write_bytes(b"")

    def append(self, lines: CodedLines) -> None:
        code_of = np.fromiter(map(self._code.__getitem__, lines.tokens), np.int64, len(lines.tokens))
        if len(self._code) > len(self._counts):
            self._counts = np.concatenate([self._counts, np.zeros(len(self._code), np.int64)])
        self._counts[code_of] += lines.counts()
        # Half the bytes while few tokens are known, as with pieces they always are.
        dtype = "<u2" if len(self._code) <= 1 << 16 else "<u4"
        with open(self._path, "ab") as stream:
            stream.write(code_of.astype(dtype)[lines.codes].data)
            stream.write(lines.lengths.astype("<i4").data)
        self._blocks.append(_Block(len(lines.codes), len(lines.lengths), dtype))

    def occurrences(self) -> Counter[str]:
        """How often each token occurs."""
        return Counter(dict(zip(self._code, self._counts.tolist())))

    @property
    def lines(self) -> int:
        """Their number."""
        return sum(block.lines for block in self._blocks)

    def tokens(self) -> list[str]:
        """The different tokens, by their codes."""
        return list(self._code)

    def blocks(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Of consecutive lines the codes of all tokens, and the number of tokens of each line."""
        with open(self._path, "rb") as stream:
            for block in self._blocks:
                codes = np.frombuffer(stream.read(block.tokens * np.dtype(block.dtype).itemsize), block.dtype)
                yield codes, np.frombuffer(stream.read(4 * block.lines), "<i4")

    def remove(self) -> None:
        """Remove the file; the occurrences are still known."""
        self._path.unlink()
