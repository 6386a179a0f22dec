"""The decomposition against the exact chain, within the error that it states."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capmodel.path import Arrivals, CapturePath, Cores, Driver, Kernel, Wakeup
from capmodel.results import Solution
from capmodel.solvers import _fixed_points, decomposition, exact, simulation
from capmodel.solvers._chains import kernel_of, sleeper
from capmodel.solvers._feeds import source, tandem_feed
from capmodel.solvers._fixed_points import fixed_points
from capmodel.solvers._sleeping import solve_sleeper
from tests.solvers.paths import random_paths

# For rings and buffers of 32 packets or more; ACCURACY states what was measured.
MEAN, TWENTIETH, WORST = 0.0005, 0.002, 0.01


def accounted(solution: Solution) -> None:
    assert solution.carried_rate + sum(solution.drops.values()) == pytest.approx(
        float(solution.offered_rate), rel=1e-12
    )
    for times in solution.core_time.values():
        assert sum(times.values()) == pytest.approx(1.0, abs=1e-12)
        assert all(share >= 0.0 for share in times.values())
    for name in ("carried_rate", "wakeup_rate", "poll_rate", "ring_occupancy", "sojourn_time"):
        assert np.isfinite(getattr(solution, name))
        assert getattr(solution, name) >= 0.0


def errors(paths: Iterator[CapturePath]) -> tuple[np.ndarray, np.ndarray]:
    """Relative errors of the carried rate, and of the wakeup rate where there are wakeups."""
    carried, wakeups = [], []
    for path in paths:
        truth, got = exact.solve(path), decomposition.solve(path)
        accounted(got)
        carried.append(abs(got.carried_rate / truth.carried_rate - 1.0))
        if truth.wakeup_rate > 1e-6:
            wakeups.append(abs(got.wakeup_rate / truth.wakeup_rate - 1.0))
    return np.array(carried), np.array(wakeups)


def within(carried: np.ndarray) -> None:
    assert carried.mean() < MEAN
    assert np.quantile(carried, 0.95) < TWENTIETH
    assert carried.max() < WORST


def test_against_the_exact_chain():
    carried, wakeups = errors(random_paths(60, seed=1))
    within(carried)
    assert np.median(wakeups) < 0.002
    assert np.quantile(wakeups, 0.95) < 0.03


@pytest.mark.slow
def test_against_the_exact_chain_500_times():
    carried, wakeups = errors(random_paths(500, seed=2))
    within(carried)
    assert np.median(wakeups) < 0.002
    assert np.quantile(wakeups, 0.95) < 0.03


def test_services_that_vary_less():
    """Against the exact chain of two-stage services, with polls and latencies of two stages."""
    wrong = []
    for drawn in random_paths(12, seed=3, service=0.5):
        path = replace(drawn, kernel=replace(drawn.kernel, ring=32))
        feed = tandem_feed(source(path.arrivals), 32, kernel_of(path))
        consumer = sleeper(path, stages=decomposition.wait_stages(path))
        assert consumer.stages == 2
        truth = solve_sleeper(feed, consumer, int(path.buffer.capacity)).carried
        wrong.append(abs(float(decomposition.solve(path).carried_rate / truth) - 1.0))
    within(np.array(wrong))


def test_services_that_vary_more():
    paths = random_paths(12, seed=3, service=3.0)
    carried, _ = errors(replace(path, kernel=replace(path.kernel, ring=32)) for path in paths)
    assert carried.mean() < 2.0 * MEAN
    assert carried.max() < WORST


def test_drop_cost_and_interrupts():
    rng = np.random.default_rng(4)
    paths = [
        replace(
            path,
            kernel=replace(
                path.kernel, ring=40, drop_cost=rng.uniform(0.3, 1.0),
                driver=Driver(interrupt_cost=rng.uniform(0.1, 3.0)),
            ),
        )
        for path in random_paths(20, seed=5)
    ]  # fmt: skip
    carried, _ = errors(iter(paths))
    within(carried)


def test_spinning_consumer():
    """No signals: the stages do not depend on each other, and little is approximated."""
    paths = (replace(path, wakeup=Wakeup("spin")) for path in random_paths(20, seed=6))
    carried, _ = errors(paths)
    within(carried)


def test_constant_intervals():
    """Against the simulation, within the stated accuracy; no waits, as those vary in the chain."""
    rng = np.random.default_rng(3)
    wrong = []
    for _ in range(24):
        rate, work = np.exp(rng.uniform(np.log([0.6, 0.5]), np.log([1.3, 1.2])))
        ring, capacity = np.exp(rng.uniform(np.log(4), np.log(64), 2)).round()
        path = CapturePath.split(
            rate=rate, ring=ring, capacity=capacity, kernel_cost=1.0, consumer_cost=work,
            arrivals="cbr", service=rng.choice([1.0, 0.3]),
        )  # fmt: skip
        got, truth = decomposition.solve(path), simulation.solve(path)
        accounted(got)
        wrong.append(abs(float(got.carried_rate / truth.carried_rate) - 1.0))
    assert "Erlang-8" in got.accuracy
    assert np.mean(wrong) < 0.006
    assert max(wrong) < 0.03


def test_constant_intervals_reduce_to_poisson_with_one_phase(monkeypatch):
    """Erlang intervals of one phase are exponential: the same stages, solved along another way."""
    poisson = split()
    regular = split(arrivals="cbr")
    monkeypatch.setitem(decomposition.ARRIVAL_PHASES, "cbr", 1)
    one, other = decomposition.solve(poisson), decomposition.solve(regular)
    assert float(other.carried_rate) == pytest.approx(float(one.carried_rate), rel=1e-12)


def test_constant_intervals_with_waits_and_interrupts_are_accounted_for():
    for path in random_paths(10, seed=8, arrivals="cbr"):
        kernel = replace(path.kernel, drop_cost=0.5, driver=Driver(interrupt_cost=0.7))
        accounted(decomposition.solve(replace(path, kernel=kernel)))


def split(**changes) -> CapturePath:
    usual = {
        "rate": 0.9, "ring": 256, "capacity": 1024, "kernel_cost": 1.0, "consumer_cost": 0.6,
        "wakeup_cost": 2.0, "wakeup_latency": 4.0, "poll_cost": 0.5,
    }  # fmt: skip
    return CapturePath.split(**(usual | changes))


def test_small_losses_keep_their_size():
    """Losses of 1e-12 to 1e-3 within half an order of magnitude, never negative."""
    for rate in (0.5, 0.6, 0.7, 0.75):
        path = split(rate=rate, ring=64, capacity=48, wakeup_cost=0.5)
        truth, got = exact.solve(path).loss, decomposition.solve(path).loss
        assert 0.0 < truth < 1e-3
        assert abs(np.log10(got / truth)) < 0.5


def test_large_systems_have_their_limits():
    """Ring 4096 and buffer 100,000: carried is offered, or what a kernel that pays can carry."""
    big = {"ring": 4096, "capacity": 100_000}
    light = decomposition.solve(split(rate=0.7, **big))
    assert light.carried_rate == pytest.approx(0.7, rel=1e-6)
    heavy = decomposition.solve(split(rate=3.0, **big))
    # exponential services: the consumer is away for w + L + P (1 + P/c_k) + c_k in every cycle
    off = 2.0 + 4.0 + 0.5 * 1.5 + 1.0
    assert heavy.carried_rate == pytest.approx((off - 2.0) / (off - 2.0 * 0.6), rel=1e-3)
    slow = decomposition.solve(split(rate=3.0, consumer_cost=2.0, **big))
    assert slow.carried_rate == pytest.approx(0.5, rel=1e-6)


def test_deterministic_services_become_erlang():
    less = decomposition.solve(split(service="deterministic"))
    erlang = decomposition.solve(split(service=0.25))
    assert float(less.carried_rate) == pytest.approx(float(erlang.carried_rate), rel=1e-12)


@given(
    st.floats(-3, 2), st.integers(1, 10**5), st.integers(1, 10**6), st.floats(-2, 1),
    st.lists(st.none() | st.floats(-2, 2), min_size=3, max_size=3),
    st.sampled_from([0.0, 0.3, 1.0, 5.0]), st.sampled_from([1e-6, 1.0]),
)  # fmt: skip
def test_any_size_any_unit(rate, ring, capacity, work, waits, scv, unit):
    """Over five orders of magnitude everything is accounted for."""
    costs = [0.0 if wait is None else unit * 10.0**wait for wait in waits]
    names = ("wakeup_cost", "wakeup_latency", "poll_cost")
    path = split(
        rate=10.0**rate / unit, ring=ring, capacity=capacity, kernel_cost=unit,
        consumer_cost=unit * 10.0**work, service=scv, **dict(zip(names, costs, strict=True)),
    )  # fmt: skip
    accounted(decomposition.solve(path))


FLOODS = {
    "no room": {"capacity": 1},
    "signals": {"capacity": 65, "wakeup_cost": 1.0},
    "every wait": {"capacity": 4, "wakeup_cost": 0.5, "wakeup_latency": 2.0, "poll_cost": 0.3},
}


def flood(ring: int, **changes) -> CapturePath:
    """3.28 packets per service, of which the kernel finds its ring empty once in 1e308."""
    usual = {
        "rate": 10.0**0.515625, "ring": ring, "kernel_cost": 1.0, "consumer_cost": 1.0,
        "wakeup_cost": 0.0, "wakeup_latency": 0.0, "poll_cost": 0.0, "service": 0.25,
    }  # fmt: skip
    return split(**(usual | changes))


@pytest.mark.parametrize("waits", FLOODS.values(), ids=FLOODS)
def test_a_ring_that_never_empties_may_have_any_size(waits):
    """From 24 slots on; at 325 the chance of an empty one is less than any normal number."""
    small = flood(24, **waits)
    feed = tandem_feed(source(small.arrivals), 24, kernel_of(small, decomposition.ERLANG_ORDER))
    consumer = sleeper(small, decomposition.ERLANG_ORDER, decomposition.wait_stages(small))
    truth = solve_sleeper(feed, consumer, int(small.buffer.capacity))
    for ring in (24, *range(300, 350), 400):
        solution = decomposition.solve(flood(ring, **waits))
        accounted(solution)
        assert solution.notes == ()  # every start converged, and to the same point
        assert float(solution.carried_rate) == pytest.approx(float(truth.carried), rel=1e-9)
        assert float(solution.wakeup_rate) == pytest.approx(float(truth.wakeups), rel=1e-9)


def test_a_ring_that_never_empties_by_events():
    """Against the simulation, which knows nothing of chains; its own error is 0.2 %."""
    got = decomposition.solve(flood(325, capacity=1))
    truth = simulation.solve(flood(325, capacity=1))
    assert float(got.carried_rate) == pytest.approx(float(truth.carried_rate), rel=6e-3)
    assert got.drops["ring"] == pytest.approx(truth.drops["ring"], rel=6e-3)


@given(
    st.floats(0.05, 3), st.floats(300, 326), st.integers(1, 64), st.floats(-1, 1),
    st.lists(st.none() | st.floats(-2, 2), min_size=3, max_size=3),
)  # fmt: skip
def test_a_ring_that_never_empties_whatever_the_rest_is(rate, digits, capacity, work, waits):
    """Rates 1.1 to 1000; M/M/1/R is empty with chance rate**-R or so: 1e-50 or 1e-310."""
    costs = [0.0 if wait is None else 10.0**wait for wait in waits]
    names = ("wakeup_cost", "wakeup_latency", "poll_cost")
    small, large = (
        decomposition.solve(flood(
            round(none / rate), rate=10.0**rate, capacity=capacity, service=1.0,
            consumer_cost=10.0**work, **dict(zip(names, costs, strict=True)),
        ))
        for none in (50.0, digits)
    )  # fmt: skip
    accounted(large)
    assert float(large.carried_rate) == pytest.approx(float(small.carried_rate), rel=1e-9)
    assert large.notes == small.notes


def test_where_no_start_converges_it_says_so(monkeypatch):
    monkeypatch.setattr(_fixed_points, "_MOST_STEPS", 1)
    with pytest.raises(ArithmeticError, match="none of 3 starts converged"):
        decomposition.solve(split())


def test_doubts_itself_where_the_kernel_is_a_clock():
    """A constant kernel and a constant consumer resonate, which Erlang-4 does not."""
    assert "closed form" in decomposition.doubts(split(service="deterministic"))
    assert decomposition.doubts(split()) is None


def test_states_its_limits():
    solution = decomposition.solve(split())
    assert not solution.exact
    assert "0.7 %" in solution.accuracy
    assert solution.notes == ()


REFUSED = {
    "array": split(rate=np.array([0.5, 1.0])),
    "Poisson or come": replace(split(), arrivals=Arrivals(0.5, "cbr", 0.3)),
    "signal threshold": split(threshold=2.0),
    "two cores": CapturePath.same_core(
        rate=1.0, ring=32, capacity=32, kernel_cost=0.5, consumer_cost=0.5
    ),
    "two stages": CapturePath.single(rate=1.0, capacity=32, consumer_cost=0.5),
    "arrivals must be": replace(split(), arrivals=Arrivals(0.5, "on_off", 1.0, on=1.0, off=1.0)),
    "slows the kernel": replace(split(), wakeup=Wakeup("spin", contention=0.5)),
    "at most": split(capacity=10_000_000),
    "shared core": replace(split(), cores=Cores("same")),
    "interrupts": replace(split(), kernel=Kernel(256, 1.0, scv=1.0, driver=Driver("moderated"))),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_refuses(reason):
    assert reason in decomposition.accepts(REFUSED[reason])
    with pytest.raises(ValueError, match="decomposition: "):
        decomposition.solve(REFUSED[reason])


class TestFixedPoints:
    """The search alone, on maps whose fixed points are known."""

    @staticmethod
    def search(rule, starts):
        stack = np.array([[start, 0.0] for start in starts])

        def step(points):
            image = np.stack([rule(points[:, 0]), 0.0 * points[:, 1]], axis=-1)
            return image, points[:, 0].copy()

        found, failed = fixed_points(step, stack, -50.0)
        return [float(values[i]) for values, i in found], failed

    def test_contraction(self):
        found, failed = self.search(np.cos, [0.0, 2.0, 9.0])
        assert failed == 0
        np.testing.assert_allclose(found, 0.7390851332, atol=1e-4)

    def test_all_branches_are_found(self):
        """3 tanh x: two stable fixed points and an unstable one in between."""
        found, failed = self.search(lambda x: 3.0 * np.tanh(x), [-5.0, 4.0])
        assert failed == 0
        np.testing.assert_allclose(found, [-2.9847, 2.9847], atol=1e-3)

    def test_steep_fall_is_bracketed(self):
        """A map that falls steeply throws every plain iteration from side to side."""
        found, failed = self.search(lambda x: -10.0 * np.tanh(20.0 * (x - 0.3)), [-5.0, 4.0])
        assert failed == 0
        np.testing.assert_allclose(found, 0.2985, atol=1e-3)

    def test_failure_is_counted(self):
        found, failed = self.search(lambda x: x + 1.0, [0.0])
        assert (found, failed) == ([], 1)
