"""The benchmark of translation and alignment: its settings, its table, and one rehearsal of all its commands."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from forked_programs import Programs

from benchmarks.quality import __main__ as command
from benchmarks.quality.report import table
from benchmarks.quality.settings import Setting, combinations

pytestmark = pytest.mark.slow


def test_every_combination_once_and_seeds_in_turn() -> None:
    found = combinations({"weight": ["0", "1"], "layers": ["-1", "-2"]}, [1, 2])
    # Layers make no difference without guidance.
    names = ["weight=0.0", "layers=-1", "default"]
    assert [one.name for one in found] == [*names, "weight=0.0,seed=2", "layers=-1,seed=2", "seed=2"]


def test_options_of_a_training() -> None:
    options = Setting(weight=4, layers="-2", decay="linear", updates=300, dropout=0.3, seed=7).options()
    for wanted in ("--guided-alignment-weight=4", "--guided-alignment-layers=-2", "--guided-alignment-decay=linear",
                   "--guided-alignment-decay-updates=300"):  # fmt: skip
        assert wanted in options
    for name, value in (("--dropout", "0.3"), ("--seed", "7"), ("--max-update", "300"), ("--total-num-update", "300")):
        assert options.count(name) == 1
        assert options[options.index(name) + 1] == value


def test_another_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.parse_arguments(["--work", "w", "--vary", "wait=1"])
    assert "expected one of weight, layers" in capsys.readouterr().err


def test_settings_named_one_by_one(capsys: pytest.CaptureFixture[str]) -> None:
    def names(*options: str) -> list[str]:
        return [one.name for one in command.parse_arguments(["--work", "w", "--seeds", "1,2", *options]).settings]

    one = ("--setting", "layers=-1+-2,weight=4")
    assert names(*one) == ["weight=4.0,layers=-1,-2", "weight=4.0,layers=-1,-2,seed=2"]
    # Beside combinations, in which a setting counts once.
    both = names(*one, "--vary", "weight=4", "--vary", "layers=-1+-2,-1")
    assert both == [*names(*one)[:1], "weight=4.0,layers=-1", *names(*one)[1:], "weight=4.0,layers=-1,seed=2"]
    assert names() == ["default", "seed=2"]
    for wrong in ("wait=1", "weight=much"):
        with pytest.raises(SystemExit):
            names("--setting", wrong)
        assert "--setting" in capsys.readouterr().err


def test_means_over_seeds() -> None:
    figures = {"aer": 0.30, "nll": 5.0, "bleu": 10.0, "chrf": 30.0, "updates_a_second": 2.0}
    other = {**figures, "aer": 0.34, "bleu": 12.0}
    printed = table([(Setting(), {**figures, "aer_both": 0.25}), (Setting(seed=2), other)])
    heads, _, row = printed.splitlines()
    # What no training has is left out; of what only one has, there is no deviation.
    assert heads == "| setting | seeds | AER, argmax | AER, both | nll | BLEU | chrF | updates/s |"
    assert row == "| default | 2 | 32.0 ± 2.8 | 25.0 | 5.00 ± 0.00 | 11.0 ± 1.4 | 30.0 ± 0.0 | 2.0 ± 0.0 |"


def test_a_rehearsal_that_is_not_done_again(
    programs: Programs, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(programs.python))
    arguments = [
        *("--work", str(tmp_path / "work"), "--corpus", "made-up", "--vary", "updates=12", "--seeds", "1"),
        *("--json", str(tmp_path / "f.json"), "--plot", str(tmp_path / "f.png"), "--both"),
    ]
    assert command.main(arguments) == 0
    (found,) = json.loads((tmp_path / "f.json").read_text())
    assert found["setting"]["updates"] == 12
    assert all(0 <= found[name] <= 1 for name in ("aer", "aer_tuned", "aer_both"))
    assert found["nll"] > 0
    assert (tmp_path / "f.png").stat().st_size > 1000
    first = capsys.readouterr().out
    checkpoint = next((tmp_path / "work").rglob("checkpoint_last.pt"))
    checkpoint.unlink()
    assert command.main([*arguments, "--minutes", "0"]) == 0
    assert capsys.readouterr().out == first
    assert not checkpoint.exists()
    # Another folder of trainings may have its text from the first.
    other = ["--work", str(tmp_path / "other"), "--data", str(tmp_path / "work"), "--minutes", "0"]
    assert command.main([*other, "--corpus", "made-up", "--seeds", "1"]) == 0
    assert "1 not reached" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()
