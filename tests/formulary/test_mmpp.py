"""Correlated packets into a finite buffer: whole chains in many digits, renewal special cases."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capmodel.formulary import (
    loss_gim1k,
    loss_map1k,
    loss_mg1k,
    loss_mm1k,
    loss_mmpp1k,
    mean_occupancy_map1k,
    mean_occupancy_mg1k,
    mean_occupancy_mm1k,
)
from tests.oracles.finite_queues import chain_by_rates
from tests.oracles.reference import reference_values


@pytest.mark.parametrize(("p", "value"), reference_values("MMPP_M_1_K").values())
def test_reference_value(p: dict[str, Any], value: list[float]) -> None:
    assert float(loss_mmpp1k(p["l"], p["s"], p["K"], 1 / p["mu"])) == pytest.approx(
        value[0], rel=4e-14
    )


@pytest.mark.parametrize(("capacity", "value"), [(50, 0.2291048035), (400, 0.0053912677)])
def test_tabulated(capacity: int, value: float) -> None:
    assert float(loss_mmpp1k([0.0, 2.0], [0.01, 0.02], capacity)) == pytest.approx(value, rel=1e-8)


def test_fluid_limit() -> None:
    """A thousand times the rates at a thousand times the buffer: the on-off fluid."""
    found = float(loss_mmpp1k([0.0, 2000.0], [0.01, 0.02], 100_000, 1e-3))
    assert found == pytest.approx(0.11270743, rel=1e-7)


def whole_chain(
    silent: np.ndarray, arriving: np.ndarray, capacity: int, mean: float
) -> tuple[mpmath.mpf, mpmath.mpf]:
    """Loss and mean number, exponential service."""
    m = len(silent)

    def rate(i: int, j: int) -> float:
        (n, a), (k, b) = divmod(i, m), divmod(j, m)
        total = mpmath.mpf(silent[a, b]) if n == k and a != b else mpmath.mpf(0)
        if k == n + 1 or (k == n == capacity and a != b):
            total += mpmath.mpf(arriving[a, b])
        if k == n - 1 and a == b:
            total += 1 / mpmath.mpf(mean)
        return total

    pi = chain_by_rates((capacity + 1) * m, rate, 60)
    paces = [float(x) for x in arriving.sum(axis=1)]
    with mpmath.workdps(60):
        offered = mpmath.fsum(p * paces[i % m] for i, p in enumerate(pi))
        lost = mpmath.fsum(pi[capacity * m + a] * paces[a] for a in range(m))
        return lost / offered, mpmath.fsum((i // m) * p for i, p in enumerate(pi))


MAPS = [
    ([[0, 0.3], [0.1, 0]], [[0.2, 0.0], [0.0, 3.0]]),
    ([[0, 0.02], [0.0, 0]], [[0.0, 0.4], [0.9, 1.2]]),
    ([[0, 1e-6], [1e-6, 0]], [[0.1, 0.0], [0.0, 1.0]]),
    ([[0, 1, 0], [0, 0, 2], [0.5, 0, 0]], [[0, 0, 0.3], [0, 0.7, 0], [0.1, 0, 5.0]]),
]


@pytest.mark.parametrize(("silent", "arriving"), MAPS)
@pytest.mark.parametrize("mean", [1e-3, 0.3, 1.0, 4.0])
@pytest.mark.parametrize("capacity", [1, 2, 9])
def test_whole_chain(silent: Any, arriving: Any, mean: float, capacity: int) -> None:
    lost, present = whole_chain(np.array(silent, float), np.array(arriving, float), capacity, mean)
    found = float(loss_map1k(silent, arriving, capacity, mean))
    assert float(found / lost - 1) == pytest.approx(0.0, abs=3e-14)
    occupancy = float(mean_occupancy_map1k(silent, arriving, capacity, mean))
    assert float(occupancy / present - 1) == pytest.approx(0.0, abs=3e-14)


@pytest.mark.parametrize("law", ["exponential", ("erlang", 4), ("hyperexponential", 4.0)])
@pytest.mark.parametrize("load", [0.2, 0.9, 1 - 1e-9, 1.0, 1 + 1e-9, 1.3])
@pytest.mark.parametrize("capacity", [1, 2, 30, 128])
def test_poisson_is_mg1k(law: Any, load: float, capacity: int) -> None:
    """Cyclic reduction and level crossings share nothing."""
    found = float(loss_map1k([[0.0]], [[load]], capacity, 1.0, law))
    assert found == pytest.approx(float(loss_mg1k(load, capacity, law)), rel=1e-12)
    mean = float(mean_occupancy_map1k([[0.0]], [[load]], capacity, 1.0, law))
    assert mean == pytest.approx(float(mean_occupancy_mg1k(load, capacity, law)), rel=1e-12)


@pytest.mark.parametrize("load", [0.9, 1.0, 1.1])
def test_large_buffers(load: float) -> None:
    for capacity in (4096, 100_000):
        found = float(loss_map1k([[0.0]], [[load]], capacity))
        expected = float(loss_mm1k(load, capacity))
        assert found == pytest.approx(expected, rel=1e-10, abs=1e-250)
        mean = float(mean_occupancy_map1k([[0.0]], [[load]], capacity))
        assert mean == pytest.approx(float(mean_occupancy_mm1k(load, capacity)), rel=1e-10)


@pytest.mark.parametrize("load", [0.4, 0.95, 1.0, 1.6])
@pytest.mark.parametrize("capacity", [1, 5, 60])
def test_erlang_intervals_are_gim1k(load: float, capacity: int) -> None:
    silent = np.diag(np.full(3, 4 * load), 1)
    arriving = np.zeros((4, 4))
    arriving[3, 0] = 4 * load
    found = float(loss_map1k(silent, arriving, capacity))
    assert found == pytest.approx(float(loss_gim1k(load, capacity, ("erlang", 4))), rel=1e-12)


@given(
    rates=st.lists(st.floats(0.01, 50.0), min_size=2, max_size=2),
    leave=st.lists(st.floats(1e-4, 10.0), min_size=2, max_size=2),
    capacity=st.integers(1, 100_000),
    mean=st.floats(1e-3, 1e3),
)
def test_numbers_are_numbers(
    rates: list[float], leave: list[float], capacity: int, mean: float
) -> None:
    fewer, more = loss_mmpp1k(rates, leave, [capacity, capacity + 1], mean)
    offered = (rates[0] * leave[1] + rates[1] * leave[0]) / (leave[0] + leave[1])
    assert 0.0 <= more <= fewer * (1 + 1e-9) <= 1.0
    assert fewer >= (1 - 1 / (offered * mean)) - 1e-9


@pytest.mark.parametrize(
    ("silent", "arriving", "words"),
    [
        ([[0.0, 1.0]], [[1.0]], "silent_rates must be a square matrix"),
        ([[0.0]], [[1.0, 0.0], [0.0, 1.0]], "arrival_rates must have the shape"),
        ([[0.0]], [[0.0]], "arrival_rates must have a positive entry"),
        ([[0.0]], [[-1.0]], "arrival_rates must be 0 or more"),
        ([[0.0, 1.0], [0.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]], "connect every phase"),
    ],
)
def test_refused_arrivals(silent: Any, arriving: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        loss_map1k(silent, arriving, 4)


def test_shapes_and_refusals() -> None:
    assert loss_mmpp1k([0.5, 2.0], [0.1, 0.2], [[1], [5]], [0.5, 1.0, 2.0]).shape == (2, 3)
    with pytest.raises(ValueError, match="service must be of phase type"):
        loss_map1k([[0.0]], [[1.0]], 4, 1.0, "deterministic")
    with pytest.raises(ValueError, match="switching must have a row"):
        loss_mmpp1k([1.0, 2.0, 3.0], [0.1, 0.2], 4)
    with pytest.raises(ValueError, match="at most 200 phases"):
        loss_map1k(np.ones((2, 2)), np.ones((2, 2)), 4, 1.0, ("erlang", 101))
