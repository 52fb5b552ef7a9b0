"""Files of figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fairseq_guided_align.files.atomic import atomic_file


def write_json(path: Path, figures: Any) -> None:
    """Write the file whole or not at all: who reads it while more is measured finds no half of it."""
    with atomic_file(path) as stream:
        stream.write((json.dumps(figures, indent=2, ensure_ascii=False) + "\n").encode("utf-8"))
