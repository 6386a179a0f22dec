"""First losses: fractions, the dense chain, uniformisation, and laws."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from capmodel.formulary import (
    loss_mg1k,
    mean_overflow_time_mg1k,
    mean_overflow_time_mm1k,
    overflow_time_cdf_mm1k,
    overflow_time_quantile_mm1k,
)
from capmodel.numerics.uniformisation import Absorption, absorption

loads = st.floats(0.05, 5.0)


def followed(load: float, capacity: int, level: int) -> Absorption:
    rates = sparse.diags_array(
        [np.full(capacity, load), np.ones(capacity)], offsets=[1, -1]
    ).tocsr()
    exits = np.zeros(capacity + 1)
    exits[-1] = load
    return absorption(rates, exits, np.eye(capacity + 1)[level])


@pytest.mark.parametrize("load", [Fraction(1, 10), Fraction(1), Fraction(1001, 1000), Fraction(7)])
@pytest.mark.parametrize(("capacity", "level"), [(1, 0), (1, 1), (20, 0), (20, 13), (300, 2)])
def test_mean_is_the_double_sum_in_fractions(load: Fraction, capacity: int, level: int) -> None:
    exact = (
        sum(sum((1 / load) ** j for j in range(n + 1)) for n in range(level, capacity + 1)) / load
    )
    found = float(mean_overflow_time_mm1k(float(load), capacity, 1.0, level))
    assert found == pytest.approx(float(exact), rel=1e-13)


@pytest.mark.parametrize("law", ["deterministic", ("erlang", 3), ("hyperexponential", 4.0)])
@pytest.mark.parametrize("load", [0.4, 1.0, 2.5])
@pytest.mark.parametrize("capacity", [1, 2, 7, 25])
def test_mean_of_any_service_solves_its_equations(law, load: float, capacity: int) -> None:
    """Counts by quadrature over the service, equations solved with 60 digits."""
    with mpmath.workdps(60):
        equal = [_arrivals(law, mpmath.mpf(load), k) for k in range(capacity + 1)]
        matrix, right = mpmath.zeros(capacity + 1, capacity + 1), mpmath.zeros(capacity + 1, 1)
        matrix[0, 0], matrix[0, 1], right[0] = 1, -1, 1 / mpmath.mpf(load)
        for i in range(1, capacity + 1):
            matrix[i, i] += 1
            for k in range(capacity - i + 1):
                matrix[i, i - 1 + k] -= equal[k]
                right[i] += (1 - mpmath.fsum(equal[: k + 1])) / mpmath.mpf(load)
        times = mpmath.lu_solve(matrix, right)
        for level in (0, 1, capacity):
            found = float(mean_overflow_time_mg1k(load, capacity, 1.0, law, level))
            assert found == pytest.approx(float(times[level]), rel=1e-11)


def _arrivals(law, load: mpmath.mpf, k: int) -> mpmath.mpf:
    if law == "deterministic":
        return mpmath.exp(-load) * load**k / mpmath.factorial(k)
    kind, parameter = law
    if kind == "erlang":
        r = int(parameter)
        q = load / (load + r)
        return mpmath.binomial(r + k - 1, k) * (1 - q) ** r * q**k
    p = (1 + mpmath.sqrt((mpmath.mpf(parameter) - 1) / (mpmath.mpf(parameter) + 1))) / 2
    parts = [(p, load / (load + 2 * p)), (1 - p, load / (load + 2 * (1 - p)))]
    return mpmath.fsum(share * (1 - q) * q**k for share, q in parts)


def test_exponential_services_are_those_of_mm1k_also_when_many() -> None:
    for load in (0.97, 1.0, 1.2):
        general = float(mean_overflow_time_mg1k(load, 5000, 1.0, "exponential"))
        assert general == pytest.approx(float(mean_overflow_time_mm1k(load, 5000)), rel=1e-9)


@pytest.mark.parametrize(
    ("load", "capacity", "level"),
    [(0.5, 40, 0), (0.8, 10, 0), (1.0, 10, 3), (1.0, 1, 1), (1.5, 40, 0), (3.0, 5, 5), (9.0, 3, 0)],
)
def test_distribution_is_that_of_the_chain(load: float, capacity: int, level: int) -> None:
    chain = followed(load, capacity, level)
    for times in (0.3, 0.7, 1.0, 3.0):
        time = times * chain.mean
        found = float(overflow_time_cdf_mm1k(time, load, capacity, 1.0, level))
        assert found == pytest.approx(chain.cdf(time), abs=1e-9)
    for p in (0.01, 0.5, 0.99):
        found = float(overflow_time_quantile_mm1k(p, load, capacity, 1.0, level))
        assert found == pytest.approx(chain.quantile(p), rel=1e-7)


def test_one_place_by_hand() -> None:
    """K = 1: the time is a sum of two exponential times at the roots of the chain's determinant."""
    load, time = 2.0, 3.0
    big, small = ((2 * load + 1 + s * np.sqrt(4 * load + 1)) / 2 for s in (1, -1))
    expected = 1 - (big * np.exp(-small * time) - small * np.exp(-big * time)) / (big - small)
    assert float(overflow_time_cdf_mm1k(time, load, 1)) == pytest.approx(expected, rel=1e-9)


def test_rare_overflows_keep_their_digits() -> None:
    mean = float(mean_overflow_time_mm1k(0.5, 200))
    assert 1e59 < mean < 1e62
    assert float(overflow_time_cdf_mm1k(1e9, 0.5, 200)) == pytest.approx(1e9 / mean, rel=1e-6)


def test_losses_of_the_steady_state_are_as_far_apart() -> None:
    """A stable queue's overflows: long-run losses = overflows times their mean number of losses.

    From the full queue (exponential services) a further loss comes before the queue has emptied
    and filled again: with n losses in a cluster on average, mean time = n/(loss rate), and n is
    1/(1 - load) but for what is of the size of the loss.
    """
    load, capacity = 0.6, 40
    rate = load * float(loss_mg1k(load, capacity, "exponential"))
    mean = float(mean_overflow_time_mm1k(load, capacity))
    assert mean * rate * (1.0 - load) == pytest.approx(1.0, rel=1e-6)


@given(loads, st.integers(1, 60), st.floats(0.01, 3.0), st.floats(0.05, 0.95))
def test_a_larger_queue_overflows_later(load: float, capacity: int, times: float, p: float) -> None:
    """Stochastically: the path to K + 1 leads through K. And more load never delays."""
    time = times * float(mean_overflow_time_mm1k(load, capacity))
    small, large = (float(overflow_time_cdf_mm1k(time, load, k)) for k in (capacity, capacity + 1))
    assert large <= small + 1e-8
    busier = float(overflow_time_cdf_mm1k(time, 1.1 * load, capacity))
    assert busier >= small - 1e-8
    nearer = float(overflow_time_cdf_mm1k(time, load, capacity, 1.0, capacity // 2))
    assert nearer >= small - 1e-8
    quantiles = [float(overflow_time_quantile_mm1k(q, load, capacity)) for q in (p / 2, p)]
    assert quantiles[0] <= quantiles[1]


def test_arrays_and_time_units() -> None:
    capacity, times = np.array([[1], [30]]), np.array([10.0, 40.0, 1e3])
    found = overflow_time_cdf_mm1k(times, 0.9, capacity)
    assert found.shape == (2, 3)
    np.testing.assert_allclose(
        overflow_time_cdf_mm1k(1e-6 * times, 0.9, capacity, 1e-6), found, rtol=1e-9
    )
    assert mean_overflow_time_mg1k(0.9, capacity, 1.0).shape == (2, 1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((0.0, 5), "offered_load must be positive"),
        ((0.5, 0), "capacity must be a whole number"),
        ((0.5, 5, 0.0), "service_time must be positive"),
        ((0.5, 5, 1.0, 6), "level must be at most the capacity"),
    ],
)
def test_bad_input(arguments: tuple, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        mean_overflow_time_mm1k(*arguments)
    with pytest.raises(ValueError, match=words):
        overflow_time_cdf_mm1k(1.0, *arguments)


def test_what_is_out_of_reach_is_infinite_or_refused() -> None:
    assert mean_overflow_time_mm1k(0.1, 10_000) == np.inf
    assert mean_overflow_time_mg1k(0.1, 10_000) == np.inf
    with pytest.raises(ValueError, match="capacity must be smaller"):
        overflow_time_quantile_mm1k(0.5, 0.1, 10_000)
    with pytest.raises(ValueError, match="at most 600"):
        mean_overflow_time_mg1k(601.0, 5)
