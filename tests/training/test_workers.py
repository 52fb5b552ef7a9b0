"""Two real processes against one on the same batches: the same figures, the same weights, no hang."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import MadeUpData
from fairseq_runs import GUIDED, STOCK_TASK, TINY_MODEL, TINY_TRAINING, USER_DIR, run, run_for_figures
from two_ranks import finish, start_two

pytestmark = pytest.mark.slow

# With Adam, gradients that are nothing but rounding errors would move weights as far as all others.
COMMON = [
    "--user-dir", USER_DIR, *TINY_MODEL, *TINY_TRAINING, "--optimizer", "sgd", "--momentum", "0.9", "--lr", "0.05",
    "--label-smoothing", "0.1", "--report-accuracy", "--max-update", "20", "--no-epoch-checkpoints",
    "--validate-interval", "1", "--save-interval", "1000",
]  # fmt: skip
# Times; and in validation, which has no --update-freq, means over batches: two processes make one out of two.
NOT_THE_SAME = (
    "wps", "ups", "wall", "valid_wpb", "valid_bsz", "valid_ntokens", "valid_nsentences", "valid_sample_size",
)  # fmt: skip


@dataclass(frozen=True)
class Training:
    """A training of two ranks, each of which takes the batches that one process with twice the steps takes.

    :param reference: another training with the same reference, or None.
    """

    options: tuple[str, ...]
    update_freq: int = 1
    half_linked: bool = False
    task: tuple[str, ...] = tuple(GUIDED)
    reference: str | None = None


TRAININGS = {
    "legacy_ddp": Training(("--ddp-backend", "legacy_ddp", "--vocabulary-softmax", "chunked", "--eval-aer")),
    "full softmax": Training(("--ddp-backend", "legacy_ddp", "--vocabulary-softmax", "full", "--eval-aer")),
    "fast-stat-sync": Training(
        ("--ddp-backend", "legacy_ddp", "--fast-stat-sync", "--eval-aer"), reference="legacy_ddp"
    ),
    "update-freq": Training(("--ddp-backend", "legacy_ddp", "--guided-alignment-warmup-updates", "10"), update_freq=2),
    "a rank without links": Training(("--ddp-backend", "legacy_ddp"), half_linked=True),
    "the same, stock task": Training(
        ("--ddp-backend", "legacy_ddp"), half_linked=True, task=tuple(STOCK_TASK), reference="a rank without links"
    ),
    "the same, squared error": Training(
        ("--ddp-backend", "legacy_ddp", "--guided-alignment-type", "mse", "--sentence-avg", "--eval-aer"),
        half_linked=True,
    ),
    # fairseq 0.12.2's encoder layers have parameters that are never used
    "torch's own DDP": Training(
        ("--ddp-backend", "pytorch_ddp", "--find-unused-parameters", "--vocabulary-softmax", "chunked", "--eval-aer"),
        reference="legacy_ddp",
    ),
    "checkpointed activations": Training(
        ("--ddp-backend", "legacy_ddp", "--vocabulary-softmax", "chunked", "--eval-aer", "--checkpoint-activations"),
        reference="legacy_ddp",
    ),
    "several language pairs": Training(
        ("--ddp-backend", "legacy_ddp", "--arch", "multilingual_transformer", "--eval-aer"),
        task=(
            "--task",
            "multilingual_translation_guided_alignment",
            "--lang-pairs",
            "src-tgt,tgt-src",
            *GUIDED[2:],
        ),
    ),
}

# Each rank draws for itself which layers it drops, so that no single process does the same.
DROPPED = Training(
    ("--ddp-backend", "legacy_ddp", "--eval-aer", "--checkpoint-activations", "--decoder-layerdrop", "0.5",
     "--dropout", "0.1", "--decoder-layers", "3"),
)  # fmt: skip


@pytest.fixture(scope="module")
def half_linked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten batches of 16 pairs of one length each; every other batch has no links.

    ``--curriculum`` keeps their order, so that the second of two ranks never gets a link.
    """
    text = tmp_path_factory.mktemp("half-linked-text")
    lengths = range(3, 13)
    words = [f"w{i}" for i in range(20)]
    for split in ("train", "valid"):
        lines: dict[str, list[str]] = {"src": [], "tgt": [], "align": []}
        for batch, length in enumerate(lengths):
            for k in range(16):
                sentence = [words[(batch + k * i) % 20] for i in range(length)]
                lines["src"].append(" ".join(sentence))
                lines["tgt"].append(" ".join(reversed(sentence)))
                links = [f"{i}-{length - 1 - i}" for i in range(1, length)] if batch % 2 == 0 else []
                lines["align"].append(" ".join(links))
        for suffix, content in lines.items():
            (text / f"{split}.{suffix}").write_text("".join(line + "\n" for line in content), encoding="utf-8")
    binarised = text / "bin"
    run(
        "preprocess", "--source-lang", "src", "--target-lang", "tgt", "--destdir", binarised,
        "--trainpref", text / "train", "--validpref", text / "valid", "--align-suffix", "align",
    )  # fmt: skip
    return binarised


def arguments(training: Training, data: Path, folder: Path, processes: int) -> list[str]:
    steps = training.update_freq * (1 if processes == 2 else 2)
    own = [*COMMON, *training.task, *training.options]
    if training.half_linked:
        own += ["--curriculum", "1000"]
    return [str(data), *own, "--update-freq", str(steps), "--save-dir", str(folder)]


@dataclass(frozen=True)
class Outcome:
    one: list[dict[str, Any]]
    ranks: list[list[dict[str, Any]]]
    weights: list[dict[str, torch.Tensor]]


@pytest.fixture(scope="module")
def outcomes(made_up: MadeUpData, half_linked: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """All trainings, the two ranks in one pair of processes: starting them is what takes the time."""
    folder = tmp_path_factory.mktemp("workers")

    def data(training: Training) -> Path:
        return half_linked if training.half_linked else made_up.binarised

    trainings = {**TRAININGS, "dropped layers": DROPPED}
    runs = [
        arguments(training, data(training), folder / f"two-{i}", 2) for i, training in enumerate(trainings.values())
    ]
    processes = start_two(folder, runs)
    one: dict[str, tuple[list[dict[str, Any]], Path]] = {}
    for i, (name, training) in enumerate(TRAININGS.items()):
        if training.reference is None:
            alone = folder / f"one-{i}"
            one[name] = run_for_figures("train", *arguments(training, data(training), alone, 1)), alone
    ranks = finish(folder, processes)

    found = {}
    for i, (name, training) in enumerate(TRAININGS.items()):
        figures, alone = one[training.reference or name]
        weights = [
            torch.load(where / "checkpoint_last.pt", weights_only=True)["model"]
            for where in (alone, folder / f"two-{i}")
        ]
        found[name] = Outcome(figures, [ranks[0][i], ranks[1][i]], weights)
    found["dropped layers"] = Outcome([], [ranks[0][-1], ranks[1][-1]], [])
    return found


def compare(one: dict[str, Any], two: dict[str, Any]) -> None:
    """Float32 rounding, or a unit in the last of the decimals that are printed."""
    keys = {key for key in one if not key.endswith(NOT_THE_SAME)}
    assert keys == {key for key in two if not key.endswith(NOT_THE_SAME)}
    for key in keys:
        if key == "logger":
            assert one[key] == two[key]
            continue
        if "aer" in key or "alignment_precision" in key or "alignment_recall" in key:
            # counts, whose sums have no rounding
            assert one[key] == two[key], key
            continue
        decimals = len(str(one[key]).partition(".")[2])
        assert float(two[key]) == pytest.approx(float(one[key]), rel=2e-5, abs=1.01 * 10**-decimals), key


@pytest.mark.parametrize("name", TRAININGS)
def test_two_ranks_log_what_one_process_logs(name: str, outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes[name]
    for rank, figures in enumerate(outcome.ranks):
        # the console is the first rank's alone; training figures are summed over ranks on every one of them
        for logger in ("train_inner", "train", "valid"):
            mine = [record for record in figures if record["logger"] == logger]
            wanted = [record for record in outcome.one if record["logger"] == logger]
            assert len(mine) == len(wanted) > 0, (rank, logger)
            for one, two in zip(wanted, mine):
                compare(one, two)
    inner = [record for record in outcome.ranks[0] if record["logger"] == "train_inner"]
    assert len(inner) == 20
    for key in ("alignment_loss", "loss_per_token", "link_coverage", "accuracy", "links_dropped", "nll_loss"):
        assert all(key in record for record in inner)
    assert all(0 < float(record["link_coverage"]) < 1 for record in inner)


@pytest.mark.parametrize("name", TRAININGS)
def test_two_ranks_end_with_the_weights_of_one_process(name: str, outcomes: dict[str, Outcome]) -> None:
    one, two = outcomes[name].weights
    assert one.keys() == two.keys()
    # fairseq keeps a tensor that was never written to, for its device
    keys = [key for key in one if not key.endswith("_float_tensor")]
    for key in keys:
        close = {"rtol": 1e-4, "atol": 2e-6, "msg": lambda text, key=key: f"{key}: {text}"}
        torch.testing.assert_close(two[key], one[key], **close)


def test_two_ranks_that_drop_layers_and_checkpoint_the_others_stay_together(outcomes: dict[str, Outcome]) -> None:
    """fairseq itself compares the ranks' gradients in every update."""
    ranks = outcomes["dropped layers"].ranks
    for logger in ("train_inner", "train", "valid"):
        one, two = ([record for record in figures if record["logger"] == logger] for figures in ranks)
        assert len(one) == len(two) > 0
        for mine, other in zip(one, two):
            compare(mine, other)
    inner = [float(record["alignment_loss"]) for record in ranks[0] if record["logger"] == "train_inner"]
    assert len(inner) == 20
    assert sum(inner[-5:]) < sum(inner[:5]) - 0.1


def test_both_softmaxes_train_alike(outcomes: dict[str, Outcome]) -> None:
    """Two ranks in the plain way, against one process in chunks."""
    chunked, full = outcomes["legacy_ddp"], outcomes["full softmax"]
    for logger in ("train_inner", "train", "valid"):
        ours, wanted = (
            [record for record in figures if record["logger"] == logger] for figures in (chunked.one, full.ranks[0])
        )
        assert len(ours) == len(wanted) > 0
        for one, two in zip(ours, wanted):
            compare(one, two)
    # As a whole: where rounding puts an activation on the other side of 0, its own weights go another way.
    one, two = (
        torch.cat([value.flatten() for key, value in weights.items() if not key.endswith("_float_tensor")])
        for weights in (chunked.weights[0], full.weights[1])
    )
    assert (two - one).norm() < 1e-4 * one.norm()


def test_validation_measured_the_error_rate_of_all_ranks(outcomes: dict[str, Outcome]) -> None:
    figures = outcomes["several language pairs"].ranks[1]
    valid = [record for record in figures if record["logger"] == "valid"]
    assert valid
    for record in valid:
        for of in ("", "src-tgt:", "tgt-src:"):
            assert 0 < float(record[f"valid_{of}aer"]) < 1


def test_the_weights_moved_and_guidance_moved_them(outcomes: dict[str, Outcome]) -> None:
    """Otherwise the comparison would say nothing."""
    one, other = (outcomes[name].weights[1] for name in ("legacy_ddp", "update-freq"))
    key = "decoder.layers.1.encoder_attn.q_proj.weight"
    assert float((one[key] - other[key]).abs().max()) > 1e-3
    losses = [float(r["alignment_loss"]) for r in outcomes["legacy_ddp"].one if r["logger"] == "train_inner"]
    assert losses[-1] < losses[0] - 0.05


def test_the_second_rank_really_gets_no_links(outcomes: dict[str, Outcome]) -> None:
    """Each update takes a batch of length L with L - 1 linked tokens, and one of length L + 1 without links."""
    inner = [record for record in outcomes["a rank without links"].one if record["logger"] == "train_inner"]
    wanted = [(length - 1) / (2 * length + 1) for length in range(3, 13, 2)] * 4
    assert [float(record["link_coverage"]) for record in inner] == pytest.approx(wanted, abs=1e-6)
