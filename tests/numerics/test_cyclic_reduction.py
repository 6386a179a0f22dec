"""Cyclic reduction and doubling against elimination of the whole chain in fractions, and more."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capmodel.numerics.cyclic_reduction import Boundary, Levels, QBDSolution, Weights, solve_levels
from capmodel.numerics.doubling import Frame, Known, solve_few_phases
from tests.oracles.tandem_chain import by_elimination

TIGHT = 1e-12
ONE = np.ones((1, 1))
WAYS = [solve_levels, solve_few_phases]  # every chain here has few phases


def random_chain(
    rng: np.random.Generator, count: int, drift: float, groups: int
) -> tuple[Levels, Boundary, Weights]:
    """Rates over a few orders of magnitude; `drift` multiplies the way up."""
    m, b, t = 3, 2, 2

    def some(*shape: int) -> np.ndarray:
        return 10.0 ** rng.uniform(-2.0, 1.0, shape)

    levels = Levels(count, drift * some(m, m), some(m, m), some(m, m), some(m, m))
    boundary = Boundary(some(b, b), drift * some(b, m), some(m, b))
    weights = Weights(some(b, 2), some(m, 2), some(m, 2) * [[1.0, 0.0]], some(m, 2))
    if groups:
        levels = Levels(
            *(levels.count, levels.up, levels.local, levels.down, levels.top),
            some(groups, t, t), some(groups, t, t), some(groups, t, m), some(groups, t, t),
        )  # fmt: skip
        boundary = Boundary(boundary.local, boundary.up, boundary.down, some(groups, b, t))
        exc = some(groups, t, 2)
        weights = Weights(
            *(weights.boundary, weights.core, weights.core_slope, weights.core_top),
            exc, exc * [[0.5, 0.0]], some(groups, t, 2),
        )  # fmt: skip
    return levels, boundary, weights


def by_hand(levels: Levels, boundary: Boundary, weights: Weights) -> dict[str, list[Fraction]]:
    """The same chain as one matrix of fractions, state by state."""
    m, b, n = levels.up.shape[-1], boundary.local.shape[-1], levels.count
    g, t = (0, 0) if levels.rise is None else levels.rise.shape[:2]
    each = m + g * t
    size = b + n * each
    flow = np.zeros((size, size))

    def core(p: int) -> slice:
        return slice(b + (p - 1) * each, b + (p - 1) * each + m)

    def excursion(p: int, group: int) -> slice:
        begin = b + (p - 1) * each + m + group * t
        return slice(begin, begin + t)

    bottom = slice(0, b)
    flow[bottom, bottom] = boundary.local
    flow[bottom, core(1)], flow[core(1), bottom] = boundary.up, boundary.down
    for group in range(g):
        flow[bottom, excursion(1, group)] = boundary.depart[group]
    earned = np.zeros((size, weights.core.shape[-1]))
    earned[bottom] = weights.boundary
    for p in range(1, n + 1):
        last = p == n
        flow[core(p), core(p)] = levels.top if last else levels.local
        earned[core(p)] = weights.core_top if last else weights.core + p * weights.core_slope
        if not last:
            flow[core(p), core(p + 1)], flow[core(p + 1), core(p)] = levels.up, levels.down
        for group in range(g):
            here = excursion(p, group)
            flow[here, here] = (levels.top_stay if last else levels.stay)[group]
            flow[here, core(p)] = levels.join[group]
            earned[here] = (
                weights.excursion_top if last
                else weights.excursion + p * weights.excursion_slope
            )[group]  # fmt: skip
            if not last:
                flow[here, excursion(p + 1, group)] = levels.rise[group]
    np.fill_diagonal(flow, 0.0)
    share = by_elimination([[Fraction(float(x)) for x in row] for row in flow])
    sums = [
        sum(p * Fraction(float(w)) for p, w in zip(share, column, strict=True))
        for column in earned.T
    ]
    return {
        "boundary": share[:b], "first": share[core(1)], "last": share[core(n)], "sums": sums,
        "first_excursions": [x for i in range(g) for x in share[excursion(1, i)]],
        "last_excursions": [x for i in range(g) for x in share[excursion(n, i)]],
    }  # fmt: skip


def check(solution: QBDSolution, expected: dict[str, list[Fraction]], tolerance: float) -> None:
    for name, values in expected.items():
        truth = np.array([float(x) for x in values])
        np.testing.assert_allclose(
            np.ravel(getattr(solution, name)), truth, rtol=tolerance, atol=0, err_msg=name
        )


@pytest.mark.parametrize("solve", WAYS)
@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6, 7, 8, 9, 12])
@pytest.mark.parametrize("drift", [1e-9, 0.3, 1.0, 1.3, 1e6])
@pytest.mark.parametrize("groups", [0, 2])
def test_against_fractions(solve, count, drift, groups):
    """Even and odd numbers of levels, under- and overload, probabilities down to 1e-100."""
    rng = np.random.default_rng([count, int(1e9 * drift) % 10007, groups])
    chain = random_chain(rng, count, drift, groups)
    check(solve(*chain), by_hand(*chain), TIGHT)


@pytest.mark.parametrize("count", [1, 2, 9])
@pytest.mark.parametrize("groups", [0, 2])
def test_what_chains_share_is_worked_out_once(count, groups):
    """Moves upwards that lead elsewhere as fast, below, on the way and at the top."""
    rng = np.random.default_rng([count, groups])
    levels, boundary, weights = random_chain(rng, count, 0.7, groups)
    known = Known.of(levels, boundary, weights)
    names = ("rise", "top_stay") if groups else ()
    turned = {name: getattr(levels, name)[..., ::-1] for name in ("up", "top", *names)}
    departs = {"depart": boundary.depart[..., ::-1]} if groups else {}
    other = (
        dataclasses.replace(levels, **turned),
        dataclasses.replace(boundary, up=boundary.up[..., ::-1], **departs),
        weights,
    )
    check(solve_few_phases(*other, known), by_hand(*other), TIGHT)


@pytest.mark.parametrize("members", [None, 1, 3])
@pytest.mark.parametrize("count", [1, 2, 9, 12])
@pytest.mark.parametrize("groups", [0, 2])
def test_what_chains_share_that_differ_within_levels(count, groups, members):
    """One chain by itself, a stack of one, a stack: what they share is no stack."""
    rng = np.random.default_rng([count, groups, 1])
    levels, boundary, weights = random_chain(rng, count, 0.7, groups)
    frame = Frame.of(levels, boundary, weights)
    batch = () if members is None else (members,)
    local, below = (
        rates * 10.0 ** rng.uniform(-1.0, 1.0, (*batch, *rates.shape))
        for rates in (levels.local, boundary.local)
    )
    changed = (
        dataclasses.replace(levels, local=local), dataclasses.replace(boundary, local=below)
    )  # fmt: skip
    found = solve_few_phases(*changed, weights, frame)
    for i in np.ndindex(batch):
        chain = (
            dataclasses.replace(levels, local=local[i]),
            dataclasses.replace(boundary, local=below[i]),
        )
        # with one level nothing depends on the rates within the others
        one = {
            name: value[i] if value.ndim > (2 if "excursions" in name else 1) else value
            for name, value in vars(found).items()
        }
        check(QBDSolution(**one), by_hand(*chain, weights), TIGHT)


@pytest.mark.parametrize("solve", WAYS)
@pytest.mark.parametrize("epsilon", [1e-5, 1e-14, 1e-60])
def test_nearly_decomposable(solve, epsilon):
    """Phases that hardly ever change: three queues of different load, an epsilon apart."""
    rng = np.random.default_rng(5)
    up, down = np.diag([0.5, 1.0, 1.3]), np.eye(3)
    local = epsilon * rng.random((3, 3))
    levels = Levels(7, up, local, down, 2.0 * local)
    weights = Weights(*(rng.random((3, 2)) for _ in range(4)))
    chain = levels, Boundary(local, up, down), weights
    check(solve(*chain), by_hand(*chain), TIGHT)


def birth_death(solve, load: float, count: int) -> QBDSolution:
    levels = Levels(count, load * ONE, 0 * ONE, ONE, 0 * ONE)
    weights = Weights(0 * ONE, 0 * ONE, ONE, count * ONE)
    return solve(levels, Boundary(0 * ONE, load * ONE, ONE), weights)


@pytest.mark.parametrize("solve", WAYS)
@pytest.mark.parametrize("count", [1, 2, 3, 1000, 4097, 65536, 99_999, 100_000, 1_000_000])
@pytest.mark.parametrize("load", [0.5, 0.999, 1.0, 1.001, 1.3, 40.0])
def test_one_phase_and_many_levels(solve, load, count):
    """M/M/1/K in 60 digits: the ends, and the mean content."""
    with mpmath.workdps(60):
        rho = mpmath.mpf(load)
        if rho == 1:
            bottom, mean = mpmath.mpf(1) / (count + 1), mpmath.mpf(count) / 2
        else:
            bottom = (1 - rho) / (1 - rho ** (count + 1))
            above = (count + 1) * rho ** (count + 1) / (1 - rho ** (count + 1))
            mean = rho / (1 - rho) - above
        expected = [float(x) for x in (bottom, bottom * rho, bottom * rho**count, mean)]
    got = birth_death(solve, load, count)
    values = [got.boundary[0], got.first[0], got.last[0], got.sums[0]]
    # the load itself is known to 1e-16 only: a probability of load**count to count times that
    tolerance = max(TIGHT, 4e-16 * count)
    for value, truth in zip(values, expected, strict=True):
        if truth > 1e-100 or load < 1.0:  # lower levels of an overload end at 1e-120
            assert value == pytest.approx(truth, rel=tolerance, abs=1e-290)
        else:
            assert value < 1e-90


@pytest.mark.parametrize("solve", WAYS)
def test_stack_of_which_some_end_closed(solve):
    """Members are solved alone when only some of them are in deep overload."""
    loads = np.array([0.5, 1.0, 50.0]).reshape(-1, 1, 1)
    levels = Levels(4096, loads * ONE, 0 * ONE, ONE + 0 * loads, 0 * ONE)
    weights = Weights(0 * ONE, 0 * ONE, ONE, 4096 * ONE)
    got = solve(levels, Boundary(0 * ONE, loads * ONE, ONE), weights)
    for i, load in enumerate(loads.ravel()):
        alone = birth_death(solve, float(load), 4096)
        np.testing.assert_allclose(got.last[i], alone.last, rtol=TIGHT)
        np.testing.assert_allclose(got.sums[i], alone.sums, rtol=TIGHT)


@pytest.mark.parametrize("solve", WAYS)
def test_stack_of_rates_within_levels_of_which_some_end_closed(solve):
    """A phase that only rises and one that only falls: how long they last makes the overload."""
    rising, falling = np.diag([10.0, 0.0]), np.diag([0.0, 10.0])
    turns = np.array(
        [[[0.0, 3.0], [1.0, 0.0]], [[0.0, 1.0], [1.0, 0.0]], [[0.0, 1.0], [50.0, 0.0]]]
    )
    weights = Weights(np.zeros((1, 1)), np.zeros((2, 1)), np.ones((2, 1)), np.full((2, 1), 4096.0))
    boundary = Boundary(0 * ONE, np.array([[10.0, 0.0]]), np.array([[0.0], [10.0]]))
    got = solve(Levels(4096, rising, turns, falling, turns), boundary, weights)
    assert got.sums[0, 0] < 100.0
    assert got.sums[2, 0] > 4000.0
    for i, turn in enumerate(turns):
        alone = solve(Levels(4096, rising, turn, falling, turn), boundary, weights)
        np.testing.assert_allclose(got.last[i], alone.last, rtol=1e-10)
        np.testing.assert_allclose(got.sums[i], alone.sums, rtol=1e-10)


@pytest.mark.parametrize("solve", WAYS)
@pytest.mark.parametrize("groups", [0, 2])
def test_stacks_are_solved_alike(solve, groups):
    chains = [random_chain(np.random.default_rng(i), 6, 0.5, groups) for i in range(3)]

    def stacked(position):
        kind = type(chains[0][position])
        values = dict(vars(chains[0][position]))
        for name, value in values.items():
            if isinstance(value, np.ndarray):
                values[name] = np.stack([getattr(chain[position], name) for chain in chains])
        return kind(**values)

    together = solve(stacked(0), stacked(1), stacked(2))
    for i, chain in enumerate(chains):
        alone = solve(*chain)
        for name, value in vars(alone).items():
            np.testing.assert_allclose(getattr(together, name)[i], value, rtol=TIGHT, err_msg=name)


@pytest.mark.parametrize("solve", WAYS)
@given(st.integers(1, 5000), st.floats(1e-3, 1e3), st.integers(0, 2), st.integers(0, 10**6))
def test_balance(solve, count, drift, groups, seed):
    """Flow up and down between the boundary and level 1 is the same; a sum of 1 is 1."""
    levels, boundary, weights = random_chain(np.random.default_rng(seed), count, drift, groups)
    got = solve(levels, boundary, weights)
    up = got.boundary @ boundary.up.sum(-1)
    if groups:
        up = up + sum(got.boundary @ depart.sum(-1) for depart in boundary.depart)
    np.testing.assert_allclose(got.first @ boundary.down.sum(-1), up, rtol=1e-11, atol=1e-290)
    for value in vars(got).values():
        assert np.all(np.isfinite(value) & (value >= 0.0))
