"""Translations out of fairseq's output, and their scores against sacrebleu's own."""

from __future__ import annotations

from pathlib import Path

import pytest
import sacrebleu

from examples.greek_english.translation import nll_of, scores, translations


def test_translations_come_in_the_order_of_the_text() -> None:
    printed = "S-1\tb\nH-1\t-0.5\tB x\nD-1\t-0.5\tB\nP-1\t-0.5\nD-0\t-0.1\tA a\nGenerate test with beam=4"
    assert translations(printed, 2) == ["A a", "B"]
    with pytest.raises(ValueError, match="expected translations of 3 sentences; none of sentence 3"):
        translations(printed, 3)


def test_nll_is_read_out_of_the_log() -> None:
    log = '2026-01-01 | INFO | test | {"epoch": 1, "test_loss": "6.0", "test_nll_loss": "5.25"}\n'
    assert nll_of(f"INFO | other\n{log}", "test") == 5.25
    with pytest.raises(ValueError, match="expected valid_nll_loss in the log"):
        nll_of(log, "valid")


def test_scores_are_sacrebleus(tmp_path: Path) -> None:
    (tmp_path / "reference").write_text("the cat sat on the mat .\na dog ran away .\n" * 20, encoding="utf-8")
    found = {"good": ["the cat sat on a mat .", "a dog ran away ."] * 20, "bad": ["the cat .", "a dog"] * 20}
    good, bad = scores(found, tmp_path / "reference")
    reference = [(tmp_path / "reference").read_text(encoding="utf-8").splitlines()]
    assert good["bleu"] == pytest.approx(sacrebleu.corpus_bleu(found["good"], reference, tokenize="none").score)
    assert bad["chrf"] == pytest.approx(sacrebleu.corpus_chrf(found["bad"], reference).score)
    assert good["bleu_interval"][0] < good["bleu"] < good["bleu_interval"][1]
    assert "tok:none" in good["bleu_signature"]
