"""Options of bootstrap resampling, which commands that score share."""

from __future__ import annotations

import argparse
from typing import Any

from fairseq_guided_align.errors import GuidedAlignError


def add_sampling(options: Any, score: str) -> None:
    """Add what asks for resampling and how it is done.

    :param score: what gets an interval, as the help says it.
    """
    options.add_argument("--confidence", action="store_true", help=f"add a bootstrap interval to every {score}")
    options.add_argument("--level", type=float, metavar="P", help="confidence level of intervals (default: 0.95)")
    options.add_argument("--samples", type=int, metavar="N", help="bootstrap resamples (default: 1000)")
    options.add_argument("--seed", type=int, metavar="N", help="of the resampling (default: 12345)")


def chosen_sampling(args: argparse.Namespace) -> dict[str, Any]:
    """Level, samples and seed of the resampling.

    :param args: with the options of :func:`add_sampling`, and ``systems``: what is scored.
    :raises GuidedAlignError: one of them was given, and nothing is resampled.
    """
    given = {name: getattr(args, name) for name in ("level", "samples", "seed") if getattr(args, name) is not None}
    if given and not args.confidence and len(args.systems) == 1:
        named = " and ".join(f"--{name}" for name in given)
        raise GuidedAlignError(f"{named}: of resampling, which --confidence or a second system asks for")
    return {"level": 0.95, "samples": 1000, "seed": 12345, **given}
