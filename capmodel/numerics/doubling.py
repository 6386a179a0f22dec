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

from typing import NamedTuple

import numpy as np

from capmodel.numerics._known_levels import (
    Frame,
    Known,
    KnownExcursions,
    Phases,
    batch_of,
    beside,
    diagonal,
)
from capmodel.numerics._level_blocks import LevelBlocks
from capmodel.numerics.cyclic_reduction import (
    Boundary,
    Levels,
    QBDSolution,
    Weights,
    solve_levels,
)
from capmodel.numerics.few_states import few_ginverse, few_stationary
from capmodel.numerics.gth import Array

__all__ = ["Frame", "Known", "has_few_phases", "solve_few_phases"]

_FEW = 12  # phases entered from above, up to which this is faster than cyclic reduction


def solve_few_phases(
    levels: Levels, boundary: Boundary, weights: Weights, known: Known | Frame | None = None
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
    known : Known or Frame, optional
        What was worked out for a chain that differs only in where a move upwards leads; or in that
        and the rates within levels.

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
        if isinstance(known, Frame) or (known is None and has_few_phases(levels)):
            known = Known.of(levels, boundary, weights, known)
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
    return Phases.entered(levels.down).number <= _FEW


class _Excursions(NamedTuple):
    """Those of one chain, all groups side by side."""

    ways: Phases  # phases that are entered from below
    rise: Array  # into these
    started: Array  # time spent in level 1, per beginning

    @classmethod
    def of(cls, levels: Levels, boundary: Boundary, known: Known) -> _Excursions | None:
        fixed, depart = known.excursions, boundary.depart
        if fixed is None or depart is None:
            return None
        assert levels.rise is not None
        rise = diagonal(levels.rise)
        ways = Phases.entered(rise)
        departs = beside(*(known.below @ depart[..., i, :, :] for i in range(depart.shape[-3])))
        inside = fixed.inside if levels.count > 1 else _inside_last(levels, fixed)
        return cls(ways, rise[..., ways.at], departs @ inside)


def _inside_last(levels: Levels, fixed: KnownExcursions) -> Array:
    """Mean times within the last level's excursions."""
    top_stay = levels.stay if levels.top_stay is None else levels.top_stay
    assert top_stay is not None
    return diagonal(few_ginverse(top_stay, fixed.joined))


def _solve(levels: Levels, boundary: Boundary, known: Known) -> QBDSolution:
    """The chain of the beginnings and the last level; of all other states, times per beginning."""
    exc, fixed, one = _Excursions.of(levels, boundary, known), known.excursions, levels.count == 1
    into, earned = known.below @ boundary.up, known.earned_below
    if exc is not None and fixed is not None:
        into = into + exc.started @ fixed.join
        earned = earned + exc.started @ (fixed.earned_last if one else fixed.earned_first)
    e, m = into.shape[-2:]
    if one:
        frame = known.frame
        outs = _at_last(into, frame.leaves, earned, frame.earned_last, levels.top)
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
    batch = batch_of(*parts)
    flow, gain = np.zeros((*batch, e + m, e + m)), np.empty((*batch, e + m, earned.shape[-1]))
    flow[..., :e, e:], flow[..., e:, :e], flow[..., e:, e:] = into, leaves, top
    gain[..., :e, :], gain[..., e:, :] = earned, earned_last
    return flow, gain


def _above_first(
    levels: Levels, known: Known, exc: _Excursions | None, into: Array, earned: Array
) -> tuple[tuple[Array, Array], Array | None, Array]:
    """The same for more than one level; and times in the last excursions and in level 1."""
    core, fixed, frame = Phases.entered(levels.up), known.excursions, known.frame
    x, (e, m), s = 0 if exc is None else exc.ways.number, into.shape[-2:], earned.shape[-1]
    rule = LevelBlocks(x + core.number, frame.down.number, s, frame.growing, x)
    up, u, same, kept = levels.up[..., core.at], rule.u, rule.kept, rule.kept + m
    between = rule.block(_second_level(up, core, known, exc, rule), levels.count - 2)
    # the boundary and level 1, entered from the former's beginnings and from above
    inside = known.inside_first
    times = _below_each_other(into @ inside, inside[..., frame.down.at, :])
    turned = np.zeros((*times.shape[:-2], kept + e, e + rule.k))
    lower = turned.swapaxes(-1, -2)
    lower[..., x:u], lower[..., rule.earned] = times @ up, times @ frame.earned_first
    lower[..., same:kept], lower[..., kept:] = times, times @ frame.leaves
    part = lower[..., :e, rule.earned]
    part += earned
    if exc is not None:
        lower[..., :e, :x] = exc.started @ exc.rise
    leaving = np.zeros(kept + e)
    leaving[:u] = leaving[kept:] = 1.0
    whole, begun = rule.on_top(turned[..., :e], turned[..., e:], between, leaving)
    # and the last level, entered from there
    whole = _below_each_other(begun.swapaxes(-1, -2), frame.falls @ whole[..., u:].swapaxes(-1, -2))
    flow = np.zeros((*whole.shape[:-1], e + m))
    flow[..., :e], flow[..., core.after(e)] = whole[..., kept:], whole[..., x:u]
    part = flow[..., e:, e:]
    part += levels.top
    gain, arrived = whole[..., rule.earned], None
    part = gain[..., e:, :]
    part += frame.earned_last
    if exc is not None and fixed is not None:
        reached, arrived = whole[..., :e, :x], np.zeros_like(exc.started)
        if not reached.any():  # too many levels to rise through
            return (flow, gain), arrived, whole[..., same:kept]
        arrived = reached @ _inside_last(levels, fixed)[..., exc.ways.at, :]
        part = flow[..., :e, e:]
        part += arrived @ fixed.join
        part = gain[..., :e, :]
        part += arrived @ fixed.earned_last
    return (flow, gain), arrived, whole[..., same:kept]


def _below_each_other(first: Array, second: Array) -> Array:
    n = first.shape[-2]
    out = np.empty((*batch_of(first, second), n + second.shape[-2], first.shape[-1]))
    out[..., :n, :], out[..., n:, :] = first, second
    return out


def _second_level(
    up: Array, core: Phases, known: Known, exc: _Excursions | None, rule: LevelBlocks
) -> Array:
    """Level 2 as a block."""
    u, x, fixed = rule.u, rule.rising, known.excursions
    paths = beside(known.inside @ up, known.second)
    batch = batch_of(paths, paths if exc is None else exc.rise)
    one = np.zeros((*batch, rule.height, u + rule.k))
    turned, one = one, one.swapaxes(-1, -2)
    one[..., x:u, x:] = paths[..., core.at, :]
    one[..., u:, x:] = paths[..., known.frame.down.at, :]
    if exc is not None and fixed is not None:
        one[..., :x, :x] = fixed.inside[..., exc.ways.at, :] @ exc.rise
        one[..., :x, x:] = fixed.onward[..., exc.ways.at, :] @ paths
        part = one[..., :x, u : rule.kept]
        part += fixed.second[..., exc.ways.at, :]
    return turned
