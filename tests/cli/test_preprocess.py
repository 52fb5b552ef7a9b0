"""`preprocess` and `binarize`: what lies in the data folder is what a slow, separate way gives."""

from __future__ import annotations

import json
import os
import random
import shutil
from pathlib import Path

import numpy as np
import pytest

from fairseq_guided_align.cli.main import main
from fairseq_guided_align.corpus.fairseq_data import text_lengths
from fairseq_guided_align.links.pharaoh import read_links
from fairseq_guided_align.links.priors import read_priors
from fairseq_guided_align.links.store import LinkStore, links_path

pytest.importorskip("fairseq")
sentencepiece = pytest.importorskip("sentencepiece")

from fairseq.data import Dictionary, data_utils  # noqa: E402

SOURCE_WORDS = "ἐν ἀρχῇ ἦν ὁ λόγος καὶ πρὸς τὸν θεόν οὗτος πάντα δι’ αὐτοῦ ἐγένετο χωρὶς ½ﬁ".split()  # noqa: SIM905
TARGET_WORDS = "in the beginning was word and with God this all things through him came to be Ａ".split()  # noqa: SIM905
SPLITS = {"train": 60, "train1": 20, "valid": 15, "test": 15}


def write(folder: Path, name: str, source: list[str], target: list[str], links: list[list[tuple[int, int]]]) -> None:
    (folder / f"{name}.grc").write_text("".join(line + "\n" for line in source), "utf-8")
    (folder / f"{name}.en").write_text("".join(line + "\n" for line in target), "utf-8")
    (folder / f"{name}.align").write_text("".join(" ".join(f"{s}-{t}" for s, t in row) + "\n" for row in links))


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("text")
    chance = random.Random(7)
    for split, count in SPLITS.items():
        # Held-out text has a word that no training text has.
        extra = [] if split.startswith("train") else ["ζηλωτής"]
        sources = [chance.choices(SOURCE_WORDS + extra, k=chance.randint(1, 9)) for _ in range(count)]
        targets = [chance.choices(TARGET_WORDS, k=chance.randint(1, 12)) for _ in range(count)]
        sources[3] = []
        links = [
            sorted({(chance.randrange(len(s)), chance.randrange(len(t))) for _ in range(4)}) if s else []
            for s, t in zip(sources, targets)
        ]
        write(folder, split, [" ".join(s) for s in sources], [" ".join(t) for t in targets], links)
    return folder


def preprocess(text: Path, destdir: Path, *arguments: object, trainpref: str = "train,train1") -> int:
    prefixes = {
        "trainpref": ",".join(str(text / name) for name in trainpref.split(",")),
        "validpref": text / "valid",
        "testpref": text / "test",
    }
    files = [f"--{name}={value}" for name, value in prefixes.items()]
    return main(["preprocess", "-s", "grc", "-t", "en", *files, "--destdir", str(destdir), *map(str, arguments)])


@pytest.fixture(scope="module")
def data(text: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    destdir = tmp_path_factory.mktemp("data") / "bin"
    assert preprocess(text, destdir, "--sentencepiece-vocab-size", 90, "--workers", 2) == 0
    return destdir


def binarised(data: Path, split: str, lang: str) -> list[list[str]]:
    """The symbols of each sentence, as fairseq reads them."""
    dictionary = Dictionary.load(str(data / f"dict.{lang}.txt"))
    dataset = data_utils.load_indexed_dataset(str(data / f"{split}.grc-en.{lang}"), dictionary)
    return [[dictionary[token] for token in sentence.tolist()[:-1]] for sentence in dataset]


def slow_links(text: Path, data: Path, split: str) -> list[set[tuple[int, int]]]:
    """Each word cut on its own by the model in the data folder, and every pair of pieces of linked words."""
    sides = []
    for lang in ("grc", "en"):
        model = sentencepiece.SentencePieceProcessor(model_file=str(data / f"sentencepiece.{lang}.model"))
        lines = (text / f"{split}.{lang}").read_text("utf-8").split("\n")[:-1]
        spans = []
        for line in lines:
            pieces = model.encode(line, out_type=str)
            own = []
            word = -1
            for index, piece in enumerate(pieces):
                if piece.startswith("▁"):
                    word += 1
                    own.append([])
                own[word].append(index)
            assert len(own) == len(line.split())
            spans.append(own)
        sides.append(spans)
    rows = (text / f"{split}.align").read_text().split("\n")[:-1]
    expected = []
    for row, source, target in zip(rows, *sides):
        pairs = [tuple(map(int, token.split("-"))) for token in row.split()]
        expected.append({(i, j) for s, t in pairs for i in source[s] for j in target[t]})
    return expected


def test_text_and_links_of_every_split(text: Path, data: Path) -> None:
    for split in SPLITS:
        check_text_and_links(text, data, split)


def check_text_and_links(text: Path, data: Path, split: str) -> None:
    store = LinkStore(links_path(data, split, "grc", "en"))
    assert [set(links.pairs()) for links in store] == slow_links(text, data, split)
    for lang in ("grc", "en"):
        model = sentencepiece.SentencePieceProcessor(model_file=str(data / f"sentencepiece.{lang}.model"))
        raw = (text / f"{split}.{lang}").read_text("utf-8").split("\n")[:-1]
        expected = [model.encode(line, out_type=str) for line in raw]
        symbols = binarised(data, split, lang)
        assert [len(sentence) for sentence in symbols] == [len(sentence) for sentence in expected]
        for sentence, pieces in zip(symbols, expected):
            assert all(one == other or one == "<unk>" for one, other in zip(sentence, pieces))
            # What is unknown is letters that the model has not seen: no word's beginning is lost.
            assert [one.startswith("▁") for one in sentence] == [piece.startswith("▁") for piece in pieces]
        lengths = text_lengths(data, split, "grc", "en", lang)
        assert lengths is not None
        assert lengths[:].tolist() == [len(sentence) for sentence in expected]
        # What the folder keeps is what was read.
        kept = (data / "text" / f"{split}.{lang}").read_text("utf-8").split("\n")[:-1]
        assert kept == raw
        pieces_kept = (data / "text" / f"{split}.pieces.{lang}").read_text("utf-8").split("\n")[:-1]
        assert [line.split(" ") if line else [] for line in pieces_kept] == expected
        assert [model.decode(line.split(" ")) for line in pieces_kept] == [model.decode(one) for one in expected]


def test_dictionaries_hold_the_models_vocabulary(data: Path) -> None:
    for lang in ("grc", "en"):
        model = sentencepiece.SentencePieceProcessor(model_file=str(data / f"sentencepiece.{lang}.model"))
        dictionary = Dictionary.load(str(data / f"dict.{lang}.txt"))
        pieces = {model.id_to_piece(i) for i in range(model.get_piece_size())} - {"<unk>", "<s>", "</s>"}
        assert pieces <= set(dictionary.symbols)
        assert len(dictionary) % 8 == 0
        assert dictionary.count == sorted(dictionary.count[:4], reverse=True) + sorted(
            dictionary.count[4:], reverse=True
        )


def test_settings_are_recorded(data: Path) -> None:
    settings = json.loads((data / "guided_alignment.json").read_text("utf-8"))
    assert settings["subwords"] == "sentencepiece"
    assert (settings["source_lang"], settings["target_lang"]) == ("grc", "en")
    assert settings["source_sentencepiece_model"] == "sentencepiece.grc.model"
    assert list(settings["splits"]) == list(SPLITS)
    assert settings["splits"]["train1"]["sentences"] == SPLITS["train1"]


def test_the_same_again(text: Path, data: Path, tmp_path: Path) -> None:
    """One process gives what two give, and the folder holds the same files to the byte."""
    assert preprocess(text, tmp_path / "bin", "--sentencepiece-vocab-size", 90) == 0
    files = sorted(path.relative_to(data) for path in data.rglob("*") if path.is_file())
    assert files == sorted(
        path.relative_to(tmp_path / "bin") for path in (tmp_path / "bin").rglob("*") if path.is_file()
    )
    for path in files:
        assert (data / path).read_bytes() == (tmp_path / "bin" / path).read_bytes(), path


def test_bpe_cleaned_with_given_dictionaries(text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Text that is cut already; too long pairs go from all three sides; a shard and a split without links."""
    cut = tmp_path / "cut"
    cut.mkdir()
    expected = {}
    for split in SPLITS:
        rows = []
        for lang in ("grc", "en"):
            lines = (text / f"{split}.{lang}").read_text("utf-8").split("\n")[:-1]
            rows.append([[f"{w[:1]}@@ {w[1:]}".split() if len(w) > 3 else [w] for w in line.split()] for line in lines])
            (cut / f"{split}.{lang}").write_text(
                "".join(" ".join(piece for word in words for piece in word) + "\n" for words in rows[-1]), "utf-8"
            )
        shutil.copy(text / f"{split}.align", cut / f"{split}.align")
        links = []
        for source, target, row in zip(*rows, (text / f"{split}.align").read_text().split("\n")):
            sizes = [sum(map(len, side)) for side in (source, target)]
            if split.startswith("train") and (max(sizes) > 12 or not min(sizes) or max(sizes) > 4 * min(sizes)):
                continue
            starts = [np.cumsum([0, *map(len, side)]) for side in (source, target)]
            pairs = [tuple(map(int, token.split("-"))) for token in row.split()]
            links.append({(int(starts[0][s]), int(starts[1][t])) for s, t in pairs})
        expected[split] = links
    (cut / "test.align").unlink()
    assert preprocess(cut, tmp_path / "bin", "--subwords", "bpe") == 2
    assert "test.align (links; see --aligner and --allow-missing-alignments)" in capsys.readouterr().err
    assert os.listdir(tmp_path) == ["cut"]
    options = ["--subwords", "bpe", "--policy", "first", "--max-pieces", 12, "--max-ratio", 4, "--joined-dictionary",
               "--allow-missing-alignments", "--discard-text"]  # fmt: skip
    assert preprocess(cut, tmp_path / "bin", *options) == 0
    assert not links_path(tmp_path / "bin", "test", "grc", "en").exists()
    assert not (tmp_path / "bin" / "text").exists()
    for split in ("train", "train1", "valid"):
        store = LinkStore(links_path(tmp_path / "bin", split, "grc", "en"))
        assert [set(links.pairs()) for links in store] == expected[split]
        assert len(binarised(tmp_path / "bin", split, "en")) == len(expected[split])
    settings = json.loads((tmp_path / "bin" / "guided_alignment.json").read_text("utf-8"))
    assert settings["splits"]["train"]["left_out"] == SPLITS["train"] - len(expected["train"]) > 0
    assert (tmp_path / "bin" / "dict.grc.txt").read_bytes() == (tmp_path / "bin" / "dict.en.txt").read_bytes()


def test_only_pairs_that_are_kept_have_to_agree(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Words and pieces of a pair that is too long differ, then those of a pair that is kept, and a block of lines
    before them is left out as a whole.
    """
    write(tmp_path, "train", ["", "b c d e", "f", "g"], ["", "y", "z", "x"], [[], [(0, 0)], [], [(0, 0)]])
    for suffix in ("grc", "en", "align"):
        path = tmp_path / f"train.{suffix}"
        path.write_bytes(b"\n" * 1000 + path.read_bytes())
    (tmp_path / "train.words").write_text("\n" * 1001 + "p q r s\nt\ng\n")
    options = ["-s", "grc", "-t", "en", "--trainpref", tmp_path / "train", "--destdir", tmp_path / "bin",
               "--subwords", "bpe", "--source-words-suffix", "words", "--max-pieces", "3"]  # fmt: skip
    assert main(["preprocess", *map(str, options)]) == 2
    assert "train.grc:1003 (words: " in capsys.readouterr().err
    assert main(["preprocess", *map(str, options), "--on-mismatch", "drop-links"]) == 0
    counts = json.loads((tmp_path / "bin" / "guided_alignment.json").read_text("utf-8"))["splits"]["train"]
    assert (counts["sentences"], counts["left_out"], counts["mismatched"]) == (2, 1002, 1)
    assert [links.pairs() for links in LinkStore(links_path(tmp_path / "bin", "train", "grc", "en"))] == [[], [(0, 0)]]


def test_ends_of_lines(text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Text with carriage returns at the ends of its lines is the same text. What is no UTF-8 is named by its line."""
    plain = [(text / f"valid.{suffix}").read_bytes() for suffix in ("grc", "en", "align")]
    for name, changed in (("plain", plain), ("crlf", [lines.replace(b"\n", b"\r\n") for lines in plain])):
        for suffix, lines in zip(("grc", "en", "align"), changed):
            (tmp_path / f"{name}.{suffix}").write_bytes(100 * lines)
        (tmp_path / f"{name}.words").write_bytes(100 * changed[0])
        options = ["--subwords=words", "--source-words-suffix=words", "--destdir", tmp_path / f"bin-{name}"]
        command = ["preprocess", "-s=grc", "-t=en", "--trainpref", tmp_path / name, *options]
        assert main(list(map(str, command))) == 0
    files = [path.relative_to(tmp_path / "bin-plain") for path in (tmp_path / "bin-plain").rglob("*.*")]
    assert len(files) > 10
    for path in files:
        assert (tmp_path / "bin-crlf" / path).read_bytes() == (tmp_path / "bin-plain" / path).read_bytes(), path
    shutil.rmtree(tmp_path / "bin-crlf")
    for suffix in ("words", "grc"):
        lines = (tmp_path / f"crlf.{suffix}").read_bytes().split(b"\n")
        lines[1200] = b"\xff" + lines[1200]
        (tmp_path / f"crlf.{suffix}").write_bytes(b"\n".join(lines))
        assert main(list(map(str, command))) == 2
        assert f"crlf.{suffix}:1201: expected UTF-8 text; got byte 0xff at byte 1 of" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ({"train1.align": "0-0\n"}, "train1.align has 1"),
        (
            dict.fromkeys(["train1.grc", "train1.en", "train1.align"], ""),
            "{}/train1.grc: expected text of train1, which",
        ),
        (
            dict.fromkeys(["valid.grc", "valid.en", "valid.align"], ""),
            "{}/valid.grc: expected text of valid, which --v",
        ),
        (dict.fromkeys(["test.grc", "test.en", "test.align"], ""), "{}/test.grc: expected text of test, which --testp"),
        ({"train.grc": "\n" * 60, "train1.grc": "\n" * 20}, "the training text is empty, or all of its lines"),
        ({"valid.align": "0-0\nnonsense\n" + "\n" * 13}, "valid.align:2: expected SOURCE-TARGET"),
        ({"train.en": None}, "no such file: "),
        ({"test.align": "0-9 1-10 0-20\n" * 15}, "text, cut into these words, in this direction, counting from 0?"),
        ({"valid.en": b"\xff\n" * 15}, "valid.en:1: expected UTF-8 text"),
        ({"train1.grc": b"\xff\n" * 20}, "error: {}/train1.grc:1: expected UTF-8 text"),
    ],
)
def test_a_failure_leaves_nothing(
    text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], broken: dict[str, object], says: str
) -> None:
    folder = tmp_path / "text"
    shutil.copytree(text, folder)
    for name, content in broken.items():
        if content is None:
            (folder / name).unlink()
        else:
            (folder / name).write_bytes(content if isinstance(content, bytes) else str(content).encode())
    assert preprocess(folder, tmp_path / "bin", "--sentencepiece-vocab-size", 90) == 2
    assert says.format(folder) in capsys.readouterr().err
    assert os.listdir(tmp_path) == ["text"]


def test_fairseqs_own_failure_is_shown(text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """fairseq counts in 64 bits what a dictionary may hold in more."""
    dictionary = tmp_path / "dict.txt"
    dictionary.write_bytes(b"a " + b"9" * 5000 + b"\n")
    options = ["--subwords", "words", "--srcdict", dictionary]
    assert preprocess(text, tmp_path / "bin", *options) == 2
    error = capsys.readouterr().err
    assert "fairseq-preprocess failed with exit code 1" in error
    assert "Incorrect dictionary format" in error
    assert os.listdir(tmp_path) == ["dict.txt"]


@pytest.mark.parametrize(
    "form", [[], ["--inverted", "--one-based"], ["--chunk-pairs=150", "--sample-pairs=200", "--workers=2"]]
)
def test_links_by_the_aligner(tmp_path: Path, form: list[str]) -> None:
    """The very text that a split without links needs, in its order: against `align` on the text of all splits.

    eflomal samples anew each time, hence a text that leaves no choice.
    """
    pytest.importorskip("eflomal")
    chance = random.Random(3)
    sizes = {"train": 400, "train1": 100, "valid": 50}
    files: list[object] = ["-s", "grc", "-t", "en", "--subwords", "words", "--aligner", "eflomal", *form]
    expected: list[list[tuple[int, int]]] = []
    everything: tuple[list[str], list[str]] = ([], [])
    for split, size in sizes.items():
        numbers = [chance.sample(range(40), chance.randint(2, 8)) for _ in range(size)]
        orders = [chance.sample(range(len(row)), len(row)) for row in numbers]
        source = [" ".join(f"s{i}" for i in row) for row in numbers]
        target = [" ".join(f"t{row[at]}" for at in order) for row, order in zip(numbers, orders)]
        write(tmp_path, split, source, target, [[] for _ in numbers])
        expected += [[(s, t) for t, s in enumerate(order)] for order in orders]
        (tmp_path / f"{split}.align").unlink()
        everything[0].extend(source)
        everything[1].extend(target)
    # One split has links of its own, which stay.
    shown = [
        " ".join("2-1" if "--inverted" in form else "0-1" for _ in range(bool(i % 2))) for i in range(sizes["train1"])
    ]
    (tmp_path / "train1.align").write_text("".join(line + "\n" for line in shown))
    files += ["--trainpref", f"{tmp_path / 'train'},{tmp_path / 'train1'}", "--validpref", tmp_path / "valid"]
    assert main(["preprocess", *map(str, files), "--destdir", str(tmp_path / "bin")]) == 0
    for name, lines in zip(("all.s", "all.t"), everything):
        (tmp_path / name).write_text("".join(line + "\n" for line in lines))
    align = ["align", "--source", tmp_path / "all.s", "--target", tmp_path / "all.t", "-o", tmp_path / "all.align"]
    assert main(list(map(str, align))) == 0
    alone = [set(links.pairs()) for links in read_links(tmp_path / "all.align")]
    made = [
        set(links.pairs()) for split in sizes for links in LinkStore(links_path(tmp_path / "bin", split, "grc", "en"))
    ]
    own = slice(sizes["train"], sizes["train"] + sizes["train1"])
    assert made[own] == [{(0, 1)} if i % 2 else set() for i in range(sizes["train1"])]
    made[own] = alone[own]
    links = sum(map(len, alone))
    # Seen: mostly 0.003, once 0.023; with the lines out of step, 1.7.
    assert sum(len(one ^ other) for one, other in zip(made, alone)) < 0.1 * links
    assert sum(len(one ^ set(row)) for one, row in zip(made, expected)) < 0.1 * links
    assert [path.name for path in (tmp_path / "bin" / "text").glob("*.aligner")] == []
    assert list(tmp_path.glob(".*")) == []


def test_chunks_that_are_aligned_outlast_what_fails_later(
    text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The next run goes on with them; priors are kept, and begin the alignment of other text."""
    pytest.importorskip("eflomal")
    own = tmp_path / "own"
    shutil.copytree(text, own, ignore=shutil.ignore_patterns("train.align"))
    priors, parts = tmp_path / "priors.gz", tmp_path / ".bin.parts"
    options = ["--aligner=eflomal", "--subwords=words", "--chunk-pairs=60", f"--save-priors={priors}"]
    assert preprocess(own, tmp_path / "bin", *options, "--max-pieces=1") == 2
    said = capsys.readouterr().err
    assert "sentence pairs of all splits in" in said
    assert "no sentence pair is left" in said
    assert not (tmp_path / "bin").exists()
    first = min(parts.glob("*.links"))
    lines = first.read_text().splitlines(keepends=True)
    first.write_text("".join(["0-0\n", "\n", *lines[2:]]))
    assert preprocess(own, tmp_path / "bin", *options) == 0
    links = LinkStore(links_path(tmp_path / "bin", "train", "grc", "en"))
    assert [list(links[number].pairs()) for number in range(2)] == [[(0, 0)], []]
    assert not parts.exists()
    assert {prior.kind for prior in read_priors(priors)} == {"LEX", "FERF", "FERR", "HMMF", "HMMR"}
    capsys.readouterr()
    assert preprocess(own, tmp_path / "new", *options[:2], f"--priors={priors}") == 0
    assert "of all splits in 1 chunks\n" in capsys.readouterr().err


def test_it_does_not_write_over_a_folder(text: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert preprocess(text, data) == 2
    assert "expected a folder that does not exist yet, or an empty one" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--subwords", "bpe", "--sentencepiece-vocab-size", "90"], "go with --subwords sentencepiece"),
        (["--symmetrisation", "union"], "--symmetrisation goes with --aligner"),
        (["--chunk-pairs", "9"], "--chunk-pairs goes with --aligner"),
        (["--save-priors", "priors"], "--save-priors goes with --aligner"),
        (["--aligner", "eflomal", "--sample-pairs", "9"], "--sample-pairs goes with --chunk-pairs"),
        (["--aligner", "eflomal", "--also-pieces", "90", "--priors", "a"], "--also-pieces does not go with --priors"),
        (["--aligner", "eflomal", "--save-priors", "a"], "--save-priors: of text that is aligned"),
        (["--joined-dictionary", "--srcdict", "a", "--tgtdict", "b"], "not both"),
        (["--joined-dictionary", "--source-sentencepiece-model", "a"], "both models or none"),
        (["--source-sentencepiece-model", "none.model"], "none.model: cannot be read"),
        (["--sentencepiece-vocab-size", "5", "--sentencepiece-model-type", "bpe"], "cannot train a bpe model"),
        (["--sentencepiece-vocab-size", "0"], "cannot train a unigram model of 0 pieces"),
        (["--workers", "0"], "at least one worker"),
        (["--max-pieces", "0"], "--max-pieces: expected 1 or more"),
        (["--max-ratio", "nan"], "--max-ratio: expected a number of at least 1"),
        (["--subwords", "words", "--max-pieces", "1"], "no sentence pair is left"),
        (["--fairseq-options", "--x 'y"], "--fairseq-options: expected options as in a shell"),
        (["-t", "grc"], "expected two languages"),
    ],
)
def test_options_that_do_not_go_together(
    text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], says: str
) -> None:
    assert preprocess(text, tmp_path / "bin", *options) == 2
    assert says in capsys.readouterr().err
    assert os.listdir(tmp_path) == []


# --- binarize -------------------------------------------------------------------------------------------------


def binarize(data: Path, *arguments: object) -> int:
    return main(["binarize", str(data), *map(str, arguments)])


@pytest.fixture
def copy(data: Path, tmp_path: Path) -> Path:
    shutil.copytree(data, tmp_path / "bin")
    return tmp_path / "bin"


def test_binarize_word_links_again(text: Path, data: Path, copy: Path) -> None:
    entries = []
    for split in SPLITS:
        links_path(copy, split, "grc", "en").unlink()
        entries.append(f"{split}={text / f'{split}.align'}")
    assert binarize(copy, *entries, "--level", "words", "--workers", 2) == 0
    for split in SPLITS:
        name = links_path(Path(), split, "grc", "en")
        assert (copy / name).read_bytes() == (data / name).read_bytes()


def test_binarize_links_between_pieces(data: Path, copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = LinkStore(links_path(data, "valid", "grc", "en"))
    found = text_lengths(data, "valid", "grc", "en", "grc")
    assert found is not None
    lengths = found[:]
    lines = [" ".join(f"{s}-{t}" for s, t in links.pairs()) for links in store]
    lines[4] += f" {lengths[4]}-0"  # </s>: no token of the text
    path = copy / "links"
    path.write_text("\n".join(lines))
    assert binarize(copy, f"valid={path}") == 0
    assert list(LinkStore(links_path(copy, "valid", "grc", "en"))) == list(store)
    error = capsys.readouterr().err
    assert f"links:5: link {lengths[4]}-0 (from 0) was dropped" in error
    linked, links = sum(len(one) > 0 for one in store), len(store.source)
    assert (
        f"valid: 15 sentence pairs, {linked} ({100 * linked / 15:.1f} %) with links; {links} links;"
        " links dropped: 1 outside their sentence"
    ) in error


def test_binarize_refuses(copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = links_path(copy, "valid", "grc", "en").read_bytes()
    path = tmp_path / "links"
    for text, says in (
        ("0-0\n" * 14, "expected 15 lines, one for each sentence pair of the text; got 14"),
        ("0-0\n" * 16, "expected 15 lines, one for each sentence pair of the text; got 16"),
        ("0-0\n\n0_0\n", "links:3: expected SOURCE-TARGET"),
        ("0-999\n" * 15, "15 of 15 links point outside"),
    ):
        path.write_text(text)
        assert binarize(copy, f"valid={path}") == 2
        assert says in capsys.readouterr().err
        assert links_path(copy, "valid", "grc", "en").read_bytes() == before
    path.write_text("0-0\n" * 15)
    for entries in (["valid"], [f"valid={path}", f"valid={path}"]):
        assert binarize(copy, *entries) == 2
        assert f"expected SPLIT=FILE, each split once, such as train=train.align; got {entries[-1]!r}" in (
            capsys.readouterr().err
        )
    assert binarize(tmp_path / "none", f"valid={path}") == 2
    assert binarize(tmp_path, f"valid={path}") == 2
    assert "give -s and -t" in capsys.readouterr().err
    shutil.rmtree(copy / "text")
    assert binarize(copy, f"valid={path}", "--level", "words") == 2
    assert "cannot be read" in capsys.readouterr().err
