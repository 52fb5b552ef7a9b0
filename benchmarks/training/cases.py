"""What is measured: fairseq's criteria and ours on the same weights and the same batch."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

import fairseq_guided_align

fairseq_guided_align.register()

from fairseq.criterions import build_criterion  # noqa: E402
from fairseq.data import Dictionary  # noqa: E402
from fairseq.models import ARCH_CONFIG_REGISTRY, ARCH_MODEL_REGISTRY  # noqa: E402
from fairseq.models.transformer_align import TransformerAlignModel  # noqa: E402

from fairseq_guided_align.links.link import SentenceLinks  # noqa: E402
from fairseq_guided_align.losses.batching import collate_links  # noqa: E402
from fairseq_guided_align.losses.chunked_cross_entropy import chunked_cross_entropy  # noqa: E402

SMOOTHING = 0.1
LENGTH = 32
"""Tokens of a sentence, on either side. No padding: ours leaves it out on a CPU, which would help it."""

PRODUCT_ROWS = 1024
"""Rows that the bare products take at a time; into memory that is there already, as it could not be faster."""

SIZES = {
    "small": {"layers": 2, "dim": 256, "ffn": 1024, "heads": 4},
    "base": {"layers": 6, "dim": 512, "ffn": 2048, "heads": 8},
    "big": {"layers": 6, "dim": 1024, "ffn": 4096, "heads": 16},
}

FAIRSEQ = "fairseq"
FAIRSEQ_ALIGNED = "fairseq, with alignment"
OURS_CE, OURS_MSE, OURS_OFF = "ours, ce", "ours, mse", "ours, no guidance"
PRODUCTS = "three matrix products"


@dataclass(frozen=True)
class Setting:
    """One row of the table.

    :param model: name in SIZES.
    :param vocabulary: target tokens known, special ones included.
    :param tokens: target tokens of the batch, a multiple of LENGTH.
    """

    model: str
    vocabulary: int
    tokens: int
    device: str = "cpu"
    dtype: torch.dtype = torch.float32

    @property
    def full_softmax_bytes(self) -> int:
        """What the plain way takes at the least: logits and log-probabilities and the gradients of both."""
        return 4 * 4 * self.vocabulary * self.tokens


def loss_cases(setting: Setting) -> dict[str, Callable[[], object]]:
    """Label-smoothed cross-entropy from the decoder's features, with all gradients."""
    features, projection = features_and_projection(setting)
    sample = make_sample(setting)
    target = sample["target"]
    stock = criterion("label_smoothed_cross_entropy", label_smoothing=SMOOTHING)
    decoder = SimpleNamespace(
        get_normalized_probs=lambda output, log_probs: torch.log_softmax(output[0], dim=-1, dtype=torch.float32),
        get_targets=lambda sample, output: sample["target"],
    )

    def clear() -> None:
        features.grad = projection.weight.grad = None

    def plain() -> None:
        loss, _ = stock.compute_loss(decoder, (projection(features), None), sample)
        loss.backward()
        clear()

    def chunked() -> None:
        loss = chunked_cross_entropy(features, projection.weight, None, target, SMOOTHING, Dictionary().pad())
        loss.total.backward()
        clear()

    rows, weight = features.detach().flatten(0, 1), projection.weight.detach()
    logits = rows.new_empty(min(PRODUCT_ROWS, len(rows)), setting.vocabulary)
    of_rows, of_weight = torch.empty_like(rows), torch.empty_like(weight)

    def products() -> None:
        for start in range(0, len(rows), PRODUCT_ROWS):
            part = rows[start : start + PRODUCT_ROWS]
            chunk = logits[: len(part)]
            torch.mm(part, weight.t(), out=chunk)
            torch.mm(chunk, weight, out=of_rows[start : start + PRODUCT_ROWS])
            of_weight.addmm_(chunk.t(), part, beta=min(start, 1))

    return {FAIRSEQ: plain, "ours": chunked, PRODUCTS: products}


def features_and_projection(setting: Setting) -> tuple[torch.Tensor, torch.nn.Linear]:
    """(batch, target, D) what a decoder would return, and the output projection; both want gradients."""
    torch.manual_seed(0)
    dim = SIZES[setting.model]["dim"]
    to = {"device": setting.device, "dtype": setting.dtype}
    features = torch.randn(setting.tokens // LENGTH, LENGTH, dim, **to).requires_grad_()
    projection = torch.nn.Linear(dim, setting.vocabulary, bias=False, **to)
    torch.nn.init.normal_(projection.weight, std=dim**-0.5)
    return features, projection


def step_cases(setting: Setting) -> tuple[dict[str, Callable[[], object]], int]:
    """Whole training steps: forward, backward, Adam; and the bytes of weights and of Adam's averages."""
    model, aligned = models(setting)
    # Adam's usual epsilon is 0 in float16, and weights without a gradient would become 0 / 0
    epsilon = max(1e-8, torch.finfo(setting.dtype).tiny)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-5, betas=(0.9, 0.98), eps=epsilon)
    sample = make_sample(setting)
    stock_links = {**sample, **stock_alignments(sample)}
    our_links = {**sample, **our_alignments(sample, setting.device)}
    ours = {
        OURS_CE: criterion("guided_alignment_ce", label_smoothing=SMOOTHING),
        OURS_MSE: criterion("guided_alignment_ce", label_smoothing=SMOOTHING, guided_alignment_type="mse"),
        OURS_OFF: criterion("guided_alignment_ce", label_smoothing=SMOOTHING, guided_alignment_weight=0.0),
    }
    stock = criterion("label_smoothed_cross_entropy", label_smoothing=SMOOTHING)
    stock_aligned = criterion(
        "label_smoothed_cross_entropy_with_alignment", label_smoothing=SMOOTHING, alignment_lambda=0.05
    )

    def step(criterion: Any, model: Any, sample: dict[str, Any]) -> Callable[[], object]:
        def run() -> None:
            loss, size, _ = criterion(model, sample)
            (loss / size).backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

        return run

    cases = {FAIRSEQ: step(stock, model, sample), FAIRSEQ_ALIGNED: step(stock_aligned, aligned, stock_links)}
    cases.update({name: step(one, model, sample if name == OURS_OFF else our_links) for name, one in ours.items()})
    size = sum(p.numel() * p.element_size() for p in model.parameters())
    return cases, 3 * size


def models(setting: Setting) -> tuple[Any, Any]:
    """A Transformer, and the same encoder and decoder as ``transformer_align``."""
    torch.manual_seed(0)
    sizes = SIZES[setting.model]
    args = argparse.Namespace(arch="transformer", share_all_embeddings=True)
    for side in ("encoder", "decoder"):
        for key, value in (("layers", "layers"), ("embed_dim", "dim"), ("ffn_embed_dim", "ffn")):
            setattr(args, f"{side}_{key}", sizes[value])
        setattr(args, f"{side}_attention_heads", sizes["heads"])
    ARCH_CONFIG_REGISTRY["transformer"](args)
    model = ARCH_MODEL_REGISTRY["transformer"].build_model(args, task(setting.vocabulary))
    model.to(device=setting.device, dtype=setting.dtype).train()
    # Its own defaults: the last layer but one, one head
    args.alignment_layer, args.alignment_heads, args.full_context_alignment = sizes["layers"] - 2, 1, False
    aligned = TransformerAlignModel(model.encoder, model.decoder, args).train()
    return model, aligned


def task(vocabulary: int) -> Any:
    """What models and criteria need of a task."""
    dictionary = Dictionary()
    for i in range(vocabulary - len(dictionary)):
        dictionary.add_symbol(f"w{i}")
    return SimpleNamespace(source_dictionary=dictionary, target_dictionary=dictionary)


def criterion(name: str, **options: Any) -> Any:
    """A criterion as fairseq builds it from a command line."""
    return build_criterion(argparse.Namespace(criterion=name, sentence_avg=False, **options), task(8))


def make_sample(setting: Setting) -> dict[str, Any]:
    """A batch of sentence pairs of LENGTH tokens, ``</s>`` included, on either side."""
    random = torch.Generator().manual_seed(1)
    sentences = setting.tokens // LENGTH
    source, target = (torch.randint(4, setting.vocabulary, (sentences, LENGTH), generator=random) for _ in range(2))
    source[:, -1] = target[:, -1] = Dictionary().eos()
    source, target = source.to(setting.device), target.to(setting.device)
    return {
        "net_input": {
            "src_tokens": source,
            "src_lengths": torch.full((sentences,), LENGTH, device=setting.device),
            "prev_output_tokens": target.roll(1, dims=1),
        },
        "target": target,
        "ntokens": target.numel(),
        "nsentences": sentences,
    }


def one_link_a_token(sentences: int) -> list[list[tuple[int, int]]]:
    """A source token for every target token but ``</s>``."""
    random = np.random.default_rng(2)
    return [list(zip(random.permutation(LENGTH - 1).tolist(), range(LENGTH - 1))) for _ in range(sentences)]


def stock_alignments(sample: dict[str, Any]) -> dict[str, Any]:
    """As fairseq's own data set collates them."""
    sentences, device = sample["nsentences"], sample["target"].device
    rows = [
        (source, b * LENGTH + target) for b, pairs in enumerate(one_link_a_token(sentences)) for source, target in pairs
    ]
    return {
        "alignments": torch.tensor(rows, device=device),
        "align_weights": torch.ones(len(rows), device=device),
    }


def our_alignments(sample: dict[str, Any], device: str) -> dict[str, Any]:
    """As our data set collates them."""
    sentences = sample["nsentences"]
    links = [SentenceLinks.from_pairs(pairs) for pairs in one_link_a_token(sentences)]
    none = np.zeros(sentences, dtype=np.int64)
    found = collate_links(links, none, none, LENGTH, 0)
    return {key: value.to(device) if isinstance(value, torch.Tensor) else value for key, value in found.items()}
