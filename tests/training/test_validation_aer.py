"""AER in validation: counts off the criterion's own forward pass, summed over batches and workers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import MadeUpData, TrainedModel
from decoding_reference import SlowModels, likeliest
from fairseq_runs import GUIDED, of_logger, train, validate
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_guided_align.attention.guided_heads import GuidedHeads
from fairseq_guided_align.attention.hard_links import argmax_links
from fairseq_guided_align.cli.main import main
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.links.link import SentenceLinks
from fairseq_guided_align.losses.batching import collate_links
from fairseq_guided_align.scores.metrics import COLUMNS, AlignmentCounts, count_links
from fairseq_guided_align.training.validation_aer import count_batch

PAD, EOS = 1, 2


def random_links(generator: np.random.Generator, sources: int, targets: int) -> SentenceLinks:
    cells = [(s, t) for s in range(sources) for t in range(targets) if generator.random() < 0.3]
    links = SentenceLinks.from_pairs(cells)
    return SentenceLinks(links.source, links.target, links.weight, generator.random(len(links)) < 0.7)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    position=st.sampled_from(["same", "next"]),
    unlinked=st.sampled_from(["ignore", "eos"]),
    source_left=st.booleans(),
    target_left=st.booleans(),
)
def test_counts_of_a_batch_are_those_of_its_sentences(
    seed: int, position: str, unlinked: str, source_left: bool, target_left: bool
) -> None:
    """Against links read off each sentence's own matrix and counted as sets."""
    generator = np.random.default_rng(seed)
    sizes = [(int(generator.integers(1, 6)), int(generator.integers(1, 6))) for _ in range(4)]
    width, columns = max(t for _, t in sizes) + 1, max(s for s, _ in sizes) + 1
    attention = torch.zeros(4, width, columns)
    source, target = torch.full((4, columns), PAD), torch.full((4, width), PAD)
    expected, links, offsets = AlignmentCounts(), [], []
    for b, (s, t) in enumerate(sizes):
        column = columns - s - 1 if source_left else 0
        row = width - t - 1 if target_left else 0
        offsets.append((column, row))
        matrix = generator.dirichlet(np.ones(s + 1), size=t + 1).astype(np.float32)
        attention[b, row : row + t + 1, column : column + s + 1] = torch.from_numpy(matrix)
        source[b, column : column + s + 1], source[b, column + s] = 5, EOS
        target[b, row : row + t + 1], target[b, row + t] = 5, EOS
        gold = random_links(generator, s, t)
        links.append(gold)
        own = matrix[1:] if position == "next" else matrix[:-1]
        found = argmax_links(own, -1) if unlinked == "eos" else argmax_links(own[:, :-1])
        if len(gold):
            expected += count_links(found, gold)
    sample: dict[str, Any] = {"target": target, "net_input": {"src_tokens": source}}
    sample.update(collate_links(links, np.array([c for c, _ in offsets]), np.array([r for _, r in offsets]), width, 0))
    guided = GuidedHeads((0,), (0,), "mean", position, unlinked)
    for heads in ([attention], [torch.zeros_like(attention), 2 * attention]):
        counts = count_batch(heads, sample, guided, PAD)
        assert counts.dtype == torch.float64
        assert dict(zip(COLUMNS, counts.tolist())) == vars(expected)


def by_hand(made_up: MadeUpData, checkpoint: Path, unlinked: str = "ignore", **choice: Any) -> AlignmentCounts:
    """From the text files and the slow reference."""
    slow = SlowModels([checkpoint], **choice)
    text = [made_up.text / f"valid.{end}" for end in ("src", "tgt", "align")]
    columns = [path.read_text(encoding="utf-8").splitlines() for path in text]
    total = AlignmentCounts()
    for source, target, align in zip(*columns):
        gold = SentenceLinks.from_pairs([tuple(map(int, pair.split("-"))) for pair in align.split()])
        found = likeliest(slow.matrix(source.split(), target.split()), unlinked)
        total += count_links(SentenceLinks.from_pairs(found), gold)
    return total


def test_validation_reports_the_error_rate_of_its_links(made_up: MadeUpData, trained: TrainedModel) -> None:
    figures = validate(made_up.binarised, trained.checkpoint, "--eval-aer", "--batch-size", 7)
    expected = by_hand(made_up, trained.checkpoint)
    assert float(figures["valid_aer"]) == pytest.approx(expected.aer, abs=1e-6)
    assert float(figures["valid_alignment_precision"]) == pytest.approx(expected.precision, abs=1e-6)
    assert float(figures["valid_alignment_recall"]) == pytest.approx(expected.recall, abs=1e-6)
    assert expected.aer < 0.5


def test_training_and_the_aer_command_count_alike(
    made_up: MadeUpData, trained: TrainedModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Gold links with possible ones, and with empty lines, whose pairs both leave out."""
    gold, links = tmp_path / "gold", tmp_path / "links"
    lines = (made_up.text / "valid.align").read_text(encoding="utf-8").splitlines()
    gold.write_text(
        "".join(("" if k % 3 == 0 else line.replace("-", "?", k % 4)) + "\n" for k, line in enumerate(lines))
    )
    figures = validate(
        made_up.binarised, trained.checkpoint, "--eval-aer", "--alignment-files", f"valid={gold}", "--batch-size", 7
    )
    arguments = ["--split", "valid", "--subwords", "words", "--output", str(links)]
    assert main(["extract", str(trained.checkpoint), *arguments]) == 0
    capsys.readouterr()
    assert main(["aer", str(gold), str(links), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["pairs_left_out"] == 14
    for name, key in (("aer", "aer"), ("precision", "alignment_precision"), ("recall", "alignment_recall")):
        assert float(figures[f"valid_{key}"]) == pytest.approx(found["systems"][0][name], abs=1e-6)
    assert 0 < found["systems"][0]["counts"]["sure"] < found["systems"][0]["counts"]["possible"]


def test_the_checkpoint_with_the_lowest_error_rate_is_kept(made_up: MadeUpData, tmp_path: Path) -> None:
    """With the shifted row, several heads and </s> for unlinked tokens."""
    log = train(
        made_up.binarised, tmp_path, "--eval-aer", "--best-checkpoint-metric", "aer", "--lr", 0.01,
        "--validate-interval-updates", 10, "--save-interval-updates", 10, "--no-epoch-checkpoints",
        "--guided-alignment-position", "next", "--guided-alignment-unlinked", "eos",
        "--guided-alignment-layers", "all", "--guided-alignment-heads=-1", "--guided-alignment-reduction", "each",
        updates=50,
    )  # fmt: skip
    rates = of_logger(log, "valid", "valid_aer")
    assert len(rates) >= 5
    assert float(of_logger(log, "valid")[-1]["valid_best_aer"]) == pytest.approx(min(rates), abs=1e-6)
    choice: dict[str, Any] = {"layers": (0, 1), "heads": (1,), "position": "next"}
    best = by_hand(made_up, tmp_path / "checkpoint_best.pt", unlinked="eos", **choice)
    assert best.aer == pytest.approx(min(rates), abs=1e-6)


def test_a_model_that_is_not_guided_is_measured_by_what_fairseq_reads(made_up: MadeUpData, tmp_path: Path) -> None:
    log = train(
        made_up.binarised, tmp_path, "--task", GUIDED[1], "--criterion", "label_smoothed_cross_entropy",
        "--eval-aer", updates=3,
    )  # fmt: skip
    (rate,) = of_logger(log, "valid", "valid_aer")
    assert rate == pytest.approx(by_hand(made_up, tmp_path / "checkpoint_last.pt", heads=(0, 1)).aer, abs=1e-6)


def test_a_validation_set_without_links_is_refused(made_up: MadeUpData, tmp_path: Path) -> None:
    data = tmp_path / "bin"
    data.mkdir()
    for path in made_up.binarised.iterdir():
        if not path.name.startswith("valid.align"):
            (data / path.name).symlink_to(path)
    with pytest.raises(GuidedAlignError, match=r"--eval-aer: 'valid' has no alignments"):
        train(data, tmp_path / "out", "--eval-aer", "--allow-missing-alignments", updates=2)
