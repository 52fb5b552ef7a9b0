"""Lines of tokens as numbers say what the lines say, however they are made."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from fairseq_guided_align.subwords.coded_lines import CodedLines
from fairseq_guided_align.subwords.sentencepiece_models import PieceEncoder

LINES = [["a", "b", "a"], [], ["c"], ["b", "d", "d", "d"], []]


def check(coded: CodedLines, lines: list[list[str]]) -> None:
    assert coded.text().decode() == "".join(" ".join(line) + "\n" for line in lines)
    assert coded.lengths.tolist() == [len(line) for line in lines]
    assert dict(zip(coded.tokens, coded.counts().tolist())) == Counter(token for line in lines for token in line)
    assert len(coded.tokens) == len(set(coded.tokens))
    assert (coded.codes.dtype, coded.lengths.dtype) == (np.int32, np.int32)


def test_lines_and_some_of_them() -> None:
    check(CodedLines.of_tokens([]), [])
    check(CodedLines.of_tokens([[]]), [[]])
    coded = CodedLines.of_tokens(LINES)
    check(coded, LINES)
    for number in range(1 << len(LINES)):
        kept = [bool(number >> i & 1) for i in range(len(LINES))]
        check(coded.select(np.array(kept)), [line for line, is_kept in zip(LINES, kept) if is_kept])


def test_two_texts_in_one() -> None:
    for number in range(1 << len(LINES)):
        of_others = [bool(number >> i & 1) for i in range(len(LINES))]
        some, others = ([line for line, other in zip(LINES, of_others) if other == which] for which in (False, True))
        both = CodedLines.interleaved(
            CodedLines.of_tokens(some), CodedLines.of_tokens(others), np.array(of_others, bool)
        )
        check(both, LINES)


@pytest.mark.parametrize("kind", ["unigram", "bpe", "byte fallback", "white space within pieces"])
def test_pieces_of_a_model(kind: str, tmp_path: Path) -> None:
    """What SentencePiece's text says, split as fairseq splits it; with letters and words that no model has seen."""
    sentencepiece = pytest.importorskip("sentencepiece")
    chance = random.Random(2)
    words = "ein zwei drei vier ﬁnden ½ a<s>b <unk> <pad> ▁ ▁▁x".split()  # noqa: SIM905
    new = [*words, "λόγος", "zw\u00a0ei", "日本", "\u3000", "drei\tvier", "\x00", "\u2028"]
    (tmp_path / "text").write_text("".join(" ".join(chance.choices(words, k=9)) + "\n" for _ in range(200)), "utf-8")
    options = {
        "unigram": {"model_type": "unigram", "hard_vocab_limit": False},
        "bpe": {"model_type": "bpe", "user_defined_symbols": ["<pad>"]},
        "byte fallback": {"model_type": "unigram", "byte_fallback": True, "hard_vocab_limit": False},
        "white space within pieces": {
            "model_type": "bpe", "normalization_rule_name": "identity",
            "user_defined_symbols": ["\u3000", "zw\u00a0ei", "drei\tvier"],
        },
    }[kind]  # fmt: skip
    sentencepiece.SentencePieceTrainer.train(
        input=str(tmp_path / "text"), model_prefix=str(tmp_path / "model"), minloglevel=2,
        **{"vocab_size": 300 if kind == "byte fallback" else 40, **options},
    )  # fmt: skip
    model = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "model.model"))
    encoder = PieceEncoder(tmp_path / "model.model")
    seen_alone = [" ".join(chance.choices(words, k=chance.randint(0, 6))) for _ in range(100)]
    mixed = [" ".join(chance.choices(new, k=chance.randint(0, 6))) for _ in range(300)]
    for lines in ([], [""], seen_alone, mixed):
        expected = [" ".join(model.encode(line, out_type=str)).split() for line in lines]
        check(encoder.encode_coded(lines), expected)
