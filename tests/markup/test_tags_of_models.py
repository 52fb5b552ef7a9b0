"""Tags carried along the attention of a model: the command `tags --checkpoint`, and `Model.translate` with markup."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import MadeUpData, TrainedModel
from decoding_reference import SlowModels

from fairseq_guided_align.aligning.tag_links import tag_links
from fairseq_guided_align.api import Model, load
from fairseq_guided_align.attention.guided_heads import GuidedHeads
from fairseq_guided_align.cli.main import main
from fairseq_guided_align.errors import GuidedAlignError, MarkupError
from fairseq_guided_align.markup import Transferred, transfer

LIKELY, LEFT_OUT = 0.3, 0.1
"""Least probabilities of links: of a target word, and of a source word that no target word chooses."""


def tagged(line: str, number: int) -> str:
    """A sentence with a pair of tags around one word or two, one alone before the last word, and an ampersand."""
    words = line.split()
    first = number % (len(words) - 1)
    words[first] = f'<a href="{number}">{words[first]}'
    words[first + number % 2] += "</a>"
    words[-1] = f"<br/>{words[-1]}"
    return " ".join([*words, "&amp;"])


def links_of(matrix: np.ndarray) -> list[tuple[int, int, float]]:
    """Each target word's best source word; of a source word that is none's, its best target word.

    :param matrix: (target words, source words), the slow reference's.
    """
    links = {}
    for t, row in enumerate(matrix):
        if max(row) >= LIKELY:
            links[max(range(len(row)), key=row.__getitem__), t] = float(max(row))
    for s in set(range(matrix.shape[1])) - {s for s, _ in links}:
        t = max(range(len(matrix)), key=matrix[:, s].__getitem__)
        if matrix[t, s] >= LEFT_OUT:
            links[s, t] = float(matrix[t, s])
    return [(s, t, weight) for (s, t), weight in links.items()]


@pytest.fixture(scope="module")
def slow(trained: TrainedModel) -> SlowModels:
    return SlowModels([trained.checkpoint])


@pytest.fixture(scope="module")
def model(trained: TrainedModel) -> Model:
    return load(str(trained.checkpoint), device="cpu", subwords="words")


@pytest.fixture(scope="module")
def text(made_up: MadeUpData) -> tuple[list[str], list[str]]:
    """Tagged source, plain target."""
    source, target = (
        (made_up.text / f"test.{end}").read_text(encoding="utf-8").splitlines()[:12] for end in ("src", "tgt")
    )
    return [tagged(line, number) for number, line in enumerate(source)], target


def plain(source: str) -> list[str]:
    """The words of a tagged sentence, taken out by hand."""
    for number in range(12):
        source = source.replace(f'<a href="{number}">', "")
    return source.replace("</a>", "").replace("<br/>", "").replace("&amp;", "&").split()


def along(slow: SlowModels, source: str, target: list[str]) -> Transferred:
    """The tags by the slow reference's attention."""
    matrix = slow.matrix(plain(source), target)[:-1, :-1]
    return transfer(source, " ".join(target), links_of(matrix))


def tags(folder: Path, source: list[str], target: list[str], checkpoint: Path, *options: str) -> int:
    for name, lines in (("source", source), ("target", target)):
        (folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    files = [f"--source={folder / 'source'}", f"--target={folder / 'target'}", f"--output={folder / 'out'}"]
    return main(["tags", *files, f"--checkpoint={checkpoint}", "--device=cpu", *options])


def out(folder: Path) -> list[str]:
    return (folder / "out").read_text(encoding="utf-8").splitlines()


def test_links_are_the_likeliest_and_those_of_words_left_out() -> None:
    attention = np.array([
        [0.6, 0.3, 0.0, 0.1, 0.0], [0.5, 0.1, 0.05, 0.3, 0.05], [0.3, 0.0, 0.02, 0.08, 0.6],
        [0.25, 0.2, 0.2, 0.2, 0.15],
    ])  # fmt: skip
    others = [(1, 0, 0.3), (2, 3, 0.2), (3, 1, 0.3)]  # The last target word chooses none.
    assert tag_links(attention, GuidedHeads((), ())) == [(0, 0, 0.6), (0, 1, 0.5), (0, 2, 0.3), *others]
    assert tag_links(attention, GuidedHeads((), (), unlinked="eos")) == [(0, 0, 0.6), (0, 1, 0.5), *others]
    assert tag_links(attention[:2], GuidedHeads((), ()))[2:] == [(1, 0, 0.3), (3, 1, 0.3)]
    assert tag_links(np.zeros((2, 3)), GuidedHeads((), ())) == tag_links(np.zeros((0, 3)), GuidedHeads((), ())) == []


def test_a_model_gives_the_links(
    trained: TrainedModel, text: tuple[list[str], list[str]], slow: SlowModels, tmp_path: Path
) -> None:
    assert tags(tmp_path, *text, trained.checkpoint) == 0
    assert out(tmp_path) == [along(slow, source, target.split()).text for source, target in zip(*text)]
    words = [f"--{side}-words={tmp_path / name}" for side, name in (("source", "words"), ("target", "target"))]
    (tmp_path / "words").write_text("".join(" ".join(plain(line)) + "\n" for line in text[0]), encoding="utf-8")
    expected = out(tmp_path)
    assert tags(tmp_path, *text, trained.checkpoint, *words, "--subwords=words") == 0
    assert out(tmp_path) == expected


def test_it_reads_the_words_files_and_their_pieces(
    trained: TrainedModel, text: tuple[list[str], list[str]], slow: SlowModels, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """The first two words on either side are made pieces of one word; the text has that word."""
    assert tags(tmp_path, *text, trained.checkpoint, "--subwords=bpe") == 2
    assert "reads text in BPE pieces (@@)" in capsys.readouterr().err
    pieces = [(plain(source)[:4], target.split()[:4]) for source, target in zip(*text)]
    source = [f"<b>{a}{b}</b> {c} <i>{d}</i>" for (a, b, c, d), _ in pieces]
    target = [f"{a}{b} {c} {d}" for _, (a, b, c, d) in pieces]
    words = []
    for side, name in enumerate(("source", "target")):
        lines = [" ".join(pair[side]).replace(" ", "@@ ", 1) for pair in pieces]
        (tmp_path / f"{name}.bpe").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        words.append(f"--{name}-words={tmp_path / f'{name}.bpe'}")
    assert tags(tmp_path, source, target, trained.checkpoint, "--subwords=bpe", *words) == 0
    expected = []
    for segment, translation, (one, other) in zip(source, target, pieces):
        matrix = slow.matrix([f"{one[0]}@@", *one[1:]], [f"{other[0]}@@", *other[1:]])[:-1, :-1]
        columns = np.stack([matrix[:, 0] + matrix[:, 1], *matrix.T[2:]], axis=1)
        by_words = np.stack([(columns[0] + columns[1]) / 2, *columns[2:]])
        expected.append(transfer(segment, translation, links_of(by_words)).text)
    assert out(tmp_path) == expected


def test_sentencepiece_cuts_the_text(sentencepiece_model: tuple[Path, Path], tmp_path: Path) -> None:
    """A no-break space is part of a word for the links. The words file and the text itself are the same here."""
    checkpoint, data = sentencepiece_model
    lines = [(data / "text" / f"test.{lang}").read_text(encoding="utf-8").splitlines()[:6] for lang in ("src", "tgt")]
    lines = [[line.replace(" ", "\u00a0", 1) for line in side] for side in lines]
    source = [f"<p><b>{first}</b> {rest}</p>" for first, rest in (line.split(" ", 1) for line in lines[0])]
    (tmp_path / "words").write_text("".join(f"{line}\n" for line in lines[0]), encoding="utf-8")
    found = []
    for options in ([], [f"--source-words={tmp_path / 'words'}"]):
        assert tags(tmp_path, source, lines[1], checkpoint, "--markup=html", *options) == 0
        found.append(out(tmp_path))
    assert found[0] == found[1]
    model = load(str(checkpoint), device="cpu")
    for line, target, segment in zip(source, lines[1], found[0]):
        every = model.align([line[6:-4].replace("</b>", "")], [target], method="threshold", threshold=1e-9)[0]
        matrix = np.zeros((len(target.split(" ")), len(line[6:-4].split(" "))))
        matrix[every.target, every.source] = every.weight
        triples = links_of(matrix)
        words = line[6:-4].replace("</b>", "").split(" "), target.split(" ")
        assert transfer(line, target, triples, "html", *words).text == segment
    segments = [line.replace("\u00a0", " ") for line in source]
    for segment, (best,) in zip(segments, model.translate(segments, beam=2, max_len_b=20, markup="html")):
        stripped = best.text.replace("<p>", "").replace("</p>", "").replace("<b>", "").replace("</b>", "")
        assert (stripped, best.text.count("<b>")) == (best.plain_text, 1), segment


def test_segments_that_are_too_long_keep_their_tags(
    trained: TrainedModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = ["<b>a</b>", "<b>a</b> " + "a " * 1100 + "c", "", "<br/>"]
    assert tags(tmp_path, source, ["x", "y z", "", ""], trained.checkpoint) == 0
    assert out(tmp_path)[0] == "<b>x</b>"
    assert sorted(out(tmp_path)[1]) == sorted("<b>y</b> z")
    assert out(tmp_path)[2:] == ["", "<br/>"]
    told = capsys.readouterr().err
    assert "warning: 1 segments are too long for the model; their tags are placed without links" in told


def test_translations_get_the_tags(model: Model, text: tuple[list[str], list[str]], slow: SlowModels) -> None:
    """Each of the best ones its own; everything else is as without tags."""
    how: dict[str, Any] = {"beam": 3, "nbest": 2, "max_len_b": 20}
    found = model.translate(text[0], markup="xml", **how)
    without = model.translate([" ".join(plain(source)) for source in text[0]], **how)
    pieces = model.translate(text[0], markup="xml", level="pieces", method="threshold", threshold=0.4, **how)
    guessed = 0
    for source, hypotheses, others, by_pieces in zip(text[0], found, without, pieces):
        assert len(hypotheses) == 2
        for one, other, by_piece in zip(hypotheses, others, by_pieces):
            expected = along(slow, source, one.pieces)
            assert (one.text, one.guessed_tags) == (expected.text, len(expected.guessed))
            assert one.text.count("<br/>") == one.text.count("<a ") == one.text.count("</a>") == 1
            assert one.plain_text == other.plain_text == other.text == " ".join(one.pieces)
            assert (one.links, one.score, other.guessed_tags) == (other.links, pytest.approx(other.score), 0)
            assert by_piece.text == one.text
            guessed += one.guessed_tags
    assert len({one.text for one in found[0]}) == 2


def test_text_without_tags_is_written_as_markup(model: Model) -> None:
    """What the model does not know it copies as <unk>, which is no tag."""
    ((best,),) = model.translate(["a &lt; b"], markup="xml", beam=1, max_len_b=5)
    assert best.plain_text == model.translate(["a < b"], beam=1, max_len_b=5)[0][0].text
    assert best.text == best.plain_text.replace("<", "&lt;").replace(">", "&gt;")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "from a file (--links) or from a model (--checkpoint); got neither"),
        (["--links=x", "--checkpoint=y"], "got both"),
        (["--links=x", "--data=y", "--lang-pair=a-b"], "--data, --lang-pair: of a model, which --checkpoint names"),
        (["--checkpoint=x", "--one-based"], "--one-based says how --links counts"),
        (["--checkpoint=nowhere.pt"], "nowhere.pt: cannot be read as a checkpoint"),
    ],
)
def test_options_that_do_not_go_together(options: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tags", "--source=s", "--target=t", *options]) == 2
    assert message in capsys.readouterr().err


def test_mistakes_are_told(
    trained: TrainedModel, model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(MarkupError, match="sentences:2: column 5: </i> stands where <b> is to be closed"):
        model.translate(["a", "<b>a</i>"], markup="xml")
    with pytest.raises(GuidedAlignError, match="kinds of markup: wanted one of"):
        model.translate(["a"], markup="sgml")
    with pytest.raises(GuidedAlignError, match="markup: expected a model that takes text as it is"):
        load(str(trained.checkpoint), device="cpu", subwords="bpe").translate(["a"], markup="xml")
    assert tags(tmp_path, ["a", "b"], ["a"], trained.checkpoint) == 2
    assert "expected files with the same number of lines" in capsys.readouterr().err
    (tmp_path / "words").write_text("b\n")
    assert tags(tmp_path, ["<b>a</b>"], ["a"], trained.checkpoint, f"--source-words={tmp_path / 'words'}") == 2
    assert f"{tmp_path / 'words'}:1: expected the words to spell the text" in capsys.readouterr().err
