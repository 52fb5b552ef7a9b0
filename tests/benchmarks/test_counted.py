"""Peak memory and traffic counted without a GPU: the counters count, and what they show of a GPU's way holds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from benchmarks.counted import count, count_case, main, table
from benchmarks.training.cases import FAIRSEQ, OURS_CE, OURS_MSE, OURS_OFF, Setting
from benchmarks.training.counting import CountedMemory, CountedTraffic
from benchmarks.training.measuring import peak_memory
from fairseq_guided_align.losses.chunked_cross_entropy import chunked_cross_entropy


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_counts_what_is_alive(device: str) -> None:
    old = torch.ones(1024, device=device)
    with CountedMemory() as counted:
        one = old + 1
        assert (counted.now, counted.peak) == (4096, 4096)
        part = one[:512].view(2, 256)
        one.add_(1)
        old.mul_(2)
        torch.add(old, 1, out=old)
        assert counted.now == 4096
        small = torch.zeros(3, dtype=torch.float16, device=device)
        assert counted.now == 4096 + 512
        del one
        assert counted.now == 4096 + 512  # A part of it is left
        del part
        assert counted.now == 512
        (old + 1).sum()
        assert (counted.now, counted.peak) == (512, 512 + 4096 + 512)
        del small
    assert (counted.now, counted.peak) == (0, 512 + 4096 + 512)


def test_counts_the_backward_pass() -> None:
    weight = torch.ones(256, 256, requires_grad=True)
    with CountedMemory() as counted:
        # The exponentials, kept for the gradient; the gradient of the sum needs no memory of its own
        weight.exp().sum().backward()
        assert counted.peak == 2 * 256 * 256 * 4 + 2 * 512
        weight.grad = None
        assert counted.now == 0


def test_what_a_case_leaves_behind_was_there_before() -> None:
    kept: list[torch.Tensor] = []

    def case() -> None:
        if not kept:
            kept.append(torch.ones(2**20, device="meta"))
        kept[0] + 1

    assert peak_memory(case, "meta") == 2**22


@pytest.mark.parametrize(("size", "matrices"), [(4, 2), (64, 3)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_two_matrices_of_a_chunk_at_a_time(dtype: torch.dtype, size: int, matrices: int) -> None:
    """Logits and probabilities; the weights' gradient of the wide model is as large as one of them."""
    rows, vocabulary = 64, 4096
    features = torch.empty(5 * rows, size, dtype=dtype, device="meta", requires_grad=True)
    weight = torch.empty(vocabulary, size, dtype=dtype, device="meta", requires_grad=True)
    target = torch.empty(5 * rows, dtype=torch.int64, device="meta")
    with CountedMemory() as counted:
        chunked_cross_entropy(features, weight, None, target, 0.1, 1, chunk_rows=rows)
    assert matrices * 4 * rows * vocabulary <= counted.peak < (matrices + 0.4) * 4 * rows * vocabulary


def test_what_stands_is_added_to_the_peak() -> None:
    matrix = torch.empty(256, 256, device="meta")
    size = 4 * 256 * 256
    assert count_case(lambda: matrix + 1, 1000) == {"memory": size + 1000, "traffic": 2 * size, "operators": 1}


def test_guidance_costs_next_to_no_memory_and_the_softmax_little() -> None:
    found = count(Setting("small", 32768, 4096, "meta", torch.float16))
    loss, steps = ({name: one["memory"] for name, one in found[part].items()} for part in ("loss", "step"))
    assert loss["ours"] < 0.25 * loss[FAIRSEQ]
    # Logits in half precision, and log-probabilities and a gradient in single at the same time
    assert loss[FAIRSEQ] >= 32768 * 4096 * (2 + 4 + 4)
    assert steps[OURS_CE] < 0.4 * steps[FAIRSEQ]
    for name in (OURS_CE, OURS_MSE):
        assert steps[name] < 1.01 * steps[OURS_OFF]


def test_prints_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = ["--models", "small", "--vocabularies", "64,96", "--tokens", "64"]
    assert main([*sizes, "--dtype", "bfloat16", "--json", str(tmp_path / "f.json")]) == 0
    found = json.loads((tmp_path / "f.json").read_text())
    assert found["dtype"] == "bfloat16"
    assert [one["vocabulary"] for one in found["results"]] == [64, 96]
    assert all(
        number > 0
        for one in found["results"]
        for part in ("loss", "step")
        for counts in one[part].values()
        for number in counts.values()
    )
    assert "| small, 96, 64 |" in capsys.readouterr().out


def test_the_table() -> None:
    part = {
        FAIRSEQ: {"memory": 2**21, "traffic": 4 * 10**9, "operators": 1000},
        "ours": {"memory": 2**20, "traffic": 3 * 10**9, "operators": 1010},
    }
    assert list(table([{"model": "base", "vocabulary": 4096, "tokens": 1024, "loss": part, "step": part}])) == [
        line
        for title in ("loss alone", "whole step")
        for line in (
            f"| {title}: model, vocabulary, tokens "
            "| fairseq: memory, traffic, operators | ours: memory, traffic, operators |",
            "|---|---|---|",
            "| base, 4,096, 1,024 | 2 MiB, 4.0 GB, 1,000 | 0.50, 0.75, 1,010 |",
            "",
        )
    ]


def traffic(case: Callable[[], object]) -> tuple[int, int]:
    with CountedTraffic() as counted:
        case()
    return counted.bytes, counted.operators


def test_counts_what_operators_read_and_write() -> None:
    a, b, half = torch.ones(64, 32), torch.ones(32, 16), torch.ones(64, 16, dtype=torch.float16)
    one, out, rows, labels = (
        torch.ones(1),
        torch.ones(64, 16),
        torch.arange(0, 64, 8),
        torch.zeros(64, 1, dtype=torch.int64),
    )
    size = 4 * 64 * 16
    cases: list[tuple[Callable[[], object], int]] = [
        (lambda: torch.mm(a, b), 4 * (64 * 32 + 32 * 16) + size),
        (lambda: torch.mm(a, b, out=out), 4 * (64 * 32 + 32 * 16) + size),
        (lambda: out.add_(1), 2 * size),
        (lambda: out.add_(half), 2 * size + size // 2),
        (lambda: out.half(), size + size // 2),
        (lambda: out.t() * 2, 2 * size),
        (lambda: out[:8].exp(), 2 * size // 8),
        # Of what an expanded tensor is expanded from, and of what a few rows are taken from, no more is read
        (lambda: out + one.expand(64, 16), 4 + 2 * size),
        (lambda: out.index_select(0, rows), 8 * 8 + 2 * 8 * 16 * 4),
        (lambda: out.gather(1, labels), 8 * 64 + 2 * 4 * 64),
        (lambda: out.scatter_add_(1, labels, a[:, :1]), 8 * 64 + 3 * 4 * 64),
        (lambda: torch.zeros_like(out), size),
        (lambda: out.new_full((3, 2), 1.0), 4 * 6),
        (lambda: out.sum(), size + 4),
    ]
    for case, wanted in cases:
        assert traffic(case) == (wanted, 1)


def test_views_and_memory_without_values_cost_nothing() -> None:
    a = torch.ones(64, 32)
    assert traffic(lambda: (a.t()[3:].unsqueeze(0).detach(), torch.empty(5), torch.empty_like(a))) == (0, 0)


def test_a_chunks_logits_are_gone_through_as_often_as_they_must() -> None:
    """In half precision: made, maximum, softmax, its result, cast, and two products."""
    rows, vocabulary = 512, 2**16
    features = torch.empty(3 * rows, 4, dtype=torch.float16, device="meta", requires_grad=True)
    weight = torch.empty(vocabulary, 4, dtype=torch.float16, device="meta", requires_grad=True)
    target = torch.empty(3 * rows, dtype=torch.int64, device="meta")

    found, _ = traffic(lambda: chunked_cross_entropy(features, weight, None, target, 0.1, 1, chunk_rows=rows))
    entries = 3 * rows * vocabulary
    once = 4 + 4 + 4 + 4 + (4 + 2) + 2 + 2
    assert once * entries <= found < (once + 1) * entries
