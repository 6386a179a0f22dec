"""The mean depth of a sleep against quadrature, its limits, and between its two expressions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from capmodel.formulary import mean_sleep_depth


@pytest.mark.parametrize("gap", [1e-3, 0.2, 0.4999, 0.5001, 1.0, 7.0, 60.0])
@pytest.mark.parametrize("settle", [0.3, 1.0, 5.0])
def test_it_is_the_mean_over_the_gap(gap: float, settle: float) -> None:
    mean, _ = quad(lambda t: -math.expm1(-t / settle), 0.0, gap, epsabs=0.0, epsrel=1e-12)
    assert float(mean_sleep_depth(gap, settle)) == pytest.approx(mean / gap, rel=1e-11)


def test_limits() -> None:
    assert float(mean_sleep_depth(0.0, 1.0)) == 0.0
    assert float(mean_sleep_depth(3.0, 0.0)) == 1.0  # at once
    assert float(mean_sleep_depth(1e9, 1.0)) == pytest.approx(1.0 - 1e-9, rel=1e-15)
    # to first order half of the gap over the time
    assert float(mean_sleep_depth(1e-200, 1.0)) == pytest.approx(0.5e-200, rel=1e-15)


@given(st.floats(0.0, 1e3), st.floats(1e-6, 1e3), st.floats(1.0, 10.0))
def test_longer_gaps_are_deeper_and_all_depths_are_shares(
    gap: float, settle: float, factor: float
) -> None:
    shallow, deep = mean_sleep_depth(np.array([gap, gap * factor]), settle)
    assert 0.0 <= shallow <= deep * (1.0 + 1e-14)
    assert deep <= 1.0
