"""`preprocess --subword-samples`: every cut of the training text spells it, and its links are those of the words."""

from __future__ import annotations

import io
import itertools
import json
import os
import random
from collections import Counter
from pathlib import Path

import pytest

from fairseq_guided_align.cli.main import main
from fairseq_guided_align.links.store import LinkStore, links_path

pytest.importorskip("fairseq")
sentencepiece = pytest.importorskip("sentencepiece")

from fairseq.data import Dictionary, data_utils  # noqa: E402
from fairseq_runs import of_logger, train  # noqa: E402

WORDS = {
    "grc": "ἐν ἀρχῇ ἦν ὁ λόγος καὶ πρὸς τὸν θεόν οὗτος πάντα δι’ αὐτοῦ ἐγένετο χωρὶς ½ﬁ".split(),  # noqa: SIM905
    "en": "in the beginning was word and with God this all things through him came to be Ａ Ω".split(),  # noqa: SIM905
}
SPLITS = {"train": 1100, "train1": 30, "valid": 20, "test": 20}
CUTS = 3
Links = list[set[tuple[int, int]]]


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Text, links, and a model for each side, of different types. The 1001st line and those after it are the first."""
    folder = tmp_path_factory.mktemp("text")
    chance = random.Random(11)
    for split, size in SPLITS.items():
        rows = []
        for lang, words in WORDS.items():
            some = [chance.choices(words, k=chance.randint(1, 9)) for _ in range(min(size, 1000))]
            rows.append([some[i % 1000] for i in range(size)])
            (folder / f"{split}.{lang}").write_text("".join(" ".join(row) + "\n" for row in rows[-1]), "utf-8")
        links = [{(chance.randrange(len(s)), chance.randrange(len(t))) for _ in range(4)} for s, t in zip(*rows)]
        text = "".join(" ".join(f"{s}-{t}" for s, t in sorted(row)) + "\n" for row in links)
        (folder / f"{split}.align").write_text(text)
    for lang, kind in (("grc", "unigram"), ("en", "bpe")):
        model = io.BytesIO()
        with open(folder / f"train.{lang}", encoding="utf-8") as lines:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=lines, model_writer=model, model_type=kind, vocab_size=55, minloglevel=2,
                user_defined_symbols=["<x>"], character_coverage=0.99,
            )  # fmt: skip
        (folder / f"{lang}.model").write_bytes(model.getvalue())
    return folder


def preprocess(text: Path, destdir: Path, *arguments: object) -> int:
    files = [
        f"--trainpref={text / 'train'},{text / 'train1'}", f"--validpref={text / 'valid'}",
        f"--testpref={text / 'test'}",
        f"--source-sentencepiece-model={text / 'grc.model'}", f"--target-sentencepiece-model={text / 'en.model'}",
    ]  # fmt: skip
    return main(["preprocess", "-s", "grc", "-t", "en", *files, "--destdir", str(destdir), *map(str, arguments)])


@pytest.fixture(scope="module")
def data(text: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    destdir = tmp_path_factory.mktemp("data") / "bin"
    assert preprocess(text, destdir, "--subword-samples", CUTS, "--workers", 2) == 0
    return destdir


def folders(data: Path) -> list[Path]:
    return [data, *(data / f"sample-{number}" for number in range(2, CUTS + 1))]


def binarised(folder: Path, split: str, lang: str) -> list[list[str]]:
    """The symbols of each sentence, as fairseq reads them."""
    dictionary = Dictionary.load(str(folder / f"dict.{lang}.txt"))
    dataset = data_utils.load_indexed_dataset(str(folder / f"{split}.grc-en.{lang}"), dictionary)
    return [[dictionary[token] for token in sentence.tolist()[:-1]] for sentence in dataset]


def pieces_kept(folder: Path, split: str, lang: str) -> list[list[str]]:
    return [line.split(" ") for line in (folder / "text" / f"{split}.pieces.{lang}").read_text("utf-8").splitlines()]


def word_links(folder: Path, split: str) -> Links:
    """The words of linked pieces: a word begins at each ``▁``. Every piece of two linked words is linked."""
    words = [
        [list(itertools.accumulate((piece.startswith("▁") for piece in row), initial=-1))[1:] for row in pieces]
        for pieces in (pieces_kept(folder, split, lang) for lang in ("grc", "en"))
    ]
    found = []
    for links, source, target in zip(LinkStore(links_path(folder, split, "grc", "en")), *words):
        pairs = links.pairs()
        row = {(source[s], target[t]) for s, t in pairs}
        assert len(pairs) == sum(source.count(s) * target.count(t) for s, t in row)
        found.append(row)
    return found


def given_links(text: Path, split: str) -> Links:
    rows = (text / f"{split}.align").read_text().splitlines()
    return [{(int(s), int(t)) for s, t in (pair.split("-") for pair in row.split())} for row in rows]


def test_every_cut_spells_the_text_and_has_its_links(text: Path, data: Path) -> None:
    models = {
        lang: sentencepiece.SentencePieceProcessor(model_file=str(text / f"{lang}.model")) for lang in ("grc", "en")
    }
    for folder in folders(data):
        for split in ("train", "train1") if folder != data else SPLITS:
            assert word_links(folder, split) == given_links(text, split)
            for lang, model in models.items():
                lines = (text / f"{split}.{lang}").read_text("utf-8").splitlines()
                pieces = pieces_kept(folder, split, lang)
                assert ["".join(row) for row in pieces] == model.normalize(lines)
                best = model.encode(lines, out_type=str)
                others = sum(one != other for one, other in zip(pieces, best))
                assert others > len(lines) / 3 if split.startswith("train") else others == 0
                for symbols, row in zip(binarised(folder, split, lang), pieces):
                    assert all(one in (other, "<unk>") for one, other in zip(symbols, row))
                    assert len(symbols) == len(row)
    for lang in models:
        several = [pieces_kept(folder, "train", lang) for folder in folders(data)]
        for one, other in itertools.combinations(several, 2):
            assert sum(a != b for a, b in zip(one, other)) > len(one) / 3
        for one in several:
            assert sum(a != b for a, b in zip(one[:100], one[1000:])) > 30


def test_dictionaries_count_all_cuts(data: Path) -> None:
    for lang in ("grc", "en"):
        seen = Counter(
            piece
            for folder in folders(data)
            for split in ("train", "train1")
            for row in pieces_kept(folder, split, lang)
            for piece in row
        )
        for folder in folders(data):
            dictionary = Dictionary.load(str(folder / f"dict.{lang}.txt"))
            counts = {one: count for one, count in zip(dictionary.symbols, dictionary.count) if count > 1}
            assert counts.items() <= seen.items()
            assert sum(counts.values()) > 0.95 * sum(seen.values())


def test_each_folder_says_what_it_is(text: Path, data: Path) -> None:
    for number, folder in enumerate(folders(data), start=1):
        settings = json.loads((folder / "guided_alignment.json").read_text("utf-8"))
        assert settings["subword_sampling"] == {"cuts": CUTS, "alpha": 0.1, "seed": 1, "number": number}
        assert list(settings["splits"]) == (["train", "train1"] if number > 1 else list(SPLITS))
        for side, lang in (("source", "grc"), ("target", "en")):
            name = settings[f"{side}_sentencepiece_model"]
            assert (folder / name).read_bytes() == (text / f"{lang}.model").read_bytes()
    assert not [path.name for path in data.rglob("dict.*") if path.parent.name == "text"]


def contents(data: Path) -> dict[str, bytes]:
    files = (path for path in data.rglob("*") if path.is_file() and path.name != "preprocess.log")
    return {str(path.relative_to(data)): path.read_bytes() for path in files}


def test_the_same_again_in_one_process(text: Path, data: Path, tmp_path: Path) -> None:
    """The same seed gives the same files to the byte, also in fewer processes and for fewer cuts; another does not."""
    assert preprocess(text, tmp_path / "bin", "--subword-samples", CUTS, "--subword-sampling-seed", 1) == 0
    assert contents(tmp_path / "bin") == contents(data)
    options = ["--discard-text", "--subword-samples", 1]
    assert preprocess(text, tmp_path / "one", *options) == 0
    assert preprocess(text, tmp_path / "other", *options, "--subword-sampling-seed", 2) == 0
    name = "train.grc-en.en.bin"
    assert (tmp_path / "one" / name).stat().st_size
    assert binarised(tmp_path / "one", "train", "en") == binarised(data, "train", "en")
    assert binarised(tmp_path / "other", "train", "en") != binarised(data, "train", "en")
    assert not (tmp_path / "one" / "text").exists()
    # The less is left out, the fewer pieces
    assert preprocess(text, tmp_path / "more", *options, "--subword-sampling-alpha", 0.5) == 0
    sizes = [sum(map(len, binarised(tmp_path / one, "train", "en"))) for one in ("one", "more")]
    assert sizes[0] < sizes[1]


def test_training_reads_the_next_cut_in_every_epoch(data: Path, tmp_path: Path) -> None:
    """By the number of target tokens in an epoch. Links of another cut would point outside their sentences."""
    log = train(
        Path(os.pathsep.join(map(str, folders(data)[:2]))), tmp_path, "--max-epoch", 2, "--batch-size", 100,
        "--eval-aer", updates=1000,
    )  # fmt: skip
    epochs = of_logger(log, "train")
    sizes = [sum(len(row) + 1 for split in ("train", "train1") for row in pieces_kept(folder, split, "en"))
             for folder in folders(data)[:2]]  # fmt: skip
    updates = [float(epoch["train_num_updates"]) for epoch in epochs]
    read = [float(epoch["train_wpb"]) * (now - before) for epoch, before, now in zip(epochs, [0, *updates], updates)]
    assert len(epochs) == 2
    assert [epoch["train_links_dropped"] for epoch in epochs] == ["0", "0"]
    assert read == pytest.approx(sizes, abs=2)  # The log rounds to a tenth of a token a batch
    assert abs(sizes[0] - sizes[1]) > 4


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--subword-samples", "0"], "--subword-samples: expected 1 or more; got 0"),
        (["--subword-sampling-alpha", "0.2"], "--subword-sampling-alpha goes with --subword-samples"),
        (["--subword-sampling-seed", "2"], "--subword-sampling-seed goes with --subword-samples"),
        (["--subword-samples", "2", "--subword-sampling-alpha", "0"], "-alpha: expected a number above 0"),
        (["--subword-samples", "2", "--subword-sampling-alpha", "1"], "-alpha: expected a number below 1"),
    ],
)
def test_refused(text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], says: str) -> None:
    assert preprocess(text, tmp_path / "bin", *options) == 2
    assert says in capsys.readouterr().err
    assert os.listdir(tmp_path) == []


def test_refused_where_there_is_nothing_to_cut(text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = ["preprocess", "-s", "grc", "-t", "en", f"--destdir={tmp_path / 'bin'}", "--subword-samples=2"]
    files = [f"--trainpref={text / 'train'}"]
    for kind in ("bpe", "words"):
        assert main([*common, *files, "--subwords", kind]) == 2
        assert f"with --subwords {kind} it is cut already" in capsys.readouterr().err
    assert main([*common, f"--validpref={text / 'valid'}"]) == 2
    assert "--subword-samples cuts training text; name it with --trainpref" in capsys.readouterr().err
    assert main([*common, *files, "--sentencepiece-model-type=bpe", "--subword-sampling-alpha=1"]) == 2
    assert "-alpha: expected a number below 1" in capsys.readouterr().err
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["a b c"]), model_writer=model, model_type="char", vocab_size=7, minloglevel=2
    )
    (tmp_path / "char.model").write_bytes(model.getvalue())
    assert main([*common, *files, f"--source-sentencepiece-model={tmp_path / 'char.model'}"]) == 2
    assert "char.model: expected a SentencePiece model of type unigram or bpe" in capsys.readouterr().err
    assert os.listdir(tmp_path) == ["char.model"]
