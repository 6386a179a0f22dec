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

from dataclasses import dataclass

import numpy as np

from capmodel.numerics._reduction import (
    Raise,
    State,
    beside,
    both_inverses,
    halve,
    halve_even,
)
from capmodel.numerics.gth import Array, ginverse, stationary

# Beyond this ratio of down to up the lower levels would underflow: the last level is all there is.
_CLOSED = 1e-120
_RARE = 1e-100  # worth a closer look


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


class _MixedStackError(Exception):
    """Some members of a stack end in a closed last level and others do not."""


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
    >>> weights = Weights(one, one, 0 * one, one)
    >>> solution = solve_levels(levels, Boundary(0 * one, 0.999 * one, one), weights)
    >>> bool(np.isclose(solution.last[0], 0.001 * 0.999**100_000, rtol=1e-10, atol=0))
    True
    """
    try:
        with np.errstate(all="ignore"):  # what becomes infinite or undefined is looked at
            return _solve(_begin(levels, weights), boundary, weights)
    except _MixedStackError:
        return _one_by_one(levels, boundary, weights)


def _solve(state: State, boundary: Boundary, weights: Weights) -> QBDSolution:
    raised: list[Raise] = []
    while state.left > 1:
        if state.left % 2:
            state = halve(state)
            continue
        inverse, inverse_high = both_inverses(state)
        if _is_closed(state, inverse_high):
            return _closed(state, boundary, raised)
        state, above = halve_even(state, inverse, inverse_high)
        raised.append(above)
    return _finish(state, boundary, weights, raised)


def _begin(levels: Levels, weights: Weights) -> State:
    core_like = (levels.up, levels.local, levels.down, levels.top)
    batch = np.broadcast_shapes(*(a.shape[:-2] for a in core_like))
    m, q = weights.core.shape[-2:]
    rise = np.zeros((*batch, 0, m, m)) if levels.rise is None else levels.rise
    g, t = rise.shape[-3], rise.shape[-1]
    stay = np.zeros((*batch, g, t, t)) if levels.stay is None else levels.stay
    join = np.zeros((*batch, g, t, m)) if levels.join is None else levels.join
    top_stay = stay if levels.top_stay is None else levels.top_stay
    none = np.zeros((*batch, g, t, q))
    exc = _with_mass(none if weights.excursion is None else weights.excursion)
    exc_slope = _with_mass(none if weights.excursion_slope is None else weights.excursion_slope, 0)
    exc_high = _with_mass(none if weights.excursion_top is None else weights.excursion_top)
    core, core_high = _with_mass(weights.core), _with_mass(weights.core_top)
    core_slope = _with_mass(weights.core_slope, 0)
    one = levels.count == 1
    joined = join.sum(-1)
    inside_high = ginverse(top_stay, joined) if g else top_stay
    parts = rise, np.zeros_like(join), join, exc + 2.0 * exc_slope, exc_slope
    out = beside((*batch, g), t, *parts) if g else np.zeros((*batch, 0, t, t + 2 * m + 2 * q + 2))
    return State(
        left=levels.count,
        core=beside(batch, m, levels.up, levels.down, core + 2.0 * core_slope, core_slope),
        local=levels.local, low=levels.top if one else levels.local, high=levels.top,
        exc=out,
        inside=inside_high if one or not g else ginverse(stay, joined + rise.sum(-1)),
        inside_high=inside_high, join_high=join,
        core_low=core_high if one else core + core_slope, core_high=core_high,
        exc_low=exc_high if one else exc + exc_slope, exc_high=exc_high,
    )  # fmt: skip


def _with_mass(weight: Array, each: float = 1.0) -> Array:
    """Prepend the weight that makes the sum the total probability."""
    return np.concatenate([np.full((*weight.shape[:-1], 1), each), weight], axis=-1)


def _is_closed(s: State, inverse_high: Array) -> bool:
    """Whether the way down has become so rare that the last level holds everything."""
    if float(inverse_high.max()) * float(s.up.max()) * s.up.shape[-1] ** 2 < 1.0 / _RARE:
        return False
    up = s.up.sum(-1).max(-1)
    longest = inverse_high.sum(-1).max(-1)
    out = (stationary(s.high) * s.down.sum(-1)).sum(-1)
    closed = ~(out >= _CLOSED * up) | ~np.isfinite(longest)
    if closed.any() and not closed.all():
        raise _MixedStackError
    return bool(closed.all())


def _row(vector: Array) -> Array:
    return vector[..., None, :]


def _closed(s: State, boundary: Boundary, raised: list[Raise]) -> QBDSolution:
    core = _row(stationary(s.high))
    sums = (core @ s.core_high)[..., 0, :]
    exc = np.zeros((*core.shape[:-2], *s.exc.shape[-3:-1]))
    nothing = np.zeros((*core.shape[:-2], boundary.local.shape[-1]))
    return _scaled(nothing, 0.0 * core, 0.0 * exc, core, exc, sums, raised)


def _finish(s: State, boundary: Boundary, weights: Weights, raised: list[Raise]) -> QBDSolution:
    """One level and the boundary are left."""
    up, below = boundary.up, _with_mass(weights.boundary)
    started = None
    if boundary.depart is not None:
        started = boundary.depart @ s.inside_high
        up = up + (started @ s.join_high).sum(-3)
        below = below + (started @ s.exc_high).sum(-3)
    onward = up @ ginverse(s.high, boundary.down.sum(-1))
    bottom = _row(stationary(boundary.local + onward @ boundary.down))
    core = bottom @ onward
    exc = np.zeros((*core.shape[:-2], *s.exc.shape[-3:-1]))
    if started is not None:
        exc = (bottom[..., None, :, :] @ started)[..., 0, :]
    sums = (bottom @ below + core @ s.core_high)[..., 0, :]
    lost = ~np.isfinite(sums).all(-1)
    if lost.any():  # the boundary is less likely than any number that can be stored
        if not lost.all():
            raise _MixedStackError
        return _closed(s, boundary, raised)
    return _scaled(bottom[..., 0, :], core, exc, core, exc, sums, raised)


def _scaled(
    bottom: Array, first: Array, first_exc: Array, last: Array, last_exc: Array, sums: Array,
    raised: list[Raise],
) -> QBDSolution:  # fmt: skip
    """Climb to level n and divide by the total."""
    for above in reversed(raised):
        last, last_exc = above(last, last_exc)
    total = sums[..., :1]
    return QBDSolution(
        bottom / total, first[..., 0, :] / total, first_exc / total[..., None],
        last[..., 0, :] / total, last_exc / total[..., None], sums[..., 1:] / total,
    )  # fmt: skip


def _one_by_one(levels: Levels, boundary: Boundary, weights: Weights) -> QBDSolution:
    """Solve the members of a stack apart from each other."""
    core = (levels.up, levels.local, levels.down, levels.top)
    batch = np.broadcast_shapes(*(part.shape[:-2] for part in core))
    grouped = {"rise", "stay", "join", "top_stay", "depart"}

    def member(part: Levels | Boundary | Weights, index: tuple[int, ...]) -> dict[str, object]:
        values: dict[str, object] = {}
        for name, value in vars(part).items():
            if isinstance(value, np.ndarray):
                tail = 3 if name in grouped or name.startswith("excursion") else 2
                shape = batch + value.shape[-tail:]
                values[name] = np.broadcast_to(value, shape)[index]
            else:
                values[name] = value
        return values

    # member() keeps each field's own type, which a dictionary of them cannot say
    solved = [
        solve_levels(
            Levels(**member(levels, index)),  # type: ignore[arg-type]  # see above
            Boundary(**member(boundary, index)),  # type: ignore[arg-type]  # see above
            Weights(**member(weights, index)),  # type: ignore[arg-type]  # see above
        )
        for index in np.ndindex(batch)
    ]
    stacked = {
        name: np.stack([getattr(one, name) for one in solved]).reshape(
            batch + getattr(solved[0], name).shape
        )
        for name in vars(solved[0])
    }
    return QBDSolution(**stacked)
