"""Which process of a run this is, by the variables of torchrun and SLURM, and which lines it takes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairseq_guided_align.errors import AlignmentLengthError, GuidedAlignError
from fairseq_guided_align.files.processes import Process, this_process
from fairseq_guided_align.files.shares import (
    check_can_be_joined,
    check_can_be_shared,
    share_in_a_row,
    share_of,
    share_of_files,
)

TORCHRUN = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "MASTER_ADDR": "host", "MASTER_PORT": "29400"}
SLURM = {
    "SLURM_PROCID": "5", "SLURM_NTASKS": "8", "SLURM_LOCALID": "1", "SLURM_JOB_ID": "77", "SLURM_STEP_ID": "2"
}  # fmt: skip


def test_torchrun_and_slurm_say_which_process_this_is() -> None:
    assert this_process({}) == Process() == Process(0, 1, 0, None)
    assert this_process(TORCHRUN) == Process(3, 4, 1)
    assert this_process(SLURM) == Process(5, 8, 1, "77-2-0")
    assert this_process({**SLURM, "SLURM_RESTART_COUNT": "1"}) == Process(5, 8, 1, "77-2-1")
    # A task that starts torchrun
    assert this_process({**SLURM, **TORCHRUN}) == Process(3, 4, 1)
    # A batch script that runs the command by itself, and variables of something else
    for names, left_out in ((SLURM, "SLURM_STEP_ID"), (TORCHRUN, "MASTER_ADDR"), (TORCHRUN, "RANK")):
        assert this_process({name: value for name, value in names.items() if name != left_out}) == Process()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("RANK", "4", "RANK: expected a number below WORLD_SIZE, which is 4; got 4"),
        ("RANK", "-1", "RANK: expected the whole number that torchrun or srun sets; got '-1'"),
        ("WORLD_SIZE", "0", "which is 0"),
        ("LOCAL_RANK", "first", "LOCAL_RANK: expected the whole number"),
    ],
)
def test_other_values_are_refused(name: str, value: str, message: str) -> None:
    with pytest.raises(GuidedAlignError, match=message):
        this_process({**TORCHRUN, name: value})


@given(st.integers(0, 3000), st.integers(1, 7), st.integers(1, 40))
def test_shares_are_the_lines_in_their_order(lines: int, processes: int, block: int) -> None:
    shares = [share_of(lines, Process(number, processes), block) for number in range(processes)]
    assert [line for share in shares for line in share] == list(range(lines))
    sizes = [len(share) for share in shares]
    if lines >= 10 * block * processes:
        assert all(share.start % block == 0 for share in shares)
        assert max(sizes) - min(sizes) <= 2 * block
        assert max(sizes) <= 1.2 * lines / processes
    else:
        assert max(sizes) - min(sizes) <= 1


def test_shares_of_files(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("\n" * 5)
    (tmp_path / "b").write_text("x\n" * 4 + "x")
    (tmp_path / "c").write_text("x\n")
    a, b, c = (tmp_path / name for name in "abc")
    assert share_of_files([a, b], Process(1, 2), 10) == range(2, 5)
    assert share_in_a_row([a, b], Process(1, 2)) == range(5, 10)
    assert share_of_files([a, c], Process(), 10) is share_in_a_row([a, c], Process()) is None
    with pytest.raises(AlignmentLengthError, match=r"a has 5, .*c has 1"):
        share_of_files([a, c], Process(0, 2), 10)


def test_what_cannot_be_shared(tmp_path: Path) -> None:
    file, several = tmp_path / "file", Process(0, 2)
    for path in ("/dev/stdout", "/dev/null", str(tmp_path)):
        with pytest.raises(GuidedAlignError, match=f"--output: expected a file, .*; got {path}"):
            check_can_be_joined(path, "--output", several)
        check_can_be_joined(path, "--output", Process())
    with pytest.raises(GuidedAlignError, match=r"/dev/stdin: expected a file, .* got a pipe"):
        check_can_be_shared("/dev/stdin", several)
    check_can_be_shared("/dev/stdin", Process())
    for _ in range(2):
        check_can_be_joined(file, "--output", several)
        check_can_be_shared(file, several)
        file.touch()
