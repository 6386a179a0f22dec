"""Elimination as in :mod:`capmodel.numerics.gth`, several states at a time: for few states."""

from __future__ import annotations

import numpy as np

from capmodel.numerics.gth import (
    Array,
    elimination_table,
    ginverse,
    unit_matrix,
    weights_by_states,
)

_AT_ONCE = 3  # states that are eliminated at once


def few_ginverse(rates: Array, exits: Array) -> Array:
    r"""Mean times as `ginverse` has them, three states at a time: for few states.

    Parameters
    ----------
    rates : ndarray, shape (..., m, m)
        Nonnegative rates between states; the diagonal is ignored.
    exits : ndarray, shape (..., m)
        Nonnegative rates of leaving.

    Returns
    -------
    ndarray, shape (..., m, m)
        Infinite or NaN where a set of states cannot be left.

    Examples
    --------
    >>> few_ginverse(np.array([[0.0, 1.0], [2.0, 0.0]]), np.array([1.0, 0.0])).tolist()
    [[1.0, 0.5], [1.0, 1.0]]
    """
    m = rates.shape[-1]
    if m <= _AT_ONCE:
        return ginverse(rates, exits)
    work = elimination_table(rates, exits)
    for k in range(0, m, _AT_ONCE):
        after, end = min(k + _AT_ONCE, m), m + 1 + min(k + _AT_ONCE, m)
        rows = work[..., k:after, after:end]
        onward = np.add.reduce(rows[..., : m + 1 - after], -1)
        pivots = ginverse(work[..., k:after, k:after], onward) @ rows
        rest = work[..., after:end]
        rest += work[..., k:after] @ pivots
        rows[...] = pivots
    return work[..., m + 1 :]


def acyclic_ginverse(rates: Array, exits: Array) -> Array:
    r"""Mean times as `ginverse` has them, fast where no state is visited twice.

    Parameters
    ----------
    rates : ndarray, shape (..., m, m)
        Nonnegative rates between states; the diagonal is ignored.
    exits : ndarray, shape (..., m)
        Nonnegative rates of leaving.

    Returns
    -------
    ndarray, shape (..., m, m)
        By :math:`(I + P) (I + P^2) (I + P^4) \cdots` for probabilities :math:`P` of the next
        state, which ends where paths do; by `few_ginverse` where it does not end in time.

    Examples
    --------
    >>> acyclic_ginverse(np.array([[0.0, 1.0], [0.0, 0.0]]), np.array([1.0, 4.0])).tolist()
    [[0.5, 0.125], [0.0, 0.25]]
    """
    m = rates.shape[-1]
    if m <= 2 * _AT_ONCE:
        return few_ginverse(rates, exits)
    unit = unit_matrix(m)
    moves = rates * (1.0 - unit)
    each = 1.0 / (np.add.reduce(moves, -1) + exits)
    power = moves * each[..., None]
    visits, length = unit + power, 1  # paths of up to so many moves
    while True:
        power, length = power @ power, 2 * length
        if not np.logical_or.reduce(power, None):
            times: Array = visits * each[..., None, :]
            return times
        if length >= m:
            return few_ginverse(rates, exits)
        visits = visits + visits @ power


def few_stationary(rates: Array) -> Array:
    r"""Stationary probabilities as `stationary` finds them, faster for few states.

    Parameters
    ----------
    rates : ndarray, shape (..., m, m)
        Nonnegative rates; the diagonal is ignored.

    Returns
    -------
    ndarray, shape (..., m)
        Probabilities, those of closed classes as `stationary` has them.

    Examples
    --------
    >>> few_stationary(np.array([[0.0, 1.0], [1e-200, 0.0]])).tolist()
    [1e-200, 1.0]
    """
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        weights = _by_threes(rates)
        total = np.add.reduce(weights, -1, keepdims=True)
    if not np.logical_and.reduce(np.isfinite(total), None):
        weights = weights_by_states(rates)
        total = np.add.reduce(weights, -1, keepdims=True)
    shares: Array = weights / total
    return shares


def _by_threes(rates: Array) -> Array:
    """Weights of the states, of which the last ones are eliminated three at a time."""
    m = rates.shape[-1]
    if m == 1:
        return np.ones(rates.shape[:-1])
    h = max(m - _AT_ONCE, 1)
    down = rates[..., h:, :h]
    onward = rates[..., :h, h:] @ ginverse(rates[..., h:, h:], np.add.reduce(down, -1))
    out = np.empty(rates.shape[:-1])
    out[..., :h] = first = _by_threes(rates[..., :h, :h] + onward @ down)
    out[..., h:] = (first[..., None, :] @ onward)[..., 0, :]
    return out
