"""Language codes with hyphens and dots: the data folder knows its languages, whoever reads it."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import MadeUpData
from decoding_reference import printed
from fairseq_runs import GUIDED, STOCK_TASK, USER_DIR, run, train

from fairseq_guided_align.aligning.extraction import AlignmentModel
from fairseq_guided_align.api import load
from fairseq_guided_align.cli.main import main
from fairseq_guided_align.corpus.languages import LanguagePair, folder_pair, language_pairs, parse_pair
from fairseq_guided_align.errors import GuidedAlignError

SOURCE, TARGET = "zh-Hans", "en-GB"
PAIR = f"{SOURCE}-{TARGET}"
OPPOSITE = f"{TARGET}-{SOURCE}"


@pytest.fixture(scope="module")
def text(made_up: MadeUpData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The made-up text as files of these languages, in a folder whose name has a comma."""
    folder = tmp_path_factory.mktemp("a,b")
    for split in ("train", "valid", "test"):
        for lang, suffix in ((SOURCE, "src"), (TARGET, "tgt"), ("align", "align")):
            shutil.copy(made_up.text / f"{split}.{suffix}", folder / f"{split}.{lang}")
    return folder


@pytest.fixture(scope="module")
def data(text: Path) -> Path:
    folder = text / "bin"
    options = [f"--{split}pref={text / split}" for split in ("train", "valid", "test")]
    arguments = ["-s", SOURCE, "-t", TARGET, *options, "--subwords", "words", "--destdir", str(folder)]
    assert main(["preprocess", *arguments]) == 0
    return folder


@pytest.fixture(scope="module")
def checkpoint(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained without a word on the languages."""
    folder = tmp_path_factory.mktemp("trained")
    train(data, folder, updates=2)
    return folder / "checkpoint_last.pt"


def test_training_reads_the_languages_off_the_folder(
    made_up: MadeUpData, data: Path, checkpoint: Path, tmp_path: Path
) -> None:
    """The same figures as of the same text in languages whose codes fairseq understands."""
    short = tmp_path / "short"
    options = [f"--{split}pref={made_up.text / split}" for split in ("train", "valid", "test")]
    arguments = ["-s", "src", "-t", "tgt", *options, "--subwords", "words", "--destdir", str(short)]
    assert main(["preprocess", *arguments]) == 0
    log = [train(one, tmp_path / one.name, "--no-save", updates=2) for one in (short, data)]
    assert [one["loss"] for one in log[0] if "loss" in one] == [one["loss"] for one in log[1] if "loss" in one] != []
    assert AlignmentModel(str(checkpoint)).lang_pair == PAIR


def test_every_reader_takes_its_model(
    text: Path, data: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "links"
    files = ["--source", str(text / f"test.{SOURCE}"), "--target", str(text / f"test.{TARGET}")]
    for given in (["--lang-pair", PAIR], files):
        assert main(["extract", str(checkpoint), *given, "--output", str(output)]) == 0
        assert len(output.read_text().splitlines()) == 40
    capsys.readouterr()
    run(
        "generate", data, "--user-dir", USER_DIR, *GUIDED[:2], "--path", checkpoint, "--cpu", "--num-workers", 0,
        "--print-alignment", "hard", "--max-len-b", 10,
    )  # fmt: skip
    assert len(printed(capsys.readouterr().out)) == 40
    assert len(load(str(checkpoint), device="cpu").align(["a b"], ["c"])) == 1
    with pytest.raises(GuidedAlignError, match=f"language pair {OPPOSITE}; got one from {SOURCE} to {TARGET}"):
        AlignmentModel(str(checkpoint), lang_pair=OPPOSITE)


def test_one_language_chooses_the_direction(data: Path, tmp_path: Path) -> None:
    """fairseq would take the folder's own direction without a word."""
    train(data, tmp_path, "--source-lang", TARGET, "--max-epoch", 1, updates=1)
    assert AlignmentModel(str(tmp_path / "checkpoint_last.pt")).lang_pair == OPPOSITE
    with pytest.raises(
        GuidedAlignError, match=f"expected text of one language pair with 'fr' as given; .* {OPPOSITE}, {PAIR}"
    ):
        train(data, tmp_path / "out", "--source-lang", "fr", updates=1)


def test_a_folder_of_stock_fairseq_and_its_task(text: Path, tmp_path: Path) -> None:
    run(
        "preprocess", "--source-lang", SOURCE, "--target-lang", TARGET, "--destdir", tmp_path / "bin",
        "--trainpref", text / "train", "--align-suffix", "align",
    )  # fmt: skip
    # fairseq 0.12.2 reads the validation set in any case.
    for path in (tmp_path / "bin").glob("train.*"):
        shutil.copy(path, path.with_name(path.name.replace("train.", "valid.", 1)))
    for task in (GUIDED, STOCK_TASK):
        log = train(tmp_path / "bin", tmp_path / "out", *task, "--no-save", "--disable-validation", updates=1)
        assert log


def test_several_language_pairs(data: Path, text: Path, tmp_path: Path) -> None:
    """Of codes with hyphens on both sides; links of text files too; the checkpoint holds plain text."""
    links = ",".join(f"{split}.{PAIR}={text / split}.align" for split in ("train", "valid"))
    pairs = f"{PAIR},{OPPOSITE}"
    task = ["--task", "multilingual_translation_guided_alignment", "--lang-pairs", pairs]
    log = train(
        data, tmp_path, *task, "--criterion", GUIDED[3], "--arch", "multilingual_transformer", "--eval-aer",
        "--alignment-files", links, "--encoder-langtok", "tgt", updates=2,
    )  # fmt: skip
    assert {f"valid_{pair}:aer" for pair in (PAIR, OPPOSITE)} < set().union(*log)
    checkpoint = tmp_path / "checkpoint_last.pt"
    state = torch.load(checkpoint, weights_only=True)
    assert {type(pair) for pair in state["cfg"]["task"].lang_pairs} == {str}
    for pair, sides in ((PAIR, (SOURCE, TARGET)), (OPPOSITE, (TARGET, SOURCE))):
        output = tmp_path / "links"
        assert main(["extract", str(checkpoint), "--lang-pair", pair, "--output", str(output)]) == 0
        assert len(output.read_text().splitlines()) == 40
        model = AlignmentModel(str(checkpoint), lang_pair=pair)
        assert (model.options.source_lang, model.options.target_lang) == sides
    with pytest.raises(
        GuidedAlignError, match=f"of the languages whose dictionaries lie in {data}, {TARGET}, {SOURCE}"
    ):
        train(data, tmp_path, *task[:3], "zh-en", "--arch", "multilingual_transformer", updates=1)


def test_ctranslate2_takes_their_models(data: Path, checkpoint: Path, tmp_path: Path) -> None:
    pytest.importorskip("ctranslate2")
    assert main(["ctranslate2", str(checkpoint), str(data), str(tmp_path / "ct2")]) == 0
    assert (tmp_path / "ct2" / "model.bin").exists()


# --- names ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["dict.de.txt", "dict.en.txt", "train.de-en.de.idx"], ["de-en"]),
        (["dict.zh-Hans.txt", "dict.en.txt", "train.zh-Hans-en.en.bin", "sentencepiece.zh-Hans.model"], ["zh-Hans-en"]),
        (["dict.zh-Hans.txt", "dict.en.txt", "test.en-zh-Hans.en"], ["en-zh-Hans"]),
        (["dict.tok.de.txt", "dict.tok.en.txt", "valid.tok.de-tok.en.tok.en.idx"], ["tok.de-tok.en"]),
        (["dict.a.txt", "dict.a-b.txt", "dict.c.txt", "dict.b-c.txt", "train.a-b-c.a-b.idx"], ["a-b-c"]),
        (["dict.de.txt", "dict.en.txt", "dict.fr.txt", "train.de-en.de", "train.fr-en.fr"], ["de-en", "fr-en"]),
        (["dict.zh-Hans.txt"], []),
        ([], []),
    ],
)
def test_pairs_of_a_folder(tmp_path: Path, names: list[str], found: list[str]) -> None:
    for name in names:
        (tmp_path / name).touch()
    pairs = language_pairs(str(tmp_path))
    assert sorted(pairs) == found
    if "dict.a.txt" in names:
        assert [(pair.source, pair.target) for pair in pairs] == [("a-b", "c")]
    if len(found) == 2:
        with pytest.raises(GuidedAlignError, match="one language pair; got that of de-en, fr-en; choose"):
            folder_pair(str(tmp_path))
        assert folder_pair(str(tmp_path), source="fr") == "fr-en"
        assert folder_pair(str(tmp_path), target="fr") == "en-fr"


def test_a_folder_of_dictionaries_alone_has_what_preprocess_wrote_down(tmp_path: Path, data: Path) -> None:
    """As fairseq-interactive needs it."""
    for name in (f"dict.{SOURCE}.txt", f"dict.{TARGET}.txt", "guided_alignment.json"):
        shutil.copy(data / name, tmp_path)
    assert folder_pair(str(tmp_path)) == PAIR


@pytest.mark.parametrize(
    ("text", "languages", "expected"),
    [
        ("zh-Hans-en", {"zh-Hans", "en"}, ("zh-Hans", "en")),
        ("en-zh-Hans-x", {"zh-Hans-x", "en", "x"}, ("en", "zh-Hans-x")),
        ("zh-Hans-en", {"zh", "en"}, "got 'zh-Hans-en'$"),
        ("a-b-c", {"a", "b-c", "a-b", "c"}, "which can be cut in several ways"),
        ("de", {"de"}, "got 'de'"),
        ("de-en", set(), "which has none"),
    ],
)
def test_two_languages_of_a_pair(text: str, languages: set[str], expected: Any) -> None:
    if isinstance(expected, str):
        with pytest.raises(GuidedAlignError, match=expected):
            parse_pair(text, languages, "data-bin", "--lang-pairs")
    else:
        pair = parse_pair(text, languages, "data-bin", "--lang-pairs")
        assert (pair.source, pair.target, pair) == (*expected, text)


def test_fairseqs_code_cuts_a_pair_at_the_right_hyphen() -> None:
    pair = pickle.loads(pickle.dumps(LanguagePair("zh-Hans", "en")))
    assert pair.split("-") == ["zh-Hans", "en"]
    assert pair.reversed.split("-") == ["en", "zh-Hans"]
    assert {pair: 1}["zh-Hans-en"] == 1
    assert pair.split("n") == ["zh-Ha", "s-e", ""]


# --- commas ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("absolute", [False, True])
def test_a_comma_in_the_path_separates_nothing(
    text: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, absolute: bool
) -> None:
    """In the current folder's, in the prefixes' and in the data folder's; against a folder made without."""
    folder = tmp_path / "x,y"
    folder.mkdir()
    for path in text.glob("*.*"):
        shutil.copy(path, folder)
    monkeypatch.chdir(folder)
    begin = f"{folder}/" if absolute else ""
    options = [f"--trainpref={begin}train,{begin}test", f"--validpref={begin}valid,{begin}test"]
    arguments = ["-s", SOURCE, "-t", TARGET, *options, "--subwords", "words", "--destdir", f"{begin}bin,2"]
    assert main(["preprocess", *arguments]) == 0
    made = folder / "bin,2"
    for split in ("train", "valid"):
        for name in (f"{split}.{PAIR}.{SOURCE}.idx", f"{split}.links.{PAIR}"):
            assert (made / name).read_bytes() == (data / name).read_bytes()
    assert (made / f"valid1.{PAIR}.{TARGET}.idx").read_bytes() == (data / f"test.{PAIR}.{TARGET}.idx").read_bytes()
    files = f"--alignment-files=train={folder}/train.align,train1={folder}/test.align"
    assert train(made, tmp_path, files, "--disable-validation", "--no-save", updates=1)
