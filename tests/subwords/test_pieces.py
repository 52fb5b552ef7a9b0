"""The text that pieces spell is SentencePiece's own, with characters in place of byte pieces."""

from __future__ import annotations

import numpy as np
import pytest
from scripts import SCRIPTS, encoder

from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.subwords.pieces import text_of, word_of_piece
from fairseq_guided_align.subwords.text_pieces import PiecedSentence


def test_text_of_sentencepieces_is_what_sentencepiece_decodes() -> None:
    for name in ("unigram", "byte-fallback", "suffix", "no-dummy"):
        model = encoder(name)
        for line, pieces in zip(SCRIPTS, model.encode(SCRIPTS)):
            assert text_of(pieces, "sentencepiece") == model._model.decode(pieces).strip(), (name, line)
    assert "<0x" in "".join(encoder("byte-fallback").encode(SCRIPTS)[2])
    assert text_of(["▁a", "<0xE4>", "▁b"], "sentencepiece") == "a\ufffd b"
    assert text_of(["▁<0xe4>", "<0x41"], "sentencepiece") == "<0xe4><0x41"


def test_texts_have_a_word_for_each_number() -> None:
    sentence = PiecedSentence(["▁", "<0xC3>", "<0xA9>", "▁x"], np.array([0, 0, 0, 1]), 3)
    assert sentence.texts("sentencepiece") == ["é", "x", ""]


def test_another_kind_is_refused() -> None:
    with pytest.raises(GuidedAlignError, match="kind of subwords out of sentencepiece, bpe, words; got 'spm'"):
        word_of_piece(["a"], "spm")
