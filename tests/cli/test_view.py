"""The `view` subcommand: which files become which links, at both levels, and its messages."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from fairseq_guided_align.cli.main import main

FILES = {
    "src": "the big house\nyes\n\n",
    "tgt": "das Großhaus\nja doch\n\n",
    "src.sp": "▁the ▁big ▁hou se\n▁yes\n\n",
    "tgt.sp": "▁das ▁Groß haus\n▁ja ▁doch\n\n",
    "gold": "0-0 1-1 2?1\n0-0\n\n",
    "a": "0-0 1-1\n0-0 0-1\n\n",
    "a.soft": "0-0:0.9 1-1:0.4 2-1:0.35\n0-0:0.6\n\n",
    "b.pieces": "0-0 1-1 2-2 3-2\n0-0\n\n",
    "weighted": "0-0:0.5\n0-0\n\n",
}
TEXT = ["--source", "src", "--target", "tgt"]
PIECES = ["--source-pieces", "src.sp", "--target-pieces", "tgt.sp"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def written(folder: Path, *arguments: str) -> dict:
    assert main(["view", *TEXT, *arguments, "--out", "page.html"]) == 0
    page = (folder / "page.html").read_text(encoding="utf-8")
    found = re.search(r'id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def test_words(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = written(folder, "--gold", "gold", "--links", "a=a", "--soft", "a=a.soft", "--title", "T")
    assert (data["title"], data["systems"], [pair["id"] for pair in data["pairs"]]) == ("T", ["a"], ["1", "2", "3"])
    first = data["pairs"][0]
    assert first["pieces"] is None
    assert first["words"]["source"] == ["the", "big", "house"]
    assert first["words"]["gold"] == [0, 0, 1, 1, 1, 1, 2, 1, 0]
    assert first["words"]["systems"] == [
        {"hard": [0, 0, 1, 1], "soft": [0, 0, 0.9, 1, 1, 0.4, 2, 1, 0.35], "counts": [2, 2, 3, 2, 2]}
    ]
    assert data["pairs"][2]["words"]["source"] == []
    out = capsys.readouterr().out
    assert re.fullmatch(r"wrote page.html: 3 sentence pairs, links of a, \d\.\d MB\n", out)


def test_pieces_and_words_from_each_other(folder: Path) -> None:
    data = written(folder, "--gold", "gold", "--links", "a=a", "--piece-links", "b=b.pieces", *PIECES)
    assert data["systems"] == ["a", "b"]
    first = data["pairs"][0]
    # Word links on all pieces of their words; possible stays possible.
    assert first["pieces"]["gold"] == [0, 0, 1, 1, 1, 1, 2, 1, 0, 3, 1, 0, 1, 2, 1, 2, 2, 0, 3, 2, 0]
    assert first["pieces"]["systems"][0]["hard"] == [0, 0, 1, 1, 1, 2]
    assert first["pieces"]["systems"][1]["hard"] == [0, 0, 1, 1, 2, 2, 3, 2]
    assert first["words"]["systems"][1]["hard"] == [0, 0, 1, 1, 2, 1]


def test_weighted_links_are_soft_links_too(folder: Path) -> None:
    system = written(folder, "--links", "w=weighted")["pairs"][0]["words"]["systems"][0]
    assert (system["hard"], system["soft"], system["counts"]) == ([0, 0], [0, 0, 0.5], None)


def test_a_no_break_space_does_not_end_a_word(folder: Path) -> None:
    (folder / "src").write_text("the\u00a0big house\nyes\n\n", encoding="utf-8")
    assert written(folder, "--links", "w=weighted")["pairs"][0]["words"]["source"] == ["the\u00a0big", "house"]


def test_the_limit_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(written(folder, "--links", "a=a", "--limit", "2")["pairs"]) == 2
    assert "2 sentence pairs (the first of 3; --limit shows more)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "expected links to show"),
        (["--links", "a"], "--links: expected NAME=FILE, each name once, such as guided=guided.align; got 'a'"),
        (["--links", "a=a", "--links", "a=a"], "each name once, such as guided=guided.align; got 'a=a'"),
        (["--links", "a=short"], "src has 3, short has 1"),
        (["--links", "a=b.pieces"], "b.pieces:1: expected links within 3 source and 2 target tokens; got 2-2"),
        (["--piece-links", "b=b.pieces"], "need --source-pieces and --target-pieces"),
        (["--links", "a=a", "--source-pieces", "src.sp"], "expected both --source-pieces and --target-pieces"),
        (
            ["--links", "a=a", *PIECES, "--subwords", "bpe"],
            "src.sp:1: expected pieces of 3 words, as in the text; expected pieces that spell the words; they differ",
        ),
        (["--links", "a=a", "--limit", "0"], "--limit of at least 1; got 0"),
        (["--soft", "a=heavy"], "probabilities, at most 1; got 3"),
    ],
)
def test_errors(folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    (folder / "short").write_text("0-0\n")
    (folder / "heavy").write_text("0-0:3\n\n\n")
    assert main(["view", *TEXT, *arguments, "--out", "page.html"]) == 2
    assert message in capsys.readouterr().err
    assert not (folder / "page.html").exists()
