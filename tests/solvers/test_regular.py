"""A single stage at constant intervals against other ways to the same numbers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import expm
from scipy.optimize import brentq

from capmodel.numerics.phase_type import PhaseType
from capmodel.path import Arrivals, CapturePath
from capmodel.solvers import exact, select, simulation
from capmodel.solvers._regular import regular_single
from tests.oracles.finite_queues import gim1k_loss


def path(load: float, capacity: int, service: float | str = "exponential") -> CapturePath:
    return CapturePath.single(
        rate=load, capacity=capacity, consumer_cost=1.0, service=service, arrivals="cbr"
    )


@pytest.mark.parametrize("load", [0.05, 0.7, 1.0, 1.3, 20.0])
@pytest.mark.parametrize("capacity", [1, 2, 12, 25])
def test_exponential_services_in_many_digits(load: float, capacity: int) -> None:
    expected = gim1k_loss("deterministic", load, capacity, 320)
    solution = exact.solve(path(load, capacity))
    assert solution.exact
    assert float(solution.loss / float(expected)) == pytest.approx(1.0, abs=1e-12)
    assert float(solution.carried_rate + sum(solution.drops.values())) == pytest.approx(load)


def by_matrix_exponential(rate: float, service: PhaseType, capacity: int) -> tuple[float, float]:
    """Loss and mean content from the whole generator of one interval, all states written out."""
    m = service.order
    size = 1 + capacity * m  # empty; packets by phase of the one in service
    flow = np.zeros((size, size))
    for n in range(1, capacity + 1):
        here = slice(1 + (n - 1) * m, 1 + n * m)
        flow[here, here] += service.rates
        if n == 1:
            flow[here, 0] += service.exits
        else:
            below = slice(1 + (n - 2) * m, 1 + (n - 1) * m)
            flow[here, below] += np.outer(service.exits, service.start)
    flow -= np.diag(flow.sum(1))
    arrive = np.zeros((size, size))
    arrive[0, 1 : 1 + m] = service.start
    for state in range(1, size):
        arrive[state, min(state + m, size - m + (state - 1) % m)] = 1.0
    # the integral of the transient stands in the corner of a matrix twice the size
    both = expm(np.block([[flow, np.eye(size)], [np.zeros((size, 2 * size))]]) / rate)
    step = both[:size, :size] @ arrive
    left = np.vstack([step.T - np.eye(size), np.ones(size)])
    after = np.linalg.lstsq(left, np.append(np.zeros(size), 1.0), rcond=None)[0]
    content = np.append(0.0, np.repeat(np.arange(1.0, capacity + 1), m))
    found = after @ both[:size, :size]
    present = after @ both[:size, size:] @ content * rate
    return float(found[-m:].sum()), float(present)


@pytest.mark.parametrize("scv", [0.125, 0.3, 1.0, 3.0])
@pytest.mark.parametrize("load", [0.4, 1.0, 1.7])
@pytest.mark.parametrize("capacity", [1, 2, 9])
def test_against_the_matrix_exponential(scv: float, load: float, capacity: int) -> None:
    service = PhaseType.fit(1.0, scv)
    loss, present = by_matrix_exponential(load, service, capacity)
    got = regular_single(load, service, capacity)
    assert got.loss == pytest.approx(loss, rel=1e-9, abs=1e-13)
    assert got.present == pytest.approx(present, rel=1e-9)
    assert got.busy == pytest.approx(load * (1.0 - loss), rel=1e-9)


def test_small_losses_keep_their_digits() -> None:
    """D/E2/1: a place more multiplies the loss by z^2, the root of z^2 = exp(-2 (1 - z)/load)."""
    service, load = PhaseType.fit(1.0, 0.5), 0.6
    root = brentq(lambda z: z * z - np.exp(-2.0 * (1.0 - z) / load), 0.0, 0.9, xtol=1e-15)
    few, many = (regular_single(load, service, k).loss for k in (150, 160))
    assert many < 1e-100
    assert many / few == pytest.approx(root**20, rel=1e-10)


@pytest.mark.parametrize("service", ["exponential", 0.25])
def test_against_simulation(service: float | str) -> None:
    queue = path(0.95, 12, service)
    got, run = select(queue).solve(queue), simulation.solve(queue)
    assert got.solver == "exact"
    assert float(got.loss) == pytest.approx(float(run.loss), rel=0.1)
    assert float(got.ring_occupancy) == pytest.approx(float(run.ring_occupancy), rel=0.02)


def test_limits() -> None:
    """Far below its load nothing is lost; far above, the consumer never rests."""
    assert float(exact.solve(path(1e-6, 10**6)).loss) == 0.0
    assert float(exact.solve(path(2.0, 10**6)).carried_rate) == pytest.approx(1.0, rel=1e-12)
    assert "capacity must be at most 250" in exact.accepts(path(1.0, 251, 0.25))
    assert "load must be at least" in exact.accepts(path(1e-3, 10, 0.25))
    assert select(path(1.0, 10, "deterministic")).name == "closed_form"
    jittery = Arrivals(1.0, "cbr", 0.5)
    other = CapturePath(jittery, path(1.0, 8).kernel, path(1.0, 8).buffer, path(1.0, 8).consumer)
    assert "single stage that never sleeps" in exact.accepts(other)
