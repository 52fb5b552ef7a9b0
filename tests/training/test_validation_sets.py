"""Several validation sets in one data folder: each is measured by itself, and none is left out without a word."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import MadeUpData
from event_files import close_writers, events
from fairseq_runs import GUIDED, USER_DIR, of_logger, run_for_figures, train

from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.pictures.training_log import read_training_log

TASKS = {
    "one pair": [],
    "several pairs": [
        "--task", "multilingual_translation_guided_alignment", "--lang-pairs", "src-tgt,tgt-src",
        "--criterion", GUIDED[3], "--arch", "multilingual_transformer",
    ],
}  # fmt: skip
KEYS = ("loss", "alignment_loss", "aer", "alignment_precision", "link_coverage")


@pytest.fixture(scope="module")
def data(made_up: MadeUpData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose test set is a second validation set as well."""
    folder = tmp_path_factory.mktemp("valid1") / "bin"
    shutil.copytree(made_up.binarised, folder)
    for path in made_up.binarised.glob("test.*"):
        shutil.copy(path, folder / path.name.replace("test.", "valid1.", 1))
    return folder


@pytest.mark.parametrize("task", TASKS)
def test_each_is_measured_by_itself(data: Path, made_up: MadeUpData, tmp_path: Path, task: str) -> None:
    """Against fairseq-validate on the same sentence pairs, as the only ones of a folder."""
    pytest.importorskip("tensorboardX")
    close_writers()
    log = train(
        data, tmp_path, *TASKS[task], "--valid-subset", "valid,valid1", "--eval-aer", "--best-checkpoint-metric", "aer",
        "--tensorboard-logdir", tmp_path / "tb", "--attention-images", 2, updates=2,
    )  # fmt: skip
    close_writers()
    pictures = {name.split("/")[0] for name in events(tmp_path / "tb" / "attention")}
    assert pictures == {"valid"}
    common: list[object] = [
        "--user-dir", USER_DIR, *(TASKS[task][:4] or GUIDED[:2]), "--path", tmp_path / "checkpoint_last.pt", "--cpu",
        "--num-workers", 0, "--batch-size", 16, "--eval-aer",
    ]  # fmt: skip
    both = run_for_figures("validate", data, *common, "--valid-subset", "valid,valid1")
    alone = [
        run_for_figures("validate", made_up.binarised, *common, "--valid-subset", one)[0] for one in ("valid", "test")
    ]
    assert [sorted(one)[-1].split("_")[0] for one in both] == ["valid", "valid1"]
    trained = {split: of_logger(log, split)[-1] for split in ("valid", "valid1")}
    for split, other, validated, expected in zip(("valid", "valid1"), ("valid", "test"), both, alone):
        for key in KEYS:
            value = float(expected[f"{other}_{key}"])
            assert float(validated[f"{split}_{key}"]) == value
            # Training's last validation weighs the cost as the update before; the sums round otherwise.
            assert float(trained[split][f"{split}_{key}"]) == pytest.approx(value, abs=2e-6), key
    assert trained["valid"]["valid_aer"] != trained["valid1"]["valid1_aer"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], r"has the validation sets valid1, .*--valid-subset valid,valid1"),
        (["--valid-subset", "valid1,test"], None),
        (["--combine-valid-subsets"], None),
        (["--ignore-unused-valid-subsets"], None),
        (["--disable-validation"], None),
        (["--combine-valid-subsets", "--valid-subset", "valid,valid1"], "--combine-valid-subsets makes one"),
        (["--combine-valid-subsets", "--valid-subset", "test"], "--combine-valid-subsets makes one"),
        (["--valid-subset", "valid,valid1", "--eval-aer", "--allow-missing-alignments"], "'valid1' has no alignments"),
    ],
)
def test_none_is_left_out_without_a_word(data: Path, tmp_path: Path, options: list[str], message: Any) -> None:
    if "--eval-aer" in options:
        shutil.copytree(data, tmp_path / "bin", ignore=shutil.ignore_patterns("valid1.align*"))
        data = tmp_path / "bin"

    def trained() -> list[dict[str, Any]]:
        return train(data, tmp_path / "out", *options, "--no-save", updates=1)

    if message is not None:
        with pytest.raises(GuidedAlignError, match=message):
            trained()
        return
    sets = {record["logger"] for record in trained()} - {"train", "train_inner"}
    expected = {"--valid-subset": {"valid1", "test"}, "--disable-validation": set()}
    assert sets == expected.get(options[0], {"valid"})


def test_combined_they_are_one(data: Path, made_up: MadeUpData, tmp_path: Path) -> None:
    """The links of each beside its own text: the counts are the sums."""
    log = train(data, tmp_path, "--combine-valid-subsets", "--eval-aer", "--no-save", updates=1)
    apart = train(data, tmp_path, "--valid-subset", "valid,valid1", "--eval-aer", "--no-save", updates=1)
    (one,) = of_logger(log, "valid")
    sides = [of_logger(apart, split)[0] for split in ("valid", "valid1")]
    low, high = sorted(float(side[f"{side['logger']}_aer"]) for side in sides)
    assert low <= float(one["valid_aer"]) <= high
    assert float(one["valid_aer"]) not in (low, high)


def test_their_curves_are_read_from_the_log(data: Path, tmp_path: Path) -> None:
    train(
        data, tmp_path, "--valid-subset", "valid,valid1", "--eval-aer", "--no-save", "--log-file", tmp_path / "log",
        updates=1, log_format="simple",
    )  # fmt: skip
    assert {"valid", "valid1"} <= set(read_training_log(tmp_path / "log").kinds())
