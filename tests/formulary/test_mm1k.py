"""M/M/1/K: exact fractions, many digits, and the laws of queues."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capmodel.formulary import (
    loss_mm1k,
    mean_occupancy_mm1k,
    occupancy_mm1k,
    occupancy_quantile_mm1k,
)
from tests.oracles.chains import mm1k_loss
from tests.oracles.reference import reference_values

LOADS = [
    0.0,
    1e-12,
    1e-3,
    0.5,
    0.95,
    1 - 1e-9,
    1 - 2**-53,
    1.0,
    1 + 2**-52,
    1 + 1e-9,
    1.2,
    50.0,
    1e6,
]


@pytest.mark.parametrize(("p", "value"), reference_values("MM1K_loss").values())
def test_reference_values(p: dict[str, Any], value: list[float]) -> None:
    assert float(loss_mm1k(p["rho"], p["K"])) == pytest.approx(value[0], rel=1e-12)


@pytest.mark.parametrize("load", LOADS)
@pytest.mark.parametrize("capacity", [1, 2, 3, 10, 64])
def test_exact_fractions(load: float, capacity: int) -> None:
    rho = Fraction(load)
    weight = [rho**n for n in range(capacity + 1)]
    total = sum(weight)
    assert float(loss_mm1k(load, capacity)) == pytest.approx(
        float(mm1k_loss(rho, capacity)), rel=2e-14, abs=1e-300
    )
    mean = sum(n * w for n, w in enumerate(weight)) / total
    assert float(mean_occupancy_mm1k(load, capacity)) == pytest.approx(float(mean), rel=4e-15)
    found = occupancy_mm1k(np.arange(capacity + 1), load, capacity)
    expected = [float(w / total) for w in weight]
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-300)


@pytest.mark.parametrize("load", [0.9, 0.99, 1 - 1e-9, 1 + 1e-9, 1.01, 3.0])
@pytest.mark.parametrize("capacity", [4096, 100_000, 10_000_000])
def test_many_digits(load: float, capacity: int) -> None:
    with mpmath.workdps(60):
        rho, n = mpmath.mpf(load), capacity + 1
        loss = rho**capacity * (1 - rho) / (1 - rho**n)
        mean = rho / (1 - rho) - n * rho**n / (1 - rho**n)
        if loss > mpmath.mpf(10) ** -290:
            assert float(loss_mm1k(load, capacity) / loss - 1) == pytest.approx(0.0, abs=3e-13)
        assert float(mean_occupancy_mm1k(load, capacity) / mean - 1) == pytest.approx(0, abs=1e-13)


def test_losses_of_a_googolth() -> None:
    for load, capacity in [(1e-100, 2), (1e-50, 4), (1e-20, 10), (0.1, 200), (0.5, 660)]:
        with mpmath.workdps(60):
            rho = mpmath.mpf(load)
            loss = rho**capacity * (1 - rho) / (1 - rho ** (capacity + 1))
            assert float(loss_mm1k(load, capacity) / loss - 1) == pytest.approx(0.0, abs=2e-13)


@pytest.mark.parametrize("load", [0.3, 0.999, 1.0, 1.001, 4.0])
@pytest.mark.parametrize("capacity", [1, 7, 200])
def test_quantile_is_the_first_level_that_reaches(load: float, capacity: int) -> None:
    below = np.cumsum(occupancy_mm1k(np.arange(capacity + 1), load, capacity))
    for p in [1e-6, 0.1, 0.5, 0.9, 0.999, 1 - 1e-12]:
        level = int(occupancy_quantile_mm1k(p, load, capacity))
        assert below[level] >= p * (1 - 1e-12)
        assert level == 0 or below[level - 1] < p * (1 + 1e-12)


@given(
    load=st.floats(0.0, 1e9),
    capacity=st.integers(1, 10_000_000),
    p=st.floats(1e-9, 1 - 1e-9),
)
def test_numbers_are_numbers(load: float, capacity: int, p: float) -> None:
    loss, more = loss_mm1k(load, [capacity, capacity + 1 if capacity < 10_000_000 else capacity])
    assert 0.0 <= more <= loss <= 1.0
    assert 0.0 <= float(mean_occupancy_mm1k(load, capacity)) <= capacity
    assert 0 <= float(occupancy_quantile_mm1k(p, load, capacity)) <= capacity


@given(load=st.floats(1e-6, 1e3), capacity=st.integers(2, 1000))
def test_rate_in_is_rate_out(load: float, capacity: int) -> None:
    """Carried load is the probability of a busy server."""
    busy = float(np.sum(occupancy_mm1k(np.arange(1, capacity + 1), load, capacity)))
    carried = load * float(np.sum(occupancy_mm1k(np.arange(capacity), load, capacity)))
    assert busy == pytest.approx(carried, rel=1e-12)


def test_broadcasting() -> None:
    assert loss_mm1k([[0.5], [2.0]], [1, 2, 3]).shape == (2, 3)
    assert np.ndim(loss_mm1k(0.5, 3)) == 0
    assert occupancy_mm1k(np.arange(5), 0.5, 3)[4] == 0.0


@pytest.mark.parametrize(
    ("load", "capacity", "words"),
    [
        (-0.1, 3, "offered_load must be from 0 to 1e9, not -0.1"),
        (np.nan, 3, "offered_load"),
        (np.inf, 3, "offered_load"),
        (0.5, 0, "capacity must be a whole number from 1 to 10000000, not 0"),
        (0.5, 2.5, "capacity .* not 2.5"),
        (0.5, 1e8, "capacity"),
        (0.5, np.nan, "capacity"),
    ],
)
def test_refusals(load: float, capacity: float, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        loss_mm1k(load, capacity)
    with pytest.raises(ValueError, match="probability_below"):
        occupancy_quantile_mm1k(1.0, 0.5, 3)
