"""A document as bytes and as text: in the encoding that it names, so that what is not changed comes out as it was."""

from __future__ import annotations

import codecs
import re
from typing import NamedTuple

from fairseq_guided_align.errors import AlignmentFormatError, GuidedAlignError
from fairseq_guided_align.files.opening import BYTE_ORDER_MARK, PathLike, open_bytes

_NAMED = re.compile(rb"""<\?xml[^>]*?\sencoding\s*=\s*["']([\w.:-]+)|<meta[^>]*?charset\s*=\s*["']?([\w.:-]+)""", re.I)
_FIRST = 1024
"""Bytes in which a document names its encoding; HTML's own rule."""


class DocumentText(NamedTuple):
    """A document that was read.

    :param text: without a byte order mark.
    :param encoding: that it names; UTF-8 where it names none, or has a byte order mark.
    :param mark: the byte order mark, or nothing.
    """

    text: str
    encoding: str
    mark: bytes

    def encoded(self, text: str) -> bytes:
        """Another text as the same document's bytes; a character that its encoding lacks is written by its number."""
        return self.mark + text.encode(self.encoding, "xmlcharrefreplace")


def read_document(path: PathLike) -> DocumentText:
    """A whole document, HTML or XML, compressed or not.

    :raises AlignmentFormatError: it is not in the encoding that it names.
    :raises GuidedAlignError: it cannot be read, or names an encoding that is unknown.
    """
    with open_bytes(path) as stream:
        try:
            data = stream.read()
        except (EOFError, OSError) as error:
            raise GuidedAlignError(f"{path}: cannot be read from line 1 on: {error}") from error
    mark = BYTE_ORDER_MARK if data.startswith(BYTE_ORDER_MARK) else b""
    named = _NAMED.search(data[:_FIRST])
    encoding = (named[1] or named[2]).decode() if named and not mark else "utf-8"
    try:
        codecs.lookup(encoding)
        return DocumentText(data[len(mark) :].decode(encoding), encoding, mark)
    except LookupError as error:
        raise GuidedAlignError(
            f"{path}: names the encoding {encoding!r}, which is unknown; convert it to UTF-8"
        ) from error
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise AlignmentFormatError(
            f"{path}:{line}: expected text in {encoding}, as the document says; got byte 0x{data[error.start]:02x}"
        ) from error
