"""Ways of putting tags back, in one form: from a message with links to the tagged translation."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.tags.corpus import LinkedMessage
from benchmarks.tags.likely_spans import likely_span
from benchmarks.tags.tagged import MARKUP
from fairseq_guided_align.markup.carrying import DEFAULT_SPANS, KEEP_PAIRS, SPLIT_PAIRS, carried
from fairseq_guided_align.markup.edges import INSIDE, OUTSIDE
from fairseq_guided_align.markup.linked_sentence import LinkedSentence
from fairseq_guided_align.markup.spans import SPANS, hull
from fairseq_guided_align.markup.tagged_text import CLOSE, OPEN

Candidate = Callable[[LinkedMessage], str]


def plain_hull(message: LinkedMessage) -> str:
    """The hull and nothing else: no punctuation as in the source, no anchors, no order of siblings, no breaks.

    An isolated tag, and a pair without a link, stands before the next linked word, or else at the end; as Moses' m4loc
    does. White space stays outside; a space that the source has not is taken out again beside such a tag.
    """
    source, target = message.tagged.source, message.tagged.target.text
    words = message.target_words
    pieces: list[tuple[int, int, str, bool]] = []
    for position, tag in enumerate(source.tags):
        first = sum(stop <= tag.place for _, stop in message.source_words)
        if tag.role == CLOSE:
            continue
        closing = source.tags[tag.partner] if tag.partner is not None else tag
        last = sum(start < closing.place for start, _ in message.source_words)
        linked = [other for unit, other, _ in message.links if first <= unit < last]
        if tag.role == OPEN and linked:
            pieces.append((words[min(linked)][0], position, tag.raw, tag.place in source.added_spaces))
            pieces.append((words[max(linked)][1], -position - 1, closing.raw, False))
            continue
        following = [other for unit, other, _ in message.links if unit >= first]
        place = words[min(following)][0] if following else len(target)
        raws = tag.raw if tag.role != OPEN else tag.raw + closing.raw
        pieces.append((place, position, raws, tag.place in source.added_spaces))
    text, end = "", 0
    for place, _, raw, glued in sorted(pieces):
        before = target[end:place]
        text += MARKUP.written(before.rstrip() if glued else before) + raw
        end = place
    return text + MARKUP.written(target[end:])


def most_links(inside: range, sentence: LinkedSentence) -> range | None:
    """The span with most links inside-inside and outside-outside; of several, the one nearest to the hull.

    Zenkel, Wuebker and DeNero 2021, section 3.2.
    """
    around = hull(inside, sentence)
    if around is None:
        return None
    balance = [0.0] * len(sentence.target)
    for source, target, weight in sentence.links:
        balance[target] += weight if source in inside else -weight
    best, found = (float("-inf"), 0), around
    for start in range(len(balance)):
        total = 0.0
        for stop in range(start + 1, len(balance) + 1):
            total += balance[stop - 1]
            score = (total, -abs(start - around.start) - abs(stop - around.stop))
            if score > best:
                best, found = score, range(start, stop)
    return found


SPANS["most-links"] = most_links
SPANS["likely"] = likely_span


def _carrying(spans: str, pairs: str = KEEP_PAIRS, quotes: str = INSIDE) -> Candidate:
    def candidate(message: LinkedMessage) -> str:
        return carried(
            message.tagged.source,
            message.tagged.target.text,
            message.links,
            MARKUP,
            message.source_words,
            message.target_words,
            pairs,
            quotes,
            spans,
        ).text

    return candidate


DEFAULT = "default"
CANDIDATES: dict[str, Candidate] = {
    "hull alone": plain_hull,
    "tags copied along links": _carrying("hull", SPLIT_PAIRS),
    "hull, our rules": _carrying("hull"),
    "most links, our rules": _carrying("most-links"),
    "likeliest span, our rules": _carrying("likely"),
    "default, quotes outside": _carrying(DEFAULT_SPANS, quotes=OUTSIDE),
    DEFAULT: _carrying(DEFAULT_SPANS),
}
