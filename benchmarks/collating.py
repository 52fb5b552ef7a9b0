"""What links add to the collation of a batch: ours against stock fairseq's, as a ratio, in one run.

    python benchmarks/collating.py [--json FILE]

Made-up sentence pairs of 10 to 40 tokens, a link for each target token, batches of 64. Each round fetches and collates
the same batches without links, with stock fairseq's alignments and with ours, in turn; medians over the rounds.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fairseq.data import Dictionary, LanguagePairDataset, ListDataset

import fairseq_guided_align
from fairseq_guided_align.links.link import CorpusLinks

fairseq_guided_align.register()

from fairseq_guided_align.training.dataset import GuidedPairDataset  # noqa: E402

PAIRS, BATCH = 2048, 64


def make_pairs(align_dataset: Any, dictionary: Dictionary, sides: list[ListDataset]) -> LanguagePairDataset:
    """The sentence pairs as fairseq holds them."""
    source, target = sides
    return LanguagePairDataset(
        source, source.sizes, dictionary, target, target.sizes, dictionary, align_dataset=align_dataset
    )


def seconds(dataset: Any) -> np.ndarray:
    """Time to fetch the pairs of every batch once, and to collate them."""
    found = np.zeros(2)
    for first in range(0, PAIRS, BATCH):
        start = time.perf_counter()
        items = [dataset[index] for index in range(first, first + BATCH)]
        fetched = time.perf_counter()
        dataset.collater(items)
        found += fetched - start, time.perf_counter() - fetched
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, help="rounds (default: 15)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here as well")
    args = parser.parse_args()
    torch.set_num_threads(1)
    random = np.random.default_rng(0)
    dictionary = Dictionary()
    lengths = random.integers(10, 41, size=(2, PAIRS))
    sides = []
    for side in lengths:
        items = [torch.cat([torch.randint(4, 1000, (n,)), torch.tensor([dictionary.eos()])]) for n in side.tolist()]
        sides.append(ListDataset(items, np.array([len(item) for item in items])))
    sentence = np.repeat(np.arange(PAIRS), lengths[1])
    target = np.concatenate([np.arange(n) for n in lengths[1]])
    source = (random.random(len(target)) * lengths[0][sentence]).astype(int)
    links = CorpusLinks.from_columns(PAIRS, sentence, source, target)
    stock = [torch.from_numpy(np.stack([one.source, one.target], axis=1).astype(np.int64)).view(-1) for one in links]
    plain = make_pairs(None, dictionary, sides)
    datasets = {
        "without links": plain,
        "stock fairseq": make_pairs(stock, dictionary, sides),
        "ours": GuidedPairDataset(plain, links),
    }
    times: dict[str, list[np.ndarray]] = {name: [] for name in datasets}
    for _ in range(args.rounds + 1):
        for name, dataset in datasets.items():
            times[name].append(seconds(dataset))
    # The first round warms up
    added = {name: np.median(np.subtract(found, times["without links"])[1:], axis=0) for name, found in times.items()}
    for name, found in times.items():
        fetching, collating = 1e6 / PAIRS * np.median(found[1:], axis=0)
        more = 1e6 / PAIRS * added[name]
        print(
            f"{name:14} fetching {fetching:5.1f} us a pair, links add {more[0]:5.1f}; collating {collating:5.1f}, links"
            f" add {more[1]:5.1f}"
        )
    shares = {
        "collating": added["ours"][1] / added["stock fairseq"][1],
        "fetching and collating": added["ours"].sum() / added["stock fairseq"].sum(),
    }
    for what, share in shares.items():
        print(f"{what}: ours adds {share:.2f} of what stock fairseq adds")
    if args.json:
        figures = {name: np.median(found[1:], axis=0).tolist() for name, found in times.items()}
        args.json.write_text(json.dumps({"seconds": figures, "ours_over_stock": shares}, indent=2) + "\n")


if __name__ == "__main__":
    main()
