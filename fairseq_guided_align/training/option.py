"""One option of a dataclass that fairseq reads."""

from __future__ import annotations

from dataclasses import field
from typing import Any


def option(default: Any, help_text: str) -> Any:
    """A field with its default and the text that ``fairseq-train --help`` shows."""
    return field(default=default, metadata={"help": help_text})
