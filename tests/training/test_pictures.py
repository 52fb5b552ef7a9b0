"""Pictures in TensorBoard, read back from its event files: there, of the right sentences, and without any effect."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import MadeUpData
from event_files import close_writers, events
from fairseq_runs import of_logger, train

from fairseq_guided_align.aligning.extraction import AlignmentModel
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.links.pharaoh import read_links
from fairseq_guided_align.pictures.plots import Panel, attention_figure, figure_pixels

pytest.importorskip("tensorboardX")


@pytest.fixture(scope="module")
def runs(made_up: MadeUpData, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, Any]:
    folder = tmp_path_factory.mktemp("pictures")
    close_writers()
    options = ["--update-freq", 2, "--validate-interval-updates", 2, "--eval-aer"]
    plain = train(made_up.binarised, folder / "plain", *options, updates=5)
    log = train(
        made_up.binarised, folder / "with", *options, "--tensorboard-logdir", folder / "tb",
        "--attention-images", "7,2", "--attention-images-interval", 2, updates=5,
    )  # fmt: skip
    close_writers()
    return folder, plain, log


def test_pictures_of_the_same_sentences_at_the_interval(runs: tuple[Path, Any, Any]) -> None:
    found = events(runs[0] / "tb" / "attention")
    assert set(found) == {"valid/sentence_7", "valid/sentence_2"}
    for pictures in found.values():
        assert [step for step, _ in pictures] == [0, 2, 4]
        assert all(min(pixels.shape[:2]) > 100 for _, pixels in pictures)
        # the model moved, and the picture with it
        first, last = pictures[0][1], pictures[-1][1]
        assert first.shape == last.shape
        assert (first != last).any()
    orange = [(abs(pixels.astype(int) - (0xE0, 0x58, 0x0C)).sum(-1) < 60).any() for _, pixels in pictures]
    assert all(orange), "gold links are outlined"


def test_aer_is_a_scalar_of_each_validation(runs: tuple[Path, Any, Any]) -> None:
    folder, _, log = runs
    scalars = events(folder / "tb" / "valid")["aer"]
    assert [step for step, _ in scalars] == [2, 4, 5]
    wanted = of_logger(log, "valid", "valid_aer")
    assert [value for _, value in scalars] == pytest.approx(wanted, abs=1e-6)


def test_pictures_change_nothing(runs: tuple[Path, Any, Any]) -> None:
    folder, plain, log = runs
    assert of_logger(log, "train_inner", "loss") == of_logger(plain, "train_inner", "loss")
    one, two = (
        torch.load(folder / name / "checkpoint_last.pt", weights_only=True)["model"] for name in ("plain", "with")
    )
    # fairseq 0.12.2 saves this one without ever having set it
    compared = [key for key in one if not key.endswith("._float_tensor")]
    assert len(compared) > 40
    assert all(torch.equal(one[key], two[key]) for key in compared)


PAIRS = ["src-tgt", "tgt-src"]
MULTILINGUAL = [
    "--task", "multilingual_translation_guided_alignment", "--criterion", "guided_alignment_ce",
    "--arch", "multilingual_transformer", "--lang-pairs", ",".join(PAIRS),
]  # fmt: skip


def test_pictures_of_each_language_pair(made_up: MadeUpData, tmp_path: Path) -> None:
    """They show what a reader of the checkpoint of that update sees, with the pair's links outlined."""
    close_writers()
    train(
        made_up.binarised, tmp_path, *MULTILINGUAL, "--guided-alignment-position", "next",
        "--save-interval-updates", 1, "--tensorboard-logdir", tmp_path / "tb", "--attention-images", "3",
        "--attention-images-interval", 1, updates=2,
    )  # fmt: skip
    close_writers()
    found = events(tmp_path / "tb" / "attention")
    assert set(found) == {f"valid/{pair}/sentence_3" for pair in PAIRS}
    links = read_links(made_up.text / "valid.align")[2]
    for pair, gold in zip(PAIRS, (links, links.inverted())):
        reader = AlignmentModel(str(tmp_path / "checkpoint_1_1.pt"), device="cpu", lang_pair=pair)
        ((_, seen),) = reader.align_sentences("valid", [2])
        figure = attention_figure([Panel(seen.attention)], [*seen.source, "</s>"], seen.target, gold, "update 1")
        assert [step for step, _ in found[f"valid/{pair}/sentence_3"]] == [0, 1]
        np.testing.assert_array_equal(found[f"valid/{pair}/sentence_3"][1][1], figure_pixels(figure))


def test_without_tensorboard_one_line(
    made_up: MadeUpData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from fairseq.logging import progress_bar

    monkeypatch.setattr(progress_bar, "SummaryWriter", None)
    with caplog.at_level(logging.WARNING, "fairseq_guided_align"):
        train(
            made_up.binarised, tmp_path, "--tensorboard-logdir", tmp_path / "tb", "--attention-images", "1",
            "--attention-images-interval", 1, "--no-save", updates=3,
        )  # fmt: skip
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("fairseq_guided_align")]
    assert ours == ["--attention-images: no pictures, because TensorBoard is not there; pip install tensorboardX"]
    assert not (tmp_path / "tb").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--attention-images", "1"], "needs --tensorboard-logdir"),
        (["--attention-images", "0", "--tensorboard-logdir", "tb"], "from 1"),
        (["--attention-images", "41", "--tensorboard-logdir", "tb"], "has 40 sentence pairs; got number 41"),
        (["--attention-images", "1", "--attention-images-interval", "0"], "at least 1; got 0"),
        ([*MULTILINGUAL, "--attention-images", "1"], "needs --tensorboard-logdir"),
        (
            [*MULTILINGUAL, "--attention-images", "41", "--tensorboard-logdir", "tb"],
            "'valid/src-tgt' has 40 sentence pairs; got number 41",
        ),
    ],
)
def test_refused(
    made_up: MadeUpData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GuidedAlignError, match=message):
        train(made_up.binarised, tmp_path, "--no-save", *options, updates=1)


def test_without_a_validation_set(made_up: MadeUpData, tmp_path: Path) -> None:
    """ve-fairseq 0.12.3 loads none when it is not to validate; fairseq 0.12.2 does all the same."""
    folder = tmp_path / "tb"
    refusal = None
    try:
        train(
            made_up.binarised, tmp_path, "--no-save", "--attention-images", "1", "--tensorboard-logdir", folder,
            "--disable-validation", updates=1,
        )  # fmt: skip
    except GuidedAlignError as error:
        refusal = str(error)
    close_writers()
    if refusal is None:
        assert [step for step, _ in events(folder / "attention")["valid/sentence_1"]] == [0]
    else:
        assert "needs a validation set; got --disable-validation" in refusal
