"""The benchmark of training: it measures what it says, on sizes of no interest."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable
from inspect import getclosurevars
from pathlib import Path
from typing import Any

import pytest
import torch
from matplotlib.figure import Figure

from benchmarks import counted, linear_cross_entropy
from benchmarks.training import cases
from benchmarks.training.__main__ import main
from benchmarks.training.cases import (
    FAIRSEQ,
    FAIRSEQ_ALIGNED,
    LENGTH,
    OURS_CE,
    OURS_MSE,
    OURS_OFF,
    PRODUCTS,
    Setting,
    loss_cases,
    make_sample,
    models,
    one_link_a_token,
    our_alignments,
    step_cases,
    stock_alignments,
)
from benchmarks.training.measuring import (
    Measured,
    available_memory,
    figures,
    measure,
    peak_memory,
    waits_for_gpu,
)
from benchmarks.training.report import draw, table
from fairseq_guided_align.losses.batching import batch_links

TINY = Setting("small", 300, 3 * LENGTH)


def test_prints_a_table_and_writes_figures_and_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = ["--vocabularies", "64,128", "--tokens", "32", "--rounds", "1", "--seconds", "0"]
    assert main([*sizes, "--json", str(tmp_path / "f.json"), "--plot", str(tmp_path / "p.png")]) == 0
    printed = capsys.readouterr().out
    results = json.loads((tmp_path / "f.json").read_text())["results"]
    assert [(one["vocabulary"], one["tokens"]) for one in results] == [(64, 32), (128, 32)]
    for one in results:
        assert set(one["loss"]) == {FAIRSEQ, "ours", PRODUCTS}
        assert len(one["step"]) == 5
        for one_case in (*one["loss"].values(), *one["step"].values()):
            assert one_case["turns"] == 1
            assert 0 < one_case["fastest"] <= one_case["seconds"] <= one_case["slowest"]
        assert one["step"][FAIRSEQ]["ratio"] == 1
    assert "| small, 128, 32 |" in printed
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
        inside(case, "projection").weight.register_hook(lambda gradient, seen=seen: seen.append(gradient.clone()))
        case()
        gradients.append(seen[0])
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-5)


def inside(case: Callable[[], object], name: str) -> Any:
    """What a case keeps under this name."""
    return getclosurevars(case).nonlocals[name]


def test_the_plain_way_has_its_softmax_in_single_precision() -> None:
    """As fairseq's models do in half precision; else it would seem smaller and faster than it is."""
    decoder = inside(loss_cases(TINY)[FAIRSEQ], "decoder")
    logits = torch.tensor([[[1.0, 2.0, 4.0]]], dtype=torch.bfloat16)
    found = decoder.get_normalized_probs((logits, None), log_probs=True)
    torch.testing.assert_close(found, logits.float().log_softmax(-1))


def test_the_loss_cases_leave_no_gradients() -> None:
    """Else, the next turn would add to them, into memory that is there already."""
    found = loss_cases(TINY)
    for name in (FAIRSEQ, "ours"):
        found[name]()
        assert inside(found[name], "projection").weight.grad is None


def test_the_products_are_those_of_the_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cases, "PRODUCT_ROWS", 40)  # 96 tokens: the last chunk is shorter
    case = loss_cases(TINY)[PRODUCTS]
    rows, weight = inside(case, "rows"), inside(case, "weight")
    assert (rows.shape, weight.shape) == ((96, 256), (300, 256))
    logits = rows @ weight.t()
    for _ in range(2):  # The second turn does not add to the first
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Nothing is resized
            case()
        torch.testing.assert_close(inside(case, "of_rows"), logits @ weight)
        torch.testing.assert_close(inside(case, "of_weight"), logits.t() @ rows)
    assert inside(case, "logits").shape == (40, 300)


def test_the_steps_are_whole_and_guided_or_not() -> None:
    gradients = {}
    names = [FAIRSEQ, FAIRSEQ_ALIGNED, OURS_CE, OURS_MSE, OURS_OFF]
    for name in names:
        steps, standing = step_cases(TINY)
        assert list(steps) == names
        model = inside(steps[name], "model")
        assert standing == 3 * 4 * sum(one.numel() for one in model.parameters())
        weight = model.decoder.layers[0].encoder_attn.q_proj.weight
        weight.register_hook(lambda gradient, name=name: gradients.update({name: gradient.clone()}))
        before = weight.clone()
        torch.manual_seed(0)  # The same dropout
        steps[name]()
        # Adam's first step, its default where the gradient is much larger than its epsilon
        assert (before - weight).abs().median().item() == pytest.approx(1e-5, rel=0.1)
        assert all(one.grad is None for one in model.parameters())
    torch.testing.assert_close(gradients[OURS_OFF], gradients[FAIRSEQ], rtol=1e-3, atol=1e-6)
    for i, one in enumerate(names[1:]):
        for other in names[1:][:i]:
            assert not torch.allclose(gradients[one], gradients[other], rtol=1e-3, atol=1e-6), (one, other)


@pytest.mark.parametrize("name", [FAIRSEQ, OURS_CE])
def test_weights_in_half_precision_stay_numbers(name: str) -> None:
    steps, _ = step_cases(Setting("small", 300, 64, dtype=torch.float16))
    for _ in range(2):
        steps[name]()
    assert all(bool(one.isfinite().all()) for one in inside(steps[name], "model").parameters())


def test_models_have_the_sizes_that_are_named() -> None:
    model, aligned = models(Setting("small", 300, 64))
    assert aligned.encoder is model.encoder
    assert aligned.decoder is model.decoder
    assert aligned.training
    assert (aligned.alignment_layer, aligned.alignment_heads, aligned.full_context_alignment) == (0, 1, False)
    for side in (model.encoder, model.decoder):
        assert side.embed_tokens.weight.shape == (300, 256)
        assert side.embed_tokens.weight is model.decoder.output_projection.weight
        assert [layer.fc1.weight.shape for layer in side.layers] == [(1024, 256)] * 2
        assert {layer.self_attn.num_heads for layer in side.layers} == {4}


def test_batches_are_full_and_end_in_eos() -> None:
    sample = make_sample(TINY)
    source, target = sample["net_input"]["src_tokens"], sample["target"]
    for side in (source, target):
        assert side.shape == (3, LENGTH)
        assert side[:, -1].tolist() == [2, 2, 2]
        assert 4 <= side[:, :-1].min() < 20
        assert 280 < side.max() < 300
    assert not source.equal(target)
    assert sample["net_input"]["src_lengths"].tolist() == [LENGTH] * 3
    previous = sample["net_input"]["prev_output_tokens"]
    assert previous[:, 1:].equal(target[:, :-1])
    assert previous[:, 0].tolist() == [2, 2, 2]
    assert (sample["ntokens"], sample["nsentences"]) == (96, 3)
    assert make_sample(TINY)["target"].equal(target)


def test_batches_are_on_the_device_that_is_named() -> None:
    sample = make_sample(Setting("small", 300, 64, "meta"))
    sample.update(stock_alignments(sample))
    for part in (sample, sample["net_input"], our_alignments(sample, "meta")):
        tensors = [one for one in part.values() if isinstance(one, torch.Tensor)]
        assert tensors
        assert {one.device.type for one in tensors} == {"meta"}


def test_every_size_says_the_same_of_a_model() -> None:
    assert {tuple(size) for size in cases.SIZES.values()} == {("layers", "dim", "ffn", "heads")}


def test_both_collations_hold_the_same_links() -> None:
    pairs = one_link_a_token(3)
    for one in pairs:
        assert [target for _, target in one] == list(range(LENGTH - 1))
        assert sorted(source for source, _ in one) == list(range(LENGTH - 1))
    assert pairs[0] != pairs[1]
    sample = make_sample(TINY)
    stock, ours = stock_alignments(sample), batch_links({**sample, **our_alignments(sample, "cpu")}, LENGTH)
    wanted = [(source, b * LENGTH + target) for b, one in enumerate(pairs) for source, target in one]
    assert stock["alignments"].tolist() == [list(link) for link in wanted]
    assert stock["align_weights"].tolist() == [1.0] * len(wanted)
    rows = (ours.sentence * LENGTH + ours.target).tolist()
    assert sorted(zip(ours.source.tolist(), rows)) == sorted(wanted)


def test_the_plain_way_has_four_matrices_of_four_bytes() -> None:
    assert Setting("small", 1000, 64).full_softmax_bytes == 4 * 4 * 1000 * 64


@pytest.mark.parametrize("run", [main, counted.main, linear_cross_entropy.main])
@pytest.mark.parametrize("tokens", ["0", "33", "64,100"])
def test_sentences_fit_the_tokens(run: Any, tokens: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(["--tokens", tokens])
    assert f"expected multiples of 32, the tokens of a sentence; got {tokens.split(',')[-1]}" in capsys.readouterr().err


@pytest.mark.parametrize("run", [main, counted.main, linear_cross_entropy.main])
def test_models_are_known(run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(["--models", "small,huge"])
    assert "--models: expected some of small, base, big; got 'huge'" in capsys.readouterr().err


@pytest.mark.parametrize(("rounds", "seconds", "turns"), [(2, 100, 2), (5, 100, 5), (5, 0, 3), (1, 0, 1)])
def test_cases_take_turns(rounds: int, seconds: float, turns: int) -> None:
    calls: list[str] = []
    found = measure({name: lambda name=name: calls.append(name) for name in "ab"}, "cpu", rounds, seconds)
    assert calls == ["a", "b"] * (1 + turns)  # Once for the memory
    assert [len(one.seconds) for one in found.values()] == [turns] * 2


def test_measures_the_time_of_a_case_alone() -> None:
    found = measure({"sleeps": lambda: time.sleep(0.02), "does not": lambda: None}, "cpu", 3, 0)
    assert 0.02 <= found["sleeps"].median < 0.2
    assert 0 <= found["does not"].median < 0.02


def test_a_gpus_figures_come_from_its_allocator(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    for name, answer in (
        ("synchronize", None), ("empty_cache", None), ("memory_allocated", 100), ("reset_peak_memory_stats", None),
        ("max_memory_allocated", 175), ("mem_get_info", (7, 9)),
    ):  # fmt: skip
        monkeypatch.setattr(torch.cuda, name, lambda name=name, answer=answer: (calls.append(name), answer)[1])
    assert peak_memory(lambda: calls.append("case"), "cuda") == 75
    assert calls == [
        "synchronize", "empty_cache", "memory_allocated", "reset_peak_memory_stats", "case", "synchronize",
        "max_memory_allocated",
    ]  # fmt: skip
    assert available_memory("cuda") == 7
    calls.clear()
    measure({"a": lambda: calls.append("case")}, "cuda", 1, 0)
    assert calls[-3:] == ["synchronize", "case", "synchronize"]


@pytest.mark.skipif(not Path("/proc/meminfo").exists(), reason="read on Linux alone")
def test_available_memory_is_in_bytes() -> None:
    (line,) = [one for one in Path("/proc/meminfo").read_text().splitlines() if one.startswith("MemAvailable:")]
    assert available_memory("cpu") == pytest.approx(1024 * int(line.split()[1]), rel=0.2)


def test_what_stands_there_all_the_time_counts_as_memory() -> None:
    found = figures({FAIRSEQ: Measured([2.0, 4.0, 9.0], 300), "ours": Measured([1.0, 3.0, 9.0], 100)}, FAIRSEQ, 100)
    assert found["ours"] == {
        "seconds": 3.0, "fastest": 1.0, "slowest": 9.0, "turns": 3, "bytes": 200, "ratio": 0.75,
        "quartiles": [0.625, 0.875], "memory_ratio": 0.5,
    }  # fmt: skip
    assert figures({"ours": Measured([1.0])}, FAIRSEQ, 100)["ours"]["bytes"] is None


def test_ratios_are_taken_turn_by_turn() -> None:
    slow, fast = Measured([2.0, 20.0, 4.0]), Measured([1.0, 5.0, 1.0])
    assert fast.ratio(slow) == (0.25, 0.25, 0.375)
    assert Measured([5.0, 1.0, 4.0, 2.0, 3.0]).ratio(Measured([1.0] * 5)) == (3, 2, 4)
    assert Measured([3.0]).ratio(Measured([2.0])) == (1.5, 1.5, 1.5)


def figure(seconds: float, mebibytes: float | None, **ratios: Any) -> dict[str, Any]:
    return {"seconds": seconds, "bytes": None if mebibytes is None else mebibytes * 2**20, **ratios}


def results() -> list[dict[str, Any]]:
    """Of two settings; in the second, fairseq's criteria do not fit and memory cannot be read."""
    ratios = {"ratio": 0.504, "quartiles": [0.4, 0.6], "memory_ratio": 0.25}
    return [
        {
            "model": "small", "vocabulary": 4096, "tokens": 1024,
            "loss": {FAIRSEQ: figure(2, 3000), "ours": figure(1, 10, **ratios), PRODUCTS: figure(0.8, 5, **ratios)},
            "step": {
                FAIRSEQ: figure(4, 5000), FAIRSEQ_ALIGNED: figure(5, 6000, **{**ratios, "ratio": 1.25}),
                OURS_CE: figure(0.5, 20, **ratios), OURS_MSE: figure(3, 20, **{**ratios, "memory_ratio": None}),
                OURS_OFF: figure(3, 0.25, **ratios),
            },
        },
        {
            "model": "small", "vocabulary": 32768, "tokens": 2048,
            "loss": {"ours": figure(3, None), PRODUCTS: figure(2, None)},
            "step": {name: figure(1.2345, None) for name in (OURS_CE, OURS_MSE, OURS_OFF)},
        },
    ]  # fmt: skip


def test_the_table() -> None:
    found = results()
    ours = "0.50 (0.40-0.60), 0.25"
    wanted = [
        "| loss alone: model, vocabulary, tokens | fairseq | ours: time | ours: memory | ours: time / products |",
        "|---|---|---|---|---|",
        "| small, 4,096, 1,024 | 2,000 ms, 3,000 MiB | 0.50 (0.40-0.60) | 0.25 | 1.25 |",
        "| small, 32,768, 2,048 | does not fit | 3,000 ms | ? | 1.50 |",
        "",
        "| whole step: model, vocabulary, tokens | fairseq | fairseq, with alignment: time, memory "
        "| ours, ce: time, memory | ours, mse: time, memory | ours, no guidance: time, memory "
        "| tokens a second, ours, ce |",
        "|---|---|---|---|---|---|---|",
        f"| small, 4,096, 1,024 | 4,000 ms, 5,000 MiB | 1.25 (0.40-0.60), 0.25 | {ours} | 0.50 (0.40-0.60), 20 MiB "
        f"| {ours} | 2,048 |",
        f"| small, 32,768, 2,048 | does not fit | does not fit{' | 1,234 ms, ?' * 3} | 1,659 |",
    ]
    assert list(table(found)) == wanted
    for one, waits in zip(
        found, ({FAIRSEQ: 3, FAIRSEQ_ALIGNED: 4, OURS_CE: 0, OURS_MSE: 1, OURS_OFF: 2}, {OURS_CE: 0})
    ):
        one["waits_for_gpu"] = waits
    assert list(table(found))[len(wanted) :] == [
        "",
        "| times that a step waits for the GPU | fairseq | fairseq, with alignment | ours, ce | ours, mse "
        "| ours, no guidance |",
        "|---|---|---|---|---|---|",
        "| small, 4,096, 1,024 | 3 | 4 | 0 | 1 | 2 |",
        "| small, 32,768, 2,048 | does not fit | does not fit | 0 | does not fit | does not fit |",
    ]


def test_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda self, path, **_: drawn.append(self))
    found = results()
    larger = {**found[0], "tokens": 2048, "loss": {"ours": figure(7, 0.25)}, "step": {}}
    draw([*found, larger, {**found[0], "model": "base", "tokens": 9}], Path("unused.png"))
    panels = {panel.get_title(): panel for panel in drawn[0].axes}
    points = {
        title: {line.get_label(): line.get_xydata().tolist() for line in panel.lines} for title, panel in panels.items()
    }
    small, large = "vocabulary 4,096", "vocabulary 32,768"
    assert points == {
        "loss alone: time": {
            f"fairseq, {small}": [[1024, 2000]], f"ours, {small}": [[1024, 1000], [2048, 7000]],
            f"fairseq, {large}": [], f"ours, {large}": [[2048, 3000]],
        },
        # Nothing below what can be seen
        "loss alone: peak memory": {
            f"fairseq, {small}": [[1024, 3000]], f"ours, {small}": [[1024, 10], [2048, 0.5]],
            f"fairseq, {large}": [], f"ours, {large}": [],
        },
        "whole step with guidance: time": {
            f"fairseq, {small}": [[1024, 4000]], f"ours, {small}": [[1024, 500]],
            f"fairseq, {large}": [], f"ours, {large}": [[2048, pytest.approx(1234.5)]],
        },
        "whole step with guidance: peak memory": {
            f"fairseq, {small}": [[1024, 5000]], f"ours, {small}": [[1024, 20]],
            f"fairseq, {large}": [], f"ours, {large}": [],
        },
    }  # fmt: skip
    for title, panel in panels.items():
        assert (panel.get_xscale(), panel.get_yscale()) == ("log", "log")
        assert panel.get_ylabel() == ("ms" if title.endswith(": time") else "MiB")
        assert panel.get_xlabel() == ("target tokens a batch" if title.startswith("whole") else "")
        assert panel.get_xticks().tolist() == [1024, 2048]
        assert [panel.xaxis.get_major_formatter()(x) for x in (1024, 2048)] == ["1,024", "2,048"]
        styles = {line.get_label().split(",")[0]: line.get_linestyle() for line in panel.lines}
        assert styles == {"fairseq": "--", "ours": "-"}
        assert len({line.get_color() for line in panel.lines}) == 2
    (legend,) = drawn[0].legends
    assert [text.get_text() for text in legend.get_texts()] == list(points["loss alone: time"])
    assert "model small; dashed: fairseq's" in drawn[0].get_suptitle()


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="resident memory is read on Linux alone")
def test_sees_memory_that_is_freed_again() -> None:
    size = 64 * 2**20
    torch.ones(size).sum()  # An earlier peak does not count
    found = peak_memory(lambda: torch.ones(size // 4).sum(), "cpu")
    assert found is not None
    assert 0.95 * size < found < 1.2 * size
