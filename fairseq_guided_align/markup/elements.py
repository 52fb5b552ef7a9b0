"""The nesting of a segment's tags, over the units of its text."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field

from fairseq_guided_align.markup.tagged_text import ISOLATED, OPEN, TaggedText
from fairseq_guided_align.markup.units import Units, first_unit_after


@dataclass
class Element:
    """A pair of tags with text between them, or tags that stand between units: isolated ones, pairs without text.

    :param first: the position of the first tag in the segment.
    :param last: that of the last tag; ``first`` for an isolated one.
    :param start: the first unit inside, or the unit that it stands before.
    :param stop: the unit after the last one inside; ``start`` where there is no text.
    :param children: what stands inside, in order; empty where there is no text.
    :param inside_words: whether it starts inside a word, and whether it stops inside one.
    :param breaks: whether the text is parted where it starts, and where it stops: by a block or line, or because tags
        alone keep two words apart.
    """

    first: int
    last: int
    start: int
    stop: int
    children: list[Element] = field(default_factory=list)
    breaks: tuple[bool, bool] = (False, False)
    inside_words: tuple[bool, bool] = (False, False)

    @property
    def is_span(self) -> bool:
        return self.start < self.stop


def elements_of(tagged: TaggedText, units: Units) -> list[Element]:
    """The outermost elements of a segment, in order. A unit that a pair covers in part is inside it."""
    outermost: list[Element] = []
    above: list[Element] = []
    siblings = outermost
    skip_to = -1
    added, parting = set(tagged.added_spaces), set(tagged.breaks)

    def breaks(position: int) -> bool:
        return position in parting or tagged.tags[position].place in added

    for position, tag in enumerate(tagged.tags):
        if position <= skip_to:
            continue
        if tag.role == OPEN:
            last = tag.partner if tag.partner is not None else position
            start = first_unit_after(units, tag.place)
            end = tagged.tags[last].place
            stop = bisect_left(units.starts, end)
            words = _inside_word(tag.place, start, units), _inside_word(end, first_unit_after(units, end), units)
            element = Element(position, last, start, max(start, stop), [], (breaks(position), breaks(last)), words)
            siblings.append(element)
            if element.is_span:
                above.append(element)
                siblings = element.children
            else:
                skip_to = last
        elif tag.role == ISOLATED:
            unit = first_unit_after(units, tag.place)
            both = breaks(position), _inside_word(tag.place, unit, units)
            siblings.append(Element(position, position, unit, unit, [], (both[0], both[0]), (both[1], both[1])))
        else:
            above.pop()
            siblings = above[-1].children if above else outermost
    return outermost


def _inside_word(place: int, unit: int, units: Units) -> bool:
    """Whether a character stands inside a word, be it cut into pieces or not.

    :param unit: the first that does not end before it.
    """
    return unit < len(units) and (units.starts[unit] < place or (units.starts[unit] == place and unit in units.inner))
