"""Options about checkpoints and figures that are sure to fail, or to do nothing, are refused before any update."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import MadeUpData
from fairseq_runs import train

from fairseq_guided_align.errors import GuidedAlignError

MULTILINGUAL = [
    "--task", "multilingual_translation_guided_alignment", "--criterion", "guided_alignment_ce",
    "--arch", "multilingual_transformer", "--lang-pairs", "src-tgt,tgt-src",
]  # fmt: skip
METRIC, HIGHEST = "--best-checkpoint-metric", "--maximize-best-checkpoint-metric"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([METRIC, "aer"], "--best-checkpoint-metric aer: the validation of 'valid' has no such figure; add --eval-aer"),
        ([METRIC, "alignment_recall", HIGHEST], "--best-checkpoint-metric alignment_recall: .*; add --eval-aer"),
        ([METRIC, "accuracy", HIGHEST], "accuracy: .*; add --report-accuracy; it has .*alignment_loss, .*ppl"),
        ([METRIC, "bleu", HIGHEST], "bleu: .*; add --eval-bleu"),
        ([METRIC, "lost", "--eval-aer"], "--best-checkpoint-metric lost: .* no such figure; it has aer, "),
        ([*MULTILINGUAL, METRIC, "src-tgt:aer"], "src-tgt:aer: .* no such figure; add --eval-aer; .*src-tgt:nll"),
        ([*MULTILINGUAL, METRIC, "src-fr:aer", "--eval-aer"], "src-fr:aer: .* no such figure; add --eval-aer; it has"),
        ([METRIC, "alignment_precision", "--eval-aer"], "alignment_precision: higher is better"),
        ([METRIC, "aer", "--eval-aer", HIGHEST], "aer: lower is better"),
        ([HIGHEST], "loss: lower is better"),
        (["--disable-validation", "--eval-aer"], "--eval-aer goes by what the validation measures"),
        (["--disable-validation", "--patience", 3], "--patience goes by"),
        (["--disable-validation", "--keep-best-checkpoints", 3], "--keep-best-checkpoints goes by"),
        (["--disable-validation", "--lr-scheduler", "reduce_lr_on_plateau"], "reduce_lr_on_plateau goes by"),
        (["--save-interval", 0], "--save-interval: expected at least 1; got 0"),
        (["--validate-interval", 0], "--validate-interval: expected at least 1; got 0"),
        (["--log-interval", 0], "--log-interval: expected at least 1; got 0"),
        (["--keep-interval-updates-pattern", 0], "--keep-interval-updates-pattern: expected updates of at least 1"),
    ],
)  # fmt: skip
def test_refused_before_any_update(made_up: MadeUpData, tmp_path: Path, options: list[object], message: str) -> None:
    with pytest.raises(GuidedAlignError, match=f"(?s){message}"):
        train(made_up.binarised, tmp_path, *options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "options",
    [
        [METRIC, "aer", "--eval-aer"],
        [METRIC, "alignment_precision", "--eval-aer", HIGHEST],
        [METRIC, "accuracy", "--report-accuracy", HIGHEST],
        [*MULTILINGUAL, METRIC, "tgt-src:aer", "--eval-aer", "--keep-best-checkpoints", 1],
    ],
)
def test_what_can_be_measured_is_followed(made_up: MadeUpData, tmp_path: Path, options: list[object]) -> None:
    train(made_up.binarised, tmp_path, *options, updates=2)
    assert (tmp_path / "checkpoint_best.pt").exists()


def test_a_checkpoint_to_restore_that_is_not_there(
    made_up: MadeUpData, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train(made_up.binarised, tmp_path, "--restore-file", tmp_path / "lost.pt", updates=1)
    assert f"--restore-file {tmp_path / 'lost.pt'}: there is no such file, so training starts anew" in caplog.text


def test_weights_alone_are_not_gone_on_with(made_up: MadeUpData, tmp_path: Path) -> None:
    train(made_up.binarised, tmp_path, "--no-save-optimizer-state", updates=1)
    last = tmp_path / "checkpoint_last.pt"
    with pytest.raises(GuidedAlignError, match=re.escape(f"{last}: holds weights only (--no-save-optimizer-state")):
        train(made_up.binarised, tmp_path, updates=2)
    train(made_up.binarised, tmp_path / "new", "--finetune-from-model", last, updates=1)
    train(made_up.binarised, tmp_path, "--reset-optimizer", updates=2)
