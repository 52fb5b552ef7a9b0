"""What the page asks of a model: a text translated line by line, with its tags and its links."""

from __future__ import annotations

import re
import threading
import time
from typing import NamedTuple

from fairseq_guided_align.api import Model, Translation
from fairseq_guided_align.demo.server import Refusal
from fairseq_guided_align.errors import GuidedAlignError, MarkupError
from fairseq_guided_align.markup.kinds import Markup, markup_of
from fairseq_guided_align.pictures.page import soft_links, view

MAX_BEAM = 20
SECONDS = 60.0
"""For a question, waiting for others included."""


class Question(NamedTuple):
    """A text to translate.

    :param markup: the kinds of markup in it; None: it is text without tags.
    """

    text: str
    beam: int
    markup: str | None


class Answers:
    """Answers of a model, one question after the other.

    :param seconds: after which a question is given up, between two of its lines.
    """

    def __init__(self, model: Model, seconds: float = SECONDS) -> None:
        self._model = model
        self._seconds = seconds
        self._turn = threading.Lock()

    def __call__(self, asked: object) -> dict[str, object]:
        """``{"lines": [...]}``, see :func:`_shown`; an empty line is None.

        :param asked: ``{"text": ..., "beam": ..., "markup": ... or None}``.
        :raises Refusal: it is something else, tags do not fit together, or it takes too long.
        """
        until = time.monotonic() + self._seconds
        question = _question(asked)
        lines = [line.rstrip("\r") for line in question.text.split("\n")]
        self._check_tags(lines, question.markup)
        if not self._turn.acquire(timeout=self._seconds):
            raise Refusal(503, "others are still being answered: try again")
        try:
            return {"lines": [self._translated(line, number, question, until) for number, line in enumerate(lines, 1)]}
        finally:
            self._turn.release()

    def _check_tags(self, lines: list[str], markup: str | None) -> None:
        """All lines, before the first is translated."""
        try:
            kinds = None if markup is None else markup_of(markup)
        except GuidedAlignError as error:
            raise Refusal(422, str(error)) from None
        for number, line in enumerate(lines, 1):
            try:
                if kinds is not None:
                    kinds.read(line)
            except MarkupError as error:
                raise Refusal(422, error.reason, line=number, column=error.column) from None

    def _translated(self, line: str, number: int, question: Question, until: float) -> dict[str, object] | None:
        if not line.strip():
            return None
        if time.monotonic() > until:
            raise Refusal(503, f"not done after {self._seconds:.0f} seconds: translate less at once", line=number)
        try:
            found = self._model.translate([line], beam=question.beam, markup=question.markup, too_long="skip")[0]
            if not found:
                raise Refusal(422, "the line is too long for the model", line=number)
            source = self._model.source_words([line], question.markup)[0]
            return _shown(found[0], source, None if question.markup is None else markup_of(question.markup))
        except GuidedAlignError as error:
            raise Refusal(422, str(error), line=number) from None


def _question(asked: object) -> Question:
    """:raises Refusal: it is no question."""
    text, beam, markup = (asked.get(key) if isinstance(asked, dict) else None for key in Question._fields)
    if not isinstance(text, str) or not isinstance(markup, (str, type(None))):
        raise Refusal(400, "expected a text and the kinds of its markup")
    if not isinstance(beam, int) or not 1 <= beam <= MAX_BEAM:
        raise Refusal(422, f"expected a beam from 1 to {MAX_BEAM}; got {beam}")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Refusal(422, "half of a surrogate pair is no character") from None
    return Question(text, beam, markup)


def _shown(best: Translation, source: list[str], markup: Markup | None) -> dict[str, object]:
    """A translated line.

    ``parts``: the translation as a list of ``[text, whether it is a tag]``. ``score``: log-probability in nats.
    ``guessed``: number of tags that no link speaks for. ``view``: words and links, as a ``pictures.page.View``.
    """
    target = re.findall("[^ ]+", best.plain_text)
    soft = None
    # A piece that spells a space makes another number of words.
    if best.attention.shape == (len(target), len(source) + 1):
        soft = soft_links(best.attention)
    return {
        "parts": [[best.text, False]] if markup is None else tag_parts(best.text, markup),
        "score": round(best.score, 3),
        "guessed": best.guessed_tags,
        "view": view(source, target, None, [(best.links, soft)]),
    }


def tag_parts(text: str, markup: Markup) -> list[list[object]]:
    """A tagged text as ``[text, whether it is a tag]``, in order; together they are the text."""
    parts: list[list[object]] = []
    done = 0
    for tag in markup.read(text, lenient=True).tags:
        start = text.find(tag.raw, done)
        if tag.raw and start >= 0:
            parts += [[text[done:start], False], [tag.raw, True]]
            done = start + len(tag.raw)
    parts.append([text[done:], False])
    return [part for part in parts if part[0]]
