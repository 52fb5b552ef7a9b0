"""Values of the benchmarks' options."""

from __future__ import annotations

import argparse

import torch

from benchmarks.training.cases import LENGTH, SIZES

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def token_counts(text: str) -> list[int]:
    """Target tokens of a batch, which are whole sentences."""
    found = numbers(text)
    for tokens in found:
        if tokens < LENGTH or tokens % LENGTH:
            raise argparse.ArgumentTypeError(f"expected multiples of {LENGTH}, the tokens of a sentence; got {tokens}")
    return found


def model_names(text: str) -> list[str]:
    found = text.split(",")
    for model in found:
        if model not in SIZES:
            raise argparse.ArgumentTypeError(f"expected some of {', '.join(SIZES)}; got {model!r}")
    return found
