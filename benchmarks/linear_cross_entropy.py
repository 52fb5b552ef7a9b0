"""Others' cross-entropy of a linear layer against ours: time, peak memory, and the error of the gradients.

    python -m benchmarks.linear_cross_entropy [--device cuda --dtype bfloat16] [--json FILE]

Label-smoothed cross-entropy from decoder features and output weights, with the gradients of both, in turn in one run:
fairseq's label_smoothed_cross_entropy, ours in chunks, torch's linear_cross_entropy in chunks (torch 2.13 on),
Liger's kernel (pip install liger-kernel) and Apple's (pip install cut-cross-entropy; half precision on a GPU alone).
torch's and Apple's have no chunks or no way for smoothed labels, so smoothing is added to them from the features.
Errors are those of the gradients, as a share of their norm, against float64. What cannot run says why.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from fairseq.criterions.label_smoothed_cross_entropy import label_smoothed_nll_loss
from fairseq.data import Dictionary
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from benchmarks.results import write_json
from benchmarks.training.cases import (
    FAIRSEQ,
    PRODUCTS,
    SMOOTHING,
    Setting,
    features_and_projection,
    loss_cases,
    make_sample,
)
from benchmarks.training.measuring import available_memory, figures, machine, measure
from benchmarks.training.options import add_setting_options, chosen_settings, numbers
from benchmarks.training.report import memory, own, time
from fairseq_guided_align.losses.chunked_cross_entropy import chunked_cross_entropy

OURS = "ours"
PADDING = Dictionary().pad()

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Of features (tokens, D), output weights (V, D) and labels (tokens,): the loss () in nats, summed over the tokens."""


def fairseqs(features: Tensor, weight: Tensor, target: Tensor) -> Tensor:
    log_probabilities = torch.log_softmax(functional.linear(features, weight), dim=-1, dtype=torch.float32)
    return label_smoothed_nll_loss(log_probabilities, target, SMOOTHING, PADDING)[0]


def ours(features: Tensor, weight: Tensor, target: Tensor, **options: Any) -> Tensor:
    return chunked_cross_entropy(features, weight, None, target, SMOOTHING, PADDING, **options).total


def torchs(features: Tensor, weight: Tensor, target: Tensor) -> Tensor:
    # With smoothed labels, it leaves its chunks
    plain = functional.linear_cross_entropy(
        features, weight, target, reduction="sum", ignore_index=PADDING, options=torch.nn.LinearCrossEntropyOptions()
    )
    return plain + smoothing(features, weight, target)


def ligers(features: Tensor, weight: Tensor, target: Tensor) -> Tensor:
    from liger_kernel.transformers.functional import liger_fused_linear_cross_entropy

    return liger_fused_linear_cross_entropy(
        features, weight, target, ignore_index=PADDING, label_smoothing=smoothing_of_all(weight), reduction="sum",
        accum_dtype=torch.float32,
    )  # fmt: skip


def apples(features: Tensor, weight: Tensor, target: Tensor, smallest: str | None) -> Tensor:
    from cut_cross_entropy import linear_cross_entropy

    plain = linear_cross_entropy(features, weight, target, ignore_index=PADDING, reduction="sum", filter_eps=smallest)
    return plain + smoothing(features, weight, target)


IMPLEMENTATIONS: dict[str, Loss] = {
    FAIRSEQ: fairseqs,
    OURS: ours,
    "ours, torch's operators": partial(ours, kernel=False),
    "torch": torchs,
    "Liger": ligers,
    "cut-cross-entropy": lambda *inputs: apples(*inputs, smallest=None),
    "cut-cross-entropy, leaving out small gradients": lambda *inputs: apples(*inputs, smallest="auto"),
}


def smoothing_of_all(weight: Tensor) -> float:
    """The share that others spread over the whole vocabulary, label included, for our share on all but the label."""
    return SMOOTHING * weight.size(0) / (weight.size(0) - 1)


def smoothing(features: Tensor, weight: Tensor, target: Tensor) -> Tensor:
    """What smoothing adds to the cross-entropy: the share times ``x (w_label - mean of all w)``, summed."""
    real = target.ne(PADDING).unsqueeze(1)
    difference = functional.embedding(target, weight).float() - weight.float().mean(dim=0)
    return smoothing_of_all(weight) * (features.float() * difference * real).sum()


def gradients(loss: Loss, features: Tensor, weight: Tensor, target: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(loss(features, weight, target), (features, weight)))


def exact_gradients(features: Tensor, weight: Tensor, target: Tensor) -> list[Tensor]:
    """In float64, from the definition, some tokens at a time."""
    inputs = [one.detach().double().requires_grad_() for one in (features, weight)]
    for start in range(0, len(target), 256):
        labels = target[start : start + 256]
        log_probabilities = (inputs[0][start : start + 256] @ inputs[1].t()).log_softmax(dim=-1)
        wanted = torch.full_like(log_probabilities, SMOOTHING / (weight.size(0) - 1))
        wanted.scatter_(1, labels.unsqueeze(1), 1 - SMOOTHING)
        (-(wanted * log_probabilities).sum(dim=1) * labels.ne(PADDING)).sum().backward()
    return [one.grad for one in inputs if one.grad is not None]


def error(found: Sequence[Tensor], exact: Sequence[Tensor]) -> float:
    """The larger of the gradients' distances, each as a share of the exact one's norm."""
    return max(((one.double() - other).norm() / other.norm()).item() for one, other in zip(found, exact))


def compare(
    setting: Setting, implementations: Mapping[str, Loss], rounds: int, seconds: float
) -> dict[str, dict[str, Any]]:
    """Figures of each implementation by its name, or why there are none."""
    features, projection = features_and_projection(setting)
    inputs = (features.detach().flatten(0, 1).requires_grad_(), projection.weight)
    target = make_sample(setting)["target"].flatten()
    exact = exact_gradients(*inputs, target)
    fits = setting.full_softmax_bytes < 0.8 * available_memory(setting.device)
    errors: dict[str, float] = {}
    fails: dict[str, str] = {}
    for name, loss in implementations.items():
        if name == FAIRSEQ and not fits:
            fails[name] = "does not fit"
            continue
        try:
            errors[name] = error(gradients(loss, *inputs, target), exact)
        except Exception as failed:  # Whatever others raise where they cannot run
            fails[name] = (str(failed).strip() or type(failed).__name__).splitlines()[0]
    del exact
    cases: dict[str, Callable[[], object]] = {
        name: partial(gradients, implementations[name], *inputs, target) for name in errors
    }
    cases[PRODUCTS] = loss_cases(setting)[PRODUCTS]
    measured = figures(measure(cases, setting.device, rounds, seconds), FAIRSEQ)
    found: dict[str, dict[str, Any]] = {name: {"fails": fails[name]} for name in fails}
    found.update({name: {**one, "error": errors.get(name)} for name, one in measured.items()})
    return {name: found[name] for name in (*implementations, PRODUCTS)}


def table(results: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Lines of Markdown: every figure a ratio to fairseq's, but for its own."""
    yield "| model, vocabulary, tokens | | time | memory | time / products | error of the gradients |"
    yield "|---|---|---|---|---|---|"
    for one in results:
        setting = f"{one['model']}, {one['vocabulary']:,}, {one['tokens']:,}"
        for name, figure in one["loss"].items():
            if "fails" in figure:
                cells = [figure["fails"], "", "", ""]
            else:
                cells = ["", ""] if name == FAIRSEQ else [time(figure), memory(figure)]
                cells.append(f"{figure['seconds'] / one['loss'][PRODUCTS]['seconds']:.2f}")
                cells.append("" if figure["error"] is None else f"{figure['error']:.1e}")
            label = f"{name}: {own(figure)}" if name == FAIRSEQ and "fails" not in figure else name
            yield f"| {setting} | {label} | {' | '.join(cells)} |"


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.linear_cross_entropy",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_setting_options(parser, "base", [32768], [4096], "float32")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="(default: %(default)s)")
    parser.add_argument(
        "--chunk-rows", type=numbers, default=[], metavar="N,...", help="ours with chunks of so many tokens as well"
    )
    parser.add_argument("--rounds", type=int, default=9, help="turns of every case at most (default: %(default)s)")
    parser.add_argument(
        "--seconds", type=float, default=60, help="begin no turn of a setting after so long, but 3 (default: 60)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_arguments(argv)
    others = {f"ours, {rows} tokens a chunk": partial(ours, chunk_rows=rows) for rows in args.chunk_rows}
    implementations = {**IMPLEMENTATIONS, **others}
    results = []
    for setting in tqdm(chosen_settings(args, args.device), file=sys.stderr, unit="setting"):
        sizes = {"model": setting.model, "vocabulary": setting.vocabulary, "tokens": setting.tokens}
        results.append({**sizes, "loss": compare(setting, implementations, args.rounds, args.seconds)})
        if args.json:
            write_json(args.json, {"machine": machine(args.device, args.dtype), "results": results})
    print("\n".join([f"{key}: {value}" for key, value in machine(args.device, args.dtype).items()]))
    print("\n".join(["", *table(results)]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
