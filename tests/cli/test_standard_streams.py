"""Standard input and output in place of files, and outputs in encodings that lack some characters."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import MadeUpData, TrainedModel
from streams import parser_of, standard_input

from fairseq_guided_align.cli import argument_types
from fairseq_guided_align.cli.main import COMMANDS, main
from fairseq_guided_align.links.pharaoh import read_links

COMMAND = [sys.executable, "-m", "fairseq_guided_align.cli.main"]

NO_TEXT = {
    "--source-sentencepiece-model", "--target-sentencepiece-model", "--srcdict", "--tgtdict", "--checkpoint",
    "--reverse-checkpoint", "--reverse-data", "--data",
}  # fmt: skip
"""Options of files that no stream can be: models, dictionaries, folders."""
PICTURES = {("plot", "--output"), ("curves", "--output")}
"""Whose names say the format."""


def test_every_file_says_what_a_dash_means() -> None:
    """An option that names a file of text and would take ``-`` for a name is found here."""
    for command, action in ((name, action) for name in COMMANDS for action in parser_of(name)._actions):
        name = (action.option_strings or [action.dest])[0]
        names_file = isinstance(action.metavar, str) and any(
            word in action.metavar for word in ("FILE", "LOG", "GOLD", "HYP")
        )
        if (command, name) == ("average", "--output"):
            assert action.type is argument_types.checkpoint_to_write
        elif names_file and name not in NO_TEXT and (command, name) not in PICTURES:
            assert action.type in argument_types.TEXT_TYPES, f"{command} {name}"
        if name in ("--destdir", "output"):
            assert action.type is argument_types.folder_to_write


def test_check(made_up: MadeUpData, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {name: made_up.text / f"test.{name}" for name in ("align", "src", "tgt")}
    named = dict(zip(("links", "source", "target"), files.values()))

    def report(**changed: object) -> dict[str, object]:
        arguments = [f"--{name}={path}" for name, path in {**named, **changed}.items()]
        assert main(["check", *arguments, "--json"]) == 0
        (found,) = json.loads(capsys.readouterr().out)
        return {key: value for key, value in found.items() if key not in ("file", "lines")}

    expected = report()
    for streamed, path in named.items():
        for redirected in (None, tmp_path / "given"):
            with standard_input(path.read_bytes(), redirected):
                assert report(**{streamed: "-"}) == expected


def test_check_of_a_stream_with_another_number_of_lines(
    made_up: MadeUpData, capsys: pytest.CaptureFixture[str]
) -> None:
    text = [f"--source={made_up.text / 'test.src'}", f"--target={made_up.text / 'test.tgt'}"]
    with standard_input(b"0-0\n"):
        assert main(["check", "--links=-", *text]) == 1
    assert "error: expected files with the same number of lines" in capsys.readouterr().out


def test_project(made_up: MadeUpData, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """From standard input to standard output, also with processes that have a standard input of their own."""
    text = [
        f"--{side}-{units}={made_up.text / f'train.{language}'}"
        for side, language in (("source", "src"), ("target", "tgt")) for units in ("words", "pieces")
    ]  # fmt: skip
    command = ["project", *text, "--subwords=words"]
    assert main([*command, f"--links={made_up.text / 'train.align'}", f"--output={tmp_path / 'links'}"]) == 0
    expected = (tmp_path / "links").read_bytes()
    assert expected.count(b"\n") == 400
    links = (made_up.text / "train.align").read_bytes()
    capfdbinary.readouterr()
    for workers, redirected, output in ((1, None, []), (1, tmp_path / "given", ["--output=-"]), (2, None, []),
                                        (2, tmp_path / "given", [])):  # fmt: skip
        with standard_input(links, redirected):
            assert main([*command, "--links=-", f"--workers={workers}", *output]) == 0
        assert capfdbinary.readouterr().out == expected


def test_aer(made_up: MadeUpData, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gold = made_up.text / "test.align"
    for files in (["-", str(gold)], [str(gold), "-"], [f"{gold},-", f"{gold},{gold}"]):
        with standard_input(gold.read_bytes()):
            assert main(["aer", *files, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["systems"][0]["aer"] == 0
    for redirected in (None, tmp_path / "given"):
        with standard_input(gzip.compress(gold.read_bytes()), redirected):
            assert main(["aer", str(gold), "-", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["systems"][0]["aer"] == 0
    with standard_input(b"0-0\n"):
        assert main(["aer", str(gold), "-"]) == 2
    error = capsys.readouterr().err
    assert "expected files with the same number of lines" in error
    assert "/dev/stdin is a pipe" in error


def test_naacl_in_a_stream_is_recognised(
    made_up: MadeUpData, trained: TrainedModel, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """Every command whose links may come from a stream reads NAACL word alignments there as it reads their file."""
    pharaoh, naacl, picture = made_up.text / "test.align", tmp_path / "naacl", tmp_path / "a.png"
    checkpoint = shutil.copy(trained.checkpoint, tmp_path / "copy.pt")
    data = shutil.copytree(made_up.binarised, tmp_path / "data")
    written = {"plot": picture, "binarize": data / "test.links.src-tgt"}
    links = [
        f"{number:04d} {int(source) + 1} {int(target) + 1} S"
        for number, line in enumerate(pharaoh.read_text().splitlines(), start=1)
        for source, target in (link.split("-") for link in line.split())
    ]  # fmt: skip
    # Pairs without links at the end, of which the form says nothing.
    naacl.write_text("".join(line + "\n" for line in links if int(line[:4]) < 39))
    source, target = (f"{made_up.text / 'test'}.{lang}" for lang in ("src", "tgt"))
    model = ["--subwords=words", "--device=cpu"]
    commands: dict[str, list[str]] = {
        "gold": ["aer", "LINKS", str(pharaoh)],
        "gold and text": ["aer", "LINKS", str(pharaoh), "--source", source, "--target", target],
        "system": ["aer", str(pharaoh), "LINKS"],
        "both": ["aer", str(naacl), "LINKS"],
        "check": ["check", "--links=LINKS", f"--source={source}", f"--target={target}"],
        "project": [
            "project", "--links=LINKS", "--source-words", source, "--source-pieces", source, "--target-words", target,
            "--target-pieces", target, "--subwords=words", "--workers=2",
        ],
        "view": ["view", f"--source={source}", f"--target={target}", "--links=one=LINKS", "--out=-"],
        "gold of view": ["view", f"--source={source}", f"--target={target}", f"--links=one={pharaoh}", "--out=-",
                         "--gold=LINKS"],
        "view of a model": ["view", "--checkpoint", f"one={trained.checkpoint}", *model, "--gold=LINKS", "--out=-"],
        "plot": ["plot", str(trained.checkpoint), *model, "--gold=LINKS", "--sentences=3", f"--out={picture}"],
        "tags": ["tags", f"--source={source}", f"--target={target}", "--links=LINKS"],
        "binarize": ["binarize", str(data), "test=LINKS", "-s", "src", "-t", "tgt"],
        "tune": ["extract", str(checkpoint), *model, "--tune=LINKS"],
    }  # fmt: skip
    for name, command in commands.items():
        printed = []
        for file in (str(naacl), "-"):
            capfdbinary.readouterr()
            with standard_input(naacl.read_bytes()):
                assert main([argument.replace("LINKS", file) for argument in command]) == 0, name
            out = written[name].read_bytes() if name in written else capfdbinary.readouterr().out
            printed.append(out.replace(str(naacl).encode(), b"-").replace(b"/dev/stdin", b"-"))
        assert printed[0].split() == printed[1].split() != [], name


def test_aer_of_naacl_and_a_stream_of_pharaoh_text(
    made_up: MadeUpData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only the stream says how many pairs there are."""
    (tmp_path / "naacl").write_text("0001 1 1 S\n")
    with standard_input((made_up.text / "test.align").read_bytes()):
        assert main(["aer", str(tmp_path / "naacl"), "-", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["pairs_left_out"] == 39


def test_binarize(made_up: MadeUpData, tmp_path: Path) -> None:
    data = shutil.copytree(made_up.binarised, tmp_path / "data")
    links = (made_up.text / "test.align").read_bytes()
    written = []
    for workers in ("1", "2"):
        for file in (str(made_up.text / "test.align"), "-"):
            with standard_input(links, tmp_path / "given"):
                command = ["binarize", str(data), f"test={file}", "-s", "src", "-t", "tgt", "--workers", workers]
                assert main(command) == 0
            written.append((data / "test.links.src-tgt").read_bytes())
    assert set(written) == {written[0]}


def test_view(made_up: MadeUpData, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """A page on standard output is the page alone."""
    gold = str(made_up.text / "test.align")
    command = ["view", f"--source={made_up.text / 'test.src'}", "--gold", gold, f"--links=one={gold}"]
    assert main([*command, f"--target={made_up.text / 'test.tgt'}", "--out", str(tmp_path / "page.html")]) == 0
    capfdbinary.readouterr()
    with standard_input((made_up.text / "test.tgt").read_bytes()):
        assert main([*command, "--target=-", "--out", "-"]) == 0
    captured = capfdbinary.readouterr()
    assert captured.out == (tmp_path / "page.html").read_bytes()
    assert b"wrote /dev/stdout: 40 sentence pairs" in captured.err


def test_extract(
    made_up: MadeUpData, trained: TrainedModel, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    command = ["extract", str(trained.checkpoint), f"--source={made_up.text / 'test.src'}", "--device=cpu"]
    assert main([*command, f"--target={made_up.text / 'test.tgt'}", "--output", str(tmp_path / "links")]) == 0
    for output in ([], ["--output", "-"]):
        capfdbinary.readouterr()
        with standard_input((made_up.text / "test.tgt").read_bytes()):
            assert main([*command, "--target=-", *output]) == 0
        assert capfdbinary.readouterr().out == (tmp_path / "links").read_bytes()
    assert main([*command, "--target=-", "--reverse-checkpoint", "no.pt", "--method", "mutual-argmax"]) == 2
    assert b"can be read more than once; got a pipe" in capfdbinary.readouterr().err


def test_plot(made_up: MadeUpData, trained: TrainedModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["plot", str(trained.checkpoint), "--subwords=words", "--device=cpu"]
    pictures = []
    for gold in (str(made_up.text / "test.align"), "-"):
        out = tmp_path / f"{len(pictures)}.png"
        with standard_input((made_up.text / "test.align").read_bytes()):
            assert main([*command, "--gold", gold, "--out", str(out)]) == 0
        pictures.append(out.read_bytes())
    assert pictures[0] == pictures[1]
    assert main([*command, "--out", "-"]) == 2
    assert "-: expected a file name that ends in .png, .svg, .pdf" in capsys.readouterr().err


def test_curves(tmp_path: Path) -> None:
    log = "".join(
        f"train_inner | epoch 001: {n} / 9 loss_per_token={9 - n}, num_updates={n}\n" for n in range(1, 9)
    ).encode()
    (tmp_path / "log").write_bytes(log)
    with standard_input(log):
        assert main(["curves", f"one={tmp_path / 'log'}", "two=-", "--out", str(tmp_path / "curves.png")]) == 0


def test_align(made_up: MadeUpData, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    pytest.importorskip("eflomal")
    command = ["align", f"--source={made_up.text / 'test.src'}", "--target=-"]
    with standard_input((made_up.text / "test.tgt").read_bytes()):
        assert main([*command, "--output=-", f"--forward-output={tmp_path / 'forward'}"]) == 0
    (tmp_path / "links").write_bytes(capfdbinary.readouterr().out)
    assert len(read_links(tmp_path / "links")) == len(read_links(tmp_path / "forward")) == 40
    with standard_input(b"one line\n"):
        assert main([*command, "--output=-"]) == 2
    captured = capfdbinary.readouterr()
    assert captured.out == b""
    assert b"expected as many lines of source as of target; got 40 and 1" in captured.err


def test_a_stream_is_one_file(made_up: MadeUpData, capsys: pytest.CaptureFixture[str]) -> None:
    gold = str(made_up.text / "test.align")
    for command, stream in (
        (["aer", "-", "-"], "input"),
        (["aer", "-", gold, f"{gold},-"], "input"),
        (["view", "--source=-", "--target=x", "--links=one=-", "--out=x"], "input"),
        (["align", "--source=x", "--target=y", "--output=-", "--reverse-output=-"], "output"),
    ):
        assert main(command) == 2
        assert f"expected standard {stream} in place of one file; got - 2 times" in capsys.readouterr().err


def test_closed_streams_are_named(made_up: MadeUpData) -> None:
    """The number of a closed one goes to the next file that is opened."""
    gold = str(made_up.text / "test.align")
    for command, closed, message in (
        (["aer", gold, "-"], "<&-", "/dev/stdin: cannot be read: standard input is closed"),
        (["user-dir"], ">&-", "/dev/stdout: cannot be written: standard output is closed"),
    ):
        line = ["bash", "-c", f'exec "$@" {closed}', "-", *COMMAND, *command]
        done = subprocess.run(line, stderr=subprocess.PIPE, text=True, check=False)
        assert (done.returncode, message in done.stderr, "Traceback" in done.stderr) == (2, True, False)


def test_a_folder_is_no_stream(capsys: pytest.CaptureFixture[str]) -> None:
    for command in (
        ["preprocess", "-s", "a", "-t", "b", "--trainpref", "x", "--destdir", "-"],
        ["ctranslate2", "x", "y", "-"],
    ):
        with pytest.raises(SystemExit):
            main(command)
        assert "expected a folder; - is standard output" in capsys.readouterr().err


# --- characters that the output's encoding lacks -------------------------------------------------------------------


def printed(encoding: str, errors: str, *arguments: object) -> tuple[int, str]:
    """Exit code of a command, and what it prints on a standard output of this encoding."""
    kept = sys.stdout
    sys.stdout = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors=errors, write_through=True)
    try:
        code = main([str(argument) for argument in arguments])
        return code, sys.stdout.buffer.getvalue().decode(encoding, "surrogateescape")  # type: ignore[attr-defined]
    except SystemExit as left:
        return int(left.code or 0), sys.stdout.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]
    finally:
        sys.stdout = kept


@pytest.mark.parametrize(("encoding", "errors"), [("ascii", "strict"), ("utf-8", "surrogateescape")])
def test_every_command_says_everything_in_any_encoding(
    made_up: MadeUpData, trained: TrainedModel, tmp_path: Path, encoding: str, errors: str
) -> None:
    """A name in Greek, with a character beyond 16 bits and a byte that is no UTF-8."""
    name = "λέξη😀\udcff"
    told = name.encode(encoding, "backslashreplace").decode(encoding)
    files = {}
    for suffix in ("src", "tgt", "align"):
        files[suffix] = tmp_path / f"{name}.{suffix}"
        shutil.copy(made_up.text / f"test.{suffix}", files[suffix])
    log = tmp_path / f"{name}.log"
    log.write_text("train_inner | epoch 001: 1 / 9 ppl=2, num_updates=1\n", encoding="utf-8")

    code, said = printed(encoding, errors, "check", tmp_path / name, "-s", "src", "-t", "tgt")
    assert (code, f"{told}.align:" in said) == (0, True)
    code, said = printed(encoding, errors, "check", tmp_path / name, "-s", "src", "-t", "tgt", "--json")
    assert json.loads(said)[0]["file"] == str(files["align"])
    code, said = printed(encoding, errors, "aer", files["align"], files["align"])
    assert (code, f"{told}.align" in said) == (0, True)
    code, said = printed(encoding, errors, "aer", files["align"], files["align"], "--json")
    assert json.loads(said)["systems"][0]["name"] == str(files["align"])
    page = tmp_path / f"{name}.html"
    text = ["--source", files["src"], "--target", files["tgt"]]
    code, said = printed(encoding, errors, "view", *text, "--links", f"λ={files['align']}", "--out", page)
    assert (code, f"{told}.html: 40 sentence pairs" in said, page.stat().st_size > 1000) == (0, True, True)
    code, said = printed(encoding, errors, "curves", log, "--metric", "ppl", "--out", tmp_path / f"{name}.png")
    assert (code, f"{told}.log" in said, f"{told}.png" in said) == (0, True, True)
    code, said = printed(
        encoding, errors, "plot", trained.checkpoint, "--subwords", "words", "--out", tmp_path / f"{name}.svg",
        "--device", "cpu",
    )  # fmt: skip
    assert (code, f"wrote {tmp_path}/{told}.svg" in said) == (0, True)


def test_help_of_every_command_in_ascii() -> None:
    for command in COMMANDS:
        code, said = printed("ascii", "strict", command, "--help")
        assert code == 0
        assert said.startswith(f"usage: fairseq-guided-align {command} ")
        no_text = command in ("user-dir", "ctranslate2", "average", "demo")
        assert ("- as a file of text is standard input or output." in said) is not no_text, command


def test_another_way_of_handling_them_stays() -> None:
    code, said = printed("ascii", "replace", "project", "--help")
    assert (code, "?" in said, "\\u2581" in said) == (0, True, False)


def test_user_dir_is_the_folders_own_bytes(made_up: MadeUpData, tmp_path: Path) -> None:
    """Where the package lies in a folder with a Greek name, and the output's encoding has no Greek; through pipes."""
    package = Path(argument_types.__file__).resolve().parents[1]
    (tmp_path / "λ é").mkdir()
    shutil.copytree(package, tmp_path / "λ é" / package.name, ignore=shutil.ignore_patterns("__pycache__"))
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "λ é"), "PYTHONIOENCODING": "latin-1"}
    done = subprocess.run([*COMMAND, "user-dir"], cwd=tmp_path, env=environment, capture_output=True, check=True)
    assert done.stdout == os.fsencode(tmp_path / "λ é" / package.name) + b"\n"
    project = [*COMMAND, "project", "--subwords", "words", "--links", "-"]
    text = [
        str(word)
        for side, language in (("source", "src"), ("target", "tgt")) for units in ("words", "pieces")
        for word in (f"--{side}-{units}", made_up.text / f"test.{language}")
    ]  # fmt: skip
    links = (made_up.text / "test.align").read_bytes()
    done = subprocess.run(
        [*project, *text], cwd=tmp_path, env=environment, input=links, capture_output=True, check=True
    )
    assert {tuple(sorted(line.split())) for line in done.stdout.splitlines()} == {
        tuple(sorted(line.split())) for line in links.splitlines()
    }
