"""Segments put together from the translations of their sentences, with an engine whose answers are known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from fairseq_guided_align.aligning.link_reading import LinkReading
from fairseq_guided_align.aligning.search import Hypothesis
from fairseq_guided_align.aligning.translating import SearchWidth, SourceSegment, Translation, Translator
from fairseq_guided_align.attention.guided_heads import GuidedHeads
from fairseq_guided_align.markup.segments import taken_apart
from fairseq_guided_align.markup.settings import tag_settings
from fairseq_guided_align.subwords.text_pieces import PiecedSentence, TextCutter

ANSWERS = {
    "one two": (["▁eins", "▁zw", "ei"], [[0.9, 0.0, 0.1], [0.1, 0.8, 0.1], [0.0, 0.6, 0.4]], -1.0),
    "three": (["▁drei"], [[0.7, 0.3]], -3.0),
    "dao": (["▁道", "。"], [[0.9, 0.1], [0.2, 0.8]], -1.0),
    "ye": (["▁神", "。"], [[0.6, 0.4], [0.1, 0.9]], -1.0),
    "han": (["▁하나"], [[1.0, 0.0]], -1.0),
}


class Answers:
    """An engine that knows some sentences; others are too long for it."""

    name = data = "none"
    guided = GuidedHeads((), ())
    langs = ("x", "y")

    def __call__(
        self, sources: Sequence[PiecedSentence], beam: int, nbest: int, max_tokens: int, options: Mapping[str, Any]
    ) -> Iterator[tuple[int, list[Hypothesis]]]:
        for number, source in reversed(list(enumerate(sources))):
            assert source.pieces, "a sentence without pieces needs no search"
            answer = ANSWERS.get(" ".join(source.pieces))
            if answer:
                yield number, [Hypothesis(answer[0], answer[2], np.array(answer[1], np.float32))]


def by_bars(text: str) -> list[tuple[int, int]]:
    ends = [place for place, character in enumerate(text) if character == "|"] + [len(text)]
    starts = [0, *(place + 1 for place in ends[:-1])]
    return [(start, stop) for start, stop in zip(starts, ends) if start < stop]


def translate(raw: str, level: str = "words", markup: str = "xml", **how: Any) -> list[Translation]:
    settings = tag_settings(markup, **how)
    tagged, notes = taken_apart(raw, 5, settings)
    translator = Translator(Answers(), (TextCutter("words"), TextCutter("sentencepiece")))
    segment = SourceSegment(raw, tagged, notes, 5)
    (found,) = translator(
        [segment], settings, LinkReading(level, "argmax", None), SearchWidth(1, 1, 100, {}), by_bars
    )  # fmt: skip
    return found


def test_sentences_are_put_together() -> None:
    ((one,), (pieces,)) = translate("one <b>two|three</b>"), translate("one two|three", "pieces")
    assert (one.text, one.plain_text) == ("eins <b>zwei drei</b>", "eins zwei drei")
    assert one.pieces == ["▁eins", "▁zw", "ei", "▁drei"]
    assert one.score == -2.0
    assert one.links.pairs() == [(0, 0), (1, 1), (2, 2)]
    # The last column is that of each sentence's own </s>.
    np.testing.assert_allclose(
        one.attention, [[0.9, 0, 0, 0.1], [0.05, 0.7, 0, 0.25], [0, 0, 0.7, 0.3]], atol=1e-6
    )  # fmt: skip
    np.testing.assert_allclose(
        pieces.attention, [[0.9, 0, 0, 0.1], [0.1, 0.8, 0, 0.1], [0, 0.6, 0, 0.4], [0, 0, 0.7, 0.3]], atol=1e-6
    )
    assert pieces.links.pairs() == [(0, 0), (1, 1), (1, 2), (2, 3)]
    assert (one.tags, one.guessed_tags, one.notes) == (2, 0, ())


@pytest.mark.parametrize(
    ("raw", "plain"),
    [("dao|ye", "道。神。"), ("three|dao", "drei 道。"), ("han|three", "하나 drei"), ("dao|three", "道。drei")],
)
def test_the_script_of_the_translation_says_whether_a_space_stands_between(raw: str, plain: str) -> None:
    ((one,),) = [translate(raw)]
    assert one.plain_text == plain
    words = plain.split(" ")
    assert set(one.links.target.tolist()) == set(range(len(words)))


def test_links_lead_to_what_was_put_right() -> None:
    """Two words for one, and one for two."""
    ((one,),) = [translate("one two|three", terms=[("one", "DIE EINS"), ("three", "3")])]
    assert one.plain_text == "DIE EINS zwei 3"
    assert one.links.pairs() == [(0, 0), (0, 1), (1, 2), (2, 3)]
    assert [(note.line, note.kind, note.text) for note in one.notes] == [
        (5, "replaced", "DIE EINS"),
        (5, "replaced", "3"),
    ]
    ((one,),) = [translate("one two|three", terms=[("one two", "BEIDE")])]
    assert (one.plain_text, one.links.pairs()) == ("BEIDE drei", [(0, 0), (1, 0), (2, 1)])


def test_what_needs_no_translation_is_left_alone() -> None:
    for raw, markup in (("", "xml"), (" <br/> ", "xml"), ("<code>three</code>", "html"), ("%s", "placeholders")):
        (one,) = translate(raw, markup=markup)
        assert (one.text, one.pieces, len(one.links), one.score) == (raw, [], 0, 0.0)
    (one,) = translate("<b> <i/>", on_error="drop-tags")
    assert (one.text, [note.kind for note in one.notes]) == (" ", ["error", "repaired"])


def test_one_sentence_that_is_too_long_leaves_the_whole_without_translation() -> None:
    assert translate("one two|unknown") == []
