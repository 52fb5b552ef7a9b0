"""Tagged text taken apart: tags as they were written, and where they stood."""

from __future__ import annotations

import html
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fairseq_guided_align.errors import GuidedAlignError, MarkupError
from fairseq_guided_align.markup.kinds import markup_of
from fairseq_guided_align.markup.tagged_text import TaggedText


def put_together(tagged: TaggedText) -> str:
    """The segment again, its text escaped."""
    parts, done = [], 0
    for tag in tagged.tags:
        text = "".join(c for i, c in enumerate(tagged.text[done : tag.place], done) if i not in tagged.added_spaces)
        parts += [html.escape(text, quote=False), tag.raw]
        done = tag.place
    text = "".join(c for i, c in enumerate(tagged.text[done:], done) if i not in tagged.added_spaces)
    return "".join([*parts, html.escape(text, quote=False)])


def pairs(tagged: TaggedText) -> list[tuple[str, str]]:
    return [(tag.raw, tagged.tags[tag.partner].raw) for tag in tagged.tags if tag.role == "open" and tag.partner]


def alone(tagged: TaggedText) -> list[str]:
    return [tag.raw for tag in tagged.tags if tag.role == "isolated"]


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        ("xml", "a <b x='1>2' y=\"'\" >c</b > <br /><!-- <b> --><?php <b> ?> d &amp; e"),
        ("xml", "<un:known a='b'>x</un:known><emptied></emptied>\n<b\n/>"),
        ("html", "<P CLASS=x>one<BR>two <IMG SRC=a.png ALT='>'> &amp; <!-- c --><b>x</B></P>"),
        ("html", "<ul><li>one<li>two <b>three</ul> a &lt; b"),
        ("xliff", 'a <g id="1">b</g><x id="2"/> <bpt id="3">&lt;b&gt;</bpt>c<ept id="3">&lt;/b&gt;</ept>'),
        ("xliff", '<pc id="1">x</pc> <ph id="2" disp="&lt;br/&gt;"/><sc id="3"/>y<ec startRef="3"/>'),
    ],
)
def test_segments_come_out_as_they_went_in(kind: str, raw: str) -> None:
    assert put_together(markup_of(kind).read(raw)) == raw


def test_xml_against_another_parser() -> None:
    raw = "a<b x='1'>c &#8364; &lt;<i/>d</b><![CDATA[ <e> & ]]><!-- no -->f"
    tagged = markup_of("xml").read(raw)
    assert tagged.text == "".join(ET.fromstring(f"<r>{raw}</r>").itertext())
    assert pairs(tagged) == [("<b x='1'>", "</b>")]
    assert alone(tagged) == ["<i/>", "<!-- no -->"]


class _Text(HTMLParser):
    def __init__(self, raw: str) -> None:
        super().__init__()
        self.text = ""
        self.feed(raw)
        self.close()

    def handle_data(self, data: str) -> None:
        self.text += data


BITS = ["<b>", "</b>", "<i x=1>", "</i>", "<p>", "<br>", "<li>", "<!-- -->", "</", "<", ">", "&amp;", "&copy", "&#x41;"]


@settings(max_examples=300, deadline=None)
@example("<b>&a")
@example("&a")
@given(st.lists(st.sampled_from([*BITS, "&", "a", "é", " ", "\n", '"'])).map("".join))
def test_any_html_is_read(raw: str) -> None:
    """The text is what Python's parser has, tags nest, and nothing is lost."""
    tagged = markup_of("html").read(raw)
    without = "".join(c for i, c in enumerate(tagged.text) if i not in tagged.added_spaces)
    assert without == _Text(raw).text
    tags = "".join(tag.raw for tag in tagged.tags)
    assert re.sub(r"[^<>/bi=1xplr!-]|\s", "", tags) in re.sub(r"\s", "", raw) or len(tags) <= len(raw)
    still_open = []
    for position, tag in enumerate(tagged.tags):
        if tag.role == "open":
            still_open.append(position)
        elif tag.role == "close":
            assert still_open.pop() == tag.partner
    assert not still_open


@pytest.mark.parametrize(
    ("kind", "raw", "line", "column", "reason"),
    [
        ("xml", "a <b>c", 1, 3, "<b> is not closed"),
        ("xml", "a</b> c", 1, 2, "</b> closes a tag that was not opened"),
        ("xml", "<b><i>x</b></i>", 1, 8, "</b> stands where <i> is to be closed"),
        ("xml", "one\ntwo &nbsp;", 2, 5, "the entity &nbsp; is unknown"),
        ("xml", "one\n  & two", 2, 3, "is neither a tag nor an entity"),
        ("xml", "2 < 3", 1, 3, "is neither a tag nor an entity"),
        ("xml", "<b a='1' a='2'/>", 1, 10, "duplicate attribute"),
        ("xml", "<b a=1>x</b>", 1, 6, "not well-formed"),
        ("xml", "<!DOCTYPE r [<!ENTITY e 'x'>]>", 1, 1, "is neither a tag nor an entity"),
        ("xml", "a \x01", 1, 3, "invalid token"),
        ("xliff", '<bpt id="1">x</bpt>a', 1, 1, "has no ept of the same id"),
        ("xliff", 'a<ex id="1"/>', 1, 2, "has no bx of the same id"),
        ("xliff", 'a<ec id="7" startRef="1"/>', 1, 2, "has no sc of the same id"),
    ],
)
def test_broken_markup(kind: str, raw: str, line: int, column: int, reason: str) -> None:
    with pytest.raises(MarkupError) as raised:
        markup_of(kind).read(raw)
    assert (raised.value.line, raised.value.column) == (line, column)
    assert reason in raised.value.reason
    lenient = markup_of(kind).read(raw, lenient=True)
    assert all(tag.raw in raw for tag in lenient.tags)


def test_words_are_not_glued() -> None:
    for kind, raw, text in [
        ("xml", "<li>one</li><li>two</li>", "one two"),
        ("xml", "<i>one</i> <i>two</i>", "one two"),
        ("xml", "un<b>like</b>ly", "unlikely"),
        ("xml", "one<br/>two", "one two"),
        ("html", "one<br>two<p>three", "one two three"),
        ("html", "un<b>like</b><i>ly</i>", "unlikely"),
        ("xliff", 'one<x id="1" ctype="lb"/>two<x id="2"/>x', "one twox"),
    ]:
        assert markup_of(kind).read(raw).text == text


def test_html_as_browsers_read_it() -> None:
    tagged = markup_of("html").read("<p>a<p>b <i>c</b></p>")
    assert pairs(tagged) == [("<p>", ""), ("<p>", "</p>"), ("<i>", "")]
    assert alone(tagged) == ["</b>"]
    assert tagged.repaired == 2
    table = markup_of("html").read("<table><tr><td>a<td>b<tr><th>c</table>")
    assert [opened for opened, closed in pairs(table) if not closed] == ["<tr>", "<td>", "<td>", "<tr>", "<th>"]
    assert table.repaired == 0
    script = markup_of("html").read("a <script>if (a < b) { '<b>' }</script> b")
    assert alone(script) == ["<script>if (a < b) { '<b>' }</script>"]


def test_protected_text() -> None:
    def protected(kinds: str, raw: str, *patterns: str) -> list[str]:
        tagged = markup_of(kinds, patterns).read(raw)
        return [tagged.text[start:stop] for start, stop in tagged.protected]

    assert protected("html", "Run <code>a b</code> <span translate=no>X <b translate=yes>y</b></span>") == ["a b", "X "]
    assert protected("xliff", '<mrk id="1" translate="no">X</mrk> <mrk mtype="protected">Y</mrk>') == ["X", "Y"]
    assert protected("placeholders=printf", "%1$s of %d, 100% sure, %5.2f%%") == ["%1$s", "%d", "%5.2f", "%%"]
    assert protected("placeholders=python", "%(a)s {b!r:>3} ${c} {0} {{x}}") == ["%(a)s", "{b!r:>3}", "${c}", "{0}"]
    assert protected("placeholders=icu", "{a} {b, number} {n, plural, one {x y}}") == ["{a}", "{b, number}"]
    assert protected("html,placeholders=printf", "<b>%s</b> @x@", "@[a-z]+@") == ["%s", "@x@"]
    assert protected("xml", "<b>%s</b> @x@", "@[a-z]+@") == ["@x@"]


def test_crossing_pairs_of_xliff() -> None:
    tagged = markup_of("xliff").read('<sc id="1"/>a<sc id="2"/>b<ec startRef="1"/>c<ec startRef="2"/>')
    assert pairs(tagged) == [('<sc id="1"/>', '<ec startRef="1"/>')]
    assert alone(tagged) == ['<sc id="2"/>', '<ec startRef="2"/>']


@pytest.mark.parametrize("kinds", ["sgml", "xml,html", "placeholders=x", "xml=2", ""])
def test_unknown_kinds(kinds: str) -> None:
    with pytest.raises(GuidedAlignError):
        markup_of(kinds)


@pytest.mark.parametrize("pattern", ["(", "a*"])
def test_patterns_that_are_none(pattern: str) -> None:
    with pytest.raises(GuidedAlignError, match="regular expression"):
        markup_of("xml", [pattern])
