"""`fairseq-guided-align average`: one checkpoint out of the last ones of a training."""

from __future__ import annotations

import argparse

from fairseq_guided_align.cli.argument_types import checkpoint_to_write
from fairseq_guided_align.cli.options import add
from fairseq_guided_align.errors import GuidedAlignError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command and add its options."""
    parser.description = (
        "Writes a checkpoint whose weights are the mean of those of several; the choice of guided heads stays. It is "
        "for translating and aligning: the optimizer's state is left out, so training does not go on from it."
    )
    parser.add_argument(
        "checkpoints", metavar="CHECKPOINT", nargs="+", help="checkpoints of fairseq-train; with --last, their folder"
    )
    add(parser, "--output", note="checkpoint to write", type=checkpoint_to_write, required=True)
    parser.add_argument("--last", type=int, metavar="N", help="the last N checkpoints of the folder")
    parser.add_argument(
        "--by",
        choices=("updates", "epochs"),
        help="with --last: those of --save-interval-updates, checkpoint_EPOCH_UPDATES.pt, or those after each epoch, "
        "checkpointEPOCH.pt (default: the kind that the folder has)",
    )


def run(args: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    # Importing torch takes seconds.
    from fairseq_guided_align.checkpoints.averaging import average_checkpoints, last_checkpoints

    paths = args.checkpoints
    if args.last is not None:
        if args.last < 2:
            raise GuidedAlignError(f"--last: expected at least 2 checkpoints to average; got {args.last}")
        if len(paths) > 1:
            raise GuidedAlignError(f"--last: expected one folder of checkpoints; got {', '.join(paths)}")
        paths = last_checkpoints(paths[0], args.last, args.by)
    elif args.by is not None:
        raise GuidedAlignError("--by goes with --last")
    average_checkpoints(paths, args.output)
    return 0
