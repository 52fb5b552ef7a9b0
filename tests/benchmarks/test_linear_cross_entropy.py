"""The benchmark of cross-entropies: all compute the same, and its errors are errors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks import linear_cross_entropy
from benchmarks.linear_cross_entropy import (
    IMPLEMENTATIONS,
    OURS,
    PADDING,
    error,
    exact_gradients,
    gradients,
    main,
    table,
)
from benchmarks.training.cases import FAIRSEQ, PRODUCTS
from fairseq_guided_align.losses.formulas import label_smoothed_cross_entropy


@pytest.fixture
def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """More tokens than the exact gradients take at a time; some are padding."""
    torch.manual_seed(0)
    target = torch.randint(2, 50, (300,))
    target[::7] = PADDING
    return torch.randn(300, 16, requires_grad=True), torch.randn(50, 16, requires_grad=True), target


def test_all_compute_the_same(inputs: tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> None:
    """Those that are installed and run here; ours, fairseq's and, from 2.13 on, torch's at least."""
    features, weight, target = inputs
    doubles = [one.detach().double().requires_grad_() for one in (features, weight)]
    logits = (doubles[0] @ doubles[1].t()).log_softmax(-1)
    smoothed, _ = label_smoothed_cross_entropy(logits, target, linear_cross_entropy.SMOOTHING, PADDING)
    exact = torch.autograd.grad(smoothed.sum(), doubles)
    torch.testing.assert_close(exact_gradients(*inputs), list(exact))
    names = [FAIRSEQ, OURS, *(["torch"] if hasattr(torch.nn.functional, "linear_cross_entropy") else [])]
    for name in names:
        assert IMPLEMENTATIONS[name](*inputs).item() == pytest.approx(smoothed.sum().item(), rel=1e-5), name
        assert error(gradients(IMPLEMENTATIONS[name], *inputs), exact) < 1e-5, name


def test_the_larger_error_counts() -> None:
    exact = [torch.tensor([3.0, 4.0]), torch.tensor([0.0, 2.0])]
    assert error(exact, exact) == 0
    assert error([torch.tensor([3.0, 3.0]), exact[1]], exact) == pytest.approx(1 / 5)
    assert error([torch.tensor([3.0, 3.0]), torch.tensor([1.0, 2.0])], exact) == pytest.approx(1 / 2)


def test_names_what_cannot_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*inputs: torch.Tensor) -> torch.Tensor:
        raise AssertionError("expected a GPU\nand more")

    chosen = {FAIRSEQ: IMPLEMENTATIONS[FAIRSEQ], OURS: IMPLEMENTATIONS[OURS], "x": fails}
    monkeypatch.setattr(linear_cross_entropy, "IMPLEMENTATIONS", chosen)
    sizes = ["--models", "small", "--vocabularies", "64,96", "--tokens", "64", "--rounds", "1", "--chunk-rows", "8,16"]
    assert main([*sizes, "--json", str(tmp_path / "f.json")]) == 0
    (found, wider) = json.loads((tmp_path / "f.json").read_text())["results"]
    assert (found["vocabulary"], wider["vocabulary"]) == (64, 96)
    sized = [f"ours, {rows} tokens a chunk" for rows in (8, 16)]
    assert list(found["loss"]) == [FAIRSEQ, OURS, "x", *sized, PRODUCTS]
    assert found["loss"]["x"] == {"fails": "expected a GPU"}
    assert found["loss"][PRODUCTS]["error"] is None
    for name in (FAIRSEQ, OURS, *sized):
        assert 0 < found["loss"][name]["error"] < 1e-5
    assert "| small, 96, 64 | x | expected a GPU |" in capsys.readouterr().out


def test_leaves_out_what_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear_cross_entropy, "available_memory", lambda device: 1000)
    setting = linear_cross_entropy.Setting("small", 64, 64)
    found = linear_cross_entropy.compare(setting, IMPLEMENTATIONS, 1, 0)
    assert found[FAIRSEQ] == {"fails": "does not fit"}
    assert "ratio" not in found[OURS]
    assert found[OURS]["seconds"] > 0


def test_the_table() -> None:
    ratio = {"ratio": 0.5, "quartiles": [0.4, 0.6], "memory_ratio": 0.25, "bytes": 2**20}
    loss = {
        FAIRSEQ: {"seconds": 3.0, "bytes": 2**22, "error": 0.001},
        OURS: {"seconds": 1.5, **ratio, "error": 0.0002},
        "Liger": {"fails": "not installed"},
        PRODUCTS: {"seconds": 1.2, **ratio, "error": None},
    }
    assert list(table([{"model": "base", "vocabulary": 4096, "tokens": 1024, "loss": loss}]))[2:] == [
        "| base, 4,096, 1,024 | fairseq: 3,000 ms, 4 MiB |  |  | 2.50 | 1.0e-03 |",
        "| base, 4,096, 1,024 | ours | 0.50 (0.40-0.60) | 0.25 | 1.25 | 2.0e-04 |",
        "| base, 4,096, 1,024 | Liger | not installed |  |  |  |",
        "| base, 4,096, 1,024 | three matrix products | 0.50 (0.40-0.60) | 0.25 | 1.00 |  |",
    ]
