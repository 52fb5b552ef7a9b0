"""``extract --tune``: reading links off attention is learnt from text with links, kept, and followed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from conftest import MadeUpData, TrainedModel
from decoding_reference import SlowModels

from fairseq_guided_align.aligning import tuning
from fairseq_guided_align.aligning.link_models import LinkedAttention, LinkReader, file_of_readers
from fairseq_guided_align.api import load
from fairseq_guided_align.cli.main import main
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.links.link import SentenceLinks
from fairseq_guided_align.links.reading import read_link_file
from fairseq_guided_align.scores.metrics import AlignmentCounts, count_links

TEXT = ["--subwords", "words", "--device", "cpu"]


@pytest.fixture
def checkpoint(trained: TrainedModel, tmp_path: Path) -> Path:
    """The shared model in a folder that a test may write to."""
    path = tmp_path / "model" / "checkpoint.pt"
    path.parent.mkdir()
    path.symlink_to(trained.checkpoint)
    return path


@pytest.fixture(scope="module")
def pairs(made_up: MadeUpData, trained: TrainedModel) -> list[LinkedAttention]:
    """Test text, its attention by the slow reference, and its links."""
    slow = SlowModels([trained.checkpoint])
    sides = [(made_up.text / f"test.{one}").read_text(encoding="utf-8").splitlines() for one in ("src", "tgt")]
    gold = read_link_file(made_up.text / "test.align")
    return [LinkedAttention([slow.matrix(s.split(), t.split())[:-1]], links) for s, t, links in zip(*sides, list(gold))]


def run(*arguments: object) -> int:
    return main(["extract", *map(str, arguments), *TEXT])


def test_what_is_learnt_is_shown_kept_and_followed(
    made_up: MadeUpData, checkpoint: Path, pairs: list[LinkedAttention], capsys: pytest.CaptureFixture[str]
) -> None:
    gold = made_up.text / "test.align"
    assert run(checkpoint, "--split", "test", "--tune", gold) == 0
    shown, told = capsys.readouterr()
    heads, *rows = shown.splitlines()
    assert heads.split() == ["links", "are", "read", "links", "precision", "recall", "AER"]
    assert [row.split("  ")[0] for row in rows[:2]] == ["argmax", "mutual-argmax"]
    # Half of the pairs at a time, the reader learnt from the other half.
    counts = AlignmentCounts()
    for fold in (0, 1):
        reader = LinkReader.fitted(pairs[1 - fold :: 2])
        counts += sum((count_links(reader.links(one.matrices), one.gold) for one in pairs[fold::2]), AlignmentCounts())
    assert rows[-1].split()[-4:] == [
        str(counts.predicted), *(f"{100 * one:.2f}" for one in (counts.precision, counts.recall, counts.aer))
    ]  # fmt: skip
    kept = file_of_readers(checkpoint)
    assert f"{kept}: extract reads links so from now on (words, one direction; learnt from" in told
    assert json.loads(kept.read_text()).keys() == {"words, one direction"}

    output = checkpoint.parent / "links"
    everything = LinkReader.fitted(pairs)
    for options, threshold in (([], everything.threshold), (["--method", "tuned", "--threshold", 0.9], 0.9)):
        assert run(checkpoint, "--split", "test", *options, "--output", output) == 0
        found = read_link_file(output)
        wanted = LinkReader(everything.model, threshold)
        for links, pair in zip(list(found), pairs):
            assert links.pairs() == wanted.links(pair.matrices).pairs()
            np.testing.assert_allclose(links.weight, wanted.links(pair.matrices).weight, atol=1e-3)
    # What was learnt is not taken for other attention, nor where another way is asked for.
    capsys.readouterr()
    for options in (["--method", "argmax"], ["--level", "pieces"], ["--attention", "last-layer"]):
        assert run(checkpoint, "--split", "test", *options, "--output", output) == 0
        assert "links are read as" not in capsys.readouterr().err


def test_python_follows_it(
    made_up: MadeUpData, checkpoint: Path, pairs: list[LinkedAttention], capsys: pytest.CaptureFixture[str]
) -> None:
    """Given translations, and the model's own."""
    model = load(str(checkpoint), device="cpu", subwords="words")
    with pytest.raises(GuidedAlignError, match="method tuned: nothing is known of words, one direction"):
        model.translate(["a"], method="tuned")
    assert run(checkpoint, "--split", "test", "--tune", made_up.text / "test.align") == 0
    sides = [(made_up.text / f"test.{one}").read_text(encoding="utf-8").splitlines() for one in ("src", "tgt")]
    reader = LinkReader.fitted(pairs)
    for links, pair in zip(model.align(*sides), pairs):
        assert links.pairs() == reader.links(pair.matrices).pairs()
    for threshold in (None, 0.9):
        wanted = reader if threshold is None else LinkReader(reader.model, threshold)
        for (best,) in model.translate(sides[0][:5], nbest=1, threshold=threshold, method="tuned"):
            assert best.links.pairs() == wanted.links([best.attention]).pairs()


def test_pieces_are_kept_beside_words(
    made_up: MadeUpData, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for level in ("words", "pieces"):
        assert run(checkpoint, "--split", "test", "--level", level, "--tune", made_up.text / "test.align") == 0
    kept = json.loads(file_of_readers(checkpoint).read_text())
    # A word is a piece here.
    assert kept["words, one direction"] == kept["pieces, one direction"]


def test_links_that_count_from_1(made_up: MadeUpData, checkpoint: Path) -> None:
    gold = (made_up.text / "test.align").read_text(encoding="utf-8")
    from_1 = checkpoint.parent / "links"
    from_1.write_text(re.sub(r"\d+", lambda number: str(int(number[0]) + 1), gold), encoding="utf-8")
    learnt = []
    for options in ([made_up.text / "test.align"], [from_1, "--gold-one-based"]):
        assert run(checkpoint, "--split", "test", "--tune", *options) == 0
        learnt.append(file_of_readers(checkpoint).read_text())
        file_of_readers(checkpoint).unlink()
    assert learnt[0] == learnt[1]


def test_what_is_left_out_is_counted(
    made_up: MadeUpData, checkpoint: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first pairs that have links are learnt from, up to a number of cells."""
    gold = (made_up.text / "test.align").read_text(encoding="utf-8").splitlines()
    (checkpoint.parent / "links").write_text("\n".join(["", *gold[1:]]) + "\n", encoding="utf-8")
    monkeypatch.setattr(tuning, "MOST_CELLS", 1000)
    assert run(checkpoint, "--split", "test", "--tune", checkpoint.parent / "links") == 0
    told = capsys.readouterr().err
    learnt, more = (int(re.search(pattern, told)[1]) for pattern in (r"from (\d+) sentence", r"(\d+) more than"))
    assert 1 < learnt < 20
    assert learnt + more == len(gold) - 1
    assert "sentence pairs left out: 1 without links, " in told


def test_links_are_the_cells_that_reach_the_threshold(pairs: list[LinkedAttention]) -> None:
    model = LinkReader.fitted(pairs).model
    for threshold in (0.1, 0.9):
        for pair in pairs[:5]:
            probability = model.probabilities(pair.matrices)
            found = LinkReader(model, threshold).links(pair.matrices)
            wanted = {(s, t) for t, s in np.ndindex(probability.shape) if probability[t, s] >= threshold}
            assert set(found.pairs()) == wanted
            np.testing.assert_allclose(found.weight, probability[found.target, found.source], rtol=1e-6)


def test_possible_links_are_neither_links_nor_none() -> None:
    gold = SentenceLinks.from_pairs([(0, 0), (1, 1)], sure=[True, False])
    _, linked, counts = LinkedAttention([np.full((2, 3), 1 / 3)], gold).cells()
    assert linked.tolist() == [[True, False], [False, False]]
    assert counts.tolist() == [[True, True], [True, False]]


def test_links_that_are_not_the_texts_are_refused(
    made_up: MadeUpData, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gold = (made_up.text / "test.align").read_text(encoding="utf-8").splitlines()
    for lines, wanted in (
        (gold[:-1], f"links: expected links of {len(gold)} sentence pairs; got {len(gold) - 1} lines"),
        ([*gold, ""], f"links: expected links of {len(gold)} sentence pairs; got {len(gold) + 1} lines"),
        ([gold[0], "999-0", *gold[2:]], "links, line 2: expected links within"),
        ([""] * len(gold), "links: expected links to learn from; there are none"),
    ):
        (tmp_path / "links").write_text("\n".join(lines) + "\n", encoding="utf-8")
        assert run(checkpoint, "--split", "test", "--tune", tmp_path / "links") == 2
        assert wanted in capsys.readouterr().err
        assert not file_of_readers(checkpoint).exists()


def test_a_file_that_cannot_be_read_says_what_to_do(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = {"threshold": 0.4, "directions": 1, **{name: [1.0, 2.0] for name in ("weights", "mean", "deviation")}}
    for content in ("{", *(json.dumps({"words, one direction": one}) for one in ({}, 3, few))):
        file_of_readers(checkpoint).write_text(content, encoding="utf-8")
        assert run(checkpoint) == 2
        assert "delete it, and make it anew with extract --tune" in capsys.readouterr().err
