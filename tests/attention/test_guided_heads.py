"""Which attention is guided: checked when training starts, known to the checkpoint, also for models trained before."""

from __future__ import annotations

import re
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import MadeUpData
from decoding_reference import SlowModels, likeliest
from fairseq_runs import GUIDED, TINY_MODEL, TINY_TRAINING, USER_DIR, of_logger, run, train

from fairseq_guided_align.api import load
from fairseq_guided_align.attention.guided_heads import GuidedHeads
from fairseq_guided_align.cli.main import main
from fairseq_guided_align.errors import GuidedAlignError

ALIGN = ["--arch", "transformer_align", *TINY_MODEL[2:]]
LSTM = [
    "--arch", "lstm", "--encoder-embed-dim", "8", "--decoder-embed-dim", "8", "--encoder-hidden-size", "8",
    "--decoder-hidden-size", "8", "--decoder-out-embed-dim", "8",
]  # fmt: skip
FCONV = [
    "--arch", "fconv", "--encoder-embed-dim", "8", "--decoder-embed-dim", "8", "--encoder-layers", "[(8,3)]",
    "--decoder-layers", "[(8,3)]", "--decoder-out-embed-dim", "8",
]  # fmt: skip
MULTILINGUAL = ["--task", "multilingual_translation", "--lang-pairs", "src-tgt"]
MANY = ["--task", "translation_multi_simple_epoch", "--lang-pairs", "src-tgt", "--langs", "src,tgt"]


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (TINY_MODEL, ["--guided-alignment-layers=-3"], "has 2 decoder layers, so an index lies in -2..1; got -3"),
        (TINY_MODEL, ["--guided-alignment-heads", "0,2"], "has 2 heads in a layer, so an index lies in -2..1; got 2"),
        (TINY_MODEL, ["--guided-alignment-heads=0,-2"], "may be named once; got [0, -2]"),
        (TINY_MODEL, ["--guided-alignment-heads", "first"], "expected whole numbers separated by commas"),
        (ALIGN, ["--alignment-layer", "2"], "--alignment-layer: this model has 2 decoder layers"),
        (ALIGN, ["--alignment-heads", "3"], "--alignment-heads: expected a number of heads in 1..2"),
        (ALIGN, ["--alignment-heads", "0"], "which a layer of this model has; got 0"),
        (TINY_MODEL, ["--adaptive-softmax-cutoff", "10,20"], "goes with fairseq's criterion adaptive_loss only"),
        (
            TINY_MODEL, ["--adaptive-softmax-cutoff", "10,20", "--guided-alignment-weight", "0"],
            "goes with fairseq's criterion adaptive_loss only",
        ),
        (TINY_MODEL, ["--no-cross-attention"], "needs the cross-attention of a Transformer decoder"),
        (LSTM, [], "LSTMDecoder gives none while it trains; use a Transformer"),
        (FCONV, [], "FConvDecoder gives none while it trains; use a Transformer"),
    ],
)  # fmt: skip
def test_what_cannot_be_guided_is_refused_before_training(
    made_up: MadeUpData, tmp_path: Path, model: list[str], options: list[str], message: str
) -> None:
    with pytest.raises(GuidedAlignError) as raised:
        run(
            "train", made_up.binarised, "--user-dir", USER_DIR, *GUIDED[:4], *model, *TINY_TRAINING,
            "--save-dir", tmp_path / "out", *options,
        )  # fmt: skip
    assert message in str(raised.value)
    assert not list(tmp_path.glob("**/*.pt"))


def test_layers_of_the_encoder_may_be_dropped(made_up: MadeUpData, tmp_path: Path) -> None:
    log = train(made_up.binarised, tmp_path, "--encoder-layerdrop", 0.5, "--disable-validation", updates=2)
    assert of_logger(log, "train", "train_alignment_loss")[0] > 0


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ([*MULTILINGUAL, "--arch", "multilingual_transformer"], "or multilingual_translation_guided_alignment"),
        (MANY, "leaves links where they are when it puts language tokens before sentences"),
        ([*MANY, "--load-alignments"], "use --task multilingual_translation_guided_alignment --arch"),
    ],
)
def test_tasks_without_their_links_are_refused(
    made_up: MadeUpData, tmp_path: Path, task: list[str], message: str
) -> None:
    with pytest.raises(GuidedAlignError, match=message):
        train(made_up.binarised, tmp_path / "out", *task, "--criterion", "guided_alignment_ce")


CHOICE = ["--guided-alignment-layers", "0", "--guided-alignment-heads", "1", "--guided-alignment-position", "next"]


@pytest.fixture(scope="module")
def old(made_up: MadeUpData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of 40 updates without guidance; do not write into its folder."""
    folder = tmp_path_factory.mktemp("old")
    train(made_up.binarised, folder, "--task", "translation", "--criterion", "cross_entropy", updates=40)
    return folder / "checkpoint_last.pt"


@pytest.mark.parametrize("way", ["finetune", "restore"])
def test_an_unguided_checkpoint_is_trained_further_with_guidance(
    made_up: MadeUpData, old: Path, tmp_path: Path, way: str
) -> None:
    """It starts from the old weights, ends with better links, and the new checkpoint knows where they are."""
    options: dict[str, list[object]] = {
        "finetune": ["--finetune-from-model", old],
        "restore": [
            "--restore-file", old, "--reset-optimizer", "--reset-dataloader", "--reset-meters", "--reset-lr-scheduler",
        ],
    }  # fmt: skip
    train(
        made_up.binarised, tmp_path / "start", *options[way], *CHOICE, "--lr", 1e-12, "--disable-validation",
        updates=1 if way == "finetune" else 41,
    )  # fmt: skip
    first, start = (torch.load(path, map_location="cpu") for path in (old, tmp_path / "start" / "checkpoint_last.pt"))
    for name, weight in first["model"].items():
        if not name.endswith((".weight", ".bias")):
            # fairseq 0.12.2 also keeps copies for its fused encoder layers, and memory that nobody ever sets
            continue
        torch.testing.assert_close(start["model"][name], weight, atol=1e-6, rtol=0)

    log = train(
        made_up.binarised, tmp_path / "new", *options[way], *CHOICE, "--eval-aer", "--lr", 0.01,
        "--validate-interval-updates", 10, updates=40 if way == "finetune" else 80,
    )  # fmt: skip
    rates = of_logger(log, "valid", "valid_aer")
    assert rates[-1] < rates[0] - 0.1
    model: Any = load(str(tmp_path / "new" / "checkpoint_last.pt"), device="cpu", subwords="words")
    assert model._search.guided == GuidedHeads((0,), (1,), "mean", "next", "ignore")


def test_training_without_guidance_says_nothing_of_heads(made_up: MadeUpData, tmp_path: Path) -> None:
    train(made_up.binarised, tmp_path, *GUIDED, "--guided-alignment-weight", 0, "--disable-validation", updates=1)
    state = torch.load(tmp_path / "checkpoint_last.pt", map_location="cpu")
    assert GuidedHeads.stored(state["cfg"]["model"]) is None


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("layers", "7", r"\(layers 7, heads 0 .* than the model has: 2 decoder layers with 2 heads"),
        ("layers", "", r"other attention was guided \(layers , heads 0 "),
        ("heads", "0,2", r"other attention was guided \(layers 1, heads 0,2 "),
        ("position", "after", "position of guided attention: expected same or next; got 'after'"),
        ("reduction", "sum", "reduction of guided attention: expected mean or each; got 'sum'"),
    ],
)
def test_a_checkpoint_that_names_other_heads_than_it_has_is_refused(
    made_up: MadeUpData, trained: Any, tmp_path: Path, capsys: Any, setting: str, value: str, message: str
) -> None:
    state = torch.load(trained.checkpoint, map_location="cpu")
    setattr(state["cfg"]["model"], f"guided_alignment_{setting}", value)
    checkpoint, folder = tmp_path / "edited.pt", str(made_up.binarised)
    torch.save(state, checkpoint)
    with pytest.raises(GuidedAlignError, match=message):
        load(str(checkpoint), device="cpu", subwords="words")
    with pytest.raises(GuidedAlignError, match=message):
        run(
            "generate", folder, "--user-dir", USER_DIR, *GUIDED[:2], "--path", checkpoint, "--cpu",
            "--num-workers", 0, "--print-alignment", "hard",
        )  # fmt: skip
    if value:
        pytest.importorskip("ctranslate2")
        assert main(["ctranslate2", str(checkpoint), folder, str(tmp_path / "ct2")]) == 2
        assert re.search(message, capsys.readouterr().err)


def test_layers_that_are_kept_at_decoding_are_those_that_were_guided(made_up: MadeUpData, trained: Any) -> None:
    """fairseq numbers them anew: the guided layer 1 becomes layer 0, which is not layer 0 of the training."""
    kept = {"encoder_layers_to_keep": "0", "decoder_layers_to_keep": "1"}
    command = [
        "generate", made_up.binarised, "--user-dir", USER_DIR, *GUIDED[:2], "--path", trained.checkpoint, "--cpu",
        "--num-workers", 0, "--print-alignment", "hard", "--score-reference", "--quiet",
    ]  # fmt: skip
    run(*command, "--model-overrides", kept)
    with pytest.raises(GuidedAlignError, match="the guided layers 1 are needed for alignments; got 0"):
        run(*command, "--model-overrides", {**kept, "decoder_layers_to_keep": "0"})


@pytest.mark.parametrize("kept", ["0,2", "2,0", [2, 0]])
def test_layers_that_are_kept_are_numbered_anew(kept: Any) -> None:
    stored = Namespace(decoder_layers_to_keep=kept)
    GuidedHeads((0, 2), (1,)).store(stored)
    assert GuidedHeads.stored(stored) == GuidedHeads((0, 1), (1,))


def test_what_fairseqs_own_criterion_guided_is_read(made_up: MadeUpData, tmp_path: Path) -> None:
    """fairseq itself reads the last layer's average, whatever was guided."""
    train(
        made_up.binarised, tmp_path, "--task", "translation", "--load-alignments", "--disable-validation",
        "--criterion", "label_smoothed_cross_entropy_with_alignment", "--arch", "transformer_align",
        "--alignment-layer", 0, "--alignment-heads", 1, "--alignment-lambda", 1, updates=4,
    )  # fmt: skip
    checkpoint = tmp_path / "checkpoint_last.pt"
    slow = SlowModels([checkpoint], layers=(0,), heads=(0,))
    sources, targets = (
        (made_up.text / f"test.{side}").read_text(encoding="utf-8").splitlines()[:8] for side in ("src", "tgt")
    )
    model = load(str(checkpoint), device="cpu", subwords="words")
    for links, source, target in zip(model.align(sources, targets), sources, targets):
        assert links.pairs() == likeliest(slow.matrix(source.split(), target.split()), "ignore")
