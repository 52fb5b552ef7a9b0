"""Small Transformers of fairseq's with random weights, and batches for them; no data, no training."""

from __future__ import annotations

import argparse
from types import SimpleNamespace
from typing import Any

import torch
from fairseq.data import Dictionary
from fairseq.models import ARCH_CONFIG_REGISTRY, ARCH_MODEL_REGISTRY
from stand_in import batch

SIZES = {
    "encoder_layers": 1, "decoder_layers": 3, "encoder_embed_dim": 16, "encoder_ffn_embed_dim": 16,
    "decoder_embed_dim": 16, "decoder_ffn_embed_dim": 16, "encoder_attention_heads": 4, "decoder_attention_heads": 4,
    "dropout": 0.0, "max_source_positions": 64, "max_target_positions": 64,
}  # fmt: skip


def task() -> Any:
    """What a model and the criterion need of a translation task."""
    words = Dictionary()
    for i in range(9):
        words.add_symbol(f"w{i}")
    return SimpleNamespace(source_dictionary=words, target_dictionary=words)


def model(arch: str = "transformer", seed: int = 0, **options: Any) -> Any:
    """A model of this architecture, in training mode."""
    torch.manual_seed(seed)
    args = argparse.Namespace(**SIZES, arch=arch)
    for key, value in options.items():
        setattr(args, key, value)
    ARCH_CONFIG_REGISTRY[arch](args)
    return ARCH_MODEL_REGISTRY[arch].build_model(args, task()).train()


def sample() -> dict[str, Any]:
    """Three sentence pairs with padding on both sides; sources are padded on the left, as fairseq does."""
    labels = [[4, 5, 6, 7, 2], [6, 4, 2], [8, 2]]
    links = [[(0, 0, 1.0), (2, 1, 1.0), (1, 1, 1.0), (3, 3, 1.0)], [(1, 0, 0.5)], []]
    found = batch(labels, [5, 3, 2], links, width=6, columns=6)
    net_input = found["net_input"]
    source = net_input["src_tokens"].clone()
    torch.manual_seed(1)
    source[source == 5] = torch.randint(4, 13, (10,))
    net_input["src_tokens"] = source
    return found
