"""Self-contained HTML pages: a template with styles, scripts and data put in. Nothing is loaded from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from importlib import resources
from typing import NamedTuple


class Parts(NamedTuple):
    """Assets of a page, by their names, in order."""

    styles: tuple[str, ...]
    scripts: tuple[str, ...]


def filled(template: str, title: str, data: object, parts: Parts) -> str:
    """A page.

    :param template: the asset with the places to fill in: ``title``, ``css``, ``data`` and ``js`` in double braces.
    :param data: what JSON can say; the page's script reads it.
    """
    # JSON that can stand in a script element: nothing in it looks like a tag or a comment.
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    text = text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    values = {"title": html.escape(title), "css": _all(parts.styles), "js": _all(parts.scripts), "data": text}
    # In one pass, so that nothing in the text is taken for a place to fill in.
    return re.sub(r"\{\{(\w+)\}\}", lambda place: values[place[1]], _asset(template))


def hash_sources(parts: Parts) -> tuple[str, str]:
    """What a content security policy says to allow a page's own style, and its own script, and no other."""
    # The template has a line break on both sides of what is put in.
    style, script = (
        base64.b64encode(hashlib.sha256(f"\n{_all(names)}\n".encode()).digest()).decode() for names in parts
    )
    return f"'sha256-{style}'", f"'sha256-{script}'"


def _all(names: tuple[str, ...]) -> str:
    return "".join(map(_asset, names))


def _asset(name: str) -> str:
    return (resources.files("fairseq_guided_align") / "pictures" / "assets" / name).read_text(encoding="utf-8")
