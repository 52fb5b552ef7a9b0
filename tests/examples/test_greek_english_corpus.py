"""The example's corpus, from a made-up wheel: verses, links, split, what is left out, damaged downloads."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path

import pytest

from examples.greek_english import corpus

# Verse 1: two Greek words, three English; verse 2: a link into verse 1 and one of its own; verse 3: Greek
# only; verse 4: both sides, no link.
GREEK = [
    ("n40001001001", "Βίβλος"),
    ("n40001001002", "γενέσεως"),
    ("n40001002001", "Ἀβραὰμ"),
    ("n40001003001", "Ἰούδας"),
    ("n40001004001", "Ἀρὰμ"),
]
ENGLISH = [
    ("40001001001", "This"),
    ("40001001002", "book"),
    ("40001001003", ","),
    ("40001002001", "Abraham"),
    ("40001004001", "Ram"),
]
RECORDS = [
    (["n40001001001"], ["40001001002", "40001001001"]),
    (["n40001001001", "n40001001002"], ["40001001001"]),
    (["n40001002001"], ["40001002001", "40001001001"]),
    (["n40001002001"], ["40001002099"]),
]


def make_wheel(
    path: Path,
    greek: list[tuple[str, str]] = GREEK,
    english: list[tuple[str, str]] = ENGLISH,
    records: list[tuple[list[str], list[str]]] = RECORDS,
) -> Path:
    with zipfile.ZipFile(path, "w") as wheel:
        for name, words in ((corpus.GREEK, greek), (corpus.ENGLISH, english)):
            rows = "".join(f"{identifier}\t{word}\t\n" for identifier, word in words)
            wheel.writestr(name, "id\ttext\tgloss\n" + rows)
        links = {"records": [{"source": s, "target": t} for s, t in records]}
        wheel.writestr(corpus.LINKS, json.dumps(links))
    return path


def test_verses_links_and_what_is_left_out(tmp_path: Path) -> None:
    read = corpus.read_wheel(make_wheel(tmp_path / "w.whl"))
    assert read.verses == (
        corpus.Verse("40001001", ("Βίβλος", "γενέσεως"), ("This", "book", ","), ((0, 0), (0, 1), (1, 0))),
        corpus.Verse("40001002", ("Ἀβραὰμ",), ("Abraham",), ((0, 0),)),
    )
    assert read.links_across_verses == 1
    assert read.links_to_unknown_words == 1
    assert read.verses_without_links == 1


def test_a_quotation_mark_is_a_word_and_not_a_quote(tmp_path: Path) -> None:
    english = [("40001001001", '"'), ("40001001002", "Book"), ("40001001003", '"')]
    read = corpus.read_wheel(make_wheel(tmp_path / "w.whl", english=english, records=RECORDS[:1]))
    assert read.verses[0].target == ('"', "Book", '"')


def test_the_split_is_the_published_one() -> None:
    splits = [corpus.split_of(k) for k in range(7919)]
    assert [k for k in range(41) if splits[k] == "test"] == [0, 20, 40]
    assert [k for k in range(41) if splits[k] == "valid"] == [10, 30]
    assert {s: splits.count(s) for s in corpus.SPLITS} == {"train": 7127, "valid": 396, "test": 396}


def test_files_are_parallel_and_credited(tmp_path: Path) -> None:
    verses = [corpus.Verse(str(k), (f"λόγος{k}",), ("word", str(k)), ((0, 0), (0, 1))) for k in range(25)]
    counts = corpus.write_corpus(verses, tmp_path / "data")
    assert counts == {"train": 22, "valid": 1, "test": 2}
    assert (tmp_path / "data/test.grc").read_text(encoding="utf-8") == "λόγος0\nλόγος20\n"
    assert (tmp_path / "data/test.en").read_text(encoding="utf-8") == "word 0\nword 20\n"
    assert (tmp_path / "data/valid.align").read_text(encoding="utf-8") == "0-0 0-1\n"
    assert len((tmp_path / "data/train.en").read_text(encoding="utf-8").splitlines()) == 22
    credits = (tmp_path / "data/CREDITS.txt").read_text(encoding="utf-8")
    for owner in ("Clear Bible, Inc", "Society of Biblical Literature", "public domain", "CC BY 4.0"):
        assert owner in credits
    assert not list((tmp_path / "data").glob("*.tmp"))


@pytest.mark.parametrize(
    ("greek", "message"),
    [
        ([("40001001001", "Βίβλος")], "expected a word id nBBCCCVVVWWW; got '40001001001'"),
        ([("n4000100100", "Βίβλος")], "got 'n4000100100'"),
        ([("n40001001001", "Βίβλος γενέσεως")], "expected one word at n40001001001"),
        ([("n40001001001", "")], "expected one word at n40001001001"),
    ],
)
def test_words_in_another_form_are_refused(tmp_path: Path, greek: list[tuple[str, str]], message: str) -> None:
    with pytest.raises(corpus.CorpusError, match=message):
        corpus.read_wheel(make_wheel(tmp_path / "w.whl", greek=greek))


def test_a_wheel_without_the_text_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "w.whl", "w") as wheel:
        wheel.writestr("README", "nothing")
    with pytest.raises(corpus.CorpusError, match="not the expected"):
        corpus.read_wheel(tmp_path / "w.whl")


def test_another_file_under_the_wheels_name_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wheel = make_wheel(tmp_path / "w.whl")
    got = hashlib.sha256(wheel.read_bytes()).hexdigest()
    assert corpus.main(["--output", str(tmp_path / "data"), "--wheel", str(wheel)]) == 2
    error = capsys.readouterr().err
    assert corpus.WHEEL_SHA256 in error
    assert got in error
    assert not (tmp_path / "data").exists()


def test_the_command_writes_the_first_verses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    greek = [(f"n4000100{v}001", f"λόγος{v}") for v in range(1, 10)] + [
        (f"n400010{v}001", f"λόγος{v}") for v in range(10, 31)
    ]
    english = [(identifier[1:], word.replace("λόγος", "word")) for identifier, word in greek]
    records = [([g], [e]) for (g, _), (e, _) in zip(greek, english)]
    wheel = make_wheel(tmp_path / corpus.WHEEL, greek, english, records)
    monkeypatch.setattr(corpus, "WHEEL_SHA256", corpus.sha256(wheel))
    # The wheel lies in the cache, so nothing is downloaded.
    arguments = ["--output", str(tmp_path / "data"), "--cache", str(tmp_path), "--verses", "12"]
    assert corpus.main(arguments) == 0
    assert (tmp_path / "data/train.en").read_text(encoding="utf-8").split() == [
        f"word{k}" for k in (2, 3, 4, 5, 6, 7, 8, 9, 10, 12)
    ]
    assert "verses: 10 train, 1 valid, 1 test" in capsys.readouterr().out
