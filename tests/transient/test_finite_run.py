"""Runs that end: reference values, simulation of whole runs, conservation, limits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capmodel.path import CapturePath
from capmodel.solvers import exact
from capmodel.transient import finite_run
from capmodel.transient.finite_run import _by_stage
from tests.oracles.reference import reference_values

REFERENCES = reference_values("MM1K_transient_loss")


@pytest.mark.parametrize("name", REFERENCES)
def test_reference_values(name: str) -> None:
    given_, (lost,) = REFERENCES[name]
    path = CapturePath.single(
        rate=given_["lam"], capacity=given_["K"], consumer_cost=1.0 / given_["mu"]
    )
    run = finite_run(path, given_["T"])
    assert run.exact
    assert run.drops["ring"] == pytest.approx(lost, rel=1e-9)
    assert run.drops["buffer"] == 0.0


def split(**changes) -> CapturePath:
    usual = {
        "rate": 0.9, "ring": 12, "capacity": 10, "kernel_cost": 1.0, "consumer_cost": 0.6,
        "wakeup_cost": 2.0, "wakeup_latency": 4.0, "poll_cost": 0.5,
    }  # fmt: skip
    return CapturePath.split(**(usual | changes))


@pytest.mark.parametrize("changes", [{}, {"rate": 2.0}, {"rate": 0.8, "consumer_cost": 1.6}])
def test_whole_runs_simulated(changes: dict) -> None:
    pytest.importorskip("numba")
    from capmodel.simulation import simulate

    path = split(**changes)
    run = finite_run(path, 100.0)
    brief = replace(path, arrivals=replace(path.arrivals, duration=100.0))
    result = simulate(brief, packets=100_000, replications=3000, seed=4, waits_scv=1.0)
    assert result.whole_runs
    # the mean of shares is not the share of means: runs that offer more also lose more
    counts = result.counts
    lost = (counts["ring drops"] + counts["buffer drops"]) / result.replications
    spread = 100.0 * path.arrivals.rate * result.std["loss"] + 2.0
    assert sum(run.drops.values()) == pytest.approx(lost, abs=4.0 * spread / 3000**0.5)
    for stage in ("ring", "buffer"):
        seen = result.mean[f"{stage}_occupancy"]
        width = 2.5 * result.half_width[f"{stage}_occupancy"]
        assert run.occupancy[stage] == pytest.approx(seen, abs=width)


@given(st.floats(0.3, 2.5), st.integers(1, 8), st.integers(1, 8), st.floats(0.1, 300.0))
def test_laws(rate: float, ring: int, capacity: int, duration: float) -> None:
    """A run from empty loses no more than the steady state; loss rises with its length."""
    path = split(rate=rate, ring=ring, capacity=capacity)
    steady = exact.solve(path)
    short, long = finite_run(path, duration), finite_run(path, 1.5 * duration)
    for stage in ("ring", "buffer"):
        assert 0.0 <= short.drops[stage] <= long.drops[stage] * (1.0 + 1e-9)
        assert short.held[stage] <= {"ring": ring, "buffer": capacity}[stage] * (1.0 + 1e-9)
    endless = finite_run(path, 1e6)
    for stage in ("ring", "buffer"):
        assert endless.drops[stage] / 1e6 == pytest.approx(
            float(steady.drops[stage]), rel=2e-3, abs=1e-9
        )
    assert endless.held["ring"] == pytest.approx(float(steady.ring_occupancy), rel=1e-7)
    assert endless.held["buffer"] == pytest.approx(float(steady.buffer_occupancy), rel=1e-7)


@pytest.mark.parametrize(("rate", "cost"), [(2.0, 0.6), (2.0, 1.5), (0.8, 1.6)])
def test_stage_by_stage_is_near_where_a_stage_is_overloaded(rate: float, cost: float) -> None:
    path = split(rate=rate, consumer_cost=cost, ring=30, capacity=60)
    for duration in (400.0, 3000.0):
        truth, near = finite_run(path, duration), _by_stage(path, duration)
        assert truth.exact
        assert not near.exact
        gap = abs(sum(truth.drops.values()) - sum(near.drops.values()))
        assert gap < 0.01 * truth.offered + 6.0


def test_large_set_ups_fill_first() -> None:
    """Schneider's short runs: a buffer of 312,500 packets takes all that a short run offers."""
    path = CapturePath.split(
        rate=1.27e6, ring=256, capacity=312_500, kernel_cost=1e-7, consumer_cost=1.0 / 0.9e6,
        service="deterministic", arrivals="cbr",
    )  # fmt: skip
    short, long = finite_run(path, 1e6 / 1.27e6), finite_run(path, "100s")
    assert short.loss == pytest.approx(0.0, abs=1e-6)
    assert 1.0 - long.loss == pytest.approx(0.711122, abs=2e-4)
    assert long.held["buffer"] == pytest.approx(312_500, rel=1e-3)


def test_bad_input() -> None:
    for duration in (0.0, -1.0, np.inf, "5 parsecs"):
        with pytest.raises(ValueError, match="duration"):
            finite_run(split(), duration)
