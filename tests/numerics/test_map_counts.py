"""Modulated Poisson processes from counts: against the exponential of a block matrix."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.linalg import expm

from capmodel.numerics.arrival_process import MAP
from capmodel.numerics.map_counts import (
    fit_dispersion,
    least_skewness,
    mmpp2_of_counts,
    relaxation_rate,
    settled,
    skewness_of,
    third_moment,
)


def central_moments(process: MAP, window: float) -> tuple[float, float, float]:
    """Mean, variance and third central moment of a count, from its factorial moments."""
    m, n = process.order, 4
    moves = process.silent + process.arriving
    generator = moves - np.diag(moves.sum(axis=1))
    blocks = np.kron(np.eye(n), generator) + np.kron(np.eye(n, k=1), process.arriving)
    found = expm(blocks * window)
    f1, f2, f3 = (
        math.factorial(k) * float(process.shares @ found[:m, k * m : k * m + m].sum(axis=1))
        for k in (1, 2, 3)
    )
    second, third = f2 + f1, f3 + 3 * f2 + f1
    return f1, second - f1**2, third - 3 * f1 * second + 2 * f1**3


@pytest.mark.parametrize("skewness", [0.3, 0.0, -0.3, 2.0])
@pytest.mark.parametrize("window", [0.05, 0.29, 0.31, 1.0, 8.0])
def test_third_moments(skewness: float, window: float) -> None:
    process = mmpp2_of_counts(4.0, 1.5, 1.0, skewness)
    mean, variance, third = central_moments(process, window)
    assert mean == pytest.approx(4.0 * window, rel=1e-9)
    assert variance / mean == pytest.approx(1 + 0.5 * float(settled(np.array(window))), rel=1e-9)
    assert third == pytest.approx(third_moment(4.0, 1.5, 1.0, skewness, window), rel=1e-7)
    assert skewness_of(4.0, 1.5, 1.0, window, third) == pytest.approx(skewness, abs=1e-5)


@given(st.floats(1e-3, 1e7), st.floats(1.001, 1e5), st.floats(1e-3, 1e5), st.floats(0.0, 20.0))
def test_what_is_asked_for_is_got(rate: float, limit: float, pace: float, more: float) -> None:
    least = least_skewness(rate, limit, pace)
    assume(abs(least) < 50.0)  # beyond it the moments below lose their own digits
    process = mmpp2_of_counts(rate, limit, pace, least + more)
    assert process.rate == pytest.approx(rate, rel=1e-9)
    assert process.dispersion_limit == pytest.approx(limit, rel=1e-6)
    assert process.silent.sum() == pytest.approx(pace, rel=1e-9)
    shares, rates = process.shares, process.phase_rates
    variance = float(shares @ (rates - rate) ** 2)
    third = float(shares @ (rates - rate) ** 3)
    assert third / variance**1.5 == pytest.approx(least + more, rel=1e-6, abs=1e-6)
    if more == 0.0:
        assert rates.min() == pytest.approx(0.0, abs=1e-9 * rate)


@given(st.floats(1e-6, 1e6), st.floats(1.01, 1e6), st.floats(1e-4, 0.999))
def test_the_dispersion_passes_through_the_point(window: float, limit: float, part: float) -> None:
    dispersion = 1.0 + part * (limit - 1.0)
    pace = relaxation_rate(window, dispersion, limit)
    process = mmpp2_of_counts(10.0 * pace, limit, pace)
    assert float(process.dispersion(window)) - 1.0 == pytest.approx(dispersion - 1.0, rel=1e-8)


@given(st.floats(1.5, 1e5), st.floats(-3.0, 3.0))
def test_a_measured_curve_is_followed(limit: float, log: float) -> None:
    windows, pace = np.logspace(-3, 3, 13), 10.0**log
    found = fit_dispersion(windows, 1.0 + (limit - 1.0) * settled(pace * windows))
    np.testing.assert_allclose(found, (limit, pace), rtol=1e-3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mmpp2_of_counts(0.0, 2.0, 1.0), "rate must be finite and above 0"),
        (lambda: mmpp2_of_counts(1.0, 1.0, 1.0), "limit must be finite and above 1"),
        (lambda: mmpp2_of_counts(1.0, 2.0, math.nan), "relaxation must be finite and above 0"),
        (lambda: mmpp2_of_counts(2.0, 5.0, 1.0, -0.1), "skewness must be at least 0"),
        (lambda: relaxation_rate(1.0, 2.0, 2.0), "dispersion must lie between 1 and limit"),
        (lambda: relaxation_rate(0.0, 2.0, 3.0), "window must be positive and finite"),
    ],
)
def test_refusals(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
