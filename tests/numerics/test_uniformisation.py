"""Chains in time against rational arithmetic, many digits, and what must hold of any of them."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from capmodel.numerics.uniformisation import TooMuchWorkError, absorption, poisson_window, run

RATES = ((0, Fraction(3, 2), 0), (Fraction(1, 4), 0, 2), (0, 1, 0))
EXITS = (0, Fraction(1, 100), Fraction(1, 2))


def chain() -> tuple[sparse.csr_array, np.ndarray, np.ndarray]:
    rates = sparse.csr_array(np.array([[float(x) for x in row] for row in RATES]))
    return rates, np.array([float(x) for x in EXITS]), np.array([1.0, 0.0, 0.0])


def generator(exits: bool) -> mpmath.matrix:
    q = mpmath.matrix(3, 3)
    for i, row in enumerate(RATES):
        for j, rate in enumerate(row):
            q[i, j] = mpmath.mpf(Fraction(rate).numerator) / Fraction(rate).denominator
        out = sum(map(Fraction, row), Fraction(EXITS[i]) if exits else Fraction(0))
        q[i, i] = -mpmath.mpf(out.numerator) / out.denominator
    return q


def solved(right: list[Fraction]) -> list[Fraction]:
    """x of (D - A) x = b by Gauss's elimination in fractions."""
    rows = [[Fraction(-rate) for rate in row] + [right[i]] for i, row in enumerate(RATES)]
    for i, row in enumerate(RATES):
        rows[i][i] = sum(map(Fraction, row), Fraction(EXITS[i]))
    for k in range(3):
        rows[k] = [x / rows[k][k] for x in rows[k]]
        for i in range(3):
            if i != k:
                rows[i] = [x - rows[i][k] * y for x, y in zip(rows[i], rows[k], strict=True)]
    return [row[-1] for row in rows]


def test_the_mean_is_that_of_rational_arithmetic() -> None:
    assert absorption(*chain()).mean == pytest.approx(
        float(solved([Fraction(1)] * 3)[0]), rel=1e-13
    )


def test_one_of_two_exits() -> None:
    rates, exits, start = chain()
    only_last = np.array([0.0, 0.0, exits[2]])
    found = absorption(rates, exits, start, only_last)
    chance = solved([Fraction(0), Fraction(0), Fraction(EXITS[2])])
    assert found.probability == pytest.approx(float(chance[0]), rel=1e-12)
    # E(T; last exit) solves the same equations with the chances on the right
    weighted = solved(chance)[0] / chance[0]
    assert found.mean == pytest.approx(float(weighted), rel=1e-12)


@pytest.mark.parametrize("time", [1e-3, 0.3, 2.0, 20.0, 200.0, 1000.0])
def test_both_tails_in_many_digits(time: float) -> None:
    found = absorption(*chain())
    with mpmath.workdps(60):
        left = mpmath.fsum(mpmath.expm(generator(True) * mpmath.mpf(time))[0, j] for j in range(3))
        assert found.survival(time) == pytest.approx(float(left), rel=1e-10)
        assert found.cdf(time) == pytest.approx(float(1 - left), rel=1e-11)


@pytest.mark.parametrize("p", [1e-12, 1e-3, 0.5, 0.999, 1.0 - 1e-12])
def test_quantiles_invert(p: float) -> None:
    found = absorption(*chain())
    time = found.quantile(p)
    assert found.cdf(time) == pytest.approx(p, rel=1e-10)
    assert found.survival(time) == pytest.approx(1.0 - p, rel=1e-8)


@pytest.mark.parametrize("time", [0.1, 3.0, 40.0, 5000.0])
def test_sums_over_a_run_in_many_digits(time: float) -> None:
    rates, _, start = chain()
    weights = np.array([[1.0, 0.0], [0.0, 2.0], [0.5, 3.0]])
    found = run(rates, start, weights, time)
    with mpmath.workdps(60):
        block = mpmath.zeros(5, 5)
        block[:3, :3] = generator(False)
        for i in range(3):
            for j in range(2):
                block[i, 3 + j] = mpmath.mpf(weights[i, j])
        grown = mpmath.expm(block * mpmath.mpf(time))
        for j in range(2):
            assert found.sums[j] == pytest.approx(float(grown[0, 3 + j]), rel=1e-11)
        for j in range(3):
            assert found.end[j] == pytest.approx(float(grown[0, j]), rel=1e-11)


def test_a_rare_exit_keeps_its_digits() -> None:
    """Two states and an exit of 1e-30: the time is exponential but for its beginning."""
    rates = sparse.csr_array(np.array([[0.0, 1.0], [3.0, 0.0]]))
    found = absorption(rates, np.array([0.0, 1e-30]), np.array([1.0, 0.0]))
    # T_0 = 1 + T_1, (3 + e) T_1 = 1 + 3 T_0
    assert found.mean == pytest.approx(4.0 / 1e-30, rel=1e-12)
    assert found.cdf(1e10) == pytest.approx(1e-20 / 4.0, rel=1e-9)


@pytest.mark.parametrize("mean", [0.0, 1e-3, 0.7, 12.0, 5e4])
def test_poisson_windows(mean: float) -> None:
    n, weights = poisson_window(mean)
    with mpmath.workdps(40):
        for k in {int(n[0]), int(mean), int(mean) + 1, int(mean + 3 * mean**0.5)}:
            m = mpmath.mpf(mean)
            exact = mpmath.exp(k * mpmath.log(m) - m - mpmath.loggamma(k + 1)) if mean else k == 0
            assert weights[k - n[0]] == pytest.approx(float(exact), rel=1e-11, abs=1e-300)


def test_too_much_work_is_refused() -> None:
    rates, _, start = chain()
    with pytest.raises(TooMuchWorkError, match="3 states"):
        absorption(rates, np.zeros(3), start, most_work=1e3)
    with pytest.raises(TooMuchWorkError, match="ticks"):
        run(rates, start, np.ones((3, 1)), 1e9, settle=1e8, most_work=1e3)


@given(
    st.lists(st.floats(0.1, 5.0), min_size=3, max_size=6),
    st.floats(0.01, 3.0),
    st.lists(st.floats(0.01, 0.98), min_size=2, max_size=5, unique=True),
)
def test_laws_of_a_birth_and_death_chain(
    up: list[float], exit_rate: float, shares: list[float]
) -> None:
    """Quantiles rise with p, one more state takes longer, and the distribution has its mean."""

    def law(size: int):
        rates = sparse.diags_array([up[: size - 1], np.ones(size - 1)], offsets=[1, -1]).tocsr()
        exits, start = np.zeros(size), np.eye(size)[0]
        exits[-1] = exit_rate
        return absorption(rates, exits, start)

    short, long = law(len(up) - 1), law(len(up))
    times = [long.quantile(p) for p in sorted(shares)]
    assert times == sorted(times)
    grid = np.linspace(0.0, 40.0 * long.mean, 4001)
    left = np.array([long.survival(t) for t in grid[::40]])
    mean = float(np.trapezoid(left, grid[::40]))
    assert mean == pytest.approx(long.mean, rel=0.05)
    assert short.mean > 0.0
