"""Empty files, empty sides, sentences of one token: readers of text work, or say which file or sentence it is."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import MadeUpData, TrainedModel
from decoding_reference import SlowModels, likeliest, printed
from fairseq_runs import GUIDED, STOCK_TASK, USER_DIR, of_logger, run, train, validate

from fairseq_guided_align.api import load
from fairseq_guided_align.cli.main import main
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.links.pharaoh import read_links

PAIRS = [
    ("", "", ""), ("", "a", ""), ("a", "", ""), ("a", "a", "0-0"), ("a b", "b a", "0-1 1-0"), ("b", "a b", ""),
    ("a b a", "b", "0-0"),
]  # fmt: skip
LINKLESS = [("", "", ""), ("a", "", ""), ("", "b", ""), ("a", "b", "")]
SPLITS = {"train": PAIRS * 3, "valid": PAIRS, "valid1": LINKLESS, "test": PAIRS}
NO_SENTENCE = "expected binarised text; it holds no sentence"


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("empty")
    for split, rows in SPLITS.items():
        for lang, lines in zip(("src", "tgt", "align"), zip(*rows)):
            (folder / f"{split}.{lang}").write_text("".join(line + "\n" for line in lines))
    return folder


@pytest.fixture(scope="module")
def data(text: Path) -> Path:
    options = [f"--trainpref={text}/train", f"--validpref={text}/valid,{text}/valid1", f"--testpref={text}/test"]
    arguments = ["-s", "src", "-t", "tgt", *options, "--subwords", "words", "--destdir", f"{text}/bin"]
    assert main(["preprocess", *arguments]) == 0
    return text / "bin"


@pytest.fixture(scope="module")
def model(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained with a batch for each sentence pair, so that some batches are empty but for ``</s>``."""
    folder = tmp_path_factory.mktemp("model")
    log = train(
        data, folder, "--batch-size", 1, "--eval-aer", "--ignore-unused-valid-subsets", "--no-epoch-checkpoints",
        updates=40,
    )  # fmt: skip
    assert all(np.isfinite(one) for one in of_logger(log, "train_inner", "loss_per_token"))
    return folder / "checkpoint_last.pt"


@pytest.fixture(scope="module")
def expected(model: Path) -> list[list[tuple[int, int]]]:
    slow = SlowModels([model])
    return [
        likeliest(slow.matrix(source.split(), target.split()), "ignore") if source else []
        for source, target, _ in PAIRS
    ]


# --- text without a sentence ----------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["mmap", "raw", "lazy"])
def no_sentences(made_up: MadeUpData, tmp_path_factory: pytest.TempPathFactory, request: Any) -> tuple[Path, str]:
    """A folder of stock fairseq's whose validation and test texts are empty, and its format."""
    folder = tmp_path_factory.mktemp(request.param)
    for suffix in ("src", "tgt"):
        shutil.copy(made_up.text / f"train.{suffix}", folder)
        for split in ("valid", "test"):
            (folder / f"{split}.{suffix}").touch()
    run(
        "preprocess", "--source-lang", "src", "--target-lang", "tgt", "--destdir", folder / "bin", "--trainpref",
        folder / "train", "--validpref", folder / "valid", "--testpref", folder / "test",
        "--dataset-impl", request.param,
    )  # fmt: skip
    return folder / "bin", request.param


def test_it_is_refused_by_name(no_sentences: tuple[Path, str], trained: TrainedModel, tmp_path: Path) -> None:
    """Each format is read in training; what decodes reads as training does."""
    folder, form = no_sentences
    for task in (GUIDED, STOCK_TASK) if form == "mmap" else (GUIDED,):
        with pytest.raises(GuidedAlignError, match=f"{folder}/valid.src-tgt.src: {NO_SENTENCE}"):
            train(
                folder,
                tmp_path,
                *task,
                "--allow-missing-alignments" if task is GUIDED else "--cpu",
                "--dataset-impl",
                form,
            )
    if form != "mmap":
        return
    decoding = ["--user-dir", USER_DIR, *GUIDED[:2], "--path", trained.checkpoint, "--cpu", "--dataset-impl", form]
    for command, split in (("generate", "test"), ("validate", "valid")):
        with pytest.raises(GuidedAlignError, match=f"{folder}/{split}.src-tgt.src: {NO_SENTENCE}"):
            run(command, folder, *decoding, "--batch-size", 8)


@pytest.mark.parametrize("no_sentences", ["mmap"], indirect=True)
def test_commands_refuse_it_by_name(no_sentences: tuple[Path, str], trained: TrainedModel, capsys: Any) -> None:
    folder, _ = no_sentences
    checkpoint = str(trained.checkpoint)
    for command in (
        ["extract", checkpoint],
        ["plot", checkpoint, "--level", "pieces", "--output", "p.png"],
        ["view", "--checkpoint", f"a={checkpoint}", "--output", "p", "--subwords", "words"],
    ):
        assert main([*command, "--data", str(folder)]) == 2
        assert f"{folder}/test.src-tgt.src: {NO_SENTENCE}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("valid.src-tgt.src.idx", f"valid.src-tgt.src: {NO_SENTENCE}"),
        ("valid.src-tgt.tgt.bin", f"valid.src-tgt.tgt: {NO_SENTENCE}"),
        ("dict.tgt.txt", "dict.tgt.txt: expected a dictionary of the binarised text; it holds no token"),
        ("valid.links.src-tgt", "valid.links.src-tgt: expected a binary file of links"),
    ],
)
def test_files_of_no_bytes_in_a_data_folder(data: Path, tmp_path: Path, name: str, says: str) -> None:
    shutil.copytree(data, tmp_path / "bin")
    (tmp_path / "bin" / name).write_bytes(b"")
    with pytest.raises(GuidedAlignError, match=f"{tmp_path}/bin/{says}"):
        train(tmp_path / "bin", tmp_path / "out", "--ignore-unused-valid-subsets", updates=1)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (
            ["check", "--links", "{0}", "--source", "{0}", "--target", "{0}"],
            1,
            "0 sentence pairs without a usable link",
        ),
        (
            ["check", "--links", "{1}", "--source", "{1}", "--target", "{a}"],
            1,
            "1 sentence pairs without a usable link",
        ),
        (["check", "--links", "{l}", "--source", "{1}", "--target", "{a}"], 1, "{l}:1: link 0-0 points outside"),
        (["aer", "{0}", "{0}"], 2, "{0}: expected gold links; got 0 lines without any"),
        (["aer", "{1}", "{l}"], 2, "{1}: expected gold links; got 1 lines without any"),
        (["aer", "{l}", "{0}"], 2, "{l}:1: this line has no partner in {0}"),
        (["align", "--source", "{0}", "--target", "{0}", "-o", "{o}"], 2, "expected sentence pairs to align"),
        (["curves", "{0}", "--out", "{o}.png"], 2, "{0}: expected a log of fairseq-train"),
        (
            ["view", "--source", "{0}", "--target", "{0}", "--links", "a={0}", "--out", "{o}"],
            2,
            "at least one sentence",
        ),
        (["view", "--source", "{1}", "--target", "{a}", "--links", "a={1}", "--out", "{o}"], 0, "1 sentence pairs"),
        (["extract", "{0}"], 2, "{0}: cannot be read as a checkpoint"),
        (["binarize", "{data}", "test={0}"], 2, "{0}: expected 7 lines, one for each sentence pair of the text; got 0"),
        (["binarize", "{data}", "test={0}", "--level", "words"], 2, "{0} has 0, "),
    ],
)
def test_text_commands_say_which_file(
    data: Path, tmp_path: Path, capsys: Any, arguments: list[str], code: int, says: str
) -> None:
    if arguments[0] == "align":
        pytest.importorskip("eflomal")
    names = {"data": data, "o": tmp_path / "output"}
    for name, content in (("0", ""), ("1", "\n"), ("a", "a\n"), ("l", "0-0\n")):
        names[name] = tmp_path / f"file{name}"
        names[name].write_text(content)
    # A number in braces is a position for str.format.
    files = (names.pop("0"), names.pop("1"))
    assert main([argument.format(*files, **names) for argument in arguments]) == code
    output = capsys.readouterr()
    assert says.format(*files, **names) in output.out + output.err
    assert (tmp_path / "output").exists() == (code == 0 and arguments[0] == "view")


# --- sentences without tokens ---------------------------------------------------------------------------------


def test_links_of_empty_sides_are_none_and_the_others_right(
    text: Path, data: Path, model: Path, expected: list[list[tuple[int, int]]], tmp_path: Path, capsys: Any
) -> None:
    """By every reader, against a slow loop over each pair by itself."""
    assert expected[:3] == [[]] * 3 != expected[3:6]
    output = tmp_path / "links"
    files = ["--source", str(text / "test.src"), "--target", str(text / "test.tgt")]
    for given in ([], files):
        for method in ("argmax", "mutual-argmax"):
            assert main(["extract", str(model), *given, "--method", method, "--output", str(output)]) == 0
            found = [sorted(links.pairs()) for links in read_links(output)]
            assert [set(one) <= set(other) for one, other in zip(found, expected)] == [True] * len(PAIRS)
            assert method != "argmax" or found == [sorted(one) for one in expected]
    assert main(["extract", str(model), "--method", "soft", "--output", str(output)]) == 0
    rows = [line.split() for line in output.read_text().split("\n")[:-1]]
    assert [[len(row.split(",")) for row in pair] for pair in rows] == [
        [len(source.split()) + 1] * len(target.split()) for source, target, _ in PAIRS
    ]
    capsys.readouterr()
    decoding = ["--user-dir", USER_DIR, *GUIDED[:2], "--path", model, "--cpu", "--num-workers", 0, "--max-len-b", 5]
    for options in (["--batch-size", 1], ["--batch-size", 16]):
        run("generate", data, *decoding, *options, "--print-alignment", "hard", "--score-reference")
        scored = sorted(printed(capsys.readouterr().out), key=lambda one: one.number)
        assert [one.pairs() for one in scored] == expected
        # The prefix of an empty reference is none, and fairseq searches for ever after it.
        run("generate", data, *decoding, *options, "--print-alignment", "soft", "--prefix-size", 1)
        assert len(capsys.readouterr().out.split("\nA-")) == len(PAIRS) + 1
    python = load(str(model), device="cpu")
    links = python.align([source for source, _, _ in PAIRS], [target for _, target, _ in PAIRS])
    assert [sorted(one.pairs()) for one in links] == [sorted(one) for one in expected]
    for source, translations in zip(PAIRS, python.translate([source for source, _, _ in PAIRS], beam=2, nbest=2)):
        for one in translations:
            assert one.attention.shape == (len(one.pieces), len(source[0].split()) + 1)
    assert python.align([], []) == python.translate([]) == python.score([], []) == []


def test_an_empty_line_is_translated_interactively(data: Path, model: Path, capsys: Any, monkeypatch: Any) -> None:
    for form in ("hard", "soft"):
        monkeypatch.setattr("sys.stdin", io.StringIO("\na\n"))
        run(
            "interactive", data, "--user-dir", USER_DIR, *GUIDED[:2], "--path", model, "--cpu", "--max-len-b", 5,
            "--print-alignment", form,
        )  # fmt: skip
        lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("A-")]
        assert [line.split("\t")[1] == "" for line in lines] == [True, False]


def test_pictures_name_the_sentence_that_has_none(
    data: Path, model: Path, tmp_path: Path, capsys: Any, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    for level in ("words", "pieces"):
        options = ["--level", level, "--out", "p.png"]
        assert main(["plot", str(model), *options, "--sentences", "4,1,2"]) == 2
        assert "sentence 1 of 'test': its target is empty" in capsys.readouterr().err
        assert list(tmp_path.iterdir()) == []
        # An empty source has the column of </s>.
        assert main(["plot", str(model), *options, "--sentences", "2,4"]) == 0
        for path in tmp_path.iterdir():
            path.unlink()
    assert main(["view", "--checkpoint", f"a={model}", "--out", "page.html"]) == 0
    assert "7 sentence pairs" in capsys.readouterr().out
    pytest.importorskip("tensorboardX")
    pictures = ["--tensorboard-logdir", tmp_path / "tb", "--ignore-unused-valid-subsets", "--attention-images"]
    with pytest.raises(GuidedAlignError, match="--attention-images: sentence 3 of 'valid' has an empty target"):
        train(data, tmp_path / "out", *pictures, "2,3", updates=1)


def test_no_aer_of_a_set_without_a_link(data: Path, model: Path, tmp_path: Path) -> None:
    """It would be 0, the best there is."""
    with pytest.raises(GuidedAlignError, match="--eval-aer: 'valid1' has no alignments"):
        train(data, tmp_path, "--valid-subset", "valid,valid1", "--eval-aer", "--allow-missing-alignments", updates=1)
    with pytest.raises(GuidedAlignError, match="--eval-aer: 'valid1' has no alignments"):
        validate(data, model, "--valid-subset", "valid1", "--eval-aer", "--allow-missing-alignments")
    log = train(data, tmp_path, "--valid-subset", "valid,valid1", "--allow-missing-alignments", updates=1)
    assert [float(one["valid1_alignment_loss"]) for one in of_logger(log, "valid1")] == [0.0]


@pytest.mark.parametrize("pairs", [[], ["src-tgt", "tgt-src"]])
def test_a_split_that_is_too_long_as_a_whole(made_up: MadeUpData, tmp_path: Path, pairs: list[str]) -> None:
    """fairseq measures nothing and stops at the missing figure after the first epoch."""
    options: list[object] = ["--max-source-positions", 2, "--max-target-positions", 2]
    if pairs:
        options += ["--task", "multilingual_translation_guided_alignment", "--lang-pairs", ",".join(pairs),
                    "--criterion", GUIDED[3], "--arch", "multilingual_transformer"]  # fmt: skip
    which = f" of {pairs[0]}" if pairs else ""
    with pytest.raises(GuidedAlignError, match=f"no sentence pair{which} is left of 400: all are too long"):
        train(made_up.binarised, tmp_path, *options, "--skip-invalid-size-inputs-valid-test", updates=1)


def test_ctranslate2_translates_the_others_of_a_batch(data: Path, model: Path, tmp_path: Path) -> None:
    """``same`` has a case of its own in ``translate``; what was guided is the fixture's default."""
    ctranslate2 = pytest.importorskip("ctranslate2")
    from fairseq_guided_align.aligning.ctranslate2_models import guided_of, translate

    folder = str(tmp_path / "ct2")
    assert main(["ctranslate2", str(model), str(data), folder]) == 0
    translator = ctranslate2.Translator(folder, device="cpu", inter_threads=1, intra_threads=1)
    sentences = [["a"], [], ["a", "b"], []]
    for options in ({}, {"beam_size": 1}, {"num_hypotheses": 2}, {"method": "threshold", "threshold": 0.1}):
        found = translate(translator, guided_of(folder), sentences, **options)  # type: ignore[arg-type]
        others = translate(translator, guided_of(folder), [sentences[0], sentences[2]], **options)  # type: ignore[arg-type]
        for one, other in zip([found[0], found[2]], others):
            assert [(a.pieces, a.links.pairs()) for a in one] == [(b.pieces, b.links.pairs()) for b in other]
            assert one[0].pieces
        for empty in (found[1], found[3]):
            assert [(one.pieces, one.links.pairs(), one.attention.shape) for one in empty] == [
                ([], [], (0, 1))
            ] * options.get("num_hypotheses", 1)
    assert translate(translator, guided_of(folder), []) == []
    assert translate(translator, guided_of(folder), [[]])[0][0].pieces == []


def test_empty_files_are_pointed_out(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The output is empty as the files are, and it is said."""
    empty = tmp_path / "empty"
    empty.write_text("")
    told = f"warning: {empty}: has no sentence pair, so that nothing is written: is it the right text?"
    sides = [f"--{side}-{what}={empty}" for side in ("source", "target") for what in ("words", "pieces")]
    assert main(["project", f"--links={empty}", *sides, "--subwords=words", f"--output={tmp_path / 'a'}"]) == 0
    assert told in capsys.readouterr().err
    text = [f"--source={empty}", f"--target={empty}"]
    assert main(["extract", str(model), *text, "--device=cpu", f"--output={tmp_path / 'b'}"]) == 0
    assert told in capsys.readouterr().err
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() == b""


def test_a_side_of_empty_lines_is_pointed_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, line in {"train.s": "a b", "train.t": "c", "valid.s": "a", "valid.t": ""}.items():
        (tmp_path / name).write_text(f"{line}\n" * 3)
    for split in ("train", "valid"):
        (tmp_path / f"{split}.align").write_text("\n" * 3 if split == "valid" else "0-0\n" * 3)
    files = [f"--trainpref={tmp_path / 'train'}", f"--validpref={tmp_path / 'valid'}", f"--destdir={tmp_path / 'data'}"]
    assert main(["preprocess", "-s", "s", "-t", "t", *files, "--subwords=words"]) == 0
    said = [line for line in capsys.readouterr().err.splitlines() if "every line is empty" in line]
    assert [line.partition(":")[2].strip().partition(":")[0] for line in said] == ["valid.t"]
