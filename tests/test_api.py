"""The Python functions: translations with links, links of given text, scores; against fairseq's own programs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import MadeUpData, TrainedModel
from decoding_reference import SlowModels, likeliest, printed
from fairseq_runs import GUIDED, STOCK_TASK, USER_DIR, run, train

from fairseq_guided_align.api import Model, load
from fairseq_guided_align.errors import AlignmentLengthError, GuidedAlignError


@pytest.fixture(scope="module")
def model(trained: TrainedModel) -> Model:
    return load(str(trained.checkpoint), device="cpu", subwords="words")


@pytest.fixture(scope="module")
def text(made_up: MadeUpData) -> tuple[list[str], list[str]]:
    source, target = (
        (made_up.text / f"test.{end}").read_text(encoding="utf-8").splitlines()[:12] for end in ("src", "tgt")
    )
    return source, target


@pytest.fixture(scope="module")
def slow(trained: TrainedModel) -> SlowModels:
    return SlowModels([trained.checkpoint])


def test_translations_are_those_of_generate(
    made_up: MadeUpData, trained: TrainedModel, model: Model, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = (made_up.text / "test.src").read_text(encoding="utf-8").splitlines()
    found = model.translate(lines, beam=3, nbest=2, max_tokens=60, max_len_b=20)
    capsys.readouterr()
    run(
        "generate", made_up.binarised, "--user-dir", USER_DIR, *GUIDED[:2], "--cpu", "--num-workers", 0,
        "--path", trained.checkpoint, "--beam", 3, "--nbest", 2, "--max-len-b", 20, "--print-alignment", "hard",
    )  # fmt: skip
    expected = printed(capsys.readouterr().out)
    assert len(expected) == 80
    for k, hypothesis in enumerate(sorted(expected, key=lambda one: one.number)):
        translation = found[hypothesis.number][k % 2]
        assert translation.text.split() == translation.pieces == hypothesis.words
        assert translation.links.pairs() == hypothesis.pairs()


def test_translations_hold_their_attention(model: Model, text: tuple[list[str], list[str]], slow: SlowModels) -> None:
    for source, (best,) in zip(text[0], model.translate(text[0], beam=2, max_len_b=20)):
        matrix = slow.matrix(source.split(), best.pieces)
        np.testing.assert_allclose(best.attention, matrix[:-1], atol=4e-6)
        assert best.links.pairs() == likeliest(matrix, "ignore")


def test_given_text_is_aligned(model: Model, text: tuple[list[str], list[str]], slow: SlowModels) -> None:
    links = model.align(*text, max_tokens=40)
    expected = [slow.matrix(s.split(), t.split()) for s, t in zip(*text)]
    assert [one.pairs() for one in links] == [likeliest(matrix, "ignore") for matrix in expected]
    assert model.align(*text, max_tokens=1) == links  # each pair is a batch of its own
    soft = model.align(*text, method="threshold", threshold=0.4)
    for one, matrix in zip(soft, expected):
        assert set(one.pairs()) == {(s, t) for t, s in zip(*np.nonzero(matrix[:-1, :-1] >= 0.4))}


def test_links_join_words_or_pieces(trained: TrainedModel, text: tuple[list[str], list[str]], slow: SlowModels) -> None:
    """The first two of four words on either side are made pieces of one word."""
    model = load(str(trained.checkpoint), device="cpu", subwords="bpe")
    source, target = (" ".join(side[0].split()[:4]).replace(" ", "@@ ", 1) for side in text)
    pieces = slow.matrix(source.split(), target.split())[:-1]
    columns = np.stack([pieces[:, 0] + pieces[:, 1], *pieces.T[2:]], axis=1)
    words = np.stack([(columns[0] + columns[1]) / 2, *columns[2:]])
    for level, matrix in (("pieces", pieces), ("words", words)):
        (links,) = model.align([source], [target], level=level, method="threshold", threshold=1e-9)
        expected = {(s, t): matrix[t, s] for t in range(len(matrix)) for s in range(len(matrix[0]) - 1)}
        assert dict(zip(links.pairs(), links.weight)) == pytest.approx(expected, abs=1e-5)
        ((best,),) = model.translate([source], level=level, max_len_b=5)
        assert best.attention.shape == (len(best.pieces), len(matrix[0]))


def test_scores_are_the_probabilities_of_the_search(model: Model, text: tuple[list[str], list[str]]) -> None:
    best = [one[0] for one in model.translate(text[0], beam=2, max_len_b=20, unnormalized=True)]
    scores = model.score(text[0], [one.text for one in best])
    for translation, score in zip(best, scores):
        assert score.tokens == len(translation.pieces) + 1
        assert score.log_probability == pytest.approx(translation.score, abs=1e-4)


def test_no_sentences_give_no_results(model: Model) -> None:
    assert model.translate([]) == model.align([], []) == model.score([], []) == []


def test_a_checkpoint_of_fairseqs_own_task_is_read_as_guided(
    made_up: MadeUpData, text: tuple[list[str], list[str]], tmp_path: Path
) -> None:
    """The criterion alone was ours; the checkpoint knows that the first layer's second head was guided."""
    train(
        made_up.binarised, tmp_path, *STOCK_TASK, "--disable-validation", "--guided-alignment-layers", 0,
        "--guided-alignment-heads", 1, "--lr", 0.01, updates=20,
    )  # fmt: skip
    checkpoint = tmp_path / "checkpoint_last.pt"
    slow = SlowModels([checkpoint], layers=(0,), heads=(1,))
    model = load(str(checkpoint), device="cpu", subwords="words")
    for source, (best,) in zip(text[0], model.translate(text[0], beam=2, max_len_b=12)):
        assert best.links.pairs() == likeliest(slow.matrix(source.split(), best.pieces), "ignore")
    for source, target, links in zip(*text, model.align(*text)):
        assert links.pairs() == likeliest(slow.matrix(source.split(), target.split()), "ignore")


def test_mistakes_are_told(model: Model, trained: TrainedModel) -> None:
    with pytest.raises(AlignmentLengthError, match="got 2 and 1"):
        model.align(["a", "b"], ["c"])
    with pytest.raises(GuidedAlignError, match="expected a level out of words, pieces"):
        model.align(["a"], ["b"], level="letters")
    with pytest.raises(GuidedAlignError, match=r"a method out of argmax, .*; got 'best'"):
        model.align(["a"], ["b"], method="best")
    for method, threshold in (("threshold", None), ("argmax", 0.5)):
        with pytest.raises(GuidedAlignError, match=f"belongs to the method threshold; got {method} and {threshold}"):
            model.align(["a"], ["b"], method=method, threshold=threshold)
    for nbest in (0, 3):
        with pytest.raises(GuidedAlignError, match=f"got nbest {nbest} and beam 2"):
            model.translate(["a"], beam=2, nbest=nbest)
    with pytest.raises(GuidedAlignError, match=r"options of fairseq's search, .*; got lenpenn, prefix_size"):
        model.translate(["a"], lenpenn=0.6, prefix_size=1)
    for call in (lambda: model.translate("a b"), lambda: model.align("a b", ["c"]), lambda: model.score(["a"], "b")):
        with pytest.raises(GuidedAlignError, match="expected a list of sentences; got a single text: '"):
            call()
    with pytest.raises(GuidedAlignError, match="--device: the model cannot run on 'gpu': "):
        load(str(trained.checkpoint), device="gpu", subwords="words")
    with pytest.raises(GuidedAlignError, match="sentence 2 is"):
        model.align(["a", "a " * 1100], ["b", "c"])
    with pytest.raises(GuidedAlignError, match=r"says nothing of subwords; give subwords"):
        load(str(trained.checkpoint), device="cpu")
    with pytest.raises(GuidedAlignError, match=r"nowhere\.pt: cannot be read"):
        load("nowhere.pt")
