"""Binarised text as fairseq's ``mmap`` datasets, written without fairseq, to the same byte.

fairseq's own builder takes one sentence at a time, and holds the length of each until the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fairseq_guided_align.corpus.coded_text import CodedText
from fairseq_guided_align.corpus.dictionaries import SPECIAL_SYMBOLS
from fairseq_guided_align.corpus.fairseq_data import INDEX_MAGIC
from fairseq_guided_align.subwords.special_tokens import UNKNOWN

_VERSION = 1
_TYPE_CODES = {"<u2": 8, "<u4": 9}
_MOST_SYMBOLS_OF_TWO_BYTES = 65_499


def write_mmap_text(prefix: Path, text: CodedText, symbols: Sequence[str]) -> None:
    """The token indices, ``{prefix}.bin``, and where each sentence is, ``{prefix}.idx``.

    :param symbols: of the dictionary, without fairseq's four special ones; other tokens become ``<unk>``.
    """
    index_of = {symbol: index for index, symbol in enumerate((*SPECIAL_SYMBOLS, *symbols))}
    dtype = np.dtype("<u2" if len(index_of) <= _MOST_SYMBOLS_OF_TWO_BYTES else "<u4")
    unknown, end = index_of[UNKNOWN], index_of["</s>"]
    index_of_code = np.array([index_of.get(token, unknown) for token in text.tokens()], dtype)
    index = Path(f"{prefix}.idx")
    written = 0
    with open(f"{prefix}.bin", "wb") as tokens, open(index, "wb") as sizes, open(index, "r+b") as places:
        sizes.write(INDEX_MAGIC + _VERSION.to_bytes(8, "little") + bytes([_TYPE_CODES[dtype.str]]))
        sizes.write(text.lines.to_bytes(8, "little"))
        places.seek(4 * text.lines + sizes.tell())
        for codes, lengths in text.blocks():
            with_end = lengths + 1
            ends = np.cumsum(with_end, dtype=np.int64)
            block = np.full(len(codes) + len(lengths), end, dtype)
            is_token = np.ones(len(block), bool)
            is_token[ends - 1] = False
            block[is_token] = index_of_code[codes]
            tokens.write(block.data)
            sizes.write(with_end.astype("<i4").data)
            places.write(((written + ends - with_end) * dtype.itemsize).astype("<i8").data)
            written += len(block)
