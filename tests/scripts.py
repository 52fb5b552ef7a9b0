"""Text of several scripts, and SentencePiece models of every kind that are trained on it."""

from __future__ import annotations

import io
from functools import cache

import pytest
from hypothesis import strategies as st

from fairseq_guided_align.links.words import split_words
from fairseq_guided_align.subwords.sentencepiece_models import PieceEncoder

sentencepiece = pytest.importorskip("sentencepiece")

LATIN = "In the beginning was the Word , and the Word was with God . naïve façade ½ ﬁre"
GREEK = "Ἐν ἀρχῇ ἦν ὁ λόγος , καὶ ὁ λόγος ἦν πρὸς τὸν θεόν ·"
CHINESE = "太初有道，道与神同在，道就是神。"
THAI = "ในปฐมกาลพระวาทะดำรงอยู่แล้ว น้ำ คำ"
ARABIC = "فِي الْبَدْءِ كَانَ الْكَلِمَةُ ، ﷺ ﻻ"
OTHERS = "emoji 😀👩‍👩‍👧 e\u0301 o\u0308 한국어 שָׁלוֹם नमस्ते x\u200by ①Ａ"
SCRIPTS = [LATIN, GREEK, CHINESE, THAI, ARABIC, OTHERS]

MODELS = {
    "unigram": {"model_type": "unigram"},
    "bpe": {"model_type": "bpe"},
    "byte-fallback": {"byte_fallback": True, "vocab_size": 340},
    "identity": {"normalization_rule_name": "identity"},
    "nfkc": {"normalization_rule_name": "nfkc"},
    "casefold": {"normalization_rule_name": "nmt_nfkc_cf"},
    "no-dummy": {"add_dummy_prefix": False},
    "spaces-kept": {"remove_extra_whitespaces": False, "normalization_rule_name": "identity"},
    "suffix": {"treat_whitespace_as_suffix": True},
    "across-words": {"split_by_whitespace": False, "max_sentencepiece_length": 12},
}


@cache
def encoder(name: str) -> PieceEncoder:
    import tempfile

    model = io.BytesIO()
    options = {"vocab_size": 220, "hard_vocab_limit": False, "minloglevel": 2, **MODELS[name]}
    if options.get("model_type") == "bpe":
        options.pop("hard_vocab_limit")
    # Bytes are for scripts that the model has not seen.
    lines = ([LATIN, GREEK] if name == "byte-fallback" else [" ".join(SCRIPTS), *SCRIPTS]) * 4
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(lines), model_writer=model, **options)
    with tempfile.NamedTemporaryFile(suffix=".model") as file:
        file.write(model.getvalue())
        file.flush()
        return PieceEncoder(file.name)


ANY_SCRIPT = st.lists(
    st.one_of(
        st.sampled_from([word for script in SCRIPTS for word in script.split()]),
        st.text(
            st.sampled_from(sorted({letter for script in SCRIPTS for letter in script if letter.strip()})), max_size=6
        ),
        st.text(st.characters(blacklist_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), max_size=4),
    ),
    max_size=6,
).map(lambda words: [word for word in words if split_words(word) == [word]])
