"""Ratios of sums in fairseq's log: their value, how they are printed and how they are kept."""

from __future__ import annotations

import pickle
from types import SimpleNamespace

import numpy as np
import pytest

from fairseq_guided_align.training.log_values import SixDecimals, ratio


def test_six_decimals_where_fairseq_prints_three() -> None:
    value = SixDecimals(0.1234567)
    assert (f"{value:g}", f"{value:.2f}") == ("0.123457", "0.12")
    assert f"{SixDecimals(0):g}" == "0.000000"


def test_a_checkpoint_holds_a_number_of_numpys() -> None:
    kept = pickle.loads(pickle.dumps(SixDecimals(0.25)))
    assert (type(kept), kept) == (np.float64, 0.25)


@pytest.mark.parametrize(
    ("above", "below", "scale", "wanted"),
    [(1.0, 3.0, 1.0, 0.333333), (2.0, 3, 100.0, 66.666667), (5.0, 0, 1.0, 0.0), (0.0, 4, 1.0, 0.0)],
)
def test_ratio_of_sums(above: float, below: float, scale: float, wanted: float) -> None:
    meters = {"a": SimpleNamespace(sum=above), "b": SimpleNamespace(sum=below)}
    value = ratio("a", "b", scale)(meters)
    assert value == wanted
    assert isinstance(value, SixDecimals)
    if scale == 1:
        assert ratio("a", "b")(meters) == wanted
