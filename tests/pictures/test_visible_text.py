"""Characters that nobody sees, or that file formats refuse, in pictures and on the page."""

from __future__ import annotations

import html.parser
import json
import re
import sys
import unicodedata
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairseq_guided_align.cli.main import main
from fairseq_guided_align.links.link import SentenceLinks
from fairseq_guided_align.pictures.page import PageData, page_html, view
from fairseq_guided_align.pictures.visible_text import LONGEST_LABEL, label_of, visible, visible_lines

FORMLESS = ("Cc", "Cf", "Cs", "Zl", "Zp")
EVERY = [chr(code) for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) in FORMLESS[:2]]
"""Every control and format character."""
SOME = [*map(chr, (0x2028, 0x2029, 0xD800, 0xDBFF, 0xDC00, 0xDCFF, 0xDFFF, 0x0378, 0xFDD0, 0xFFFE, 0xFFFF, 0x1FFFE,
                   0x2FE0, 0x10FFFF, 0xE000, 0xF8FF, 0xF0000, 0x10FFFD))]  # fmt: skip
"""Separators, halves of characters, unassigned and private ones."""
TOKENS = [text for character in [*EVERY, *SOME] for text in (character, f"a{character}b")]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ha\u200bus", r"ha\u200bus"),
        ("\ufeffword", r"\ufeffword"),
        ("\x00\x1f\x7f\x85\xad", r"\x00\x1f\x7f\x85\xad"),
        ("x\U000e0041\U0010ffff", r"x\U000e0041\U0010ffff"),
        ("caf\udce9 \ue000", r"caf\udce9 \ue000"),
        ("two\nlines\u2028more", r"two\x0alines\u2028more"),
        # What has a form, or gives one, stays.
        ("\u00a0 e\u0301", "\u00a0 e\u0301"),
        ("\u0600\u0661 \u06dd", "\u0600\u0661 \u06dd"),
        ("می\u200cخواهم 👩\u200d💻", "می\u200cخواهم 👩\u200d💻"),
        # A joiner that joins nothing is not seen.
        ("\u200dx\u200c", r"\u200dx\u200c"),
    ],
)
def test_what_is_shown(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_line_feeds_of_titles_stay() -> None:
    assert visible_lines("one\ntwo\t") == "one\ntwo\\x09"


@given(st.text(st.characters()))
def test_what_is_shown_can_be_printed_and_read_back(text: str) -> None:
    shown = visible(text)
    shown.encode()
    assert not [c for c in shown if unicodedata.category(c) in ("Cc", "Cn", "Co", "Cs", "Zl", "Zp")]
    read = re.sub(
        r"\\x([0-9a-f]{2})|\\u([0-9a-f]{4})|\\U([0-9a-f]{8})", lambda found: chr(int(found[0][2:], 16)), shown
    )
    if "\\" not in text:
        assert read == text


@pytest.mark.filterwarnings("ignore:no installed font has")
def test_pictures_hold_every_character(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="pictures need matplotlib: pip install matplotlib")
    from fairseq_guided_align.pictures.plots import Panel, attention_figure, save_figure

    for start in range(0, len(TOKENS), 48):
        tokens = TOKENS[start : start + 48]
        matrix = np.full((len(tokens), len(tokens)), 1 / len(tokens))
        some = tokens[1]
        figure = attention_figure([Panel(matrix, some)], tokens, tokens, title=some, source_name=some)
        assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [
            visible(unicodedata.normalize("NFC", token)) for token in tokens
        ]
        for suffix in ("png", "svg", "pdf"):
            save_figure(figure, tmp_path / f"picture.{suffix}", dpi=20)
        ElementTree.parse(tmp_path / "picture.svg")


def test_long_tokens_are_cut_between_characters() -> None:
    assert label_of("a" * LONGEST_LABEL) == "a" * LONGEST_LABEL
    assert label_of("a" * (LONGEST_LABEL + 1)) == "a" * (LONGEST_LABEL - 1) + "…"
    assert label_of("\u200b" * 4) == r"\u200b" * 4
    assert label_of("\u200b" * 5) == r"\u200b" * 3 + "…"


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_names_of_runs_hold_every_character(tmp_path: Path, suffix: str) -> None:
    """Those that a command line can give: all but the null character."""
    pytest.importorskip("matplotlib", reason="curves need matplotlib: pip install matplotlib")
    log = "".join(f"train_inner | epoch 001: {n} / 3 ppl={n}, num_updates={n}\n" for n in range(1, 4))
    (tmp_path / "log").write_text(log)
    name = "".join([*EVERY, *SOME]).replace("\0", "").replace("=", "")
    names = [name[start : start + 40] for start in range(0, len(name), 40)]
    out = tmp_path / f"curves.{suffix}"
    logs = [f"{one}={tmp_path / 'log'}" for one in names]
    assert main(["curves", *logs, "--metric", "ppl", "--out", str(out), "--title", names[0]]) == 0
    if suffix == "svg":
        ElementTree.parse(out)


class PageText(html.parser.HTMLParser):
    """Title and data of a page, as an HTML parser has them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: dict[str, str] = {}
        self._inside = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = dict(attrs).get("id") or tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        self.texts[self._inside] = self.texts.get(self._inside, "") + data


def test_the_page_holds_every_character() -> None:
    links = SentenceLinks.from_pairs([(0, 0)])
    name = "".join(SOME)
    data: PageData = {
        "title": name,
        "source": name,
        "target": name,
        "systems": [name],
        "pairs": [{"id": "1", "words": view(TOKENS, TOKENS, links, [(links, None)]), "pieces": None}],
    }
    page = page_html(data)
    page.encode()
    # Controls are errors in HTML, but for the line feeds of its own text.
    assert not [c for c in page if unicodedata.category(c) in FORMLESS and c not in "\n\u0600\u0601\u0602\u0603\u0604"
                "\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd" and c not in "\u200c\u200d"]  # fmt: skip
    parsed = PageText(page)
    assert parsed.texts["title"] == visible(name)
    read = json.loads(parsed.texts["data"])
    assert read["pairs"][0]["words"]["source"] == [visible(token) for token in TOKENS]
    assert read["systems"] == [read["title"]] == [visible(name)]
