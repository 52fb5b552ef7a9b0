"""The `curves` subcommand: which curves are drawn from which lines, names, files, errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="curves need matplotlib: pip install matplotlib")

from matplotlib.backends.backend_agg import FigureCanvasAgg

from fairseq_guided_align.cli.main import main
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.pictures.curves import COLOURS, Run, _spread, curves_figure
from fairseq_guided_align.pictures.training_log import LogPoint, TrainingLog


def log(offset: float = 0.0) -> TrainingLog:
    points = []
    for update in range(10, 101, 10):
        values = {"loss_per_token": 8 - update / 50 + offset, "alignment_loss": 3 - update / 90, "ppl": 2000.0}
        points.append(LogPoint("train_inner", 1, update, values))
        if update % 50 == 0:
            points.append(LogPoint("valid", 1, update, {**values, "aer": 40 - update / 10 + offset}))
    return TrainingLog("run.log", points)


def text_of(run: TrainingLog) -> str:
    lines = []
    for point in run.points:
        values = {**point.values, "num_updates": point.update}
        if point.kind == "train_inner":
            figures = ", ".join(f"{key}={value}" for key, value in values.items())
            lines.append(f"train_inner | epoch 001: {point.update} / 100 {figures}")
        else:
            figures = " | ".join(f"{key} {value}" for key, value in values.items())
            lines.append(f"valid | epoch 001 | valid on 'valid' subset | {figures}")
    return "\n".join(lines) + "\n"


def test_the_curves_are_the_figures_of_the_log() -> None:
    runs = [Run("one", log()), Run("two", log(0.5))]
    figure = curves_figure(runs)
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "loss per token",
        "alignment loss",
        "alignment error rate",
    ]
    for axes, key in zip(figure.axes, ("loss_per_token", "alignment_loss", "aer")):
        drawn = [(line.get_color(), *line.get_data()) for line in axes.get_lines()]
        expected = [
            (COLOURS[number], *run.log.series(kind, key))
            for number, run in enumerate(runs)
            for kind in ("train_inner", "valid")
            if len(run.log.series(kind, key)[0])
        ]
        assert len(drawn) == len(expected)
        assert (axes.get_xlabel(), axes.get_xlim()) == ("updates", (0, 102))
        for (colour, x, y), (wanted, updates, values) in zip(drawn, expected):
            assert colour == wanted
            np.testing.assert_array_equal(x, updates)
            np.testing.assert_array_equal(y, values)
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["one", "two", "training", "validation"]
    ends = [text.get_text() for text in figure.axes[2].texts if text.get_text() != "fraction, lower is better"]
    assert ends == ["30", "30.5"]


def test_everything_stays_inside_the_figure() -> None:
    runs = [Run(f"a run with a longish name {i}", log(i / 100)) for i in range(9)]
    figure = curves_figure(runs, title="A title")
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    box = figure.get_tightbbox(canvas.get_renderer())
    assert box.x0 >= 0
    assert box.y0 >= 0
    assert box.y1 <= figure.get_figheight()


def test_a_figure_that_no_run_has_is_left_out_and_none_at_all_is_an_error() -> None:
    run = Run("one", log())
    assert len(curves_figure([run], ["ppl", "bleu"]).axes) == 1
    with pytest.raises(GuidedAlignError, match=r"expected bleu in run.log; got only aer, alignment_loss, .*ppl"):
        curves_figure([run], ["bleu"])
    with pytest.raises(GuidedAlignError, match="at least one run"):
        curves_figure([])


def test_whole_epochs_stand_in_for_an_interval_that_was_never_reached() -> None:
    points = [LogPoint("train", epoch, 10 * epoch, {"loss": 9.0 - epoch}) for epoch in (1, 2, 3)]
    axes = curves_figure([Run("one", TrainingLog("x", points))], ["loss"]).axes[0]
    assert axes.get_lines()[0].get_ydata().tolist() == [8, 7, 6]


def test_a_single_point_is_a_dot_and_large_values_have_no_decimals() -> None:
    points = [LogPoint(kind, 1, 10, {"ppl": 2345.6}) for kind in ("train", "valid")]
    axes = curves_figure([Run("one", TrainingLog("x", points))], ["ppl"]).axes[0]
    assert [line.get_marker() for line in axes.get_lines()] == ["o", "o"]
    assert "2,346" in [text.get_text() for text in axes.texts]
    several = curves_figure([Run("one", log())], ["ppl"]).axes[0]
    assert several.get_lines()[0].get_marker() in ("", "None")


@pytest.mark.parametrize("heights", [[], [5.0], [0.0, 0.0, 0.0], [0.0, 3.0, 50.0, 50.0], [1.0, 2.0, 9.0, 30.0]])
def test_labels_are_spread(heights: list[float]) -> None:
    placed = _spread(heights, 8.0)
    assert len(placed) == len(heights)
    assert all(b - a >= 8 - 1e-9 for a, b in zip(placed, placed[1:]))
    assert sum(placed) == pytest.approx(sum(heights))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "guided").mkdir()
    (tmp_path / "guided" / "train.log").write_text(text_of(log()))
    (tmp_path / "plain.log").write_text(text_of(log(1)))
    return tmp_path


def test_command(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logs = ["guided/train.log", "plain.log", "third=plain.log"]
    assert main(["curves", *logs, "--out", "curves.svg", "--title", "A $title$"]) == 0
    assert capsys.readouterr().out == (
        "guided: 12 lines of figures up to update 100 in guided/train.log\n"
        "plain: 12 lines of figures up to update 100 in plain.log\n"
        "third: 12 lines of figures up to update 100 in plain.log\n"
        "wrote curves.svg\n"
    )
    assert (folder / "curves.svg").read_bytes().startswith(b"<?xml")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["plain.log", "plain.log", "-o", "a.png"], "got plain more than once: write NAME=FILE"),
        (["plain.log", "-o", "a.jpg"], "ends in .png, .svg, .pdf; got '.jpg'"),
        (["none.log", "-o", "a.png"], "none.log: cannot be read"),
        (["plain.log", "-o", "a.png", "--metric", "bleu"], "expected bleu in plain.log"),
        (["plain.log", "-o", "nowhere/a.png"], "nowhere/a.png: cannot be written"),
    ],
)
def test_errors(folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    assert main(["curves", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not list(folder.glob("a.*"))


def test_a_run_without_guidance_has_no_alignment_loss() -> None:
    """It logs 0, which would look like a perfect alignment."""
    unguided = log()
    for point in unguided.points:
        point.values["alignment_loss"] = 0.0
    figure = curves_figure([Run("guided", log()), Run("unguided", unguided)])
    assert [line.get_color() for line in figure.axes[1].get_lines()] == [COLOURS[0]] * 2
    assert {line.get_color() for line in figure.axes[0].get_lines()} == set(COLOURS[:2])
