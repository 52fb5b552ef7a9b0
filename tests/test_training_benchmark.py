"""The benchmark of training: it measures what it says, on sizes of no interest."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest
import torch

from benchmarks.training.__main__ import main
from benchmarks.training.cases import FAIRSEQ, PRODUCTS, Setting, loss_cases
from benchmarks.training.measuring import Measured, peak_memory, waits_for_gpu


def test_prints_a_table_and_writes_figures_and_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = ["--vocabularies", "64,128", "--tokens", "64", "--rounds", "3", "--seconds", "0"]
    assert main([*sizes, "--json", str(tmp_path / "f.json"), "--plot", str(tmp_path / "p.png")]) == 0
    printed = capsys.readouterr().out
    results = json.loads((tmp_path / "f.json").read_text())["results"]
    assert [(one["vocabulary"], one["tokens"]) for one in results] == [(64, 64), (128, 64)]
    for one in results:
        assert set(one["loss"]) == {FAIRSEQ, "ours", PRODUCTS}
        assert len(one["step"]) == 5
        for figures in (*one["loss"].values(), *one["step"].values()):
            assert figures["turns"] == 3
            assert 0 < figures["fastest"] <= figures["seconds"] <= figures["slowest"]
        assert one["step"][FAIRSEQ]["ratio"] == 1
    assert "| small, 128, 64 |" in printed
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


def test_waits_for_the_gpu_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch warns of each; here, something else does in its place."""
    modes: list[str] = []
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", modes.append)

    def step() -> None:
        for _ in range(2):
            warnings.warn("called a synchronizing CUDA operation", stacklevel=1)
        warnings.warn("something else", stacklevel=1)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = waits_for_gpu(step)
    line = step.__code__.co_firstlineno + 2
    assert found == [f"{__file__}:{line}"] * 2
    assert modes == ["warn", "default"]


def test_the_loss_cases_do_the_same_work() -> None:
    """Otherwise their times could not be compared."""
    gradients = []
    for name in (FAIRSEQ, "ours"):
        seen: list[torch.Tensor] = []
        case = loss_cases(Setting("small", 300, 64))[name]
        module = next(
            cell.cell_contents for cell in case.__closure__ if isinstance(cell.cell_contents, torch.nn.Linear)
        )
        module.weight.register_hook(lambda gradient, seen=seen: seen.append(gradient.clone()))
        case()
        gradients.append(seen[0])
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-5)


def test_ratios_are_taken_turn_by_turn() -> None:
    slow, fast = Measured([2.0, 20.0, 4.0]), Measured([1.0, 5.0, 1.0])
    assert fast.ratio(slow) == (0.25, 0.25, 0.375)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="resident memory is read on Linux alone")
def test_sees_memory_that_is_freed_again() -> None:
    size = 64 * 2**20
    found = peak_memory(lambda: torch.ones(size // 4).sum(), "cpu")
    assert found is not None
    assert 0.95 * size < found < 1.2 * size
