"""Stalls and recoveries: many digits, uniformisation of the queue that empties, and laws."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from capmodel.formulary import (
    first_passage_cdf_brownian,
    loss_in_stalls,
    mean_recovery_time_mg1,
    recovery_time_cdf_mg1,
    recovery_time_quantile_mg1,
    stall_drops,
    stall_loss_probability,
    variance_recovery_time_mg1,
)
from capmodel.numerics.uniformisation import absorption


@pytest.mark.parametrize("mean", [0.01, 3.0, 100.0, 5000.0])
@pytest.mark.parametrize("spread", [-5.0, -1.0, 0.0, 2.0, 8.0, 20.0])
def test_stalls_in_many_digits(mean: float, spread: float) -> None:
    room = max(int(mean + spread * mean**0.5), 0)
    with mpmath.workdps(60):
        m = mpmath.mpf(mean)
        term = mpmath.exp(-m) * m ** (room + 1) / mpmath.factorial(room + 1)
        chance = lost = mpmath.mpf(0)
        k = room + 1
        while k < mean or term > chance * mpmath.mpf(10) ** -40:
            chance, lost = chance + term, lost + (k - room) * term
            k += 1
            term *= m / k
        assert float(stall_drops(mean, 1.0, room)) == pytest.approx(float(lost), rel=1e-12)
        found = float(stall_loss_probability(mean / 4.0, 4.0, room))
        assert found == pytest.approx(float(chance), rel=1e-11)


def emptied(load: float, order: int, backlog: int):
    """A queue with Erlang services, packet by packet and stage by stage, until it is empty."""
    size = 600 * order
    arrive = sparse.diags_array([np.full(size - order, load)], offsets=[order])
    serve = sparse.diags_array([np.full(size - 1, float(order))], offsets=[-1])
    exits, start = np.zeros(size), np.zeros(size)
    exits[0] = order
    start[backlog * order - 1] = 1.0
    return absorption((arrive + serve).tocsr(), exits, start, most_work=1e10)


@pytest.mark.parametrize("order", [1, 3])
@pytest.mark.parametrize(("load", "backlog"), [(0.0, 4), (0.3, 1), (0.5, 12), (0.8, 5)])
def test_recovery_is_that_of_the_chain(load: float, order: int, backlog: int) -> None:
    law = emptied(load, order, backlog)
    mean = float(mean_recovery_time_mg1(backlog, load))
    assert law.mean == pytest.approx(mean, rel=1e-9)
    for times in (0.05, 0.5, 1.0, 3.0):
        found = float(recovery_time_cdf_mg1(times * mean, backlog, load, 1.0, ("erlang", order)))
        assert found == pytest.approx(law.cdf(times * mean), rel=1e-9)
    late = float(recovery_time_quantile_mg1(0.99, backlog, load, 1.0, ("erlang", order)))
    assert late == pytest.approx(law.quantile(0.99), rel=1e-8)


@pytest.mark.parametrize(("load", "backlog"), [(0.2, 3), (0.6, 10), (0.8, 2)])
def test_constant_services_have_their_mean_and_variance(load: float, backlog: int) -> None:
    mean = float(mean_recovery_time_mg1(backlog, load))
    variance = float(variance_recovery_time_mg1(backlog, load))
    n = np.arange(0.0, mean + 40.0 * variance**0.5 / (1.0 - load))
    left = 1.0 - recovery_time_cdf_mg1(n + 1e-9, backlog, load)
    assert left.sum() == pytest.approx(mean, rel=1e-6)
    # E T^2 = sum of (2n + 1) P(T > n)
    assert left @ (2.0 * n + 1.0) - mean**2 == pytest.approx(variance, rel=1e-4)


@pytest.mark.parametrize("order", [1, 3])
def test_variance_is_that_of_the_chain(order: int) -> None:
    """T is a sum of M exponential ticks: E T^2 = E M (M + 1) / pace^2."""
    law = emptied(0.6, order, 7)
    tick = np.arange(1.0, len(law.flux) + 1.0)
    assert law.left < 1e-9
    square = float((tick * (tick + 1.0)) @ law.flux) / law.pace**2
    expected = float(variance_recovery_time_mg1(7, 0.6, 1.0, 1.0 / order))
    assert square - law.mean**2 == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("load", [0.1, 0.5, 0.95])
@pytest.mark.parametrize(("law", "scv"), [("deterministic", 0.0), ("exponential", 1.0)])
def test_stated_error_of_the_inverse_gaussian(load: float, law: str, scv: float) -> None:
    for backlog, allowed in ((100, 0.02), (1000, 0.007)):
        mean = float(mean_recovery_time_mg1(backlog, load))
        variance = float(variance_recovery_time_mg1(backlog, load, 1.0, scv))
        times = np.maximum(mean + np.linspace(-4.0, 5.0, 40) * variance**0.5, 0.01 * mean)
        times = np.floor(times) + 0.5 if scv == 0.0 else times
        exact = recovery_time_cdf_mg1(times, backlog, load, 1.0, law)
        near = first_passage_cdf_brownian(times, mean, 1.0, variance / mean)
        assert np.abs(exact - near).max() < allowed


@given(st.integers(1, 200), st.floats(0.0, 0.95), st.floats(0.02, 0.98), st.booleans())
def test_laws(backlog: int, load: float, p: float, regular: bool) -> None:
    """A larger backlog and more load take longer, for every p."""
    law = "deterministic" if regular else "exponential"
    time = float(recovery_time_quantile_mg1(p, backlog, load, 1.0, law))
    assert float(recovery_time_cdf_mg1(time, backlog, load, 1.0, law)) >= p * (1.0 - 1e-9)
    assert float(recovery_time_quantile_mg1(p, backlog + 1, load, 1.0, law)) >= time * (1 - 1e-9)
    assert float(recovery_time_quantile_mg1(p, backlog, 1.02 * load, 1.0, law)) >= time * (1 - 1e-9)


def test_nothing_to_recover_from_and_never() -> None:
    assert float(recovery_time_cdf_mg1(0.0, 0, 0.5)) == 1.0
    assert float(recovery_time_quantile_mg1(0.99, 0, 0.5)) == 0.0
    assert mean_recovery_time_mg1([0, 1], 1.0).tolist() == [0.0, np.inf]
    assert float(stall_drops(5.0, 0.0, 0)) == 0.0


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="offered_load must be below 1"):
        recovery_time_cdf_mg1(1.0, 5, 1.0)
    with pytest.raises(ValueError, match=r"'deterministic', 'exponential' or \('erlang', r\)"):
        recovery_time_cdf_mg1(1.0, 5, 0.5, 1.0, ("hyperexponential", 4.0))
    with pytest.raises(ValueError, match="stall must be shorter"):
        stall_drops(1e9, 10.0, 5)
    with pytest.raises(ValueError, match="room must be a whole number"):
        stall_drops(1.0, 1.0, 0.5)


def test_loss_in_stalls_is_what_exponential_lengths_bring_beyond_the_room() -> None:
    lengths = np.random.default_rng(3).exponential(1.7e-3, 1_000_000)
    for room in (0.0, 256.0, 1024.0):
        brought = np.maximum(3e5 * lengths - room, 0.0).mean()
        assert float(loss_in_stalls(3e5, 0.25, 1.7e-3, room)) == pytest.approx(
            0.25 * brought / 3e5, rel=0.02
        )
    # all of a stall is lost without room, nothing where none comes or nothing does
    assert float(loss_in_stalls(3e5, 0.25, 1.7e-3, 0.0)) == pytest.approx(0.25 * 1.7e-3, rel=1e-15)
    none = loss_in_stalls([0.0, 3e5, 3e5], [1.0, 0.0, 1.0], [1.0, 1.0, 0.0], 10.0)
    assert none.tolist() == [0.0, 0.0, 0.0]
    with pytest.raises(ValueError, match="stall_rate must be 0 or more and finite"):
        loss_in_stalls(1.0, -1.0, 1.0, 1.0)
