"""The page as text: its data survives whatever the sentences hold, and nothing in it reaches for the network."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairseq_guided_align.errors import AlignmentRangeError, GuidedAlignError
from fairseq_guided_align.links.link import SentenceLinks
from fairseq_guided_align.pictures.page import PageData, page_html, system_view, view
from fairseq_guided_align.pictures.visible_text import visible


def data_of(page: str) -> dict:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def page_data(source: list[str], target: list[str], title: str = "Title") -> PageData:
    links = SentenceLinks.from_pairs([(0, 0)])
    return {
        "title": title,
        "source": "grc",
        "target": "en",
        "systems": ["one"],
        "pairs": [{"id": "1", "words": view(source, target, links, [(links, None)]), "pieces": None}],
    }


HOSTILE = [
    "</script><script>alert(1)</script>",
    "<!-- <script>",
    "{{css}} {{data}} {{title}}",
    "&lt;b&gt; & \"quotes\" 'too'",
    "\\u003c \u2028 \u2029 \x07",
    "Ἰησοῦ 北京 كتاب 😀",
]


@given(st.lists(st.text(st.characters(exclude_categories=("Cs",))), min_size=1, max_size=4))
def test_any_text_survives(tokens: list[str]) -> None:
    data = page_data(tokens, tokens[::-1])
    assert data_of(page_html(data)) == data


def test_hostile_text_survives_and_stays_text() -> None:
    for text in HOSTILE:
        data = page_data([text], [text], title=text)
        page = page_html(data)
        assert data_of(page) == {**data, "title": visible(text)}
        assert page.count("<script") == page_html(page_data(["a"], ["b"])).count("<script") == 2
        title = re.search(r"<title>(.*?)</title>", page, re.DOTALL)
        assert title is not None
        assert "<" not in title[1]


def test_nothing_reaches_for_the_network() -> None:
    page = page_html(page_data(["a"], ["b"]))
    addresses = set(re.findall(r"(?:https?:)?//[\w.]+", page))
    assert {a for a in addresses if "." in a} == {"http://www.w3.org"}  # SVG's name, which nobody fetches
    assert not re.search(r"@import|url\(|<img|<iframe|src=", page)
    assert "default-src 'none'" in page
    assert "{{" not in page


def test_a_view_by_hand() -> None:
    gold = SentenceLinks.from_pairs([(0, 0), (1, 1), (2, 1)], sure=[True, True, False])
    hard = SentenceLinks.from_pairs([(0, 0), (2, 1), (0, 1)])
    soft = SentenceLinks.from_pairs([(0, 0), (1, 1)], weights=[0.91239, 0.05])
    assert view(["a", "b", "c"], ["x", "y"], gold, [(hard, soft), (None, None)]) == {
        "source": ["a", "b", "c"],
        "target": ["x", "y"],
        "gold": [0, 0, 1, 1, 1, 1, 2, 1, 0],
        "systems": [
            {"hard": [0, 0, 0, 1, 2, 1], "soft": [0, 0, 0.912, 1, 1, 0.05], "counts": [3, 2, 3, 1, 2]},
            {"hard": None, "soft": None, "counts": None},
        ],
    }
    without_gold = view(["a"], ["x"], None, [(SentenceLinks.from_pairs([(0, 0)]), None)])
    assert without_gold["gold"] is None
    assert without_gold["systems"][0]["counts"] is None


def test_errors() -> None:
    links = SentenceLinks.from_pairs([(0, 0), (3, 1)])
    with pytest.raises(AlignmentRangeError, match="within 3 source and 2 target tokens; got 3-1"):
        view(["a", "b", "c"], ["x", "y"], None, [(links, None)])
    with pytest.raises(GuidedAlignError, match="probabilities, at most 1; got 2"):
        system_view(None, SentenceLinks.from_pairs([(0, 0)], weights=[2.0]), None)
    data = page_data(["a"], ["b"])
    data["systems"].append("two")
    with pytest.raises(GuidedAlignError, match="links of 2 systems in pair 1; got 1"):
        page_html(data)
    data["pairs"] = []
    with pytest.raises(GuidedAlignError, match="at least one sentence pair"):
        page_html(data)
