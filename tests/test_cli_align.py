"""`align`: eflomal's links, both directions symmetrised."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from examples.made_up_text import make_text
from fairseq_guided_align.aligner import AlignedText, AlignerSettings, _lines_for_eflomal
from fairseq_guided_align.cli.main import main
from fairseq_guided_align.metrics import LinkCounts, count_corpus
from fairseq_guided_align.pharaoh import read_links
from fairseq_guided_align.symmetrise import symmetrise

SENTENCES = 400


def aligned(gold: Path, links: Path) -> float:
    return LinkCounts.from_array(count_corpus(read_links(links), read_links(gold))).aer


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("align")
    pairs = make_text(SENTENCES, words=30)
    (folder / "s").write_text("".join(" ".join(pair.source) + "\n" for pair in pairs), "utf-8")
    (folder / "t").write_text("".join(" ".join(pair.target) + "\n" for pair in pairs), "utf-8")
    (folder / "gold").write_text("".join(" ".join(f"{s}-{t}" for s, t in pair.links) + "\n" for pair in pairs))
    return folder


def test_as_good_as_eflomals_own_command(text: Path, tmp_path: Path) -> None:
    pytest.importorskip("eflomal")
    own = Path(sys.executable).with_name("eflomal-align")
    # The HMM: with fertility this small text has two solutions, which runs fall into by chance.
    ours = ["align", "--source", text / "s", "--target", text / "t", "-o", tmp_path / "ours", "--samplers", "1",
            "--model", "2", "--forward-output", tmp_path / "forward", "--reverse-output", tmp_path / "reverse"]  # fmt: skip
    assert main([*map(str, ours)]) == 0
    theirs = [own, "-s", text / "s", "-t", text / "t", "-f", tmp_path / "f", "-r", tmp_path / "r", "--n-samplers", "1",
              "--model", "2"]  # fmt: skip
    subprocess.run([sys.executable, *map(str, theirs)], check=True, capture_output=True)
    # eflomal samples with a new seed each time, so that its runs agree in quality and not link by link.
    for mine, other in (("forward", "f"), ("reverse", "r")):
        assert aligned(text / "gold", tmp_path / mine) == pytest.approx(
            aligned(text / "gold", tmp_path / other), abs=0.05
        )
    assert aligned(text / "gold", tmp_path / "ours") < 0.27
    # Symmetrisation of the very links that eflomal wrote.
    forward, reverse = read_links(tmp_path / "forward"), read_links(tmp_path / "reverse")
    assert list(read_links(tmp_path / "ours")) == [
        symmetrise(one, other, AlignerSettings().method) for one, other in zip(forward, reverse)
    ]
    assert len(forward) == SENTENCES


def test_words_that_eflomal_would_cut_and_lines_too_long() -> None:
    seen = AlignedText()
    lines = ["a\u00a0b c\td", "", "\u3000 x", "w " * 1024]
    made = list(_lines_for_eflomal(lines, seen))
    assert [len(line.split()) for line in made] == [3, 0, 2, 1024]
    assert made[0] == "a_b c d\n"
    assert (seen.sentences, seen.too_long) == (4, 1)


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
