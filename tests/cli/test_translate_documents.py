"""The command `translate --document`: a page as it may be found, XLIFF, encodings; and folders for CTranslate2."""

from __future__ import annotations

import gzip
import json
import re
import shutil
from html import escape
from pathlib import Path
from typing import Any

import pytest
from conftest import MadeUpData, TrainedModel

from fairseq_guided_align.aligning.sentences import sentence_splitter
from fairseq_guided_align.api import Model, load
from fairseq_guided_align.cli.main import main
from fairseq_guided_align.errors import GuidedAlignError

pytest.importorskip("sentencex")

PAGE = """\ufeff<!DOCTYPE html>
<html lang="el">\r
<head>
  <meta charset="utf-8">
  <title>{0}</title>
  <meta name="description" content="{=1}">
  <style>p > a {{ color: red }} /* λόγος */</style>
  <script>if (1 < 2) document.write("<p>λόγος</p>");</script>
</head>
<body class='x'  data-y=1>
<!-- λόγος -->
<nav><ul>
   <li><a href="#1">{2}</a>
   <li><a href="#2">{3}</a></li>
</ul></nav>
<p>
   {4}<br>
   {5}
</p>
<pre>  λόγος
  <b>λόγος</b> </pre>
<p translate="no">λόγος <b>λόγος</b></p>
<P><b><i>{6}</i></b></P>
<table><tr><td>{7}<td><i>{8}</i></td></tr></table>
<form><input type="text" placeholder='{=9}' value="λόγος"><textarea>λόγος</textarea></form>
<p>%s <code>x &lt; 1</code></p><hr>
</body>
</html>"""


def filled(texts: list[str], mixed: str) -> str:
    """The page with texts in its places; those of attributes have ``=``."""
    page = PAGE.replace("{{", "{").replace("}}", "}").replace("%s", mixed)
    return re.sub(r"\{=?(\d)\}", lambda found: escape(texts[int(found[1])]), page)


@pytest.fixture(scope="module")
def model(trained: TrainedModel) -> Model:
    return load(str(trained.checkpoint), device="cpu", subwords="words")


@pytest.fixture(scope="module")
def lines(made_up: MadeUpData) -> list[str]:
    return (made_up.text / "test.src").read_text(encoding="utf-8").splitlines()


def translate(model: object, folder: Path, kind: str, *options: str, name: str = "in") -> bytes:
    files = [str(model), str(folder / name), f"--document={kind}", f"--output={folder / 'out'}", "--device=cpu"]
    assert main(["translate", *files, *options]) == 0
    return (folder / "out").read_bytes()


def test_a_page_changes_nowhere_but_in_its_text(
    trained: TrainedModel, model: Model, lines: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sources, mixed = lines[:10], lines[10]
    (tmp_path / "in").write_text(filled(sources, f"{mixed} <b>{lines[11]}</b>"), encoding="utf-8", newline="")
    found = translate(trained.checkpoint, tmp_path, "html", "--subwords=words").decode()
    told = capsys.readouterr().err
    targets = [one[0].text for one in model.translate(sources)]
    segment = f"{mixed} <b>{lines[11]}</b> <code>x &lt; 1</code>"
    ((best,),) = model.translate([segment], markup="html", insert_kept=True)
    assert "<code>x &lt; 1</code>" in best.text
    assert found == filled(targets, "MIXED").replace("MIXED <code>x &lt; 1</code>", best.text)
    assert "out: 11 segments, 1 with tags; 4 tags" in told


def test_sentences_are_translated_one_by_one_and_tags_span_them(
    trained: TrainedModel, model: Model, lines: list[str], tmp_path: Path
) -> None:
    one, two, three = (f"{line[0].upper()}{line[1:]} ." for line in lines[:3])
    (tmp_path / "in").write_text(f"<p>{one} <b>{two}\n {three}</b></p>\n", encoding="utf-8")
    found = translate(trained.checkpoint, tmp_path, "html", "--subwords=words").decode()
    alone = [some[0].text for some in model.translate([one, two, three])]
    assert found == f"<p>{alone[0]} <b>{alone[1]} {alone[2]}</b></p>\n"


def test_what_cannot_be_translated_is_told(
    trained: TrainedModel, lines: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long = "a " * 1100
    (tmp_path / "in").write_text(f"<p>{lines[0]}</p>\n\n<p>x\n{long}</p><p>c</i></p>", encoding="utf-8")
    report = tmp_path / "report"
    found = translate(trained.checkpoint, tmp_path, "html", "--subwords=words", f"--report={report}").decode()
    assert f"<p>x\n{long}</p>" in found
    told = capsys.readouterr().err
    assert f"warning: {tmp_path / 'in'}:3: a text that begins here is too long for the model; written as it is" in told
    assert report.read_text() == "1\trepaired\t1\n"


def test_an_xliff_document(
    trained: TrainedModel, model: Model, lines: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = lines[0].split()
    sources = [f'{words[0]} <g id="1">{words[1]}</g> {" ".join(words[2:])}', lines[1]]
    units = "".join(f"\n<trans-unit id='{k}'>\n  <source>{one}</source></trans-unit>" for k, one in enumerate(sources))
    there = "<trans-unit id='3'><source>a</source><target>b</target></trans-unit>"
    document = (
        '<?xml version="1.0" encoding="ISO-8859-7"?>\n<!-- λόγος -->\n<xliff version="1.2">'
        f'<file original="x" target-language="en">{units}{there}</file></xliff>\n'
    )
    (tmp_path / "in").write_bytes(gzip.compress(document.encode("iso-8859-7")))
    found = translate(trained.checkpoint, tmp_path, "xliff", "--subwords=words").decode("iso-8859-7")
    targets = [model.translate([one], markup="xliff")[0][0].text for one in sources]
    for source, target in zip(sources, targets):
        document = document.replace(f"{source}</source>", f"{source}</source>\n  <target>{target}</target>")
    assert found == document
    told = capsys.readouterr().err
    assert "out: 1 targets were there already, and stay" in told
    assert "out: 2 segments, 1 with tags; 2 tags" in told


def test_crossing_pairs_are_counted_and_broken_ones_told(
    trained: TrainedModel, lines: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two, *rest = lines[0].split()
    frame = '<xliff version="1.2"><file>\n<trans-unit id="1"><source>{}</source></trans-unit></file></xliff>'
    crossing = f'<bx id="1"/>{one} <bx id="2"/>{two}<ex id="1"/> {" ".join(rest)}<ex id="2"/>'
    (tmp_path / "in").write_text(frame.format(crossing), encoding="utf-8")
    found = translate(trained.checkpoint, tmp_path, "xliff", "--subwords=words").decode()
    target = found.split("<target>")[1]
    assert all(target.count(code) == 1 for code in re.findall("<[be]x[^>]*>", crossing))
    assert "1 segments with tags repaired" in capsys.readouterr().err
    (tmp_path / "in").write_text(frame.format(crossing.replace('<ex id="1"/>', "")), encoding="utf-8")
    command = ["translate", str(trained.checkpoint), str(tmp_path / "in"), "--document=xliff", "--device=cpu"]
    command += ["--subwords=words", f"--output={tmp_path / 'out'}"]
    assert main(command) == 2
    assert f'{tmp_path / "in"}:2: column 28: <bx id="1"/> has no ex of the same id' in capsys.readouterr().err
    for how, codes in (("keep", 3), ("drop-tags", 0)):
        assert main([*command, f"--on-error={how}"]) == 0
        target = (tmp_path / "out").read_text(encoding="utf-8").split("<target>")[1]
        assert len(re.findall("<[be]x[^>]*>", target)) == codes
        assert "1 segments whose tags do not fit together" in capsys.readouterr().err


def test_encodings(trained: TrainedModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = '<meta http-equiv="Content-Type" content="text/html; charset=iso-8859-7"><pre>λόγος</pre>'
    (tmp_path / "in").write_bytes(kept.encode("iso-8859-7"))
    assert translate(trained.checkpoint, tmp_path, "html", "--subwords=words") == kept.encode("iso-8859-7")
    capsys.readouterr()
    command = ["translate", str(trained.checkpoint), str(tmp_path / "in"), "--document=html", *["--device=cpu"]]
    for data, message in (
        (b"<pre>\n\xff</pre>", "in:2: expected text in utf-8, as the document says; got byte 0xff"),
        (b"<meta charset=klingon>", "in: names the encoding 'klingon', which is unknown"),
    ):
        (tmp_path / "in").write_bytes(data)
        assert main([*command, "--subwords=words"]) == 2
        assert message in capsys.readouterr().err


def test_sentences() -> None:
    """Examples of the languages' own; positions are those of the text, line breaks and all."""
    for lang, text, expected in (
        ("en", " Dr. Smith came\nat 5 p.m. today.\n\nHe stayed! ", ["Dr. Smith came\nat 5 p.m. today.", "He stayed!"]),
        ("de", "Am 3. Mai kam Herr Dr. Müller. Er blieb.", ["Am 3. Mai kam Herr Dr. Müller.", "Er blieb."]),
        ("zh-Hans", "道与神同在。道就是神。", ["道与神同在。", "道就是神。"]),
        ("src", "No such language. It works.", ["No such language.", "It works."]),
        ("en", "", []),
    ):
        assert [text[start:stop] for start, stop in sentence_splitter(lang)(text)] == expected


def test_a_missing_splitter_is_told(
    trained: TrainedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sentencex", None)
    (tmp_path / "in").write_text("<p>a")
    assert (
        main(["translate", str(trained.checkpoint), str(tmp_path / "in"), "--document=html", "--subwords=words"]) == 2
    )
    assert "pip install 'fairseq-guided-align[documents]'" in capsys.readouterr().err


def test_protected_text_is_not_cut(model: Model) -> None:
    """Though the splitter would."""
    halves: Any = lambda text: [(0, 4), (5, len(text))]  # noqa: E731
    ((cut,),) = model.translate(["a b. C d"], markup="html", split=halves)
    ((whole,),) = model.translate(["a <code>b. C</code> d"], markup="html", split=halves)
    assert len(cut.attention[0]) == len(whole.attention[0]) == 5
    ((alone,),) = model.translate(["a b. C d"])
    assert whole.pieces == alone.pieces
    with pytest.raises(GuidedAlignError, match="expected nbest 1 for text that is cut into sentences; got 2"):
        model.translate(["a"], nbest=2, split=halves)


def test_a_folder_for_ctranslate2(
    sentencepiece_model: tuple[Path, Path], lines: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says how text is cut, and gives what the checkpoint gives."""
    pytest.importorskip("ctranslate2")
    checkpoint, data = sentencepiece_model
    folder = tmp_path / "ct2"
    assert main(["ctranslate2", str(checkpoint), str(data), str(folder)]) == 0
    text = "".join(f"<b>{line}</b> x\n" for line in lines[:6])
    (tmp_path / "in").write_text(text + "\n", encoding="utf-8")
    found = []
    for model in (checkpoint, folder):
        command = ["translate", str(model), str(tmp_path / "in"), "--markup=xml", "--json", "--beam=2"]
        assert main([*command, f"--output={tmp_path / 'out'}", "--device=cpu"]) == 0
        found.append([json.loads(line) for line in (tmp_path / "out").read_text().splitlines()])
    same = sum(one["text"] == other["text"] for one, other in zip(*found))
    assert (len(found[0]), same >= 6) == (7, True)
    for one, other in zip(*found):
        if one["text"] == other["text"]:
            # Of translations that were cut at 200 tokens, CTranslate2 does not score </s>.
            assert one["score"] == pytest.approx(other["score"], abs=0.01)
            assert len(set(map(tuple, one["links"])) ^ set(map(tuple, other["links"]))) <= len(one["links"]) // 10
    (tmp_path / "in").write_text("<p>a</p>")
    assert translate(folder, tmp_path, "html").startswith(b"<p>")
    loaded = load(str(folder), device="cpu")
    with pytest.raises(GuidedAlignError, match="align: expected a checkpoint; CTranslate2 only translates"):
        loaded.align(["a"], ["b"])
    with pytest.raises(GuidedAlignError, match=r"options of CTranslate2's search, lenpen, .*; got unkpen"):
        loaded.translate(["a"], unkpen=1)
    with pytest.raises(GuidedAlignError, match="leave --lang-pair out"):
        load(str(folder), lang_pair="a-b")
    with pytest.raises(GuidedAlignError, match="CTranslate2 cannot load it on 'gpu'"):
        load(str(folder), device="gpu")
    assert loaded.translate(["a " * 1200], too_long="skip") == [[]]
    capsys.readouterr()
    settings = json.loads((folder / "guided_alignment.json").read_text())
    assert settings["max_source_positions"] == 1024
    # As an earlier version made it.
    short = {name: settings[name] for name in ("position", "unlinked", "layers", "heads")}
    (folder / "guided_alignment.json").write_text(json.dumps(short))
    assert main(["translate", str(folder)]) == 2
    assert "does not say how text is cut into pieces; name the data folder with --data" in capsys.readouterr().err
    shutil.rmtree(folder / "sentencepiece.src.model", ignore_errors=True)
    assert load(str(folder), str(data), device="cpu").translate(["a"], beam=2)[0]
