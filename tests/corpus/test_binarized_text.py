"""Text that `preprocess` binarises is, to the byte, what fairseq-preprocess makes of the same pieces."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from fairseq_guided_align.cli.main import main
from fairseq_guided_align.corpus import binarized_text
from fairseq_guided_align.corpus.coded_text import CodedText
from fairseq_guided_align.corpus.dictionaries import symbols_as_written
from fairseq_guided_align.corpus.mmap_text import write_mmap_text
from fairseq_guided_align.subwords.coded_lines import CodedLines

pytest.importorskip("fairseq")

from fairseq.data import Dictionary
from fairseq_runs import run

LANGS = ("de", "en")
WORDS = {
    "de": "das Wort war bei Gott und Gott war das Wort ½ ﬁn <unk> <s> <pad> madeupword0000 a\u00a0b".split(" "),  # noqa: SIM905
    "en": "the Word was with God and the Word was God ’ <UNK> </s> < x\u3000y".split(" "),  # noqa: SIM905
}
SPLITS = {"train": 2300, "train1": 30, "valid": 40, "test": 50, "test1": 20}
"""Several blocks of lines."""


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some lines are empty; held-out text has words and letters of its own."""
    folder = tmp_path_factory.mktemp("text")
    chance = random.Random(5)
    for split, size in SPLITS.items():
        for lang in LANGS:
            words = WORDS[lang] + ([] if split.startswith("train") else ["λόγος", "Wor@@", "日本語"])
            lines = [" ".join(chance.choices(words, k=chance.randint(0, 9))) for _ in range(size)]
            (folder / f"{split}.{lang}").write_text("".join(line + "\n" for line in lines), "utf-8")
            cut = [" ".join(f"{w[:2]}@@ {w[2:]}" if len(w) > 3 else w for w in line.split(" ")) for line in lines]
            (folder / f"cut-{split}.{lang}").write_text("".join(line + "\n" for line in cut), "utf-8")
        for prefix in ("", "cut-"):
            (folder / f"{prefix}{split}.align").write_text("\n" * size)
    return folder


def preprocess(text: Path, destdir: Path, *options: object, prefix: str = "") -> None:
    prefixes = {
        kind: ",".join(str(text / f"{prefix}{split}") for split in SPLITS if split.startswith(kind))
        for kind in ("train", "valid", "test")
    }
    files = [f"--{kind}pref={some}" for kind, some in prefixes.items()]
    assert main(["preprocess", "-s=de", "-t=en", *files, "--destdir", str(destdir), *map(str, options)]) == 0


def stock(data: Path, destdir: Path, *options: object) -> None:
    """fairseq-preprocess on the pieces in a data folder; it takes one training text."""
    pieces = {split: data / "text" / f"{split}.pieces" for split in SPLITS}
    run(
        "preprocess", "--source-lang=de", "--target-lang=en", "--trainpref", pieces["train"], "--validpref",
        pieces["valid"], "--testpref", f"{pieces['test']},{pieces['test1']},{pieces['train1']}", "--destdir", destdir,
        *options,
    )  # fmt: skip
    for path in destdir.glob("test2.*"):
        path.rename(destdir / path.name.replace("test2", "train1"))


def check_same(data: Path, expected: Path) -> None:
    """The dictionaries, and every file of binarised text."""
    names = sorted(path.name for path in expected.iterdir() if path.name != "preprocess.log")
    assert len(names) == 2 + 4 * len(SPLITS)
    for name in names:
        assert (data / name).read_bytes() == (expected / name).read_bytes(), name
    of_links = {f"{split}.links.de-en" for split in SPLITS}
    assert {path.name for path in data.glob("*.de-en*")} - of_links == {name for name in names if ".de-en" in name}
    assert not list(data.glob("text/*.codes.*"))


@pytest.fixture
def without_fairseq(monkeypatch: pytest.MonkeyPatch) -> None:
    """fairseq-preprocess cannot be started."""
    monkeypatch.setattr(binarized_text, "subprocess", None)


@pytest.mark.usefixtures("without_fairseq")
def test_text_in_pieces_of_sentencepiece(text: Path, tmp_path: Path) -> None:
    pytest.importorskip("sentencepiece")
    preprocess(text, tmp_path / "bin", "--sentencepiece-vocab-size=70", "--workers=2")
    dictionaries = [tmp_path / "bin" / f"dict.{lang}.txt" for lang in LANGS]
    stock(tmp_path / "bin", tmp_path / "stock", "--srcdict", dictionaries[0], "--tgtdict", dictionaries[1])
    check_same(tmp_path / "bin", tmp_path / "stock")
    # Letters of held-out text are <unk>; most of the rest is known.
    found = np.fromfile(tmp_path / "bin" / "valid.de-en.de.bin", np.uint16)
    assert 0 < np.count_nonzero(found == 3) < np.count_nonzero(found > 3)
    models = [tmp_path / "bin" / f"sentencepiece.{lang}.model" for lang in LANGS]
    given = ["--source-sentencepiece-model", models[0], "--target-sentencepiece-model", models[1]]
    preprocess(text, tmp_path / "again", *given, "--discard-text")
    check_same(tmp_path / "again", tmp_path / "stock")
    assert not (tmp_path / "again" / "text").exists()


@pytest.mark.usefixtures("without_fairseq")
def test_text_that_is_cut_already(text: Path, tmp_path: Path) -> None:
    for kind, prefix in (("bpe", "cut-"), ("words", "")):
        data = tmp_path / kind
        preprocess(text, data, f"--subwords={kind}", "--workers=2", prefix=prefix)
        dictionaries = ["--srcdict", data / "dict.de.txt", "--tgtdict", data / "dict.en.txt"]
        stock(data, tmp_path / f"stock-{kind}", *dictionaries)
        check_same(data, tmp_path / f"stock-{kind}")
        preprocess(text, tmp_path / f"{kind}-again", f"--subwords={kind}", prefix=prefix)
        check_same(tmp_path / f"{kind}-again", tmp_path / f"stock-{kind}")


@pytest.mark.usefixtures("without_fairseq")
def test_one_dictionary_for_both_languages(text: Path, tmp_path: Path) -> None:
    preprocess(text, tmp_path / "bin", "--subwords=bpe", "--joined-dictionary", prefix="cut-")
    stock(tmp_path / "bin", tmp_path / "stock", "--joined-dictionary", "--srcdict", tmp_path / "bin" / "dict.en.txt")
    check_same(tmp_path / "bin", tmp_path / "stock")


def test_occurrences_of_more_and_more_tokens(tmp_path: Path) -> None:
    coded = CodedText(tmp_path / "codes")
    for number in range(2200):
        coded.append(CodedLines.of_tokens([[f"w{number}", "w0"]]))
    assert coded.lines == 2200
    assert coded.occurrences() == {f"w{number}": 1 if number else 2201 for number in range(2200)}
    assert [codes.tolist() for codes, _ in coded.blocks()] == [[number, 0] for number in range(2200)]


# Around the largest vocabulary of two bytes a token in the data, and in our own file of codes.
@pytest.mark.parametrize("size", [65_495, 65_496, 65_534, 65_535])
def test_large_dictionaries(size: int, tmp_path: Path) -> None:
    words = [f"w{number}" for number in range(size)]
    (tmp_path / "dict").write_text("".join(f"{word} 1\n" for word in words))
    lines = [words[:40_000], ["none", words[-1]], [], [*words[40_000:], *words[:3], "<unk>"]]
    (tmp_path / "text.de").write_text("".join(" ".join(line) + "\n" for line in lines))
    run(
        "preprocess", "--source-lang=de", "--only-source", "--srcdict", tmp_path / "dict", "--trainpref",
        tmp_path / "text", "--destdir", tmp_path / "stock",
    )  # fmt: skip
    symbols = symbols_as_written(tmp_path / "dict")
    assert symbols == words
    coded = CodedText(tmp_path / "codes")
    for first in (0, 2):
        coded.append(CodedLines.of_tokens(lines[first : first + 2]))
    write_mmap_text(tmp_path / "train", coded, symbols)
    for name in ("bin", "idx"):
        (expected,) = (tmp_path / "stock").glob(f"train.*.{name}")
        assert (tmp_path / f"train.{name}").read_bytes() == expected.read_bytes()
    coded.remove()
    assert coded.occurrences() == {
        word: 2 if word in words[:3] + words[-1:] else 1 for word in [*words, "none", "<unk>"]
    }


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a 3\nb 0\n", ["a", "b"]),
        ("a b 12\n\u3000 1\n 7\n", None),
        ("a b 12\n\u3000 1\n", ["a b", "\u3000"]),
        ("a 3\nb 2", None),
        ("a 3\r\nb 2\r\n", None),
        ("a\rb 2\n", None),
        ("a 03\n", None),
        ("a +3\n", None),
        ("a ٣\n", None),
        ("a 3 \n", None),
        ("a 3\n\nb 2\n", None),
        ("a 3\na 4 #fairseq:overwrite\n", None),
        ("a " + "9" * 30 + "\n", None),
        ("", None),
        ("a\u2028b 3\n\ufeff 3\n", ["a\u2028b", "\ufeff"]),
    ],
)
def test_dictionaries_that_fairseq_writes_as_it_reads_them(
    content: str, expected: list[str] | None, tmp_path: Path
) -> None:
    path = tmp_path / "dict"
    path.write_bytes(content.encode())
    assert symbols_as_written(path) == expected
    if expected is not None:
        theirs = Dictionary.load(str(path))
        assert theirs.symbols[4:] == expected
        theirs.save(str(tmp_path / "saved"))
        assert (tmp_path / "saved").read_bytes() == path.read_bytes()
    path.write_bytes(b"\xff 3\n")
    assert symbols_as_written(path) is None


@pytest.mark.parametrize("given", ["a 3", "a 3\na 4 #fairseq:overwrite\n", "a 03\nb 2\n"])
def test_other_dictionaries_are_left_to_fairseq(given: str, text: Path, tmp_path: Path) -> None:
    (tmp_path / "dict").write_text(given)
    preprocess(text, tmp_path / "bin", "--subwords=words", "--joined-dictionary", "--tgtdict", tmp_path / "dict")
    stock(tmp_path / "bin", tmp_path / "stock", "--joined-dictionary", "--tgtdict", tmp_path / "dict")
    if "#" in given:  # fairseq writes it without the flag, and cannot read that
        for lang in LANGS:
            assert (tmp_path / "bin" / f"dict.{lang}.txt").read_text() == given
            (tmp_path / "stock" / f"dict.{lang}.txt").write_text(given)
    check_same(tmp_path / "bin", tmp_path / "stock")
