"""What `simulate` promises: conservation, seeds, runs, traces, schedulers, refusals."""

from __future__ import annotations

import subprocess
import sys
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from capmodel.application import own_work
from capmodel.assemble import Choices, assemble
from capmodel.backend import load_backend
from capmodel.catalogue import names
from capmodel.formulary.scheduling import environment_mean, environment_variance
from capmodel.machine import load_machine
from capmodel.path import Arrivals, Buffer, CapturePath, Consumer, Cores, Kernel, Wakeup
from capmodel.simulation import SimulationResult, simulate
from capmodel.solvers import SOLVERS, select
from capmodel.solvers import simulation as solver
from capmodel.workload import Workload

DRIVERS = ("napi", "interrupt", "moderated", "polling", "thread")


def conserved(result: SimulationResult) -> None:
    k, n = result.counts, int(result.path.consumer.processes)
    entered = n * (k["offered"] + k["in ring before"] - k["ring drops"] - k["in ring after"])
    left = k["captured"] + k["buffer drops"] + k["in buffers after"]
    assert entered + k["in buffers before"] == left
    assert result.mean["captured"] + result.mean["loss"] == pytest.approx(1.0, abs=1e-12)
    rates = [result.mean[name] for name in ("carried_rate", "ring_drops", "buffer_drops")]
    assert sum(rates) == pytest.approx(result.mean["offered_rate"], rel=1e-12)


def assembled(backend: str, pinning: str, arrivals: str, driver: str | None) -> CapturePath | None:
    """The backend's path on the first machine that has its costs; None if there is none."""
    workload = Workload.from_user(9e5, 64, arrivals, 0.03)
    for machine in names("machines"):
        choices = Choices(pinning=pinning, driver=driver)
        try:
            return assemble(
                workload, own_work(2e-7), load_backend(backend), load_machine(machine), choices
            )
        except ValueError:
            continue
    return None


@pytest.mark.parametrize("backend", names("backends"))
def test_every_backend(backend: str) -> None:
    found = 0
    cases = (("split", "poisson"), ("same", "cbr"), ("auto", "bursts(on=1ms,off=2ms)"))
    for number, (pinning, arrivals) in enumerate(cases):
        for driver in (None, DRIVERS[(number + len(backend)) % 5]):
            path = assembled(backend, pinning, arrivals, driver)
            if path is None:
                continue
            found += 1
            if path.on_full == "block":
                assert "no producer that waits" in str(solver.accepts(path))
                with pytest.raises(ValueError, match="no producer that waits"):
                    simulate(path)
                continue
            for duration in (0.03, np.inf):
                endless = replace(path, arrivals=replace(path.arrivals, duration=duration))
                result = simulate(endless, packets=60_000, replications=2)
                assert result.whole_runs == np.isfinite(duration)
                conserved(result)
    assert found > 0


@pytest.mark.parametrize("processes", [2, 3])
@pytest.mark.parametrize("pinning", ["same", "split"])
@pytest.mark.parametrize("policy", ["poll", "spin", "sleep", "yield"])
def test_several_consumers(processes: int, pinning: str, policy: Any) -> None:
    path = CapturePath(
        Arrivals(0.7, "poisson", 1.0), Kernel(32, 0.5, 0.3), Buffer(20),
        Consumer(0.6, 1.0, processes),
        Wakeup(policy, 0.5, 1.0, 0.1, 0.1, sleep=3.0, spin=0.5, contention=0.2), Cores(pinning),
    )  # fmt: skip
    conserved(simulate(path, packets=40_000))
    solution = SOLVERS["simulation"].solve(
        replace(path, arrivals=replace(path.arrivals, duration=900.0))
    )
    assert float(solution.carried_rate) + sum(solution.drops.values()) == pytest.approx(0.7)
    for shares in solution.core_time.values():
        assert sum(shares.values()) == pytest.approx(1.0, abs=1e-9)


def small(**changes: Any) -> CapturePath:
    given: dict[str, Any] = {
        "rate": 0.9, "ring": 20, "capacity": 16, "kernel_cost": 1.0, "consumer_cost": 0.6,
        "wakeup_cost": 2.0, "wakeup_latency": 4.0, "poll_cost": 0.5,
    }  # fmt: skip
    return CapturePath.split(**(given | changes))


def test_a_seed_is_a_result() -> None:
    for path in (small(), replace(small(), cores=Cores("same"))):
        first, again = (simulate(path, packets=40_000, seed=3) for _ in range(2))
        assert first == again
        other = simulate(path, packets=40_000, seed=4)
        assert other.counts != first.counts


def test_half_widths_shrink_and_cover() -> None:
    narrow, wide = simulate(small(), packets=1_600_000), simulate(small(), packets=100_000)
    assert narrow.half_width["captured"] < wide.half_width["captured"]
    inside = 0
    for seed in range(40):
        result = simulate(small(), packets=80_000, seed=seed + 100)
        away = abs(result.mean["captured"] - narrow.mean["captured"])
        inside += away <= result.half_width["captured"] + narrow.half_width["captured"]
    assert inside >= 34  # 38 expected


def test_a_run_that_fits_into_the_buffer_loses_nothing() -> None:
    """Schneider and Braun: captured = mu/lambda + B/n; what is inside at the end is captured."""
    run = CapturePath.single(
        rate=1.27, capacity=4096, consumer_cost=1 / 0.9, service="deterministic", arrivals="cbr",
        duration=10_000.0,
    )  # fmt: skip
    assert simulate(run).mean["loss"] == 0.0
    longer = replace(run, arrivals=replace(run.arrivals, duration=100_000.0))
    result = simulate(longer)
    assert result.whole_runs
    assert result.mean["captured"] == pytest.approx(0.9 / 1.27 + 4096 / 127_000, abs=2e-4)
    endless = replace(run, arrivals=replace(run.arrivals, duration=1e8))
    assert not simulate(endless).whole_runs
    solution = SOLVERS["simulation"].solve(endless)
    assert float(solution.captured) == pytest.approx(0.9 / 1.27 + 4096 / 1.27e8, abs=1e-5)


def test_bursts() -> None:
    """On-off fluid (Anick et al. 1982): h = 2, c = 1, mean burst 50, pause 100, K = 100.

    Five packets stand for a unit of fluid.
    """
    path = CapturePath(
        Arrivals(5 * 2 / 3, "on_off", 0.0, 50.0, 100.0), Kernel(500, 0.0), Buffer(500, "ring"),
        Consumer(0.2), Wakeup("spin"),
    )  # fmt: skip
    result = simulate(path, packets=16_000_000)
    assert abs(result.mean["loss"] - 0.11269983678) < 4 * result.half_width["loss"] < 0.03
    # a burst of fixed length brings 500 packets, of which 250 are served meanwhile: none is lost
    fixed = replace(path, arrivals=replace(path.arrivals, random_bursts=False))
    assert simulate(fixed, packets=200_000).mean["loss"] == 0.0
    assert simulate(replace(fixed, buffer=Buffer(200, "ring"))).mean["loss"] > 0.05


def test_a_trace() -> None:
    times = np.concatenate([np.full(10, 1.0), np.full(10, 100.0)])
    path = CapturePath.single(rate=1.0, capacity=6, consumer_cost=1.0, service="deterministic")
    result = simulate(path, trace=times)
    conserved(result)
    assert result.mean["captured"] == 0.6
    assert result.half_width["captured"] == 0.0
    two = CapturePath.split(
        rate=1.0, ring=4, capacity=100, kernel_cost=1.0, consumer_cost=0.5, service="deterministic"
    )
    assert simulate(two, trace=times.tolist()).counts["ring drops"] == 8 * 12
    with pytest.raises(ValueError, match="rising order"):
        simulate(two, trace=[2.0, 1.0])
    with pytest.raises(ValueError, match="rising order"):
        simulate(two, trace=[])


def environment(leave_same: float, leave_split: float, duration: float) -> CapturePath:
    same = CapturePath.same_core(
        rate=1.2, ring=32, capacity=64, kernel_cost=0.6, consumer_cost=0.8,
        service="deterministic", duration=duration,
    )  # fmt: skip
    split = replace(same, cores=Cores("split"))
    cores = Cores("auto", leave_same=leave_same, leave_split=leave_split)
    return replace(split, cores=cores, alternatives=(same, split))


def test_a_scheduler_that_moves() -> None:
    """Mean and spread of runs are those of the two-state random environment."""
    path = environment(1 / 2000.0, 1 / 3000.0, 10_000.0)
    same, split = (
        simulate(replace(place, arrivals=replace(place.arrivals, duration=np.inf))).mean["captured"]
        for place in path.alternatives
    )
    result = simulate(path, replications=400)
    assert result.whole_runs
    mean = float(environment_mean(same, split, 1 / 2000.0, 1 / 3000.0))
    std = float(environment_variance(same, split, 1 / 2000.0, 1 / 3000.0, 10_000.0)) ** 0.5
    assert result.mean["captured"] == pytest.approx(mean, abs=3 * result.half_width["captured"])
    assert result.std["captured"] == pytest.approx(std, rel=0.15)


def test_a_scheduler_that_moves_seldom_is_two_placements() -> None:
    path = environment(1 / 2e7, 1 / 3e7, 1e8)
    result = simulate(path, packets=100_000)
    assert "too seldom" in result.notes[0]
    solution = SOLVERS["simulation"].solve(path)
    closed = SOLVERS["closed_form"].solve(path)
    assert float(solution.captured) == pytest.approx(float(closed.captured), rel=0.02)
    assert float(solution.captured_std) == pytest.approx(float(closed.captured_std), rel=0.05)


def test_solver_fills_a_solution_and_takes_grids() -> None:
    path = small(rate=np.array([[0.5], [1.5]]), consumer_cost=np.array([0.3, 0.6, 1.4]))
    solution = SOLVERS["simulation"].solve(path)
    assert solution.solver == "simulation"
    assert not solution.exact
    assert "95 %" in solution.accuracy
    assert np.shape(solution.carried_rate) == (2, 3)
    np.testing.assert_allclose(
        solution.carried_rate + sum(solution.drops.values()), solution.offered_rate, rtol=1e-12
    )
    alone = SOLVERS["simulation"].solve(small(rate=1.5, consumer_cost=0.6))
    assert float(alone.carried_rate) == solution.carried_rate[1, 1]
    solution.as_floats()


def test_arguments_are_checked() -> None:
    for keywords in ({"replications": 1}, {"packets": 3}, {"waits_scv": -1.0}):
        with pytest.raises(ValueError, match=next(iter(keywords))):
            simulate(small(), **keywords)
    blocks = replace(small(), buffer=Buffer(16, "double", 8, 2), wakeup=Wakeup("spin"))
    assert "change hands as a whole" in str(solver.accepts(blocks))


def test_without_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert 'pip install "capmodel[sim]"' in str(solver.accepts(small()))
    with pytest.raises(ValueError, match="capmodel\\[sim\\]"):
        select(small(), "simulation")
    with pytest.raises(ImportError, match="capmodel\\[sim\\]"):
        simulate(small())


def test_importing_does_not_load_numba() -> None:
    code = "import capmodel, capmodel.simulation, sys; print('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_nobody_captures_nothing_quietly() -> None:
    """Livelock: no packet has a sojourn time, and no warning is raised about it."""
    path = CapturePath.same_core(
        rate=3.0, ring=32, capacity=64, kernel_cost=0.6, consumer_cost=0.8, service="deterministic"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        solution = SOLVERS["simulation"].solve(path)
    assert float(solution.carried_rate) == 0.0
    assert float(solution.sojourn_time) == np.inf
