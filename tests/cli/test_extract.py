"""``extract``: the links of given text, of a split or of two files, by one model or two, in the order of the text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from conftest import MadeUpData, TrainedModel
from decoding_reference import SlowModels, likeliest
from fairseq_runs import run as run_fairseq
from fairseq_runs import train

from fairseq_guided_align.aligning.link_models import LinkedAttention, LinkReader
from fairseq_guided_align.cli.main import main
from fairseq_guided_align.links.link import SentenceLinks
from fairseq_guided_align.links.reading import read_link_file
from fairseq_guided_align.links.symmetrisation import symmetrise


def text_of(made_up: MadeUpData, language: str) -> list[str]:
    return (made_up.text / f"test.{language}").read_text(encoding="utf-8").splitlines()


def extracted(path: Path, *arguments: object) -> list[str]:
    assert main(["extract", *map(str, arguments), "--output", str(path), "--device", "cpu"]) == 0
    return path.read_text(encoding="utf-8").splitlines()


def pairs_of(line: str) -> list[tuple[int, int]]:
    return [tuple(map(int, pair.split("-"))) for pair in line.split()]  # type: ignore[misc]


@pytest.fixture(scope="module")
def matrices(made_up: MadeUpData, trained: TrainedModel) -> list[np.ndarray]:
    """(target words + ``</s>``, source words + ``</s>``) of every test pair, by the slow reference."""
    slow = SlowModels([trained.checkpoint])
    return [slow.matrix(s.split(), t.split()) for s, t in zip(text_of(made_up, "src"), text_of(made_up, "tgt"))]


@pytest.mark.parametrize("source", ["split", "files"])
def test_links_are_the_likeliest_of_a_slow_forced_pass(
    made_up: MadeUpData, trained: TrainedModel, matrices: list[np.ndarray], tmp_path: Path, source: str
) -> None:
    text = ["--split", "test", "--subwords", "words"]
    if source == "files":
        text = ["--source", str(made_up.text / "test.src"), "--target", str(made_up.text / "test.tgt")]
    lines = extracted(tmp_path / "links", trained.checkpoint, *text, "--max-tokens", 60)
    assert [pairs_of(line) for line in lines] == [likeliest(matrix, "ignore") for matrix in matrices]


def test_probabilities_and_thresholds(trained: TrainedModel, matrices: list[np.ndarray], tmp_path: Path) -> None:
    lines = extracted(tmp_path / "soft", trained.checkpoint, "--level", "pieces", "--method", "soft")
    for line, matrix in zip(lines, matrices):
        rows = np.array([[float(p) for p in row.split(",")] for row in line.split()])
        np.testing.assert_allclose(rows, matrix[:-1], atol=4e-6)
    lines = extracted(
        tmp_path / "links", trained.checkpoint, "--level", "pieces", "--method", "threshold", "--threshold", 0.3
    )
    for line, matrix in zip(lines, matrices):
        found = {tuple(map(int, pair.split(":")[0].split("-"))) for pair in line.split()}
        assert found == {(s, t) for t, s in zip(*np.nonzero(matrix[:-1, :-1] >= 0.3))}


def test_files_with_empty_and_unknown_text_keep_their_lines(trained: TrainedModel, tmp_path: Path) -> None:
    """A pair with an empty side has no links; words that the model does not know have."""
    (tmp_path / "s").write_text("\nnever seen before\nnever\n", encoding="utf-8")
    (tmp_path / "t").write_text("the\nnor these\n\n", encoding="utf-8")
    lines = extracted(tmp_path / "links", trained.checkpoint, "--source", tmp_path / "s", "--target", tmp_path / "t")
    assert [bool(line) for line in lines] == [False, True, False]
    assert {t for _, t in pairs_of(lines[1])} == {0, 1}


def test_too_long_pairs_are_counted_and_have_an_empty_line(
    trained: TrainedModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "s").write_text("a b\n" + "a " * 1100 + "\na\n", encoding="utf-8")
    (tmp_path / "t").write_text("x\ny\nz\n", encoding="utf-8")
    lines = extracted(tmp_path / "links", trained.checkpoint, "--source", tmp_path / "s", "--target", tmp_path / "t")
    assert [bool(line) for line in lines] == [True, False, True]
    assert "warning: 1 sentence pairs are too long for the model" in capsys.readouterr().err


class Reverse(NamedTuple):
    checkpoint: Path
    matrices: list[np.ndarray]


@pytest.fixture(scope="module")
def reverse(made_up: MadeUpData, tmp_path_factory: pytest.TempPathFactory) -> Reverse:
    """A model of the opposite direction, of another position, barely trained."""
    folder = tmp_path_factory.mktemp("reverse")
    text = tmp_path_factory.mktemp("reverse-text")
    for split in ("train", "test"):
        for language in ("src", "tgt"):
            (text / f"{split}.{language}").symlink_to(made_up.text / f"{split}.{language}")
        lines = (made_up.text / f"{split}.align").read_text(encoding="utf-8").splitlines()
        inverted = [" ".join(f"{t}-{s}" for s, t in pairs_of(line)) for line in lines]
        (text / f"{split}.inverse").write_text("\n".join(inverted) + "\n", encoding="utf-8")
    run_fairseq(
        "preprocess", "--source-lang", "tgt", "--target-lang", "src", "--destdir", folder / "bin",
        "--trainpref", text / "train", "--validpref", text / "test", "--testpref", text / "test",
        "--align-suffix", "inverse",
    )  # fmt: skip
    train(
        folder / "bin", folder / "model", "--disable-validation", "--guided-alignment-position", "next",
        "--guided-alignment-unlinked", "eos", "--lr", 0.01, updates=60,
    )  # fmt: skip
    slow = SlowModels([folder / "model" / "checkpoint_last.pt"], position="next")
    found = [slow.matrix(t.split(), s.split()) for s, t in zip(text_of(made_up, "src"), text_of(made_up, "tgt"))]
    return Reverse(folder / "model" / "checkpoint_last.pt", found)


def test_two_directions_are_averaged(
    trained: TrainedModel, matrices: list[np.ndarray], reverse: Reverse, tmp_path: Path
) -> None:
    options = ["--reverse-checkpoint", reverse.checkpoint, "--subwords", "words", "--method", "threshold"]
    lines = extracted(tmp_path / "links", trained.checkpoint, *options, "--threshold", 0.35)
    for line, forward, backward in zip(lines, matrices, reverse.matrices):
        mean = (forward[:-1, :-1] + backward[:-1, :-1].T) / 2
        found = {tuple(map(int, pair.split(":")[0].split("-"))) for pair in line.split()}
        assert found == {(s, t) for t, s in zip(*np.nonzero(mean >= 0.35))}


def test_two_directions_are_read_as_learnt(
    made_up: MadeUpData, trained: TrainedModel, matrices: list[np.ndarray], reverse: Reverse, tmp_path: Path
) -> None:
    (tmp_path / "model.pt").symlink_to(trained.checkpoint)
    both = [tmp_path / "model.pt", "--reverse-checkpoint", reverse.checkpoint, "--subwords", "words"]
    gold = made_up.text / "test.align"
    assert main(["extract", *map(str, both), "--device", "cpu", "--tune", str(gold)]) == 0
    lines = extracted(tmp_path / "links", *both)
    reader = LinkReader.fitted(
        [
            LinkedAttention([forward[:-1], backward[:-1]], links)
            for forward, backward, links in zip(matrices, reverse.matrices, list(read_link_file(gold)))
        ]
    )
    for line, forward, backward in zip(lines, matrices, reverse.matrices):
        found = [tuple(map(int, pair.split(":")[0].split("-"))) for pair in line.split()]
        assert found == reader.links([forward[:-1], backward[:-1]]).pairs()


def test_two_directions_are_symmetrised(
    made_up: MadeUpData, trained: TrainedModel, matrices: list[np.ndarray], reverse: Reverse, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Also under the option's earlier name."""
    files = ["--source", made_up.text / "test.src", "--target", made_up.text / "test.tgt"]
    for option, method in (("--symmetrisation", "intersection"), ("--combine", "grow-diag-final-and")):
        capsys.readouterr()
        options = ["--reverse-checkpoint", reverse.checkpoint, option, method, *files]
        lines = extracted(tmp_path / "links", trained.checkpoint, *options)
        for line, forward, backward in zip(lines, matrices, reverse.matrices):
            one = SentenceLinks.from_pairs(likeliest(forward, "ignore"))
            other = SentenceLinks.from_pairs(likeliest(backward, "eos")).inverted()
            assert sorted(pairs_of(line)) == sorted(symmetrise(one, other, method).pairs())
        told = "warning: --combine is now --symmetrisation, and goes with the next release\n"
        assert (told in capsys.readouterr().err) == (option == "--combine")


def test_the_other_model_has_to_be_of_the_opposite_direction(
    trained: TrainedModel, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["extract", str(trained.checkpoint), "--reverse-checkpoint", str(trained.checkpoint)]
    assert main([*arguments, "--symmetrisation", "union"]) == 2
    assert "expected a model of the language pair tgt-src; got one from src to tgt" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--threshold", "0.5"], "--threshold goes with --method threshold or tuned"),
        (["--method", "threshold"], "--method threshold needs --threshold"),
        (["--method", "tuned"], "--method tuned: nothing is known of words, one direction in"),
        (["--tune", "x", "--method", "argmax"], "--tune learns how links are read"),
        (["--tune", "x", "--output", "y"], "--tune writes no links"),
        (["--gold-one-based"], "--gold-one-based says how the links of --tune count"),
        (["--method", "threshold", "--threshold", "2"], "above 0 and at most 1; got 2.0"),
        (["--source", "a"], "--source and --target go together"),
        (["--source", "a", "--target", "b", "--split", "test"], "give one"),
        (["--pieces"], "--pieces and SentencePiece models go with"),
        (["--symmetrisation", "union"], "go with --reverse-checkpoint"),
        (["--reverse-checkpoint", "x"], "learn one with --tune (best)"),
        (["--reverse-checkpoint", "x", "--method", "argmax"], "goes with --method tuned, threshold or mutual-argmax"),
        (
            ["--reverse-checkpoint", "x", "--method", "tuned", "--symmetrisation", "union"],
            "--method tuned reads both models at once",
        ),
        (["--reverse-checkpoint", "x", "--method", "soft"], "probabilities of one model"),
        ([], "nowhere.pt: cannot be read as a checkpoint"),
    ],
)
def test_contradictions_are_refused(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["extract", "nowhere.pt", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_missing_split_and_files_of_other_lengths_are_told(
    made_up: MadeUpData, trained: TrainedModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["extract", str(trained.checkpoint), "--split", "none", "--device", "cpu"]) == 2
    assert "'none'" in capsys.readouterr().err
    (tmp_path / "s").write_text("a\nb\n", encoding="utf-8")
    (tmp_path / "t").write_text("a\n", encoding="utf-8")
    target = tmp_path / "out"
    files = ["--source", str(tmp_path / "s"), "--target", str(tmp_path / "t"), "--output", str(target)]
    assert main(["extract", str(trained.checkpoint), *files]) == 2
    assert "has 2" in capsys.readouterr().err
    assert not target.exists()


def word_matrix(slow: SlowModels, source: list[str], target: list[str]) -> np.ndarray:
    """By the marks of the pieces, in a loop."""
    numbers = []
    for pieces in (source, target):
        numbers.append([sum(piece.startswith("▁") for piece in pieces[: i + 1]) - 1 for i in range(len(pieces))])
    matrix = slow.matrix(source, target)
    words = [numbers[0][-1] + 1, numbers[1][-1] + 1]
    merged = np.zeros((words[1] + 1, words[0] + 1))
    for t, row in enumerate(matrix[:-1]):
        for s, p in enumerate(row):
            column = numbers[0][s] if s < len(numbers[0]) else words[0]
            merged[numbers[1][t], column] += p / numbers[1].count(numbers[1][t])
    return merged


def test_pieces_become_words(made_up: MadeUpData, sentencepiece_model: tuple[Path, Path], tmp_path: Path) -> None:
    checkpoint, data = sentencepiece_model
    folder = data / "text"
    pieces = [(folder / f"test.pieces.{lang}").read_text(encoding="utf-8").splitlines() for lang in ("src", "tgt")]
    assert any(len(line.split()) > len(words.split()) for line, words in zip(pieces[0], text_of(made_up, "src")))
    slow = SlowModels([checkpoint])
    expected = [likeliest(word_matrix(slow, one.split(), other.split()), "ignore") for one, other in zip(*pieces)]
    for text in (
        [],
        ["--source", made_up.text / "test.src", "--target", made_up.text / "test.tgt"],
        ["--source", folder / "test.pieces.src", "--target", folder / "test.pieces.tgt", "--pieces"],
    ):
        assert [pairs_of(line) for line in extracted(tmp_path / "links", checkpoint, *text)] == expected


def test_printed_links_between_words(
    sentencepiece_model: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    from decoding_reference import printed
    from fairseq_runs import GUIDED, USER_DIR

    checkpoint, data = sentencepiece_model
    options = [
        data, "--user-dir", USER_DIR, *GUIDED[:2], "--cpu", "--path", checkpoint, "--beam", 2, "--max-len-b", 12,
        "--alignment-level", "words", "--num-workers", 0,
    ]  # fmt: skip
    slow = SlowModels([checkpoint])
    capsys.readouterr()
    run_fairseq("generate", *options, "--print-alignment", "hard")
    for one in printed(capsys.readouterr().out):
        if one.words[0].startswith("▁") and "<unk>" not in one.words:
            assert one.pairs() == likeliest(word_matrix(slow, one.source, one.words), "ignore")
    run_fairseq("generate", *options, "--print-alignment", "soft")
    for one in printed(capsys.readouterr().out):
        if one.words[0].startswith("▁") and "<unk>" not in one.words:
            expected = word_matrix(slow, one.source, one.words)
            np.testing.assert_allclose(one.matrix()[:-1], expected[:-1], atol=4e-6)


def test_a_folder_that_does_not_say_what_words_are(
    made_up: MadeUpData, trained: TrainedModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "bin"
    data.mkdir()
    for path in made_up.binarised.iterdir():
        (data / path.name).symlink_to(path)
    (data / "guided_alignment.json").write_text(json.dumps({"subwords": "syllables"}), encoding="utf-8")
    files = ["--source", str(made_up.text / "test.src"), "--target", str(made_up.text / "test.tgt")]
    assert main(["extract", str(trained.checkpoint), "--data", str(data), *files]) == 2
    assert "got 'syllables' there" in capsys.readouterr().err
    (data / "guided_alignment.json").write_text(json.dumps({"subwords": "sentencepiece"}), encoding="utf-8")
    assert main(["extract", str(trained.checkpoint), "--data", str(data), *files]) == 2
    assert "expected the name of the SentencePiece model" in capsys.readouterr().err
