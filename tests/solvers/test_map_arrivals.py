"""Markovian arrivals through every solver: the chain state by state, limits, chance."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capmodel.formulary import loss_map1k, loss_mm1k
from capmodel.numerics.arrival_process import MAP
from capmodel.numerics.map_fit import fit_map, fit_map2, fit_mmpp2
from capmodel.path import Arrivals, CapturePath, parts
from capmodel.simulation import simulate
from capmodel.solvers import closed_form, decomposition, exact, select, simulation
from capmodel.testing import maps
from tests.oracles.tandem_chain import Happening, State, TwoCores, exponential, rates

PROCESSES = {
    "bursts": MAP.mmpp([4.0, 0.25], [0.125, 0.0625]),
    "negative": fit_map2(3.0, -0.2),
    "regular": fit_map2(0.6, 0.03),
    "lasting": fit_map(2.0, 0.1, 0.9),
    "three": MAP(
        [[0, 1.0, 0], [0, 0, 2.0], [0.5, 0, 0]], [[0, 0, 0.25], [4.0, 0, 0], [0, 0, 16.0]]
    ),
}


def split(process: MAP, **changes: Any) -> CapturePath:
    usual = {
        "rate": 0.9, "ring": 3, "capacity": 4, "kernel_cost": 1.0, "consumer_cost": 0.6,
        "wakeup_cost": 2.0, "wakeup_latency": 4.0, "poll_cost": 0.5, "arrivals": process,
    }  # fmt: skip
    return CapturePath.split(**(usual | changes))


@dataclass(frozen=True)
class Modulated(TwoCores):
    """Two cores under arrivals that follow any chain, written from what a MAP means."""

    silent: Any = ()
    arriving: Any = ()

    def _arrivals(self, state: State) -> Iterator[Happening]:
        a, ring, kernel, buffer, consumer = state
        for b, rate in enumerate(self.silent[a]):
            if rate:
                yield rate, (b, *state[1:]), ()
        for b, rate in enumerate(self.arriving[a]):
            if not rate:
                continue
            if ring == self.ring:
                yield rate, (b, *state[1:]), ("offered", "ring drop")
            elif kernel != "idle":
                yield rate, (b, ring + 1, kernel, buffer, consumer), ("offered",)
            else:
                for part, phase in self._starts(rate):
                    yield part, (b, 1, phase, buffer, consumer), ("offered",)


@pytest.mark.parametrize(
    ("name", "ring", "capacity", "rtol"),
    [("bursts", 1, 2, 1e-12), ("three", 2, 1, 1e-12), *((name, 3, 4, 1e-8) for name in PROCESSES)],
)
def test_the_exact_chain_state_by_state(name: str, ring: int, capacity: int, rtol: float) -> None:
    """The smallest in fractions, larger ones by sparse elimination in floats."""
    process = PROCESSES[name]
    system = Modulated(
        (), ring, capacity, exponential(Fraction(1)), exponential(Fraction(0.5)), 2, 4,
        Fraction(0.5), silent=process.silent_rates, arriving=process.arrival_rates,
    )  # fmt: skip
    expected = rates(system, exact=rtol < 1e-10)
    solution = exact.solve(
        split(process, rate=process.rate, ring=ring, capacity=capacity, consumer_cost=0.5)
    )
    got = {
        "offered": solution.offered_rate, "carried": solution.carried_rate,
        "ring drop": solution.drops["ring"], "buffer drop": solution.drops["buffer"],
        "wakeup": solution.wakeup_rate, "poll": solution.poll_rate,
        "in ring": solution.ring_occupancy, "in buffer": solution.buffer_occupancy,
    }  # fmt: skip
    for quantity, value in got.items():
        assert float(value) == pytest.approx(float(expected[quantity]), rel=rtol), quantity
    assert solution.exact


@pytest.mark.parametrize("name", PROCESSES)
def test_one_stage_is_the_formula(name: str) -> None:
    process = PROCESSES[name]
    path = CapturePath.single(rate=0.8, capacity=12, consumer_cost=1.0, arrivals=process)
    faster = process.at_rate(0.8)
    loss = float(loss_map1k(faster.silent, faster.arriving, 12))
    assert float(exact.solve(path).loss) == pytest.approx(loss, rel=1e-11)
    assert select(path).name == "exact"


def test_bursts_as_a_map_are_bursts() -> None:
    arrivals = Arrivals(0.8, "on_off", 1.0, on=20.0, off=30.0)
    process = MAP.mmpp([0.8 * 50.0 / 20.0, 0.0], [1 / 20.0, 1 / 30.0])
    for path in (
        split(process, rate=0.8),
        CapturePath.same_core(
            rate=0.8, ring=4, capacity=5, kernel_cost=0.6, consumer_cost=0.8, arrivals=process
        ),
    ):
        one, other = exact.solve(path), exact.solve(replace(path, arrivals=arrivals))
        assert float(one.loss) == pytest.approx(float(other.loss), rel=1e-12)
        assert float(one.sojourn_time) == pytest.approx(float(other.sojourn_time), rel=1e-12)


def test_one_phase_is_poisson() -> None:
    poisson = MAP.mmpp([7.0], [[0.0]])
    for solver in (exact, decomposition, closed_form):
        one = solver.solve(split(poisson, ring=40, capacity=50))
        other = solver.solve(split(poisson, ring=40, capacity=50, arrivals="poisson"))
        assert float(one.carried_rate) == pytest.approx(float(other.carried_rate), rel=1e-9)
    single = CapturePath.single(rate=0.8, capacity=9, consumer_cost=1.0, arrivals=poisson)
    assert float(exact.solve(single).loss) == pytest.approx(float(loss_mm1k(0.8, 9)), rel=1e-12)


@pytest.mark.parametrize("name", PROCESSES)
@pytest.mark.parametrize(("rate", "work"), [(0.7, 0.5), (1.3, 1.2)])
def test_decomposition_of_bursts(name: str, rate: float, work: float) -> None:
    path = split(PROCESSES[name], rate=rate, consumer_cost=work, ring=20, capacity=40)
    one, other = decomposition.solve(path), exact.solve(path)
    assert float(one.carried_rate) == pytest.approx(float(other.carried_rate), rel=0.02)
    assert "MAP" in one.accuracy
    assert float(one.wakeup_rate) == pytest.approx(float(other.wakeup_rate), abs=2e-3)


@pytest.mark.slow
@given(maps(phases=3), st.floats(0.1, 3.0), st.floats(0.2, 2.0))
@settings(max_examples=30)
def test_decomposition_is_near_the_exact_chain(process: MAP, rate: float, work: float) -> None:
    path = split(process, rate=rate, consumer_cost=work, ring=32, capacity=33)
    if exact.accepts(path) is not None:
        return
    one, other = decomposition.solve(path), exact.solve(path)
    assert float(one.carried_rate) == pytest.approx(float(other.carried_rate), rel=0.025)


@pytest.mark.parametrize("name", ["bursts", "negative", "regular", "lasting"])
def test_the_simulation_agrees(name: str) -> None:
    path = split(PROCESSES[name], ring=8, capacity=12)
    result = simulate(path, packets=800_000, waits_scv=1.0, seed=5)
    for quantity, value in (("loss", exact.solve(path).loss),
                            ("wakeup_rate", exact.solve(path).wakeup_rate)):  # fmt: skip
        width = result.half_width[quantity]
        assert abs(result.mean[quantity] - float(value)) < 3 * width < 0.1


def test_the_event_engine_agrees_too() -> None:
    path = CapturePath.same_core(
        rate=0.5, ring=6, capacity=7, kernel_cost=0.6, consumer_cost=0.8,
        arrivals=PROCESSES["bursts"],
    )  # fmt: skip
    result = simulate(path, packets=800_000, seed=3)
    assert abs(result.mean["loss"] - float(exact.solve(path).loss)) < 3 * result.half_width["loss"]


def test_long_phases_in_closed_form() -> None:
    """Where a phase lasts for ever, each is a run of its own: the mean over time is exact."""
    slow = MAP.mmpp([1.8, 0.2], [1e-9, 1e-9])
    path = split(slow, rate=1.0, ring=32, capacity=48)
    for solver in (closed_form, exact, decomposition):
        each = [
            float(solver.solve(split(slow, rate=r, ring=32, capacity=48, arrivals="poisson"))
                  .carried_rate)
            for r in (1.8, 0.2)
        ]  # fmt: skip
        assert float(solver.solve(path).carried_rate) == pytest.approx(sum(each) / 2, rel=1e-5)


@pytest.mark.parametrize("pace", [1.0, 0.1, 0.01])
@pytest.mark.parametrize("rate", [0.4, 0.8, 1.5])
@pytest.mark.parametrize("work", [0.4, 1.2])
def test_the_closed_form_is_a_guide(pace: float, rate: float, work: float) -> None:
    process = MAP.mmpp([4.0, 0.25], [0.125 * pace, 0.0625 * pace])
    path = split(process, rate=rate, consumer_cost=work, ring=32, capacity=48, wakeup_cost=0.3)
    one, other = closed_form.solve(path), decomposition.solve(path)
    # 150 random paths: 0.02 on average, 0.2 at worst, and the less the longer the bursts
    margin = 0.2 if pace > 0.01 else 0.05
    assert float(one.captured) == pytest.approx(float(other.captured), abs=margin)
    assert "smoothed over the time" in one.accuracy


def test_columns_in_closed_form() -> None:
    process = PROCESSES["bursts"]
    grid = split(process, rate=np.array([0.4, 0.9]), consumer_cost=np.array([[0.5], [1.5]]))
    solution = closed_form.solve(grid)
    assert np.shape(solution.carried_rate) == (2, 2)
    single = closed_form.solve(split(process, rate=0.9, consumer_cost=1.5))
    assert float(solution.carried_rate[1, 1]) == pytest.approx(float(single.carried_rate))
    assert np.shape(solution.regime) == (2, 2)


def test_a_grid_in_the_simulation() -> None:
    grid = split(PROCESSES["bursts"], rate=np.array([0.2, 0.9]))
    solution = simulation.solve(grid)
    assert np.shape(solution.captured) == (2,)
    assert solution.captured[0] > solution.captured[1]


def test_what_a_path_holds() -> None:
    process = PROCESSES["bursts"]
    path = split(process, rate=2.0)
    assert path == copy.deepcopy(path)
    assert hash(path.arrivals)
    assert path.arrivals.scv == process.scv
    assert path.arrivals.peak_rate == pytest.approx(2.0 * process.peak_rate / process.rate)
    assert path.with_rate(3.0).arrivals.rate == 3.0
    assert parts(path)["arrivals"]["phases"] is process
    for bad in (Arrivals,):
        with pytest.raises(ValueError, match="phases must be a MAP exactly when the process"):
            bad(1.0, "map")
        with pytest.raises(ValueError, match="phases must be a MAP exactly when the process"):
            bad(1.0, "poisson", 1.0, phases=process)
    with pytest.raises(ValueError, match=r"arrivals must be one of .* 'a MAP'"):
        split("gamma")


def test_the_more_correlated_the_more_is_lost() -> None:
    """Same mean and scv of the times between packets; the buffer sees the bursts alone."""
    losses = [
        float(
            exact.solve(
                CapturePath.single(
                    rate=0.7, capacity=40, consumer_cost=1.0, arrivals=fit_mmpp2(3.0, correlation)
                )
            ).loss
        )
        for correlation in (0.0, 0.1, 0.2, 0.3)
    ]
    assert losses == sorted(losses)
    assert losses[-1] > 3 * losses[0]
