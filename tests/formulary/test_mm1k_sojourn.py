"""Time in M/M/1/K: mixtures of Erlang laws summed in many digits, and Little's law."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capmodel.formulary import (
    loss_mm1k,
    mean_occupancy_mm1k,
    mean_sojourn_time_mm1k,
    sojourn_time_quantile_mm1k,
    sojourn_time_survival_mm1k,
)


def survival(time: float, load: float, capacity: int) -> mpmath.mpf:
    """Each number found, weighted, times P(so many and one services last longer)."""
    t, rho = mpmath.mpf(time), mpmath.mpf(load)
    erlang, term, weight, above, total = mpmath.mpf(0), mpmath.exp(-t), mpmath.mpf(1), 0, 0
    for j in range(capacity):
        erlang += term  # P(fewer than j + 1 services by t)
        above += weight * erlang
        total += weight
        term *= t / (j + 1)
        weight *= rho
    return above / total


@pytest.mark.parametrize("load", [0.0, 0.3, 1 - 1e-9, 1.0, 1 + 1e-9, 1.3, 1e3])
@pytest.mark.parametrize("capacity", [1, 2, 10, 100])
@pytest.mark.parametrize("time", [0.0, 1e-3, 1.0, 8.0, 90.0, 300.0])
def test_survival(load: float, capacity: int, time: float) -> None:
    with mpmath.workdps(50):
        expected = survival(time, load, capacity)
        found = float(sojourn_time_survival_mm1k(time, load, capacity))
        assert found == pytest.approx(float(expected), rel=2e-13)


@pytest.mark.parametrize("load", [0.9, 1.0, 1.1])
@pytest.mark.parametrize("p", [0.01, 0.5, 0.99, 0.999999])
def test_percentiles_of_a_large_buffer(load: float, p: float) -> None:
    quantile = float(sojourn_time_quantile_mm1k(p, load, 4096, 1e-6))
    with mpmath.workdps(50):
        assert float(1 - survival(quantile * 1e6, load, 4096)) == pytest.approx(p, rel=1e-11)
        tail = float(survival(quantile * 1e6, load, 4096))
    assert tail == pytest.approx(1 - p, rel=1e-9)


def test_ten_million_places() -> None:
    """Overloaded: an accepted packet waits for nearly K services, normally spread."""
    quantile = float(sojourn_time_quantile_mm1k(0.5, 2.0, 10_000_000))
    assert quantile == pytest.approx(1e7, rel=1e-6)
    assert float(sojourn_time_quantile_mm1k(0.5, 0.5, 10_000_000)) == pytest.approx(
        2 * np.log(2), rel=1e-12
    )  # the time in M/M/1 is exponential


@pytest.mark.parametrize("load", [0.2, 0.99999, 1.0, 1.5, 1e6])
@pytest.mark.parametrize("capacity", [1, 2, 30, 4096])
def test_little(load: float, capacity: int) -> None:
    loss, present = float(loss_mm1k(load, capacity)), float(mean_occupancy_mm1k(load, capacity))
    time = float(mean_sojourn_time_mm1k(load, capacity, 3.0))
    assert load / 3.0 * (1 - loss) * time == pytest.approx(present, rel=1e-9)


def test_mean_is_the_integral_of_the_survival() -> None:
    times = np.linspace(0.0, 120.0, 2_401)
    values = sojourn_time_survival_mm1k(times, 1.1, 12)
    assert np.trapezoid(values, times) == pytest.approx(
        float(mean_sojourn_time_mm1k(1.1, 12)), rel=2e-4
    )


@given(time=st.floats(0.0, 1e5), load=st.floats(0.0, 1e6), capacity=st.integers(1, 100_000))
def test_numbers_are_numbers(time: float, load: float, capacity: int) -> None:
    now, later = sojourn_time_survival_mm1k([time, 1.5 * time + 1.0], load, capacity)
    assert 0.0 <= later <= now * (1 + 1e-13) <= 1.0 + 1e-13


def test_refusals() -> None:
    with pytest.raises(ValueError, match="time must be 0 or more"):
        sojourn_time_survival_mm1k(-1.0, 0.5, 3)
    with pytest.raises(ValueError, match="service_time must be positive"):
        mean_sojourn_time_mm1k(0.5, 3, 0.0)
