"""The losses as slow loops over Python floats, written from the formulas.

Of the package only its lists of names are used, so that :func:`all_choices` has what a user can choose. A name that is
not written here is an error.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from fairseq_guided_align.attention.guided_heads import POSITIONS, UNLINKED
from fairseq_guided_align.losses.guided_cost import COSTS

SHIFT = {"same": 0, "next": 1}
"""Rows from the decoder's row that predicts a token to the row with its attention."""
KNOWN = {
    "type": ("ce", "mse"),
    "rows": ("normalized", "binary"),
    "normalization": ("tokens", "opennmt-tf"),
    "position": tuple(SHIFT),
    "unlinked": ("ignore", "eos"),
}


@dataclass(frozen=True)
class Sentence:
    """One sentence of a batch.

    :param attention: (target, source) probabilities, rows sum to 1; the last target token is ``</s>``.
    :param links: (source, target, weight) triples, 0-based; duplicates are allowed.
    """

    attention: np.ndarray
    links: tuple[tuple[int, int, float], ...]

    @property
    def lengths(self) -> tuple[int, int]:
        return self.attention.shape  # type: ignore[return-value]


@dataclass(frozen=True)
class Choice:
    """The options of the cost, named as on the command line."""

    type: str = "ce"
    rows: str = "normalized"
    normalization: str = "tokens"
    position: str = "same"
    unlinked: str = "ignore"
    prefix: int = 0

    def __post_init__(self) -> None:
        for name, known in KNOWN.items():
            assert getattr(self, name) in known, f"this reference does not know {name} {getattr(self, name)!r}"

    def but(self, **changes: object) -> Choice:
        return replace(self, **changes)  # type: ignore[arg-type]


def all_choices() -> list[Choice]:
    return [
        Choice(type, rows, normalization, position, unlinked, prefix)
        for type in COSTS
        for rows in KNOWN["rows"]
        for normalization in KNOWN["normalization"]
        for position in POSITIONS
        for unlinked in UNLINKED
        for prefix in (0, 2)
    ]


def gold_row(sentence: Sentence, t: int, rows: str) -> list[float]:
    g = [0.0] * sentence.lengths[1]
    here = [(s, w) for s, target, w in sentence.links if target == t]
    if rows == "normalized":
        # fairseq counts a link that is there twice as two of the token's links
        total = sum(w for _, w in here)
        for s, w in here:
            g[s] += w / total if total > 0 else 0.0
    else:
        for s, w in reversed(here):
            g[s] = w
    return g


def token_costs(sentence: Sentence, choice: Choice, padded_width: int) -> list[float | None]:
    """Cost of each target token; None for tokens that are not guided.

    :param padded_width: source width of the batch, which OpenNMT-tf's squared error divides by.
    """
    target_length, source_length = sentence.lengths
    own = range(choice.prefix, target_length - 1)
    has_link = {t for _, t, w in sentence.links if w > 0 and t in own}
    costs: list[float | None] = []
    for t in range(target_length):
        if t not in own:
            costs.append(None)
            continue
        g = gold_row(sentence, t, choice.rows)
        guided = t in has_link
        if not guided and choice.unlinked == "eos" and has_link:
            g[source_length - 1] = 1.0
            guided = True
        # The last row stands for those below it, which there are not.
        p = [float(x) for x in sentence.attention[min(t + SHIFT[choice.position], target_length - 1)]]
        if choice.type == "ce":
            if choice.normalization == "opennmt-tf":
                p = [min(max(x / sum(p), 1e-7), 1 - 1e-7) for x in p]
            cost = -sum(gs * math.log(ps) for gs, ps in zip(g, p) if gs > 0)
        elif choice.normalization == "opennmt-tf":
            guided = True
            cost = sum((gs - ps) ** 2 for gs, ps in zip(g, p)) / padded_width
        else:
            cost = sum((gs - ps) ** 2 for gs, ps in zip(g, p)) / source_length
        costs.append(cost if guided else None)
    return costs


def smoothed_cross_entropy(logits: Sequence[float], label: int, label_smoothing: float) -> float:
    """``-sum_v q_v log p_v`` in nats, q = 1 - e on the label and e / (V - 1) on each other token."""
    largest = max(logits)
    log_sum = largest + math.log(sum(math.exp(x - largest) for x in logits))
    cost = 0.0
    for v, x in enumerate(logits):
        q = 1 - label_smoothing if v == label else label_smoothing / (len(logits) - 1)
        cost -= q * (x - log_sum)
    return cost


@dataclass(frozen=True)
class Padding:
    """Columns and rows added to the widest sentence of a batch."""

    source_left: bool = False
    source: int = 0
    target_left: bool = False
    target: int = 0


@dataclass(frozen=True)
class Collated:
    """A batch as tensors; links as rows (sentence, target position, source column), with their weights."""

    attention: torch.Tensor
    links: torch.Tensor
    weights: torch.Tensor
    target_is_real: torch.Tensor
    source_is_real: torch.Tensor
    starts: list[int]

    def sentence_rows(self, values: torch.Tensor, sentence: int, length: int) -> torch.Tensor:
        """A sentence's own target tokens, without padding."""
        return values[sentence, self.starts[sentence] : self.starts[sentence] + length]


def collate(sentences: Sequence[Sentence], padding: Padding = Padding()) -> Collated:
    """The batch; the rows of padded target positions hold some attention, as a decoder's do."""
    width = max(one.lengths[0] for one in sentences) + padding.target
    columns = max(one.lengths[1] for one in sentences) + padding.source
    attention = np.zeros((len(sentences), width, columns))
    target_is_real = np.zeros((len(sentences), width), dtype=bool)
    source_is_real = np.zeros((len(sentences), columns), dtype=bool)
    links, weights, starts = [], [], []
    for b, one in enumerate(sentences):
        target_length, source_length = one.lengths
        row = width - target_length if padding.target_left else 0
        column = columns - source_length if padding.source_left else 0
        attention[b, :, column : column + source_length] = 1 / source_length
        attention[b, row : row + target_length, column : column + source_length] = one.attention
        target_is_real[b, row : row + target_length] = True
        source_is_real[b, column : column + source_length] = True
        links += [(b, t + row, s + column) for s, t, _ in one.links]
        weights += [w for _, _, w in one.links]
        starts.append(row)
    return Collated(
        torch.from_numpy(attention),
        torch.tensor(links, dtype=torch.int64).reshape(-1, 3),
        torch.tensor(weights, dtype=torch.float64),
        torch.from_numpy(target_is_real),
        torch.from_numpy(source_is_real),
        starts,
    )


def random_sentence(generator: np.random.Generator, duplicates: bool = False, weighted: bool = True) -> Sentence:
    """A sentence of up to 6 target and 5 source tokens with up to 6 links, often none on some tokens."""
    target_length, source_length = int(generator.integers(1, 7)), int(generator.integers(1, 6))
    logits = generator.normal(size=(target_length, source_length)) * 2
    attention = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    links: list[tuple[int, int, float]] = []
    for _ in range(int(generator.integers(0, 7)) if target_length > 1 else 0):
        cell = int(generator.integers(source_length)), int(generator.integers(target_length - 1))
        if duplicates or cell not in {link[:2] for link in links}:
            links.append((*cell, float(generator.uniform(0.1, 2)) if weighted else 1.0))
    return Sentence(attention, tuple(links))


def random_sentences(seed: int, count: int, duplicates: bool = False, weighted: bool = True) -> list[Sentence]:
    generator = np.random.default_rng(seed)
    return [random_sentence(generator, duplicates, weighted) for _ in range(count)]
