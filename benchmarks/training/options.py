"""Options that several benchmarks take, and their values."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import product

import torch

from benchmarks.training.cases import LENGTH, SIZES, Setting

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


def add_setting_options(
    parser: argparse.ArgumentParser, models: str, vocabularies: Sequence[int], tokens: Sequence[int], dtype: str
) -> None:
    """Options that say which settings are gone through, with these defaults."""
    parser.add_argument(
        "--models", type=model_names, default=models, help=f"of {', '.join(SIZES)} (default: %(default)s)"
    )
    for option, convert, default, unit in (
        ("--vocabularies", numbers, vocabularies, "target tokens known"),
        ("--tokens", token_counts, tokens, f"of a batch, multiples of {LENGTH}"),
    ):
        text = ",".join(map(str, default))
        parser.add_argument(option, type=convert, default=text, metavar="N,...", help=f"{unit} (default: {text})")
    parser.add_argument("--dtype", choices=DTYPES, default=dtype, help="of the model (default: %(default)s)")


def chosen_settings(args: argparse.Namespace, device: str) -> list[Setting]:
    """All combinations of what :func:`add_setting_options` takes."""
    return [
        Setting(model, vocabulary, tokens, device, DTYPES[args.dtype])
        for model, vocabulary, tokens in product(args.models, args.vocabularies, args.tokens)
    ]
