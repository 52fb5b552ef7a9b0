"""Words of the pieces of a binarised split: word links come back, whatever the model's normaliser did to the text."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripts import ANY_SCRIPT, encoder

from fairseq_guided_align.cli.main import main
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.links.link import CorpusLinks, SentenceLinks
from fairseq_guided_align.links.pharaoh import read_links
from fairseq_guided_align.subwords.conversion import (
    subword_links_to_word_links,
    word_links_to_subword_links,
)
from fairseq_guided_align.subwords.pieces import text_of, word_of_piece
from fairseq_guided_align.subwords.spelling import match_sentence
from fairseq_guided_align.subwords.text_pieces import SplitWords, TextCutter, text_cutters

# What NFKC makes a space and a combining mark of, so that the pieces alone show another word there.
SPACED = st.lists(
    st.one_of(
        st.sampled_from(["δι᾽", "ἀλλ᾽", "´x", "a¨", "¸", "κατ᾽", "῾ο", "x˘y", "‗", "ﷺ", "αὐτοῦ"]),
        st.text(st.characters(whitelist_categories=["Sk", "Lm", "Mn", "Ll"]), min_size=1, max_size=3),
    ),
    max_size=6,
)
ROUND_TRIP = ["unigram", "bpe", "byte-fallback", "identity", "nfkc", "casefold", "no-dummy", "suffix"]


def kept_folder(folder: Path, model: str, lines: list[list[str]]) -> list[list[str]]:
    """What ``preprocess`` keeps of a split ``train`` in both languages, and its pieces."""
    (folder / "text").mkdir(exist_ok=True)
    pieces = encoder(model).encode([" ".join(line) for line in lines])
    for lang in ("s", "t"):
        (folder / "text" / f"train.{lang}").write_text("".join(" ".join(line) + "\n" for line in lines), "utf-8")
        (folder / "text" / f"train.pieces.{lang}").write_text("".join(" ".join(row) + "\n" for row in pieces), "utf-8")
    (folder / f"{model}.model").write_bytes(encoder(model)._model.serialized_model_proto())
    described = {
        "subwords": "sentencepiece", "text": "text", "source_lang": "s", "target_lang": "t",
        "source_sentencepiece_model": f"{model}.model", "target_sentencepiece_model": f"{model}.model",
    }  # fmt: skip
    (folder / "guided_alignment.json").write_text(json.dumps(described))
    return pieces


@pytest.mark.parametrize("name", ROUND_TRIP)
@given(lines=st.lists(st.one_of(ANY_SCRIPT, SPACED), min_size=1, max_size=3))
@settings(max_examples=40, deadline=None)
def test_word_links_come_back(tmp_path_factory: pytest.TempPathFactory, name: str, lines: list[list[str]]) -> None:
    folder = tmp_path_factory.mktemp("data")
    found = kept_folder(folder, name, lines)
    words = SplitWords(str(folder), "train", "s", "sentencepiece")
    for number, (line, pieces) in enumerate(zip(lines, found)):
        side = match_sentence(line, pieces, "sentencepiece", encoder(name).places_of)
        own = [set(range(a, a + n)) for a, n in zip(side.start.tolist(), side.count.tolist())]
        shared = any(one & other for i, one in enumerate(own) for other in own[i + 1 :])
        links = SentenceLinks.from_pairs([(w, w) for w in range(len(line)) if own[w]])
        made = word_links_to_subword_links(CorpusLinks.from_sentences([links]), side, side).links[0]
        sentence = words.of(number, ["<unk>" if i % 3 == 2 else piece for i, piece in enumerate(pieces)])
        assert sentence.words == len(line)
        assert len(sentence.texts("sentencepiece")) == len(line)
        back = subword_links_to_word_links(made, sentence.word, sentence.word)
        # A piece of two words counts as the first one's.
        assert back == links or (shared and set(back.pairs()) <= {(i, j) for i, j in np.ndindex(len(line), len(line))})


def test_the_pieces_alone_would_miss_it(tmp_path: Path) -> None:
    line = ["δι᾽", "αὐτοῦ"]
    (pieces,) = kept_folder(tmp_path, "unigram", [line])
    assert word_of_piece(pieces, "sentencepiece").max() == 2
    sentence = SplitWords(str(tmp_path), "train", "t", "sentencepiece").of(0, pieces)
    assert sentence.words == 2
    assert sentence.word.tolist() == sorted(sentence.word.tolist())
    first = "".join(piece for piece, word in zip(pieces, sentence.word) if word == 0)
    assert first.replace("▁", "") == "δι\u0313"
    # --truncate-source leaves the first of them.
    assert SplitWords(str(tmp_path), "train", "t", "sentencepiece").of(0, pieces[:-1]).word.tolist() == (
        sentence.word[:-1].tolist()
    )


def test_a_folder_that_was_changed(tmp_path: Path) -> None:
    (pieces,) = kept_folder(tmp_path, "unigram", [["the", "Word"]])
    words = SplitWords(str(tmp_path), "train", "s", "sentencepiece")
    for other, number in (([*pieces, "▁more"], 0), (["▁other", *pieces[1:]], 0), (pieces, 1)):
        with pytest.raises(GuidedAlignError, match=rf"train\.s:{number + 1}: expected the text of the binarised split"):
            words.of(number, other)
    (tmp_path / "text" / "train.s").write_text("the Word\nand more\n")
    with pytest.raises(GuidedAlignError, match="same number of lines"):
        SplitWords(str(tmp_path), "train", "s", "sentencepiece")


def test_without_kept_text(tmp_path: Path) -> None:
    for split, kind in (("valid", "sentencepiece"), ("train", "bpe")):
        kept_folder(tmp_path, "unigram", [["the", "Word"]])
        sentence = SplitWords(str(tmp_path), split, "s", kind).of(5, ["▁a", "b", "▁c"])
        assert sentence.word.tolist() == ([0, 0, 1] if kind == "sentencepiece" else [0, 1, 2])


@pytest.mark.parametrize(
    ("kind", "pieces", "text"),
    [
        ("sentencepiece", ["▁a", "b", "▁", "c"], "ab c"),
        ("bpe", ["a@@", "b", "c@@"], "ab c"),
        ("words", ["a@@", "▁b"], "a@@ ▁b"),
    ],
)
def test_text_that_is_cut_already(tmp_path: Path, kind: str, pieces: list[str], text: str) -> None:
    cutter, _ = text_cutters(str(tmp_path), ("s", "t"), kind, cut_already=True)
    (cut,) = cutter([" ".join(pieces)])
    assert cut.pieces == pieces
    assert cut.texts(kind) == text.split()
    assert text_of(pieces, kind) == text
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "train.s").write_text(text + "\n", "utf-8")
    (tmp_path / "text" / "train.pieces.s").write_text(" ".join(pieces) + "\n", "utf-8")
    (tmp_path / "guided_alignment.json").write_text(json.dumps({"subwords": kind, "text": "text"}))
    kept = SplitWords(str(tmp_path), "train", "s", kind).of(0, pieces)
    assert (kept.word.tolist(), kept.words) == (cut.word.tolist(), cut.words)


def test_models_of_the_reverse_direction_are_found(tmp_path: Path) -> None:
    kept_folder(tmp_path, "unigram", [["the", "Word"]])
    kept_folder(tmp_path, "bpe", [["the", "Word"]])
    settings = json.loads((tmp_path / "guided_alignment.json").read_text())
    settings["source_sentencepiece_model"] = "unigram.model"
    (tmp_path / "guided_alignment.json").write_text(json.dumps(settings))
    there, back = text_cutters(str(tmp_path), ("s", "t")), text_cutters(str(tmp_path), ("t", "s"))
    names = [[cut.model.path.name for cut in cutters if cut.model is not None] for cutters in (there, back)]
    assert names == [["unigram.model", "bpe.model"], ["bpe.model", "unigram.model"]]
    with pytest.raises(GuidedAlignError, match="expected the name of the SentencePiece model of a"):
        text_cutters(str(tmp_path), ("s", "a"))


def test_extract_gives_the_same_links_for_a_split_and_for_its_text(tmp_path: Path) -> None:
    """In text whose normaliser puts spaces into words, so that the pieces alone would shift the words after them."""
    pytest.importorskip("fairseq")
    from fairseq_runs import train

    chance = random.Random(8)
    source_words, target_words = "δι᾽ αὐτοῦ ἀλλ᾽ ἐγένετο ´x λόγος".split(), "through him but came word x".split()  # noqa: SIM905
    for split, count in (("train", 40), ("valid", 4), ("test", 12)):
        rows = [chance.choices(range(6), k=chance.randint(2, 6)) for _ in range(count)]
        for suffix, words in (("src", source_words), ("tgt", target_words)):
            (tmp_path / f"{split}.{suffix}").write_text("".join(" ".join(words[i] for i in r) + "\n" for r in rows))
        links = [" ".join(f"{i}-{i}" for i in range(len(row))) for row in rows]
        (tmp_path / f"{split}.align").write_text("".join(line + "\n" for line in links))
    prefixes = [f"--{kind}pref={tmp_path / kind}" for kind in ("train", "valid", "test")]
    data = tmp_path / "bin"
    assert main(["preprocess", "-s", "src", "-t", "tgt", *prefixes, "--destdir", str(data),
                 "--sentencepiece-vocab-size", "40"]) == 0  # fmt: skip
    train(data, tmp_path / "model", "--disable-validation", "--seed", 3, updates=2)
    extract = ["extract", str(tmp_path / "model" / "checkpoint_last.pt"), "--level", "words", "--device", "cpu"]
    texts = [f"--source={tmp_path / 'test.src'}", f"--target={tmp_path / 'test.tgt'}"]
    for name, options in (("split", ["--split", "test"]), ("text", texts)):
        assert main([*extract, *options, "--output", str(tmp_path / name)]) == 0
    found = read_links(tmp_path / "split")
    assert found == read_links(tmp_path / "text")
    sources = [len(line.split()) for line in (tmp_path / "test.src").read_text().splitlines()]
    assert all(one.source.max(initial=0) < words for one, words in zip(found, sources))
    assert [set(one.target.tolist()) for one in found] == [set(range(words)) for words in sources]


def test_pieces_that_white_space_within_a_word_separates() -> None:
    """fairseq reads two pieces where the words of the default definition have one."""
    for kind in ("bpe", "words"):
        (sentence,) = TextCutter(kind)(["10\u00a0000 x"])
        assert (sentence.pieces, sentence.word.tolist(), sentence.words) == (["10", "000", "x"], [0, 0, 1], 2)
        (sentence,) = TextCutter(kind, word_split="whitespace")(["10\u00a0000 x"])
        assert (sentence.word.tolist(), sentence.words) == ([0, 1, 2], 3)
