"""The `plot` command and `view --checkpoint`: which attention is drawn, of which tokens, and the messages."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import MadeUpData, TrainedModel

from fairseq_guided_align.aligning.extraction import AlignmentModel
from fairseq_guided_align.cli.main import main
from fairseq_guided_align.links.link import SentenceLinks
from fairseq_guided_align.pictures import plots
from fairseq_guided_align.subwords.conversion import spread_over_pieces, subword_links_to_word_links
from fairseq_guided_align.subwords.text_pieces import PiecedSentence


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What is given to `attention_figure`, which still draws."""
    calls: list[dict[str, Any]] = []
    draw = plots.attention_figure

    def watched(panels: Any, source: Any, target: Any, gold: Any, *names: Any) -> Any:
        calls.append({"panels": panels, "source": source, "target": target, "gold": gold, "names": names})
        return draw(panels, source, target, gold, *names)

    monkeypatch.setattr(plots, "attention_figure", watched)
    return calls


def lines(made_up: MadeUpData, suffix: str) -> list[list[str]]:
    text = (made_up.text / f"test.{suffix}").read_text(encoding="utf-8")
    return [line.split() for line in text.splitlines()]


def test_words_and_gold_links_of_given_sentences(
    made_up: MadeUpData, trained: TrainedModel, tmp_path: Path, drawn: list[dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    out = tmp_path / "a.png"
    assert main(
        ["plot", str(trained.checkpoint), f"again={trained.checkpoint}", "--sentences", "7,2-3", "--subwords", "words",
         "--device", "cpu", "--out", str(out)]
    ) == 0  # fmt: skip
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["a-2.png", "a-3.png", "a-7.png"]
    assert capsys.readouterr().out.split() == ["wrote", str(tmp_path / "a-7.png"), "wrote", str(tmp_path / "a-2.png"),
                                               "wrote", str(tmp_path / "a-3.png")]  # fmt: skip
    source, target, align = (lines(made_up, suffix) for suffix in ("src", "tgt", "align"))
    gold = ["--gold", str(made_up.text / "test.align")]
    assert main(
        ["plot", str(trained.checkpoint), "again=" + str(trained.checkpoint), "--sentences", "7", "--subwords", "words",
         "--device", "cpu", *gold, "--output", str(out)]
    ) == 0  # fmt: skip
    for number, call in zip((7, 2, 3, 7), drawn, strict=True):
        assert call["source"] == [*source[number - 1], "</s>"]
        assert call["target"] == target[number - 1]
        assert {f"{s}-{t}" for s, t in call["gold"].pairs()} == set(align[number - 1])
        assert call["names"][:3] == (f"test, sentence {number}", "src", "tgt")
        assert [panel.title for panel in call["panels"]] == ["layer 1, head 0", "again"]
        # the fixture has learned its links, by and large; chance would be about 0.1
        attention = np.asarray(call["panels"][0].attention)
        assert attention[call["gold"].target, call["gold"].source].mean() > 0.3


def test_every_head_is_that_head(trained: TrainedModel, tmp_path: Path, drawn: list[dict[str, Any]]) -> None:
    arguments = ["plot", str(trained.checkpoint), "--level", "pieces", "--device", "cpu", "--no-gold"]
    assert main([*arguments, "--layers", "all", "--each-head", "--out", str(tmp_path / "a.svg")]) == 0
    panels = drawn[0]["panels"]
    assert drawn[0]["names"][-1] == 2  # columns: a row for each layer
    assert [panel.title for panel in panels] == [f"layer {layer}, head {head}" for layer in (0, 1) for head in (0, 1)]
    assert drawn[0]["gold"] is None
    for panel, (layer, head) in zip(panels, [(0, 0), (0, 1), (1, 0), (1, 1)]):
        model = AlignmentModel(str(trained.checkpoint), device="cpu", layers=str(layer), heads=str(head))
        ((_, pair),) = model.align_sentences("test", [0])
        np.testing.assert_allclose(panel.attention, pair.attention, atol=1e-6)
    assert main([*arguments, "--layers=-2", "--out", str(tmp_path / "b.pdf")]) == 0
    (panel,) = drawn[1]["panels"]
    mean = (np.asarray(panels[0].attention) + np.asarray(panels[1].attention)) / 2
    np.testing.assert_allclose(panel.attention, mean, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--sentences", "0"], "numbers of sentences from 1"),
        (["--sentences", "41"], "'test' has 40 sentence pairs, so a number lies in 1..40; got 41"),
        (["--layers", "2"], "--layers: this model has 2 decoder layers, so an index lies in -2..1; got 2"),
        (["--heads", "x"], "--heads: expected whole numbers"),
        (["--out", "a.jpg"], "ends in .png, .svg, .pdf"),
        (["--split", "nothing"], "nothing"),
        (["--gold", "GOLD"], "expected gold links of the 40 sentence pairs of 'test'; got 1 lines"),
        (["--dpi", "1"], "10..2000"),
    ],
)
def test_errors(
    trained: TrainedModel, tmp_path: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "gold").write_text("0-0\n", encoding="utf-8")
    given = [str(tmp_path / "gold") if option == "GOLD" else option for option in options]
    out = [] if "--out" in given else ["--out", str(tmp_path / "a.png")]
    assert main(["plot", str(trained.checkpoint), "--subwords", "words", "--device", "cpu", *out, *given]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "a.png").exists()


def test_no_word_kind(trained: TrainedModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plot", str(trained.checkpoint), "--device", "cpu", "--out", str(tmp_path / "a.png")]) == 2
    assert "give --subwords" in capsys.readouterr().err


def test_page_of_a_checkpoint(made_up: MadeUpData, trained: TrainedModel, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    assert main(
        ["view", "--checkpoint", f"ours={trained.checkpoint}", "--subwords", "words", "--device", "cpu", "--limit", "5",
         "--out", str(out)]
    ) == 0  # fmt: skip
    found = re.search(r'id="data">(.*?)</script>', out.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    data = json.loads(found[1])
    assert (data["systems"], data["source"], data["target"], len(data["pairs"])) == (["ours"], "src", "tgt", 5)
    model = AlignmentModel(str(trained.checkpoint), device="cpu")
    attentions = {number: pair.attention for number, pair in model.align_sentences("test", range(5))}
    for number, pair in enumerate(data["pairs"]):
        words = pair["words"]
        assert words == pair["pieces"]
        assert words["source"] == lines(made_up, "src")[number]
        (system,) = words["systems"]
        likeliest = attentions[number][:, :-1].argmax(axis=1)
        assert system["hard"] == [index for t, s in enumerate(likeliest.tolist()) for index in (s, t)]
        for s, t, p in zip(system["soft"][::3], system["soft"][1::3], system["soft"][2::3]):
            assert attentions[number][t, s] == pytest.approx(p, abs=6e-4)
            assert p >= 0.02


def test_marians_links_of_the_end_are_taken_off_gold_links(
    made_up: MadeUpData, trained: TrainedModel, tmp_path: Path, drawn: list[dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Most pairs of the file tell, not those that are shown: sentence 3 has such a link also where few pairs have."""
    source, target, align = (lines(made_up, suffix) for suffix in ("src", "tgt", "align"))
    ends = [f"{len(one)}-{len(other)}" for one, other in zip(source, target)]
    marian, few = tmp_path / "marian", tmp_path / "few"
    marian.write_text("".join(" ".join([*links, end]) + "\n" for links, end in zip(align, ends)))
    few.write_text(
        "".join(" ".join([*links, *[end] * (i < 5)]) + "\n" for i, (links, end) in enumerate(zip(align, ends)))
    )
    model = ["--subwords", "words", "--device", "cpu"]
    plot = ["plot", str(trained.checkpoint), *model, "--sentences", "3", "--out", str(tmp_path / "a.svg")]
    pages = []
    for gold in (made_up.text / "test.align", marian):
        assert main([*plot, "--gold", str(gold)]) == 0
        assert {f"{s}-{t}" for s, t in drawn[-1]["gold"].pairs()} == set(align[2])
        page = tmp_path / "page.html"
        assert main(["view", "--checkpoint", f"a={trained.checkpoint}", *model, "--limit", "4", "--gold", str(gold),
                     "--out", str(page)]) == 0  # fmt: skip
        pages.append(page.read_bytes())
    assert pages[0] == pages[1]
    assert capsys.readouterr().err.count(f"{marian}: 40 links of </s> taken off, as Marian writes them") == 2
    assert main([*plot, "--gold", str(few)]) == 2
    assert "expected gold links of line 3 within" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--links", "a=b"], "expected --source and --target"),
        (["--checkpoint", "a=b", "--source", "x"], "give it no other text"),
        (["--checkpoint", "a"], "--checkpoint: expected NAME=FILE"),
        (["--source", "x", "--target", "y", "--links", "a=b", "--split", "test"], "go with --checkpoint"),
        (["--checkpoint", "a=b", "--checkpoint", "a=c"], "each name once, such as guided=guided.align; got 'a=c'"),
    ],
)
def test_view_refuses(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["view", *arguments, "--out", "page.html"]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "pieces", "words"),
    [
        ("sentencepiece", ["▁the", "▁", "hou", "se", "▁<0xE2><0x82>", "<0xAC>", "▁"], ["the", "house", "€"]),
        ("bpe", ["the", "hou@@", "se", "a@@"], ["the", "house", "a"]),
        ("words", ["▁x", "y@@"], ["▁x", "y@@"]),
    ],
)
def test_words_that_pieces_spell(kind: str, pieces: list[str], words: list[str]) -> None:
    assert PiecedSentence.of_pieces(pieces, kind).texts(kind) == words


def test_links_spread_over_pieces_come_back() -> None:
    links = SentenceLinks.from_pairs([(0, 0), (1, 0), (1, 2)], [1, 0.5, 0.25], [True, False, True])
    source, target = np.array([0, 0, 1, -1]), np.array([0, 1, 1, 2])
    spread = spread_over_pieces(links, source, target)
    assert spread.pairs() == [(0, 0), (1, 0), (2, 0), (2, 3)]
    assert subword_links_to_word_links(spread, source, target) == links
