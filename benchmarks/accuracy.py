"""How far the tiers are from each other, on the systems and seeds of the tests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from capmodel.path import CapturePath
from capmodel.results import Solution
from capmodel.simulation import simulate
from capmodel.solvers import closed_form, decomposition, exact
from tests.oracles.tandem_chain import OneCore, TwoCores, exponential, rates
from tests.simulation.paths import FAMILIES, paths_away_from_criticality
from tests.solvers.paths import random_paths

Errors = npt.NDArray[np.float64]

PATHS, SEED = 500, 2  # rings from 32 to 128, buffers from 32 to 1024
STATED = ("poll", "threshold", "timer", "spin", "sleep")  # where the closed form states 1 %
EACH, PACKETS = 60, 300_000  # paths of each of these, packets of each path

_SMALL = ((1, 1), (2, 3), (3, 2), (3, 3), (1, 5), (4, 1), (4, 4))
_LARGER = ((8, 8), (12, 20), (20, 16))
_RATES = (1e-6, 0.1, 0.7, 3.0, 1e5)
_MODERATE = (0.5, 0.7, 0.9, 1.1, 3.0)
LEAST = 1e-6  # of the offered rate: of what is rarer, sparse LU keeps too few digits


def decomposition_against_exact() -> Errors:
    """Relative errors of the carried rate."""
    found = []
    for path in random_paths(PATHS, SEED):
        truth = float(exact.solve(path).carried_rate)
        found.append(abs(float(decomposition.solve(path).carried_rate) / truth - 1.0))
    return np.array(found)


def closed_form_against_simulation() -> Errors:
    """Relative errors of the carried rate: constant services, Poisson, away from critical loads."""
    found = []
    for family in STATED:
        rng = np.random.default_rng([2010, FAMILIES.index(family)])
        for path in paths_away_from_criticality(rng, family, EACH):
            simulated = simulate(path, packets=PACKETS).mean["carried_rate"]
            found.append(abs(float(closed_form.solve(path).carried_rate) / simulated - 1.0))
    return np.array(found)


def _named(solution: Solution) -> dict[str, float]:
    values = {
        "carried": solution.carried_rate, "ring drop": solution.drops["ring"],
        "buffer drop": solution.drops["buffer"], "wakeup": solution.wakeup_rate,
        "poll": solution.poll_rate, "in ring": solution.ring_occupancy,
        "in buffer": solution.buffer_occupancy, "loss": solution.loss,
    }  # fmt: skip
    return {name: float(value) for name, value in values.items()}


def _worst(solution: Solution, chain: Mapping[str, Any], least: float = 0.0) -> float:
    """Largest relative error of any rate, content or loss that is above `least` of the offered."""
    loss = (chain["ring drop"] + chain["buffer drop"]) / chain["offered"]
    truth = {name: float(value) for name, value in {**chain, "loss": loss}.items()}
    floor = least * truth["offered"]
    return max(
        abs(value / truth[name] - 1.0)
        for name, value in _named(solution).items()
        if truth[name] > floor
    )


def two_cores(rate: float, ring: int, capacity: int) -> tuple[CapturePath, TwoCores]:
    """The same system as a path and as a list of states, numbers as fractions."""
    path = CapturePath.split(
        rate=rate, ring=ring, capacity=capacity, kernel_cost=1.0, consumer_cost=0.6,
        wakeup_cost=2.0, wakeup_latency=4.0, poll_cost=0.5,
    )  # fmt: skip
    half = Fraction(1, 2)
    chain = TwoCores(
        (Fraction(rate),), ring, capacity, exponential(Fraction(1)), exponential(Fraction(0.6)),
        2, 4, half,
    )  # fmt: skip
    return path, chain


def one_core(rate: float, ring: int, capacity: int) -> tuple[CapturePath, OneCore]:
    """As :func:`two_cores`, kernel and consumer on one core."""
    kernel, consumer, drop = 0.6, 0.8, 0.25
    path = CapturePath.same_core(
        rate=rate, ring=ring, capacity=capacity, kernel_cost=kernel, consumer_cost=consumer,
        drop_cost=drop,
    )  # fmt: skip
    costs = (Fraction(kernel), Fraction(consumer), Fraction(drop))
    return path, OneCore(Fraction(rate), ring, capacity, *costs)


def _systems(
    sizes: tuple[tuple[int, int], ...], loads: tuple[float, ...]
) -> Iterator[tuple[CapturePath, Any]]:
    for ring, capacity in sizes:
        for rate in loads:
            yield two_cores(rate, ring, capacity)
            yield one_core(rate, ring, capacity)


def exact_against_fractions() -> Errors:
    """Worst relative error of each small system, every number a fraction."""
    return np.array(
        [
            _worst(exact.solve(path), rates(chain, exact=True))
            for path, chain in _systems(_SMALL, _RATES)
        ]
    )


def exact_against_sparse_lu() -> Errors:
    """Worst relative error of each larger system; the error of the LU is in it."""
    return np.array(
        [
            _worst(exact.solve(path), rates(chain), LEAST)
            for path, chain in _systems(_LARGER, _MODERATE)
        ]
    )


def in_words(errors: Errors) -> str:
    """Count, mean, 95th percentile and maximum."""
    return (
        f"mean {errors.mean():.2g}, p95 {np.quantile(errors, 0.95):.2g}, max {errors.max():.2g} "
        f"({errors.size})"
    )
