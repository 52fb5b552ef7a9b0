"""fairseq-generate and fairseq-interactive print the attention that was guided, whatever else they are told to do."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

pytest.importorskip("torch")
pytest.importorskip("fairseq")

import numpy as np
from conftest import MadeUpData, TrainedModel
from decoding_reference import Hypothesis, SlowModels, likeliest, printed
from fairseq_runs import GUIDED, STOCK_TASK, USER_DIR, run, train

from fairseq_guided_align.errors import GuidedAlignError

pytestmark = pytest.mark.slow

OTHER_MODELS: dict[str, list[object]] = {
    "next": [
        "--guided-alignment-layers", "all", "--guided-alignment-heads=-1", "--guided-alignment-position", "next",
        "--guided-alignment-unlinked", "eos",
    ],
    "each": [
        "--guided-alignment-layers", "0", "--guided-alignment-heads", "0,1", "--guided-alignment-reduction", "each",
    ],
    "full-context": [*GUIDED[:4], "--arch", "transformer_align", "--full-context-alignment", "--alignment-layer", 0],
    "transformer_align": [*GUIDED[:4], "--arch", "transformer_align", "--alignment-heads", 1, "--alignment-layer", 1],
    "stock-task": STOCK_TASK,
    "bart": [
        "--arch", "bart_base", "--guided-alignment-layers", "0", "--decoder-layers", 2, "--encoder-layers", 1,
        "--max-source-positions", 64, "--max-target-positions", 64,
    ],
}  # fmt: skip


class Case(NamedTuple):
    """A checkpoint, and what the reference has to know of it."""

    checkpoint: Path
    slow: SlowModels
    unlinked: str = "ignore"


@pytest.fixture(scope="module")
def case(
    made_up: MadeUpData, joined: Path, trained: TrainedModel, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Case]:
    """Cases by name; each is trained once, long enough for its attention to differ from row to row."""
    cases: dict[str, Case] = {}
    choices: dict[str, dict[str, Any]] = {
        "next": {"layers": (0, 1), "heads": (1,), "position": "next"},
        "each": {"layers": (0,), "heads": (0, 1)},
        "full-context": {"layers": (0,), "full_context": True},
        "bart": {"layers": (0,)},
    }

    def get(name: str) -> Case:
        if name not in cases:
            checkpoint = trained.checkpoint
            if name != "plain":
                folder = tmp_path_factory.mktemp(name)
                train(
                    joined if name == "bart" else made_up.binarised, folder, "--lr", 0.01, "--disable-validation",
                    *OTHER_MODELS[name], updates=40,
                )  # fmt: skip
                checkpoint = folder / "checkpoint_last.pt"
            slow = SlowModels([checkpoint], **choices.get(name, {}))
            cases[name] = Case(checkpoint, slow, "eos" if name == "next" else "ignore")
        return cases[name]

    return get


@pytest.fixture
def generate(made_up: MadeUpData, capsys: pytest.CaptureFixture[str]) -> Callable[..., list[Hypothesis]]:
    """Run ``fairseq-generate`` on the test split; what it printed."""

    def run_it(*options: object, data: Path = made_up.binarised) -> list[Hypothesis]:
        capsys.readouterr()
        run(
            "generate", data, "--user-dir", USER_DIR, *GUIDED[:2], "--cpu", "--num-workers", 0, "--batch-size", 16,
            "--beam", 3, "--max-len-b", 20, *options,
        )  # fmt: skip
        return printed(capsys.readouterr().out)

    return run_it


@pytest.fixture
def interactive(
    made_up: MadeUpData, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., list[Hypothesis]]:
    """Run ``fairseq-interactive`` on sentences; what it printed."""

    def run_it(sentences: list[str], *options: object) -> list[Hypothesis]:
        capsys.readouterr()
        monkeypatch.setattr("sys.stdin", io.StringIO("".join(line + "\n" for line in sentences)))
        run(
            "interactive", made_up.binarised, "--user-dir", USER_DIR, *GUIDED[:2], "--cpu", "--beam", 3,
            "--source-lang", "src", "--target-lang", "tgt", "--buffer-size", 8, "--batch-size", 8,
            "--max-len-b", 20, *options,
        )  # fmt: skip
        return printed(capsys.readouterr().out)

    return run_it


def sources(made_up: MadeUpData, count: int = 8) -> list[str]:
    return (made_up.text / "test.src").read_text(encoding="utf-8").splitlines()[:count]


def check_hard(hypotheses: list[Hypothesis], slow: SlowModels, unlinked: str) -> None:
    for one in hypotheses:
        assert one.pairs() == likeliest(slow.matrix(one.source, one.words), unlinked)


def check_soft(hypotheses: list[Hypothesis], slow: SlowModels) -> None:
    """Printed with six decimals."""
    for one in hypotheses:
        np.testing.assert_allclose(one.matrix(), slow.matrix(one.source, one.words), atol=4e-6)


SEARCHES: dict[str, tuple[list[object], int]] = {
    "beam": ([], 1),
    "left-padded": (["--nbest", 3, "--left-pad-target", "--left-pad-source"], 3),
    # Of all tokens, it could draw <s>, which fairseq does not print.
    "sampling": (["--sampling", "--sampling-topk", 3, "--nbest", 3], 3),
    "prefix": (["--prefix-size", 2], 1),
    # With fairseq's own task it stops as soon as a batch has sentences of higher numbers than its size.
    "diverse groups": (["--diverse-beam-groups", 3], 1),
    "score-reference": (["--score-reference"], 1),
    "score-left-padded": (["--score-reference", "--left-pad-target", "--left-pad-source"], 1),
}


@pytest.mark.parametrize(
    ("name", "search"),
    [
        *(("plain", search) for search in SEARCHES),
        ("next", "left-padded"),
        ("next", "score-reference"),
        ("full-context", "left-padded"),
        ("full-context", "score-left-padded"),
    ],
)
def test_generate_prints_the_guided_attention_of_every_search(
    case: Callable[[str], Case], generate: Callable[..., list[Hypothesis]], name: str, search: str
) -> None:
    options, per_sentence = SEARCHES[search]
    checkpoint, slow, unlinked = case(name)
    found = generate("--path", checkpoint, "--print-alignment", "soft", *options)
    assert len(found) == 40 * per_sentence
    check_soft(found, slow)
    if search in ("beam", "score-reference"):
        check_hard(generate("--path", checkpoint, "--print-alignment", "hard", *options), slow, unlinked)


@pytest.mark.parametrize("name", ["each", "transformer_align", "stock-task", "bart"])
def test_generate_prints_the_guided_attention_of_every_model(
    case: Callable[[str], Case], generate: Callable[..., list[Hypothesis]], name: str
) -> None:
    checkpoint, slow, unlinked = case(name)
    options = {"data": Path(slow.task.cfg.data)}
    check_hard(generate("--path", checkpoint, "--print-alignment", "hard", **options), slow, unlinked)
    check_soft(generate("--path", checkpoint, "--print-alignment", "soft", "--score-reference", **options), slow)


def test_references_scored_with_their_links_are_the_test_sets(
    made_up: MadeUpData, case: Callable[[str], Case], generate: Callable[..., list[Hypothesis]]
) -> None:
    """The guided head has learned the links: most of them come out, which no other head's would."""
    gold = (made_up.text / "test.align").read_text(encoding="utf-8").splitlines()
    found = generate("--path", case("plain").checkpoint, "--print-alignment", "hard", "--score-reference")
    right = total = 0
    for one in found:
        known = {tuple(map(int, pair.split("-"))) for pair in gold[one.number].split()}
        right += len(known & set(one.pairs()))
        total += len(known)
    assert right / total > 0.5


@pytest.mark.parametrize(("name", "search"), [("each", "beam"), ("full-context", "score-reference")])
def test_an_ensemble_prints_the_average_of_its_models(
    case: Callable[[str], Case], generate: Callable[..., list[Hypothesis]], name: str, search: str
) -> None:
    """Each model's own guided heads: layer 1's first, and both or the first of layer 0."""
    one, other = case("plain"), case(name)
    found = generate(
        "--path", f"{one.checkpoint}:{other.checkpoint}", "--print-alignment", "soft", *SEARCHES[search][0]
    )
    assert len(found) == 40
    for hypothesis in found:
        words = hypothesis.source, hypothesis.words
        average = (one.slow.matrix(*words) + other.slow.matrix(*words)) / 2
        np.testing.assert_allclose(hypothesis.matrix(), average, atol=4e-6)


@pytest.mark.parametrize("search", ["beam", "score-reference"])
def test_an_ensemble_whose_rows_mean_different_tokens_is_refused(
    case: Callable[[str], Case], generate: Callable[..., list[Hypothesis]], search: str
) -> None:
    checkpoints = f"{case('plain').checkpoint}:{case('next').checkpoint}"
    with pytest.raises(GuidedAlignError, match=r"position same.*position next"):
        generate("--path", checkpoints, "--print-alignment", "hard", *SEARCHES[search][0])


def test_a_prefix_is_kept(
    made_up: MadeUpData, case: Callable[[str], Case], generate: Callable[..., list[Hypothesis]]
) -> None:
    references = (made_up.text / "test.tgt").read_text(encoding="utf-8").splitlines()
    options = ["--path", case("plain").checkpoint, "--print-alignment", "hard"]
    given, free = (
        [one.words[:2] == references[one.number].split()[:2] for one in generate(*options, *more)]
        for more in (SEARCHES["prefix"][0], [])
    )
    assert all(given)
    assert not all(free)


@pytest.mark.parametrize("name", ["plain", "next"])
def test_interactive_prints_the_guided_attention(
    case: Callable[[str], Case], interactive: Callable[..., list[Hypothesis]], made_up: MadeUpData, name: str
) -> None:
    checkpoint, slow, unlinked = case(name)
    text = sources(made_up)
    hard = interactive(text, "--path", checkpoint, "--print-alignment", "hard", "--nbest", 2)
    assert [one.source for one in hard[::2]] == [line.split() for line in text]
    check_hard(hard, slow, unlinked)
    soft = interactive(text, "--path", checkpoint, "--print-alignment", "soft", "--alignment-threshold", 0.2)
    for one in soft:
        matrix = slow.matrix(one.source, one.words)[:-1, :-1]
        expected = {(int(s), int(t)): float(matrix[t, s]) for t, s in zip(*np.nonzero(matrix >= 0.2))}
        assert one.weights() == pytest.approx(expected, abs=1e-4)
    assert any(one.weights() for one in soft)


def test_generate_prints_weighted_links_above_a_threshold(
    case: Callable[[str], Case], generate: Callable[..., list[Hypothesis]]
) -> None:
    checkpoint, slow, _ = case("plain")
    found = generate("--path", checkpoint, "--print-alignment", "soft", "--alignment-threshold", 0.3)
    for one in found:
        matrix = slow.matrix(one.source, one.words)[:-1, :-1]
        assert set(one.weights()) == {(s, t) for t, s in zip(*np.nonzero(matrix >= 0.3))}


def test_a_threshold_for_hard_alignments_is_refused(
    case: Callable[[str], Case], generate: Callable[..., list[Hypothesis]]
) -> None:
    with pytest.raises(GuidedAlignError, match="goes with --print-alignment soft"):
        generate("--path", case("plain").checkpoint, "--print-alignment", "hard", "--alignment-threshold", 0.5)


@pytest.fixture(scope="module")
def raw_data(made_up: MadeUpData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The test split as raw text, with a word in each target that the model does not know."""
    folder = tmp_path_factory.mktemp("raw")
    for language in ("src", "tgt"):
        name = f"dict.{language}.txt"
        (folder / name).write_bytes((made_up.binarised / name).read_bytes())
        text = (made_up.text / f"test.{language}").read_text(encoding="utf-8").splitlines()[:8]
        lines = [f"novel{k} {line}" if language == "src" else line for k, line in enumerate(text)]
        (folder / f"test.src-tgt.{language}").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def test_unknown_words_are_replaced_by_the_guided_source_word(
    case: Callable[[str], Case], generate: Callable[..., list[Hypothesis]], raw_data: Path
) -> None:
    """The unknown word is made likely; each becomes the source word that its attention is highest on."""
    options = ["--path", case("plain").checkpoint, "--dataset-impl", "raw", "--unkpen=-20", "--max-len-b", 6]
    shown = generate(*options, "--print-alignment", "soft", data=raw_data)
    for form in ("soft", None):
        printing = ["--print-alignment", form] if form else []
        replaced = generate(*options, *printing, "--replace-unk", data=raw_data)
        unknown = 0
        assert len(shown) == len(replaced) == 8
        for before, after in zip(shown, replaced):
            assert before.number == after.number
            assert (after.alignment is not None) == (form is not None)
            best = before.matrix()[:-1, :-1].argmax(axis=1)
            for t, word in enumerate(before.words):
                unknown += word == "<unk>"
                assert after.words[t] == (after.source[best[t]] if word == "<unk>" else word)
        assert unknown > 8


def test_interactive_replaces_unknown_words(
    case: Callable[[str], Case], interactive: Callable[..., list[Hypothesis]], made_up: MadeUpData
) -> None:
    checkpoint, slow, _ = case("plain")
    options = ["--path", checkpoint, "--unkpen=-20", "--max-len-b", 6]
    text = sources(made_up, 3)
    shown = interactive(text, *options)
    replaced = interactive(text, *options, "--print-alignment", "hard", "--replace-unk")
    unknown = 0
    for before, after in zip(shown, replaced):
        best = slow.matrix(before.source, before.words)[:-1, :-1].argmax(axis=1)
        for t, word in enumerate(before.words):
            unknown += word == "<unk>"
            assert after.words[t] == (before.source[best[t]] if word == "<unk>" else word)
    assert unknown > 3
