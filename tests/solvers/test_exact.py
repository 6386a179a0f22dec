"""The exact solver: reference values, the chain written state by state, limits, and laws."""

from __future__ import annotations

import itertools
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capmodel.path import Arrivals, CapturePath, Driver, Wakeup
from capmodel.results import Solution
from capmodel.solvers import _crosswise, exact
from capmodel.solvers._chains import kernel_of, sleeper
from capmodel.solvers._feeds import source, tandem_feed
from capmodel.solvers._sleeping import solve_sleeper
from tests.oracles.reference import reference_values
from tests.oracles.tandem_chain import OneCore, Phases, TwoCores, erlang, exponential, rates

TIGHT = 1e-12
DAMAGE = {"rtol": TIGHT, "atol": 0}


def split(**changes) -> CapturePath:
    usual = {
        "rate": 0.9, "ring": 20, "capacity": 16, "kernel_cost": 1.0, "consumer_cost": 0.6,
        "wakeup_cost": 2.0, "wakeup_latency": 4.0, "poll_cost": 0.5,
    }  # fmt: skip
    return CapturePath.split(**(usual | changes))


def accounted(solution: Solution, tolerance: float = TIGHT) -> None:
    """Every packet, and every core's time; Little's law ties the rest together."""
    assert solution.carried_rate + sum(solution.drops.values()) == pytest.approx(
        float(solution.offered_rate), rel=tolerance
    )
    for times in solution.core_time.values():
        assert sum(times.values()) == pytest.approx(1.0, abs=tolerance)
        assert all(share >= 0.0 for share in times.values())
    path = solution.path
    if "consumer" in solution.core_time:
        times = solution.core_time["consumer"]
        assert times["packets"] == pytest.approx(
            float(solution.carried_rate * path.consumer.cost), rel=tolerance
        )
        if path.wakeup.policy != "spin":
            assert times["waiting"] == pytest.approx(
                float(solution.poll_rate * path.wakeup.poll_cost), rel=tolerance
            )
        assert solution.core_time["kernel"]["wakeups"] == pytest.approx(
            float(solution.wakeup_rate * path.wakeup.cost), rel=tolerance
        )


def same_rates(solution: Solution, expected: dict, tolerance: float = TIGHT) -> None:
    """`expected` comes from the chain written state by state."""
    named = {
        "carried": solution.carried_rate, "ring drop": solution.drops["ring"],
        "buffer drop": solution.drops["buffer"], "wakeup": solution.wakeup_rate,
        "poll": solution.poll_rate, "interrupt": solution.interrupt_rate,
        "in ring": solution.ring_occupancy, "in buffer": solution.buffer_occupancy,
    }  # fmt: skip
    for name, value in named.items():
        assert float(value) == pytest.approx(float(expected[name]), rel=tolerance, abs=1e-300), name


class TestReferenceValues:
    """Each was computed by two methods, neither of them this one."""

    @pytest.mark.parametrize("name", ["AB_exp_tandem_0", "AB_exp_tandem_2"])
    def test_two_cores(self, name):
        p, (carried, wakeups, buffer, ring) = reference_values(name)[name]
        solution = exact.solve(
            CapturePath.split(
                rate=p["lam"], ring=p["R"], capacity=p["K"], kernel_cost=p["ck"],
                consumer_cost=p["ca"], wakeup_cost=p["w"], wakeup_latency=p["L"], poll_cost=p["P"],
            )
        )  # fmt: skip
        assert solution.exact
        got = [
            solution.carried_rate,
            solution.wakeup_rate,
            solution.drops["buffer"],
            solution.drops["ring"],
        ]
        np.testing.assert_allclose(got, [carried, wakeups, buffer, ring], rtol=3e-14)
        accounted(solution)

    @pytest.mark.parametrize("name", ["AA_exp_0", "AA_exp_2"])
    def test_one_core(self, name):
        p, (carried, ring, buffer) = reference_values(name)[name]
        solution = exact.solve(
            CapturePath.same_core(
                rate=p["lam"], ring=p["R"], capacity=p["K"], kernel_cost=p["ck"],
                consumer_cost=p["ca"],
            )
        )  # fmt: skip
        np.testing.assert_allclose(solution.carried_rate, carried, rtol=1e-13)
        np.testing.assert_allclose(solution.drops["buffer"], buffer, rtol=1e-12)
        np.testing.assert_allclose(solution.drops["ring"], ring, rtol=1e-8)  # a sparse LU's 4e-13
        accounted(solution)

    def test_saturated(self):
        (p, (carried,)) = reference_values("AB_exp_saturated_0")["AB_exp_saturated_0"]
        # against a ring that is never empty the load must be so high that it practically never is
        solution = exact.solve(
            CapturePath.split(
                rate=1e6, ring=8, capacity=p["K"], kernel_cost=p["ck"], consumer_cost=p["ca"],
                wakeup_cost=p["w"], wakeup_latency=p["L"], poll_cost=p["P"],
            )
        )  # fmt: skip
        np.testing.assert_allclose(solution.carried_rate, carried, rtol=1e-12)

    def test_modulated_arrivals(self):
        (p, (loss,)) = reference_values("MMPP_M_1_K_0")["MMPP_M_1_K_0"]
        on, off = 1.0 / p["s"][1], 1.0 / p["s"][0]
        rate = p["l"][1] * on / (on + off)
        arrivals = Arrivals(rate, "on_off", 1.0, on=on, off=off)
        single = CapturePath.single(rate=1.0, capacity=p["K"], consumer_cost=1.0 / p["mu"])
        np.testing.assert_allclose(
            exact.solve(replace(single, arrivals=arrivals)).loss, loss, rtol=1e-9
        )


def as_exact(x: float) -> Fraction:
    return Fraction(x)


class TestAgainstFractions:
    """Small systems, every number a fraction: 1e-12 relative, losses included."""

    @pytest.mark.parametrize(("ring", "capacity"), [(1, 1), (2, 3), (3, 2), (3, 3), (1, 5), (4, 1)])
    @pytest.mark.parametrize("rate", [1e-6, 0.7, 3.0, 1e5])
    def test_two_cores(self, ring, capacity, rate):
        path = split(rate=rate, ring=ring, capacity=capacity)
        system = TwoCores(
            (as_exact(rate),), ring, capacity, exponential(as_exact(1.0)),
            exponential(as_exact(0.6)), 2, 4, as_exact(0.5),
        )  # fmt: skip
        solution = exact.solve(path)
        same_rates(solution, rates(system, exact=True))
        accounted(solution)

    @pytest.mark.parametrize("zero", [*itertools.product([0, 1], repeat=3)])
    def test_free_waits(self, zero):
        waits = [float(x) * cost for x, cost in zip(zero, (2.0, 4.0, 0.5), strict=True)]
        names = ("wakeup_cost", "wakeup_latency", "poll_cost")
        path = split(ring=3, capacity=3, **dict(zip(names, waits, strict=True)))
        system = TwoCores(
            (as_exact(0.9),), 3, 3, exponential(Fraction(1)), exponential(as_exact(0.6)),
            *(as_exact(x) for x in waits),
        )  # fmt: skip
        solution = exact.solve(path)
        same_rates(solution, rates(system, exact=True))
        accounted(solution)

    @pytest.mark.parametrize("rate", [1e-4, 0.7, 2.0])
    def test_one_core(self, rate):
        path = CapturePath.same_core(
            rate=rate, ring=4, capacity=5, kernel_cost=0.6, consumer_cost=0.8, drop_cost=0.25
        )
        numbers = (as_exact(x) for x in (0.6, 0.8, 0.25))
        solution = exact.solve(path)
        same_rates(solution, rates(OneCore(as_exact(rate), 4, 5, *numbers), exact=True))
        accounted(solution)

    def test_losses_down_to_1e_200(self):
        """M/M/1/K read directly: at load r the loss is (1-r) r^K / (1 - r^(K+1))."""
        for load, capacity in [(1e-2, 100), (0.5, 660), (0.1, 16), (0.9, 4000)]:
            r = Fraction(load)
            exactly = (1 - r) * r**capacity / (1 - r ** (capacity + 1))
            solution = exact.solve(
                CapturePath.single(rate=load, capacity=capacity, consumer_cost=1.0)
            )
            assert float(solution.loss) == pytest.approx(float(exactly), rel=1e-11)

    def test_ring_losses_of_an_autonomous_ring(self):
        """Without signals the ring is M/M/1/R, down to 1e-150."""
        r, ring = Fraction(0.1), 120
        exactly = (1 - r) * r**ring / (1 - r ** (ring + 1))
        solution = exact.solve(split(rate=0.1, ring=ring, capacity=50_000, wakeup_cost=0.0))
        assert float(solution.drops["ring"]) == pytest.approx(0.1 * float(exactly), rel=1e-11)


class TestAgainstSparseChain:
    """Larger systems, other distributions, against a sparse LU of the chain."""

    def compare(self, path: CapturePath, system: TwoCores) -> None:
        solution = exact.solve(path)
        same_rates(solution, rates(system), 1e-9)
        accounted(solution)

    @pytest.mark.parametrize("rate", [0.7, 1.1, 5.0])
    def test_exponential(self, rate):
        self.compare(
            split(rate=rate),
            TwoCores((rate,), 20, 16, exponential(1.0), exponential(0.6), 2.0, 4.0, 0.5),
        )

    def test_erlang_services(self):
        self.compare(
            split(service=0.25, ring=9, capacity=8),
            TwoCores((0.9,), 9, 8, erlang(1.0, 4), erlang(0.6, 4), 2.0, 4.0, 0.5),
        )

    def test_hyperexponential_services(self):
        fast = (1.0 + 0.6**0.5) / 2.0  # balanced means at scv 4
        p = (fast, 1.0 - fast)

        def balanced(mean: float) -> Phases:
            return Phases(p, ((0, 0), (0, 0)), tuple(2.0 * x / mean for x in p))

        self.compare(
            split(service=4.0, ring=12, capacity=9),
            TwoCores((0.9,), 12, 9, balanced(1.0), balanced(0.6), 2.0, 4.0, 0.5),
        )

    def test_drop_cost_and_interrupts(self):
        path = split(service=0.5, ring=10, capacity=6, consumer_cost=0.9)
        kernel = replace(path.kernel, drop_cost=0.4, driver=Driver(interrupt_cost=1.5))
        self.compare(
            replace(path, kernel=kernel),
            TwoCores(
                (0.9,), 10, 6, erlang(1.0, 2), erlang(0.9, 2), 2.0, 4.0, 0.5, interrupt=1.5,
                full_pace=2.5,
            ),
        )  # fmt: skip

    @pytest.mark.parametrize("contention", [0.0, 0.5])
    def test_spinning_consumer(self, contention):
        path = split(rate=1.2, ring=15, capacity=10)
        spinning = replace(path, wakeup=Wakeup("spin", contention=contention))
        self.compare(
            spinning,
            TwoCores(
                (1.2,), 15, 10, exponential(1.0), exponential(0.6), spins=True,
                empty_pace=1.0 / (1.0 + contention),
            ),
        )  # fmt: skip

    def test_modulated_arrivals(self):
        path = replace(
            split(ring=10, capacity=12), arrivals=Arrivals(0.8, "on_off", 1.0, on=20.0, off=30.0)
        )
        self.compare(
            path,
            TwoCores(
                (2.0, 0.0), 10, 12, exponential(1.0), exponential(0.6), 2.0, 4.0, 0.5,
                switching=(1.0 / 20.0, 1.0 / 30.0),
            ),
        )  # fmt: skip


@given(
    st.integers(1, 9), st.integers(1, 9), st.sampled_from([0.25, 0.4, 1.0, 3.0]),
    st.lists(st.sampled_from([0.0, 0.3, 2.0]), min_size=3, max_size=3),
    st.sampled_from([0.0, 0.7]), st.sampled_from([1.0, 0.3]), st.booleans(),
)  # fmt: skip
def test_ring_as_level_or_buffer_as_level(ring, capacity, scv, waits, interrupt, drop, spins):
    """Two formulations that share no state numbering agree to rounding."""
    cost, latency, poll = waits
    path = split(
        rate=1.1, ring=ring, capacity=capacity, service=scv, wakeup_cost=cost,
        wakeup_latency=latency, poll_cost=poll,
    )  # fmt: skip
    wakeup = Wakeup("spin", contention=0.4) if spins else path.wakeup
    kernel = replace(path.kernel, drop_cost=drop, driver=Driver(interrupt_cost=interrupt))
    path = replace(path, kernel=kernel, wakeup=wakeup)
    pace = {"full_pace": 1.0 / drop, "empty_pace": 1.0 / 1.4 if spins else 1.0}
    feed = tandem_feed(source(path.arrivals), ring, kernel_of(path), **pace)
    one = exact._named(solve_sleeper(feed, sleeper(path), capacity))
    other = _crosswise.solve_crosswise(1.1, ring, kernel_of(path), sleeper(path), capacity, **pace)
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert value == pytest.approx(other[name], rel=TIGHT, abs=1e-300), name


class TestLimits:
    """Section by section what the coupled tandem becomes when parts of it vanish."""

    def test_saturated_kernel_and_finite_buffer(self):
        """Exponential everything, ring never empty: the law in closed form.

        Per cycle the consumer finds a geometric backlog, works it off against a kernel of its
        own speed, polls, and waits for one more packet.
        """
        c, a, w, L, P, K = 1.0, 0.4, 2.0, 5.0, 0.5, 12
        rho, r, rp = a / c, L / (L + c), P / (P + c)
        passage = [(1 - rho ** (K - j + 1)) / (1 - rho) for j in range(1, K + 1)]
        work = np.concatenate([[0.0], np.cumsum(passage)])
        woken = [(1 - r) * r ** (b - 1) for b in range(1, K)] + [r ** (K - 1)]
        polled = [(1 - rp) * rp**b for b in range(K)] + [rp**K]
        batch = np.dot(woken, work[1:]) + np.dot(polled, work) / (1 - rp)
        length = w + L + P / (1 - rp) + batch * a + c
        errors = []
        for rate in (1e4, 1e5, 1e6):
            solution = exact.solve(
                split(rate=rate, ring=6, capacity=K, wakeup_latency=L, consumer_cost=a)
            )
            expected = [batch / length, 1.0 / length, (1 - w / length) / c - batch / length]
            got = [solution.carried_rate, solution.wakeup_rate, solution.drops["buffer"]]
            errors.append(np.max(np.abs(np.array(got) / expected - 1.0)))
        assert errors[0] < 1e-8
        assert max(errors[1:]) < 1e-12  # ring empty with probability rate**-6

    @pytest.mark.parametrize("rate", [0.5, 1.0, 2.0])
    def test_free_kernel_is_a_single_queue(self, rate):
        """c_k -> 0: M/M/1/K."""
        fast = split(
            rate=rate, kernel_cost=1e-13, consumer_cost=1.0, wakeup_cost=0.0, wakeup_latency=0.0,
            poll_cost=0.0,
        )  # fmt: skip
        single = CapturePath.single(rate=rate, capacity=16, consumer_cost=1.0)
        got, expected = exact.solve(fast), exact.solve(single)
        assert got.carried_rate == pytest.approx(float(expected.carried_rate), rel=1e-11)

    @pytest.mark.parametrize("rate", [0.5, 1.0, 2.0])
    def test_free_consumer_is_the_ring_alone(self, rate):
        """c_a, L, P -> 0: M/M/1/R (the consumer never keeps the kernel waiting)."""
        path = split(
            rate=rate, consumer_cost=1e-13, wakeup_cost=0.0, wakeup_latency=0.0, poll_cost=0.0
        )
        single = CapturePath.single(rate=rate, capacity=20, consumer_cost=1.0)
        got, expected = exact.solve(path), exact.solve(single)
        np.testing.assert_allclose(got.drops["ring"], expected.drops["ring"], rtol=1e-11)

    @pytest.mark.parametrize("scv", [0.2, 0.5, 1.0, 2.0, 20.0])
    @pytest.mark.parametrize("load", [0.3, 1.0, 4.0])
    def test_room_for_one(self, scv, load):
        """K = 1: the loss is rho/(1 + rho) for every service."""
        path = CapturePath.single(rate=load, capacity=1, consumer_cost=1.0, service=scv)
        assert float(exact.solve(path).loss) == pytest.approx(load / (1.0 + load), rel=TIGHT)

    @pytest.mark.parametrize(
        ("scv", "load", "loss"),
        [(0.25, 0.8, 0.0074517585262), (0.25, 0.95, 0.040912924408), (4.0, 0.95, 0.14201379643)],
    )
    def test_phase_type_services_alone(self, scv, load, loss):
        """M/E4/1/10 and M/H2/1/10, computed by the embedded chain and by a dense generator."""
        path = CapturePath.single(rate=load, capacity=10, consumer_cost=1.0, service=scv)
        assert float(exact.solve(path).loss) == pytest.approx(loss, rel=4e-11)

    def test_one_core_in_deep_overload(self):
        """The consumer gets what the kernel leaves: P(idle) = (1 - rho)/(1 - rho^(R+1))."""
        rho, ring = 1.5, 8
        path = CapturePath.same_core(
            rate=rho, ring=ring, capacity=200, kernel_cost=1.0, consumer_cost=1.0
        )
        idle = (1 - rho) / (1 - rho ** (ring + 1))
        assert float(exact.solve(path).carried_rate) == pytest.approx(idle, rel=1e-9)

    def test_more_ring_means_less_on_one_core(self):
        """A law of livelock, not a mistake: a larger ring starves the consumer."""
        got = [
            float(exact.solve(CapturePath.same_core(
                rate=1.4, ring=ring, capacity=64, kernel_cost=0.8, consumer_cost=0.8
            )).carried_rate)
            for ring in (4, 8, 16, 32)
        ]  # fmt: skip
        assert got == sorted(got, reverse=True)

    def test_near_critical_rounding(self):
        """At the critical load the deficit falls with the ring as a constant over its size."""
        usual = {"capacity": 4096, "consumer_cost": 0.4, "wakeup_latency": 16.0}
        critical = float(exact.solve(split(rate=1e9, ring=4, **usual)).carried_rate)
        scaled = [
            ring * float(exact.solve(split(rate=critical, ring=ring, **usual)).loss)
            for ring in (16, 32, 64, 128)
        ]
        changes = np.abs(np.diff(scaled)) / scaled[:-1]
        assert np.all(changes < [0.05, 0.03, 0.015])


def test_a_short_run_is_noted_only_where_something_overflows() -> None:
    """What a run's empty buffers take is of interest where they fill."""

    def notes(rate: float) -> str:
        path = CapturePath.split(rate=rate, ring=16, capacity=32, kernel_cost=1.0,
                                 consumer_cost=0.5, duration=100.0)  # fmt: skip
        return " ".join(exact.solve(path).notes)

    assert "long-run rates" in notes(2.0)
    assert "long-run rates" not in notes(0.01)
