"""The command `tags`, run as users run it."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from fairseq_guided_align.cli.main import main

SOURCE = """\
Click <a href="x">here</a> for 1,000.5 euros.
The <b>file %s</b> is at https://x.org/a
plain &amp; simple
"""
TARGET = """\
Klicken Sie hier für 1.000,5 Euro.
Die Datei ist unter x
schlicht & einfach
"""
LINKS = "0-0 0-1 1-2 2-3 3-4 4-5\n0-0 1-1 2-1:0.2 3-2 4-3 5-4\n\n"


def write(folder: Path, **texts: str) -> list[str]:
    options = []
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
        options.append(f"--{name.replace('_', '-')}={folder / name}")
    return options


def run(folder: Path, *options: str, source: str = SOURCE, target: str = TARGET, links: str = LINKS) -> int:
    files = write(folder, source=source, target=target, links=links)
    return main(["tags", *files, f"--output={folder / 'out'}", *options])


def out(folder: Path) -> list[str]:
    return (folder / "out").read_text(encoding="utf-8").splitlines()


def test_from_files_to_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path) == 0
    assert out(tmp_path) == [
        'Klicken Sie <a href="x">hier</a> für 1.000,5 Euro.',
        "Die <b>Datei</b> ist unter x",
        "schlicht &amp; einfach",
    ]
    assert "3 segments, 2 with tags; 4 tags" in capsys.readouterr().err


def test_protected_text_and_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = tmp_path / "report"
    terms = write(tmp_path, terms="simple\tsimpel\n\n")
    assert run(tmp_path, *terms, "--protect=numbers,urls,placeholders", f"--report={report}") == 0
    assert out(tmp_path)[1] == "Die <b>%s</b> ist unter https://x.org/a"
    assert out(tmp_path)[0] == 'Klicken Sie <a href="x">hier</a> für 1.000,5 Euro.'
    assert report.read_text() == "2\treplaced\t%s\n2\treplaced\thttps://x.org/a\n3\tlost\tsimpel\n"
    told = capsys.readouterr().err
    assert "2 protected texts put in place of linked words; 1 protected texts missing, without links" in told


def test_words_files_and_other_forms(tmp_path: Path) -> None:
    words = write(
        tmp_path,
        source_words="Click here for 1,000.5 euros .\nThe file % s is at https://x.org/a\nplain & simple\n",
        target_words="Klicken Sie hier für 1.000,5 Euro .\nDie Datei ist unter x\nschlicht & einfach\n",
    )
    assert run(tmp_path, *words, "--one-based", links="1-1 2-3 6-7\n1-1 2-2\n\n") == 0
    assert out(tmp_path)[:2] == ['Klicken Sie <a href="x">hier</a> für 1.000,5 Euro.', "Die <b>Datei</b> ist unter x"]
    (tmp_path / "packed").write_bytes(gzip.compress(SOURCE.encode()))
    files = write(tmp_path, target=TARGET, links=LINKS)
    assert main(["tags", f"--source={tmp_path / 'packed'}", *files, f"--output={tmp_path / 'packed-out'}"]) == 0


def test_markup_that_does_not_fit_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = {"source": "<b>a</b>\n<b>a</i> b\n", "target": "x\nx y\n", "links": "0-0\n0-0 1-1\n"}
    (tmp_path / "out").write_text("before")
    assert run(tmp_path, **texts) == 2
    assert f"{tmp_path / 'source'}:2: column 5: </i> stands where <b> is to be closed" in capsys.readouterr().err
    assert (tmp_path / "out").read_text() == "before"
    assert run(tmp_path, "--on-error=keep", **texts) == 0
    assert out(tmp_path) == ["<b>x</b>", "<b>x</i> y"]
    assert "1 segments whose tags do not fit together" in capsys.readouterr().err
    assert run(tmp_path, "--on-error=drop-tags", **texts) == 0
    assert out(tmp_path) == ["<b>x</b>", "x y"]
    assert run(tmp_path, "--markup=html", **texts) == 0
    assert "1 segments with tags repaired" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "texts", "message"),
    [
        ([], {"links": "0-0\n"}, "expected files with the same number of lines"),
        ([], {"links": LINKS + "\n"}, "expected files with the same number of lines"),
        ([], {"target": "x\n"}, "expected files with the same number of lines"),
        ([], {"links": "0-0 1-9\n\n\n"}, "links:1: the link 1-9 points outside the words"),
        ([], {"links": "0-0 1\n\n\n"}, "links:1"),
        (["--markup=sgml"], {}, "kinds of markup: wanted one of xml, html, xliff"),
        (["--placeholder=("], {}, "'(' is not a regular expression"),
        (["--protect=names"], {}, "--protect: wanted numbers, urls, emails, placeholders"),
        (["--inflected-terms"], {}, "name a list of them with --terms"),
    ],
)
def test_errors(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], texts: dict[str, str], message: str
) -> None:
    assert run(tmp_path, *options, **texts) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_errors_in_other_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, *write(tmp_path, terms="a\tb\nc\n")) == 2
    assert "terms:2: expected a source term, a tab and a target term; got 'c'" in capsys.readouterr().err
    assert run(tmp_path, *write(tmp_path, source_words="Click\nx\ny\n")) == 2
    assert "source_words:1: expected the words to spell the text" in capsys.readouterr().err


def test_a_line_break_that_a_reference_stands_for_does_not_become_one(tmp_path: Path) -> None:
    texts = {"source": "a <code>b&#10;c</code>\n", "target": "x y\n", "links": "0-0 1-1\n"}
    assert run(tmp_path, "--markup=html", **texts) == 0
    assert out(tmp_path) == ["x <code>b&#10;c</code>"]


def test_a_no_break_space_is_a_letter_by_default(tmp_path: Path) -> None:
    """So `align` counts words, too."""
    texts = {"source": "<b>a</b> b\n", "target": "x\u00a0: y\n"}
    assert run(tmp_path, **texts, links="0-1 1-0\n") == 0
    assert out(tmp_path) == ["x\u00a0: <b>y</b>"]
    assert run(tmp_path, "--word-split=whitespace", **texts, links="0-2 1-0\n") == 0
    assert out(tmp_path) == ["x\u00a0: <b>y</b>"]
