r"""Elimination after Grassmann, Taksar and Heyman: additions, multiplications, divisions only.

A generator is given by its nonnegative rates off the diagonal and by a vector of exit rates; the
diagonal is never stored and never read, since it is minus the sum of both. Every result is then
accurate relative to itself, entry by entry, however small it is and however nearly the chain falls
apart (O'Cinneide 1993). All functions take stacks of matrices.

Source: W. K. Grassmann, M. I. Taksar, D. P. Heyman, Operations Research 33, 1985;
C. A. O'Cinneide, Numerische Mathematik 65, 1993.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

_SCALARS = 18  # numbers up to which plain ones are faster than arrays
_HIGHEST = 500  # power of two of a weight, so that products and sums of weights stay finite
_BY_LOOP = 24  # below this order a loop over pivots is faster than splitting into blocks


def ginverse(rates: Array, exits: Array) -> Array:
    r"""Mean times :math:`(D - A)^{-1}` in each state before the chain leaves.

    Parameters
    ----------
    rates : ndarray, shape (..., m, m)
        Nonnegative rates :math:`A` between states; the diagonal is ignored.
    exits : ndarray, shape (..., m)
        Nonnegative rates of leaving; :math:`D` holds the row sums of `rates` plus `exits`.

    Returns
    -------
    ndarray, shape (..., m, m)
        Entry (i, j): mean time in j of a chain that starts in i. Infinite or NaN where a set of
        states cannot be left.

    Notes
    -----
    Accurate entry by entry. Orders above 24 are split into blocks, so that most of the work is
    multiplication of nonnegative matrices.

    Examples
    --------
    >>> ginverse(np.array([[0.0, 1.0], [2.0, 0.0]]), np.array([1.0, 0.0])).tolist()
    [[1.0, 0.5], [1.0, 1.0]]
    """
    m = rates.shape[-1]
    if m == 1:
        return 1.0 / exits[..., None]
    if m == 2:
        return _inverse_of_two(rates, exits)
    if m == 3:
        return _inverse_of_three(rates, exits)
    if m <= _BY_LOOP:
        return _inverse_by_loop(rates, exits)
    h = m // 2
    a, b = rates[..., :h, :h], rates[..., :h, h:]
    c, d = rates[..., h:, :h], rates[..., h:, h:]
    first = ginverse(a, exits[..., :h] + b.sum(-1))
    back = c @ first
    second = ginverse(d + back @ b, exits[..., h:] + (back @ exits[..., :h, None])[..., 0])
    across = first @ b
    out = np.empty(np.broadcast_shapes(rates.shape, (*exits.shape[:-1], m, m)))
    out[..., :h, h:] = across @ second
    out[..., h:, :h] = second @ back
    out[..., :h, :h] = first + out[..., :h, h:] @ back
    out[..., h:, h:] = second
    return out


def _inverse_of_two(rates: Array, exits: Array) -> Array:
    return _by_entries(_entries_of_two, rates, exits)


def _by_entries(entries: Callable[..., tuple[Any, ...]], rates: Array, exits: Array) -> Array:
    """Inverses whose entries, row by row, are functions of rates and exits."""
    m = exits.shape[-1]
    if exits.size <= _SCALARS and rates.shape[:-1] == exits.shape:
        try:
            if exits.ndim == 1:
                one = entries(*rates.ravel().tolist(), *exits.tolist())
                return np.array(one).reshape(m, m)
            given = zip(
                rates.reshape(-1, m * m).tolist(), exits.reshape(-1, m).tolist(), strict=True
            )
            return np.array([entries(*row, *out) for row, out in given]).reshape(rates.shape)
        except ZeroDivisionError:  # where an array has an infinite entry
            pass
    flat = [rates[..., i, j] for i in range(m) for j in range(m)]
    arrays = entries(*flat, *(exits[..., i] for i in range(m)))
    out = np.empty((*np.shape(arrays[0]), m, m))
    for i, entry in enumerate(arrays):
        out[..., i // m, i % m] = entry
    return out


def _entries_of_two(_: Any, a: Any, b: Any, __: Any, p: Any, q: Any) -> tuple[Any, ...]:
    return _two(a, b, p, q)


def _two(a: Any, b: Any, p: Any, q: Any) -> tuple[Any, Any, Any, Any]:
    """Entries for two states with rates a there, b back, exits p and q; no product of rates."""
    first = 1.0 / (a + p)
    back, on = b * first, a * first
    n11 = 1.0 / (q + back * p)
    n10 = back * n11
    return first + on * n10, on * n11, n10, n11


def _inverse_of_three(rates: Array, exits: Array) -> Array:
    return _by_entries(_entries_of_three, rates, exits)


def _entries_of_three(
    _: Any, a01: Any, a02: Any, a10: Any, __: Any, a12: Any, a20: Any, a21: Any, ___: Any,
    p0: Any, p1: Any, p2: Any,
) -> tuple[Any, ...]:  # fmt: skip
    """State 0 eliminated, the other two as for two states, and state 0 put back."""
    first = 1.0 / (a01 + a02 + p0)
    to1, to2, out = a01 * first, a02 * first, p0 * first
    n11, n12, n21, n22 = _two(a12 + a10 * to2, a21 + a20 * to1, p1 + a10 * out, p2 + a20 * out)
    back1, back2 = a10 * first, a20 * first
    n10, n20 = n11 * back1 + n12 * back2, n21 * back1 + n22 * back2
    return (
        first + to1 * n10 + to2 * n20, to1 * n11 + to2 * n21, to1 * n12 + to2 * n22,
        n10, n11, n12, n20, n21, n22,
    )  # fmt: skip


@lru_cache(maxsize=64)
def unit_matrix(order: int) -> Array:
    """The unit matrix, which nobody may change."""
    unit = np.eye(order)
    unit.flags.writeable = False
    return unit


def elimination_table(rates: Array, exits: Array) -> Array:
    """What elimination works on: columns for the states, the exit, the unit matrix."""
    m = rates.shape[-1]
    batch = rates.shape[:-2]
    if batch != exits.shape[:-1]:
        batch = np.broadcast_shapes(batch, exits.shape[:-1])
    work = np.zeros((*batch, m, 2 * m + 1))
    work[..., :m] = rates
    work[..., m] = exits
    work.reshape(*batch, -1)[..., m + 1 :: 2 * m + 2] = 1.0
    return work


def _inverse_by_loop(rates: Array, exits: Array) -> Array:
    m, work = rates.shape[-1], elimination_table(rates, exits)
    for k in range(m):
        end = m + k + 2  # the unit matrix has filled up to column k only
        row = work[..., k, k + 1 : end]
        pivot = row / np.add.reduce(row[..., : m - k], -1)[..., None]
        rest = work[..., k + 1 : end]
        rest += work[..., k, None] * pivot[..., None, :]
        row[...] = pivot
    return work[..., m + 1 :]


def gsolve(rates: Array, exits: Array, right: Array) -> Array:
    r"""Solve :math:`(D - A) x = b` for nonnegative data, accurate entry by entry.

    Parameters
    ----------
    rates : ndarray, shape (..., m, m)
        Nonnegative :math:`A`; the diagonal is ignored.
    exits : ndarray, shape (..., m)
        Nonnegative; :math:`D` holds the row sums of `rates` plus `exits`.
    right : ndarray, shape (..., m) or (..., m, q)
        Nonnegative right-hand sides :math:`b`.

    Returns
    -------
    ndarray
        The least nonnegative solution, shaped like `right`. States that cannot be left have no
        finite solution unless nothing is ever earned there: it is then 0, otherwise infinite.

    Examples
    --------
    A chain that moves from state 0 to 1 and leaves from there once in 1e14 seconds:

    >>> gsolve(np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([0.0, 1e-14]), np.ones(2)).tolist()
    [200000000000001.0, 200000000000000.0]

    A closed class earns nothing, the state before it does:

    >>> gsolve(np.array([[0.0, 2.0], [0.0, 0.0]]), np.zeros(2), np.array([1.0, 0.0])).tolist()
    [0.5, 0.0]
    """
    single = right.ndim == rates.ndim - 1
    columns = right[..., None] if single else right
    stuck = _cannot_leave(rates, exits)
    if np.any(stuck):
        solution = _solve_with_closed_classes(rates, exits, columns, stuck)
    else:
        solution = ginverse(rates, exits) @ columns
    return solution[..., 0] if single else solution


def _cannot_leave(rates: Array, exits: Array) -> npt.NDArray[np.bool_]:
    """States from which no exit can be reached."""
    leaves = exits > 0.0
    step = rates > 0.0
    while True:
        wider = leaves | (step & leaves[..., None, :]).any(-1)
        if np.array_equal(wider, leaves):
            return ~leaves
        leaves = wider


def _solve_with_closed_classes(
    rates: Array, exits: Array, right: Array, stuck: npt.NDArray[np.bool_]
) -> Array:
    if rates.ndim > 2:
        shape = np.broadcast_shapes(rates.shape[:-2], exits.shape[:-1], right.shape[:-2])
        m, q = right.shape[-2:]
        stacked = zip(
            np.broadcast_to(rates, (*shape, m, m)).reshape(-1, m, m),
            np.broadcast_to(exits, (*shape, m)).reshape(-1, m),
            np.broadcast_to(right, (*shape, m, q)).reshape(-1, m, q),
            strict=True,
        )
        return np.stack([gsolve(a, e, b) for a, e, b in stacked]).reshape(*shape, m, q)
    step = (rates > 0.0) & ~np.eye(rates.shape[0], dtype=bool)
    earns = right > 0.0
    while True:  # what can be earned from each state on, sooner or later
        wider = earns | (step.astype(float) @ earns > 0.0)
        if np.array_equal(wider, earns):
            break
        earns = wider
    # states from which a place without exit, where something is earned, can be reached
    out = np.zeros_like(right)
    endless = earns & stuck[:, None] & _recurs(step, stuck, right > 0.0)
    for column in range(right.shape[1]):
        bad = endless[:, column].copy()
        while True:
            wider = bad | (step & bad[None, :]).any(-1)
            if np.array_equal(wider, bad):
                break
            bad = wider
        good = ~bad & earns[:, column]
        out[bad, column] = np.inf
        if np.any(good):
            # states that earn nothing any more are as good as an exit
            rest = rates[np.ix_(good, ~good)].sum(1)
            inside = rates[np.ix_(good, good)]
            out[good, column] = ginverse(inside, exits[good] + rest) @ right[good, column]
    return out


def _recurs(
    step: npt.NDArray[np.bool_], stuck: npt.NDArray[np.bool_], paid: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """For every column: states that are visited again and again and reach a paid state."""
    reach = step | np.eye(len(step), dtype=bool)
    while True:
        wider = reach.astype(float) @ reach > 0.0
        if np.array_equal(wider, reach):
            break
        reach = wider
    closed = stuck & np.all(~reach | reach.T, axis=1)
    result: npt.NDArray[np.bool_] = closed[:, None] & (reach.astype(float) @ paid > 0.0)
    return result


def stationary(rates: Array) -> Array:
    r"""Stationary probabilities of an irreducible chain, accurate entry by entry.

    Parameters
    ----------
    rates : ndarray, shape (..., m, m)
        Nonnegative rates; the diagonal is ignored.

    Returns
    -------
    ndarray, shape (..., m)
        Probabilities. Of a chain with transient states these get 0; of several closed classes the
        one with the highest index gets everything.

    Examples
    --------
    >>> stationary(np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 1e-200], [0.0, 1.0, 0.0]])).tolist()
    [0.5, 0.5, 5e-201]
    """
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        weights = _weights(rates)
        total = weights.sum(-1, keepdims=True)
    if not np.all(np.isfinite(total)):
        weights = weights_by_states(rates)
        total = weights.sum(-1, keepdims=True)
    shares: Array = weights / total
    return shares


def _weights(rates: Array) -> Array:
    m = rates.shape[-1]
    if m == 1:
        return np.ones(rates.shape[:-1])
    h = m // 2 if m > 2 * _BY_LOOP else max(m - _BY_LOOP, 1)
    b, c = rates[..., :h, h:], rates[..., h:, :h]
    onward = b @ ginverse(rates[..., h:, h:], c.sum(-1))
    first = _weights(rates[..., :h, :h] + onward @ c)
    first = first / first.sum(-1, keepdims=True)
    both: list[Array] = [first, (first[..., None, :] @ onward)[..., 0, :]]
    return np.concatenate(both, axis=-1)


def weights_by_states(rates: Array, *, rare: bool = False) -> Array:
    """State by state from the last; a state without a way down is the end of a closed class.

    Where a way down is so rare that weights overflow, it is done over with `rare`: powers of two
    are then kept apart, which takes longer and changes no digit.
    """
    work = np.array(rates, dtype=np.float64)
    *batch, m, _ = work.shape
    downs, powers = np.ones((*batch, m)), np.zeros((*batch, m), dtype=np.intc)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        for k in range(m - 1, 0, -1):
            row, column = work[..., k, None, :k], work[..., :k, k, None]
            down = np.add.reduce(row, -1)
            if rare:
                down, power = np.frexp(down)
                row, powers[..., k] = np.ldexp(row, -power[..., None]), power[..., 0]
            downs[..., k] = down[..., 0]
            column /= down[..., None]
            rest = work[..., :k, :k]
            rest += column * row
    # below the end of a closed class nothing counts, nor has it been worked out
    closed = ~(downs > 0.0)
    start = (np.arange(m) * closed).max(-1)
    weights: Array = (np.arange(m) == start[..., None]).astype(np.float64)
    least, every = int(start.min()), int(start.max())
    with np.errstate(over="ignore", invalid="ignore"):  # what does not count, or is done over
        for k in range(least + 1, m):
            reached = (weights[..., None, least:k] @ work[..., least:k, k, None])[..., 0, 0]
            counts = k > start
            if rare:
                reached = np.where(counts, reached, 0.0)
                height = np.frexp(reached)[1] - powers[..., k]
                excess = np.maximum(height - _HIGHEST, 0)
                weights[..., :k] = np.ldexp(weights[..., :k], -excess[..., None])
                reached = np.ldexp(reached, -powers[..., k] - excess)
            weights[..., k] = reached if k > every else np.where(counts, reached, weights[..., k])
        if not (rare or np.isfinite(np.add.reduce(weights, -1)).all()):
            return weights_by_states(rates, rare=True)
    return weights
