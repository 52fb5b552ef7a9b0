"""The same on a GPU as on the CPU. Without a GPU only the CPU's half runs, which shows that the tests are right."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

import pytest
import tiny_models
import torch
from conftest import MadeUpData, TrainedModel
from fairseq import utils
from fairseq.criterions import build_criterion
from fairseq_runs import GUIDED, TINY_MODEL, TINY_TRAINING, USER_DIR, of_logger, run, run_for_figures
from stand_in import criterion
from two_ranks import finish, start_two

from benchmarks.training.measuring import waits_for_gpu
from fairseq_guided_align.api import load
from fairseq_guided_align.losses.chunked_cross_entropy import chunked_cross_entropy
from fairseq_guided_align.losses.cross_entropy_kernel import why_no_kernel
from fairseq_guided_align.losses.formulas import label_smoothed_cross_entropy


def on_gpu(*values: Any) -> Any:
    return pytest.param(*values, marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"))


GPU = on_gpu("cuda")
UPDATES = 20 if torch.cuda.is_available() else 6
on_each_device = pytest.mark.parametrize("device", ["cpu", GPU])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize(("device", "kernel"), [("cpu", None), on_gpu("cuda", None), on_gpu("cuda", False)])
def test_chunked_cross_entropy(device: str, kernel: bool | None, dtype: torch.dtype) -> None:
    """With our own kernel, which only a GPU has, and with torch's operators alone."""
    if device == "cuda":
        assert why_no_kernel(torch.device(device)) is None
    torch.manual_seed(0)
    features, weight = torch.randn(3000, 64), torch.randn(5000, 64) / 8
    inputs = [x.to(device, dtype).requires_grad_() for x in (features, weight)]
    target = torch.randint(5000, (3000,), device=device)
    loss = chunked_cross_entropy(*inputs, None, target, 0.1, 1, kernel=kernel)
    scale = 2.0**7
    found = torch.autograd.grad(loss.total * scale, inputs)

    exact = [x.detach().double().requires_grad_() for x in inputs]
    smoothed, _ = label_smoothed_cross_entropy((exact[0] @ exact[1].t()).log_softmax(-1), target, 0.1, 1)
    torch.testing.assert_close(loss.smoothed.double(), smoothed.detach(), rtol=1e-4, atol=1e-4)
    for ours, wanted in zip(found, torch.autograd.grad(smoothed.sum() * scale, exact)):
        error = (ours.double() - wanted).norm() / wanted.norm()
        assert error < 2 * max(torch.finfo(dtype).eps, 1e-5)


@on_each_device
@pytest.mark.parametrize("kind", ["ce", "mse"])
def test_loss_of_a_batch(device: str, kind: str) -> None:
    guided, _ = criteria(kind)
    wanted = float(guided(tiny_models.model(), tiny_models.sample())[0])
    found = guided(*model_and_sample(device))[0]
    assert found.device.type == device
    assert float(found) == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize("device", [GPU])
@pytest.mark.parametrize("kind", ["ce", "mse"])
def test_a_step_waits_where_fairseqs_does(device: str, kind: str) -> None:
    """fairseq's Transformer asks whether a batch has padding; nothing else makes the host wait for the GPU."""
    model, sample = model_and_sample(device)

    def waits(criterion: Any) -> list[str]:
        return waits_for_gpu(lambda: criterion(model, sample)[0].backward())

    guided, plain = criteria(kind)
    assert waits(guided) == waits(plain) != []


def criteria(kind: str) -> tuple[Any, Any]:
    """Ours and fairseq's."""
    task = tiny_models.task()
    guided = criterion(task, guided_alignment_type=kind, guided_alignment_unlinked="eos", report_accuracy=True)
    plain = build_criterion(argparse.Namespace(criterion="label_smoothed_cross_entropy", label_smoothing=0.1), task)
    return guided, plain


def model_and_sample(device: str) -> tuple[Any, dict[str, Any]]:
    sample = tiny_models.sample()
    return tiny_models.model().to(device), utils.move_to_cuda(sample) if device == "cuda" else sample


@on_each_device
def test_training(device: str, made_up: MadeUpData, tmp_path: Path) -> None:
    """In half precision, against single precision on the CPU."""

    def losses(*options: str) -> list[float]:
        folder = tmp_path / "-".join(options)
        return losses_of(run_for_figures("train", *training(made_up.binarised, folder), "--no-save", *options))

    exact = losses("--cpu")
    assert len(exact) == 2 * UPDATES
    half = ["--cpu", "--memory-efficient-fp16"] if device == "cpu" else ["--fp16"]
    found = losses(*half, "--fp16-init-scale", "128")
    assert [float(value) for value in found] == pytest.approx([float(value) for value in exact], rel=0.03)


def training(data: Path, folder: Path) -> list[str]:
    """Arguments of ``fairseq-train`` that leave the device open."""
    common = [option for option in TINY_TRAINING if option != "--cpu"]
    own = ["--user-dir", USER_DIR, *GUIDED, *TINY_MODEL, *common, "--max-update", str(UPDATES)]
    return [str(data), *own, "--save-dir", str(folder)]


def losses_of(log: list[dict[str, Any]]) -> list[float]:
    return [float(value) for key in ("loss", "alignment_loss") for value in of_logger(log, "train_inner", key)]


@on_each_device
def test_two_processes(device: str, made_up: MadeUpData, tmp_path: Path) -> None:
    """Two processes, each with half of the batches, log what one logs: on one GPU with gloo, on two with NCCL."""
    several = torch.cuda.device_count() > 1
    common = ["--ddp-backend", "legacy_ddp", *(["--cpu"] if device == "cpu" else [])]
    alone = [*training(made_up.binarised, tmp_path / "one"), *common, "--no-save", "--update-freq", "2"]
    wanted = losses_of(run_for_figures("train", *alone, "--distributed-world-size", "1"))

    own = [*training(made_up.binarised, tmp_path / "two"), *common, "--no-save"]
    backend = "nccl" if device == "cuda" and several else "gloo"
    processes = start_two(tmp_path, [own], backend, devices=(0, 1) if backend == "nccl" else (0, 0))
    for (log,) in finish(tmp_path, processes):
        assert len(losses_of(log)) == 2 * UPDATES
        assert losses_of(log) == pytest.approx(wanted, rel=1e-3)


@on_each_device
def test_generating(
    device: str, made_up: MadeUpData, trained: TrainedModel, capsys: pytest.CaptureFixture[str]
) -> None:
    """Translations and their links, from the guided heads during the search."""

    def generated(*options: str) -> dict[str, str]:
        capsys.readouterr()
        run(
            "generate", made_up.binarised, "--user-dir", USER_DIR, *GUIDED[:2], "--path", trained.checkpoint,
            "--beam", 3, "--batch-size", 16, "--num-workers", 0, "--print-alignment", "hard", *options,
        )  # fmt: skip
        return dict(re.findall(r"^([DA]-\d+)\t(?:-[\d.]+\t)?(.*)$", capsys.readouterr().out, re.MULTILINE))

    wanted = generated("--cpu")
    assert len(wanted) == 80
    assert generated(*(["--cpu"] if device == "cpu" else [])) == wanted
    if device == "cuda":
        half = generated("--fp16")
        assert half.keys() == wanted.keys()
        # Where two hypotheses are as good, half precision may take the other
        assert sum(half[key] == wanted[key] for key in wanted) >= 0.9 * len(wanted)


@on_each_device
def test_aligning(device: str, made_up: MadeUpData, trained: TrainedModel) -> None:
    source, target = ((made_up.text / f"test.{end}").read_text(encoding="utf-8").splitlines() for end in ("src", "tgt"))
    wanted, found = (
        [one.pairs() for one in load(str(trained.checkpoint), device=where, subwords="words").align(source, target)]
        for where in ("cpu", device)
    )
    assert len(found) == 40
    assert found == wanted
