"""What a word is: the same in every command, remembered by the data folder; links that count otherwise are told."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest

from fairseq_guided_align.cli.main import main
from fairseq_guided_align.links.pharaoh import parse_line, read_links
from fairseq_guided_align.links.split_evidence import SplitEvidence, evidence_of
from fairseq_guided_align.links.store import LinkStore, links_path
from fairseq_guided_align.links.words import count_other_words, count_words, separated, split_words
from fairseq_guided_align.subwords.text_pieces import SplitWords, text_cutters

NBSP = "\u00a0"
BY_SPACES = ("spaces", "whitespace")
RARE = [chr(code) for code in range(0x3001) if chr(code).isspace() and chr(code) not in " \t\n\r\v\f"]
OPTIONS = {"spaces": [], "whitespace": ["--word-split", "whitespace"]}


REASONS = {
    "spaces": "in 14 of 14 sentence pairs with a no-break space or the like they reach beyond the last of the words"
    " separated by spaces alone; give --word-split whitespace",
    "whitespace": "14 sentence pairs have more words separated by any white space, and no link reaches the additional"
    " ones; give --word-split spaces",
}
"""What is said where links do not count these words."""


def words_of(line: str, word_split: str) -> list[str]:
    return line.split() if word_split == "whitespace" else line.split(" ")


@pytest.mark.parametrize("space", RARE)
def test_the_definitions_differ_in_rare_white_space_alone(space: str) -> None:
    assert split_words(f" a\tb{space}c  d ", "spaces") == ["a", f"b{space}c", "d"]
    assert split_words(f" a\tb{space}c  d ", "whitespace") == ["a", "b", "c", "d"]
    block = f"a{space}b\nx y\n{space}\n".encode()
    assert count_words(block, "spaces").tolist() == [1, 2, 1]
    assert count_words(block, "whitespace").tolist() == [2, 2, 0]
    assert count_other_words(block, np.array([1, 2, 1]), "spaces").tolist() == [2, 2, 1]
    assert separated(block, "spaces") == block


def write(folder: Path, made_by: str, pairs: int = 40, space: str = NBSP, name: str = "train") -> None:
    """A text whose target repeats its source word by word, so that every right link joins equal words."""
    chance = random.Random(3)
    lines = []
    for number in range(pairs):
        words = chance.choices(["ab", "cd", "ef", "gh"], k=chance.randint(2, 6))
        if number % 3 == 0:
            words.insert(1, f"10{space}000")
        lines.append(" ".join(words))
    text = "".join(line + "\n" for line in lines)
    for lang in "st":
        (folder / f"{name}.{lang}").write_text(text, "utf-8")
    links = [" ".join(f"{k}-{k}" for k in range(len(words_of(line, made_by)))) for line in lines]
    (folder / f"{name}.align").write_text("".join(line + "\n" for line in links))


def check(folder: Path, *options: str) -> int:
    return main(["check", str(folder / "train"), "-s", "s", "-t", "t", *options])


@pytest.mark.parametrize("made_by", BY_SPACES)
@pytest.mark.parametrize("space", [NBSP, "\u3000", "\x1f"])
def test_check_says_by_which_words_links_count(
    made_by: str, space: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, made_by, space=space)
    assert check(tmp_path, "--word-split", made_by) == 0
    assert "no problems" in capsys.readouterr().out
    other = next(one for one in BY_SPACES if one != made_by)
    status = check(tmp_path, "--word-split", other)
    told = capsys.readouterr().out
    assert f"error: {tmp_path}/train.align: the links count words" in told
    assert REASONS[other] in told
    assert status == 1


def test_few_lines_that_hardly_tell_are_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, "spaces", pairs=9)
    assert check(tmp_path, "--word-split", "whitespace") == 0
    assert "warning: " + str(tmp_path / "train.align") + ": the links seem to count words" in capsys.readouterr().out


def preprocess(folder: Path, *options: str, data: str = "data") -> int:
    return main(
        ["preprocess", "-s", "s", "-t", "t", "--trainpref", str(folder / "train"), "--destdir", str(folder / data)]
        + list(options)
    )


def subwords(kind: str) -> list[str]:
    sizes = ["--sentencepiece-vocab-size", "20", "--sentencepiece-model-type", "bpe"]
    return ["--subwords", kind, *(sizes if kind == "sentencepiece" else [])]


@pytest.mark.parametrize(("made_by", "kind"), [("whitespace", "sentencepiece"), ("spaces", "bpe")])
def test_preprocess_binarize_and_extract_count_the_same_words(made_by: str, kind: str, tmp_path: Path) -> None:
    pytest.importorskip("fairseq")
    write(tmp_path, made_by)
    assert preprocess(tmp_path, *OPTIONS[made_by], *subwords(kind)) == 0
    data = tmp_path / "data"
    assert json.loads((data / "guided_alignment.json").read_text("utf-8"))["word_split"] == made_by
    stored = LinkStore(links_path(data, "train", "s", "t"))
    lines = (data / "text" / "train.s").read_text("utf-8").splitlines()
    words = SplitWords(str(data), "train", "s", kind)
    cutter, _ = text_cutters(str(data), ("s", "t"))
    pieces = (data / "text" / "train.pieces.s").read_text("utf-8").split("\n")[:-1]
    for number, (line, cut) in enumerate(zip(lines, pieces)):
        of_split = words.of(number, cut.split())
        assert of_split.words == len(words_of(line, made_by))
        # A word is linked to its own copy: pieces are linked where both spell one word.
        pairs = {(i, j) for i, one in enumerate(of_split.word) for j, other in enumerate(of_split.word) if one == other}
        assert set(stored[number].pairs()) == pairs
        (given,) = cutter([line])
        assert (given.words, given.word.tolist()) == (of_split.words, of_split.word.tolist())
    before = list(stored)
    assert main(["binarize", str(data), f"train={tmp_path}/train.align", "--level", "words"]) == 0
    assert list(LinkStore(links_path(data, "train", "s", "t"))) == before


def test_links_of_other_words_never_get_into_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("fairseq")
    kind = "words"
    write(tmp_path, "whitespace")
    assert preprocess(tmp_path, *subwords(kind)) == 2
    assert "in 14 of 14 sentence pairs" in capsys.readouterr().err
    assert not (tmp_path / "data").exists()
    write(tmp_path, "spaces")
    assert preprocess(tmp_path, *subwords(kind), "--word-split", "whitespace") == 2
    assert "give --word-split spaces" in capsys.readouterr().err
    # The folder counts by spaces; other links of it do not.
    assert preprocess(tmp_path, *subwords(kind)) == 0
    write(tmp_path, "whitespace")
    entry = f"train={tmp_path}/train.align"
    before = list(LinkStore(links_path(tmp_path / "data", "train", "s", "t")))
    assert main(["binarize", str(tmp_path / "data"), entry, "--level", "words"]) == 2
    assert "give --word-split whitespace" in capsys.readouterr().err
    assert list(LinkStore(links_path(tmp_path / "data", "train", "s", "t"))) == before
    assert main(["binarize", str(tmp_path / "data"), entry, "--level", "words", "--word-split", "whitespace"]) == 0
    assert main(["binarize", str(tmp_path / "data"), entry, "--word-split", "whitespace"]) == 2


def project(folder: Path, *options: str) -> int:
    files = ["--source-words", "s", "--source-pieces", "p", "--target-words", "t", "--target-pieces", "p"]
    files[1::2] = [str(folder / ("train.s" if name == "p" else f"train.{name}")) for name in files[1::2]]
    links = ["--links", str(folder / "train.align"), "--output", str(folder / "out")]
    return main(["project", *links, *files, "--subwords", "words", *options])


def test_a_single_pair_that_counts_otherwise_loses_all_its_links(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, "spaces", pairs=100)
    lines = (tmp_path / "train.align").read_text().splitlines()
    right = (tmp_path / "train.align").read_text()
    lines[0] += f" {len(lines[0].split())}-{len(lines[0].split())}"
    assert project(tmp_path) == 0
    expected = (tmp_path / "out").read_text().splitlines()
    (tmp_path / "train.align").write_text("".join(line + "\n" for line in lines))
    assert project(tmp_path) == 0
    assert (tmp_path / "out").read_text().splitlines() == ["", *expected[1:]]
    said = capsys.readouterr().err
    links = len(lines[0].split())
    assert f"train.align:1: the links of this pair were left out: they fit its {links} source" in said
    assert f"{links} of pairs whose links count words otherwise" in said
    (tmp_path / "train.align").write_text(right)
    assert project(tmp_path, "--workers", "2") == 0
    assert (tmp_path / "out").read_text().splitlines() == expected


def evidence(link_lines: list[str], own: list[int], other: list[int]) -> SplitEvidence:
    from fairseq_guided_align.links.link import CorpusLinks

    links = CorpusLinks.from_sentences([parse_line(line) for line in link_lines])
    counts = np.array(own), np.array(other)
    return evidence_of(links, (counts[0], counts[0]), (counts[1], counts[1]))[0]


def test_links_that_are_outside_everywhere_tell_nothing_of_words() -> None:
    # They count from 1: the last link is outside in sentences of any kind.
    from_one = evidence(["1-1 2-2 3-3"] * 30, [3] * 30, [3] * 20 + [4] * 10)
    assert from_one.fewer_beyond == 10
    assert not from_one.contradicts
    assert evidence(["0-0 2-2"] * 20 + ["0-0 3-3"] * 10, [3] * 30, [3] * 20 + [4] * 10).contradicts


def test_words_that_are_never_linked_tell_nothing() -> None:
    # No last word is ever linked here, of a full stop for example.
    quiet = evidence(["0-0 1-1"] * 40, [3] * 20 + [4] * 20, [3] * 40)
    assert not quiet.suspicious
    assert evidence(["0-0 2-2"] * 40, [3] * 20 + [4] * 20, [3] * 40).contradicts


def test_white_space_at_the_end_of_a_line_shifts_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, "spaces", pairs=60, space="")
    text = (tmp_path / "train.s").read_text("utf-8")
    (tmp_path / "train.s").write_text(text.replace("\n", f" {NBSP}\n"), "utf-8")
    for word_split in BY_SPACES:
        assert check(tmp_path, "--word-split", word_split) == 0
        assert "no problems" in capsys.readouterr().out


def test_view_and_extract_take_the_option_where_words_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, "whitespace", pairs=4)
    view = ["view", "--source", f"{tmp_path}/train.s", "--target", f"{tmp_path}/train.t"]
    view += ["--links", f"a={tmp_path}/train.align", "--out", str(tmp_path / "page.html")]
    assert main(view) == 2
    assert "--word-split" in capsys.readouterr().err
    assert main([*view, "--word-split", "whitespace"]) == 0
    assert main(["extract", "none.pt", "--level", "pieces", "--word-split", "spaces"]) == 2
    assert "--word-split goes with --level words" in capsys.readouterr().err


def test_a_folder_without_its_text_cannot_count_other_words(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--word-split: keeps no text of 'test' to count words in"):
        SplitWords(str(tmp_path), "test", "s", "words", "spaces")


def test_align_counts_the_words_that_it_is_told_to(tmp_path: Path) -> None:
    pytest.importorskip("eflomal")
    write(tmp_path, "spaces", pairs=60)
    for word_split in BY_SPACES:
        files = ["--source", f"{tmp_path}/train.s", "--target", f"{tmp_path}/train.t", "-o", f"{tmp_path}/out"]
        assert main(["align", *files, "--word-split", word_split, "--method", "union"]) == 0
        lines = (tmp_path / "train.s").read_text("utf-8").split("\n")[:-1]
        for line, links in zip(lines, read_links(tmp_path / "out")):
            assert max(links.source, default=-1) < len(words_of(line, word_split))
        last = max(int(links.source.max()) for links in read_links(tmp_path / "out") if len(links))
        assert last == max(len(words_of(line, word_split)) for line in lines) - 1


AT_SIGNS = [
    ("a @@ b", ["a", "@@", "b"]),
    ("@@ a", ["@@", "a"]),
    ("a @@", ["a", "@@"]),
    ("@@", ["@@"]),
    ("x@@ @@ b", ["x@@", "b"]),
    ("@@@@ a b", ["@@a", "b"]),
    ("@@@ @ b", ["@@", "b"]),
]


@pytest.mark.parametrize(("pieces", "words"), AT_SIGNS)
def test_a_literal_mark_is_a_word_of_its_own(pieces: str, words: list[str]) -> None:
    from fairseq_guided_align.subwords.pieces import text_of
    from fairseq_guided_align.subwords.spelling import match_lines
    from fairseq_guided_align.subwords.text_pieces import PiecedSentence

    assert text_of(pieces.split(), "bpe").split(" ") == words
    sentence = PiecedSentence.of_pieces(pieces.split(), "bpe")
    assert sentence.texts("bpe") == words
    for rest in ("", " y", " yy@@ y"):  # alone, and beside lines that need no look
        matched = match_lines(
            f"{' '.join(words)}\nlong er{rest.replace('@@ ', '')}\n".encode(),
            f"{pieces}\nlo@@ ng er{rest}\n".encode(),
            "bpe",
        )
        assert matched.word_of_piece(0).tolist() == sentence.word.tolist()


def test_white_space_that_was_all_of_a_piece_leaves_its_mark_alone() -> None:
    from fairseq_guided_align.subwords.spelling import match_sentence

    # `subword-nmt` cuts at spaces alone, fairseq at the no-break space as well: 10@@ <NBSP>@@ 000.
    one = match_sentence([f"10{NBSP}000", "b"], ["10@@", "@@", "000", "b"], "bpe")
    assert one.word_of_piece(0).tolist() == [0, 0, 0, 1]
    # A word @@ beside it, and words that end in white space or in @@.
    several = match_sentence(
        [f"10{NBSP}000", "@@", f"x{NBSP}", "y@@", f"{NBSP}@@"],
        ["10@@", "@@", "0@@", "00", "@@", "x@@", "y@@", "@@", "@@"],
        "bpe",
    )
    assert several.word_of_piece(0).tolist() == [0, 0, 0, 0, 1, 2, 3, 4, 4]


def test_links_beside_a_literal_mark_are_not_shifted(tmp_path: Path) -> None:
    pytest.importorskip("fairseq")
    for lang in "st":
        (tmp_path / f"train.{lang}").write_text("@@ a b@@ c\na @@ d\n", "utf-8")
    (tmp_path / "train.align").write_text("0-0 1-1 2-2\n1-1 2-2\n")
    assert preprocess(tmp_path, "--subwords", "bpe") == 0
    links = LinkStore(links_path(tmp_path / "data", "train", "s", "t"))
    assert [one.pairs() for one in links] == [
        [(0, 0), (1, 1), (2, 2), (3, 2), (2, 3), (3, 3)],
        [(1, 1), (2, 2)],
    ]
