"""`align --also-pieces` and `preprocess --aligner eflomal --also-pieces`: words and their pieces, by vote."""

from __future__ import annotations

import random
from contextlib import nullcontext
from itertools import islice
from pathlib import Path

import pytest

from fairseq_guided_align.cli.main import main
from fairseq_guided_align.links.link import CorpusLinks, SentenceLinks
from fairseq_guided_align.links.pharaoh import format_block, read_links
from fairseq_guided_align.links.symmetrisation import symmetrise_corpus
from fairseq_guided_align.scores.metrics import AlignmentCounts, count_corpus
from fairseq_guided_align.subwords.aligned_pieces import _in_pieces, _lines_of_pieces
from fairseq_guided_align.subwords.sentencepiece_models import PieceEncoder, train_model
from fairseq_guided_align.subwords.text_pieces import TextCutter

pytest.importorskip("eflomal")
SENTENCES = 500
ENDINGS = ["".join(a + b) for a in "aeiou" for b in ("m", "n", "r", "s", "t", "lk", "dz", "sp")]


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Words that are a stem with one of 40 endings on each side, so that hardly a pair of words occurs twice."""
    folder = tmp_path_factory.mktemp("text")
    chance = random.Random(5)
    letters = "bcdfghjklmnpqrstvwxz"
    stems = [["".join(chance.choices(letters, k=5)) for _ in range(80)] for _ in range(2)]
    lines: list[list[str]] = [[], []]
    gold = []
    for _ in range(SENTENCES):
        chosen = chance.sample(range(80), chance.randint(4, 9))
        order = chance.sample(chosen, len(chosen))
        for side, row in enumerate((chosen, order)):
            lines[side].append(" ".join(stems[side][stem] + chance.choice(ENDINGS) for stem in row))
        gold.append(SentenceLinks.from_pairs([(chosen.index(stem), place) for place, stem in enumerate(order)]))
    for name, side in zip(("s", "t"), lines):
        (folder / f"train.{name}").write_text("".join(line + "\n" for line in side))
    (folder / "gold").write_bytes(format_block(CorpusLinks.from_sentences(gold)))
    return folder


def aer(links: CorpusLinks, gold: Path) -> float:
    return AlignmentCounts.from_array(count_corpus(links, read_links(gold)).sum(axis=0)).aer


def test_pieces_link_words_that_are_rare(text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [
        "--source",
        f"{text}/train.s",
        "--target",
        f"{text}/train.t",
        "--symmetrisation",
        "intersection",
        "--length",
        "0.2",
    ]
    assert main(["align", *files, "--output", f"{tmp_path}/words"]) == 0
    capsys.readouterr()
    copies = ["--forward-output", f"{tmp_path}/forward", "--reverse-output", f"{tmp_path}/reverse"]
    assert main(["align", *files, *copies, "--output", f"{tmp_path}/pieces", "--also-pieces", "300,250"]) == 0
    printed = capsys.readouterr().err
    assert "3 of 3: 250 pieces\n" in printed
    assert f"{SENTENCES} sentence pairs, {SENTENCES} with links" in printed
    words, pieces, forward, reverse = (read_links(tmp_path / n) for n in ("words", "pieces", "forward", "reverse"))
    assert aer(pieces, text / "gold") < 0.15 < 0.3 < aer(words, text / "gold")
    assert pieces == symmetrise_corpus(forward, reverse, "intersection")


def test_a_data_folder_of_such_links(text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("s", "t"):
        with open(text / f"train.{name}") as lines:
            (tmp_path / f"train.{name}").write_text("".join(islice(lines, 60)))
    given = ["-s", "s", "-t", "t", "--trainpref", f"{tmp_path}/train", "--destdir", f"{tmp_path}/bin"]
    options = ["--aligner", "eflomal", "--also-pieces", "200", "--sentencepiece-vocab-size", "200"]
    assert main(["preprocess", *given, *options]) == 0
    assert "2 of 2: 200 pieces\n" in capsys.readouterr().err
    assert len(read_links(tmp_path / "bin" / "text" / "train.align")) == 60


def test_a_mark_that_stands_alone_is_no_word_for_the_aligner(text: Path, tmp_path: Path) -> None:
    """A letter that the model has never seen comes after a mark of its own."""
    with open(text / "train.s") as lines:
        train_model(lines, tmp_path / "model", 100, "bpe")
    cutter = TextCutter("sentencepiece", PieceEncoder(tmp_path / "model"))
    assert cutter(["Ж"])[0].pieces == ["▁", "Ж"]
    assert list(_lines_of_pieces(["Ж Ж"], cutter)) == ["Ж Ж"]
    assert _in_pieces(["Ж Ж"], cutter)[0].word.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--also-pieces", "8000,0"], "expected different numbers of pieces, such as 8000,4000,2000; got '8000,0'"),
        (["--also-pieces", "80,80"], "expected different numbers of pieces, such as 8000,4000,2000; got '80,80'"),
        (["--also-pieces", "300", "--chunk-pairs", "9"], "--also-pieces does not go with --chunk-pairs"),
        (["--also-pieces", "300", "--save-priors", "x"], "--also-pieces does not go with --save-priors"),
        (["--also-pieces", "30000"], "SentencePiece cannot train a bpe model of 30000 pieces"),
    ],
)
def test_what_does_not_go(
    text: Path, tmp_path: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    files = ["--source", f"{text}/train.s", "--target", f"{text}/train.t", "--output", f"{tmp_path}/out"]
    with pytest.raises(SystemExit) if "expected different" in message else nullcontext():
        assert main(["align", *files, *options]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_pieces_are_of_an_aligner(text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["-s", "s", "-t", "t", "--trainpref", f"{text}/train", "--destdir", f"{tmp_path}/bin"]
    assert main(["preprocess", *given, "--also-pieces", "300"]) == 2
    assert "--also-pieces goes with --aligner" in capsys.readouterr().err
