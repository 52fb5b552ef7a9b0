"""A position is a number of rows in one table: a new one works wherever attention belongs to tokens."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tiny_models
import torch
from stand_in import criterion

from fairseq_guided_align.aligning.ctranslate2_models import attention_of
from fairseq_guided_align.attention.forced import forced_attentions
from fairseq_guided_align.attention.guided_heads import POSITIONS, GuidedHeads
from fairseq_guided_align.attention.reader import AttentionReader
from fairseq_guided_align.decoding.generation import GuidedSequenceGenerator, GuidedSequenceScorer
from fairseq_guided_align.decoding.printed_alignment import PrintedForm
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.links.link import SentenceLinks
from fairseq_guided_align.scores.metrics import COLUMNS, AlignmentCounts, count_links
from fairseq_guided_align.training.validation_aer import count_batch

WORDS = tiny_models.task().target_dictionary
SOURCES, TARGETS = [5, 3, 2], [5, 3, 2]
"""Tokens of each sentence of the batch, with ``</s>``."""


class Case:
    """A model that is guided two rows on, a batch, and the decoder's rows for it."""

    def __init__(self) -> None:
        self.guided = GuidedHeads((2,), (0,), position="two on")
        self.sample = tiny_models.sample()
        self.sample["net_input"]["prev_output_tokens"][:, 0] = WORDS.eos()
        self.model = tiny_models.model().eval()
        self.model.guided_heads = self.guided
        with torch.no_grad(), AttentionReader(self.model, self.guided) as reader:
            self.model(**self.sample["net_input"])
        self.rows = reader.attention().numpy()

    def expected(self, rows: np.ndarray, b: int, t: int, length: int) -> np.ndarray:
        """Attention of token t: two rows below the one that predicts it, or the sentence's last."""
        return rows[b, t + 2 if t + 2 < length else length - 1, : SOURCES[b]]


@pytest.fixture
def case(monkeypatch: pytest.MonkeyPatch) -> Case:
    monkeypatch.setitem(POSITIONS, "two on", 2)
    return Case()


def test_cost(case: Case) -> None:
    guided = criterion(tiny_models.task(), guided_alignment_position="two on", guided_alignment_layers="-1")
    log = guided(case.model, case.sample)[2]
    links = [(0, 0, 0, 1.0), (0, 2, 1, 0.5), (0, 1, 1, 0.5), (0, 3, 3, 1.0), (1, 1, 0, 1.0)]
    wanted = sum(-g * math.log(case.expected(case.rows, b, t, TARGETS[b])[s]) for b, s, t, g in links)
    assert float(log["alignment_loss"]) == pytest.approx(wanted, rel=1e-5)


def test_forced_pass(case: Case) -> None:
    sample = {**case.sample, "id": torch.arange(len(SOURCES))}
    lengths = dict(enumerate(zip(SOURCES, TARGETS)))
    for b, matrix in enumerate(forced_attentions(case.model, case.guided, sample, WORDS.pad(), lengths)):
        assert matrix.shape == (TARGETS[b] - 1, SOURCES[b])
        for t, row in enumerate(matrix):
            np.testing.assert_allclose(row, case.expected(case.rows, b, t, TARGETS[b]), rtol=1e-5)


def test_validation(case: Case) -> None:
    gold = [[(0, 0), (2, 1), (1, 1), (3, 3)], [(1, 0)]]
    for seed in range(20):
        rows = np.random.default_rng(seed).random(case.rows.shape, dtype=np.float32)
        counts = AlignmentCounts()
        for b, links in enumerate(gold):
            likeliest = [case.expected(rows, b, t, TARGETS[b])[:-1].argmax() for t in range(TARGETS[b] - 1)]
            found = SentenceLinks.from_pairs([(int(s), t) for t, s in enumerate(likeliest)])
            counts += count_links(found, SentenceLinks.from_pairs(links))
        counted = count_batch([torch.from_numpy(rows)], case.sample, case.guided, WORDS.pad())
        assert dict(zip(COLUMNS, counted.tolist())) == vars(counts)


@torch.no_grad()
def test_generation(case: Case) -> None:
    form = PrintedForm("soft")
    scored = GuidedSequenceScorer(WORDS, WORDS, form).generate([case.model], case.sample)
    generator = GuidedSequenceGenerator([case.model], WORDS, WORDS, form, beam_size=2, max_len_b=6)
    translated = generator.generate([case.model], case.sample)
    for b, hypothesis in [(b, found[0]) for hypotheses in (scored, translated) for b, found in enumerate(hypotheses)]:
        tokens = hypothesis["tokens"]
        previous = tokens.roll(1).expand(len(SOURCES), -1)
        with AttentionReader(case.model, case.guided) as reader:
            case.model(**{**case.sample["net_input"], "prev_output_tokens": previous})
        rows = reader.attention().numpy()
        wanted = [case.expected(rows, b, t, len(tokens)) for t in range(len(tokens))]
        np.testing.assert_allclose(hypothesis["attention"].t()[:, : SOURCES[b]], wanted, rtol=1e-4)


def test_ctranslate2(case: Case) -> None:
    rows = [[0.1 * (t + s) for s in range(2)] for t in range(4)]
    for ended, wanted in ((True, [rows[2], rows[3], rows[3]]), (False, [rows[2], rows[3], rows[3], rows[3]])):
        np.testing.assert_allclose(attention_of(rows, case.guided, ended)[:, :2], wanted, rtol=1e-6)


def test_an_unknown_position_is_an_error() -> None:
    guided = criterion(tiny_models.task(), guided_alignment_position="two on", guided_alignment_layers="-1")
    with pytest.raises(GuidedAlignError, match="position of guided attention: expected same or next; got 'two on'"):
        guided(tiny_models.model(), tiny_models.sample())
