"""The command that measures everything on a GPU: rehearsed whole on the CPU, without a network."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from forked_programs import Programs
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from benchmarks.gpu import __main__ as command
from benchmarks.gpu import running
from benchmarks.gpu.parts import TESTS, Part, parts
from benchmarks.gpu.report import BEGIN, END, of_files, write_between
from benchmarks.gpu.running import run_together

pytestmark = pytest.mark.slow

ROOT = Path(command.__file__).parents[2]
GPU = ROOT / "benchmarks" / "gpu"


# What is carried


@pytest.fixture(scope="module")
def kit(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that prepare.sh fills; it needs a package registry."""
    folder = tmp_path_factory.mktemp("gpu") / "kit"
    done = subprocess.run(
        ["bash", str(GPU / "prepare.sh")], env={**os.environ, "KIT": str(folder), "PYTHON": str(programs.python)},
        capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip
    if "could not be downloaded" in done.stderr or "could not download" in done.stderr:
        pytest.skip(f"no package registry: {done.stderr[-300:]}")
    assert done.returncode == 0, done.stderr
    return folder


def test_the_kit_is_small_and_whole(kit: Path) -> None:
    assert {one.name for one in kit.iterdir()} == {"wheels", "greek-english", "CREDITS.txt"}
    assert sum(one.stat().st_size for one in (kit / "wheels").iterdir()) < 40 * 2**20
    assert sum(one.stat().st_size for one in kit.rglob("*") if one.is_file()) < 64 * 2**20
    assert not kit.with_name("kit.partial").exists()


def test_wheels_install_on_python_3_12_from_the_kit_alone(kit: Path, tmp_path: Path) -> None:
    platforms = [word for tag in ("2_28", "2_17") for word in ("--platform", f"manylinux_{tag}_x86_64")]
    done = subprocess.run(
        [
            sys.executable, "-m", "pip", "install", "--dry-run", "--no-index", "--no-deps", "--find-links",
            str(kit / "wheels"), "--python-version", "3.12", "--implementation", "cp", "--only-binary", ":all:",
            *platforms, "--target", str(tmp_path), "-r", str(GPU / "requirements.txt"),
        ],
        capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    wanted = [line for line in (GPU / "requirements.txt").read_text().splitlines() if line and line[0] != "#"]
    would = re.search(r"Would install (.*)", done.stdout)
    assert would
    assert len(would[1].split()) == len(wanted) == len(list((kit / "wheels").iterdir()))


def test_what_wheels_need_is_in_the_kit_or_said_to_be_there(kit: Path) -> None:
    said = (GPU / "requirements.txt").read_text()
    there = {canonicalize_name(word) for word in re.findall(r"[\w-]+", said)}
    target = {"python_version": "3.12", "platform_system": "Linux", "sys_platform": "linux", "extra": ""}
    for path in (kit / "wheels").iterdir():
        with zipfile.ZipFile(path) as wheel:
            (metadata,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
            lines = wheel.read(metadata).decode("utf-8").splitlines()
        for line in lines:
            if not line.startswith("Requires-Dist: "):
                continue
            needed = Requirement(line.partition(": ")[2])
            if needed.marker is None or needed.marker.evaluate(target):
                assert canonicalize_name(needed.name) in there, f"{path.name} needs {needed.name}"


# The whole run


def test_the_rehearsal_without_a_gpu_or_a_network(kit: Path, programs: Programs, tmp_path: Path) -> None:
    """One part of each kind; the tests that it would run are run by themselves."""
    assert [path for path in TESTS if not (ROOT / path).exists()] == []
    offline = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9", "PIP_NO_INDEX": "1"}
    only = "^(Greek to English, float16|steps, float16, base|loss|profile|extraction|decoding|choices)"
    done = subprocess.run(
        ["bash", str(GPU / "run.sh"), "--device", "cpu", "--quick", "--only", only, "--output", str(tmp_path)],
        env={**os.environ, **offline, "KIT": str(kit), "PYTHON": str(programs.python)},
        capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip
    log = (tmp_path / "log.txt").read_text(encoding="utf-8")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:] + log[-4000:]
    assert sorted(one.name for one in tmp_path.iterdir()) == ["log.txt", "results.json", "table.md"]
    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    chosen = [part for part in parts(kit, "cpu", quick=True) if re.search(only, part.name)]
    assert [part.name for part in chosen] == list(results["parts"])
    for part in chosen:
        found = results["parts"][part.name]
        if part.gpu_only:
            assert found == {"outcome": "skipped", "reason": "needs a GPU"}
            continue
        assert found["outcome"] == "done"
        assert found["figures"]
        assert f"== {part.name}: " in log
    translation = results["parts"]["Greek to English, float16"]["figures"]
    assert 0 < translation["aer"] < 1
    assert translation["bleu"] >= 0
    assert results["machine"]["torch"]
    assert (tmp_path / "table.md").read_text(encoding="utf-8") == done.stdout


@pytest.fixture
def made_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Part]:
    """The parts of the runs below, in place of the real ones."""
    (tmp_path / "kit" / "greek-english" / "data-bin").mkdir(parents=True)
    monkeypatch.setenv("KIT", str(tmp_path / "kit"))
    chosen: list[Part] = []
    monkeypatch.setattr(command, "parts", lambda *_: list(chosen))
    return chosen


def python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", "import json, os, signal, subprocess, sys, time\n" + code, *arguments]


FIGURES = "open(sys.argv[1], 'w').write('[1]')\n"


def test_a_run_that_is_out_of_time_keeps_what_it_has(
    made_up: list[Part], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "LEAST_SECONDS", 2)
    made_up += [
        Part("fails", python("print('why'); sys.exit(3)"), 20),
        Part("takes long", python(FIGURES + "time.sleep(60)", "{figures}"), 20),
        Part("comes too late", python("pass"), 20),
        Part("wants a GPU", python("pass"), 20, gpu_only=True),
    ]
    assert command.main(["--device", "cpu", "--seconds", "4", "--output", str(tmp_path / "out")]) == 1
    found = json.loads((tmp_path / "out" / "results.json").read_text())["parts"]
    assert found["fails"]["outcome"] == "failed"
    assert found["fails"]["reason"] == "exit code 3; see the log"
    assert found["takes long"]["outcome"] == "stopped"
    assert found["takes long"]["figures"] == [1]
    assert found["comes too late"] == {"outcome": "not reached"}
    assert found["wants a GPU"] == {"outcome": "skipped", "reason": "needs a GPU"}
    assert "why" in (tmp_path / "out" / "log.txt").read_text()
    assert "| comes too late | not reached |" in capsys.readouterr().out


def test_results_are_there_after_each_part(made_up: list[Part], tmp_path: Path) -> None:
    """The second part copies the results, which hold the first one's."""
    out = tmp_path / "out"
    copy = "open(sys.argv[1], 'w').write(open(sys.argv[2]).read())"
    made_up += [
        Part("first", python(FIGURES, "{figures}"), 20),
        Part("second", python(copy, "{figures}", str(out / "results.json")), 20),
    ]
    assert command.main(["--device", "cpu", "--output", str(out)]) == 0
    parts = json.loads((out / "results.json").read_text())["parts"]
    seen = parts["second"]["figures"]["parts"]
    assert seen["first"] == parts["first"]
    assert seen["first"]["outcome"] == "done"
    assert seen["second"] == {"outcome": "not reached"}


def test_wrong_calls_say_what_is_wrong(
    made_up: list[Part], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made_up.append(Part("one part", python("pass"), 20))
    assert command.main(["--device", "cpu", "--list"]) == 0
    assert capsys.readouterr().out == "  20 s  one part\n"
    assert command.main(["--device", "cpu", "--only", "another"]) == 2
    assert "--only another: no part has such a name" in capsys.readouterr().err
    monkeypatch.setenv("KIT", str(tmp_path / "nothing"))
    assert command.main(["--device", "cpu"]) == 2
    assert "bash benchmarks/gpu/prepare.sh" in capsys.readouterr().err


def test_trainings_are_kept_where_a_further_run_finds_them(made_up: list[Part], tmp_path: Path) -> None:
    count = "open(sys.argv[1], 'a').write('x')"
    made_up.append(Part("one part", python(count, "{work}/kept"), 20))
    for runs in (1, 2):
        options = ["--device", "cpu", "--work", str(tmp_path / "work"), "--output", str(tmp_path / "output")]
        assert command.main(options) == 0
        assert (tmp_path / "work" / "kept").read_text() == "x" * runs


# Parts side by side, and their limits


def outcomes(*chosen: Part, seconds: float = 30) -> dict[str, Any]:
    log = BytesIO()
    found = {part.name: one for part, one in run_together(chosen, seconds, Path(), log)}
    return {**found, "log": log.getvalue().decode()}


def test_parts_run_side_by_side(tmp_path: Path) -> None:
    """Each waits for the other."""
    wait = "open(sys.argv[1], 'w')\nwhile not os.path.exists(sys.argv[2]): time.sleep(0.01)\nprint('together')"
    files = [str(tmp_path / name) for name in "ab"]
    found = outcomes(Part("one", python(wait, *files), 20), Part("other", python(wait, *files[::-1]), 20))
    assert [found[name]["outcome"] for name in ("one", "other")] == ["done", "done"]
    assert found["log"].count("\ntogether\n") == 2


def test_what_a_part_started_ends_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "GRACE", 0.5)
    deaf = "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    start = "child = subprocess.Popen(['sleep', '300'])\nopen(sys.argv[1], 'w').write(str(child.pid))\n"
    pids = [tmp_path / "stopped", tmp_path / "done"]
    found = outcomes(
        Part("stopped", python(deaf + start + "time.sleep(300)", str(pids[0])), 2),
        Part("done", python(start, str(pids[1])), 20),
    )
    assert found["stopped"]["outcome"] == "stopped"
    assert found["stopped"]["reason"] == "not done after 2 s"
    assert found["stopped"]["seconds"] < 10
    assert found["done"]["outcome"] == "done"
    for path in pids:
        assert has_ended(int(path.read_text()))


def has_ended(pid: int) -> bool:
    """Within a second; a process without a parent stays known until somebody asks for its end."""
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.01)
    return False


def test_tests_are_counted_and_named(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        "def test_good(): pass\n"
        "def test_bad(): assert 1 == 2\n"
        "@pytest.mark.skip(reason='no GPU')\n"
        "def test_left_out(): pass\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "--junitxml", "{figures}", "--rootdir", str(tmp_path)]
    found = outcomes(Part("tests", [*command, str(tmp_path / "test_it.py")], 60))["tests"]
    assert found["outcome"] == "failed"
    assert found["figures"] == {
        "passed": 1,
        "failed": {"test_it::test_bad": "assert 1 == 2"},
        "skipped": {"test_it::test_left_out": "no GPU"},
    }


# The tables


def test_the_readme_has_the_tables_of_the_results() -> None:
    """They are never written by hand: python -m benchmarks.gpu.report benchmarks/gpu/h*.json --write ..."""
    readme = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    runs = of_files([GPU / "h100.json", GPU / "h200.json"])
    assert readme.partition(BEGIN)[2].partition(END)[0] == "\n\n" + "\n".join(runs) + "\n\n"


def test_tables_take_their_place_between_the_marks(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write_between(path, ["new", "lines"])
    assert path.read_text() == f"before\n{BEGIN}\n\nnew\nlines\n\n{END}\nafter\n"
    for broken in ("", f"{BEGIN}\n", f"{END}\n{BEGIN}\n", f"{BEGIN}{END}{BEGIN}"):
        path.write_text(broken)
        with pytest.raises(SystemExit, match="expected one line"):
            write_between(path, [])
        assert path.read_text() == broken
