"""Two cores: laws derived again from the two balance equations, and walked event by event."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import sympy as sp
from hypothesis import assume, given
from hypothesis import strategies as st

from capmodel.formulary import (
    carried_rate_saturated,
    critical_rate,
    kappa_effective,
    optimal_consumer_cost,
    packets_per_wakeup,
    poll_miss_probability,
    wakeup_rate_saturated,
)
from tests.oracles.event_simulation import two_core

CK, CA, W, S = sp.symbols("c_k c_a w S", positive=True)
X, NU = sp.symbols("X nu", positive=True)
# kernel: packets and signals fill its time; consumer: packets and time away fill its own
BALANCE = sp.solve([sp.Eq(X * CK + NU * W, 1), sp.Eq(X * CA + NU * S, 1)], [X, NU], dict=True)[0]

costs = st.floats(0.01, 10.0)


def check(symbolic: sp.Expr, function: Callable[..., np.ndarray]) -> None:
    """Function of (c_k, c_a, w, S) against the symbolic law where the law is the amortised one."""
    law = sp.lambdify((CK, CA, W, S), symbolic)
    rng = np.random.default_rng(7)
    kernel = rng.uniform(0.5, 2.0, 500)
    consumer = kernel * rng.uniform(0.0, 0.99, 500)
    wake = rng.uniform(0.01, 5.0, 500)
    off = wake + (kernel - consumer) * rng.uniform(1.01, 60.0, 500)  # more than one per wakeup
    np.testing.assert_allclose(
        function(kernel, consumer, wake, off), law(kernel, consumer, wake, off), rtol=1e-11
    )


def test_carried_rate_balances_both_cores() -> None:
    check(BALANCE[X], carried_rate_saturated)


def test_wakeup_rate_balances_both_cores() -> None:
    check(BALANCE[NU], wakeup_rate_saturated)


def test_packets_per_wakeup_is_the_ratio_of_the_two() -> None:
    assert sp.simplify(BALANCE[X] / BALANCE[NU] - (S - W) / (CK - CA)) == 0
    check(BALANCE[X] / BALANCE[NU], packets_per_wakeup)


def test_kappa_unifies_the_law() -> None:
    kappa = W / (S - W)
    assert sp.simplify(BALANCE[X] - 1 / (CK + kappa * (CK - CA))) == 0
    check(kappa, lambda kernel, consumer, wake, off: kappa_effective(wake, off))


def test_more_work_captures_more() -> None:
    """The paradox: for w > 0, S > w, c_a < c_k the derivative is w (S - w) over a square."""
    slope = sp.diff(BALANCE[X], CA)
    assert sp.simplify(slope - W * (S - W) / (S * CK - W * CA) ** 2) == 0
    kernel, off, wake = 1.0, 8.0, 2.0
    rates = carried_rate_saturated(kernel, np.linspace(0.0, 1.0, 101), wake, off)
    assert np.all(np.diff(rates) > 0.0)
    assert np.all(
        np.diff(carried_rate_saturated(kernel, np.linspace(1.0, 3.0, 101), wake, off)) < 0
    )


def test_other_slopes_have_the_signs_of_the_derivation() -> None:
    assert sp.simplify(sp.diff(BALANCE[X], W) + S * (CK - CA) / (S * CK - W * CA) ** 2) == 0
    assert sp.simplify(sp.diff(BALANCE[X], S) - W * (CK - CA) / (S * CK - W * CA) ** 2) == 0
    assert sp.simplify(sp.diff(BALANCE[X], CK) + S * (S - W) / (S * CK - W * CA) ** 2) == 0


@given(costs, st.floats(0.0, 0.999), costs, st.floats(0.01, 100.0))
def test_no_more_than_either_core_and_no_less_than_one_wakeup_each(
    kernel: float, share: float, wake: float, excess: float
) -> None:
    carried = float(carried_rate_saturated(kernel, share * kernel, wake, wake + excess))
    assert 1.0 / (kernel + wake) <= carried * (1 + 1e-12)
    assert carried <= 1.0 / kernel * (1 + 1e-12)
    wakes = float(wakeup_rate_saturated(kernel, share * kernel, wake, wake + excess))
    assert wakes <= carried * (1 + 1e-9)
    assert carried * kernel + wakes * wake == pytest.approx(1.0, rel=1e-9)


@given(costs, st.floats(1.0, 5.0), costs, costs)
def test_slow_consumer_is_never_woken(
    kernel: float, factor: float, wake: float, off: float
) -> None:
    slow = factor * kernel
    assert float(carried_rate_saturated(kernel, slow, wake, off)) == pytest.approx(1.0 / slow)
    assert wakeup_rate_saturated(kernel, slow, wake, off) == 0.0
    assert packets_per_wakeup(kernel, slow, wake, off) == np.inf


def test_limits() -> None:
    assert carried_rate_saturated(1.0, 0.3, 0.0, 5.0) == 1.0  # free wakeups
    assert carried_rate_saturated(1.0, 0.3, 2.0, 1e15) == pytest.approx(1.0)  # rare wakeups
    assert carried_rate_saturated(1.0, 0.3, 2.0, 2.0) == pytest.approx(1.0 / 3.0)  # one each
    assert carried_rate_saturated(1.0, 0.3, 2.0, 2.0 + 0.7) == pytest.approx(1.0 / 3.0)
    assert carried_rate_saturated(1.0, 1.0 - 1e-12, 2.0, 6.0) == pytest.approx(1.0)
    assert kappa_effective(2.0, 2.0) == np.inf
    assert critical_rate(1.0, 2.0, 6.0) == pytest.approx((1.0 - 2.0 / 6.0) / 1.0)
    assert critical_rate(1.0, 2.0, 2.5) == pytest.approx(1.0 / 3.0)


@given(st.floats(0.05, 3.0), costs, costs, st.floats(0.01, 50.0))
def test_optimal_cost_is_the_least_that_captures_most(
    load: float, kernel: float, wake: float, excess: float
) -> None:
    off, offered = wake + excess, load / kernel
    best = float(optimal_consumer_cost(offered, kernel, wake, off))

    def captured(cost: np.ndarray | float) -> np.ndarray:
        return np.minimum(carried_rate_saturated(kernel, cost, wake, off) / offered, 1.0)

    everything = captured(np.linspace(0.0, 3.0 * kernel, 3001))
    assert float(captured(best)) >= np.max(everything) - 1e-9
    assume(best > 1e-3 * kernel)
    below = captured(best * np.linspace(0.0, 0.99, 100))
    assert np.all(below < float(captured(best)))


@pytest.mark.parametrize("wake", [0.7, 3.0])
@pytest.mark.parametrize("consumer", [0.1, 0.45, 0.8])
def test_constant_times_event_by_event(consumer: float, wake: float) -> None:
    """With S read off the simulation itself (time away per wakeup) no law is left but balance."""
    counts = two_core(
        rate=2.5, ring=64, capacity=4096, kernel_cost=1.0, consumer_cost=consumer,
        wakeup_cost=wake, latency=3.7, arrivals="cbr", packets=20_000,
    )  # fmt: skip
    off = (counts.elapsed - counts.delivered * consumer) / counts.wakes
    assert float(carried_rate_saturated(1.0, consumer, wake, off)) == pytest.approx(
        counts.carried_rate, rel=1e-3
    )
    assert float(wakeup_rate_saturated(1.0, consumer, wake, off)) == pytest.approx(
        counts.wakeup_rate, rel=2e-3
    )


def test_exponential_services_event_by_event() -> None:
    """S = w + L + P e^P + 1 for kernel 1: a poll is missed with e^-P, the gap has mean 1."""
    poll = 0.5
    off = 2.0 + 6.0 + poll * np.exp(poll) + 1.0
    counts = two_core(
        rate=4.0, ring=64, capacity=10_000, kernel_cost=1.0, consumer_cost=0.4, wakeup_cost=2.0,
        latency=6.0, poll_cost=poll, service="exponential", packets=600_000,
    )  # fmt: skip
    assert counts.carried_rate == pytest.approx(
        float(carried_rate_saturated(1.0, 0.4, 2.0, off)), rel=0.005
    )
    assert counts.delivered / counts.wakes == pytest.approx(
        float(packets_per_wakeup(1.0, 0.4, 2.0, off)), rel=0.02
    )


@pytest.mark.parametrize("poll", [0.1, 0.3, 0.55])
def test_a_poll_misses_by_counting(poll: float) -> None:
    """What is left of the interval when the consumer finds the buffer empty, over all phases."""
    phases = np.linspace(0.0, 40.0, 100_001)[1:]  # lag of a consumer that gains 0.6 per packet
    left = 0.6 * (np.floor(phases / 0.6) + 1.0) - phases
    assert float(poll_miss_probability(1.0, 0.4, poll, 0.0)) == pytest.approx(
        np.mean(left > poll), abs=0.01
    )
    gaps = np.random.default_rng(3).exponential(1.0, 400_000)
    assert float(poll_miss_probability(1.0, 0.4, poll, 1.0)) == pytest.approx(
        np.mean(gaps > poll), abs=0.005
    )


def test_a_poll_longer_than_the_gain_never_misses() -> None:
    assert poll_miss_probability(1.0, 0.4, 0.6001, 0.0) == pytest.approx(1e-9)
    counts = two_core(
        rate=3.0, ring=64, capacity=1000, kernel_cost=1.0, consumer_cost=0.4, wakeup_cost=2.0,
        latency=3.0, poll_cost=0.65, arrivals="cbr", packets=20_000,
    )  # fmt: skip
    assert counts.wakes == 0
    assert counts.carried_rate == pytest.approx(1.0, rel=1e-3)
