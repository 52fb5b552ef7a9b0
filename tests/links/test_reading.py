"""Links in other forms than Pharaoh text: NAACL word alignments are read by every command, GIZA++'s A3 is refused."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fairseq_guided_align.cli.main import main
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.files.byte_lines import PathLike, count_lines, read_lines
from fairseq_guided_align.links import reading
from fairseq_guided_align.links.forms import FORM_NAMES, LinkForm
from fairseq_guided_align.links.link import CorpusLinks, SentenceLinks
from fairseq_guided_align.links.reading import read_link_file
from fairseq_guided_align.links.store import LinkStore, links_path

TEXT = ["a b c", "d e", "f", "g h i j", "k"]
PHARAOH = ["0-0 2?1", "", "0-0:0.5", "3-0 0-3", ""]
NAACL = "0001 1 1 S\n0001 3 2 P\n3 1 1 S 0.5\n0004\t4\t1\n4 1 4 s\n\n"
"""The same links: no line of pairs 2 and 5."""


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    for lang in "st":
        (tmp_path / f"train.{lang}").write_text("".join(line + "\n" for line in TEXT))
    (tmp_path / "train.align").write_text("".join(line + "\n" for line in PHARAOH))
    (tmp_path / "train.naacl").write_text(NAACL)
    return tmp_path


@pytest.mark.parametrize("form", ["plain", "gzip", "windows", "begins-empty", "one-based"])
def test_naacl_says_the_same_links(form: str, corpus: Path) -> None:
    path = corpus / "train.naacl"
    if form == "gzip":
        path.write_bytes(gzip.compress(NAACL.encode()))
    elif form == "windows":
        path.write_bytes(b"\xef\xbb\xbf" + NAACL.replace("\n", "\r\n").encode())
    elif form == "begins-empty":
        path.write_text("\n \n" + NAACL)
    # Its positions count from 1 whatever is said.
    found = read_link_file(path, form == "one-based", len(TEXT))
    assert [one.pairs() for one in found] == [[(0, 0), (2, 1)], [], [(0, 0)], [(3, 0), (0, 3)], []]
    assert found == read_link_file(corpus / "train.align")
    assert len(read_link_file(path)) == 4


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("0001 1 1 X", "train.naacl:2: expected a NAACL word alignment, PAIR SOURCE TARGET S or P"),
        ("0-0 1-1", "train.naacl:2: expected a NAACL word alignment"),
        ("1 0 0 S", "train.naacl:2: expected pairs and positions that count from 1"),
        ("0 1 1 S", "train.naacl:2: expected pairs and positions that count from 1"),
        ("6 1 1 S", "train.naacl:2: expected links of the text's 5 sentence pairs; got one of pair 6"),
        ("1 1 1 S 0", "train.naacl:2: expected a confidence that is a finite number above 0"),
        ("1 99999999999 1", "train.naacl:2: expected numbers up to"),
    ],
)
def test_what_is_wrong_in_it_is_named(line: str, says: str, corpus: Path) -> None:
    (corpus / "train.naacl").write_text(f"1 1 1 S\n{line}\n")
    with pytest.raises(GuidedAlignError) as error:
        read_link_file(corpus / "train.naacl", sentences=len(TEXT))
    assert says in str(error.value)


def test_words_without_a_link_are_counted(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (corpus / "train.naacl").write_text("1 1 1 S\n1 2 0 S\n1 0 2 P\n5 1 0\n")
    found = read_link_file(corpus / "train.naacl")
    assert [links.pairs() for links in found] == [[(0, 0)], [], [], [], []]
    said = capsys.readouterr().err
    assert "train.naacl: NAACL word alignments: 1 links of 5 sentence pairs; 3 that link a word to none" in said


def files(corpus: Path, suffix: str) -> list[str]:
    return ["--links", f"{corpus}/train.{suffix}", "--source", f"{corpus}/train.s", "--target", f"{corpus}/train.t"]


def test_check_project_and_aer_read_both_forms_alike(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed = []
    for suffix in ("align", "naacl"):
        assert main(["check", *files(corpus, suffix), "--json"]) == 0
        (report,) = json.loads(capsys.readouterr().out)
        assert set(report.pop("lines").values()) == {len(TEXT)}
        del report["file"]
        text = [
            f"--{side}-{what}={corpus}/train.{side[0]}" for side in ("source", "target") for what in ("words", "pieces")
        ]
        assert main(["project", "--links", f"{corpus}/train.{suffix}", *text, "--subwords", "words"]) == 0
        printed.append((report, capsys.readouterr().out))
    assert printed[0] == printed[1]
    assert printed[0][0]["links"] == 5
    (corpus / "system").write_text("0-0\n0-0\n0-0\n3-0\n0-0\n")
    scores = []
    for suffix in ("align", "naacl"):
        assert main(["aer", f"{corpus}/train.{suffix}", f"{corpus}/system", "--json"]) == 0
        scores.append(json.loads(capsys.readouterr().out))
    assert scores[0] == scores[1]
    assert scores[0]["pairs_left_out"] == 2
    # Also a system's, also both, also shard by shard.
    for gold, system in (("system", "naacl"), ("naacl", "align"), ("align", "naacl")):
        gold = "system" if gold == "system" else f"train.{gold}"
        assert main(["aer", f"{corpus}/{gold}", f"{corpus}/train.{system}"]) == 0
        shards = [f"{corpus}/{gold},{corpus}/{gold}", f"{corpus}/train.{system},{corpus}/train.{system}"]
        assert main(["aer", *shards, "--json"]) == 0
    capsys.readouterr()
    assert main(["aer", f"{corpus}/train.naacl,{corpus}/train.naacl", f"{corpus}/system"]) == 2
    assert "got 8 lines in" in capsys.readouterr().err
    assert main(["aer", f"{corpus}/system,{corpus}/system", f"{corpus}/train.naacl"]) == 2
    assert "train.naacl: NAACL word alignments do not say" in capsys.readouterr().err


def read_json(path: PathLike, one_based: bool, sentences: int | None) -> tuple[CorpusLinks, str]:
    base = int(one_based)
    rows = [[(source - base, target - base) for source, target in json.loads(line)] for line in read_lines(path)]
    return CorpusLinks.from_sentences(map(SentenceLinks.from_pairs, rows)), ""


def test_a_new_form_is_a_row(corpus: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a form that has every pair, and whose positions count as the user says."""
    row = LinkForm("JSON lines", "", lambda line: line.startswith(b"["), read_json, count_lines, has_every_pair=True)
    monkeypatch.setattr(reading, "FORMS", (*reading.FORMS, row))
    pairs = [[pair for pair, _ in zip(one.pairs(), range(2))] for one in read_link_file(corpus / "train.align")]
    (corpus / "train.json").write_text("".join(json.dumps(one) + "\n" for one in pairs))
    (corpus / "from-1").write_text("".join(json.dumps([(s + 1, t + 1) for s, t in one]) + "\n" for one in pairs))
    (corpus / "train.plain").write_text("".join(" ".join(f"{s}-{t}" for s, t in one) + "\n" for one in pairs))
    assert [one.pairs() for one in read_link_file(corpus / "train.json")] == pairs
    assert read_link_file(corpus / "from-1", one_based=True) == read_link_file(corpus / "train.json")
    scores, printed = [], []
    for suffix in ("json", "plain"):
        # A NAACL file lacks the last pair; its size comes from the file that has every pair.
        assert main(["aer", f"{corpus}/train.{suffix}", f"{corpus}/train.naacl", "--json"]) == 0
        scores.append(json.loads(capsys.readouterr().out))
        assert main(["check", *files(corpus, suffix)]) == 0
        printed.append(capsys.readouterr().out.replace(f"train.{suffix}", "train"))
    assert scores[0] == scores[1]
    assert printed[0] == printed[1]
    (corpus / "longer.naacl").write_text(NAACL + "6 1 1\n")
    assert main(["aer", f"{corpus}/train.json", f"{corpus}/longer.naacl"]) == 2
    assert "expected links of the text's 5 sentence pairs; got one of pair 6" in capsys.readouterr().err
    # Pairs are never added to a file that has every pair.
    read = read_link_file(corpus / "train.json")
    assert reading.with_missing_pairs(read, corpus / "train.json", 9) == read
    # Shards need not be as many as those of the other file.
    whole, half = f"{corpus}/train.json", f"{corpus}/half"
    Path(half).write_text("".join((corpus / "train.json").read_text().splitlines(keepends=True)[:2]))
    (corpus / "rest").write_text("".join((corpus / "train.json").read_text().splitlines(keepends=True)[2:]))
    assert main(["aer", whole, f"{half},{corpus}/rest"]) == 0


def test_help_names_every_form(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("aer", "binarize", "project", "tags", "view"):
        with pytest.raises(SystemExit):
            main([command, "--help"])
        said = " ".join(capsys.readouterr().out.split())
        assert all(name in said for name in FORM_NAMES.split(" or ")), command


def test_a_folder_is_made_from_it(corpus: Path) -> None:
    pytest.importorskip("fairseq")
    stored = [list(read_link_file(corpus / "train.align"))]
    data = corpus / "data"
    options = ["--subwords", "words", "--align-suffix", "naacl", "--workers", "2"]
    files = ["--trainpref", f"{corpus}/train", "--destdir", str(data)]
    assert main(["preprocess", "-s", "s", "-t", "t", *files, *options]) == 0
    stored.append(list(LinkStore(links_path(data, "train", "s", "t"))))
    for level in ("words", "pieces"):
        assert main(["binarize", str(data), f"train={corpus}/train.naacl", "--level", level]) == 0
        stored.append(list(LinkStore(links_path(data, "train", "s", "t"))))
    assert stored[1:] == [stored[0]] * 3


def test_training_reads_it_as_a_file_of_alignments(corpus: Path) -> None:
    pytest.importorskip("fairseq")
    from fairseq_guided_align.links.sources import find_links

    found = find_links("none", "train", "s", "t", len(TEXT), str(corpus / "train.naacl"))
    assert found is not None
    assert list(found) == list(read_link_file(corpus / "train.align"))


def test_view_reads_both_forms(corpus: Path) -> None:
    pages = []
    for suffix in ("align", "naacl"):
        out = corpus / f"{suffix}.html"
        text = ["--source", f"{corpus}/train.s", "--target", f"{corpus}/train.t", "--gold", f"{corpus}/train.{suffix}"]
        assert main(["view", *text, "--links", f"a={corpus}/train.{suffix}", "--out", str(out)]) == 0
        pages.append(out.read_bytes())
    assert pages[0] == pages[1]


A3 = (
    "# Sentence pair (1) source length 1 target length 2 alignment score : 0.1\n"
    "a b c\nNULL ({ }) A ({ 1 }) B ({ 2 3 })\n"
)


@pytest.mark.parametrize("command", ["check", "preprocess", "project", "binarize", "aer", "view"])
def test_the_form_of_giza_is_recognised_with_what_to_do(
    command: str, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = corpus / "train.align"
    # Without its first two lines as well.
    path.write_text((A3 if command == "check" else A3.split("\n", 2)[2]) * len(TEXT))
    (corpus / "data").mkdir()
    sides = [f"{corpus}/train.s", f"{corpus}/train.t"]
    arguments = {
        "check": files(corpus, "align"),
        "preprocess": ["-s", "s", "-t", "t", "--trainpref", f"{corpus}/train", "--destdir", f"{corpus}/out"],
        "project": ["--links", str(path), "--source-words", sides[0], "--source-pieces", sides[0],
                    "--target-words", sides[1], "--target-pieces", sides[1]],
        "binarize": [f"{corpus}/data", "-s", "s", "-t", "t", f"train={path}"],
        "aer": [str(path), str(path)],
        "view": ["--source", sides[0], "--target", sides[1], "--links", f"a={path}", "--out", f"{corpus}/page.html"],
    }[command]  # fmt: skip
    assert main([command, *arguments]) == 2
    said = capsys.readouterr().err
    assert f"{path}:1: expected links as Pharaoh text or NAACL word alignments; got GIZA++'s A3 form" in said
    assert "symal" in said


@contextlib.contextmanager
def pipe_of(path: Path, text: bytes) -> Iterator[Path]:
    """A named pipe through which this goes once."""
    os.mkfifo(path)
    writer = threading.Thread(target=lambda: path.write_bytes(text), daemon=True)
    writer.start()
    yield path
    writer.join()
    path.unlink()


LONG = NAACL + "".join(f"{pair} 1 1 S\n" for pair in range(6, 60_000))
"""More than a pipe holds at once, and than is read at a time."""


@pytest.mark.parametrize("form", ["plain", "gzip", "windows", "begins-empty", "long"])
def test_a_pipe_is_recognised_as_a_file_is(form: str, corpus: Path) -> None:
    text = (LONG if form == "long" else NAACL).encode()
    if form == "gzip":
        text = gzip.compress(text)
    elif form == "windows":
        text = b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n")
    elif form == "begins-empty":
        text = b"\n \n" + text
    (corpus / "train.naacl").write_bytes(text)
    with pipe_of(corpus / "pipe", text) as pipe:
        assert read_link_file(pipe) == read_link_file(corpus / "train.naacl")


def test_links_of_a_pipe_in_pharaoh_text_are_whole(corpus: Path) -> None:
    text = "".join(f"\r\n{number}-1 2-{number}\r\n" for number in range(20_000)).encode()
    first = " ".join(f"{number}-1" for number in range(100_000)).encode()
    for written in (b"\xef\xbb\xbf" + text, b"", b"\n\n", b"1-1", first, first + b"\n" + text):
        (corpus / "file").write_bytes(written)
        with pipe_of(corpus / "pipe", written) as pipe:
            assert read_link_file(pipe) == read_link_file(corpus / "file")


def test_the_form_of_giza_is_recognised_in_a_pipe(corpus: Path) -> None:
    with (
        pipe_of(corpus / "pipe", A3.encode()) as pipe,
        pytest.raises(GuidedAlignError, match=r"pipe:1: .*got GIZA\+\+'s A3 form"),
    ):
        read_link_file(pipe)


def test_binarize_without_lengths_counts_the_pairs_of_a_pipe(corpus: Path) -> None:
    """A folder whose text is of a format that does not tell its lengths."""
    (corpus / "data").mkdir()
    with pipe_of(corpus / "pipe", NAACL.encode()) as pipe:
        assert main(["binarize", str(corpus / "data"), "-s", "s", "-t", "t", f"train={pipe}"]) == 0
    stored = LinkStore(links_path(corpus / "data", "train", "s", "t"))
    assert [one.pairs() for one in stored] == [one.pairs() for one in read_link_file(corpus / "train.naacl")]
