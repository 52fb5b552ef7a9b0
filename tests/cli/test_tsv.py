"""Corpora in one file, columns with tabs between them: the same as files of their own, from files and pipes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from compressed import COMPRESS
from conftest import MadeUpData
from fairseq_runs import forked_preprocess
from streams import standard_input

from fairseq_guided_align.cli.main import main
from fairseq_guided_align.links.link import CorpusLinks
from fairseq_guided_align.links.pharaoh import read_links
from fairseq_guided_align.scores.metrics import AlignmentCounts, count_corpus

SUFFIXES = ("src", "tgt", "align")


def lines(text: Path, split: str) -> list[list[str]]:
    return [(text / f"{split}.{suffix}").read_text().splitlines() for suffix in SUFFIXES]


def tsv(path: Path, columns: list[list[str]], end: str = "\n") -> Path:
    path.write_bytes("".join("\t".join(row) + end for row in zip(*columns)).encode())
    return path


def aer(predicted: CorpusLinks, gold: CorpusLinks) -> float:
    return AlignmentCounts.from_array(count_corpus(predicted, gold).sum(axis=0)).aer


def test_check(made_up: MadeUpData, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def report(*arguments: str) -> dict[str, object]:
        assert main(["check", *arguments, "--json"]) == 0
        (found,) = json.loads(capsys.readouterr().out)
        return {key: value for key, value in found.items() if key not in ("file", "lines")}

    files = [f"{made_up.text}/test.{suffix}" for suffix in SUFFIXES]
    expected = report(f"--source={files[0]}", f"--target={files[1]}", f"--links={files[2]}")
    source, target, links = lines(made_up.text, "test")
    plain = tsv(tmp_path / "plain.tsv", [source, target, links])
    other = tsv(tmp_path / "other.tsv", [["0.9"] * 40, links, target, ["\u00a0a"] * 40, [""] * 40, source], "\r\n")
    assert report(f"--tsv={plain}", "--columns=1,2,3") == expected
    assert report(f"--tsv={plain}", f"--links={files[2]}") == expected
    assert report(f"--tsv={other}", "--columns=6,3,2") == expected
    with standard_input(COMPRESS["zstd"](other.read_bytes())):
        assert report("--tsv=-", "--columns=6,3,2") == expected


def test_preprocess(made_up: MadeUpData, tmp_path: Path) -> None:
    """The files of the folder are those that files of their own give, byte for byte; each TSV compressed otherwise."""
    common = ["preprocess", "-s", "src", "-t", "tgt", "--subwords=words", f"--validpref={made_up.text / 'valid'}"]
    test, train = f"{made_up.text}/test", f"{made_up.text}/train"
    packed = {}
    for split, kind in (("test", "xz"), ("train", "zstd")):
        packed[split] = tsv(tmp_path / split, lines(made_up.text, split))
        packed[split].write_bytes(COMPRESS[kind](packed[split].read_bytes()))
    with forked_preprocess():
        more = [f"--validpref={made_up.text}/valid,{test}", f"--trainpref={train}", f"--testpref={test}"]
        assert main([*common, *more, f"--destdir={tmp_path / 'files'}"]) == 0
        with standard_input(packed["train"].read_bytes()):
            more = ["--tsv", "train=-", f"test={packed['test']}", "--tsv", f"valid={packed['test']}", "--columns=1,2,3"]
            assert main([*common, *more, "--workers=2", f"--destdir={tmp_path / 'tsv'}"]) == 0
    names = sorted(path.relative_to(tmp_path / "files") for path in (tmp_path / "files").rglob("*.*"))
    assert len(names) > 20
    assert sorted(path.relative_to(tmp_path / "tsv") for path in (tmp_path / "tsv").rglob("*.*")) == names
    for name in names:
        if name.suffix != ".log":
            assert (tmp_path / "tsv" / name).read_bytes() == (tmp_path / "files" / name).read_bytes(), name


def test_align(made_up: MadeUpData, tmp_path: Path) -> None:
    pytest.importorskip("eflomal")
    source, target, links = lines(made_up.text, "train")
    path, output = tsv(tmp_path / "corpus.tsv", [target, links, source]), tmp_path / "links"
    gold = read_links(made_up.text / "train.align")
    with standard_input(path.read_bytes()):
        assert main(["align", "--tsv=-", "--columns=3,1", f"--output={output}"]) == 0
    assert aer(read_links(output), gold) < 0.4
    assert main(["align", f"--tsv={path}", "--columns=1,3", f"--output={output}"]) == 0
    assert aer(read_links(output).inverted(), gold) < 0.4


def test_a_row_that_is_too_short(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "short.tsv"
    path.write_text("a b\tx y\t0-0\n" * 2 + "a b\tx y\n" + "a\tx\t0-0\n")
    preprocess = ["preprocess", "-s", "a", "-t", "b", "--subwords=words", f"--destdir={tmp_path / 'bin'}", "--tsv"]
    for command in (["check", f"--tsv={path}"], [*preprocess, f"train={path}"]):
        assert main([*command, "--columns=1,2,3"]) == 2
        assert f"{path}:3: expected 3 columns, with tabs between them; got 2; mend" in capsys.readouterr().err
    assert main(["align", f"--tsv={path}", "--columns=1,3", f"--output={tmp_path / 'out'}"]) == 2
    assert f"{path}:3: expected 3 columns" in capsys.readouterr().err
    path.write_text("a\tb\n\na\tb\n")
    assert main(["align", f"--tsv={path}", f"--output={tmp_path / 'out'}"]) == 2
    assert f"{path}:2: expected 2 columns, with tabs between them; got 1; mend" in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == [path]


def test_messages_name_the_tsv_and_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bad.tsv"
    path.write_bytes(b"a b\tx\t0-0\na b\tx\t0-0 2-0\na\xff\tx\t0-0\n")
    assert main(["check", f"--tsv={path}", "--columns=1,2,3"]) == 1
    said = capsys.readouterr().out
    assert said.startswith(f"{path}:\n")
    assert f"{path}:2: link 2-0 points outside" in said
    assert f"{path}:3: expected UTF-8 text; got byte 0xff at byte 2" in said
    assert "tsv-" not in said
    for workers in ("1", "2"):
        command = ["preprocess", "-s", "a", "-t", "b", "--subwords=words", f"--destdir={tmp_path / 'bin'}"]
        assert main([*command, "--tsv", f"train={path}", "--columns=1,2,3", f"--workers={workers}"]) == 2
        assert f"{path}:3: expected UTF-8 text" in capsys.readouterr().err


def test_options_that_do_not_go_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "corpus.tsv"
    path.write_text("a\tb\t0-0\n")
    tsv, align, check = f"--tsv={path}", ["align", f"--output={tmp_path / 'o'}"], ["check"]
    preprocess = ["preprocess", "-s", "a", "-t", "b", f"--destdir={tmp_path / 'bin'}"]
    for command, message in (
        ([*align, tsv, "--source=x"], "--tsv: holds source and target; leave"),
        ([*align, "--source=x"], "expected --source and --target, or --tsv"),
        ([*align, "--source=x", "--target=y", "--columns=1,2"], "expected --source and --target, or --tsv"),
        ([*align, tsv, "--columns=1,2,3"], "--columns: expected SOURCE,TARGET; no links are read; got 3 columns"),
        ([*check, tsv], "--tsv: expected links from one place"),
        ([*check, tsv, "--columns=1,2,3", "--links=x"], "--tsv: expected links from one place"),
        ([*check, tsv, "--columns=1,2,3", "x"], "--tsv: holds source and target; leave"),
        ([*check, "x", "-s", "a", "-t", "b", "--columns=1,2"], "--columns goes with --tsv"),
        ([*preprocess, "--trainpref=x", "--columns=1,2"], "--columns goes with --tsv"),
        ([*preprocess, "--tsv", f"train={path}"], f"{path}: expected a column of links; got two columns; name it"),
        ([*preprocess, "--tsv", f"training={path}"], "--tsv: expected SPLIT=FILE, SPLIT one of train, valid, test"),
        ([*preprocess, "--tsv", f"train={path}", "--source-words-suffix=w"], "of files that prefixes name, not --tsv"),
    ):  # fmt: skip
        assert main(command) == 2, command
        assert message in capsys.readouterr().err, command
    for columns in ("1", "0,1", "1,2,3,4", "a,b"):
        with pytest.raises(SystemExit):
            main([*align, tsv, f"--columns={columns}"])
        assert "expected SOURCE,TARGET or SOURCE,TARGET,LINKS, columns that count from 1" in capsys.readouterr().err
