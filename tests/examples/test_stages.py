"""The example's stages: what is reused, what is done again, what an interruption leaves."""

from __future__ import annotations

import fcntl
import io
import sys
import time
from pathlib import Path

import pytest

from examples import training
from examples.stages import Pipeline, Stage, StageError, duration


class Work:
    """Two stages, of which the second needs the first; counts what is done."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.done: list[str] = []
        self.said: list[str] = []

    def first(self, folder: Path) -> None:
        self.done.append("first")
        (folder / "text").write_text("text")

    def second(self, folder: Path) -> None:
        self.done.append("second")
        (folder / "model").write_text((self.root / "first/text").read_text().upper())

    def run(self, first: int = 1, second: int = 1, resumable: bool = False) -> list[str]:
        self.done = []
        pipeline = Pipeline(self.root, self.said.append)
        pipeline.add(Stage("first", "the first", self.first, ("text",), {"setting": first}))
        pipeline.add(Stage("second", "the second", self.second, ("model",), {"setting": second}, ("first",), resumable))
        pipeline.run()
        return self.done


def test_a_second_run_reuses_everything(tmp_path: Path) -> None:
    work = Work(tmp_path)
    assert work.run() == ["first", "second"]
    assert work.run() == []
    assert work.said[-2:] == ["[1/2] the first: done before, reused", "[2/2] the second: done before, reused"]
    assert (tmp_path / "second/model").read_text() == "TEXT"


def test_a_changed_setting_redoes_the_stage_and_what_depends_on_it(tmp_path: Path) -> None:
    work = Work(tmp_path)
    work.run()
    assert work.run(second=2) == ["second"]
    assert work.run(second=2, first=2) == ["first", "second"]
    assert work.run(second=2, first=2) == []


def test_a_lost_or_cut_output_is_made_again(tmp_path: Path) -> None:
    work = Work(tmp_path)
    work.run()
    (tmp_path / "second/model").unlink()
    assert work.run() == ["second"]
    (tmp_path / "second/model").write_text("TEX")
    assert work.run() == ["second"]


@pytest.mark.parametrize("resumable", [True, False])
def test_an_interrupted_stage_goes_on_or_starts_afresh(tmp_path: Path, resumable: bool) -> None:
    work = Work(tmp_path)
    found: list[bool] = []
    interrupt = True

    def second(folder: Path) -> None:
        found.append((folder / "half").exists())
        (folder / "half").write_text("half")
        if interrupt:
            raise KeyboardInterrupt
        (folder / "model").write_text("whole")

    work.second = second  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        work.run(resumable=resumable)
    interrupt = False
    work.run(resumable=resumable)
    assert found == [False, resumable]


def test_a_started_stage_with_other_settings_starts_afresh(tmp_path: Path) -> None:
    work = Work(tmp_path)

    def fails(folder: Path) -> None:
        (folder / "half").write_text("half")
        raise StageError("no")

    work.second, whole = fails, work.second  # type: ignore[method-assign]
    with pytest.raises(StageError):
        work.run(resumable=True)
    work.second = whole  # type: ignore[method-assign]
    work.run(second=2, resumable=True)
    assert not (tmp_path / "second/half").exists()


def test_an_action_that_leaves_no_output_is_an_error(tmp_path: Path) -> None:
    work = Work(tmp_path)
    work.first = lambda folder: None  # type: ignore[method-assign]
    with pytest.raises(StageError, match="expected text in"):
        work.run()


def test_two_runs_in_one_folder_do_not_mix(tmp_path: Path) -> None:
    with (tmp_path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(StageError, match="another run is at work"):
            Work(tmp_path).run()


def test_a_stage_cannot_need_a_later_one(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="before what it needs"):
        Pipeline(tmp_path, print).add(Stage("b", "b", lambda folder: None, (), needs=("a",)))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.4, "59 s"), (59.6, "1 min 00 s")],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


LINE = '2026-01-01 | INFO | train_inner | {"epoch": 1, "loss": "9.5", "alignment_loss": "1.25", "num_updates": "%d"}'


def test_training_lines_are_told_from_others() -> None:
    assert training.figures_of(LINE % 20) == {
        "epoch": 1.0,
        "loss": 9.5,
        "alignment_loss": 1.25,
        "num_updates": 20.0,
    }
    assert training.figures_of('2026-01-01 | INFO | valid | {"loss": "9.5"}') is None
    assert training.figures_of("2026-01-01 | INFO | train_inner | {not json") is None


def test_training_shows_its_progress_and_keeps_the_log(tmp_path: Path) -> None:
    screen = io.StringIO()
    code = f"print({LINE % 10!r}); print('chatter'); print({LINE % 20!r})"
    training.train([training.Training([sys.executable, "-c", code], tmp_path / "log")], 20, screen=screen)
    assert screen.getvalue().splitlines() == [
        "      10 of 20 updates (50 %), loss 9.50, alignment loss 1.25",
        "      20 of 20 updates (100 %), loss 9.50, alignment loss 1.25",
    ]
    assert "chatter" in (tmp_path / "log").read_text()


def test_a_failing_training_shows_the_end_of_its_log(tmp_path: Path) -> None:
    code = "import sys; print('out of luck'); sys.exit(3)"
    with pytest.raises(StageError, match=r"exit code 3(?s:.)*out of luck"):
        training.train([training.Training([sys.executable, "-c", code], tmp_path / "log")], 20, screen=io.StringIO())


def test_trainings_side_by_side_show_the_slowest(tmp_path: Path) -> None:
    screen = io.StringIO()
    slow = f"import time; print({LINE % 10!r}, flush=True); time.sleep(1); print({LINE % 20!r})"
    fast = f"print({LINE % 20!r}); print({LINE % 20!r})"
    jobs = [
        training.Training([sys.executable, "-c", code], tmp_path / name) for name, code in (("a", slow), ("b", fast))
    ]
    training.train(jobs, 20, screen=screen)
    assert [line.split()[0] for line in screen.getvalue().splitlines()] == ["10", "20"]


def test_a_failing_training_stops_the_others(tmp_path: Path) -> None:
    jobs = [
        training.Training([sys.executable, "-c", code], tmp_path / name)
        for name, code in (("a", "import time; time.sleep(60)"), ("b", "print('bad luck', end=''); 1 / 0"))
    ]
    start = time.monotonic()
    with pytest.raises(StageError, match=r"exit code 1(?s:.)*ZeroDivisionError"):
        training.train(jobs, 20, screen=io.StringIO())
    assert time.monotonic() - start < 30


def test_time_left_counts_from_where_this_run_started() -> None:
    progress = training.Progress(100, io.StringIO())
    progress.start = (0.0, 50.0)
    assert progress.line({"num_updates": 75.0}, 10.0).endswith("75 of 100 updates (75 %), 10 s left")
