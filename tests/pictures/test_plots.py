"""Attention pictures: what is drawn where, that labels stay apart and inside, fonts, files, no global state."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="pictures need matplotlib: pip install matplotlib")

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from fairseq_guided_align.errors import AlignmentRangeError, GuidedAlignError
from fairseq_guided_align.links.link import SentenceLinks
from fairseq_guided_align.pictures import fonts
from fairseq_guided_align.pictures.matrices import ATTENTION, GOLD_LINE, NORM
from fairseq_guided_align.pictures.plots import SMALLEST_FONT, Panel, attention_figure, figure_pixels, save_figure
from fairseq_guided_align.pictures.visible_text import LONGEST_LABEL

VERSE = """Βίβλος γενέσεως Ἰησοῦ χριστοῦ υἱοῦ Δαυὶδ υἱοῦ Ἀβραάμ
This is the record of the genealogy of Jesus Christ , the son of David , the son of Abraham :"""
GREEK, ENGLISH = (line.split() for line in VERSE.splitlines())
DPI = 100


def attention(targets: int, sources: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.full(sources, 0.3), targets)


def cell_pixel(figure: Figure, pixels: np.ndarray, panel: int, s: float, t: float) -> np.ndarray:
    """Colour at source ``s``, target ``t``; fractions are places between cells."""
    x, y = figure.axes[panel].transData.transform((s, t))
    return pixels[round(pixels.shape[0] - y), round(x)] / 255


def test_every_cell_has_the_colour_of_its_probability() -> None:
    matrices = [attention(4, 6, 1), attention(4, 6, 2)]
    figure = attention_figure([Panel(m, f"panel {i}") for i, m in enumerate(matrices)], "abcdef", "wxyz")
    pixels = figure_pixels(figure, DPI)
    for panel, matrix in enumerate(matrices):
        for t in range(4):
            for s in range(6):
                expected = ATTENTION(NORM(matrix[t, s]))[:3]
                assert cell_pixel(figure, pixels, panel, s, t) == pytest.approx(expected, abs=0.02)


def test_gold_links_are_outlined_sure_ones_solid_possible_ones_dashed() -> None:
    gold = SentenceLinks.from_pairs([(0, 0), (2, 1)], sure=[True, False])
    figure = attention_figure([Panel(np.zeros((2, 3)))], "abc", "de", gold)
    pixels = figure_pixels(figure, 300)
    orange = np.array(to_rgb(GOLD_LINE))

    def share_of_outline(s: int, t: int) -> float:
        along = np.linspace(-0.38, 0.38, 60)
        edge = [cell_pixel(figure, pixels, 0, s + d, t - 0.42) for d in along]
        return float(np.mean([np.abs(colour - orange).max() < 0.15 for colour in edge]))

    assert share_of_outline(0, 0) == 1
    assert 0.2 < share_of_outline(2, 1) < 0.9
    assert all(share_of_outline(s, t) == 0 for s, t in [(1, 0), (2, 0), (0, 1), (1, 1)])
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["sure gold link", "possible gold link"]


def test_tokens_are_the_labels_source_across_target_down() -> None:
    figure = attention_figure([Panel(attention(21, 9))], [*GREEK, "</s>"], ENGLISH)
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == [*GREEK, "</s>"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ENGLISH
    assert axes.get_ylim() == (20.5, -0.5)


def test_dollar_signs_are_text() -> None:
    figure = attention_figure([Panel(np.ones((1, 1)), r"$\alpha$ $\nonsense$")], ["$x_1$"], [r"$\frac$"])
    figure_pixels(figure)  # As formulas the last two would not parse
    assert figure.axes[0].get_xticklabels()[0].get_text() == "$x_1$"


@pytest.mark.parametrize(
    ("sources", "targets", "panels", "titles"),
    [
        (GREEK, ENGLISH, 2, ["unguided\nAER 48.1", "guided\nAER 14.9"]),
        (GREEK * 8, ENGLISH * 4, 1, [""]),
        (["a"], ["b"], 3, ["a title much wider than one cell", "another one just like it", "c"]),
        (["https://example.org/" + "x" * 80, "b"], ["y" * 90], 2, ["one", "two"]),
        (list("我昨天在北京买了一本书。"), ["Ἰησοῦς"] * 3, 2, ["one", "two"]),
        (["コンテンツ", "の", "編集", "word", "▁內容", "。"], ["內容", "编辑"], 2, ["one", "two"]),
    ],
)
def test_nothing_overlaps_or_leaves_the_figure(
    sources: list[str], targets: list[str], panels: int, titles: list[str]
) -> None:
    gold = SentenceLinks.from_pairs([(0, 0), (0, 0)], sure=[True, False])
    matrix = attention(len(targets), len(sources))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Of fonts this machine may lack
        figure = attention_figure(
            [Panel(matrix, title) for title in titles[:panels]], sources, targets, gold, "A title of all of it"
        )
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
    renderer = canvas.get_renderer()
    texts = [text for text in figure.findobj(matplotlib.text.Text) if text.get_text() and text.get_visible()]
    boxes = [text.get_window_extent(renderer) for text in texts]
    whole = Bbox.from_bounds(-1, -1, figure.bbox.width + 2, figure.bbox.height + 2)
    for text, box in zip(texts, boxes):
        assert Bbox.intersection(whole, box).bounds == pytest.approx(box.bounds), text.get_text()
    # Boxes are as high as the font, letters are not: a little overlap of empty edges is no overlap.
    inner = np.array([[b.x0 + 0.15 * min(b.width, b.height), b.y0 + 0.15 * min(b.width, b.height),
                       b.x1 - 0.15 * min(b.width, b.height), b.y1 - 0.15 * min(b.width, b.height)]
                      for b in boxes])  # fmt: skip
    apart_x = (inner[:, None, 0] >= inner[None, :, 2]) | (inner[:, None, 2] <= inner[None, :, 0])
    apart_y = (inner[:, None, 1] >= inner[None, :, 3]) | (inner[:, None, 3] <= inner[None, :, 1])
    clash = ~(apart_x | apart_y) & ~np.eye(len(boxes), dtype=bool)
    assert [(texts[i].get_text(), texts[j].get_text()) for i, j in zip(*np.nonzero(clash))] == []


def test_the_figure_grows_with_the_sentence_and_fonts_stay_readable() -> None:
    small = attention_figure([Panel(attention(10, 10))], "abcdefghij", "abcdefghij")
    large = attention_figure([Panel(attention(100, 100))], ["word"] * 100, ["word"] * 100)
    assert large.get_figwidth() > 3 * small.get_figwidth()
    assert large.axes[0].get_xticklabels()[0].get_fontsize() >= 7
    assert len(large.axes[0].get_xticklabels()) == 100


@pytest.mark.filterwarnings("ignore:no installed font")
def test_words_in_east_asian_characters_stand_upright() -> None:
    figure = attention_figure([Panel(np.ones((1, 4)) / 4)], ["編集", "▁編集", "word", "編x"], ["a"])
    labels = [(label.get_text(), label.get_rotation()) for label in figure.axes[0].get_xticklabels()]
    assert labels == [("編\n集", 0), ("▁\n編\n集", 0), ("word", 90), ("編x", 90)]


@pytest.fixture(scope="module")
def every_head() -> Figure:
    """A 50-token pair in 2 layers of 8 heads."""
    return attention_figure([Panel(attention(50, 50), "layer 0, head 0")] * 16, ["word"] * 50, ["word"] * 50, columns=8)


def test_many_matrices_shrink_as_far_as_they_can_be_read(every_head: Figure) -> None:
    width, height = every_head.get_size_inches()
    alone = attention_figure([Panel(attention(50, 50))], ["word"] * 50, ["word"] * 50)
    assert width * height < 0.8 * 16 * np.prod(alone.get_size_inches())
    assert every_head.axes[0].get_xticklabels()[0].get_fontsize() >= SMALLEST_FONT


def test_many_matrices_make_no_large_file(every_head: Figure, tmp_path: Path) -> None:
    save_figure(every_head, tmp_path / "a.pdf")
    assert (tmp_path / "a.pdf").stat().st_size < 2e6
    with pytest.raises(GuidedAlignError, match=r"would have \d+ x \d+ pixels, too many .* smaller --dpi"):
        save_figure(every_head, tmp_path / "a.png", 600)
    assert [path.name for path in tmp_path.iterdir()] == ["a.pdf"]


def test_long_tokens_are_cut_where_it_shows() -> None:
    figure = attention_figure([Panel(np.ones((1, 1)))], ["x" * 99], ["y" * LONGEST_LABEL])
    assert figure.axes[0].get_xticklabels()[0].get_text() == "x" * (LONGEST_LABEL - 1) + "…"
    assert figure.axes[0].get_yticklabels()[0].get_text() == "y" * LONGEST_LABEL


def test_files(tmp_path: Path) -> None:
    figure = attention_figure([Panel(attention(21, 8))], GREEK, ENGLISH)
    starts = {"a.png": b"\x89PNG", "a.svg": b"<?xml", "a.pdf": b"%PDF"}
    for name, start in starts.items():
        save_figure(figure, tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(start)
    with pytest.raises(GuidedAlignError, match=r"ends in .png, .svg, .pdf; got '.jpg'"):
        save_figure(figure, tmp_path / "picture.jpg")
    assert {path.name for path in tmp_path.iterdir()} == starts.keys()


@pytest.mark.parametrize(
    ("matrix", "gold", "error", "message"),
    [
        (np.ones((2, 1)), None, AlignmentRangeError, r"\(target, source\) = \(1, 2\).*got \(2, 1\) in panel 'p'"),
        (np.full((1, 2), 1.5), None, GuidedAlignError, "probabilities in 0..1 in panel 'p'; got 1.5"),
        (np.full((1, 2), np.nan), None, GuidedAlignError, "got nan"),
        (np.ones((1, 2)), [(2, 0)], AlignmentRangeError, "within 2 source and 1 target tokens; got 2-0"),
    ],
)
def test_wrong_arguments_are_named(matrix: np.ndarray, gold: list | None, error: type[Exception], message: str) -> None:
    links = None if gold is None else SentenceLinks.from_pairs(gold)
    with pytest.raises(error, match=message):
        attention_figure([Panel(matrix, "p")], ["a", "b"], ["c"], links)


def test_empty_arguments_are_named() -> None:
    with pytest.raises(GuidedAlignError, match="at least one panel"):
        attention_figure([], ["a"], ["b"])
    with pytest.raises(GuidedAlignError, match="got 0 source and 1 target"):
        attention_figure([Panel(np.ones((1, 0)))], [], ["b"])


def test_greek_cyrillic_hebrew_and_sentencepiece_need_no_other_font() -> None:
    assert fonts.choose_fonts("Ἰησοῦ ᾧ ῥῆμα Ёлка і їжак ספר ▁the </s> ¿“”…") == (["DejaVu Sans"], set())


def test_chinese_takes_a_font_that_has_it_or_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    families, missing = fonts.choose_fonts("北京")
    assert (len(families), families[0]) == (1 if missing else 2, "DejaVu Sans")
    monkeypatch.setattr(fonts, "_candidates", lambda: ())
    with pytest.warns(UserWarning, match=r"no installed font has .*北 \(U\+5317\).*from fonts-noto-cjk"):
        attention_figure([Panel(np.ones((1, 1)))], ["北京"], ["Beijing"])


def test_a_warning_comes_once_and_from_us() -> None:
    """U+E000 is nobody's: no font may claim it, and matplotlib would warn at every drawing."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        figure = attention_figure([Panel(np.ones((1, 1)))], ["\U00012345"], ["b"])
        figure_pixels(figure)
        figure_pixels(figure)
    if not fonts.choose_fonts("\U00012345")[1]:
        pytest.skip("a font for cuneiform is installed")
    assert len(caught) == 1
    assert "U+12345" in str(caught[0].message)


def test_scripts_that_must_be_shaped_are_honest_about_old_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matplotlib, "__version__", "3.10.9")
    with pytest.warns(UserWarning, match=r"neither joins nor reorders .* Arabic script: install matplotlib >= 3.11"):
        attention_figure([Panel(np.ones((1, 1)))], ["كتاب"], ["book"])
    monkeypatch.setattr(matplotlib, "__version__", "3.11.0")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        attention_figure([Panel(np.ones((1, 1)))], ["كتاب"], ["book"])


def test_no_pyplot_no_global_settings_no_torch() -> None:
    code = """
import sys, numpy as np, matplotlib
def settings():  # Asking for the backend makes matplotlib choose one, for which it imports pyplot
    return {name: matplotlib.rcParams[name] for name in matplotlib.rcParams if name != "backend"}
before = settings()
from fairseq_guided_align.pictures.plots import Panel, attention_figure, figure_pixels
figure_pixels(attention_figure([Panel(np.ones((1, 1)))], "a", "b"))
assert settings() == before
print({"matplotlib.pyplot", "torch", "fairseq"} & set(sys.modules))
"""
    root = str(Path(__file__).resolve().parents[2])
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": root, "PATH": "/usr/bin:/bin", "HOME": "/tmp"},
        check=False,
    )
    assert (done.stdout, done.stderr) == ("set()\n", "")


def test_commands_say_it_in_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "_candidates", lambda: ())
    with fonts.font_warnings_as_lines():
        attention_figure([Panel(np.ones((1, 1)))], ["北京"], ["Beijing"])
        with pytest.warns(UserWarning, match="another one"):
            warnings.warn("another one", stacklevel=1)
    said = capsys.readouterr().err
    assert said.startswith("warning: no installed font has 京 (U+4EAC) 北 (U+5317): boxes are drawn instead.")
    assert said.count("\n") == 1
