"""One core: the goodput law from the balance of the core's time."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from capmodel.formulary import same_core_carried_rate
from tests.oracles.event_simulation import same_core

costs = st.floats(0.05, 5.0)


def test_goodput_balances_the_core() -> None:
    """Carried packets cost kernel and consumer time, the others the time to throw them away."""
    lam, x, ck, ca, cd = sp.symbols("lambda X c_k c_a c_d", positive=True)
    (solved,) = sp.solve(sp.Eq(x * (ck + ca) + (lam - x) * cd, 1), x)
    law = sp.lambdify((lam, ck, ca, cd), solved)
    rng = np.random.default_rng(4)
    kernel, consumer = rng.uniform(0.1, 2.0, (2, 400))
    drop = kernel * rng.uniform(0.05, 1.0, 400)
    # between the loss-free limit and the livelock, where every term is positive
    rate = 1 / (kernel + consumer) + (1 / drop - 1 / (kernel + consumer)) * rng.uniform(
        0.01, 0.99, 400
    )
    np.testing.assert_allclose(
        same_core_carried_rate(rate, kernel, consumer, drop), law(rate, kernel, consumer, drop),
        rtol=1e-10,
    )  # fmt: skip
    assert sp.simplify(solved.subs(cd, ck) - (1 - lam * ck) / ca) == 0
    assert sp.simplify(solved.subs(lam, 1 / (ck + ca)) - 1 / (ck + ca)) == 0


@given(costs, costs, st.floats(0.05, 1.0))
def test_loss_free_limit_and_livelock(kernel: float, consumer: float, part: float) -> None:
    drop, most = part * kernel, 1.0 / (kernel + consumer)
    assert same_core_carried_rate(0.999 * most, kernel, consumer, drop) == 0.999 * most
    assert float(same_core_carried_rate(1.001 * most, kernel, consumer, drop)) <= most
    assert same_core_carried_rate(1.0 / drop, kernel, consumer, drop) == pytest.approx(0, abs=1e-12)
    assert same_core_carried_rate(9.0 / drop, kernel, consumer, drop) == 0.0


@given(costs, costs, st.floats(0.0, 0.99), st.floats(0.5, 50.0))
def test_a_limited_kernel_share_prevents_livelock(
    kernel: float, consumer: float, share: float, load: float
) -> None:
    rate = load / kernel
    carried = float(same_core_carried_rate(rate, kernel, consumer, kernel, share))
    floor = min((1.0 - share) / consumer, 1.0 / (kernel + consumer), rate)
    assert carried >= floor * (1 - 1e-12)
    assert carried <= min(rate, 1.0 / (kernel + consumer)) * (1 + 1e-12)


@given(st.floats(0.01, 10.0), costs, costs, st.floats(0.05, 1.0))
def test_more_cost_never_captures_more(
    rate: float, kernel: float, consumer: float, part: float
) -> None:
    """Unlike on two cores: nonincreasing in both costs and in the cost of a drop."""
    drop = part * kernel
    here = float(same_core_carried_rate(rate, kernel, consumer, drop)) * (1 + 1e-12)
    assert same_core_carried_rate(rate, 1.1 * kernel, consumer, drop) <= here
    assert same_core_carried_rate(rate, kernel, 1.1 * consumer, drop) <= here
    assert same_core_carried_rate(rate, kernel, consumer, min(1.1 * drop, kernel)) <= here


def test_free_consumer_and_dropped_packets_as_dear_as_kept_ones() -> None:
    carried = same_core_carried_rate([0.5, 1.0, 2.0], 1.0, 0.0, 1.0)
    assert np.all(np.isfinite(carried) & (carried >= 0.0))


@pytest.mark.parametrize("rate", [0.5, 0.9, 1.2, 1.6])
def test_event_by_event(rate: float) -> None:
    counts = same_core(
        rate=rate, ring=32, capacity=64, kernel_cost=0.6, consumer_cost=0.8, drop_cost=0.4,
        arrivals="cbr", packets=20_000,
    )  # fmt: skip
    assert float(same_core_carried_rate(rate, 0.6, 0.8, 0.4)) == pytest.approx(
        counts.carried_rate, rel=1e-3
    )
