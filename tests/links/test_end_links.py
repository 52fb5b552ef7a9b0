"""Links of ``</s>`` in Marian's files: taken off by every command that knows the text, with a count."""

from __future__ import annotations

import json
import logging
import random
from pathlib import Path

import numpy as np
import pytest

from fairseq_guided_align.cli.main import main
from fairseq_guided_align.links.end_links import take_off_end_links
from fairseq_guided_align.links.link import CorpusLinks
from fairseq_guided_align.links.pharaoh import parse_line, read_links
from fairseq_guided_align.links.store import LinkStore, links_path

PAIRS = 50


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """``clean.align``, and ``marian.align`` with the links of ``</s>``; 50 of them at the corner, 3 elsewhere."""
    chance = random.Random(2)
    lines: dict[str, list[str]] = {"clean.s": [], "clean.t": [], "clean.align": [], "marian.align": []}
    for number in range(PAIRS):
        s, t = chance.randint(1, 6), chance.randint(1, 6)
        links = sorted({(chance.randrange(s), chance.randrange(t)) for _ in range(4)}, key=lambda pair: pair[::-1])
        lines["clean.s"].append(" ".join(chance.choices("abc", k=s)))
        lines["clean.t"].append(" ".join(chance.choices("def", k=t)))
        lines["clean.align"].append(" ".join(f"{i}-{j}" for i, j in links))
        of_end = [f"{s}-{t}"] + ([f"{s}-0"] if number % 25 == 7 else []) + ([f"0-{t}"] if number == 9 else [])
        lines["marian.align"].append(" ".join([lines["clean.align"][-1], *of_end]))
    for name, some in lines.items():
        (tmp_path / name).write_text("".join(line + "\n" for line in some))
    for lang in "st":
        (tmp_path / f"marian.{lang}").write_text((tmp_path / f"clean.{lang}").read_text())
    return tmp_path


def test_check_counts_them_and_nothing_else(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reports = []
    for name in ("clean", "marian"):
        assert main(["check", str(corpus / name), "-s", "s", "-t", "t", "--json"]) == 0
        (report,) = json.loads(capsys.readouterr().out)
        reports.append({key: value for key, value in report.items() if key not in ("file", "lines", "end_links")})
        assert report["end_links"] == (53 if name == "marian" else 0)
    assert reports[0] == reports[1]
    assert main(["check", str(corpus / "marian"), "-s", "s", "-t", "t"]) == 0
    assert "; 53 links of </s> taken off, as Marian writes them" in capsys.readouterr().out


@pytest.mark.parametrize("options", [[], ["--back"], ["--workers", "2"]])
def test_project_takes_them_off(options: list[str], corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sides = [
        f"--{side}-{what}={corpus}/clean.{side[0]}" for side in ("source", "target") for what in ("words", "pieces")
    ]
    for name in ("clean", "marian"):
        files = ["--links", f"{corpus}/{name}.align", "--output", f"{corpus}/{name}.out"]
        assert main(["project", *files, *sides, "--subwords", "words", "--max-dropped", "0", *options]) == 0
    assert (corpus / "clean.out").read_text() == (corpus / "marian.out").read_text() != ""
    said = capsys.readouterr().err
    assert said.count("links dropped: none") == 2
    assert said.count("53 links of </s> taken off") == 1


def test_preprocess_binarize_and_training_take_them_off(
    corpus: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("fairseq")
    data = corpus / "data"
    files = ["--trainpref", str(corpus / "marian"), "--destdir", str(data), "--subwords", "words"]
    assert main(["preprocess", "-s", "s", "-t", "t", *files]) == 0
    clean = list(read_links(corpus / "clean.align"))
    assert list(LinkStore(links_path(data, "train", "s", "t"))) == clean
    assert json.loads((data / "guided_alignment.json").read_text())["splits"]["train"]["end_links"] == 53
    for level in ("words", "pieces"):
        options = ["--level", level, "--max-dropped", "0"]
        assert main(["binarize", str(data), f"train={corpus}/marian.align", *options]) == 0
        assert list(LinkStore(links_path(data, "train", "s", "t"))) == clean
    assert capsys.readouterr().err.count("53 links of </s> taken off") == 3
    assert_taken_off_files_of_alignments(corpus, data, clean, caplog)


def assert_taken_off_files_of_alignments(
    corpus: Path, data: Path, clean: list, caplog: pytest.LogCaptureFixture
) -> None:
    from fairseq.data import Dictionary, data_utils
    from fairseq.data.language_pair_dataset import LanguagePairDataset

    from fairseq_guided_align.training.pair_links import PairLinks

    sides: list = []
    for lang in "st":
        dictionary = Dictionary.load(str(data / f"dict.{lang}.txt"))
        text = data_utils.load_indexed_dataset(str(data / f"train.s-t.{lang}"), dictionary)
        sides += [text, text.sizes, dictionary]
    pairs = LanguagePairDataset(*sides)
    for inverted in (False, True):
        path = corpus / "marian.align"
        if inverted:
            swapped = [
                " ".join("-".join(link.split("-")[::-1]) for link in line.split())
                for line in path.read_text().splitlines()
            ]
            path = corpus / "inverted"
            path.write_text("".join(line + "\n" for line in swapped))
        with caplog.at_level(logging.INFO):
            made = PairLinks("s", "t", {"train": str(path)}, inverted=inverted).beside(
                pairs, "train", str(data), "train"
            )
        assert made is not None
        guided, coverage = made
        assert coverage.outside == 0
        assert [set(guided.links[i].pairs()) for i in range(PAIRS)] == [set(links.pairs()) for links in clean]
        assert guided[7]["links_dropped"] == 0
    assert caplog.text.count("53 links of </s> taken off") == 2


def test_view_takes_them_off(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("clean", "marian"):
        text = ["--source", f"{corpus}/clean.s", "--target", f"{corpus}/clean.t", "--out", f"{corpus}/{name}.html"]
        assert main(["view", *text, "--links", f"a={corpus}/{name}.align"]) == 0
    assert (corpus / "clean.html").read_bytes() == (corpus / "marian.html").read_bytes()
    assert "53 links of </s> taken off" in capsys.readouterr().err


def off(
    lines: list[str], sources: list[int], targets: list[int], telling: list[bool] | None = None
) -> tuple[list, int]:
    links = CorpusLinks.from_sentences([parse_line(line) for line in lines])
    asked = None if telling is None else np.array(telling)
    kept, count = take_off_end_links(links, np.array(sources), np.array(targets), asked)
    return [one.pairs() for one in kept], count


def test_what_is_not_marians_is_left_for_the_counts_of_links_outside() -> None:
    assert off(["0-0 2-2", "2-2"], [2, 2], [2, 2]) == ([[(0, 0)], []], 2)
    # A file that counts from 1 has its full stops there.
    assert off(["1-1 2-2", "1-1 2-2"], [2, 2], [2, 2])[1] == 0
    # A few links outside are no file of Marian's.
    assert off(["0-0 2-2", "0-0", "0-0"], [2] * 3, [2] * 3)[1] == 0
    # What lies further out is none of </s>.
    assert off(["0-0 2-2 3-2", "0-0 2-2"], [2, 2], [2, 2]) == ([[(0, 0), (3, 2)], [(0, 0)]], 2)
    # Pairs whose number of words is in doubt do not tell.
    assert off(["0-0 2-2", "0-0 2-2", "0-0"], [2] * 3, [2] * 3, [False, False, True])[1] == 0
    assert off(["0-0 2-2", "0-0 2-2"], [2, 2], [2, 2], [False, True])[1] == 2


def aer(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict:
    assert main(["aer", *map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_aer_takes_them_off_where_it_is_given_the_text(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clean, marian = corpus / "clean.align", corpus / "marian.align"
    text = ["--source", corpus / "clean.s", "--target", corpus / "clean.t"]
    assert aer(capsys, clean, marian)["systems"][0]["precision"] < 1
    scores = aer(capsys, clean, marian, *text)
    assert (scores["systems"][0]["precision"], scores["systems"][0]["aer"], scores["warnings"]) == (1, 0, [])
    assert scores["end_links_taken_off"] == {str(clean): 0, str(marian): 53}
    assert main(["aer", str(clean), str(marian), *map(str, text)]) == 0
    assert f"{marian}: 53 links of </s> taken off, as Marian writes them" in capsys.readouterr().out
    twice = [
        f"{clean},{clean}",
        f"{marian},{marian}",
        "--source",
        f"{text[1]},{text[1]}",
        "--target",
        f"{text[3]},{text[3]}",
    ]
    assert aer(capsys, *twice)["systems"][0]["aer"] == 0


def test_aer_without_the_text_says_what_may_be_marians(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clean, marian = corpus / "clean.align", corpus / "marian.align"
    wanted = (
        f"{marian}: in {PAIRS} of {PAIRS} pairs the last link lies behind all those of {clean}; if Marian wrote"
        f" {marian}, these are links of </s>: give --source and --target, and they are taken off"
    )
    for files in ((clean, marian), (marian, clean)):
        scores = aer(capsys, *files)
        assert (scores["hints"], scores["warnings"]) == ([wanted], [])
        assert main(["aer", *map(str, files)]) == 0
        assert f"hint: {wanted}\n" in capsys.readouterr().out
    # Full stops that half of the gold links' pairs have as well; a file that counts from 1 reaches further, too.
    lines = marian.read_text().splitlines()
    half = [line if number % 2 else line.rsplit(" ", 1)[0] for number, line in enumerate(lines)]
    (corpus / "half").write_text("".join(line + "\n" for line in half))
    (corpus / "from-0").write_text("0-0 1-1\n" * 5)
    (corpus / "from-1").write_text("1-1 2-2\n" * 5)
    zero, one = corpus / "from-0", corpus / "from-1"
    for files in ((clean, clean), (corpus / "half", marian), (zero, one), (one, zero)):
        assert aer(capsys, *files)["hints"] == []
    assert aer(capsys, clean, marian, "--source", f"{corpus}/clean.s", "--target", f"{corpus}/clean.t")["hints"] == []


def test_aer_warns_of_links_of_other_words(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for lang in "st":
        (corpus / f"a.{lang}").write_text("x 10\u00a0000 y\nx y\n", "utf-8")
    (corpus / "a.align").write_text("0-0 1-1 2-2 3-3\n0-0 1-1\n")
    files = [corpus / "a.align", corpus / "a.align", "--source", corpus / "a.s", "--target", corpus / "a.t"]
    warnings = aer(capsys, *files)["warnings"]
    assert len(warnings) == 4
    assert "give --word-split whitespace" in warnings[0]
    assert warnings[1].endswith("1 of 6 links point outside their sentence pairs in the text")
    assert aer(capsys, *files, "--word-split", "whitespace")["warnings"] == []
    for wrong in (["--word-split", "spaces"], ["--source", str(corpus / "a.s")]):
        assert main(["aer", str(files[0]), str(files[1]), *wrong]) == 2
    assert main(["aer", str(corpus / "clean.align"), str(corpus / "clean.align"), *map(str, files[2:])]) == 2
    assert "clean.align: expected 2 lines, one for each sentence pair of the text; got 50" in capsys.readouterr().err
