"""Random well-formed markup with random links: whatever the links say, the rules hold."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_guided_align.markup.carrying import carried
from fairseq_guided_align.markup.kinds import markup_of

WORDS = ["Haus", "der", "1,000.5", "don't", "&amp;", "(x)", "«Ja»", "Ende.", "&#8364;", "a&lt;b", "日本", ",", '"']
SPACES = st.sampled_from(["", " ", " ", " ", "  ", "\t"])


@st.composite
def content(draw: st.DrawFn, depth: int = 3) -> str:
    """The content of an element; its tags still have no number."""
    parts = []
    for kind in draw(st.lists(st.integers(0, 9), max_size=5)):
        if kind < 5 or not depth:
            part = " ".join(draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=3)))
        elif kind == 5:
            part = "<x {}/>"
        elif kind == 6:
            part = draw(st.sampled_from(["<!--{}-->", "<?p {}?>", "<b {}></b>", "<br {}/>"]))
        else:
            name = draw(st.sampled_from(["b", "i", "li", "n:p"]))
            part = f"<{name} {{}}>{draw(content(depth - 1))}</{name}>"
        parts += [part, draw(SPACES)]
    return "".join(parts)


@st.composite
def segments(draw: st.DrawFn) -> tuple[str, str, list[tuple[int, int, float]]]:
    raw = draw(content())
    number = iter(range(1000))
    source = re.sub(r"\{\}", lambda _: f'n="{next(number)}"', raw)
    # Comments and instructions carry the number as text.
    target = draw(SPACES).join(draw(st.lists(st.sampled_from([*WORDS, "<", "&", "a  b"]), max_size=8)))
    target = draw(st.sampled_from(["", " "])) + target.replace("&amp;", "&")
    source_words = len(markup_of("xml").read(source).text.split())
    target_words = len(target.split())
    link = st.tuples(
        st.integers(0, max(0, source_words - 1)),
        st.integers(0, max(0, target_words - 1)),
        st.sampled_from([1.0, 1.0, 0.5, 0.01]),
    )
    links = draw(st.lists(link, max_size=12)) if source_words and target_words else []
    return source, target, links


TAG = re.compile(r"<!--.*?-->|<\?.*?\?>|<[^>]*>")


def tags_and_ancestors(text: str) -> dict[str, list[tuple[str, ...]]]:
    """Each tag, as it is written, with the start tags of the elements that it stands in, at each of its places."""
    found: dict[str, list[tuple[str, ...]]] = {}
    still_open: list[str] = []
    for tag in TAG.findall(text):
        if tag.startswith("</"):
            opened = still_open.pop()
            found.setdefault(f"{opened} closed", []).append(tuple(still_open))
            continue
        found.setdefault(tag, []).append(tuple(still_open))
        if not tag.startswith(("<!", "<?")) and not tag.endswith("/>"):
            still_open.append(tag)
    return found


def escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def without_spaces(text: str) -> str:
    return re.sub(r"\s", "", text)


def check_spaces(source: str, target: str, output: str) -> None:
    """White space differs from the translation's only beside tags, and as the source allows it."""
    tag_or_character = re.compile(TAG.pattern + r"|.", re.DOTALL)
    expected = list(escaped(target))
    # Both texts are walked together; `run` holds the tags and white space between two characters.
    i, run = 0, ""
    for token in [*tag_or_character.findall(output), None]:
        if token is not None and (TAG.fullmatch(token) or token.isspace()):
            run += token
            continue
        space = ""
        while i < len(expected) and expected[i].isspace():
            space += expected[i]
            i += 1
        written = TAG.sub("", run)
        tags = TAG.findall(run)
        if written != space:
            assert tags, (run, space)
            if len(written) < len(space) or (space and not written):
                # Removed: only where tags alone kept words apart.
                assert written == ""
                assert re.search(r"\S(<[^>]*>)+\S", source), (run, space)
            else:
                assert any(spaced_on_both_sides(source, tag) for tag in tags), (run, space, source)
        if token is not None:
            assert token == expected[i]
            i += 1
        run = ""
    assert i == len(expected)


def spaced_on_both_sides(source: str, tag: str) -> bool:
    """Whether white space, or an end of the segment, stands on both sides of one of the tag's occurrences."""
    padded = f" {source} "
    return any(
        re.search(r"\s(?:<[^>]*>)*$", padded[: match.start()]) and re.match(r"(?:<[^>]*>)*\s", padded[match.end() :])
        for match in re.finditer(re.escape(tag), padded)
    )


@settings(max_examples=400, deadline=None)
@given(segments(), st.sampled_from(["keep", "split"]), st.sampled_from(["inside", "outside"]))
def test_rules_hold(segment: tuple[str, str, list[tuple[int, int, float]]], pairs: str, quotes: str) -> None:
    source, target, links = segment
    markup = markup_of("xml")
    output = carried(markup.read(source), target, links, markup, pairs=pairs, quotes=quotes).text
    ET.fromstring(f'<root xmlns:n="n">{output}</root>')
    before, after = tags_and_ancestors(source), tags_and_ancestors(output)
    assert before.keys() == after.keys()
    for tag, ancestors in after.items():
        assert set(ancestors) == set(before[tag])
        if pairs == "keep":
            assert ancestors == before[tag]
    assert without_spaces(TAG.sub("", output)) == without_spaces(escaped(target))
    check_spaces(source, target, output)
