"""`check`: one report, and an exit code that says whether training would lose anything."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from fairseq_guided_align.cli.main import main


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    (tmp_path / "train.xx").write_text("a b c\nd e\n\nf\n", encoding="utf-8")
    (tmp_path / "train.yy").write_text("A B\nD E F\nG\nF F\n", encoding="utf-8")
    (tmp_path / "train.align").write_text("0-0 2-1:0.5\n1-2 1?0\n\n\n", encoding="utf-8")
    return tmp_path / "train"


def check(*arguments: object) -> int:
    return main(["check", *map(str, arguments)])


def test_a_good_corpus(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(corpus, "-s", "xx", "-t", "yy", "--json") == 0
    (report,) = json.loads(capsys.readouterr().out)
    expected = {
        "sentences": 4, "sentences_with_links": 2, "empty_sentences": 1, "links": 4, "possible": 1, "weighted": 1,
        "source_words": 6, "target_words": 8, "source_words_linked": 3, "target_words_linked": 4,
        "out_of_range": 0, "unreadable_lines": 0, "errors": 0, "problems": [],
        "out_of_range_if_inverted": 2, "at_position_zero": 2,
    }  # fmt: skip
    assert {name: report[name] for name in expected} == expected
    assert check(corpus, "-s", "xx", "-t", "yy") == 0
    out = capsys.readouterr().out
    assert "4 sentence pairs, 2 (50.0 %) with links, 1 with an empty side" in out
    assert "4 links: 3 sure, 1 possible, 1 with a weight" in out
    assert "3 (50.0 %) of 6 source tokens and 4 (50.0 %) of 8 target tokens linked" in out
    assert "no problems" in out


def test_a_pair_with_an_empty_side_counts_once(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus.with_suffix(".xx").write_text("a b c\n\n\nf\n")
    corpus.with_suffix(".yy").write_text("A B\n\nG\n\n")
    corpus.with_suffix(".align").write_text("0-0\n\n\n\n")
    assert check(corpus, "-s", "xx", "-t", "yy") == 0
    assert "with links, 3 with an empty side" in capsys.readouterr().out


def test_every_broken_line_is_counted_and_the_first_are_shown(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus.with_suffix(".align").write_text("0-0 2-1 3-0 0-2\n1-2 1:0\nx\n0-0\n")
    assert check(corpus, "-s", "xx", "-t", "yy", "--examples", "1") == 1
    out = capsys.readouterr().out
    assert "train.align:1: link 3-0 points outside the sentence pair of 3 source and 2 target words" in out
    assert "0-2 points" not in out
    assert "2 links point outside" in out
    assert "train.align:2: expected SOURCE-TARGET" in out
    assert "'x'" not in out
    assert "2 lines cannot be read" in out
    assert "  3 links: 3 sure" in out  # 0-0, 2-1 and the last line's
    assert "problems found" in out
    assert check(corpus, "-s", "xx", "-t", "yy", "--examples", "1", "--json") == 1
    (report,) = json.loads(capsys.readouterr().out)
    assert [problem.split(": ")[1][:8] for problem in report["problems"]] == ["expected", "link 3-0"]
    assert (report["out_of_range"], report["unreadable_lines"], report["weighted"]) == (2, 2, 0)


def test_other_numbers_of_lines(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus.with_suffix(".align").write_text("0-0\n")
    assert check(corpus, "-s", "xx", "-t", "yy") == 1
    out = capsys.readouterr().out
    assert "train.align has 1, " in out
    assert "train.xx has 4, " in out


def test_files_that_look_inverted_or_one_based(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "s").write_text("a b\n" * 20)
    (tmp_path / "t").write_text("a b c\n" * 20)
    texts = {"inverted": "0-0 2-1", "one-based": "1-1 2-3", "plain": "0-0 1-2", "either way": "0-0 1-1"}
    for name, text in texts.items():
        (tmp_path / name).write_text(f"{text}\n" * 20)
        code = check("--links", tmp_path / name, "--source", tmp_path / "s", "--target", tmp_path / "t")
        out = capsys.readouterr().out
        assert code == (1 if name in ("inverted", "one-based") else 0)
        assert ("are the links TARGET-SOURCE?" in out) == (name == "inverted")
        assert ("add --one-based; all links would be inside" in out) == (name == "one-based")
    one_based = ["--links", tmp_path / "one-based", "--source", tmp_path / "s", "--target", tmp_path / "t"]
    assert check(*one_based, "--one-based") == 0


def test_links_outside_are_named_as_the_file_counts(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus.with_suffix(".align").write_text("1-1 4-1\n\n\n\n")
    assert check(corpus, "-s", "xx", "-t", "yy", "--one-based", "--json") == 1
    (report,) = json.loads(capsys.readouterr().out)
    assert (report["out_of_range"], report["out_of_range_if_one_based"]) == (1, 1)
    assert "train.align:1: link 4-1 points outside" in report["problems"][0]


@pytest.mark.parametrize("pieces", ["▁a b c d", "a@@ b@@ c@@ d"])
def test_text_in_pieces_and_links_of_words(tmp_path: Path, capsys: pytest.CaptureFixture[str], pieces: str) -> None:
    for number, warns in ((20, True), (19, False)):
        (tmp_path / "train.xx").write_text(f"{pieces}\n" * number, encoding="utf-8")
        (tmp_path / "train.yy").write_text("A\n" * number)
        (tmp_path / "train.align").write_text("0-0\n" * number)
        assert check(tmp_path / "train", "-s", "xx", "-t", "yy") == 0
        assert ("the text is in subword pieces" in capsys.readouterr().out) == warns


def test_a_pipe_with_another_number_of_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is seen after thousands of lines that were counted."""
    for lang in ("xx", "yy"):
        (tmp_path / f"train.{lang}").write_text("a\n" * 2001)
    links = tmp_path / "links"
    os.mkfifo(links)
    writer = threading.Thread(target=links.write_text, args=("0-0\n" * 2000,))
    writer.start()
    files = ["--links", links, "--source", tmp_path / "train.xx", "--target", tmp_path / "train.yy"]
    assert check(*files) == 1
    writer.join()
    out = capsys.readouterr().out
    assert "expected files with the same number of lines" in out
    assert "problems found" in out


def test_missing_files_and_half_an_order(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(corpus, "-s", "xx", "-t", "zz") == 2
    assert "train.zz: cannot be read" in capsys.readouterr().err
    assert check(corpus, "-s", "xx") == 2
    assert check("--links", corpus) == 2
    assert "go together" in capsys.readouterr().err


def test_text_that_is_not_utf8(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`preprocess` would stop at it."""
    (tmp_path / "t.s").write_bytes(b"a b\n\xe9 c\n\xe9\n")
    (tmp_path / "t.t").write_bytes(b"a\nc\nd\n")
    (tmp_path / "t.align").write_text("0-0\n0-0\n0-0\n")
    assert main(["check", str(tmp_path / "t"), "-s", "s", "-t", "t", "--examples", "1"]) == 1
    printed = capsys.readouterr().out
    assert "t.s:3" not in printed
    assert "t.s:2: expected UTF-8 text; got byte 0xe9 at byte 1 of the line" in printed
    assert "2 lines of text are not UTF-8" in printed


def test_links_that_guide_nothing(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus.with_suffix(".align").write_text("\n\n\n\n")
    assert check(corpus, "-s", "xx", "-t", "yy") == 1
    assert "error: 4 sentence pairs without a usable link" in capsys.readouterr().out
