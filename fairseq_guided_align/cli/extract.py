"""``fairseq-guided-align extract``: links that a trained model sees between given sentences and translations."""

from __future__ import annotations

import argparse
import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

import numpy as np

from fairseq_guided_align.atomic_files import atomic_file
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.pharaoh import format_line
from fairseq_guided_align.subwords import KINDS, word_of_piece

HELP = "write the links that a trained model sees in a binarised split"
SETTINGS = "guided_alignment.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.description = (
        "Feeds a model the given translations and writes, for each sentence pair, the links of the attention that "
        "was guided: one line a pair, in the order of the split, SOURCE-TARGET from 0, as words or pieces."
    )
    parser.add_argument("checkpoint", help="checkpoint of fairseq-train")
    parser.add_argument("--data", help="data folder (default: the one that the model was trained on)")
    parser.add_argument("--split", default="test", help="split of the data folder (default: test)")
    parser.add_argument("--output", help="file to write (default: standard output)")
    parser.add_argument(
        "--attention",
        choices=("guided", "last-layer"),
        default="guided",
        help="guided: the heads that were guided, as the checkpoint says; last-layer: all heads of the last layer, "
        "averaged, which is what stock fairseq reads (default: guided)",
    )
    parser.add_argument(
        "--level", choices=("words", "pieces"), default="words", help="what the links join (default: words)"
    )
    parser.add_argument(
        "--subwords",
        choices=KINDS,
        help=f"how pieces make up words (default: as {SETTINGS} in the data folder says, else sentencepiece)",
    )
    parser.add_argument(
        "--method",
        choices=("argmax", "mutual-argmax", "threshold"),
        default="argmax",
        help="argmax: each target token's most likely source token; mutual-argmax: only where that source token "
        "has no likelier target token; threshold: every link of at least --threshold, with its probability as "
        "weight (default: argmax)",
    )
    parser.add_argument("--threshold", type=float, help="least probability of a link, above 0 and at most 1")
    parser.add_argument(
        "--reverse-checkpoint",
        help="checkpoint of the opposite direction, whose probabilities are averaged with this one's; use it with "
        "--method threshold or mutual-argmax",
    )
    parser.add_argument("--reverse-data", help="its data folder (default: the one that it was trained on)")
    parser.add_argument("--max-tokens", type=int, default=4000, help="tokens in a batch (default: 4000)")
    parser.add_argument("--device", help="where the models run, such as cpu or cuda:0 (default: a GPU if there is one)")


def run(args: argparse.Namespace) -> int:
    """Write the links; 0."""
    if (args.threshold is None) == (args.method == "threshold"):
        raise GuidedAlignError("--threshold goes with --method threshold, and only with it")
    if args.threshold is not None and not 0 < args.threshold <= 1:
        raise GuidedAlignError(f"--threshold: expected a number above 0 and at most 1; got {args.threshold}")
    if args.reverse_checkpoint and args.method == "argmax":
        raise GuidedAlignError("--reverse-checkpoint goes with --method threshold or mutual-argmax")
    from fairseq_guided_align.extraction import AlignmentModel, links_of_both_directions, read_links_off

    model = AlignmentModel(args.checkpoint, args.data, args.attention, args.device)
    matrices = _matrices(model, args, "")
    if args.reverse_checkpoint:
        reverse_model = AlignmentModel(args.reverse_checkpoint, args.reverse_data, args.attention, args.device)
        _check_opposite(model, reverse_model)
        reverse = _matrices(reverse_model, args, "reverse ")
        if len(reverse) != len(matrices):
            raise GuidedAlignError(
                f"{args.split!r} has {len(matrices)} sentence pairs for {args.checkpoint} and {len(reverse)} for "
                f"{args.reverse_checkpoint}; both need the same text"
            )
    text = []
    for number, matrix in enumerate(matrices):
        if args.reverse_checkpoint:
            links = links_of_both_directions(matrix, reverse[number], args.method, args.threshold)
        else:
            links = read_links_off(matrix, model.guided, args.method, args.threshold)
        text.append(format_line(links) + "\n")
    if args.output is None:
        sys.stdout.writelines(text)
    else:
        with atomic_file(Path(args.output)) as stream:
            stream.write("".join(text).encode("utf-8"))
    return 0


def _matrices(model: Any, args: argparse.Namespace, what: str) -> List[np.ndarray]:
    """Attention of every pair in the order of the split, at the level asked for."""
    from tqdm import tqdm

    to_words = _to_words(args, model.task.cfg.data) if args.level == "words" else None
    matrices: List[Optional[np.ndarray]] = [None] * model.split_size(args.split)
    with tqdm(
        total=len(matrices), desc=f"aligning {what}{args.split}", unit="pair", disable=None, file=sys.stderr
    ) as bar:
        for number, pair in model.align_split(args.split, args.max_tokens):
            matrices[number] = pair.attention if to_words is None else pair.words(to_words)
            bar.update()
    return matrices  # type: ignore[return-value]  # every pair of the split has been aligned


def _to_words(args: argparse.Namespace, data: str) -> Callable[[List[str]], np.ndarray]:
    kind = args.subwords
    if kind is None:
        path = Path(data.split(os.pathsep)[0]) / SETTINGS
        settings: Dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        kind = settings.get("subwords", "sentencepiece")
    return partial(word_of_piece, kind=kind)


def _check_opposite(model: Any, reverse: Any) -> None:
    pair = (model.task.cfg.source_lang, model.task.cfg.target_lang)
    other = (reverse.task.cfg.source_lang, reverse.task.cfg.target_lang)
    if other != pair[::-1]:
        raise GuidedAlignError(
            f"--reverse-checkpoint: expected a model from {pair[1]} to {pair[0]}; got one from {other[0]} to {other[1]}"
        )
