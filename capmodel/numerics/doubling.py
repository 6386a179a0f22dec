r"""Finite quasi-birth-death chains of few phases, by doubling blocks of levels.

A block of n levels is known by what happens to a visit: entered from below or from above, with
which probability it leaves at the top or at the bottom, in which phase, and what it earns on the
way. Two blocks on top of each other make one; only the visits to their seam need an inverse. So
:math:`\log_2 n` steps of a dozen small products remain, where cyclic reduction has forty: for few
phases this is faster, for many that. Nothing is subtracted, and a block that is hardly ever crossed
is nothing special: probabilities underflow to 0 instead of mean times to infinity.

Source: the composition is R. Redheffer's star product, J. Math. and Phys. 41 (1962), for
probabilities; the elimination is that of :mod:`capmodel.numerics.gth`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from capmodel.numerics.cyclic_reduction import (
    Boundary,
    Levels,
    QBDSolution,
    Weights,
    solve_levels,
)
from capmodel.numerics.gth import Array, ginverse, stationary

__all__ = ["solve_few_phases"]

_FEW = 12  # phases entered from above, up to which this is faster than cyclic reduction


def solve_few_phases(levels: Levels, boundary: Boundary, weights: Weights) -> QBDSolution:
    """As :func:`~capmodel.numerics.cyclic_reduction.solve_levels`, and faster where phases are few.

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
    No subtraction occurs: as accurate as cyclic reduction, which takes over where the phases are
    many.

    Examples
    --------
    An M/M/1 queue with room for 100,000 at load 0.999: the full state has probability 3.5e-47.

    >>> one = np.ones((1, 1))
    >>> levels = Levels(100_000, 0.999 * one, 0 * one, one, 0 * one)
    >>> weights = Weights(one, one, 0 * one, one)
    >>> solution = solve_few_phases(levels, Boundary(0 * one, 0.999 * one, one), weights)
    >>> bool(np.isclose(solution.last[0], 0.001 * 0.999**100_000, rtol=1e-10, atol=0))
    True
    """
    if len(_entered(levels.down)) > _FEW:
        return solve_levels(levels, boundary, weights)
    with np.errstate(all="ignore"):  # what becomes infinite or undefined is looked at
        solution = _solve(levels, boundary, weights)
    if not np.isfinite(solution.sums).all():
        return solve_levels(levels, boundary, weights)
    return solution


class _Doubling:
    """Blocks as matrices: rows are ways in from below, then from above.

    Columns: left at the top, left at the bottom, earned (the sums), and by how much more is earned
    one level up, for those sums that depend on the level. Only phases in which a level is entered
    from below (`below` of them) or above count.
    """

    def __init__(self, below: int, above: int, sums: int, growing: list[int]) -> None:
        self.u, self.k = u, k = below, above
        out, self.growing = u + k, growing
        self.width = out + sums + len(growing)
        at = np.arange(self.width)
        self.not_up = (at >= u).astype(float)
        self.not_down = ((at < u) | (at >= out)).astype(float)
        self.leaving = (at < out).astype(float)[:, None]
        self.earned = slice(out, out + sums)
        self.shift = np.eye(self.width)
        self.growths = out + sums + np.arange(len(growing)), out + np.array(growing, dtype=int)

    def over(self, lower: Array, upper: Array, levels: int) -> Array:
        """Blocks (a stack of) `upper` on top of a block `lower`, which has so many levels."""
        u, k = self.u, self.k
        if self.growing:
            self.shift[self.growths] = levels
            upper = upper @ self.shift
        # entering the lower block at the seam: out of it, or up and back at the seam
        trip = lower[..., u:, :u] @ upper[..., :u, :]
        stays = lower * self.not_up
        seam = trip * self.not_down + stays[..., u:, :]
        leaves = (seam @ self.leaving)[..., 0]
        falling = ginverse(trip[..., u : u + k], leaves) @ seam
        whole: Array = upper[..., u : u + k] @ falling + upper * self.not_down
        whole[..., :u, :] = lower[..., :u, :u] @ whole[..., :u, :] + stays[..., :u, :]
        return whole

    def block(self, one: Array, count: int) -> Array:
        """So many levels, each like `one`; none is a passage that everything crosses at once."""
        if count == 0:
            return np.eye(self.u + self.k, self.width)
        pair, levels, started = np.stack([one, one]), 1, False  # the doubled block, the result
        while count > 1:
            if count % 2 and started:
                pair = self.over(pair[0], pair, levels)
            else:
                if count % 2:
                    pair[1], started = pair[0], True
                pair[:1] = self.over(pair[0], pair[:1], levels)
            count, levels = count // 2, 2 * levels
        whole: Array = self.over(pair[0], pair[1:], levels)[0] if started else pair[0]
        return whole


class _Excursions(NamedTuple):
    """Phases that only rise and end in the core, all groups side by side."""

    inside: Array  # mean times within a level below the last
    inside_last: Array
    rise: Array
    join: Array
    depart: Array
    earned: Array  # in a level below the last, by how much more one level up; in the last
    growth: Array
    earned_last: Array


def _excursions(levels: Levels, boundary: Boundary, weights: Weights) -> _Excursions | None:
    rise, stay, join, depart = levels.rise, levels.stay, levels.join, boundary.depart
    if rise is None or stay is None or join is None or depart is None:
        return None
    flat, slope, top = weights.excursion, weights.excursion_slope, weights.excursion_top
    none = np.zeros((*rise.shape[-3:-1], weights.core.shape[-1]))
    joined = join.sum(-1)
    top_stay = stay if levels.top_stay is None else levels.top_stay
    return _Excursions(
        _diagonal(ginverse(stay, joined + rise.sum(-1))), _diagonal(ginverse(top_stay, joined)),
        _diagonal(rise), _under(join),
        np.concatenate([depart[..., i, :, :] for i in range(depart.shape[-3])], axis=-1),
        _with_mass(_under(none if flat is None else flat)),
        _with_mass(_under(none if slope is None else slope), 0.0),
        _with_mass(_under(none if top is None else top)),
    )  # fmt: skip


def _diagonal(groups: Array) -> Array:
    """Groups (..., g, t, u) along the diagonal of one matrix."""
    g, t, u = groups.shape[-3:]
    out = np.zeros((*groups.shape[:-3], g * t, g * u))
    for i in range(g):
        out[..., i * t : (i + 1) * t, i * u : (i + 1) * u] = groups[..., i, :, :]
    return out


def _under(groups: Array) -> Array:
    """Groups (..., g, t, u) under each other."""
    g, t, u = groups.shape[-3:]
    return groups.reshape(*groups.shape[:-3], g * t, u)


def _with_mass(weight: Array, each: float = 1.0) -> Array:
    """Prepend the weight that makes the sum the total probability."""
    out = np.empty((*weight.shape[:-1], weight.shape[-1] + 1))
    out[..., 0], out[..., 1:] = each, weight
    return out


def _solve(levels: Levels, boundary: Boundary, weights: Weights) -> QBDSolution:
    """Level 1 and the last one stay, with the boundary; the levels between are one block."""
    m, b, n = levels.up.shape[-1], boundary.local.shape[-1], levels.count
    exc = _excursions(levels, boundary, weights)
    batch = np.broadcast_shapes(*{
        part.shape[:-2] for part in (
            levels.up, levels.local, levels.down, levels.top, boundary.local, boundary.up,
            boundary.down, weights.boundary, weights.core, weights.core_top,
            *(() if exc is None else exc),
        )
    })  # fmt: skip
    ends = 1 if n == 1 else 2
    flow = np.zeros((*batch, b + ends * m, b + ends * m))
    earned = np.zeros((*batch, b + ends * m, weights.core.shape[-1] + 1))
    bottom, first, last = slice(0, b), slice(b, b + m), slice(b + (ends - 1) * m, b + ends * m)
    flow[..., bottom, bottom], flow[..., first, bottom] = boundary.local, boundary.down
    flow[..., bottom, first] = boundary.up
    earned[..., bottom, :] = _with_mass(weights.boundary)
    if n > 1:
        flow[..., first, first] = levels.local
        earned[..., first, :] = _with_mass(weights.core + weights.core_slope)
    flow[..., last, last] = levels.top
    earned[..., last, :] = _with_mass(weights.core_top)
    started = arrived = None
    if exc is not None:
        started = exc.depart @ (exc.inside_last if n == 1 else exc.inside)
        flow[..., bottom, first] += started @ exc.join
        earned[..., bottom, :] += started @ (exc.earned_last if n == 1 else exc.earned + exc.growth)
        arrived = started
    if n > 1:
        arrived = _add_between(levels, weights, exc, started, flow, earned, (bottom, first, last))
    row = stationary(flow)[..., None, :]
    sums = (row @ earned)[..., 0, :]
    row = row / sums[..., None, :1]

    def excursions(times: Array | None) -> Array:
        if times is None or levels.rise is None:
            return np.zeros((*batch, 0, m))
        spent = row[..., bottom] @ times
        return spent.reshape(*batch, *levels.rise.shape[-3:-1])

    return QBDSolution(
        row[..., 0, bottom], row[..., 0, first], excursions(started),
        row[..., 0, last], excursions(arrived), sums[..., 1:] / sums[..., :1],
    )  # fmt: skip


def _add_between(
    levels: Levels, weights: Weights, exc: _Excursions | None, started: Array | None,
    flow: Array, earned: Array, parts: tuple[slice, slice, slice],
) -> Array | None:  # fmt: skip
    """Visits to levels 2 to n - 1, and to the excursions of level n; times spent in the latter."""
    bottom, first, last = parts
    batch = flow.shape[:-2]
    ways = _Ways(levels, exc)
    one, rule = _one_level(levels, weights, exc, ways, batch)
    between = rule.block(one, levels.count - 2)
    core, u = len(ways.core), rule.u
    falls = levels.down[..., ways.down] @ between[..., u:, :]
    climbs = [(last, falls), (first, levels.up[..., ways.core] @ between[..., :core, :])]
    if exc is not None and started is not None:
        rise = started @ exc.rise[..., ways.exc]
        climbs.append((bottom, rise @ between[..., core:u, :]))
    arrived = None
    for rows, out in climbs:
        part = flow[..., rows, :]
        part[..., first.start + ways.down] += out[..., u : u + rule.k]
        part[..., last.start + ways.core] += out[..., :core]
        earned[..., rows, :] += out[..., rule.earned]
        if exc is not None and rows is bottom:
            arrived = out[..., core:u] @ exc.inside_last[..., ways.exc, :]
            flow[..., rows, last] += arrived @ exc.join
            earned[..., rows, :] += arrived @ exc.earned_last
    return arrived


class _Ways:
    """Phases in which a level is entered: core from below, excursions, core from above."""

    def __init__(self, levels: Levels, exc: _Excursions | None) -> None:
        self.core, self.down = _entered(levels.up), _entered(levels.down)
        self.exc = np.zeros(0, dtype=int) if exc is None else _entered(exc.rise)


def _entered(rates: Array) -> npt.NDArray[np.intp]:
    """Columns in which there is something."""
    return np.flatnonzero(rates.reshape(-1, rates.shape[-1]).any(0))


def _one_level(
    levels: Levels, weights: Weights, exc: _Excursions | None, ways: _Ways, batch: tuple[int, ...]
) -> tuple[Array, _Doubling]:
    """Level 2 as a block."""
    m, sums = levels.up.shape[-1], weights.core.shape[-1] + 1
    slope = _with_mass(weights.core_slope, 0.0)
    rising = {*_entered(slope).tolist(), *(() if exc is None else _entered(exc.growth).tolist())}
    growing = sorted(rising)
    core, u, k = len(ways.core), len(ways.core) + len(ways.exc), len(ways.down)
    rule = _Doubling(u, k, sums, growing)
    more = rule.earned.stop
    paths = np.zeros((*batch, m, rule.width))
    paths[..., :core], paths[..., u : u + k] = (
        levels.up[..., ways.core],
        levels.down[..., ways.down],
    )
    paths[..., rule.earned] = _with_mass(weights.core) + 2.0 * slope
    paths[..., more:] = slope[..., growing]
    paths = ginverse(levels.local, levels.up.sum(-1) + levels.down.sum(-1)) @ paths
    one = np.empty((*batch, u + k, rule.width))
    one[..., :core, :], one[..., u:, :] = paths[..., ways.core, :], paths[..., ways.down, :]
    if exc is not None:
        rows = exc.join @ paths
        rows[..., core:u] += exc.rise[..., ways.exc]
        rows[..., rule.earned] += exc.earned + 2.0 * exc.growth
        rows[..., more:] += exc.growth[..., growing]
        one[..., core:u, :] = exc.inside[..., ways.exc, :] @ rows
    return one, rule
