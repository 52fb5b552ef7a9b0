"""The weight's course over the updates."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.losses.schedule import WeightSchedule


def course(schedule: WeightSchedule, *updates: int) -> list[float]:
    return [schedule(n) for n in updates]


def test_constant() -> None:
    schedule = WeightSchedule(0.3)
    assert course(schedule, 0, 1, 10**6) == [0.3, 0.3, 0.3]
    assert not schedule.varies


def test_warm_up_is_linear_from_zero() -> None:
    schedule = WeightSchedule(2.0, warmup_updates=4)
    assert course(schedule, 0, 1, 2, 3, 4, 5, 100) == [0, 0.5, 1, 1.5, 2, 2, 2]
    assert schedule.varies
    assert WeightSchedule(2.0, warmup_updates=1).varies


def test_linear_decay_counts_from_the_end_of_the_warm_up() -> None:
    schedule = WeightSchedule(1.0, "linear", warmup_updates=2, decay_updates=4)
    assert course(schedule, 0, 1, 2, 3, 4, 5, 6, 7) == [0, 0.5, 1, 0.75, 0.5, 0.25, 0, 0]


def test_inverse_square_root() -> None:
    schedule = WeightSchedule(1.0, "inverse-sqrt", warmup_updates=4)
    assert course(schedule, 2, 4, 16, 400) == [0.5, 1, 0.5, 0.1]
    assert course(WeightSchedule(1.0, "inverse-sqrt"), 0, 1, 4) == [1, 1, 0.5]


def test_stop_is_the_first_update_without_guidance() -> None:
    schedule = WeightSchedule(1.0, stop_updates=3)
    assert course(schedule, 2, 3, 4) == [1, 0, 0]
    assert schedule.varies
    assert course(WeightSchedule(1.0, stop_updates=0), 0) == [0]


@given(
    st.floats(0, 1e6),
    st.sampled_from(["constant", "linear", "inverse-sqrt"]),
    st.integers(0, 50),
    st.integers(1, 50),
    st.none() | st.integers(0, 80),
    st.integers(0, 200),
)
def test_the_weight_stays_between_zero_and_the_full_one(
    weight: float, decay: str, warmup: int, down: int, stop: int | None, n: int
) -> None:
    schedule = WeightSchedule(weight, decay, warmup, down if decay == "linear" else 0, stop)
    assert 0 <= schedule(n) <= weight
    if n >= warmup:
        assert schedule(n + 1) <= schedule(n)
    if not schedule.varies:
        assert schedule(n) == weight


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"weight": -1.0}, "weight"),
        ({"weight": math.nan}, "weight"),
        ({"weight": math.inf}, "weight"),
        ({"weight": 1.0, "warmup_updates": -1}, "warmup-updates"),
        ({"weight": 1.0, "decay": "linear"}, "decay-updates"),
        ({"weight": 1.0, "decay_updates": 5}, "decay-updates"),
        ({"weight": 1.0, "decay": "inverse-sqrt", "decay_updates": 5}, "decay-updates"),
        ({"weight": 1.0, "stop_updates": -1}, "stop-updates"),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict, named: str) -> None:
    with pytest.raises(GuidedAlignError, match=f"--guided-alignment-{named}: expected"):
        WeightSchedule(**options)
