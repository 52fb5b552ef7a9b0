"""`align`: eflomal's links, both directions symmetrised."""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
from pathlib import Path

import pytest

from examples.made_up_text import make_text
from fairseq_guided_align.cli import align
from fairseq_guided_align.cli.main import main
from fairseq_guided_align.links.aligner import AlignerInput, AlignerSettings, _lines_for_eflomal
from fairseq_guided_align.links.link import CorpusLinks
from fairseq_guided_align.links.pharaoh import read_links
from fairseq_guided_align.links.symmetrisation import symmetrise

SENTENCES = 400


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("align")
    pairs = make_text(SENTENCES, words=30)
    (folder / "s").write_text("".join(" ".join(pair.source) + "\n" for pair in pairs), "utf-8")
    (folder / "t").write_text("".join(" ".join(pair.target) + "\n" for pair in pairs), "utf-8")
    return folder


@pytest.fixture(scope="module")
def plain_text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Text that leaves no choice: each source word is always the same two target words.

    eflomal samples with a new seed each time, and other texts have several solutions that it falls into by chance.
    """
    folder = tmp_path_factory.mktemp("plain")
    chance = random.Random(4)
    rows = [chance.sample(range(60), chance.randint(2, 8)) for _ in range(800)]
    orders = [chance.sample(row, len(row)) for row in rows]
    (folder / "s").write_text("".join(" ".join(f"s{i}" for i in row) + "\n" for row in rows))
    (folder / "t").write_text("".join(" ".join(f"t{i} u{i}" for i in order) + "\n" for order in orders))
    links = [{(row.index(i), 2 * at + k) for at, i in enumerate(order) for k in (0, 1)}
             for row, order in zip(rows, orders)]  # fmt: skip
    (folder / "gold").write_text("".join(" ".join(f"{s}-{t}" for s, t in row) + "\n" for row in links))
    return folder


def test_the_links_of_eflomals_own_command(
    plain_text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also under the earlier name of --symmetrisation."""
    pytest.importorskip("eflomal")
    own = Path(sys.executable).with_name("eflomal-align")
    files = ["--source", plain_text / "s", "--target", plain_text / "t", "-o", tmp_path / "ours"]
    copies = ["--forward-output", tmp_path / "forward", "--reverse-output", tmp_path / "reverse"]
    assert main(["align", *map(str, files), *map(str, copies), "--samplers", "1", "--method", "union"]) == 0
    assert "warning: --method is now --symmetrisation, and goes with the next release\n" in capsys.readouterr().err
    theirs = [own, "-s", plain_text / "s", "-t", plain_text / "t", "-f", tmp_path / "f", "-r", tmp_path / "r"]
    subprocess.run([sys.executable, *map(str, theirs), "--n-samplers", "1"], check=True, capture_output=True)
    made = {name: read_links(tmp_path / name) for name in ("forward", "reverse", "f", "r", "ours")}
    gold = read_links(plain_text / "gold")
    for name in ("forward", "f"):
        assert differing(made[name], gold) < 0.1
    # The other direction gives each source word one of its two target words; which one is chance.
    for name in ("reverse", "r"):
        assert 0.45 < differing(made[name], gold) < 0.58
        assert len(made[name].source) == pytest.approx(len(gold.source) / 2, rel=0.1)
    assert differing(made["ours"], gold) < 0.58
    # Symmetrisation of the very links that eflomal wrote.
    assert list(made["ours"]) == [
        symmetrise(one, other, "union") for one, other in zip(made["forward"], made["reverse"])
    ]


def test_the_usual_symmetrisation() -> None:
    parser = argparse.ArgumentParser()
    align.add_arguments(parser)
    given = parser.parse_args(["--source", "a", "--target", "b", "-o", "c"])
    assert given.symmetrisation == AlignerSettings().method == "grow-diag-final-and"


def differing(one: CorpusLinks, other: CorpusLinks) -> float:
    """Share of the links of either that are not in both."""
    pairs = [{(i, *pair) for i, links in enumerate(corpus) for pair in links.pairs()} for corpus in (one, other)]
    assert len(one) == len(other)
    return len(pairs[0] ^ pairs[1]) / len(pairs[0] | pairs[1])


def test_words_that_eflomal_would_cut_and_lines_too_long() -> None:
    seen = AlignerInput()
    lines = ["a\u00a0b c\td", "", "\u3000 x", "w " * 1023, "w " * 1024]
    made = list(_lines_for_eflomal(lines, seen))
    assert [len(line.split()) for line in made] == [3, 0, 2, 1023, 1024]
    assert made[0] == "a_b c d\n"
    assert (seen.sentences, seen.too_long) == (5, {5})
    assert seen.size == sum(len(line.encode()) for line in lines)


def test_pairs_too_long_on_either_side_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("eflomal")
    long = "w " * 1024 + "\n"
    (tmp_path / "s").write_text(long + "a\na\n" * 5)
    (tmp_path / "t").write_text("b\n" * 10 + long)
    files = ["--source", str(tmp_path / "s"), "--target", str(tmp_path / "t"), "-o", str(tmp_path / "out")]
    assert main(["align", *files, "--model", "1", "--samplers", "1"]) == 0
    assert "warning: 2 sentence pairs have more than 1023 words on a side" in capsys.readouterr().err
    assert [bool(line) for line in (tmp_path / "out").read_text().split("\n")] == [False, *[True] * 9, False, False]


def test_other_numbers_of_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "s").write_text("a\nb\n")
    (tmp_path / "t").write_text("a\n")
    files = ["--source", str(tmp_path / "s"), "--target", str(tmp_path / "t"), "-o", str(tmp_path / "out")]
    assert main(["align", *files]) == 2
    assert "s has 2, " in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_without_eflomal(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "eflomal", None)
    files = ["--source", str(text / "s"), "--target", str(text / "t"), "-o", str(tmp_path / "out")]
    assert main(["align", *files]) == 2
    assert "pip install 'fairseq-guided-align[aligner]'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_side_that_is_empty(tmp_path: Path) -> None:
    pytest.importorskip("eflomal")
    (tmp_path / "s").write_text("a b\n\nc\n\n" * 5)
    (tmp_path / "t").write_text("A B\nC\n\n\n" * 5)
    files = ["--source", str(tmp_path / "s"), "--target", str(tmp_path / "t"), "-o", str(tmp_path / "out")]
    assert main(["align", *files, "--samplers", "1"]) == 0
    lines = (tmp_path / "out").read_text().split("\n")[:-1]
    assert len(lines) == 20
    assert {line for number, line in enumerate(lines) if number % 4} == {""}


def test_no_text_at_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("eflomal")
    (tmp_path / "s").touch()
    files = ["--source", str(tmp_path / "s"), "--target", str(tmp_path / "s"), "-o", str(tmp_path / "out")]
    assert main(["align", *files]) == 2
    assert "expected sentence pairs to align" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
