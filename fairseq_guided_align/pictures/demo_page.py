"""The page of the command `demo`: a text goes to the server, its translation with tags and links comes back."""

from __future__ import annotations

from typing import TypedDict

from fairseq_guided_align.pictures.template import Parts, filled, hash_sources
from fairseq_guided_align.pictures.visible_text import visible

PARTS = Parts(("base.css", "demo.css"), ("tracing.js", "demo.js"))


class DemoData(TypedDict):
    """What the page is told when it is made.

    ``model``: its name. ``source`` and ``target``: language codes. ``questions``: the server's path for questions.
    ``kinds``: kinds of markup, ``sets``: ready sets of placeholders to choose from. ``markup``: those chosen at first.
    ``max_beam``: the widest beam. ``max_bytes``: of a question.
    """

    model: str
    source: str
    target: str
    questions: str
    kinds: list[str]
    sets: list[str]
    markup: str
    max_beam: int
    max_bytes: int


def demo_page(data: DemoData) -> tuple[str, str]:
    """The page, and the content security policy to serve it with: it may talk to its own server, and to no other."""
    names = {key: visible(data[key]) for key in ("model", "source", "target")}  # type: ignore[literal-required]
    style, script = hash_sources(PARTS)
    policy = (
        f"default-src 'none'; style-src {style}; script-src {script}; img-src data:; connect-src 'self';"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return filled("demo.html", f"{names['source']} to {names['target']}", {**data, **names}, PARTS), policy
