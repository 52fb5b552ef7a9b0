"""The tagged translation as text: tags among the translation's units, white space beside them as in the source."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from fairseq_guided_align.markup.placing import Placed
from fairseq_guided_align.markup.segment_pair import Span
from fairseq_guided_align.markup.tagged_text import CLOSE, ISOLATED, OPEN, TaggedText
from fairseq_guided_align.markup.units import Units, is_east_asian


class _Piece(NamedTuple):
    """Tags to be written at one gap.

    :param raw: the tags, and what white space stands between them.
    :param solid: the tags alone.
    :param role: of a pair's tag; isolated otherwise.
    :param before: whether white space, or the segment's start, came before them in the source.
    :param after: whether white space, or the segment's end, came after them in the source.
    :param loose: whether white space, not an end of the segment, stood on both sides.
    :param apart: whether, in the source, only tags separated the word before them from the word after them.
    :param last: index of the last of them among the source's tags.
    :param follows: index of the tag right before them in the source, with no white space between; -1: none.
    """

    gap: int
    raw: str
    solid: str
    role: str
    before: bool
    after: bool
    loose: bool
    apart: bool
    last: int
    follows: int


def written(placed: Sequence[Placed], source: TaggedText, target: Units, write_text: Callable[[str], str]) -> str:
    """The translation with its tags.

    :param placed: the outermost elements, in the order of the translation.
    :param write_text: writes plain text as the markup needs it.
    """
    pieces = list(_pieces(placed, (0, len(target)), source, write_text))
    text, starts, stops = target.text, [*target.starts, len(target.text)], [0, *target.stops]
    parts: list[str] = []
    done = position = 0
    while position < len(pieces):
        gap = pieces[position].gap
        group = [pieces[position]]
        position += 1
        while position < len(pieces) and pieces[position].gap == gap:
            group.append(pieces[position])
            position += 1
        space_start, space_stop = stops[gap], starts[gap]
        parts.append(write_text(text[done:space_start]))
        parts += _written_group(
            group, text[space_start:space_stop], text[:space_start][-1:], text[space_stop : space_stop + 1]
        )
        done = space_stop
    parts.append(write_text(text[done:]))
    return "".join(parts)


def _pieces(
    placed: Sequence[Placed], part: Span, source: TaggedText, write_text: Callable[[str], str]
) -> Iterator[_Piece]:
    """All tags inside one part of the translation, from left to right."""
    inside = [(start, stop, one) for one in placed for start, stop in one.parts if part[0] <= start and stop <= part[1]]
    inside.sort(key=lambda entry: (entry[0], entry[1], entry[2].element.first))
    for start, stop, one in inside:
        first, last = one.element.first, one.element.last
        if one.element.is_span:
            yield _piece(source, first, first, OPEN, start, write_text)
            yield from _pieces(one.children, (start, stop), source, write_text)
            yield _piece(source, last, last, CLOSE, stop, write_text)
        else:
            yield _piece(source, first, last, ISOLATED, start, write_text)


def _piece(source: TaggedText, first: int, last: int, role: str, gap: int, write_text: Callable[[str], str]) -> _Piece:
    text, tags, added = source.text, source.tags, source.added_spaces
    start, stop = tags[first].place, tags[last].place
    raw = solid = tags[first].raw
    for position in range(first + 1, last + 1):
        solid += tags[position].raw
        raw += write_text(text[tags[position - 1].place : tags[position].place]) + tags[position].raw
    apart = stop in added
    space_before = start > 0 and text[start - 1].isspace()
    space_after = stop < len(text) and text[stop].isspace() and not apart
    before, after = space_before or start == 0, space_after or stop == len(text)
    follows = first - 1 if first and tags[first - 1].place == start else -1
    return _Piece(gap, raw, solid, role, before, after, space_before and space_after, apart, last, follows)


def _written_group(group: list[_Piece], space: str, previous: str, following: str) -> list[str]:
    """The tags of one gap, and the gap's white space among them.

    :param space: the white space.
    :param previous: the character of the translation before the gap; empty at the start.
    :param following: the character after it; empty at the end.
    """
    if space and _keep_apart(group):
        # The model was given a space that the source has not.
        space = ""
    parts: list[str] = []
    left = space
    tight, owed, last = bool(previous), False, -2
    for piece in group:
        if piece.follows == last:
            # No white space was between them in the source.
            tight = False
        last = piece.last
        # White space alone parts no words: it stays as the translation has it.
        has_space = bool(space) and bool(previous or following)
        raw = piece.raw if has_space else piece.solid
        may_add = bool(space) or piece.loose or bool(previous) != bool(following)
        if piece.before and piece.after:
            if tight and left:
                parts.append(left)
                left = ""
            elif tight and may_add and (not previous or _takes_space_after(previous)):
                parts.append(" ")
            owed = may_add
        elif piece.before or (not piece.after and piece.role != CLOSE):
            if has_space and len(piece.raw) > len(piece.solid) and not piece.before:
                # The white space between the tags is all that parts the words.
                left = ""
            elif left:
                parts.append(left)
                left = ""
            elif owed and tight:
                parts.append(" ")
            owed = False
        parts.append(raw)
        tight = True
    if left:
        parts.append(left)
    elif owed and following and (space or not previous or _takes_space_before(following)):
        parts.append(" ")
    return parts


def _keep_apart(group: list[_Piece]) -> bool:
    """Whether tags that alone kept two words apart in the source do so again."""
    roles = [piece.role for piece in group if piece.apart]
    return ISOLATED in roles or (OPEN in roles and CLOSE in roles)


def _takes_space_after(character: str) -> bool:
    return unicodedata.category(character) not in ("Ps", "Pi") and not is_east_asian(character)


def _takes_space_before(character: str) -> bool:
    category = unicodedata.category(character)
    return (category[0] != "P" or category == "Ps") and not is_east_asian(character)
