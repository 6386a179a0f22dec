"""Waits of random services: single queues by textbook, and sojourn times by the exact chain."""

from __future__ import annotations

import math

import numpy as np
import pytest

from capmodel.path import CapturePath
from capmodel.solvers import solve
from capmodel.solvers._shares import random_waits

LOADS = (0.1, 0.3, 0.6, 0.9)


def waits_dm1(load: float) -> float:
    """D/M/1 in services: sigma/(1 - sigma), sigma the root of e^(-(1 - sigma)/rho) below 1."""
    sigma = 0.0
    for _ in range(10_000):
        sigma = math.exp(-(1.0 - sigma) / load)
    return sigma / (1.0 - sigma)


@pytest.mark.parametrize("load", LOADS)
def test_poisson_arrivals_are_pollaczek_and_khinchine(load: float) -> None:
    for scv in (0.0, 0.5, 1.0):
        found = float(random_waits(np.float64(load), np.float64(1.0), np.float64(scv)))
        assert found == pytest.approx(0.5 * (1.0 + scv) * load / (1.0 - load), rel=1e-12)


@pytest.mark.parametrize("load", LOADS)
def test_regular_arrivals(load: float) -> None:
    found = float(random_waits(np.float64(load), np.float64(0.0), np.float64(1.0)))
    assert found == pytest.approx(waits_dm1(load), rel=0.1, abs=0.005)
    assert float(random_waits(np.float64(load), np.float64(0.0), np.float64(0.0))) == 0.0


@pytest.mark.parametrize("rate", [0.2, 0.6, 0.9])
@pytest.mark.parametrize("consumer", [0.3, 0.8])
def test_sojourn_times_of_two_cores(rate: float, consumer: float) -> None:
    path = CapturePath.split(
        rate=rate, ring=64, capacity=512, kernel_cost=1.0, consumer_cost=consumer
    )
    said, exact = (solve(path, solver=name) for name in ("closed_form", "exact"))
    assert float(said.sojourn_time) == pytest.approx(float(exact.sojourn_time), rel=0.15)


@pytest.mark.parametrize("rate", [0.2, 0.5, 0.8])
@pytest.mark.parametrize("consumer", [0.2, 0.6])
def test_sojourn_times_of_one_core(rate: float, consumer: float) -> None:
    path = CapturePath.same_core(
        rate=rate, ring=64, capacity=512, kernel_cost=0.4, consumer_cost=consumer
    )
    said, exact = (solve(path, solver=name) for name in ("closed_form", "exact"))
    assert float(said.sojourn_time) == pytest.approx(float(exact.sojourn_time), rel=0.15)
