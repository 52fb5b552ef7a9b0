"""Text that is spelled like fairseq's own tokens is text: no link is shifted by it, from `preprocess` to decoding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fairseq_guided_align.cli.main import main
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.links.store import LinkStore, links_path
from fairseq_guided_align.subwords.coded_lines import CodedLines
from fairseq_guided_align.subwords.special_tokens import line_for
from fairseq_guided_align.subwords.text_pieces import SplitWords, text_cutters

pytest.importorskip("fairseq")

from fairseq.data import Dictionary, data_utils

LINES = ["a <pad> b c", "<s> d", "e </s> f </s>", "<unk> a <PAD> <S> </S> < pad >", "x<pad>y <pad>", "g"]
WRITTEN = ["a ＜pad＞ b c", "＜s＞ d", "e ＜/s＞ f ＜/s＞", "<unk> a <PAD> <S> </S> < pad >", "x<pad>y ＜pad＞", "g"]
TAKEN = 5


def write(folder: Path, lines: list[str] = LINES) -> None:
    for lang in "st":
        (folder / f"train.{lang}").write_text("".join(line + "\n" for line in lines), "utf-8")
    links = [" ".join(f"{k}-{k}" for k in range(len(line.split()))) for line in lines]
    (folder / "train.align").write_text("".join(line + "\n" for line in links))


def preprocess(folder: Path, *options: object, name: str = "data") -> Path:
    data = folder / name
    files = ["--trainpref", folder / "train", "--destdir", data, *options]
    assert main(["preprocess", "-s", "s", "-t", "t", *map(str, files)]) == 0
    return data


def binarised(data: Path, lang: str = "s") -> tuple[list[list[int]], Dictionary]:
    dictionary = Dictionary.load(str(data / f"dict.{lang}.txt"))
    return [
        one.tolist()[:-1] for one in data_utils.load_indexed_dataset(str(data / f"train.s-t.{lang}"), dictionary)
    ], (dictionary)


@pytest.mark.parametrize("kind", ["words", "bpe", "sentencepiece"])
def test_no_token_of_fairseqs_own_gets_into_a_sentence(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path)
    sizes = ["--sentencepiece-vocab-size", 30, "--sentencepiece-model-type", "bpe"] if kind == "sentencepiece" else []
    data = preprocess(tmp_path, "--subwords", kind, *sizes)
    sentences, dictionary = binarised(data)
    own = {dictionary.bos(), dictionary.pad(), dictionary.eos()}
    assert not own & {token for sentence in sentences for token in sentence}
    warned = capsys.readouterr().err
    assert (f"train: {2 * TAKEN} tokens are spelled like fairseq's own" in warned) == (kind != "sentencepiece")
    words = SplitWords(str(data), "train", "s", kind)
    cutter, _ = text_cutters(str(data), ("s", "t"))
    links = LinkStore(links_path(data, "train", "s", "t"))
    for number, (line, sentence) in enumerate(zip(LINES, sentences)):
        found = words.of(number, [dictionary[token] for token in sentence])
        assert found.words == len(line.split())
        # Every word is linked to its own copy.
        of_word = found.word.tolist()
        expected = {(i, j) for i, one in enumerate(of_word) for j, other in enumerate(of_word) if one == other}
        assert set(links[number].pairs()) == expected
        assert cutter([line])[0].word.tolist() == of_word
    if kind != "sentencepiece":
        assert [dictionary.string(sentence) for sentence in sentences] == WRITTEN
    # The words that are kept are as they were.
    assert (data / "text" / "train.s").read_text("utf-8").splitlines() == LINES
    before = list(links)
    assert main(["binarize", str(data), f"train={tmp_path}/train.align", "--level", "words"]) == 0
    assert list(LinkStore(links_path(data, "train", "s", "t"))) == before


def test_given_text_is_read_as_the_folders(tmp_path: Path) -> None:
    from types import SimpleNamespace

    from fairseq_guided_align.aligning.extraction import AlignmentModel

    write(tmp_path)
    data = preprocess(tmp_path, "--subwords", "words")
    sentences, dictionary = binarised(data)
    assert [dictionary.encode_line(line_for(line, dictionary)).tolist()[:-1] for line in LINES] == sentences
    model = object.__new__(AlignmentModel)
    model.task = SimpleNamespace(source_dictionary=dictionary, target_dictionary=dictionary)
    model.options = SimpleNamespace(left_pad_source=True, left_pad_target=False)
    cutter, _ = text_cutters(str(data), ("s", "t"))
    given = model.text_dataset(cutter(LINES))
    assert [given[i]["source"].tolist()[:-1] for i in range(len(LINES))] == sentences


FLAGGED = "a 3\n<pad> 4 #fairseq:overwrite\nb 2\na 5 #fairseq:overwrite\nc 1\n"


@pytest.mark.parametrize("options", [["--srcdict"], ["--joined-dictionary", "--tgtdict"]])
def test_a_dictionary_with_flags_is_kept_as_it_is(options: list[str], tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "dict").write_text(FLAGGED)
    data = preprocess(tmp_path, "--subwords", "words", *options, tmp_path / "dict")
    for lang in "s" if options == ["--srcdict"] else "st":
        assert (data / f"dict.{lang}.txt").read_text() == FLAGGED
    sentences, dictionary = binarised(data)
    # It has a symbol of its own for <pad>, which is no padding, and none for <s>.
    assert dictionary.index("<pad>") not in (dictionary.pad(), dictionary.unk())
    assert sentences[0] == [dictionary.index(word) for word in ("a", "<pad>", "b", "c")]
    assert sentences[1] == [dictionary.unk(), dictionary.unk()]
    assert line_for(LINES[0], dictionary) == LINES[0]
    assert line_for(LINES[1], dictionary) == WRITTEN[1]


def test_text_with_the_words_that_fill_a_dictionary(tmp_path: Path) -> None:
    write(tmp_path, ["madeupword0000 a", "b madeupword0002"])
    data = preprocess(tmp_path, "--subwords", "words")
    sentences, dictionary = binarised(data)
    assert [dictionary.string(sentence) for sentence in sentences] == ["madeupword0000 a", "b madeupword0002"]
    assert len(dictionary) % 8 == 0


def test_only_whole_pieces_are_written_otherwise() -> None:
    lines = CodedLines.of_tokens([line.split() for line in LINES])
    written, changed = lines.for_fairseq(frozenset())
    assert (written.text().decode().split("\n")[:-1], changed) == (WRITTEN, TAKEN)
    assert written.for_fairseq(frozenset()) == (written, 0)
    lines = CodedLines.of_tokens([["<pad>", "<s>"]])
    written, changed = lines.for_fairseq(frozenset({"<pad>"}))
    assert (written.text().decode(), changed) == ("<pad> ＜s＞\n", 1)
    # A text with both spellings has one token of them.
    written, changed = CodedLines.of_tokens([["a", "＜s＞", "<s>"], ["<s>"]]).for_fairseq(frozenset())
    assert (written.text().decode(), changed) == ("a ＜s＞ ＜s＞\n＜s＞\n", 2)
    assert dict(zip(written.tokens, written.counts())) == {"a": 1, "＜s＞": 3}


def test_a_model_that_has_such_a_piece(tmp_path: Path) -> None:
    sentencepiece = pytest.importorskip("sentencepiece")
    write(tmp_path)
    sentencepiece.SentencePieceTrainer.train(
        input=str(tmp_path / "train.s"), model_prefix=str(tmp_path / "model"), vocab_size=26, model_type="bpe",
        user_defined_symbols=["<pad>"], minloglevel=2,
    )  # fmt: skip
    model = tmp_path / "model.model"
    data = preprocess(tmp_path, "--source-sentencepiece-model", model, "--target-sentencepiece-model", model)
    sentences, dictionary = binarised(data)
    assert dictionary.pad() not in sentences[0]
    assert dictionary.index("＜pad＞") in sentences[0]
    assert dictionary.index("＜pad＞") != dictionary.unk()
    words = SplitWords(str(data), "train", "s", "sentencepiece")
    assert words.of(0, [dictionary[token] for token in sentences[0]]).words == 4
    cutter, _ = text_cutters(str(data), ("s", "t"))
    assert cutter(LINES[:1])[0].words == 4


def test_text_that_is_typed_in_has_no_padding_within(made_up: Any) -> None:
    from tasks import make_task

    task = make_task(made_up.binarised)
    word = task.source_dictionary[10]
    lines = [f"{word} <pad> {word}", f"</s> {word}", f"{word}"]
    tokens, lengths = task.get_interactive_tokens_and_lengths(lines, lambda line: line)
    unknown, end = task.source_dictionary.unk(), task.source_dictionary.eos()
    assert [one.tolist() for one in tokens] == [[10, unknown, 10, end], [unknown, 10, end], [10, end]]
    assert lengths == [4, 3, 2]


def test_a_folder_of_fairseqs_own_whose_text_has_padding_within(tmp_path: Path) -> None:
    import torch
    from conftest import binarise
    from tasks import make_task

    from fairseq_guided_align.attention.token_rows import real_tokens

    lines = ["a <pad> b c d", "a b", "<pad> c", "d <pad> <pad>"]
    for split in ("train", "valid", "test"):
        for lang in ("src", "tgt"):
            (tmp_path / f"{split}.{lang}").write_text("".join(line + "\n" for line in lines))
        links = [" ".join(f"{k}-{k}" for k in range(len(line.split()))) for line in lines]
        (tmp_path / f"{split}.align").write_text("".join(line + "\n" for line in links))
    binarise(tmp_path, tmp_path / "bin")
    task = make_task(tmp_path / "bin")
    task.load_dataset("train")
    pairs = task.dataset("train")
    batch = pairs.collater([pairs[i] for i in range(len(lines))])
    source, target = batch["net_input"]["src_tokens"], batch["target"]
    width = target.size(1)
    pad = task.source_dictionary.pad()
    linked = {}
    for column, row in batch["alignments"].tolist():
        sentence = row // width
        word = task.source_dictionary[source[sentence, column]]
        # Every word is linked to its own copy, and padding to nothing.
        assert word == task.target_dictionary[target.flatten()[row]] != "<pad>"
        linked.setdefault(int(batch["id"][sentence]), []).append(word)
    assert {number: sorted(words) for number, words in linked.items()} == {
        0: ["a", "b", "c", "d"], 1: ["a", "b"], 2: ["c"], 3: ["d"],
    }  # fmt: skip
    assert batch["link_counts"]["dropped"] == 4
    tokens = torch.tensor([[pad, pad, 5, pad, 6, 2], [5, pad, pad, 6, 2, pad]])
    assert real_tokens(tokens, pad).tolist() == [[False, False, True, True, True, True], [True] * 5 + [False]]


def test_links_of_a_sentence_that_begins_with_padding(tmp_path: Path) -> None:
    """Read with the number of tokens of the text; fairseq's own decoding loses such a word, and is refused."""
    from conftest import binarise
    from fairseq_runs import USER_DIR, run, train

    from fairseq_guided_align.aligning.extraction import AlignmentModel

    sources = ["<pad> a b c", "a b", "c <pad> a", "<pad> <pad> a"]
    targets = ["a <pad> b", "<pad> a", "c", "<pad> <pad> b c"]
    for split in ("train", "valid", "test"):
        (tmp_path / f"{split}.src").write_text("".join(line + "\n" for line in sources))
        (tmp_path / f"{split}.tgt").write_text("".join(line + "\n" for line in targets))
        (tmp_path / f"{split}.align").write_text("0-0 1-0\n" * 4)
    binarise(tmp_path, tmp_path / "bin")
    tensorboard = ["--attention-images", "1,4", "--tensorboard-logdir", str(tmp_path / "tb")]
    train(tmp_path / "bin", tmp_path / "model", *tensorboard, updates=1)
    checkpoint = tmp_path / "model" / "checkpoint_last.pt"
    together = dict(AlignmentModel(str(checkpoint), device="cpu").align_sentences("test", range(4)))
    for number, (source, target) in enumerate(zip(sources, targets)):
        pair = together[number]
        assert (pair.source, pair.target) == (source.split(), target.split())
        assert pair.attention.shape == (len(pair.target), len(pair.source) + 1)
        assert pair.attention.sum(axis=1) == pytest.approx(1, abs=1e-5)
        # Padding gets no attention, and every other word some.
        hidden = [word == "<pad>" for word in [*pair.source, "</s>"]]
        assert ((pair.attention == 0) == hidden).all()
    decode = [
        "generate", tmp_path / "bin", "--path", checkpoint, "--user-dir", USER_DIR, "--cpu", "--task",
        "translation_guided_alignment", "--max-len-b", 3,
    ]  # fmt: skip
    run(*decode)
    with pytest.raises(GuidedAlignError, match="sentence 1 of 'test' begins with <pad>, which fairseq takes for"):
        run(*decode, "--print-alignment")
