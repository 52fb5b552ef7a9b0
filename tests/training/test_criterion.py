"""The criterion with a stand-in model: sums, options, refusals, log. Training with it is tested elsewhere."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from fairseq.data import Dictionary
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import Choice, Sentence, all_choices, random_sentences, smoothed_cross_entropy, token_costs
from stand_in import MODELS, PAD, PlainModel, batch, criterion, figures, printed
from torch.utils._python_dispatch import TorchDispatchMode

from fairseq_guided_align.errors import AlignmentLengthError, AlignmentRangeError, GuidedAlignError
from fairseq_guided_align.training.criterion import (
    GuidedAlignmentCrossEntropy,
    GuidedAlignmentCrossEntropyConfig,
)

VOCABULARY = 11


def options_of(choice: Choice, **others: Any) -> dict[str, Any]:
    return {
        "guided_alignment_type": choice.type,
        "guided_alignment_rows": choice.rows,
        "guided_alignment_normalization": choice.normalization,
        "guided_alignment_position": choice.position,
        "guided_alignment_unlinked": choice.unlinked,
        "ignore_prefix_size": choice.prefix,
        **others,
    }


def model_and_batch(
    sentences: Sequence[Sentence], seed: int = 0, form: str = "ours", spare: int = 0, model: Any = PlainModel
) -> tuple[Any, dict[str, Any], list[list[int]]]:
    """A stand-in with these sentences' attention, the batch, and its labels; ``spare`` rows and columns more."""
    generator = np.random.default_rng(seed)
    width = max(one.lengths[0] for one in sentences) + spare
    columns = max(one.lengths[1] for one in sentences) + spare
    attention = torch.zeros(len(sentences), width, columns, dtype=torch.float64)
    for b, one in enumerate(sentences):
        attention[b, :, : one.lengths[1]] = 1 / one.lengths[1]
        attention[b, : one.lengths[0], : one.lengths[1]] = torch.from_numpy(one.attention)
    labels = [generator.integers(4, VOCABULARY, one.lengths[0]).tolist() for one in sentences]
    logits = torch.from_numpy(generator.normal(size=(len(sentences), width, VOCABULARY)))
    lengths = [one.lengths[1] for one in sentences]
    sample = batch(labels, lengths, [one.links for one in sentences], width, columns, form)
    return model(logits, attention), sample, labels


def wanted_sums(
    sentences: Sequence[Sentence], labels: list[list[int]], logits: torch.Tensor, choice: Choice, e: float, columns: int
) -> dict[str, float]:
    """Sums over the batch, by slow loops."""
    sums = {"loss": 0.0, "nll_loss": 0.0, "alignment_loss": 0.0, "guided_tokens": 0, "correct": 0, "total": 0}
    for b, sentence in enumerate(sentences):
        for t, label in enumerate(labels[b]):
            if t < choice.prefix:
                continue
            row = logits[b, t].tolist()
            sums["loss"] += smoothed_cross_entropy(row, label, e)
            sums["nll_loss"] += smoothed_cross_entropy(row, label, 0.0)
            sums["correct"] += row.index(max(row)) == label
            sums["total"] += 1
        costs = token_costs(sentence, choice, columns)
        sums["alignment_loss"] += sum(cost for cost in costs if cost is not None)
        sums["guided_tokens"] += sum(cost is not None for cost in costs)
    return sums


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(1, 4),
    st.sampled_from(all_choices()),
    st.sampled_from([0.0, 0.1]),
    st.sampled_from([0.3, 1.0, 2.0]),
    st.booleans(),
    st.integers(0, 2),
)
def test_sums_equal_the_slow_loops(
    seed: int, count: int, choice: Choice, e: float, weight: float, sentence_avg: bool, spare: int
) -> None:
    sentence_avg = sentence_avg and choice.normalization == "tokens"
    # float32 weights, as the links hold them
    sentences = [
        Sentence(one.attention, tuple((s, t, float(np.float32(w))) for s, t, w in one.links))
        for one in random_sentences(seed, count)
    ]
    model, sample, labels = model_and_batch(sentences, seed, spare=spare)
    guided = criterion(
        **options_of(choice), label_smoothing=e, guided_alignment_weight=weight, report_accuracy=True,
        sentence_avg=sentence_avg,
    )  # fmt: skip
    loss, sample_size, log = guided(model, sample)
    columns = model.attention.size(2)
    wanted = wanted_sums(sentences, labels, model.logits, choice, e, columns)
    tokens = sum(map(len, labels))
    if choice.normalization == "opennmt-tf":
        weight /= max(tokens - len(labels), 1)

    def close(value: float) -> Any:
        return pytest.approx(value, rel=1e-9, abs=1e-9)

    assert float(log["loss"]) == close(wanted["loss"])
    assert float(log["nll_loss"]) == close(wanted["nll_loss"])
    assert float(log["alignment_loss"]) == close(wanted["alignment_loss"])
    assert float(log["weighted_alignment_loss"]) == close(weight * wanted["alignment_loss"])
    assert float(loss) == close(wanted["loss"] + weight * wanted["alignment_loss"])
    assert int(log["guided_tokens"]) == wanted["guided_tokens"]
    linked = {
        (b, t) for b, one in enumerate(sentences) for _, t, _ in one.links if choice.prefix <= t < one.lengths[0] - 1
    }
    assert int(log["linked_tokens"]) == len(linked)
    alignable = sum(max(one.lengths[0] - 1 - choice.prefix, 0) for one in sentences)
    assert int(log["alignable_tokens"]) == alignable
    assert (int(log["n_correct"]), int(log["total"])) == (wanted["correct"], wanted["total"])
    assert sample_size == log["sample_size"] == (count if sentence_avg else tokens)

    stats = figures([log], guided)
    assert stats["loss"] == pytest.approx(wanted["loss"] / sample_size / math.log(2), abs=6e-4)
    assert stats["nll_loss"] == pytest.approx(wanted["nll_loss"] / tokens / math.log(2), abs=6e-4)
    if wanted["guided_tokens"]:
        per_token = wanted["alignment_loss"] / wanted["guided_tokens"]
        assert stats["alignment_loss"] == pytest.approx(per_token, abs=6e-7)
    objective = wanted["loss"] + weight * wanted["alignment_loss"]
    assert stats["loss_per_token"] == pytest.approx(objective / tokens, abs=6e-7)
    if wanted["total"]:
        assert stats["accuracy"] == pytest.approx(100 * wanted["correct"] / wanted["total"], abs=6e-7)


@pytest.mark.parametrize("model", MODELS)
def test_stock_batches_give_the_same_as_ours(model: Any) -> None:
    sentences = random_sentences(3, 4, weighted=False)
    batches = [model_and_batch(sentences, 3, form, 1, model)[:2] for form in ("stock", "ours")]
    for choice in all_choices():
        guided = criterion(**options_of(choice))
        one, other = (guided(*given)[0] for given in batches)
        torch.testing.assert_close(one, other, rtol=1e-12, atol=0, msg=str(choice))


def test_stock_batches_with_links_that_are_there_twice() -> None:
    sentences = random_sentences(23, 4, duplicates=True, weighted=False)
    assert any(len(set(one.links)) < len(one.links) for one in sentences)
    model, sample, labels = model_and_batch(sentences, form="stock")
    for choice in all_choices():
        log = criterion(**options_of(choice))(model, sample)[2]
        wanted = wanted_sums(sentences, labels, model.logits, choice, 0.0, model.attention.size(2))
        assert float(log["alignment_loss"]) == pytest.approx(wanted["alignment_loss"], rel=1e-9), choice


# Cases beyond the golden numbers


def one_token_guided(attention: Sequence[float], link: int, **options: Any) -> tuple[float, torch.Tensor]:
    """Alignment loss of a sentence with one target token and one link, and the attention's gradient."""
    rows = torch.tensor([[list(attention)] * 2], requires_grad=True)
    sample = batch([[4, 2]], [len(attention)], [[(link, 0, 1.0)]], 2, len(attention))
    loss, _, log = criterion(**options)(PlainModel(torch.zeros(1, 2, 5), rows), sample)
    loss.backward()
    assert rows.grad is not None
    return float(log["alignment_loss"]), rows.grad[0, 0]


def test_attention_of_zero_at_a_gold_link() -> None:
    compatible = {"guided_alignment_normalization": "opennmt-tf", "guided_alignment_rows": "binary"}
    cost, gradient = one_token_guided([0.0, 1.0], 0, **compatible)
    assert cost == pytest.approx(-math.log(1e-7), rel=1e-6)
    assert not gradient.any()
    cost, gradient = one_token_guided([0.0, 1.0], 0)
    assert cost == pytest.approx(-math.log(torch.finfo(torch.float32).tiny), rel=1e-6)
    assert torch.isfinite(gradient).all()
    cost, gradient = one_token_guided([0.0, 1.0], 0, guided_alignment_type="mse")
    assert cost == pytest.approx(1.0)
    torch.testing.assert_close(gradient, torch.tensor([-1.0, 1.0]))


def test_attention_of_one_at_a_gold_link() -> None:
    assert one_token_guided([1.0, 0.0], 0)[0] == 0
    compatible = {"guided_alignment_normalization": "opennmt-tf", "guided_alignment_rows": "binary"}
    assert one_token_guided([1.0, 0.0], 0, **compatible)[0] == pytest.approx(1e-7, rel=0.2)


@pytest.mark.parametrize("form", ["ours", "stock"])
@pytest.mark.parametrize("type", ["ce", "mse"])
def test_a_batch_without_any_link(form: str, type: str) -> None:
    sentences = [Sentence(one.attention, ()) for one in random_sentences(1, 3)]
    model, sample, _ = model_and_batch(sentences, form=form)
    loss, _, log = criterion(guided_alignment_type=type)(model, sample)
    assert float(loss) == pytest.approx(float(log["loss"]))
    assert figures([log], criterion())["alignment_loss"] == 0
    assert printed(figures([log], criterion())).count("alignment_loss 0.000000") == 1


def test_a_sentence_of_nothing_but_its_end() -> None:
    model, sample, _ = model_and_batch([Sentence(np.ones((1, 1)), ())])
    for choice in all_choices():
        loss, sample_size, log = criterion(**options_of(choice))(model, sample)
        assert math.isfinite(float(loss))
        assert sample_size == 1
        assert float(log["alignment_loss"]) == 0


def test_a_link_of_the_last_token_is_not_guided() -> None:
    """The target's ``</s>`` is left alone, and so is a link that points into padding."""
    sentences = [one for one in random_sentences(2, 9) if one.lengths[0] > 2][:2]
    for target in (sentences[0].lengths[0] - 1, sentences[0].lengths[0]):
        linked = [Sentence(sentences[0].attention, ((0, target, 1.0),)), Sentence(sentences[1].attention, ())]
        model, sample, _ = model_and_batch(linked, spare=2)
        log = criterion()(model, sample)[2]
        assert float(log["alignment_loss"]) == 0
        assert int(log["linked_tokens"]) == 0


# Options


def figures_with(**options: Any) -> tuple[float, float, float]:
    sentences = random_sentences(29, 4)
    guided = criterion(**options)
    loss, sample_size, log = guided(*model_and_batch(sentences)[:2])
    return float(loss), float(log["alignment_loss"]), float(sample_size)


@pytest.mark.parametrize(
    "option",
    [
        {"label_smoothing": 0.1},
        {"ignore_prefix_size": 1},
        {"sentence_avg": True},
        {"guided_alignment_type": "mse"},
        {"guided_alignment_weight": 0.5},
        {"guided_alignment_weight": 0.0},
        {"guided_alignment_normalization": "opennmt-tf"},
        {"guided_alignment_rows": "binary"},
        {"guided_alignment_position": "next"},
        {"guided_alignment_unlinked": "eos"},
    ],
    ids=str,
)
def test_every_option_changes_a_result(option: dict[str, Any]) -> None:
    assert figures_with(**option) != figures_with()


def with_updates(updates: int) -> SimpleNamespace:
    return SimpleNamespace(target_dictionary=Dictionary(), finished_updates=updates)


@pytest.mark.parametrize(
    ("options", "updates", "weight"),
    [
        ({"guided_alignment_warmup_updates": 4}, 1, 0.25),
        ({"guided_alignment_decay": "linear", "guided_alignment_decay_updates": 4}, 1, 0.75),
        ({"guided_alignment_decay": "inverse-sqrt"}, 4, 0.5),
        ({"guided_alignment_stop_updates": 4}, 3, 1.0),
        ({"guided_alignment_stop_updates": 4}, 4, 0.0),
    ],
    ids=str,
)
def test_the_weight_follows_the_updates(options: dict[str, Any], updates: int, weight: float) -> None:
    model, sample, _ = model_and_batch(random_sentences(29, 4))
    loss, _, log = criterion(with_updates(updates), **options)(model, sample)
    assert float(log["weighted_alignment_loss"]) == pytest.approx(weight * float(log["alignment_loss"]))
    assert float(loss) == pytest.approx(float(log["loss"]) + weight * float(log["alignment_loss"]))


def test_weight_zero_neither_needs_attention_nor_links() -> None:
    model, sample, _ = model_and_batch(random_sentences(29, 4))
    model.attention = None
    del sample["alignments"]
    loss, _, log = criterion(guided_alignment_weight=0.0)(model, sample)
    assert float(loss) == pytest.approx(float(log["loss"]))
    assert log.keys() == criterion()(*model_and_batch(random_sentences(29, 4))[:2])[2].keys()


def test_the_batch_is_left_as_it_is() -> None:
    model, sample, _ = model_and_batch(random_sentences(29, 4))
    target = sample["target"].clone()
    criterion(ignore_prefix_size=2, report_accuracy=True)(model, sample)
    assert torch.equal(sample["target"], target)


def test_accuracy_is_reported_only_on_request() -> None:
    model, sample, _ = model_and_batch(random_sentences(29, 4))
    assert "accuracy" not in figures([criterion()(model, sample)[2]], criterion())


def test_unreduced_losses_sum_to_the_reduced_one() -> None:
    model, sample, _ = model_and_batch(random_sentences(29, 4), spare=1)
    guided = criterion(label_smoothing=0.1)
    each, _, log = guided(model, sample, reduce=False)
    whole, _, reduced = guided(model, sample)
    assert each.shape == (sample["target"].numel(),)
    torch.testing.assert_close(each.sum(), whole)
    assert not each[sample["target"].view(-1).eq(PAD)].any()
    assert {key: float(value) for key, value in log.items()} == {key: float(value) for key, value in reduced.items()}


# Refusals


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"label_smoothing": 1.0}, "--label-smoothing"),
        ({"label_smoothing": -0.1}, "--label-smoothing"),
        ({"ignore_prefix_size": -1}, "--ignore-prefix-size"),
        ({"guided_alignment_weight": -1.0}, "--guided-alignment-weight"),
        ({"guided_alignment_weight": math.nan}, "--guided-alignment-weight"),
        ({"guided_alignment_layers": "last"}, "--guided-alignment-layers"),
        ({"guided_alignment_heads": "0,,1"}, "--guided-alignment-heads"),
        ({"guided_alignment_decay": "linear"}, "--guided-alignment-decay-updates"),
        ({"guided_alignment_decay_updates": 3}, "--guided-alignment-decay-updates"),
        ({"guided_alignment_warmup_updates": 3}, "translation_guided_alignment"),
        ({"guided_alignment_normalization": "opennmt-tf", "sentence_avg": True}, "--sentence-avg"),
    ],
    ids=str,
)
def test_options_that_make_no_sense_are_refused_at_once(options: dict[str, Any], named: str) -> None:
    with pytest.raises(GuidedAlignError, match=named):
        criterion(**options)


def test_a_stock_task_without_links_is_refused_in_fairseqs_programs_only() -> None:
    """Outside of them, a batch with links may come from anywhere."""
    from fairseq.dataclass.configs import FairseqConfig
    from fairseq.tasks.translation import TranslationConfig, TranslationTask
    from omegaconf import OmegaConf, open_dict

    task = TranslationTask(TranslationConfig(), Dictionary(), Dictionary())
    model, sample, _ = model_and_batch(random_sentences(29, 4))
    assert float(criterion(task)(model, sample)[2]["alignment_loss"]) > 0

    program = OmegaConf.create(OmegaConf.to_container(OmegaConf.structured(FairseqConfig()), resolve=False))
    with open_dict(program):
        for weight in (1.0, 0.0):
            config = GuidedAlignmentCrossEntropyConfig(guided_alignment_weight=weight, sentence_avg=False)
            program.criterion = OmegaConf.structured(config)
            if weight:
                with pytest.raises(GuidedAlignError, match="--load-alignments"):
                    GuidedAlignmentCrossEntropy(program.criterion, task)
            else:
                GuidedAlignmentCrossEntropy(program.criterion, task)


def test_layers_that_cannot_be_followed_are_named(caplog: pytest.LogCaptureFixture) -> None:
    model, sample, _ = model_and_batch(random_sentences(29, 4))
    guided = criterion(guided_alignment_heads="1")
    guided(model, sample)
    guided(model, sample)
    (said,) = (record.getMessage() for record in caplog.records if record.levelname == "WARNING")
    assert said.startswith("--guided-alignment-heads cannot be followed")


def test_links_outside_the_batch_are_refused() -> None:
    model, sample, _ = model_and_batch(random_sentences(29, 4))
    columns = model.attention.size(2)
    for bad in ([columns, 0], [-1, 0], [0, -1], [0, sample["target"].numel()]):
        sample["alignments"][0] = torch.tensor(bad)
        with pytest.raises(AlignmentRangeError, match="attention has source columns 0"):
            criterion()(model, sample)


def test_attention_of_another_shape_is_refused() -> None:
    model, sample, _ = model_and_batch(random_sentences(29, 4))
    model.attention = model.attention[:, :, :-1]
    with pytest.raises(AlignmentLengthError, match=r"attention is \(4, "):
        criterion()(model, sample)


@pytest.mark.parametrize("attention", [None, [], [None], torch.ones(3)])
def test_a_model_that_returns_no_attention_is_refused(attention: Any) -> None:
    model, sample, _ = model_and_batch(random_sentences(29, 4))
    model.attention = attention
    with pytest.raises(GuidedAlignError, match="'attn'"):
        criterion()(model, sample)


# Without fairseq's programs


def test_built_from_the_dataclass_alone() -> None:
    """Without fairseq's configuration around it, ``--sentence-avg`` has fairseq's default."""
    from omegaconf import OmegaConf

    task = SimpleNamespace(target_dictionary=Dictionary())
    model, sample, labels = model_and_batch(random_sentences(29, 4))
    config = GuidedAlignmentCrossEntropyConfig(label_smoothing=0.1)
    for cfg in (config, OmegaConf.structured(config)):
        assert GuidedAlignmentCrossEntropy(cfg, task)(model, sample)[1] == sum(map(len, labels))


def test_a_fixed_attention_does_not_stop_training() -> None:
    model, sample, _ = model_and_batch(random_sentences(29, 4))
    model.logits.requires_grad_()
    loss, _, _ = criterion()(model.train(), sample)
    loss.backward()
    assert model.logits.grad is not None


def test_a_foreign_decoder_may_return_its_attention() -> None:
    model, sample, _ = model_and_batch(random_sentences(29, 4))
    loss = criterion()(model, sample)[0]
    model.decoder = torch.nn.Linear(1, 1)
    torch.testing.assert_close(criterion()(model, sample)[0], loss)


# The log


class Reads(TorchDispatchMode):
    """Notes every operation that makes the host wait for the device."""

    WAITS = ("_local_scalar_dense", "nonzero", "is_nonzero", "equal", "masked_select", "unique")

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.__name__.split(".")[0]
        if name.lstrip("_") in {one.lstrip("_") for one in self.WAITS} or name.startswith("unique"):
            self.found.append(name)
        if name == "index" and any(one is not None and one.dtype == torch.bool for one in args[1]):
            self.found.append("index by a mask")
        if name == "_to_copy" and (kwargs or {}).get("device", torch.device("meta")).type == "cpu":
            self.found.append("copy to the host")
        return func(*args, **(kwargs or {}))


def on_meta(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: on_meta(part) for key, part in value.items()}
    return value.to("meta") if isinstance(value, torch.Tensor) else value


@pytest.mark.parametrize("form", ["ours", "stock"])
def test_no_step_waits_for_the_device(form: str) -> None:
    """Forward and backward on the device that computes shapes only: whatever needs a value fails there."""
    model, sample, _ = model_and_batch(random_sentences(31, 3, weighted=False), form=form)
    for choice in all_choices():
        guided = criterion(**options_of(choice), report_accuracy=True, label_smoothing=0.1)
        meta = PlainModel(model.logits.to("meta").requires_grad_(), model.attention.to("meta").requires_grad_())
        with Reads() as reads, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loss, _, log = guided(meta, on_meta(sample))
            loss.backward()
        assert reads.found == [], choice
        assert all(isinstance(value, int) or value.device.type == "meta" for value in log.values())


def test_waiting_would_be_noticed() -> None:
    with Reads() as reads:
        torch.ones(2).sum().item()
        torch.ones(2)[torch.tensor([True, False])]
    assert reads.found == ["_local_scalar_dense", "index by a mask"]


def test_every_batch_logs_the_same_keys_of_the_same_types() -> None:
    with_links, without = random_sentences(29, 4), [Sentence(np.ones((1, 1)), ())]
    logs = [
        criterion(report_accuracy=True)(*model_and_batch(sentences, form=form)[:2])[2]
        for sentences in (with_links, without)
        for form in ("ours", "stock")
    ]

    def kinds(log: dict[str, Any]) -> list[tuple[str, Any]]:
        return [(k, v.dtype if isinstance(v, torch.Tensor) else type(v)) for k, v in log.items()]

    assert all(kinds(log) == kinds(logs[0]) for log in logs)
    assert GuidedAlignmentCrossEntropy.logging_outputs_can_be_summed() is True


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 3))
def test_figures_of_a_batch_equal_those_of_its_parts(seed: int, cut: int) -> None:
    sentences = random_sentences(seed, 4)
    guided = criterion(report_accuracy=True, label_smoothing=0.1, guided_alignment_weight=0.3)
    model, sample, labels = model_and_batch(sentences, seed)
    whole = guided(model, sample)[2]
    logs = []
    for part in (slice(0, cut), slice(cut, 4)):
        lengths = [one.lengths[1] for one in sentences[part]]
        links = [one.links for one in sentences[part]]
        width, columns = model.attention.shape[1:]
        logs.append(
            guided(
                PlainModel(model.logits[part], model.attention[part]),
                batch(labels[part], lengths, links, width, columns),
            )[2]
        )
    # as fairseq sums them over workers
    summed = {key: sum(log[key] for log in logs) for key in logs[0]}
    for parts in (logs, [summed]):
        assert figures(parts, guided) == pytest.approx(figures([whole], guided), rel=1e-9, abs=2e-6)


def test_sums_keep_their_decimals_over_an_epoch() -> None:
    """Three thousand batches: float32 would have lost the fourth decimal of the mean."""
    model, sample, _ = model_and_batch(random_sentences(29, 4))
    model.logits, model.attention = model.logits.float() * 20, model.attention.float()
    guided = criterion()
    log = guided(model, sample)[2]
    assert log["loss"].dtype == log["alignment_loss"].dtype == torch.float64
    from fairseq.logging import metrics

    with metrics.aggregate(new_root=True) as aggregator:
        for _ in range(3_000):
            type(guided).reduce_metrics([log])
    one = figures([log], guided)
    assert aggregator.get_smoothed_values()["loss_per_token"] == pytest.approx(one["loss_per_token"], abs=1e-6)


def test_share_of_linked_tokens() -> None:
    uniform = np.full((4, 2), 0.5)
    linked = [Sentence(uniform, ((0, 0, 1.0), (1, 0, 1.0), (0, 2, 1.0))), Sentence(uniform, ())]
    model, sample, _ = model_and_batch(linked)
    sample["link_counts"]["dropped"] = 7
    stats = figures([criterion()(model, sample)[2]], criterion())
    assert stats["link_coverage"] == pytest.approx(2 / 6, abs=1e-6)
    assert stats["links_dropped"] == 7
    assert "link_coverage 0.333333" in printed(stats)
    assert "links_dropped 7 |" in printed(stats) + " |"


def test_the_best_metric_can_be_saved_and_loaded(tmp_path: Any) -> None:
    """``--best-checkpoint-metric alignment_loss`` puts the figure into the checkpoint."""
    model, sample, _ = model_and_batch(random_sentences(29, 4))
    best = figures([criterion()(model, sample)[2]], criterion())["alignment_loss"]
    torch.save({"best": best}, tmp_path / "checkpoint.pt")
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["best"] == best
