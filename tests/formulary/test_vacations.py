"""Consumers that sleep: embedded chains in many digits, and what is known of infinite buffers."""

from __future__ import annotations

import math
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from capmodel.formulary import fixed_sleep, loss_mg1k, mean_occupancy_mg1k, n_policy
from tests.oracles.finite_queues import threshold_start, vacation
from tests.oracles.reference import reference_values

LAWS = ["deterministic", "exponential", ("erlang", 4), ("hyperexponential", 4.0)]
NAMES = {"det": "deterministic", "exp": "exponential", "h2": ("hyperexponential", 4.0)}


@pytest.mark.parametrize(("p", "value"), reference_values("MG1K_Npolicy").values())
def test_reference_values_threshold(p: dict[str, Any], value: list[float]) -> None:
    law: Any = NAMES[p["B"]]
    found = n_policy(p["lam"], p["K"], 1.0, p["N"], float(p["Tm"]), p["L"], p["P"], law)
    assert float(found.carried_rate) == pytest.approx(value[0], rel=1e-13)
    assert float(found.wakeup_rate) == pytest.approx(value[1], rel=1e-12)


@pytest.mark.parametrize(
    ("arguments", "loss", "wakeups"),
    [
        ((0.8, 20, 1.0, 4, 3.0, 2.0, 0.5, "deterministic"), 1.5211952261e-4, 0.0306238673),
        ((0.8, 20, 1.0, 4, 3.0, 2.0, 0.5, "exponential"), 3.8734906676e-3, 0.0310794412),
        ((0.95, 64, 1.0, 16, np.inf, 5.0, 0.0, ("erlang", 4)), 7.2880552832e-4, 0.0023208553),
        ((0.9, 256, 1.0, 32, 20.0, 3.0, 0.5, NAMES["h2"]), 3.92766127e-6, 0.0040176406),
    ],
)
def test_losses_of_two_methods(arguments: tuple[Any, ...], loss: float, wakeups: float) -> None:
    found = n_policy(*arguments)
    assert float(found.loss) == pytest.approx(loss, rel=2e-9)
    assert float(found.wakeup_rate) == pytest.approx(wakeups, rel=5e-8)


@pytest.mark.parametrize(("p", "value"), reference_values("MG1K_fixedsleep").values())
def test_reference_values_sleep(p: dict[str, Any], value: list[float]) -> None:
    found = fixed_sleep(p["lam"], p["K"], 1.0, p["V"])
    assert float(found.carried_rate) == pytest.approx(value[0], rel=1e-13)
    assert float(found.sleep_rate) == pytest.approx(value[1], rel=1e-12)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("rate", [0.05, 0.6, 1 - 1e-9, 1.0, 1.5])
@pytest.mark.parametrize(
    ("threshold", "timeout", "latency", "poll"),
    [
        (1, math.inf, 0.0, 0.0),
        (1, math.inf, 2.0, 0.0),
        (4, math.inf, 0.0, 0.7),
        (3, 5.0, 1.5, 0.3),
        (9, 2.0, 3.0, 0.0),  # more than the capacity of 8: the timer alone
        (8, 40.0, 0.5, 0.0),
    ],
)
def test_threshold_by_its_chain(
    law: Any, rate: float, threshold: int, timeout: float, latency: float, poll: float
) -> None:
    capacity, digits = 8, 60
    limit = mpmath.inf if math.isinf(timeout) else timeout
    with mpmath.workdps(digits):
        if threshold > capacity:  # out of reach: one packet, and all that come until it runs
            wait = mpmath.mpf(timeout) + latency
            mean, sleep = rate * wait, mpmath.mpf(1)
            away = 1 / mpmath.mpf(rate) + wait
            start = [mpmath.mpf(0)] + [
                mpmath.exp(-mean) * mean**k / mpmath.factorial(k) for k in range(capacity)
            ]
        else:
            start, away, sleep = threshold_start(rate, threshold, limit, latency, poll, 20)
        lost, cycles = vacation(law, rate, capacity, 1.0, cut(start, capacity), away, digits)
    found = n_policy(rate, capacity, 1.0, threshold, timeout, latency, poll, law)
    assert float(found.loss) == pytest.approx(float(lost), rel=1e-12)
    assert float(found.wakeup_rate) == pytest.approx(float(cycles * sleep), rel=1e-12)
    assert float(found.poll_rate) == pytest.approx(float(cycles), rel=1e-12)


def cut(start: list[mpmath.mpf], capacity: int) -> list[mpmath.mpf]:
    return [*start[:capacity], mpmath.mpf(0)]


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("rate", [0.02, 0.7, 1.0, 1.3])
@pytest.mark.parametrize("capacity", [1, 2, 15])
@pytest.mark.parametrize("sleep", [0.01, 1.0, 12.0, 60.0])
def test_sleep_by_its_chain(law: Any, rate: float, capacity: int, sleep: float) -> None:
    with mpmath.workdps(80):
        mean = mpmath.mpf(rate) * mpmath.mpf(sleep)
        some = 1 - mpmath.exp(-mean)
        start = [mpmath.mpf(0)] + [
            mpmath.exp(-mean) * mean**k / mpmath.factorial(k) / some for k in range(1, 20)
        ]
        away = mpmath.mpf(sleep) / some
        lost, cycles = vacation(law, rate, capacity, 1.0, cut(start, capacity), away, 80)
    found = fixed_sleep(rate, capacity, 1.0, sleep, law)
    assert float(found.loss) == pytest.approx(float(lost), rel=1e-12)
    assert float(found.sleep_rate) == pytest.approx(float(cycles / some), rel=1e-12)
    assert float(found.wakeup_rate) == 0.0 == float(found.poll_rate)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("load", [0.1, 0.5, 0.95, 1.0, 1.4, 30.0, 1e6])
@pytest.mark.parametrize("capacity", [1, 2, 40, 300])
def test_no_vacation_is_mg1k(law: Any, load: float, capacity: int) -> None:
    found = n_policy(load, capacity, 1.0, service=law)
    expected = float(loss_mg1k(load, capacity, law))
    assert float(found.loss) == pytest.approx(expected, rel=3e-12, abs=1e-290)
    mean = float(mean_occupancy_mg1k(load, capacity, law))
    assert float(found.mean_occupancy) == pytest.approx(mean, rel=1e-12)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize(("threshold", "latency"), [(1, 3.0), (5, 0.0), (40, 6.0)])
def test_infinite_buffer(law: Any, threshold: int, latency: float) -> None:
    """Cycles end at rate lambda (1 - rho)/(N + lambda L); wait by Fuhrmann and Cooper."""
    rate, scv = 0.7, {"deterministic": 0.0, "exponential": 1.0}.get(law)
    scv = {"erlang": 0.25, "hyperexponential": 4.0}[law[0]] if scv is None else scv
    found = n_policy(rate, 3000, 1.0, threshold, wakeup_latency=latency, service=law)
    mean = threshold + rate * latency
    assert float(found.wakeup_rate) == pytest.approx(rate * 0.3 / mean, rel=1e-11)
    factorial = threshold * (threshold - 1) + 2 * threshold * rate * latency + (rate * latency) ** 2
    queue = rate + rate**2 * (1 + scv) / 2 / 0.3 + factorial / (2 * mean)
    assert float(found.mean_occupancy) == pytest.approx(queue, rel=1e-10)


def test_tiny_losses_keep_their_digits() -> None:
    with mpmath.workdps(250):
        start, away, _ = threshold_start(0.01, 2, mpmath.inf, 1.0, 0.0, 40)
        for law in LAWS:
            lost, _ = vacation(law, 0.01, 36, 1.0, cut(start, 36), away, 250)
            found = float(n_policy(0.01, 36, 1.0, 2, wakeup_latency=1.0, service=law).loss)
            assert found < 1e-20
            assert float(found / lost - 1) == pytest.approx(0.0, abs=1e-12)


def test_fluid_of_a_long_sleep() -> None:
    """X = K/(V (1 - lambda c) + K c) once a sleep fills the buffer for certain."""
    found = fixed_sleep(0.8, 4096, 1.0, 1e5)
    assert float(found.carried_rate) == pytest.approx(4096 / (1e5 * 0.2 + 4096), rel=0.05)


def test_an_interior_optimum_of_the_threshold() -> None:
    loss = n_policy(0.95, 64, 1.0, [1, 32, 64], wakeup_latency=12.0).loss
    assert loss[1] < loss[2]


def test_the_buffer_fills_before_a_threshold_above_it() -> None:
    """N = K + 1 and a timer that never matters twice: the timer is all that wakes."""
    found = n_policy(0.5, 4, 1.0, 5, timeout=1000.0)
    assert float(found.loss) > 0.9
    with pytest.raises(ValueError, match="threshold must not exceed capacity"):
        n_policy(0.5, 4, 1.0, 5)


@example(28.0, 2, 1.0, 2, 1.0, 28.0, 0.0, "deterministic")  # e^-784 is not a number
@example(2.47, 2, 160.0, 1, 0.0, 0.0, 0.0, "deterministic")
@example(1.0, 2, 1.0, 2, 0.0, 1.0, 0.0, "deterministic")  # the timer is at once
@given(
    rate=st.floats(1e-3, 1e3),
    capacity=st.integers(1, 400),
    cost=st.floats(1e-6, 1e3),
    threshold=st.integers(1, 500),
    timeout=st.floats(0.0, 1e3),
    latency=st.floats(0.0, 1e2),
    poll=st.floats(0.0, 1e2),
    law=st.sampled_from(LAWS),
)
def test_conservation(
    rate: float, capacity: int, cost: float, threshold: int, timeout: float, latency: float,
    poll: float, law: Any,
) -> None:  # fmt: skip
    found = n_policy(rate, capacity, cost, threshold, timeout, latency, poll, law)
    for field in vars(found).values():
        assert not np.any(np.isnan(field))
        assert np.all(field >= 0.0)
    assert float(found.carried_rate) + rate * float(found.loss) == pytest.approx(rate, rel=1e-9)
    assert float(found.occupancy.sum()) == pytest.approx(1.0, rel=1e-9)
    assert float(found.carried_rate) <= min(rate, 1.0 / cost) * (1 + 1e-12)
    nobody = float(found.occupancy[0])
    # empty: the poll, and the wait for a first packet
    empty = float(found.poll_rate) * (1 - math.exp(-rate * poll)) / rate
    empty += float(found.sleep_rate) / rate
    assert nobody == pytest.approx(empty, rel=1e-9, abs=1e-290)


def test_large_buffers_and_shapes() -> None:
    rates = np.array([0.5, 0.99, 1.0, 1.01, 1.5])
    for law in LAWS:
        found = fixed_sleep(rates, 100_000, 1.0, 500.0, law)
        assert np.all(np.diff(found.loss) >= 0.0)
        np.testing.assert_allclose(found.loss[-1], 1 / 3, rtol=1e-12)
    found = n_policy([[0.5], [0.9]], [4, 9, 16], 1.0, 3)
    assert found.loss.shape == (2, 3)
    assert found.occupancy.shape == (2, 3, 17)
    np.testing.assert_allclose(found.occupancy.sum(axis=-1), 1.0, rtol=1e-13)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"offered_rate": 0.0}, "offered_rate must be positive"),
        ({"capacity": 0}, "capacity"),
        ({"consumer_cost": -1.0}, "consumer_cost"),
        ({"threshold": 1.5}, "threshold"),
        ({"timeout": -1.0}, "timeout"),
        ({"wakeup_latency": np.inf}, "wakeup_latency"),
        ({"poll_cost": np.nan}, "poll_cost"),
        ({"service": "constant"}, "service"),
    ],
)
def test_refusals(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        n_policy(**({"offered_rate": 0.5, "capacity": 4, "consumer_cost": 1.0} | changes))
