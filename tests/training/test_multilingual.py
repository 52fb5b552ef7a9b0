"""Several language pairs in one model of fairseq's: every pair's links are found, guided, measured and read."""

from __future__ import annotations

import io
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from conftest import MadeUpData
from decoding_reference import Hypothesis, SlowModels, likeliest, printed
from fairseq_runs import (
    GUIDED,
    LAST_LAYER,
    TINY_MODEL,
    TINY_TRAINING,
    USER_DIR,
    of_logger,
    run,
    run_for_figures,
    train,
    validate,
)

from fairseq_guided_align.aligning.extraction import AlignmentModel
from fairseq_guided_align.api import load
from fairseq_guided_align.cli.main import main
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.links.pharaoh import read_links

PAIRS = ["src-tgt", "tgt-src"]
TASK = ["--task", "multilingual_translation_guided_alignment", "--lang-pairs", ",".join(PAIRS)]
MULTILINGUAL = [*TASK, "--criterion", "guided_alignment_ce", LAST_LAYER, "--arch", "multilingual_transformer"]
LANGUAGE_TOKENS = ["--encoder-langtok", "tgt", "--decoder-langtok"]
MODELS: dict[str, list[object]] = {
    "separate": ["--eval-aer"],
    "shared": [
        "--share-encoders", "--share-decoders", "--share-all-embeddings", *LANGUAGE_TOKENS,
        "--guided-alignment-layers", 0, "--guided-alignment-heads", 1, "--guided-alignment-position", "next",
        "--guided-alignment-unlinked", "eos",
    ],
}  # fmt: skip


class Case(NamedTuple):
    """A model of both directions.

    :param generation: options that its decoding needs.
    """

    checkpoint: Path
    log: list[dict[str, Any]]
    data: Path
    generation: list[object]
    choice: dict[str, Any]
    unlinked: str


@pytest.fixture(scope="module")
def case(made_up: MadeUpData, joined: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Case]:
    cases: dict[str, Case] = {}

    def get(name: str) -> Case:
        if name not in cases:
            folder, data = tmp_path_factory.mktemp(name), joined if name == "shared" else made_up.binarised
            log = train(data, folder, *MULTILINGUAL, "--lr", 0.01, "--no-epoch-checkpoints", *MODELS[name], updates=40)
            choice: dict[str, Any] = {} if name == "separate" else {"layers": (0,), "heads": (1,), "position": "next"}
            cases[name] = Case(
                folder / "checkpoint_last.pt", log, data, [] if name == "separate" else list(LANGUAGE_TOKENS), choice,
                "ignore" if name == "separate" else "eos",
            )  # fmt: skip
        return cases[name]

    return get


def decoding(case: Case, pair: str) -> list[object]:
    source, target = pair.split("-")
    return [
        "--user-dir", USER_DIR, *TASK, "--source-lang", source, "--target-lang", target, "--path", case.checkpoint,
        "--cpu", "--beam", 3, "--max-len-b", 20, *case.generation,
    ]  # fmt: skip


def text(made_up: MadeUpData, pair: str) -> list[list[str]]:
    return [(made_up.text / f"test.{one}").read_text(encoding="utf-8").splitlines() for one in pair.split("-")]


def in_order(output: str) -> list[Hypothesis]:
    return sorted(printed(output), key=lambda one: one.number)


@pytest.mark.parametrize(("name", "pair"), [("separate", "tgt-src"), ("shared", "src-tgt")])
def test_every_reader_gives_the_links_of_a_slow_loop(
    made_up: MadeUpData,
    case: Callable[[str], Case],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    name: str,
    pair: str,
) -> None:
    one = case(name)
    slow = SlowModels([one.checkpoint], lang_pair=pair, **one.choice)
    sources, targets = text(made_up, pair)
    expected = [
        likeliest(slow.matrix(source.split(), target.split()), one.unlinked) for source, target in zip(sources, targets)
    ]
    capsys.readouterr()
    arguments = [*decoding(one, pair), "--print-alignment", "hard"]
    run("generate", one.data, *arguments, "--num-workers", 0, "--batch-size", 16, "--score-reference")
    scored = in_order(capsys.readouterr().out)
    assert [found.pairs() for found in scored] == expected

    run("generate", one.data, *arguments, "--num-workers", 0, "--batch-size", 16)
    generated = in_order(capsys.readouterr().out)
    assert len(generated) == 40
    for found in generated:
        # fairseq shows a language token in the place of </s> as a word of the source
        source = sources[found.number].split()
        assert found.pairs() == likeliest(slow.matrix(source, found.words), one.unlinked)
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(line + "\n" for line in sources[:4])))
    run("interactive", one.data, *arguments)
    typed = printed(capsys.readouterr().out)
    assert [(found.words, found.alignment) for found in typed] == [
        (found.words, found.alignment) for found in generated[:4]
    ]

    output = tmp_path / "links"
    common = ["extract", str(one.checkpoint), "--lang-pair", pair, "--output", str(output)]
    files = [str(made_up.text / f"test.{language}") for language in pair.split("-")]
    for given in (["--split", "test", "--subwords", "words"], ["--source", files[0], "--target", files[1]]):
        assert main([*common, *given]) == 0
        assert [sorted(found.pairs()) for found in read_links(output)] == [sorted(found) for found in expected]

    model = load(str(one.checkpoint), device="cpu", subwords="words", lang_pair=pair)
    assert [sorted(links.pairs()) for links in model.align(sources, targets)] == [sorted(links) for links in expected]
    translated = model.translate(sources, beam=3, max_len_b=20)
    assert [best[0].pieces for best in translated] == [found.words for found in generated]
    assert [sorted(best[0].links.pairs()) for best in translated] == [sorted(found.pairs()) for found in generated]


def test_figures_of_each_pair_are_those_of_the_translation_task(
    made_up: MadeUpData, case: Callable[[str], Case], tmp_path: Path
) -> None:
    """The pair's part of the model as an ordinary one, validated on the same batches."""
    one = case("separate")
    (both,) = run_for_figures(
        "validate", made_up.binarised, "--user-dir", USER_DIR, *TASK, "--eval-aer", "--path", one.checkpoint, "--cpu",
        "--num-workers", 0, "--batch-size", 40,
    )  # fmt: skip
    weights = torch.load(one.checkpoint, map_location="cpu")["model"]
    for pair in PAIRS:
        source, target = pair.split("-")
        folder = tmp_path / pair
        train(
            made_up.binarised, folder, "--source-lang", source, "--target-lang", target, "--arch", "transformer",
            "--disable-validation", updates=1,
        )  # fmt: skip
        state = torch.load(folder / "checkpoint_last.pt", map_location="cpu")
        begin = f"models.{pair}."
        state["model"] = {key[len(begin) :]: value for key, value in weights.items() if key.startswith(begin)}
        torch.save(state, folder / "alone.pt")
        alone = validate(
            made_up.binarised, folder / "alone.pt", "--eval-aer", "--batch-size", 40, "--source-lang", source,
            "--target-lang", target,
        )  # fmt: skip
        for key in ("nll_loss", "alignment_loss", "link_coverage", "aer", "alignment_precision"):
            assert float(both[f"valid_{pair}:{key}"]) == pytest.approx(float(alone[f"valid_{key}"]), abs=2e-6), key
        trained = of_logger(one.log, "valid")[-1]
        assert float(trained[f"valid_{pair}:aer"]) == pytest.approx(float(alone["valid_aer"]), abs=2e-6)


def test_guidance_lowers_the_alignment_loss_of_every_pair(case: Callable[[str], Case]) -> None:
    for name in MODELS:
        for pair in PAIRS:
            losses = of_logger(case(name).log, "train_inner", f"{pair}:alignment_loss")
            assert losses[-1] < losses[0] - 0.05


def test_links_in_text_files_serve_both_directions(made_up: MadeUpData, tmp_path: Path, caplog: Any) -> None:
    """Named for one pair; the other reads them the other way round. Coverage is told for each split and pair."""
    data = tmp_path / "bin"
    shutil.copytree(made_up.binarised, data, ignore=shutil.ignore_patterns("*.align.*"))
    files = ",".join(f"{split}.src-tgt={made_up.text / split}.align" for split in ("train", "valid"))
    figures = []
    for folder, options in ((made_up.binarised, []), (data, ["--alignment-files", files])):
        with caplog.at_level(logging.INFO, "fairseq_guided_align"):
            log = train(folder, tmp_path / "out", *MULTILINGUAL, "--no-save", *options, updates=2)
        figures.append([{k: v for k, v in one.items() if "alignment_loss" in k} for one in log])
    assert figures[0] == figures[1]
    lines = [record.getMessage() for record in caplog.records if record.getMessage().startswith("links of")]
    for split in ("train", "valid"):
        for pair in PAIRS:
            assert sum(line.startswith(f"links of {split} {pair}: sentences with links ") for line in lines) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "no alignments for 'valid' in"),
        (["--alignment-files", "train=x"], r"expected SPLIT.SOURCE-TARGET=FILE .*src-tgt, tgt-src.*got 'train'"),
        (["--guided-alignment-layers", "5"], "this model has 2 decoder layers"),
        (["--allow-missing-alignments", "--eval-aer"], "--eval-aer: 'valid src-tgt' has no alignments"),
    ],
)  # fmt: skip
def test_what_cannot_be_guided_is_refused_before_training(
    made_up: MadeUpData, tmp_path: Path, options: list[str], message: str
) -> None:
    data = tmp_path / "bin"
    shutil.copytree(made_up.binarised, data, ignore=shutil.ignore_patterns("*.align.*"))
    with pytest.raises(GuidedAlignError, match=message):
        run(
            "train", data, "--user-dir", USER_DIR, *TINY_MODEL, *TINY_TRAINING, *MULTILINGUAL, *options,
            "--save-dir", tmp_path / "out",
        )  # fmt: skip
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_every_data_folder_is_checked_before_training(made_up: MadeUpData, tmp_path: Path) -> None:
    later = tmp_path / "later"
    shutil.copytree(made_up.binarised, later)
    for path in later.glob("train.align.*"):
        path.unlink()
    with pytest.raises(GuidedAlignError, match=f"no alignments for 'train' in {later}"):
        train(f"{made_up.binarised}:{later}", tmp_path / "out", *MULTILINGUAL, "--disable-validation", updates=1)


def test_the_task_of_one_pair_says_which_one_to_use(made_up: MadeUpData, case: Callable[[str], Case]) -> None:
    one = case("separate")
    arguments = ["--user-dir", USER_DIR, *GUIDED[:2], "--path", one.checkpoint, "--cpu", "--print-alignment", "hard"]
    with pytest.raises(GuidedAlignError, match="use --task multilingual_translation_guided_alignment"):
        run("generate", made_up.binarised, *arguments)


def test_readers_ask_for_the_pair(case: Callable[[str], Case], trained: Any, tmp_path: Path, capsys: Any) -> None:
    one = str(case("separate").checkpoint)
    for pair in (None, "src-src"):
        with pytest.raises(GuidedAlignError, match=r"pairs src-tgt, tgt-src; choose one .* --lang-pair"):
            AlignmentModel(one, lang_pair=pair)
    with pytest.raises(
        GuidedAlignError, match="expected a model of the language pair tgt-src; got one from src to tgt"
    ):
        AlignmentModel(str(trained.checkpoint), lang_pair="tgt-src")
    output = tmp_path / "links"
    arguments = ["extract", one, "--lang-pair", "src-tgt", "--reverse-checkpoint", one, "--subwords", "words"]
    assert main([*arguments, "--combine", "intersection", "--output", str(output)]) == 0
    assert len(output.read_text().splitlines()) == 40


def test_a_model_of_fairseqs_own_multilingual_task_is_read_as_well(made_up: MadeUpData, tmp_path: Path) -> None:
    """Unguided: the last layer's heads, averaged."""
    stock = ["--task", "multilingual_translation", *TASK[2:], "--criterion", "cross_entropy", *MULTILINGUAL[-2:]]
    train(made_up.binarised, tmp_path, *stock, "--disable-validation", updates=2)
    checkpoint = tmp_path / "checkpoint_last.pt"
    model = load(str(checkpoint), device="cpu", subwords="words", lang_pair="tgt-src")
    sources, targets = text(made_up, "tgt-src")
    slow = SlowModels([checkpoint], heads=(0, 1), lang_pair="tgt-src")
    for links, source, target in zip(model.align(sources, targets), sources, targets):
        assert sorted(links.pairs()) == sorted(likeliest(slow.matrix(source.split(), target.split()), "ignore"))
    with pytest.raises(GuidedAlignError, match="loads no alignments"):
        train(made_up.binarised, tmp_path / "out", *stock, "--criterion", GUIDED[3], updates=1)
