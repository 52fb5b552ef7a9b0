"""Random cuts: as often as SentencePiece draws them, or as a slow enumeration of all cuts says."""

from __future__ import annotations

import io
import itertools
import math
import random
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.subwords.sampling import PieceSampler, Sampling, bpe_cutters, unigram_cutters
from fairseq_guided_align.subwords.sentencepiece_models import PieceEncoder

sentencepiece = pytest.importorskip("sentencepiece")

MODELS: dict[str, dict[str, Any]] = {
    "unigram": {"model_type": "unigram"},
    "bpe": {"model_type": "bpe"},
    "unigram-bytes": {"model_type": "unigram", "byte_fallback": True},
    "bpe-bytes": {"model_type": "bpe", "byte_fallback": True},
    "unigram-symbols": {"model_type": "unigram", "user_defined_symbols": ["<ab", "<abc", "the"]},
    "bpe-symbols": {"model_type": "bpe", "user_defined_symbols": ["<ab", "<abc", "the"]},
    "unigram-suffix": {"model_type": "unigram", "treat_whitespace_as_suffix": True},
    "bpe-suffix": {"model_type": "bpe", "treat_whitespace_as_suffix": True},
    "unigram-across": {"model_type": "unigram", "split_by_whitespace": False},
    "bpe-as-it-is": {"model_type": "bpe", "normalization_rule_name": "identity", "remove_extra_whitespaces": False},
}
STRANGE = [
    "", " ", "the", "  two  spaces ", "Ω ΩΩ the ΩΩΩ", "ﬁ ½ thé", "<ab><abc> in<abcthe <ab", "in the▁beginning",
    "no\u00a0break \u3000wide", "😀😀 in", "thethethe" * 9, "ab", "a", "zz",
]  # fmt: skip
N = 8000


@cache
def lines() -> list[str]:
    chance = random.Random(5)
    letters = "aeiournstldh"
    words = ["".join(chance.choices(letters, k=chance.randint(1, 9))) for _ in range(200)] + ["the", "in", "beginning"]
    return [" ".join(chance.choices(words, k=chance.randint(1, 12))) for _ in range(600)]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    paths = {}
    for name, settings in MODELS.items():
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines()), model_writer=model, minloglevel=2,
            vocab_size=350 if settings.get("byte_fallback") else 120, **settings,
        )  # fmt: skip
        paths[name] = folder / f"{name}.model"
        paths[name].write_bytes(model.getvalue())
    return paths


def excess(own: Counter, expected: Counter) -> float:
    """The statistic of the chi-square test that two samples are of one distribution, less its mean, in its standard
    deviations; rare outcomes together.
    """
    scale = math.sqrt(sum(expected.values()) / sum(own.values()))
    both = own + expected
    common = [key for key in both if both[key] >= 20]
    rare = [sum(one.values()) - sum(one[key] for key in common) for one in (own, expected)]
    pairs = [(own[key], expected[key]) for key in common] + ([(rare[0], rare[1])] if sum(rare) >= 20 else [])
    freedom = len(pairs) - 1
    statistic = sum((a * scale - b / scale) ** 2 / (a + b) for a, b in pairs)
    return (statistic - freedom) / math.sqrt(2 * freedom) if freedom else 0.0


@pytest.mark.parametrize("name", MODELS)
def test_as_often_as_sentencepiece(models: dict[str, Path], name: str) -> None:
    model = sentencepiece.SentencePieceProcessor(model_file=str(models[name]))
    sampler = PieceSampler(str(models[name]), 0.3)
    for line in ("in Ω the lonest", "ﬁ😀"):
        own = Counter(map(tuple, sampler.cut([line] * N, random.Random(3))))
        drawn = model.encode([line] * N, out_type=str, num_threads=1, enable_sampling=True, alpha=0.3, nbest_size=-1)
        expected = Counter(tuple(" ".join(pieces).split()) for pieces in drawn)
        if "symbols" in name and "the" in line:  # Here it is never cut; SentencePiece cuts it in a unigram model
            expected = Counter({cut: count for cut, count in expected.items() if "the" in cut})
            assert sum(expected.values()) > N / 2
        assert excess(own, expected) < 12, (line, own.most_common(3), expected.most_common(3))


@pytest.mark.parametrize("name", MODELS)
def test_nearly_without_chance_it_is_the_models_cut(models: dict[str, Path], name: str) -> None:
    """A unigram model's most probable cut, or BPE that leaves nothing out."""
    sampler = PieceSampler(str(models[name]), 1e-9 if "bpe" in name else 1e6)
    some = [*lines()[:150], *STRANGE]
    for line, cut, own in zip(some, PieceEncoder(models[name]).encode(some), sampler.cut(some, random.Random(1))):
        assert own == cut, line


@pytest.mark.parametrize("name", MODELS)
def test_places(models: dict[str, Path], name: str) -> None:
    """The places of a random cut: by the characters that lie before each piece in the normalised text."""
    encoder, sampler = PieceEncoder(models[name]), PieceSampler(str(models[name]), 0.05 if "unigram" in name else 0.3)
    some = [*lines()[:100], *STRANGE]
    others = 0
    for line, own, drawn in zip(some, encoder.encode(some), sampler.cut(some, random.Random(1))):
        best = encoder.places_of(line, own)
        other = encoder._places_of_other_cut(line, own)
        assert best is not None
        assert other is not None
        letters_before = [0, *itertools.accumulate(not letter.isspace() for letter in line)]
        for one, expected in zip(other, best):
            assert [letters_before[place] for place in one] == [letters_before[place] for place in expected], line
        places = encoder.places_of(line, drawn)
        assert places is not None
        ends = dict(zip(itertools.accumulate(map(len, own)), best[1].tolist()))
        for letters, end in zip(itertools.accumulate(map(len, drawn)), places[1].tolist()):
            assert letters_before[ends.get(letters, end)] == letters_before[end]
        others += drawn != own
        assert encoder.places_of(line, [*drawn, "x"]) is None
        assert not drawn or encoder.places_of(line, drawn[:-1]) is None
    assert others > 20


def cuts_of(text: str) -> list[list[str]]:
    if not text:
        return [[]]
    return [[text[:at], *rest] for at in range(1, len(text) + 1) for rest in cuts_of(text[at:])]


def close(cutter: Any, probabilities: dict[tuple[str, ...], float]) -> None:
    chance = random.Random(8)
    drawn = Counter(tuple(cutter(chance)) for _ in range(N))
    assert set(drawn) <= set(probabilities)
    for cut, probability in probabilities.items():
        assert abs(drawn[cut] - N * probability) < 5 * math.sqrt(N * probability * (1 - probability)) + 1, cut


def test_unigram_by_all_cuts() -> None:
    scores = {"a": -3.0, "b": -4.5, "ab": -5.0, "abc": -6.0, "c": -2.0, "bc": -3.5, "▁": -1.0, "▁a": -2.5, "Ωa": -5.5}
    weights = {}
    for cut in cuts_of("▁abcΩabc"):
        known = [scores.get(piece, -16.0 if piece == "Ω" else None) for piece in cut]
        if None not in known:
            weights[tuple(cut)] = math.exp(0.4 * sum(known))  # type: ignore[arg-type]
    assert len(weights) > 8
    total = sum(weights.values())
    close(unigram_cutters(scores, 0.4)("▁abcΩabc"), {cut: weight / total for cut, weight in weights.items()})


def dropout(pieces: Sequence[str], scores: dict[str, float], alpha: float, gone: frozenset = frozenset()) -> dict:
    """Probability of every cut, by the definition: the best merge of two neighbours, unless it was left out before."""
    edges = list(itertools.accumulate(map(len, pieces), initial=0))
    offers = [
        (-scores[pieces[i] + pieces[i + 1]], edges[i], edges[i + 1], edges[i + 2], i)
        for i in range(len(pieces) - 1)
        if pieces[i] + pieces[i + 1] in scores and (edges[i], edges[i + 1], edges[i + 2]) not in gone
    ]
    if not offers:
        return {tuple(pieces): 1.0}
    _, *span, i = min(offers)
    found: Counter = Counter()
    merged = [*pieces[:i], pieces[i] + pieces[i + 1], *pieces[i + 2 :]]
    for share, outcome in (
        (1 - alpha, dropout(merged, scores, alpha, gone)),
        (alpha, dropout(pieces, scores, alpha, gone | {tuple(span)})),
    ):
        for cut, probability in outcome.items():
            found[cut] += share * probability
    return dict(found)


@pytest.mark.parametrize("longest", [40, 0])
def test_bpe_by_all_orders(longest: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both for words that are remembered and for longer text."""
    monkeypatch.setattr("fairseq_guided_align.subwords.sampling.LONGEST_KEPT", longest)
    scores = {piece: -float(rank) for rank, piece in enumerate(["aa", "ab", "▁a", "aab", "ba", "▁aa", "aaba"])}
    expected = dropout(list("▁aabaab"), scores, 0.3)
    assert len(expected) > 8
    assert abs(sum(expected.values()) - 1) < 1e-12
    close(bpe_cutters(scores, 0.3)("▁aabaab"), expected)


def test_draws_depend_on_seed_cut_and_place() -> None:
    first = Sampling(3, seed=7).chance("train", 0, 1).random()
    others = [
        Sampling(3, seed=8).chance("train", 0, 1),
        Sampling(3, seed=7, number=2).chance("train", 0, 1),
        Sampling(3, seed=7).chance("train", 1, 1),
        Sampling(3, seed=7).chance("train", 0, 1001),
        Sampling(3, seed=7).chance("train1", 0, 1),
    ]
    assert first == Sampling(3, seed=7).chance("train", 0, 1).random()
    assert len({first, *(one.random() for one in others)}) == 6


def test_refused(models: dict[str, Path], tmp_path: Path) -> None:
    for kind in ("word", "char"):
        path = tmp_path / f"{kind}.model"
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines()), model_writer=model, minloglevel=2, vocab_size=16, model_type=kind
        )
        path.write_bytes(model.getvalue())
        with pytest.raises(GuidedAlignError, match=f"got one of type {kind}"):
            PieceSampler(str(path), 0.1)
    for alpha in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(GuidedAlignError, match="expected a number above 0"):
            PieceSampler(str(models["unigram"]), alpha)
    with pytest.raises(GuidedAlignError, match="expected a number below 1"):
        PieceSampler(str(models["bpe"]), 1.0)
    PieceSampler(str(models["unigram"]), 1.0)
