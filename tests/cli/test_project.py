"""`project`: against a slow projection, in one process or two, and back."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from fairseq_guided_align.cli.main import main

LINES = 2300  # more than two blocks


def slow_projection(words: list[str], pieces: list[str]) -> dict[int, list[int]]:
    """The pieces of each word, one piece after the other."""
    found: dict[int, list[int]] = {}
    word = -1
    for index, piece in enumerate(pieces):
        word += piece.startswith("▁")
        found.setdefault(word, []).append(index)
    assert "".join(pieces).replace("▁", " ").split() == words
    return found


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    chance = random.Random(5)
    sides: dict[str, list[list[str]]] = {"s": [], "t": []}
    cut: dict[str, list[list[str]]] = {"s": [], "t": []}
    links = []
    for _ in range(LINES):
        for side in "st":
            words = ["".join(chance.choices("abcλμ语", k=chance.randint(1, 7))) for _ in range(chance.randint(0, 8))]
            pieces = []
            for word in words:
                at = chance.randint(0, len(word))
                pieces += [part for part in ("▁" + word[:at], word[at:]) if part]
            sides[side].append(words)
            cut[side].append(pieces)
        size = len(sides["s"][-1]), len(sides["t"][-1])
        count = chance.randint(0, 5) if min(size) else 0
        pairs = {(chance.randrange(size[0]), chance.randrange(size[1])) for _ in range(count)}
        links.append(sorted(pairs, key=lambda pair: (pair[1], pair[0])))
    for side in "st":
        (folder / f"{side}.words").write_text("".join(" ".join(words) + "\n" for words in sides[side]), "utf-8")
        (folder / f"{side}.pieces").write_text("".join(" ".join(pieces) + "\n" for pieces in cut[side]), "utf-8")
    (folder / "words.align").write_text("".join(" ".join(f"{s}-{t}" for s, t in row) + "\n" for row in links))
    expected = []
    for row, *both in zip(links, sides["s"], cut["s"], sides["t"], cut["t"]):
        source, target = slow_projection(*both[:2]), slow_projection(*both[2:])
        pairs = {(i, j) for s, t in row for i in source[s] for j in target[t]}
        expected.append(" ".join(f"{i}-{j}" for i, j in sorted(pairs, key=lambda pair: (pair[1], pair[0]))))
    (folder / "pieces.align").write_text("".join(line + "\n" for line in expected))
    return folder


def project(folder: Path, *arguments: object, links: str = "words.align") -> int:
    files = [f"--{long}-{what}={folder / f'{short}.{what}'}" for long, short in (("source", "s"), ("target", "t"))
             for what in ("words", "pieces")]  # fmt: skip
    return main(["project", "--links", str(folder / links), *files, *map(str, arguments)])


@pytest.mark.parametrize("workers", [1, 2])
def test_as_the_slow_projection(corpus: Path, tmp_path: Path, workers: int) -> None:
    assert project(corpus, "-o", tmp_path / "out", "--workers", workers) == 0
    assert (tmp_path / "out").read_text() == (corpus / "pieces.align").read_text()


@pytest.mark.parametrize("policy", ["all", "first"])
def test_and_back(corpus: Path, tmp_path: Path, policy: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert project(corpus, "-o", corpus / policy, "--policy", policy) == 0
    assert project(corpus, "--back", "-o", tmp_path / "back", links=policy) == 0
    assert (tmp_path / "back").read_text() == (corpus / "words.align").read_text()
    assert slow_summary(corpus, policy, "words.align", "words") in capsys.readouterr().err


def slow_summary(corpus: Path, read: str, made: str, units: str) -> str:
    """What is told of links between these units that were made of those that were read."""

    def share(part: int, whole: int) -> str:
        return f"{part} ({100 * part / whole:.1f} %)"

    rows = [line.split() for line in (corpus / made).read_text().splitlines()]
    linked = []
    for side in (1, 0):
        tokens = len((corpus / f"{'st'[side]}.{units}").read_text("utf-8").split())
        linked.append(share(len({(i, link.split("-")[side]) for i, row in enumerate(rows) for link in row}), tokens))
    return (
        f"{corpus / read}: {LINES} sentence pairs, {share(sum(map(bool, rows)), LINES)} with links;"
        f" {len((corpus / read).read_text().split())} links became {sum(map(len, rows))};"
        f" {linked[0]} of target and {linked[1]} of source tokens linked; links dropped: none"
    )


def test_to_standard_output_with_a_summary_beside(corpus: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert project(corpus) == 0
    captured = capfdbinary.readouterr()
    assert captured.out == (corpus / "pieces.align").read_bytes()
    assert slow_summary(corpus, "words.align", "pieces.align", "pieces") in captured.err.decode()


def changed(corpus: Path, folder: Path, name: str, line: int, text: str) -> Path:
    """The corpus with another line, numbered from 1, in one of its files."""
    for path in corpus.iterdir():
        if not (folder / path.name).exists():
            os.symlink(path, folder / path.name)
    lines = (corpus / name).read_text("utf-8").splitlines()
    lines[line - 1] = text
    (folder / name).unlink()
    (folder / name).write_text("\n".join(lines) + "\n", "utf-8")
    return folder


def test_a_pair_whose_text_and_pieces_differ(corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = changed(corpus, tmp_path, "t.pieces", 1702, "▁other ▁words")
    for workers in (1, 2):
        assert project(folder, "-o", tmp_path / "out", "--workers", workers) == 2
        error = capsys.readouterr().err
        assert "t.pieces:1702 (words: " in error
        assert "differ at letter 1" in error
        assert not (tmp_path / "out").exists()
    assert project(folder, "-o", tmp_path / "out", "--on-mismatch", "drop-links") == 0
    assert "1 pairs whose words and pieces differ" in capsys.readouterr().err
    expected = (corpus / "pieces.align").read_text().splitlines()
    expected[1701] = ""
    assert (tmp_path / "out").read_text().splitlines() == expected


@pytest.mark.parametrize(("read", "made"), [("words", "pieces"), ("pieces", "words")])
def test_links_outside_are_dropped_alone_and_counted(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], read: str, made: str
) -> None:
    lines = (corpus / f"{read}.align").read_text().splitlines()
    folder = changed(corpus, tmp_path, f"{read}.align", 1203, lines[1202] + " 0-99 99-0")
    options = ["--back"] if read == "pieces" else []
    assert project(folder, "-o", tmp_path / "out", *options, links=f"{read}.align") == 0
    error = capsys.readouterr().err
    sizes = [len((corpus / f"{side}.{read}").read_text("utf-8").splitlines()[1202].split()) for side in "st"]
    assert (
        f"{read}.align:1203: link 99-0 (from 0) was dropped: the pair has {sizes[0]} source and {sizes[1]} target"
        f" {read}\n"
    ) in error
    assert "links dropped: 2 outside their sentence" in error
    assert (tmp_path / "out").read_text() == (corpus / f"{made}.align").read_text()


def test_links_of_words_without_pieces_are_dropped_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in (("s.words", "a \u200b"), ("t.words", "\u200b d"), ("s.pieces", "▁a"), ("t.pieces", "▁d")):
        (tmp_path / name).write_text(f"{text}\n" * 25, "utf-8")
    (tmp_path / "words.align").write_text("0-0 0-1 1-1\n" * 25)
    assert project(tmp_path, "-o", tmp_path / "out") == 2
    assert "50 of 75 links point outside" in capsys.readouterr().err
    assert project(tmp_path, "-o", tmp_path / "out", "--max-dropped", 0.7) == 0
    assert (tmp_path / "out").read_text() == "0-0\n" * 25
    assert "links dropped: 50 of words that no piece spells" in capsys.readouterr().err


def test_many_links_outside_are_an_error(corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As when links are inverted, or of words cut otherwise."""
    assert project(corpus, "--inverted", "-o", tmp_path / "out") == 2
    assert "words.align: " in (error := capsys.readouterr().err)
    assert "are they links of this text, cut into these words, in this direction" in error
    assert not (tmp_path / "out").exists()
    assert project(corpus, "--inverted", "--max-dropped", 1, "-o", tmp_path / "out") == 0


def test_a_model_of_other_pieces_is_refused(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert project(corpus, "--subwords", "bpe", "--target-sentencepiece-model", "t.model") == 2
    assert "t.model: a SentencePiece model goes with --subwords sentencepiece; got bpe" in capsys.readouterr().err


def test_other_numbers_of_lines(corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = changed(corpus, tmp_path, "words.align", LINES, "\n")
    assert project(folder, "-o", tmp_path / "out") == 2
    assert f"words.align has {LINES + 1}, " in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_one_based_and_inverted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, text in (("s.words", "ab c"), ("t.words", "d"), ("s.pieces", "▁a b ▁c"), ("t.pieces", "▁d")):
        (tmp_path / name).write_text(f"{text}\n" * 25, "utf-8")
    (tmp_path / "words.align").write_text("1-2\n" * 25)
    assert project(tmp_path, "--one-based", "--inverted", "-o", tmp_path / "out") == 0
    assert (tmp_path / "out").read_text() == "2-0\n" * 25
    assert "--one-based" not in capsys.readouterr().err
    (tmp_path / "words.align").write_text("1-1\n" * 25)
    assert project(tmp_path, "--max-dropped", 1, "-o", tmp_path / "out") == 0
    assert "if the file counts from 1, add --one-based" in capsys.readouterr().err


def test_the_reader_of_the_output_goes_away(corpus: Path) -> None:
    command = [sys.executable, "-m", "fairseq_guided_align.cli.main", "project", "--workers", "2",
               "--links", str(corpus / "words.align")]  # fmt: skip
    for long, short in (("source", "s"), ("target", "t")):
        command += [f"--{long}-{what}={corpus / f'{short}.{what}'}" for what in ("words", "pieces")]
    run = subprocess.run(
        f"{' '.join(command)} | head -n 1", shell=True, capture_output=True, text=True, check=False, timeout=60
    )
    assert "Traceback" not in run.stderr
    assert run.stdout.count("\n") == 1


def project_pair(folder: Path, words: str, pieces: str, links: str, *options: str) -> int:
    for name, line in (("words", words), ("pieces", pieces), ("links", links)):
        (folder / name).write_text(line + "\n", "utf-8")
    sides = [f"--{side}-{what}={folder}/{what}" for side in ("source", "target") for what in ("words", "pieces")]
    return main(["project", "--links", f"{folder}/links", *sides, "--output", f"{folder}/out", *options])


def test_why_a_link_inside_its_sentence_was_dropped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # The model leaves a zero-width space out, which is a word here.
    words, pieces = "das \u200b haus", "▁das ▁haus ▁"
    assert project_pair(tmp_path, words, pieces, "0-0 1-1 2-2 3-0", "--max-dropped", "1") == 0
    assert (tmp_path / "out").read_text() == "0-0 1-1\n"
    said = capsys.readouterr().err
    assert "links:1: link 1-1 (from 0) was dropped: no piece spells one of its words: the pieces leave its text" in said
    assert "links:1: link 3-0 (from 0) was dropped: the pair has 3 source and 3 target words" in said
    assert "1 outside their sentence, 1 of words that no piece spells" in said
    assert project_pair(tmp_path, words, pieces, "0-0 1-1 2-2 2-0") == 2
    assert "; the first: " in (said := capsys.readouterr().err)
    assert "link 1-1 (from 0) was dropped: no piece spells" in said
    assert project_pair(tmp_path, words, pieces, "0-0 2-1", "--back", "--max-dropped", "1") == 0
    assert "link 2-1 (from 0) was dropped: one of its pieces spells no word: it is a lone" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "pieces", "escaped"),
    [
        ("the man &apos;s", "▁the ▁man ' s", "words"),
        ("AT &amp; T", "▁AT ▁& ▁T", "words"),
        ("well @-@ known", "▁well - known", "words"),
        ("&#91; 3 &#93;", "▁[ 3 ]", "words"),
        ("the man 's", "▁the ▁man ▁& apos ; s", "pieces"),
    ],
)
def test_what_moses_escaped_is_said(
    words: str, pieces: str, escaped: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert project_pair(tmp_path, words, pieces, "0-0") == 2
    said = capsys.readouterr().err
    assert f"; the {escaped} have characters escaped, as Moses' tokenizer.perl does: run it with -no-escape" in said
    assert "deescape-special-chars.perl" in said


def test_text_that_is_escaped_on_both_sides_is_matched_and_other_differences_are_no_escapes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert project_pair(tmp_path, "the man &apos;s", "▁the ▁man ▁& apos ; s", "2-2") == 0
    assert project_pair(tmp_path, "the cat", "▁the ▁dog", "1-1") == 2
    assert "tokenizer.perl" not in capsys.readouterr().err
