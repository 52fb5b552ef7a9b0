"""The example's stages: what is reused, what is done again, what an interruption leaves; trainings and their bar."""

from __future__ import annotations

import fcntl
import io
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from examples import training
from examples.stages import StageError, Stages, duration


class Work:
    """Two stages, of which the second needs the first; keeps what was done and said."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.said: list[str] = []
        self.makes: dict[str, Callable[[Path], object]] = {
            "first": lambda folder: (folder / "text").write_text("text"),
            "second": lambda folder: (folder / "model").write_text((root / "first/text").read_text().upper()),
        }

    def run(self, first: int = 1, second: int = 1, goes_on: bool = False) -> list[str]:
        done: list[str] = []

        def make(name: str) -> Callable[[Path], None]:
            return lambda folder: (done.append(name), self.makes[name](folder), None)[-1]

        stages = Stages(self.root, 2, self.said.append)
        with stages.alone():
            stages.do("first", "the first", make("first"), ["text"], first)
            stages.do("second", "the second", make("second"), ["model"], second, ["first"], goes_on)
        assert stages.seconds.keys() == {"first", "second"}
        return done


def test_what_is_done_is_reused_until_something_changes(tmp_path: Path) -> None:
    work = Work(tmp_path)
    assert work.run() == ["first", "second"]
    assert work.run() == []
    assert work.said[-2:] == ["[1/2] the first: done before, reused", "[2/2] the second: done before, reused"]
    assert (tmp_path / "second/model").read_text() == "TEXT"
    assert work.run(second=2) == ["second"]
    assert work.run(first=2, second=2) == ["first", "second"]
    # An output that was lost, or cut off
    (tmp_path / "second/model").unlink()
    assert work.run(first=2, second=2) == ["second"]
    (tmp_path / "second/model").write_text("TEX")
    assert work.run(first=2, second=2) == ["second"]
    assert work.run(first=2, second=2) == []


def test_an_interrupted_stage_goes_on_or_starts_afresh(tmp_path: Path) -> None:
    for number, (goes_on, second, kept) in enumerate([(False, 1, False), (True, 1, True), (True, 2, False)]):
        work = Work(tmp_path / str(number))
        whole = work.makes["second"]

        def interrupted(folder: Path) -> None:
            (folder / "half").write_text("half")
            raise KeyboardInterrupt

        work.makes["second"] = interrupted
        with pytest.raises(KeyboardInterrupt):
            work.run(goes_on=goes_on)
        work.makes["second"] = whole
        # With other settings it starts afresh, too
        assert work.run(second=second, goes_on=goes_on) == ["second"]
        assert (work.root / "second/half").exists() is kept


def test_what_goes_wrong_is_said(tmp_path: Path) -> None:
    work = Work(tmp_path)
    work.makes["first"] = lambda folder: None
    with pytest.raises(StageError, match="expected text in"):
        work.run()
    with (tmp_path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(StageError, match="another run is at work"):
            work.run()


def test_duration() -> None:
    texts = {0.04: "0.0 s", 9.94: "9.9 s", 9.96: "10 s", 59.4: "59 s", 59.6: "1 min 00 s"}
    assert {seconds: duration(seconds) for seconds in texts} == texts


LINE = '2026-01-01 | INFO | train_inner | {"epoch": 1, "loss": "9.5", "alignment_loss": "1.25", "num_updates": "%d"}'


def run(folder: Path, *codes: str) -> str:
    screen = io.StringIO()
    commands = {folder / f"log{number}": [sys.executable, "-c", code] for number, code in enumerate(codes)}
    training.train(commands, 20, {}, screen)
    return screen.getvalue()


def test_training_lines_are_told_from_others() -> None:
    assert training.figures_of(LINE % 20) == {"epoch": 1.0, "loss": 9.5, "alignment_loss": 1.25, "num_updates": 20.0}
    assert training.figures_of('2026-01-01 | INFO | valid | {"loss": "9.5"}') is None
    assert training.figures_of("2026-01-01 | INFO | train_inner | {not json") is None


def test_a_bar_shows_the_progress_and_the_log_is_kept(tmp_path: Path) -> None:
    (tmp_path / "log0").write_text(f"{LINE % 5}\n")
    shown = run(tmp_path, f"print({LINE % 10!r}); print('chatter'); print({LINE % 20!r})", "pass")
    assert "20/20 [" in shown
    assert "loss=9.50" in shown
    assert "alignment loss=1.25" in shown
    log = (tmp_path / "log0").read_text()
    assert log.startswith(LINE % 5)
    assert "chatter" in log


def test_time_left_counts_from_where_this_run_started() -> None:
    screen = io.StringIO()
    bar = training.tqdm(total=100, file=screen)
    training.show(bar, {"num_updates": 50.0})
    training.show(bar, {"num_updates": 75.0})
    assert (bar.initial, bar.n) == (50, 75)


def test_a_failing_training_shows_the_end_of_its_log_and_stops_the_others(tmp_path: Path) -> None:
    start = time.monotonic()
    with pytest.raises(StageError, match=r"exit code 3; the end of .*log1(?s:.)*out of luck"):
        run(tmp_path, "import time; time.sleep(60)", "import sys; print('out of luck'); sys.exit(3)")
    assert time.monotonic() - start < 30
