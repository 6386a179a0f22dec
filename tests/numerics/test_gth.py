"""GTH elimination against the same elimination in fractions: every entry, however small."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capmodel.numerics.few_states import acyclic_ginverse, few_ginverse, few_stationary
from capmodel.numerics.gth import (
    ginverse,
    gsolve,
    stationary,
    weights_by_states,
)

TIGHT = 1e-12


def exact_inverse(rates: np.ndarray, exits: np.ndarray) -> list[list[Fraction]]:
    """Gauss-Jordan elimination of D - A in fractions of the given floats."""
    m = len(rates)
    a = [[Fraction(float(rates[i][j])) for j in range(m)] for i in range(m)]
    rows = []
    for i in range(m):
        out = sum(a[i][j] for j in range(m) if j != i) + Fraction(float(exits[i]))
        row = [out if j == i else -a[i][j] for j in range(m)]
        rows.append(row + [Fraction(int(j == i)) for j in range(m)])
    for k in range(m):
        lead = rows[k][k]
        rows[k] = [x / lead for x in rows[k]]
        for i in range(m):
            if i != k and rows[i][k]:
                factor = rows[i][k]
                rows[i] = [x - factor * y for x, y in zip(rows[i], rows[k], strict=True)]
    return [row[m:] for row in rows]


def exact_stationary(rates: np.ndarray) -> list[Fraction]:
    """Mean time in each state between two visits to state 0, in fractions."""
    m = len(rates)
    a = [
        [Fraction(float(rates[i][j])) if i != j else Fraction(0) for j in range(m)]
        for i in range(m)
    ]
    if m == 1:
        return [Fraction(1)]
    rest = exact_inverse(rates[1:, 1:], rates[1:, 0])
    weights = [Fraction(1)]
    for j in range(1, m):
        weights.append(sum(a[0][i] * rest[i - 1][j - 1] for i in range(1, m)))
    total = sum(weights)
    return [w / total for w in weights]


def relative(got: np.ndarray, expected: list) -> float:
    flat = [x for row in expected for x in (row if isinstance(row, list) else [row])]
    worst = 0.0
    for value, truth in zip(np.ravel(got), flat, strict=True):
        if truth == 0:
            assert value == 0.0
        else:
            worst = max(worst, abs(float((Fraction(float(value)) - truth) / truth)))
    return worst


def spread(rng: np.random.Generator, shape: tuple[int, ...], low: float) -> np.ndarray:
    """Rates over many orders of magnitude, a fifth of them 0."""
    values = 10.0 ** rng.uniform(low, 2.0, shape)
    return np.where(rng.random(shape) < 0.2, 0.0, values)


@pytest.mark.parametrize("inverse", [ginverse, few_ginverse, acyclic_ginverse])
@pytest.mark.parametrize("m", [1, 2, 3, 5, 9, 14])
@pytest.mark.parametrize("low", [-1.0, -14.0, -60.0])
def test_inverse_entry_by_entry(m, low, inverse):
    rng = np.random.default_rng([m, int(-low)])
    rates = spread(rng, (m, m), low)
    rates[np.arange(m - 1), np.arange(1, m)] = 1.0  # everything leads to the last state
    exits = np.zeros(m)
    exits[-1] = 10.0**low
    assert relative(inverse(rates, exits), exact_inverse(rates, exits)) < TIGHT


@pytest.mark.parametrize("m", [2, 7, 8, 9, 16, 17])
@pytest.mark.parametrize("low", [-1.0, -30.0])
def test_inverse_without_a_way_back(m, low):
    """No path has more than m - 1 moves; states in any order, rubbish on the diagonal."""
    rng = np.random.default_rng([m, int(-low)])
    rates = np.triu(spread(rng, (m, m), low), 1)
    rates[np.arange(m - 1), np.arange(1, m)] = 1.0
    order = rng.permutation(m)
    rates = rates[np.ix_(order, order)] + np.diag(rng.random(m))
    exits = spread(rng, (m,), low) + 10.0**low
    assert relative(acyclic_ginverse(rates, exits), exact_inverse(rates, exits)) < TIGHT


@pytest.mark.parametrize("inverse", [ginverse, few_ginverse, acyclic_ginverse])
@pytest.mark.parametrize("m", [2, 3, 8, 13])
def test_stacks_of_inverses(m, inverse):
    """Small stacks by plain numbers, larger ones by arrays, and one set of rates for many exits."""
    rng = np.random.default_rng(m)
    for size in (1, 2, 40):
        rates, exits = rng.random((size, m, m)), rng.random((size, m))
        one_by_one = [inverse(a, e) for a, e in zip(rates, exits, strict=True)]
        np.testing.assert_allclose(inverse(rates, exits), one_by_one, rtol=TIGHT)
        shared = [inverse(rates[0], e) for e in exits]
        np.testing.assert_allclose(inverse(rates[0], exits), shared, rtol=TIGHT)


def test_blocks_agree_with_fractions():
    m = 30  # above the order that a loop handles
    rng = np.random.default_rng(3)
    rates, exits = spread(rng, (m, m), -8.0), np.full(m, 1e-9)
    assert relative(ginverse(rates, exits), exact_inverse(rates, exits)) < TIGHT


@pytest.mark.parametrize("m", [25, 64, 129])
def test_blocks_agree_with_states(m):
    rng = np.random.default_rng(m)
    rates = spread(rng, (m, m), -14.0)
    np.testing.assert_allclose(
        stationary(rates), (w := weights_by_states(rates)) / w.sum(), rtol=TIGHT
    )


@pytest.mark.parametrize("solve", [stationary, few_stationary])
@pytest.mark.parametrize("m", [1, 2, 4, 8, 12, 28])
def test_stationary_entry_by_entry(m, solve):
    rng = np.random.default_rng(m)
    rates = spread(rng, (m, m), -20.0)
    rates[np.arange(m), (np.arange(m) + 1) % m] += 1e-3
    assert relative(solve(rates), exact_stationary(rates)) < TIGHT


@pytest.mark.parametrize("solve", [stationary, few_stationary])
def test_closed_classes_within_a_stack(solve):
    """The closed class of the highest index gets everything, whatever is in the stack."""
    open_one = np.ones((6, 6))
    last_two, last = np.ones((6, 6)), np.ones((6, 6))
    last_two[4:, :4] = 0.0
    last[5, :5] = 0.0
    expected = [[1 / 6] * 6, [0.0] * 4 + [0.5] * 2, [0.0] * 5 + [1.0]]
    np.testing.assert_allclose(solve(np.stack([open_one, last_two, last])), expected, rtol=TIGHT)


@pytest.mark.parametrize("epsilon", [1e-3, 1e-14, 1e-100])
def test_nearly_decomposable(epsilon):
    """Two groups of three states, an epsilon apart; LU in floats loses all digits at 1e-14."""
    rng = np.random.default_rng(7)
    rates = np.full((6, 6), 0.0)
    rates[:3, :3], rates[3:, 3:] = rng.random((3, 3)), rng.random((3, 3))
    rates[0, 3], rates[5, 1] = epsilon, 3.0 * epsilon
    assert relative(stationary(rates), exact_stationary(rates)) < TIGHT


def test_tiny_probabilities():
    """A birth-death chain that ends at 1e-240."""
    up, down = 1e-12, 1.0
    rates = np.diag(np.full(20, up), 1) + np.diag(np.full(20, down), -1)
    expected = [Fraction(up) ** n for n in range(21)]
    total = sum(expected)
    assert relative(stationary(rates), [x / total for x in expected]) < TIGHT


def normal(shares: np.ndarray, expected: list[Fraction]) -> tuple[np.ndarray, list[Fraction]]:
    """Where numbers have all their digits; elsewhere next to nothing must have been found."""
    kept = np.array([float(x) > 1e-300 for x in expected])
    assert np.all(shares[~kept] < 1e-299)
    return shares[kept], [x for x, keep in zip(expected, kept, strict=True) if keep]


@pytest.mark.parametrize("solve", [stationary, few_stationary])
@pytest.mark.parametrize("m", [2, 3, 4, 7, 12, 30])
@pytest.mark.parametrize("out", [1e-300, 1e-307, 1e-309, 1e-315, 5e-324])
def test_a_way_out_so_rare_that_its_mean_time_cannot_be_stored(m, out, solve):
    """A class of all states but one is left once in up to 1e324; 1 / 1e-309 is infinite."""
    rng = np.random.default_rng(m)
    rates = rng.uniform(0.5, 2.0, (m, m))
    rates[1:, 0] = 0.0
    rates[-1, 0] = out
    assert relative(*normal(solve(rates), exact_stationary(rates))) < TIGHT


@pytest.mark.parametrize("solve", [stationary, few_stationary])
@pytest.mark.parametrize("down", [1e-12, 1e-40, 1e-200, 1e-308])
def test_weights_beyond_the_largest_number(down, solve):
    """A birth-death chain whose last state is likelier than its first by up to 1e6160."""
    rates = np.diag(np.ones(20), 1) + np.diag(np.full(20, down), -1)
    parts = [Fraction(down) ** (20 - n) for n in range(21)]
    expected = [part / sum(parts) for part in parts]
    assert relative(*normal(solve(rates), expected)) < TIGHT


@pytest.mark.parametrize("solve", [stationary, few_stationary])
def test_likely_states_whose_weights_have_no_finite_sum(solve):
    """Each is 1.25e308 times as likely as state 0."""
    rates = np.array([[0.0, 1.0, 1.0], [8e-309, 0.0, 0.0], [8e-309, 0.0, 0.0]])
    np.testing.assert_allclose(solve(rates), [0.0, 0.5, 0.5], rtol=TIGHT, atol=1e-300)


@pytest.mark.parametrize("solve", [stationary, few_stationary])
def test_rare_ways_out_within_a_stack(solve):
    """Beside a class that cannot be left at all, and one that can."""
    rates = np.ones((4, 6, 6))
    rates[1, 4:, :4] = 1e-310
    rates[2, 4:, :4] = 0.0
    rates[3, 5, :5], rates[3, 5, 2] = 0.0, 1e-310
    expected = [[1 / 6] * 6, *[[0.0] * 4 + [0.5] * 2] * 2, [0.0] * 5 + [1.0]]
    np.testing.assert_allclose(solve(rates), expected, rtol=TIGHT, atol=1e-300)


def test_transient_states_and_closed_classes():
    """From 0 the chain falls into {1, 2} and stays; of two closed classes the last is chosen."""
    rates = np.zeros((3, 3))
    rates[0, 1], rates[1, 2], rates[2, 1] = 1.0, 2.0, 6.0
    np.testing.assert_allclose(stationary(rates), [0.0, 0.75, 0.25], rtol=TIGHT)
    rates = np.zeros((4, 4))
    rates[0, 1], rates[1, 0], rates[2, 0], rates[2, 3] = 1.0, 1.0, 1.0, 1.0
    np.testing.assert_array_equal(stationary(rates), [0.0, 0.0, 0.0, 1.0])


def test_solve_with_closed_classes():
    """1 and 2 cannot be left: infinite where paid, 0 where nothing is, finite before free ones."""
    rates = np.zeros((5, 5))
    rates[0, 1], rates[1, 2], rates[2, 1], rates[3, 4] = 1.0, 1.0, 1.0, 2.0
    exits = np.zeros(5)
    got = gsolve(rates, exits, np.array([1.0, 1.0, 0.0, 3.0, 0.0]))
    np.testing.assert_array_equal(got, [np.inf, np.inf, np.inf, 1.5, 0.0])
    stacked = gsolve(np.stack([rates, rates]), np.stack([exits, exits]), np.zeros((2, 5)))
    np.testing.assert_array_equal(stacked, np.zeros((2, 5)))


def test_stacks_are_solved_alike():
    rng = np.random.default_rng(11)
    for m in (1, 2, 3, 17, 31):
        rates, exits = rng.random((4, m, m)), rng.random((4, m))
        for i in range(4):
            np.testing.assert_allclose(
                ginverse(rates, exits)[i], ginverse(rates[i], exits[i]), rtol=TIGHT
            )
            np.testing.assert_allclose(stationary(rates)[i], stationary(rates[i]), rtol=TIGHT)
            one = gsolve(rates, exits, np.ones((4, m)))[i]
            np.testing.assert_allclose(one, gsolve(rates[i], exits[i], np.ones(m)), rtol=TIGHT)


@given(st.integers(1, 40), st.integers(0, 10**6))
def test_row_sums(m, seed):
    """Whoever starts anywhere leaves sooner or later: (D - A)^-1 e = 1."""
    rng = np.random.default_rng(seed)
    rates, exits = spread(rng, (m, m), -14.0), 10.0 ** rng.uniform(-14, 0, m)
    np.testing.assert_allclose(ginverse(rates, exits) @ exits, np.ones(m), rtol=TIGHT)
