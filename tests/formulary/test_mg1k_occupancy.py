"""Numbers and times in M/G/1/K."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest

from capmodel.formulary import (
    loss_mg1k,
    mean_occupancy_mg1k,
    mean_sojourn_time_mg1k,
    occupancy_mg1k,
    occupancy_mm1k,
    occupancy_quantile_mg1k,
)
from tests.oracles.finite_queues import mg1k_left

LAWS = ["deterministic", "exponential", ("erlang", 3), ("hyperexponential", 6.0)]


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("load", [0.01, 0.6, 1.0, 1 + 1e-9, 2.5])
@pytest.mark.parametrize("capacity", [1, 2, 9, 30])
def test_textbook_recursion(law: Any, load: float, capacity: int) -> None:
    left = mg1k_left(law, load, capacity, 200)
    carried = 1 / (mpmath.mpf(load) + left[0])
    expected = [float(p * carried) for p in left]
    found = occupancy_mg1k(np.arange(capacity + 2), load, capacity, law)
    np.testing.assert_allclose(found[:capacity], expected, rtol=2e-13)
    assert found[capacity] == pytest.approx(float(loss_mg1k(load, capacity, law)), rel=1e-13)
    assert found[capacity + 1] == 0.0
    assert found.sum() == pytest.approx(1.0, rel=1e-13)


@pytest.mark.parametrize("load", [0.5, 0.999, 1.0, 1.3, 40.0])
def test_exponential_is_mm1k(load: float) -> None:
    n = np.array([0, 1, 5, 200, 2000, 4096])
    expected = occupancy_mm1k(n, load, 4096)
    np.testing.assert_allclose(
        occupancy_mg1k(n, load, 4096, "exponential"), expected, 1e-11, 1e-300
    )


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("load", [0.2, 0.95, 1.0, 1.5, 700.0])
def test_both_ways_to_the_loss_agree(law: Any, load: float) -> None:
    """All probabilities one by one, or sums only: two algorithms."""
    for capacity in [1, 2, 100, 1000]:
        last = float(occupancy_mg1k(capacity, load, capacity, law))
        assert last == pytest.approx(float(loss_mg1k(load, capacity, law)), rel=2e-12, abs=1e-290)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("load", [0.3, 1.0, 3.0])
def test_little(law: Any, load: float) -> None:
    for capacity in [1, 5, 400]:
        carried = load / 2.0 * (1 - float(loss_mg1k(load, capacity, law)))
        time = float(mean_sojourn_time_mg1k(load, capacity, 2.0, law))
        present = float(mean_occupancy_mg1k(load, capacity, law))
        assert carried * time == pytest.approx(present, rel=1e-12)


@pytest.mark.parametrize(("law", "scv"), [(LAWS[0], 0.0), (LAWS[2], 1 / 3), (LAWS[3], 6.0)])
def test_pollaczek_khinchine_in_a_large_buffer(law: Any, scv: float) -> None:
    expected = 0.8 + 0.8**2 * (1 + scv) / 2 / 0.2
    assert float(mean_occupancy_mg1k(0.8, 3000, law)) == pytest.approx(expected, rel=1e-11)


def test_quantiles() -> None:
    for law in LAWS:
        below = np.cumsum(occupancy_mg1k(np.arange(51), 0.9, 50, law))
        for p in [0.01, 0.3, 0.9, 0.9999]:
            level = int(occupancy_quantile_mg1k(p, 0.9, 50, law))
            assert below[level] >= p > (below[level - 1] if level else 0.0)


def test_nothing_offered() -> None:
    assert occupancy_mg1k([0, 1], 0.0, 4).tolist() == [1.0, 0.0]
    assert float(mean_sojourn_time_mg1k(0.0, 4, 5.0)) == 5.0
    assert float(mean_occupancy_mg1k(0.0, 1)) == 0.0


def test_shape_and_refusals() -> None:
    assert mean_occupancy_mg1k([[0.5], [1.5]], [1, 20, 300]).shape == (2, 3)
    with pytest.raises(ValueError, match="capacity must be a whole number from 1 to 1000000"):
        mean_occupancy_mg1k(0.5, 2_000_000)
    with pytest.raises(ValueError, match="service"):
        mean_occupancy_mg1k(0.5, 2, "constant")
    with pytest.raises(ValueError, match="packets"):
        occupancy_mg1k(-1, 0.5, 3)
