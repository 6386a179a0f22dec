r"""Stationary solution of finite quasi-birth-death chains by subtraction-free cyclic reduction.

Levels 1 to n look alike but for their end; a boundary of any size lies below level 1. In every
level live *core* phases, which move up and down, and groups of *excursions*: phases that only
rise and, sooner or later, end in the core. Every second level is eliminated, and again, until the
first and the last are left: :math:`O(\log n)` steps. Sums :math:`\sum_p \pi_p w_p` over all levels
are carried along as positive quantities, so that the probability of a rare event needs no
difference of likely ones. All arrays may be stacks (leading dimensions).

Source: G. Latouche, V. Ramaswami, Introduction to Matrix Analytic Methods in Stochastic Modeling,
SIAM 1999, chapter 8 and 10 (cyclic and level reduction); the elimination is that of
:mod:`capmodel.numerics.gth`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from capmodel.numerics.gth import Array, ginverse, stationary

# Beyond this ratio of down to up the lower levels would underflow: the last level is all there is.
_CLOSED = 1e-250


@dataclass(frozen=True)
class Levels:
    """Rates of levels 1 to `count`; all nonnegative, diagonals ignored.

    Attributes
    ----------
    count : int
        Number of levels n.
    up, local, down : ndarray, shape (..., m, m)
        Core: to the next level, within a level, to the level below.
    top : ndarray, shape (..., m, m)
        Core within level n, which has no level above.
    rise, stay : ndarray, shape (..., g, t, t), optional
        Excursions of g groups: to the next level, within a level.
    join : ndarray, shape (..., g, t, m), optional
        From the excursions into the core of the same level.
    top_stay : ndarray, shape (..., g, t, t), optional
        Excursions within level n.
    """

    count: int
    up: Array
    local: Array
    down: Array
    top: Array
    rise: Array | None = None
    stay: Array | None = None
    join: Array | None = None
    top_stay: Array | None = None


@dataclass(frozen=True)
class Boundary:
    """Rates of the b phases below level 1 and of their exchange with it.

    Attributes
    ----------
    local : ndarray, shape (..., b, b)
        Within the boundary.
    up : ndarray, shape (..., b, m)
        Into the core of level 1.
    down : ndarray, shape (..., m, b)
        From the core of level 1 into the boundary.
    depart : ndarray, shape (..., g, b, t), optional
        Into the excursions of level 1.
    """

    local: Array
    up: Array
    down: Array
    depart: Array | None = None


@dataclass(frozen=True)
class Weights:
    """What is summed, q quantities: each phase of level p counts ``flat + p * slope`` [any unit].

    Attributes
    ----------
    boundary : ndarray, shape (..., b, q)
        Weight of the boundary phases.
    core, core_slope : ndarray, shape (..., m, q)
        Core phases of levels below the last.
    core_top : ndarray, shape (..., m, q)
        Core phases of level n (all of it, nothing is added).
    excursion, excursion_slope, excursion_top : ndarray, shape (..., g, t, q), optional
        The same for excursions.
    """

    boundary: Array
    core: Array
    core_slope: Array
    core_top: Array
    excursion: Array | None = None
    excursion_slope: Array | None = None
    excursion_top: Array | None = None


@dataclass(frozen=True)
class QBDSolution:
    """Probabilities of the boundary, of level 1 and of level n, and the sums asked for."""

    boundary: Array
    first: Array
    first_excursions: Array
    last: Array
    last_excursions: Array
    sums: Array


@dataclass(frozen=True)
class _State:
    """Levels that are left; `low` and `high` belong to the first and the last of them.

    Excursions come without a copy for the first level: nothing reaches them from above, so that
    eliminating their neighbours changes the way up and the way into the core alone.
    """

    count: int
    up: Array
    local: Array
    down: Array
    low: Array
    high: Array
    rise: Array
    rise_core: Array  # excursion to the core one level up
    join: Array
    join_high: Array
    stay_high: Array
    # weights: at the second level, growth per level, at both ends; core and excursions
    core: Array
    core_slope: Array
    core_low: Array
    core_high: Array
    exc: Array
    exc_slope: Array
    exc_low: Array
    exc_high: Array


def solve_levels(levels: Levels, boundary: Boundary, weights: Weights) -> QBDSolution:
    r"""Stationary probabilities at both ends, and weighted sums over all levels.

    Parameters
    ----------
    levels : Levels
        Homogeneous part, one level or more.
    boundary : Boundary
        What lies below it.
    weights : Weights
        What to sum over all states.

    Returns
    -------
    QBDSolution

    Notes
    -----
    No subtraction occurs: results are accurate relative to themselves as far as the data
    determine them, that is to about ``count`` units in the last place for probabilities that
    decay over ``count`` levels.

    Examples
    --------
    An M/M/1 queue with room for 100,000 at load 0.999: the full state has probability 3.5e-47.

    >>> one = np.ones((1, 1))
    >>> levels = Levels(100_000, 0.999 * one, 0 * one, one, 0 * one)
    >>> solution = solve_levels(levels, Boundary(0 * one, 0.999 * one, one), Weights(one, one, 0 * one, one))
    >>> bool(np.isclose(solution.last[0], 0.001 * 0.999**100_000, rtol=1e-10, atol=0))
    True
    """
    state = _begin(levels, weights)
    raised: list[tuple[Array, Array]] = []
    with np.errstate(under="ignore"):
        while state.count > 2:
            if state.count % 2 == 0:
                if np.any(_is_closed(state)):
                    return _closed_top(state, boundary, weights, raised)
                state, raising = _peel(state)
                raised.append(raising)
            state = _halve(state)
        return _finish(state, boundary, weights, raised)


def _begin(levels: Levels, weights: Weights) -> _State:
    m = levels.up.shape[-1]
    batch = np.broadcast_shapes(
        *(a.shape[:-2] for a in (levels.up, levels.local, levels.down, levels.top))
    )
    q = weights.core.shape[-1]
    rise = np.zeros((*batch, 0, m, m)) if levels.rise is None else levels.rise
    g, t = rise.shape[-3], rise.shape[-1]
    stay = np.zeros((*batch, g, t, t)) if levels.stay is None else levels.stay
    join = np.zeros((*batch, g, t, m)) if levels.join is None else levels.join
    none = np.zeros((*batch, g, t, q))
    exc = none if weights.excursion is None else weights.excursion
    slope = none if weights.excursion_slope is None else weights.excursion_slope
    count = levels.count
    one = count == 1
    leaving = join.sum(-1) + rise.sum(-1)
    # one pass through an excursion's phases within a level, used by all steps
    inside = ginverse(stay, leaving) if g else stay
    return _State(
        count=count, up=levels.up, local=levels.local, down=levels.down,
        low=levels.top if one else levels.local, high=levels.top,
        rise=rise, rise_core=np.zeros_like(join), join=join, join_high=join,
        stay_high=stay if levels.top_stay is None else levels.top_stay,
        core=weights.core + 2.0 * weights.core_slope, core_slope=weights.core_slope,
        core_low=weights.core + weights.core_slope, core_high=weights.core_top,
        exc=exc + 2.0 * slope, exc_slope=slope, exc_low=exc + slope,
        exc_high=none if weights.excursion_top is None else weights.excursion_top,
    )  # fmt: skip
