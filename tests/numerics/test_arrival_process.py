"""Markovian arrival processes: statistics against fractions, closed forms, exponentials, chance."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from scipy.linalg import expm

from capmodel.formulary import loss_map1k, loss_mmpp1k
from capmodel.numerics.arrival_process import MAP
from capmodel.numerics.map_statistics import map_autocorrelation, map_dispersion
from capmodel.testing import maps

Matrix = list[list[Fraction]]


def solved(a: Matrix, b: Matrix) -> Matrix:
    """x with a x = b, by elimination in fractions."""
    n = len(a)
    rows = [[*a[i], *b[i]] for i in range(n)]
    for k in range(n):
        pivot = next(i for i in range(k, n) if rows[i][k] != 0)
        rows[k], rows[pivot] = rows[pivot], rows[k]
        rows[k] = [x / rows[k][k] for x in rows[k]]
        for i in range(n):
            if i != k:
                rows[i] = [x - rows[i][k] * y for x, y in zip(rows[i], rows[k], strict=True)]
    return [row[n:] for row in rows]


def times(a: Matrix, b: Matrix) -> Matrix:
    columns = list(zip(*b, strict=True))
    return [[sum((x * y for x, y in zip(r, c, strict=True)), Fraction(0)) for c in columns]
            for r in a]  # fmt: skip


def in_fractions(process: MAP, moments: int, lags: int) -> tuple[list[float], list[float]]:
    """Moments and autocorrelation from their definitions, in exact arithmetic."""
    silent = [[Fraction(x) for x in row] for row in process.silent_rates]
    arriving = [[Fraction(x) for x in row] for row in process.arrival_rates]
    m = len(silent)
    leaving = [sum(silent[i]) + sum(arriving[i]) for i in range(m)]
    minus = [[(leaving[i] if i == j else 0) - silent[i][j] for j in range(m)] for i in range(m)]
    unit = [[Fraction(int(i == j)) for j in range(m)] for i in range(m)]
    stays = solved(minus, unit)  # (-D0)^-1
    chain = times(stays, arriving)
    balance = [[chain[j][i] - unit[i][j] for j in range(m)] for i in range(m)]
    balance[-1] = [Fraction(1)] * m
    phase = [row[0] for row in solved(balance, [[Fraction(int(i == m - 1))] for i in range(m)])]
    ones = [[Fraction(1)] for _ in range(m)]
    power, found = ones, []
    for k in range(1, moments + 1):
        power = times(stays, power)
        found.append(math.factorial(k) * times([phase], power)[0][0])
    mean, second = found[0], found[1]
    ahead, correlations = times(stays, ones), []
    behind = times([phase], stays)
    for _ in range(lags):
        behind = times(behind, chain)
        joint = times(behind, ahead)[0][0]
        correlations.append((joint - mean**2) / (second - mean**2))
    return [float(x) for x in found], [float(x) for x in correlations]


PROCESSES = {
    "two phases": MAP([[0, 3.0], [0.25, 0]], [[8.0, 0.5], [0.125, 1.0]]),
    "three phases": MAP(
        [[0, 1.0, 0], [0, 0, 2.0], [0.5, 0, 0]], [[0, 0, 0.25], [4.0, 0, 0], [0, 0, 16.0]]
    ),
    "stiff": MAP.mmpp([1e6, 1.0], [1e-3, 1e-6]),
}


@pytest.mark.parametrize("name", PROCESSES)
def test_moments_and_autocorrelation_in_exact_arithmetic(name: str) -> None:
    process = PROCESSES[name]
    moments, correlations = in_fractions(process, 4, 5)
    np.testing.assert_allclose(process.moments(4), moments, rtol=1e-13)
    np.testing.assert_allclose(process.autocorrelation(range(1, 6)), correlations, atol=1e-12)
    assert process.scv == pytest.approx(moments[1] / moments[0] ** 2 - 1.0, rel=1e-12)
    assert process.mean == pytest.approx(moments[0], rel=1e-13)


def test_dispersion_of_two_phases_is_the_textbook_one() -> None:
    """Heffes and Lucantoni 1986: I(t) = 1 + A - A (1 - exp(-Bt))/(Bt)."""
    high, low, out, back = 9.0, 1.0, 0.5, 0.125
    process = MAP.mmpp([high, low], [out, back])
    pace = out + back
    most = 2 * (high - low) ** 2 * out * back / (pace**2 * (high * back + low * out))
    windows = np.array([1e-6, 1e-3, 0.1, 1.0, 10.0, 1e3, 1e6, 1e12])
    expected = 1 + most * (1 + np.expm1(-pace * windows) / (pace * windows))
    expected[0] = 1 + most * pace * windows[0] / 2 * (1 - pace * windows[0] / 3)
    np.testing.assert_allclose(process.dispersion(windows), expected, rtol=1e-12)
    assert process.dispersion_limit == pytest.approx(1 + most, rel=1e-13)


@pytest.mark.parametrize("name", ["two phases", "three phases"])
@pytest.mark.parametrize("window", [0.01, 1.0, 30.0])
def test_dispersion_from_the_generating_function(name: str, window: float) -> None:
    """Factorial moments of the count stand in the exponential of a block matrix."""
    process = PROCESSES[name]
    m = process.order
    moves = process.silent + process.arriving
    generator = moves - np.diag(moves.sum(axis=1))
    blocks = np.zeros((3 * m, 3 * m))
    for i in range(3):
        blocks[i * m : i * m + m, i * m : i * m + m] = generator
    for i in range(2):
        blocks[i * m : i * m + m, i * m + m : i * m + 2 * m] = process.arriving
    found = expm(blocks * window)
    first = float(process.shares @ found[:m, m : 2 * m].sum(axis=1))
    second = 2.0 * float(process.shares @ found[:m, 2 * m :].sum(axis=1))
    variance = second + first - first**2
    assert first == pytest.approx(process.rate * window, rel=1e-10)
    assert float(process.dispersion(window)) == pytest.approx(variance / first, rel=1e-8)


@given(maps(phases=3))
def test_counts_and_intervals_disperse_alike_in_the_long_run(process: MAP) -> None:
    """Limit of the dispersion = scv (1 + 2 sum of the autocorrelation)."""
    after = process.shares @ process.arriving / process.rate
    leaving = process.silent.sum(axis=1) + process.arriving.sum(axis=1)
    stays = np.linalg.inv(np.diag(leaving) - process.silent)
    chain, m = stays @ process.arriving, process.order
    ahead = stays.sum(axis=1) - process.mean
    total = np.linalg.solve(np.eye(m) - chain + np.outer(np.ones(m), after), ahead)
    covariances = float(after @ stays @ chain @ total)
    expected = process.scv + 2.0 * covariances * process.rate**2
    assert process.dispersion_limit == pytest.approx(expected, rel=1e-6, abs=1e-6)
    far = 1e9 / min(process.silent[process.silent > 0].min(initial=1.0), process.rate)
    assert float(process.dispersion(far)) == pytest.approx(process.dispersion_limit, rel=1e-5)


@given(maps(phases=3))
def test_units_of_time_do_not_matter(process: MAP) -> None:
    faster = process.scaled(2.0**10)
    np.testing.assert_allclose(faster.moments() * 2.0 ** (10 * np.arange(1, 4)), process.moments())
    np.testing.assert_array_equal(
        faster.autocorrelation([0, 1, 7]), process.autocorrelation([0, 1, 7])
    )
    assert process.at_rate(3.0).rate == pytest.approx(3.0, rel=1e-12)
    assert process.at_rate(3.0).scv == pytest.approx(process.scv, rel=1e-9, abs=1e-9)
    assert process.peak_rate * (1 + 1e-12) >= process.rate


def test_poisson_has_no_memory() -> None:
    poisson = MAP.mmpp([3.0], [[0.0]])
    assert poisson.autocorrelation([0, 1, 2]).tolist() == [1.0, 0.0, 0.0]
    assert poisson.dispersion([0.1, 10.0]).tolist() == [1.0, 1.0]
    assert (poisson.rate, poisson.scv, poisson.order) == (3.0, 1.0, 1)


def test_samples_have_the_statistics() -> None:
    """Means of 40 independent runs, each within 4 standard errors of the exact value."""
    process = PROCESSES["two phases"]
    random = np.random.default_rng(7)
    found = []
    for _ in range(40):
        gaps = np.diff(process.sample(10_001, random))
        away = gaps - 1.0 / process.rate
        found.append([gaps.mean(), (gaps**2).mean(), (away[:-1] * away[1:]).mean()])
    first, second = process.moments(2)
    joint = float(process.autocorrelation(1)) * (second - first**2)
    error = np.std(found, axis=0, ddof=1) / math.sqrt(40)
    assert np.all(np.abs(np.mean(found, axis=0) - [first, second, joint]) < 4 * error)


def test_equal_by_value_and_taken_by_the_formulary() -> None:
    process = MAP.mmpp([2.0, 0.5], [0.1, 0.3])
    again = MAP(np.array([[0, 0.1], [0.3, 0]]), np.diag([2.0, 0.5]))
    assert process == again
    assert len({process, again}) == 1
    assert eval(repr(process)) == process
    loss = loss_map1k(process.silent, process.arriving, 20)
    assert loss == loss_mmpp1k([2.0, 0.5], [0.1, 0.3], 20)


@pytest.mark.parametrize(
    ("silent", "arriving", "message"),
    [
        ([[0.0]], [[0.0]], "arrival_rates must have a positive entry"),
        ([[0.0, 1.0]], [[1.0]], "silent_rates must be a square matrix, not shape"),
        ([["x"]], [[1.0]], "silent_rates must be a square matrix of numbers"),
        ([[0, 1.0], [0, 0]], [[1, 0], [0, 1.0]], "must connect every phase with every other"),
        ([[0, -1.0], [1, 0]], [[1, 0], [0, 1.0]], "silent_rates must be 0 or more and finite"),
        ([[0, 1.0], [1, 0]], [[np.nan, 0], [0, 1]], "arrival_rates must be 0 or more and finite"),
        ([[0, 1.0], [1, 0]], [[1.0]], "arrival_rates must have the shape of silent_rates"),
        (np.ones((201, 201)), np.ones((201, 201)), "at most 200 phases"),
    ],
)
def test_refusals(silent: Any, arriving: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MAP(silent, arriving)


@pytest.mark.parametrize(
    ("rates", "switching", "message"),
    [
        (1.0, [[0.0]], "rates must have one entry per phase"),
        ([1.0, 2.0], [1.0], "switching must have a row and a column"),
    ],
)
def test_refusals_of_mmpp(rates: Any, switching: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MAP.mmpp(rates, switching)


def test_refusals_of_statistics() -> None:
    process = MAP.mmpp([2.0, 0.5], [0.1, 0.3])
    for lag in (-1, 0.5, np.nan):
        with pytest.raises(ValueError, match="lags must be whole numbers"):
            map_autocorrelation(process.silent, process.arriving, lag)
    for window in (0.0, np.inf, np.nan):
        with pytest.raises(ValueError, match="windows must be positive and finite"):
            map_dispersion(process.silent, process.arriving, window)
