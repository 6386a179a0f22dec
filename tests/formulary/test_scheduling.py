"""The random environment against its stationary law and an integrated autocovariance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import dblquad

from capmodel.formulary import environment_mean, environment_variance

shares = st.floats(0.0, 1.0)
rates = st.floats(1e-3, 1e3)


@given(shares, shares, rates, rates)
def test_mean_by_the_stationary_flow(same: float, split: float, leave: float, back: float) -> None:
    """Time on the one core times the rate of leaving it equals the other way round."""
    chain = np.array([[-leave, leave], [back, -back]])
    time = np.linalg.lstsq(np.vstack([chain.T, [1.0, 1.0]]), np.array([0.0, 0.0, 1.0]), rcond=None)[
        0
    ]
    expected = float(time @ [same, split])
    assert float(environment_mean(same, split, leave, back)) == pytest.approx(
        expected, rel=1e-9, abs=1e-12
    )


@pytest.mark.parametrize("duration", [1e-3, 0.5, 20.0, 300.0])
def test_variance_by_integration(duration: float) -> None:
    """Var of the mean over T: the autocovariance D^2 p (1-p) exp(-(a+b)|t-u|), integrated twice."""
    leave, back = 1 / 20.0, 1 / 30.0
    share = back / (leave + back)
    height = (0.75 - 0.92) ** 2 * share * (1 - share)
    half, _ = dblquad(
        lambda u, t: height * np.exp(-(leave + back) * (t - u)), 0.0, duration, 0.0, lambda t: t
    )
    found = float(environment_variance(0.75, 0.92, leave, back, duration))
    assert found == pytest.approx(2.0 * half / duration**2, rel=1e-8)


def test_variance_by_drawing_runs() -> None:
    rng = np.random.default_rng(8)
    leave, back, length = 0.05, 1 / 30.0, 100.0
    means = []
    for _ in range(4000):
        now, value, same = 0.0, 0.0, rng.random() < back / (leave + back)
        while now < length:
            stay = min(rng.exponential(1 / (leave if same else back)), length - now)
            value += stay * (0.75 if same else 0.92)
            now, same = now + stay, not same
        means.append(value / length)
    expected = float(environment_variance(0.75, 0.92, leave, back, length)) ** 0.5
    assert np.std(means) == pytest.approx(expected, rel=0.05)
    assert np.mean(means) == pytest.approx(
        float(environment_mean(0.75, 0.92, leave, back)), abs=5 * expected / 4000**0.5
    )


@given(shares, shares, rates, rates)
def test_variance_limits(same: float, split: float, leave: float, back: float) -> None:
    share = back / (leave + back)
    bernoulli = (same - split) ** 2 * share * (1 - share)
    sticky = float(environment_variance(same, split, leave, back, 1e-9 / (leave + back)))
    assert sticky == pytest.approx(bernoulli, rel=1e-6, abs=1e-300)
    long = float(environment_variance(same, split, leave, back, 1e9 / (leave + back)))
    assert long <= bernoulli * 3e-9


def test_variance_is_smooth_where_its_series_begins() -> None:
    lengths = np.array([0.999e-3, 1.001e-3])
    low, high = environment_variance(0.0, 1.0, 0.5, 0.5, lengths)
    assert low == pytest.approx(high, rel=1e-6)
    assert low > high
