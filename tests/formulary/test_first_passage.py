"""Brownian first passages against scipy's inverse Gaussian, symmetry, and the queue they limit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from capmodel.formulary import (
    first_passage_cdf_brownian,
    first_passage_quantile_brownian,
    mean_overflow_time_diffusion,
    overflow_time_cdf_diffusion,
    overflow_time_quantile_diffusion,
    overflow_time_quantile_mm1k,
)

POINTS = [(1.0, 1.0, 1.0), (40.0, 2.0, 0.5), (5.0, 0.4, 2.0)]


@pytest.mark.parametrize(("distance", "drift", "variance"), POINTS)
def test_inverse_gaussian(distance: float, drift: float, variance: float) -> None:
    mean, shape = distance / drift, distance**2 / variance
    law = stats.invgauss(mu=mean / shape, scale=shape)
    times = mean * np.array([0.05, 0.3, 1.0, 2.0, 20.0])
    np.testing.assert_allclose(
        first_passage_cdf_brownian(times, distance, drift, variance), law.cdf(times), rtol=1e-10
    )
    p = np.array([1e-6, 0.05, 0.5, 0.95, 0.9999])
    np.testing.assert_allclose(
        first_passage_quantile_brownian(p, distance, drift, variance), law.ppf(p), rtol=1e-9
    )


@pytest.mark.parametrize(("distance", "drift", "variance"), POINTS)
def test_drift_turned_round(distance: float, drift: float, variance: float) -> None:
    """Against the drift the law is the same, times the chance of getting there at all."""
    times = np.array([0.1, 1.0, 10.0])
    there = np.exp(-2.0 * drift * distance / variance)
    np.testing.assert_allclose(
        first_passage_cdf_brownian(times, distance, -drift, variance),
        there * first_passage_cdf_brownian(times, distance, drift, variance),
        rtol=1e-11, atol=1e-300,
    )  # fmt: skip
    assert first_passage_quantile_brownian(1.01 * there, distance, -drift, variance) == np.inf


def test_without_drift_it_is_reflection() -> None:
    """P(T <= t) = 2 P(W_t > d)."""
    found = first_passage_cdf_brownian([0.5, 4.0], 2.0, 0.0, 3.0)
    expected = 2.0 * stats.norm.sf(2.0 / np.sqrt(3.0 * np.array([0.5, 4.0])))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_reflected_at_zero_without_drift_is_a_theta_series() -> None:
    """Survival is a sum over the odd eigenvalues of the interval."""
    time, barrier, variance = 30.0, 10.0, 2.0
    k = np.arange(60)
    rate = 0.5 * variance * ((k + 0.5) * np.pi / barrier) ** 2
    survival = np.sum((-1.0) ** k * 4.0 / ((2 * k + 1) * np.pi) * np.exp(-rate * time))
    found = float(overflow_time_cdf_diffusion(time, barrier, 0.0, variance))
    assert found == pytest.approx(1.0 - survival, abs=1e-9)


@pytest.mark.parametrize("load", [0.95, 0.99, 1.0, 1.02, 1.1])
@pytest.mark.parametrize("capacity", [30, 100, 1000])
def test_stated_error_as_a_limit_of_mm1k(load: float, capacity: int) -> None:
    p = np.array([0.01, 0.5, 0.99])
    exact = overflow_time_quantile_mm1k(p, load, capacity)
    near = overflow_time_quantile_diffusion(p, capacity + 1.5, load - 1.0, load + 1.0, 0.5)
    allowed = 0.007 + max(1.0 - load, 0.0) ** 3 * capacity / 11.0
    assert np.abs(near / exact - 1.0).max() < allowed


@given(
    st.floats(0.5, 50.0), st.floats(-0.5, 2.0), st.floats(0.1, 3.0), st.floats(0.05, 0.95),
    st.floats(0.0, 0.9),
)  # fmt: skip
def test_laws(barrier: float, drift: float, variance: float, p: float, started: float) -> None:
    """A nearer barrier comes first, and reflection only helps."""
    if drift * barrier / variance < -100.0:
        return
    mean = float(mean_overflow_time_diffusion(barrier, drift, variance))
    cdf = float(overflow_time_cdf_diffusion(mean, barrier, drift, variance))
    assert float(overflow_time_cdf_diffusion(mean, 1.2 * barrier, drift, variance)) <= cdf + 1e-8
    assert (
        float(overflow_time_cdf_diffusion(mean, barrier, drift, variance, started * barrier))
        >= cdf - 1e-8
    )
    assert float(first_passage_cdf_brownian(mean, barrier, drift, variance)) <= cdf + 1e-8
    time = float(overflow_time_quantile_diffusion(p, barrier, drift, variance))
    assert float(overflow_time_cdf_diffusion(time, barrier, drift, variance)) == pytest.approx(
        p, abs=1e-8
    )


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="distance must be positive"):
        first_passage_cdf_brownian(1.0, 0.0, 1.0, 1.0)
    with pytest.raises(ValueError, match="level must be below the barrier"):
        mean_overflow_time_diffusion(2.0, 1.0, 1.0, 2.0)
    with pytest.raises(ValueError, match="barrier must be nearer"):
        overflow_time_cdf_diffusion(1.0, 1e6, -1.0, 1.0)
    assert mean_overflow_time_diffusion(1e6, -1.0, 1.0) == np.inf
