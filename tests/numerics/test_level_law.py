"""Every level's probability, and mean times to leave at the top, against dense linear algebra."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capmodel.numerics.cyclic_reduction import Boundary, Levels, Weights, solve_levels
from capmodel.numerics.gth import gsolve, stationary
from capmodel.numerics.level_law import Blocks, LevelLaw
from capmodel.numerics.passage import mean_times
from capmodel.numerics.whole_chain import by_state, whole_chain

COUNTS = (1, 2, 3, 4, 7, 16, 33)


def drawn(count: int, seed: int, drift: float = 1.0) -> tuple[Levels, Boundary, Weights]:
    """Two core phases, one group of two excursion phases, three boundary phases."""
    rng = np.random.default_rng(seed)

    def some(*shape: int) -> np.ndarray:
        return rng.uniform(0.1, 1.0, shape)

    levels = Levels(
        count, drift * some(2, 2), some(2, 2), some(2, 2), some(2, 2),
        rise=some(1, 2, 2), stay=some(1, 2, 2), join=some(1, 2, 2), top_stay=some(1, 2, 2),
    )  # fmt: skip
    boundary = Boundary(some(3, 3), some(3, 2), some(2, 3), depart=some(1, 3, 2))
    weights = Weights(
        some(3, 1), some(2, 1), some(2, 1), some(2, 1), some(1, 2, 1), some(1, 2, 1),
        some(1, 2, 1),
    )  # fmt: skip
    return levels, boundary, weights


@pytest.mark.parametrize("drift", [0.3, 1.0, 4.0])
@pytest.mark.parametrize("count", COUNTS)
def test_levels_and_phases_are_those_of_the_dense_chain(count: int, drift: float) -> None:
    levels, boundary, weights = drawn(count, count, drift)
    blocks = Blocks.of(levels, boundary)
    dense = stationary(whole_chain(blocks).toarray())
    solution = solve_levels(levels, boundary, weights)
    law = LevelLaw(blocks, solution)
    np.testing.assert_allclose(law.phases.ravel(), dense[3:], rtol=1e-11)
    np.testing.assert_allclose(law.levels[0], dense[:3].sum(), rtol=1e-12)
    np.testing.assert_allclose(law.levels.sum(), 1.0, rtol=1e-12)
    # the weights state by state add up to what the reduction carried along
    np.testing.assert_allclose(dense @ by_state(levels, weights), solution.sums, rtol=1e-11)


@given(
    st.sampled_from(COUNTS), st.integers(0, 50), st.floats(0.2, 5.0), st.floats(1e-9, 1.0 - 1e-9)
)
def test_quantiles_are_those_of_the_summed_levels(
    count: int, seed: int, drift: float, p: float
) -> None:
    levels, boundary, weights = drawn(count, seed, drift)
    law = LevelLaw(Blocks.of(levels, boundary), solve_levels(levels, boundary, weights))
    summed = np.cumsum(law.levels)
    n = law.quantile(p)
    assert summed[n] >= p * (1.0 - 1e-12)
    assert n == 0 or summed[n - 1] < p * (1.0 + 1e-12)


def test_a_level_of_1e_minus_200_keeps_its_digits() -> None:
    one = np.ones((1, 1))
    levels = Levels(2000, 0.5 * one, 0.0 * one, one, 0.0 * one)
    boundary = Boundary(0.0 * one, 0.5 * one, one)
    weights = Weights(one, one, 0.0 * one, one)
    law = LevelLaw(Blocks.of(levels, boundary), solve_levels(levels, boundary, weights))
    assert law.levels[664] == pytest.approx(0.5**665, rel=1e-12, abs=0.0)
    assert law.quantile(1.0 - 2.0**-20) == 19


@pytest.mark.parametrize("drift", [0.2, 1.0, 5.0])
@pytest.mark.parametrize("count", COUNTS)
def test_mean_times_to_the_first_loss(count: int, drift: float) -> None:
    levels, boundary, _ = drawn(count, 7 + count, drift)
    blocks = Blocks.of(levels, boundary)
    loss = np.array([0.3, 0.0, 0.2, 0.7])
    rates = whole_chain(blocks).toarray()
    exits = np.zeros(len(rates))
    exits[-4:] = loss
    dense = gsolve(rates, exits, np.ones(len(rates)))  # LU loses what the mean has of digits
    found = np.concatenate(mean_times(blocks, loss))
    np.testing.assert_allclose(found, dense, rtol=1e-11)
