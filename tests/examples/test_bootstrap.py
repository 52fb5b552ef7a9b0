"""How examples/bootstrap.sh picks an interpreter, and that an environment which is complete is left alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BASH = shutil.which("bash") or "bash"

FITS = "echo fits"
BROKEN_SHIM = 'echo "command not found" >&2; exit 127'
TOO_OLD = 'echo "is Python 3.7"'
NO_VENV = 'echo "has no venv or ensurepip"'


@pytest.fixture
def fake_pythons(tmp_path: Path) -> Path:
    """A folder for PATH; each test puts interpreters into it that answer the script's question."""
    folder = tmp_path / "bin"
    folder.mkdir()
    return folder


def put(folder: Path, name: str, answer: str) -> Path:
    path = folder / name
    path.write_text(f"#!{BASH}\n{answer}\n")
    path.chmod(0o755)
    return path


def find_python(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    script = '. examples/bootstrap.sh; find_python; printf %s "$BASE_PYTHON"'
    return subprocess.run(
        [BASH, "-c", script],
        cwd=ROOT,
        env={"PATH": str(folder), "HOME": str(folder), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_does_not_fit_is_skipped_and_said(fake_pythons: Path) -> None:
    put(fake_pythons, "python3.11", BROKEN_SHIM)
    put(fake_pythons, "python3", TOO_OLD)
    put(fake_pythons, "python", NO_VENV)
    run = find_python(fake_pythons)
    assert run.returncode == 1
    for part in ("python3.11 does not run", "python3 is Python 3.7", "python has no venv", "Python 3.10, 3.11 or 3.12",
                 "PYTHON="):  # fmt: skip
        assert part in run.stderr
    # One that only a version manager holds
    hidden = fake_pythons / ".pyenv/versions/3.11.9/bin"
    hidden.mkdir(parents=True)
    put(hidden, "python", FITS)
    assert find_python(fake_pythons).stdout == str(hidden / "python")
    for name in ("python3.10", "python3.12"):
        put(fake_pythons, name, FITS)
        assert find_python(fake_pythons).stdout == name
    # A named one is taken, or refused, before all others
    mine = put(fake_pythons, "mine", FITS)
    assert find_python(fake_pythons, PYTHON=str(mine)).stdout == str(mine)
    old = put(fake_pythons, "old", TOO_OLD)
    run = find_python(fake_pythons, PYTHON=str(old))
    assert run.returncode == 1
    assert f"PYTHON={old} is Python 3.7" in run.stderr


def test_the_question_itself_on_this_interpreter() -> None:
    script = f'. examples/bootstrap.sh; misfit "{sys.executable}"'
    run = subprocess.run([BASH, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    fits = (3, 10) <= sys.version_info[:2] <= (3, 12)
    assert run.stdout.strip() == ("" if fits else "is Python {}.{}".format(*sys.version_info[:2]))


def test_layers_are_installed_once_per_fingerprint(tmp_path: Path) -> None:
    script = f"""
        . {ROOT}/examples/bootstrap.sh
        VENV={tmp_path} BASE_PYTHON={sys.executable}
        echo one > {tmp_path}/pins
        install_run() {{ echo installing; }}
        install run "$(fingerprint {tmp_path}/pins)"
        install run "$(fingerprint {tmp_path}/pins)"
        echo two > {tmp_path}/pins
        install run "$(fingerprint {tmp_path}/pins)"
    """
    run = subprocess.run([BASH, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["installing", "installing"]


def test_two_installations_wait_for_each_other(tmp_path: Path) -> None:
    script = f"""
        . {ROOT}/examples/bootstrap.sh
        mkdir {tmp_path}/env
        VENV={tmp_path}/env BASE_PYTHON={sys.executable}
        install_run() {{ echo start; sleep 0.5; echo end; }}
        (install run key) &
        (install run key)
        wait
    """
    run = subprocess.run([BASH, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["start", "end"]
    assert not (tmp_path / "env.lock").exists()


def test_the_lock_of_a_killed_run_is_taken_over(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (tmp_path / "env.lock").mkdir()
    (tmp_path / "env.lock/pid").write_text(f"{ended.pid}\n")
    script = f". {ROOT}/examples/bootstrap.sh; VENV={tmp_path}/env; lock; echo taken"
    run = subprocess.run([BASH, "-c", script], capture_output=True, text=True, check=True, timeout=10)
    assert run.stdout == "taken\n"
    assert not (tmp_path / "env.lock").exists()


def test_an_interrupted_installation_is_not_stamped(tmp_path: Path) -> None:
    (tmp_path / "env").mkdir()
    script = f"""
        . {ROOT}/examples/bootstrap.sh
        VENV={tmp_path}/env BASE_PYTHON={sys.executable}
        install_run() {{ die "pip failed"; }}
        install run key
    """
    run = subprocess.run([BASH, "-c", script], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "pip failed" in run.stderr
    assert os.listdir(tmp_path) == ["env"]
    assert os.listdir(tmp_path / "env") == []


UPDATE = "apt-get update -q"


@pytest.mark.parametrize(
    ("user", "there", "fails", "called"),
    [
        ("0", [], False, [UPDATE, "apt-get install -q -y --no-install-recommends chromium chromium-driver"]),
        ("0", [], True, [UPDATE]),
        ("0", ["chromedriver"], False, []),
        ("1000", [], False, []),
    ],
)
def test_ci_prepares_a_new_machine(tmp_path: Path, user: str, there: list[str], fails: bool, called: list[str]) -> None:
    """As root without a browser it installs one; whether or not that works, the README's commands come next."""
    for folder in (".ci", "tests", "bin"):
        (tmp_path / folder).mkdir()
    shutil.copy(ROOT / ".ci/run", tmp_path / ".ci/run")
    for script in ("installed.sh", "run.sh"):
        (tmp_path / "tests" / script).write_text(f'echo "tests/{script} $*"\n')
    for tool in ("bash", "dirname", "timeout"):
        (tmp_path / "bin" / tool).symlink_to(str(shutil.which(tool)))
    put(tmp_path / "bin", "id", f"echo {user}")
    put(tmp_path / "bin", "apt-get", f'echo "apt-get $*"; exit {int(fails)}')
    for tool in there:
        put(tmp_path / "bin", tool, "exit 1")
    run = subprocess.run(
        [BASH, tmp_path / ".ci/run", "-k", "losses"],
        env={"PATH": str(tmp_path / "bin")}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert run.stdout.splitlines() == [*called, "tests/installed.sh ", "tests/run.sh -k losses"]
    assert ("cannot be installed" in run.stderr) is fails


@pytest.mark.parametrize("broken", ["installed.sh", "run.sh"])
def test_ci_fails_with_either_of_its_parts_and_runs_both(tmp_path: Path, broken: str) -> None:
    for folder in (".ci", "tests", "bin"):
        (tmp_path / folder).mkdir()
    shutil.copy(ROOT / ".ci/run", tmp_path / ".ci/run")
    for script in ("installed.sh", "run.sh"):
        (tmp_path / "tests" / script).write_text(f"echo {script}; exit {int(script == broken)}\n")
    put(tmp_path / "bin", "chromedriver", "exit 1")
    run = subprocess.run(
        [BASH, tmp_path / ".ci/run"],
        env={"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 1
    assert run.stdout.split() == ["installed.sh", "run.sh"]
    assert f"failed: tests/{broken}" in run.stderr
