r"""Finite quasi-birth-death chains of few phases, by doubling blocks of levels.

A block of n levels is known by what happens to a visit: entered from below or from above, with
which probability it leaves at the top or at the bottom, in which phase, and what it earns on the
way. Two blocks on top of each other make one; only the visits to their seam need an inverse. So
:math:`\log_2 n` steps of a dozen small products remain, where cyclic reduction has forty: for few
phases this is faster, for many that. All levels but the last, with the boundary, make a block
whose visits begin where level 1 is left downwards; what remains is a chain of these few beginnings
and the phases of the last level. Nothing is subtracted, and a block that is hardly ever crossed is
nothing special: probabilities underflow to 0 instead of mean times to infinity.

Source: the composition is R. Redheffer's star product, J. Math. and Phys. 41 (1962), for
probabilities; the elimination is that of :mod:`capmodel.numerics.gth`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from capmodel.numerics._level_blocks import LevelBlocks
from capmodel.numerics.cyclic_reduction import (
    Boundary,
    Levels,
    QBDSolution,
    Weights,
    solve_levels,
)
from capmodel.numerics.few_states import acyclic_ginverse, few_ginverse, few_stationary
from capmodel.numerics.gth import Array

__all__ = ["Known", "has_few_phases", "solve_few_phases"]

_FEW = 12  # phases entered from above, up to which this is faster than cyclic reduction


def solve_few_phases(
    levels: Levels, boundary: Boundary, weights: Weights, known: Known | None = None
) -> QBDSolution:
    """As :func:`~capmodel.numerics.cyclic_reduction.solve_levels`, and faster where phases are few.

    Parameters
    ----------
    levels : Levels
        Homogeneous part, one level or more.
    boundary : Boundary
        What lies below it.
    weights : Weights
        What to sum over all states.
    known : Known, optional
        What was worked out for a chain that differs only in where a move upwards leads.

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
    with np.errstate(all="ignore"):  # what becomes infinite or undefined is looked at
        if known is None and has_few_phases(levels):
            known = Known.of(levels, boundary, weights)
        if known is None:
            return solve_levels(levels, boundary, weights)
        solution = _solve(levels, boundary, known)
    if not np.isfinite(solution.sums).all():
        return solve_levels(levels, boundary, weights)
    return solution


def has_few_phases(levels: Levels) -> bool:
    """Whether doubling is faster than cyclic reduction.

    Examples
    --------
    >>> one = np.ones((1, 1))
    >>> has_few_phases(Levels(9, one, 0 * one, one, 0 * one))
    True
    """
    return len(_entered(levels.down)) <= _FEW


@dataclass(frozen=True)
class Known:
    """What does not depend on where moves upwards lead, only on how fast they are.

    Attributes
    ----------
    down, start : ndarray of int
        Phases of the core, and of the boundary, that are entered from above.
    below : ndarray, shape (..., e, b)
        Mean times in the boundary, by the phase in which it is entered.
    inside, inside_first : ndarray, shape (..., m, m)
        Mean times within a level of the core below the last, and within level 1.
    falls, leaves : ndarray, shape (..., m, k), (..., m, e)
        Rates from the core into what is entered from above, and from level 1 into the boundary.
    earned_below : ndarray, shape (..., e, 1 + q)
        Sums over `below`, the time itself first.
    earned_first, earned_last : ndarray, shape (..., m, 1 + q)
        The same per time in a core phase of level 1 and of the last.
    second : ndarray, shape (..., m, 1 + q + g + k)
        Of a visit to level 2: what it earns, by how much more one level up, and into which phase
        it ends downwards.
    growing : list of int
        The g sums that depend on the level.
    excursions
        The same of the excursions, if there are any.
    """

    down: npt.NDArray[np.intp]
    start: npt.NDArray[np.intp]
    below: Array
    inside: Array
    inside_first: Array
    falls: Array
    leaves: Array
    earned_below: Array
    earned_first: Array
    earned_last: Array
    second: Array
    growing: list[int]
    excursions: _KnownExcursions | None

    @classmethod
    def of(cls, levels: Levels, boundary: Boundary, weights: Weights) -> Known:
        """From one chain for all that differ only in where a move upwards leads.

        Examples
        --------
        >>> one = np.ones((1, 1))
        >>> levels = Levels(9, one, 0 * one, 3 * one, 0 * one)
        >>> weights = Weights(one, one, 0 * one, one)
        >>> Known.of(levels, Boundary(0 * one, one, 3 * one), weights).inside.tolist()
        [[0.25]]
        """
        down, start = _entered(levels.down), _entered(boundary.down)
        upward = boundary.up.sum(-1)
        if boundary.depart is not None:
            upward = upward + boundary.depart.sum((-3, -1))
        below = acyclic_ginverse(boundary.local, upward)[..., start, :]
        upward, ends, ends_first = (
            np.add.reduce(rates, -1) for rates in (levels.up, levels.down, boundary.down)
        )
        inside = inside_first = acyclic_ginverse(levels.local, upward + ends)
        if not np.array_equal(ends, ends_first):
            inside_first = acyclic_ginverse(levels.local, upward + ends_first)
        falls, slope = levels.down[..., down], _with_mass(weights.core_slope, 0.0)
        growing = set(_entered(slope).tolist())
        if weights.excursion_slope is not None and levels.rise is not None:
            growing |= set((1 + _entered(weights.excursion_slope)).tolist())
        rising = sorted(growing)
        first = _with_mass(weights.core) + slope
        return cls(
            down, start, below, inside, inside_first, falls, boundary.down[..., start],
            below @ _with_mass(weights.boundary), first, _with_mass(weights.core_top),
            inside @ _beside(first + slope, slope[..., rising], falls), rising,
            _KnownExcursions.of(levels, weights, rising),
        )  # fmt: skip


class _KnownExcursions(NamedTuple):
    """Of phases that only rise and end in the core, all groups side by side."""

    inside: Array  # mean times within a level below the last
    joined: Array  # rates into the core, by group
    join: Array
    onward: Array  # where in the core a visit to a level below the last ends
    earned_first: Array  # per time in level 1, and in the last
    earned_last: Array
    second: Array  # in a visit to level 2: earned, by how much more one level up

    @classmethod
    def of(cls, levels: Levels, weights: Weights, growing: list[int]) -> _KnownExcursions | None:
        rise, stay, join = levels.rise, levels.stay, levels.join
        if rise is None or stay is None or join is None:
            return None
        none = np.zeros((*rise.shape[-3:-1], weights.core.shape[-1]))
        flat, slope, top = (
            _under(none if weight is None else weight)
            for weight in (weights.excursion, weights.excursion_slope, weights.excursion_top)
        )
        joined, more = join.sum(-1), _with_mass(slope, 0.0)
        inside = _diagonal(acyclic_ginverse(stay, joined + rise.sum(-1)))
        first = _with_mass(flat) + more
        return cls(
            inside, joined, _under(join), inside @ _under(join), first, _with_mass(top),
            inside @ _beside(first + more, more[..., growing]),
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


def _batch(*parts: Array) -> tuple[int, ...]:
    """Leading dimensions of a stack of chains with these matrices."""
    shapes = {part.shape[:-2] for part in parts}
    return shapes.pop() if len(shapes) == 1 else np.broadcast_shapes(*shapes)


def _beside(*parts: Array) -> Array:
    """Matrices of equally many rows side by side; not all need be stacks."""
    rows, columns = parts[0].shape[-2], sum(part.shape[-1] for part in parts)
    out, end = np.empty((*_batch(*parts), rows, columns)), 0
    for part in parts:
        begin, end = end, end + part.shape[-1]
        out[..., begin:end] = part
    return out


def _with_mass(weight: Array, each: float = 1.0) -> Array:
    """Prepend the weight that makes the sum the total probability."""
    out = np.empty((*weight.shape[:-1], weight.shape[-1] + 1))
    out[..., 0], out[..., 1:] = each, weight
    return out


def _entered(rates: Array) -> npt.NDArray[np.intp]:
    """Columns in which there is something."""
    return np.flatnonzero(np.logical_or.reduce(rates.reshape(-1, rates.shape[-1])))


class _Excursions(NamedTuple):
    """Those of one chain, all groups side by side."""

    ways: npt.NDArray[np.intp]  # phases that are entered from below
    rise: Array  # into these
    started: Array  # time spent in level 1, per beginning

    @classmethod
    def of(cls, levels: Levels, boundary: Boundary, known: Known) -> _Excursions | None:
        fixed, depart = known.excursions, boundary.depart
        if fixed is None or depart is None:
            return None
        assert levels.rise is not None
        rise = _diagonal(levels.rise)
        ways = _entered(rise)
        departs = _beside(*(known.below @ depart[..., i, :, :] for i in range(depart.shape[-3])))
        inside = fixed.inside if levels.count > 1 else _inside_last(levels, fixed)
        return cls(ways, rise[..., ways], departs @ inside)


def _inside_last(levels: Levels, fixed: _KnownExcursions) -> Array:
    """Mean times within the last level's excursions."""
    top_stay = levels.stay if levels.top_stay is None else levels.top_stay
    assert top_stay is not None
    return _diagonal(few_ginverse(top_stay, fixed.joined))


def _solve(levels: Levels, boundary: Boundary, known: Known) -> QBDSolution:
    """The chain of the beginnings and the last level; of all other states, times per beginning."""
    exc, fixed, one = _Excursions.of(levels, boundary, known), known.excursions, levels.count == 1
    into, earned = known.below @ boundary.up, known.earned_below
    if exc is not None and fixed is not None:
        into = into + exc.started @ fixed.join
        earned = earned + exc.started @ (fixed.earned_last if one else fixed.earned_first)
    e, m = into.shape[-2:]
    if one:
        outs = _at_last(into, known.leaves, earned, known.earned_last, levels.top)
        arrived, firsts = None if exc is None else exc.started, None
    else:
        outs, arrived, firsts = _above_first(levels, known, exc, into, earned)
    flow, gain = outs
    row = few_stationary(flow)[..., None, :]
    sums = row @ gain
    row, sums = row / sums[..., :1], sums[..., 0, :]
    beginnings, last = row[..., :e], row[..., e:]

    def excursions(times: Array | None) -> Array:
        if times is None or levels.rise is None:
            return np.zeros((*sums.shape[:-1], 0, m))
        return (beginnings @ times).reshape(*sums.shape[:-1], *levels.rise.shape[-3:-1])

    return QBDSolution(
        (beginnings @ known.below)[..., 0, :],
        (last if firsts is None else row @ firsts)[..., 0, :],
        excursions(None if exc is None else exc.started),
        last[..., 0, :], excursions(arrived), sums[..., 1:] / sums[..., :1],
    )  # fmt: skip


def _at_last(
    into: Array, leaves: Array, earned: Array, earned_last: Array, top: Array
) -> tuple[Array, Array]:
    """Rates and what is earned of the beginnings and the only level."""
    e, m = into.shape[-2:]
    parts = (into, leaves, earned, earned_last, top)
    batch = _batch(*parts)
    flow, gain = np.zeros((*batch, e + m, e + m)), np.empty((*batch, e + m, earned.shape[-1]))
    flow[..., :e, e:], flow[..., e:, :e], flow[..., e:, e:] = into, leaves, top
    gain[..., :e, :], gain[..., e:, :] = earned, earned_last
    return flow, gain


def _above_first(
    levels: Levels, known: Known, exc: _Excursions | None, into: Array, earned: Array
) -> tuple[tuple[Array, Array], Array | None, Array]:
    """The same for more than one level; and times in the last excursions and in level 1."""
    core, fixed = _entered(levels.up), known.excursions
    x, (e, m), s = 0 if exc is None else len(exc.ways), into.shape[-2:], earned.shape[-1]
    rule = LevelBlocks(x + len(core), len(known.down), s, known.growing, x)
    up, u, same, kept = levels.up[..., core], rule.u, rule.kept, rule.kept + m
    between = rule.block(_second_level(up, core, known, exc, rule), levels.count - 2)
    # the boundary and level 1, entered from the former's beginnings and from above
    times = _below_each_other(into @ known.inside_first, known.inside_first[..., known.down, :])
    lower = np.zeros((*times.shape[:-1], kept + e))
    lower[..., x:u], lower[..., rule.earned] = times @ up, times @ known.earned_first
    lower[..., same:kept], lower[..., kept:] = times, times @ known.leaves
    begun = lower[..., :e, :]
    part = begun[..., rule.earned]
    part += earned
    if exc is not None:
        begun[..., :x] = exc.started @ exc.rise
    leaving = np.zeros(kept + e)
    leaving[:u] = leaving[kept:] = 1.0
    turned = lower.swapaxes(-1, -2).copy()
    whole, begun = rule.on_top(turned[..., :e], turned[..., e:], between, leaving)
    # and the last level, entered from there
    whole = _below_each_other(
        begun.swapaxes(-1, -2), known.falls @ whole[..., u:].swapaxes(-1, -2)
    )
    flow = np.zeros((*whole.shape[:-1], e + m))
    flow[..., :e], flow[..., e + core] = whole[..., kept:], whole[..., x:u]
    part = flow[..., e:, e:]
    part += levels.top
    gain, arrived = whole[..., rule.earned], None
    part = gain[..., e:, :]
    part += known.earned_last
    if exc is not None and fixed is not None:
        reached, arrived = whole[..., :e, :x], np.zeros_like(exc.started)
        if not reached.any():  # too many levels to rise through
            return (flow, gain), arrived, whole[..., same:kept]
        arrived = reached @ _inside_last(levels, fixed)[..., exc.ways, :]
        part = flow[..., :e, e:]
        part += arrived @ fixed.join
        part = gain[..., :e, :]
        part += arrived @ fixed.earned_last
    return (flow, gain), arrived, whole[..., same:kept]


def _below_each_other(first: Array, second: Array) -> Array:
    n = first.shape[-2]
    out = np.empty((*_batch(first, second), n + second.shape[-2], first.shape[-1]))
    out[..., :n, :], out[..., n:, :] = first, second
    return out


def _second_level(
    up: Array, core: npt.NDArray[np.intp], known: Known, exc: _Excursions | None, rule: LevelBlocks
) -> Array:
    """Level 2 as a block."""
    u, x, fixed = rule.u, rule.u - len(core), known.excursions
    paths = _beside(known.inside @ up, known.second)
    batch = _batch(paths, paths if exc is None else exc.rise)
    one = np.zeros((*batch, rule.height, u + rule.k))
    turned, one = one, one.swapaxes(-1, -2)
    one[..., x:u, x:], one[..., u:, x:] = paths[..., core, :], paths[..., known.down, :]
    if exc is not None and fixed is not None:
        one[..., :x, :x] = fixed.inside[..., exc.ways, :] @ exc.rise
        one[..., :x, x:] = fixed.onward[..., exc.ways, :] @ paths
        part = one[..., :x, u : rule.kept]
        part += fixed.second[..., exc.ways, :]
    return turned
