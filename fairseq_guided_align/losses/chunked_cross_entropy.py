"""Label-smoothed cross-entropy from features and output weights, a chunk of tokens at a time; torch only.

The matrix of [tokens, vocabulary] never exists. The gradients are formed together with the loss, while a chunk's
probabilities are at hand, so there are three matrix products as in the plain way: logits, gradient of the features,
gradient of the weights. Nothing is approximated.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.losses.chunk_gradients import SCALE, ChunkGradients
from fairseq_guided_align.losses.cross_entropy_kernel import cross_entropy_of_logits, why_no_kernel
from fairseq_guided_align.losses.half_products import HALF, add_product, product, torch_version

CHUNK_ENTRIES = 2**25
"""Entries of a chunk's matrix: large enough for fast products, small beside a model."""

KERNEL_CHUNKS, KERNEL_CHUNK_ENTRIES = 4, (2**25, 2**27)
"""With our own kernel: chunks that a batch is cut into, and the fewest and most entries of one. On an H200, at 16,384
tokens and a vocabulary of 32,768, 16 chunks take 1.27 times as long as 4 (benchmarks/README.md)."""

CHUNK_ROWS = {"cpu": (256, 1024), "cuda": (1024, 2**14)}
"""Fewest and most tokens of a chunk. With fewer, going through the weights once a chunk takes too long; with more, a
chunk of a small vocabulary outgrows the processor's cache."""


class ChunkOptions(NamedTuple):
    """See :func:`chunked_cross_entropy`.

    :param wanted: whether features, weights and bias want a gradient.
    """

    label_smoothing: float
    padding_index: int
    count_correct: bool
    chunk_rows: int
    kernel: bool
    wanted: tuple[bool, bool, bool]


class SequenceLoss(NamedTuple):
    """Costs of a batch's target tokens, in nats.

    :param total: () sum of the smoothed cross-entropy, with its gradients.
    :param smoothed: (tokens,) label-smoothed cross-entropy of each token; 0 on padding.
    :param negative_log_likelihood: (tokens,) negative log-likelihood of each token; 0 on padding.
    :param correct: () number of tokens whose label has the highest probability, or None.
    """

    total: Tensor
    smoothed: Tensor
    negative_log_likelihood: Tensor
    correct: Tensor | None


def why_not_in_chunks(weight: Tensor) -> str | None:
    """Why output weights of this type on this device cannot be used here; None if they can."""
    device = weight.device.type
    if device not in ("cpu", "cuda", "meta"):
        return f"chunks have not been tried on the device {device}"
    if device == "cuda" and (weight.dtype in HALF or _autocasts(device)):
        needed = (2, 8) if torch.version.hip is None else (2, 10)
        if torch_version() < needed:
            return (
                "half precision takes products with float32 results, new in torch 2.8 (on ROCm: 2.10); this is "
                f"{torch.__version__}"
            )
        if torch.cuda.tunable.is_enabled():
            return "TunableOp has no products of half precision with float32 results"
    return None


def why_not_by_kernel(device: torch.device, dtype: torch.dtype, has_bias: bool) -> str | None:
    """Why our own kernel cannot stand between the products; None if it can.

    :param dtype: type of the operands of the products.
    :param has_bias: whether the output projection has one.
    """
    if has_bias:
        return "the kernel knows no bias"
    if dtype == torch.float64:
        return "the kernel computes in float32"
    return why_no_kernel(device)


def chunked_cross_entropy(
    features: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    target: Tensor,
    label_smoothing: float,
    padding_index: int,
    count_correct: bool = False,
    chunk_rows: int | None = None,
    kernel: bool | None = None,
) -> SequenceLoss:
    """Label-smoothed cross-entropy of ``log_softmax(features @ weight.T + bias)``.

    The quantity of ``losses.formulas.label_smoothed_cross_entropy``. With p the probabilities, q the
    smoothed target distribution, x the features, W the weights and z the logarithm of the softmax' denominator, it is
    ``-sum_v q_v log p_v = z - sum_v q_v (W x)_v``, and its gradients are ``W^T (p - q)`` for x and ``(p - q) x^T`` for
    W. The part of q that lies on every token comes from sums over the vocabulary, not from another pass over p.

    Products have operands of the features' type (autocast's, where it is on) and results in float32, as are sums and
    exponentials; float64 stays float64. Half precision on a CPU is computed in float32.

    :param features: (..., D) the decoder's output.
    :param weight: (V, D) output weights.
    :param bias: (V,) or None.
    :param target: (...) int64 labels.
    :param label_smoothing: e, in [0, 1): 1 - e on the label and e / (V - 1) on each other token.
    :param padding_index: tokens with this label cost nothing.
    :param count_correct: count the tokens whose label has the highest logit.
    :param chunk_rows: tokens of a chunk; None: as many as suit the device.
    :param kernel: whether our own kernel takes the place of torch's operators between the products, which knows no
        bias; None: on a GPU, wherever it can.
    :raises GuidedAlignError: second-order gradients, or a second backward pass through the same loss.
    """
    device = features.device.type
    compute = features.dtype
    if _autocasts(device) and compute != torch.float64:
        compute = torch.get_autocast_dtype(device)
    if device == "cpu" and compute in HALF:
        compute = torch.float32
    if kernel is None:
        kernel = device == "cuda" and why_not_by_kernel(features.device, compute, bias is not None) is None
    if chunk_rows is None:
        chunk_rows = rows_of_a_chunk(target.numel(), weight.size(0), device, kernel)
    learns = torch.is_grad_enabled()
    options = ChunkOptions(
        label_smoothing,
        padding_index,
        count_correct,
        chunk_rows,
        kernel,
        (
            learns and features.requires_grad,
            learns and weight.requires_grad,
            learns and bias is not None and bias.requires_grad,
        ),
    )
    rows = features.reshape(-1, features.size(-1))
    return SequenceLoss(*_ChunkedCrossEntropy.apply(rows, weight, bias, target.reshape(-1), options, compute))


def rows_of_a_chunk(tokens: int, vocabulary: int, device: str, kernel: bool) -> int:
    """Tokens of a chunk that suit a batch of so many, with our own kernel or with torch's operators."""
    fewest, most = CHUNK_ROWS[device if device in CHUNK_ROWS else "cuda"]
    if not kernel:
        return min(max(CHUNK_ENTRIES // vocabulary, fewest), most)
    low, high = (max(entries // vocabulary, fewest) for entries in KERNEL_CHUNK_ENTRIES)
    return min(max(-(-tokens // KERNEL_CHUNKS), low), high)


class _ChunkedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any,
        features: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        target: Tensor,
        options: ChunkOptions,
        compute: torch.dtype,
    ) -> SequenceLoss:
        ctx.types = [None if x is None else x.dtype for x in (features, weight, bias)]
        device = features.device.type
        if options.kernel:
            compute_loss = _by_kernel
        else:
            # Elsewhere, finding the real tokens would make the host wait for the device
            compute_loss = _without_padding if device == "cpu" else _loss_and_gradients
        with torch.autocast(device, enabled=False) if _autocasts(device) else nullcontext():
            loss, ctx.gradients = compute_loss(
                features.to(compute),
                weight.to(compute),
                None if bias is None else bias.to(compute),
                target,
                options,
            )
        ctx.mark_non_differentiable(*(x for x in loss[1:] if x is not None))
        return loss

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *others: Any) -> tuple[Any, ...]:  # type: ignore[override]
        if torch.is_grad_enabled():
            raise GuidedAlignError(
                "the vocabulary softmax in chunks has no second-order gradients; use --vocabulary-softmax full"
            )
        if ctx.gradients is None:
            raise GuidedAlignError(
                "the vocabulary softmax in chunks keeps its gradients for one backward pass, and this is the second; "
                "use --vocabulary-softmax full"
            )
        gradients, ctx.gradients = ctx.gradients, None
        return (*(_times(x, gradient, dtype) for x, dtype in zip(gradients, ctx.types)), None, None, None)


def _times(x: Tensor | None, factor: Tensor, dtype: torch.dtype) -> Tensor | None:
    """``factor * x`` in this type; ``x`` is used up.

    The factor holds the loss scale of half-precision training. It comes in before the cast, so that small gradients
    survive.
    """
    if x is None or x.dtype == dtype:
        return x if x is None else x.mul_(factor)
    return torch.mul(x, factor, out=torch.empty_like(x, dtype=dtype))


def _loss_and_gradients(
    features: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    target: Tensor,
    options: ChunkOptions,
) -> tuple[SequenceLoss, list[Tensor | None]]:
    label_smoothing, padding_index, count_correct, chunk_rows, _, wanted = options
    real = target.ne(padding_index)
    vocabulary, count = weight.size(0), target.numel()
    exact = torch.float64 if features.dtype == torch.float64 else torch.float32
    others = label_smoothing / (vocabulary - 1) if label_smoothing > 0 else 0.0
    on_label = 1.0 - label_smoothing - others
    weight_sum = weight.sum(dim=0, dtype=exact) if others else None
    bias_sum = bias.sum(dtype=exact) if bias is not None else 0.0
    mask = real.to(exact)

    # The loop over chunks starts few operations: a GPU may have to wait for the start of each.
    labels = target.unsqueeze(1)
    of_label = features.new_full((min(chunk_rows, count), 1), -on_label, dtype=exact)
    label_logit, log_denominator = (features.new_empty(count, 1, dtype=exact) for _ in range(2))
    correct = target.new_zeros(()) if count_correct else None
    gradients = ChunkGradients(features, weight, bias, mask, wanted)
    # The system would have to map a new matrix for every chunk.
    buffer = features.new_empty(min(chunk_rows, count), vocabulary) if features.dtype == exact else None
    softmax = _softmax_in_place if features.device.type == "cpu" else _softmax
    for start in range(0, count, chunk_rows):
        part = slice(start, min(start + chunk_rows, count))
        x, label = features[part], labels[part]
        logits = product(x, weight.t(), None if buffer is None else buffer[: x.size(0)])
        if bias is not None:
            logits += bias
        torch.gather(logits, 1, label, out=label_logit[part])
        if correct is not None:
            correct += (logits.argmax(dim=1).eq(target[part]) & real[part]).sum()
        p, log_denominator[part] = softmax(logits)
        # As long as a name refers to the matrix, the next one cannot have its memory.
        del logits
        if any(wanted):
            p.scatter_add_(1, label, of_label[: x.size(0)])
            gradients.add_of_bias(p, part)
            p = gradients.operand(p)
            gradients.add_of_products(p, part)
        del p
    gradients.finish(others, weight_sum)

    log_denominator, label_logit = log_denominator.squeeze(1), label_logit.squeeze(1)
    likelihood = (log_denominator - label_logit) * mask
    smoothed = on_label * likelihood
    if weight_sum is not None:
        logit_sum = torch.mv(features.to(exact), weight_sum) + bias_sum
        smoothed += others * (vocabulary * log_denominator - logit_sum) * mask
    return SequenceLoss(smoothed.sum(), smoothed, likelihood, correct), gradients.found


def _by_kernel(
    features: Tensor, weight: Tensor, bias: Tensor | None, target: Tensor, options: ChunkOptions
) -> tuple[SequenceLoss, list[Tensor | None]]:
    """As :func:`_loss_and_gradients` on a GPU, with one kernel of our own between the products.

    It starts few operations: a GPU may have to wait for the start of each. Its ``p - q`` therefore holds what q puts on
    every token, and is 0 for padding.
    """
    label_smoothing, padding_index, count_correct, chunk_rows, _, wanted = options
    if bias is not None:
        raise ValueError("the kernel of the loss in chunks knows no bias")
    vocabulary, count = weight.size(0), target.numel()
    others = label_smoothing / (vocabulary - 1) if label_smoothing > 0 else 0.0
    scale = SCALE.get(features.dtype, 1.0)
    of_features = torch.empty_like(features, dtype=torch.float32) if wanted[0] else None
    of_weight = torch.zeros_like(weight, dtype=torch.float32) if wanted[1] else None
    smoothed, likelihood = features.new_empty(2, count, dtype=torch.float32)
    hits = target.new_empty(count) if count_correct else None
    logits = features.new_empty(min(chunk_rows, count), vocabulary, dtype=torch.float32)
    differences = None
    if wanted[0] or wanted[1]:
        differences = logits if features.dtype == torch.float32 else torch.empty_like(logits, dtype=features.dtype)
    for start in range(0, count, chunk_rows):
        part = slice(start, min(start + chunk_rows, count))
        x = features[part]
        rows = slice(0, x.size(0))
        product(x, weight.t(), logits[rows])
        p = None if differences is None else differences[rows]
        cross_entropy_of_logits(
            logits[rows], target[part], padding_index, others, scale, smoothed[part], likelihood[part],
            None if hits is None else hits[part], p,
        )  # fmt: skip
        if of_features is not None and p is not None:
            product(p, weight, of_features[part])
        if of_weight is not None and p is not None:
            add_product(of_weight, p.t(), x, 1 / scale)
    if of_features is not None and scale != 1:
        of_features *= 1 / scale
    loss = SequenceLoss(smoothed.sum(), smoothed, likelihood, None if hits is None else hits.sum())
    return loss, [of_features, of_weight, None]


def _softmax(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Probabilities and the logarithm of their denominator, (tokens, 1)."""
    highest, position = logits.max(dim=1, keepdim=True)
    p = torch.softmax(logits, dim=1)
    # The highest probability is at least 1 / V, so its logarithm is exact.
    return p, highest - p.gather(1, position).log()


def _softmax_in_place(logits: Tensor) -> tuple[Tensor, Tensor]:
    """As :func:`_softmax`, in place: on a CPU, torch's softmax reads an entry before it writes it.

    There, two maxima take less time than one maximum with its position.
    """
    highest = logits.amax(dim=1, keepdim=True)
    p = torch.softmax(logits, dim=1, out=logits)
    return p, highest - p.amax(dim=1, keepdim=True).log()


def _without_padding(
    features: Tensor, weight: Tensor, bias: Tensor | None, target: Tensor, options: ChunkOptions
) -> tuple[SequenceLoss, list[Tensor | None]]:
    """As :func:`_loss_and_gradients`, on the real tokens alone."""
    real = target.ne(options.padding_index)
    if bool(real.all()):
        return _loss_and_gradients(features, weight, bias, target, options)
    chosen = real.nonzero().squeeze(1)
    loss, gradients = _loss_and_gradients(features[chosen], weight, bias, target[chosen], options)

    def put_back(rows: Tensor) -> Tensor:
        return rows.new_zeros(real.numel(), *rows.shape[1:]).index_copy_(0, chosen, rows)

    if gradients[0] is not None:
        gradients[0] = put_back(gradients[0])
    likelihood = put_back(loss.negative_log_likelihood)
    return loss._replace(smoothed=put_back(loss.smoothed), negative_log_likelihood=likelihood), gradients


def _autocasts(device: str) -> bool:
    return torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)
