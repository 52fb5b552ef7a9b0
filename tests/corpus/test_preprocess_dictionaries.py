"""Dictionaries of `preprocess`: fairseq's options of them do what they do in fairseq, and <unk> is counted."""

from __future__ import annotations

import json
import os
from collections import Counter
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from fairseq_guided_align.cli.main import main
from fairseq_guided_align.corpus.dictionaries import DictionarySize, read_symbols, write_dictionary
from fairseq_guided_align.corpus.unknown_tokens import UnknownTokens, unknown_warning

pytest.importorskip("fairseq")

from fairseq.data import Dictionary, data_utils

SOURCE = ["aa bb cc aa", "aa bb dd", "ee aa bb", "cc ff"]
TARGET = ["w w w x", "w x y", "w x z", "v v"]


@pytest.fixture
def text(tmp_path: Path) -> Path:
    folder = tmp_path / "text"
    folder.mkdir()
    for split in ("train", "valid"):
        for lang, lines in (("de", SOURCE), ("en", TARGET), ("align", ["0-0"] * 4)):
            (folder / f"{split}.{lang}").write_text("".join(line + "\n" for line in lines))
    return folder


def preprocess(text: Path, *options: object) -> int:
    arguments = ["-s", "de", "-t", "en", "--trainpref", text / "train", "--validpref", text / "valid",
                 "--destdir", text.parent / "bin", "--subwords", "words", *options]  # fmt: skip
    return main(["preprocess", *map(str, arguments)])


def stock(text: Path, *options: object) -> Path:
    """fairseq-preprocess's own folder."""
    from fairseq_runs import run

    folder = text.parent / "stock"
    run(
        "preprocess", "--source-lang", "de", "--target-lang", "en", "--trainpref", text / "train", "--validpref",
        text / "valid", "--destdir", folder, *options,
    )  # fmt: skip
    return folder


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--nwordssrc", "6"],
        ["--nwordstgt", "7", "--thresholdsrc", "2"],
        ["--thresholdtgt", "3", "--padding-factor", "1"],
        ["--padding-factor=16", "--nwordssrc=0", "--thresholdsrc=-1", "--nwordstgt=2"],
        ["--joined-dictionary", "--nwordssrc", "7", "--thresholdsrc", "2"],
    ],
)
def test_options_of_dictionaries_do_what_fairseq_does(text: Path, options: list[str]) -> None:
    """The same dictionaries and the same binarised text, to the byte."""
    ours = [option for option in options if option != "--joined-dictionary"]
    joined = ["--joined-dictionary"] if ours != options else []
    assert preprocess(text, *joined, f"--fairseq-options={' '.join(ours)}") == 0
    folder = stock(text, *options)
    names = [f"dict.{lang}.txt" for lang in ("de", "en")]
    names += [f"{split}.de-en.{lang}.{end}" for split in ("train", "valid") for lang in ("de", "en") for end in
              ("bin", "idx")]  # fmt: skip
    for name in names:
        assert (text.parent / "bin" / name).read_bytes() == (folder / name).read_bytes(), name


@pytest.mark.parametrize("implementation", ["lazy", "raw"])
def test_the_format_of_the_text(text: Path, implementation: str) -> None:
    """fairseq-preprocess writes it; once it is started as users have it."""
    from fairseq_runs import started_preprocess

    with started_preprocess() if implementation == "lazy" else nullcontext():
        assert preprocess(text, f"--fairseq-options=--dataset-impl {implementation}") == 0
    prefix = str(text.parent / "bin" / "valid.de-en.de")
    dictionary = Dictionary.load(str(text.parent / "bin" / "dict.de.txt"))
    found = data_utils.load_indexed_dataset(prefix, dictionary, implementation)
    assert [dictionary.string(found[i]) for i in range(4)] == SOURCE
    assert Path(prefix).exists() == (implementation == "raw")


MADE = "goes with dictionaries that are made"
ITSELF = "is an option of preprocess itself"


REFUSED = [
    *[([f"--fairseq-options={one}"], ITSELF) for one in (
        "--srcdict x", "--tgtdict=x", "-s fr", "-tfr", "--source-lang fr", "--target-lang=fr", "--trainpref x",
        "--validpref x", "--testpref x", "--destdir x", "--align-suffix x", "--workers 2", "--joined-dictionary",
    )],
    (["--fairseq-options=--dict-only"], "--dict-only makes no data folder; leave it out"),
    (["--fairseq-options=--only-source"], "--only-source leaves out the target text"),
    (["--fairseq-options=--alignfile x"], "--alignfile makes a dictionary out of links"),
    (["--fairseq-options=--task translation"], "--task may read other dictionaries"),
    (["--fairseq-options=--user-dir x"], "--user-dir goes with --task"),
    (["--fairseq-options=--seed 2"], "no other options that would change the data folder; got '--seed'"),
    (["--fairseq-options=--no-such-option"], "got '--no-such-option'"),
    (["--fairseq-options=--nwords 2"], "got '--nwords'"),
    (["--fairseq-options=3"], "got '3'"),
    (["--fairseq-options=--nwordssrc many"], "--nwordssrc: invalid int value: 'many'"),
    (["--fairseq-options=--nwordssrc"], "--nwordssrc: expected one argument"),
    (["--fairseq-options=--dataset-impl huffman"], "--dataset-impl: invalid choice: 'huffman'"),
    (["--fairseq-options=--nwordssrc 2", "--srcdict", "{dict}"], f"--nwordssrc {MADE}; --srcdict is given"),
    (["--fairseq-options=--thresholdtgt 2", "--tgtdict", "{dict}"], f"--thresholdtgt {MADE}; --tgtdict is given"),
    (["--fairseq-options=--padding-factor 2", "--srcdict", "{dict}", "--tgtdict", "{dict}"],
     f"--padding-factor {MADE}; they are given"),
    (["--fairseq-options=--padding-factor 2", "--joined-dictionary", "--srcdict", "{dict}"],
     f"--padding-factor {MADE}; they are given"),
    (["--fairseq-options=--nwordstgt 2", "--joined-dictionary"], "--joined-dictionary makes one dictionary"),
    (["--fairseq-options=--nwordssrc 2", "--joined-dictionary", "--tgtdict", "{dict}"], f"{MADE}; one is given"),
    (["--srcdict", "missing.txt"], "missing.txt: cannot be read: No such file"),
    (["--tgtdict", "{text}/train.de"], "train.de:1: expected a dictionary of fairseq's"),
    (["--tgtdict", "{twice}"], "twice:2: expected each token once"),
    (["--tgtdict", "{special}"], "special:1: expected each token once, and none of fairseq's own"),
]  # fmt: skip
"""Options, and what is said of them."""


def test_what_would_be_ignored_is_refused(text: Path, capsys: pytest.CaptureFixture[str]) -> None:
    named = {name: text / name for name in ("dict", "twice", "special")}
    named["dict"].write_text("aa 5\n")
    named["twice"].write_text("aa 5\naa 4\n")
    named["special"].write_text("<pad> 5\n")
    for options, says in REFUSED:
        assert preprocess(text, *(option.format(**named, text=text) for option in options)) == 2, options
        assert says in capsys.readouterr().err, options
        assert os.listdir(text.parent) == ["text"], options


def test_one_dictionary_is_given_and_the_other_is_made(text: Path) -> None:
    given = text / "given"
    given.write_text("aa 5\nbb 3 #fairseq:overwrite\n")
    assert read_symbols(given) == {"<s>", "<pad>", "</s>", "aa", "bb"}
    given.write_text("aa 5\nbb 3\n")
    options = ["--srcdict", given, "--fairseq-options=--nwordstgt 5 --padding-factor 1"]
    assert preprocess(text, *options) == 0
    assert (text.parent / "bin" / "dict.en.txt").read_text() == "w 5\n"


# --- <unk> ----------------------------------------------------------------------------------------------------


def settings_of(text: Path, split: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((text.parent / "bin" / "guided_alignment.json").read_text())["splits"][split]
    return found


def unknown_of_fairseq(text: Path, split: str, lang: str) -> int:
    dictionary = Dictionary.load(str(text.parent / "bin" / f"dict.{lang}.txt"))
    dataset = data_utils.load_indexed_dataset(str(text.parent / "bin" / f"{split}.de-en.{lang}"), dictionary)
    return sum(sentence.tolist().count(dictionary.unk()) for sentence in dataset)


def test_what_becomes_unknown_is_counted_as_fairseq_reads_it(text: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In held-out text alone, by the dictionary's size, written as <unk>, or spelled like one of fairseq's tokens."""
    (text / "valid.de").write_text("aa bb <unk> qq\naa cc\nqq\n<s> bb\n")
    assert preprocess(text, "--fairseq-options=--nwordssrc 6") == 0
    error = capsys.readouterr().err
    assert "train: <unk> stands for 5 of 12 source tokens (41.67 %) and 0 of 12 target tokens (0.00 %)" in error
    assert "valid: <unk> stands for 5 of 9 source tokens (55.56 %) and 0 of 12 target tokens (0.00 %)" in error
    assert "warning: valid.de: 55.6 % of the tokens are not in the dictionary and become <unk>, most often qq" in error
    assert "warning: valid.en" not in error
    for split in ("train", "valid"):
        for lang, name in (("de", "source_unknown"), ("en", "target_unknown")):
            assert settings_of(text, split)[name] == unknown_of_fairseq(text, split, lang)


def test_dictionaries_the_wrong_way_round_are_recognised(text: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = stock(text)
    options = ["--srcdict", folder / "dict.en.txt", "--tgtdict", folder / "dict.de.txt"]
    assert preprocess(text, *options) == 0
    error = capsys.readouterr().err
    assert "train: <unk> stands for 12 of 12 source tokens (100.00 %) and 12 of 12 target tokens (100.00 %)" in error
    for split in ("train", "valid"):
        for lang in ("de", "en"):
            assert (
                f"warning: {split}.{lang}: 100.0 % of the tokens are not in the dictionary and become <unk>, most often"
                in error
            )
    assert error.count("by the other language's dictionary it would be 0.0 %: are --srcdict and --tgtdict the") == 4


def test_from_which_share_on_a_warning_is_due() -> None:
    """Words are more often unknown than pieces of words."""
    for unknown, subwords, high in ((5, "words", False), (6, "words", True), (1, "bpe", False), (2, "bpe", True)):
        found = UnknownTokens.counted(Counter({"known": 100 - unknown, "new": unknown}), {"known"})
        assert (found.unknown, found.tokens, found.is_high(subwords)) == (unknown, 100, high)
    assert not UnknownTokens.counted(Counter(), set()).is_high("words")


def test_the_other_languages_dictionary_is_named_where_half_as_much_would_be_unknown() -> None:
    found = UnknownTokens(40, 100, ("x",))
    for unknown, named in ((19, True), (20, False), (39, False)):
        other = UnknownTokens(unknown, 100, ())
        assert ("the right way round?" in unknown_warning("valid", "de", found, other)) == named


@pytest.mark.parametrize("size", [DictionarySize(), DictionarySize(2, 7, 5)])
def test_dictionary_as_fairseq_writes_it(tmp_path: Path, size: DictionarySize) -> None:
    theirs = Dictionary()
    counts = Counter(["the", "cat", "the", "dog", "a", "cat", "the", "zebra", "dog", "dog", "a", "madeupword0001"])
    for word, count in counts.items():
        theirs.add_symbol(word, count)
    theirs.finalize(size.threshold, size.nwords, size.padding_factor)
    theirs.save(str(tmp_path / "theirs"))
    assert write_dictionary(tmp_path / "ours", counts, size=size) == len(theirs)
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()
