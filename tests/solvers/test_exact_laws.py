"""The exact solver: its Solution, what it refuses, and laws that hold without exception."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capmodel.path import Arrivals, Buffer, CapturePath, Consumer, Cores, Driver, Kernel, Wakeup
from capmodel.results import REGIMES
from capmodel.solvers import exact
from tests.oracles.tandem_chain import TwoCores, exponential, rates
from tests.solvers.test_exact import TIGHT, accounted, split

DAMAGE = {"rtol": TIGHT, "atol": 0}


class TestSolution:
    def test_sizes(self):
        """A ring of 64 before a buffer of 100,000, and the other way round."""
        for sizes in ({"ring": 64, "capacity": 100_000}, {"ring": 4096, "capacity": 24}):
            solution = exact.solve(split(**sizes))
            accounted(solution)
            assert solution.sojourn_time > 1.6

    def test_regimes(self):
        def regime(**changes):
            return REGIMES[int(exact.solve(split(**changes)).regime)]

        assert regime(rate=0.2, ring=64, capacity=200) == "unsaturated"
        assert regime(rate=2.0, capacity=500) == "kernel"
        assert regime(rate=0.9, consumer_cost=2.0) == "consumer"
        assert regime(rate=0.5, ring=100, capacity=4) == "buffer"

    def test_littles_law_in_a_light_load(self):
        """A packet alone takes the kernel, the signal, the latency and the consumer their time."""
        solution = exact.solve(split(rate=1e-9))
        assert solution.sojourn_time == pytest.approx(1.0 + 2.0 + 4.0 + 0.6, rel=1e-6)

    def test_spinning_is_not_idling(self):
        path = replace(split(), wakeup=Wakeup("spin"))
        times = exact.solve(path).core_time["consumer"]
        assert times["idle"] == 0.0
        assert times["waiting"] > 0.3

    def test_single_stage_drops_at_the_ring(self):
        solution = exact.solve(CapturePath.single(rate=2.0, capacity=8, consumer_cost=1.0))
        assert solution.drops["buffer"] == 0.0
        assert solution.drops["ring"] > 1.0
        accounted(solution)

    def test_short_runs_are_noted(self):
        assert exact.solve(split()).notes == ()
        assert "long-run" in exact.solve(split(duration=100.0)).notes[0]

    def test_accuracy_names_the_service(self):
        assert "exponential services" in exact.solve(split()).accuracy
        assert "phase-type" in exact.solve(split(service=0.5)).accuracy


BARE = split()
REFUSED = {
    "array": split(rate=np.array([0.5, 1.0])),
    "Poisson": split(arrivals="cbr"),
    "scv of the consumer": split(service="deterministic"),
    "signal threshold": split(threshold=2.0),
    "phases": split(ring=1000, capacity=1000),
    "capacity must be": split(capacity=10_000_000),
    "policy 'sleep'": replace(BARE, wakeup=Wakeup("sleep", sleep=1.0)),
    "kind 'double'": replace(BARE, buffer=Buffer(16, "double", 8, 2)),
    "several consumers": replace(BARE, consumer=Consumer(0.6, 1.0, 2)),
    "without cost": replace(BARE, consumer=Consumer(0.0, 1.0)),
    "blocks when full": replace(BARE, on_full="block"),
    "interrupts": replace(BARE, kernel=Kernel(20, 1.0, scv=1.0, driver=Driver("interrupt"))),
    "shared core": replace(BARE, cores=Cores("same")),
    "kernel fills at a cost": replace(BARE, buffer=Buffer(16, "ring")),
    "takes no time": replace(BARE, kernel=Kernel(20, 0.0)),
    "whole packets": split(capacity=16.5),
    "random length": replace(
        BARE, arrivals=Arrivals(0.9, "on_off", 1.0, on=1.0, off=1.0, random_bursts=False)
    ),
    "automatic": replace(BARE, cores=Cores("auto"), alternatives=(BARE, BARE)),
    "drops at no cost": replace(BARE, kernel=Kernel(20, 1.0, 0.0, scv=1.0)),
    "infinite": split(wakeup_latency=np.inf),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_refuses(reason):
    assert reason in exact.accepts(REFUSED[reason])
    with pytest.raises(ValueError, match="exact: "):
        exact.solve(REFUSED[reason])


small = st.integers(1, 12)
cost = st.sampled_from([0.1, 0.3, 0.7, 1.0, 1.6])
wait = st.sampled_from([0.0, 0.2, 1.0, 4.0])
tandems = st.builds(
    split, rate=st.floats(0.05, 5.0), ring=small, capacity=small, kernel_cost=cost,
    consumer_cost=cost, wakeup_cost=wait, wakeup_latency=wait, poll_cost=wait,
)  # fmt: skip
ROUNDING = 1e-13


def carried(path: CapturePath) -> float:
    return float(exact.solve(path).carried_rate)


@given(tandems)
def test_conservation(path):
    solution = exact.solve(path)
    accounted(solution)
    bound = min(path.arrivals.rate, 1.0 / path.kernel.cost, 1.0 / path.consumer.cost)
    assert solution.carried_rate <= bound * (1.0 + ROUNDING)


@given(tandems, st.floats(1.0, 3.0))
def test_more_offered_more_carried(path, factor):
    assert carried(path.with_rate(path.arrivals.rate * factor)) >= carried(path) * (1 - ROUNDING)


@given(tandems, small)
def test_more_room_more_carried(path, extra):
    """Two cores only: on one core a larger ring carries less in overload."""
    ring = replace(path, kernel=replace(path.kernel, ring=path.kernel.ring + extra))
    buffer = replace(path, buffer=Buffer(path.buffer.capacity + extra))
    assert carried(ring) >= carried(path) * (1 - ROUNDING)
    assert carried(buffer) >= carried(path) * (1 - ROUNDING)


@given(tandems, st.floats(0.0, 5.0))
def test_dearer_wakeups_less_carried(path, extra):
    """While entering the wait call takes no longer than the kernel takes for a packet."""
    brief = min(path.wakeup.poll_cost, path.kernel.cost)
    path = replace(path, wakeup=replace(path.wakeup, poll_cost=brief))
    dearer = replace(path, wakeup=replace(path.wakeup, cost=path.wakeup.cost + extra))
    assert carried(dearer) <= carried(path) * (1 + ROUNDING)


@given(tandems)
def test_a_clock_in_other_units_changes_nothing(path):
    """Times in microseconds, rates per microsecond."""
    wakeup, kernel = path.wakeup, path.kernel
    scaled = split(
        rate=path.arrivals.rate * 1e6, ring=kernel.ring, capacity=path.buffer.capacity,
        kernel_cost=kernel.cost / 1e6, consumer_cost=path.consumer.cost / 1e6,
        wakeup_cost=wakeup.cost / 1e6, wakeup_latency=wakeup.latency / 1e6,
        poll_cost=wakeup.poll_cost / 1e6,
    )  # fmt: skip
    np.testing.assert_allclose(exact.solve(scaled).loss, exact.solve(path).loss, **DAMAGE)


def test_dearer_wakeups_may_carry_more():
    """Why the law above has a condition: proved in fractions, not by the solver alone.

    While the consumer spends long in the wait call a small buffer overflows; a signal that keeps
    the kernel busy leaves packets in the ring, which would not have found room.
    """
    usual = {"rate": 1.0, "ring": 2, "capacity": 3, "kernel_cost": 0.1, "consumer_cost": 0.1,
             "wakeup_latency": 0.2, "poll_cost": 4.0}  # fmt: skip
    tenth = Fraction(0.1)
    proof = [
        rates(
            TwoCores(
                (Fraction(1),), 2, 3, exponential(tenth), exponential(tenth), cost,
                Fraction(0.2), 4,
            ),
            exact=True,
        )["carried"]
        for cost in (0, 1)
    ]  # fmt: skip
    assert proof[1] > proof[0]
    for cost, truth in zip((0.0, 1.0), proof, strict=True):
        assert carried(split(**usual, wakeup_cost=cost)) == pytest.approx(float(truth), rel=TIGHT)
