r"""Exact statistics of Markovian arrival processes, given as rates without and with an arrival.

Diagonals of the rates without an arrival are ignored. With :math:`\pi` the shares of time in the
phases, :math:`\lambda = \pi D_1 1`, and :math:`\varphi = \pi D_1 / \lambda` the phase just after
an arrival.

Source: M. F. Neuts, Journal of Applied Probability 16(4), 1979 (``neuts1979``);
W. Fischer, K. Meier-Hellstern, Performance Evaluation 18(2), 1993 (``fischer1993``).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from capmodel.numerics.gth import Array, ginverse, gsolve, stationary

_TERMS = 24  # of the series of exp(x) at x = 1/2, past which nothing is added
_MOST_LAG = 10**15


def map_moments(silent: Array, arriving: Array, count: int = 3) -> Array:
    r"""Moments of the time between arrivals, :math:`k!\,\varphi(-D_0)^{-k}1`.

    Parameters
    ----------
    silent, arriving : ndarray, shape (m, m)
        Rates without and with an arrival [1/s].
    count : int
        How many moments.

    Returns
    -------
    ndarray, shape (count,)
        The k-th in units of time to the k; positive terms only, relative accuracy about 1e-15.

    Examples
    --------
    >>> map_moments(np.zeros((1, 1)), np.array([[0.5]])).tolist()
    [2.0, 8.0, 48.0]
    """
    after, exits = _after(silent, arriving), arriving.sum(axis=1)
    power, found = np.ones(len(silent)), []
    for k in range(1, count + 1):
        power = gsolve(silent, exits, power)
        found.append(math.factorial(k) * float(after @ power))
    return np.array(found)


def map_autocorrelation(silent: Array, arriving: Array, lags: npt.ArrayLike) -> Array:
    r"""Correlation of the times between arrivals with those some arrivals later.

    .. math::
        \rho_k = \frac{\varphi M P^k M 1 - m_1^2}{m_2 - m_1^2},\quad M=(-D_0)^{-1},\ P=MD_1

    Parameters
    ----------
    silent, arriving : ndarray, shape (m, m)
        Rates without and with an arrival [1/s].
    lags : array_like
        Whole numbers from 0 to 1e15.

    Returns
    -------
    ndarray
        Shaped like `lags`; absolute accuracy about 1e-15 [-].

    Raises
    ------
    ValueError
        If a lag is not such a number.

    Examples
    --------
    >>> map_autocorrelation(np.zeros((1, 1)), np.array([[0.5]]), [0, 1]).tolist()
    [1.0, 0.0]
    """
    asked = np.asarray(lags, dtype=np.float64)
    if not np.all((asked >= 0) & (asked <= _MOST_LAG) & (asked == np.floor(asked))):
        raise ValueError(f"lags must be whole numbers from 0 to {_MOST_LAG:g}, not {lags!r}")
    mean_times = ginverse(silent, arriving.sum(axis=1))
    after, chain = _after(silent, arriving), mean_times @ arriving
    first, second = map_moments(silent, arriving, 2)
    ahead = mean_times.sum(axis=1) - first
    behind = after @ mean_times
    fading = chain - after  # its powers are those of the chain, less what does not fade
    variance = second - first * first

    def at(lag: int) -> float:
        if lag == 0:
            return 1.0
        return float(behind @ np.linalg.matrix_power(fading, lag) @ ahead / variance)

    known = {lag: at(int(lag)) for lag in set(asked.ravel().tolist())}
    return np.array([known[lag] for lag in asked.ravel().tolist()]).reshape(asked.shape)


def map_dispersion(silent: Array, arriving: Array, windows: npt.ArrayLike) -> Array:
    r"""Index of dispersion for counts: variance over mean of the arrivals in a window.

    .. math::
        I(t) = 1 + \frac{2}{\lambda t}\,\pi D_1 \int_0^t (t-u)\, e^{Qu}\, du\,(D_1 1 - \lambda 1),
        \quad Q = D_0 + D_1

    Parameters
    ----------
    silent, arriving : ndarray, shape (m, m)
        Rates without and with an arrival [1/s].
    windows : array_like
        Lengths of the windows [s], positive.

    Returns
    -------
    ndarray
        Shaped like `windows` [-]; a Poisson process has 1. Accuracy about 1e-13 relative to the
        largest value at longer windows.

    Raises
    ------
    ValueError
        If a window is not positive and finite.

    Examples
    --------
    >>> map_dispersion(np.zeros((1, 1)), np.array([[0.5]]), [1.0, 100.0]).tolist()
    [1.0, 1.0]
    """
    asked = np.asarray(windows, dtype=np.float64)
    if not np.all((asked > 0.0) & np.isfinite(asked)):
        raise ValueError(f"windows must be positive and finite, not {windows!r}")
    moves = silent + arriving
    np.fill_diagonal(moves, 0.0)
    shares, rates = stationary(moves), arriving.sum(axis=1)
    mean = float(shares @ rates)
    surplus = rates - mean
    start = shares @ arriving
    excess = [2.0 * float(start @ _spread(moves, shares, surplus, t)) for t in asked.ravel()]
    return np.asarray(1.0 + (np.array(excess) / (mean * asked.ravel())).reshape(asked.shape))


def _spread(moves: Array, shares: Array, surplus: Array, window: float) -> Array:
    r"""The integral :math:`\int_0^t (t-u) e^{Qu} du\, b` for a b that time averages to 0.

    A short step by its series, then doubled until it is the window. The transition probabilities
    are sums of positive terms and their rows are kept at 1, so that slow chains stay accurate over
    any number of doublings.
    """
    leaving = moves.sum(axis=1)
    fastest = float(leaving.max())
    doublings = max(math.ceil(math.log2(2.0 * fastest * window)), 0) if fastest > 0.0 else 0
    step = window / 2.0**doublings
    uniform = np.eye(len(moves)) if fastest == 0.0 else moves / fastest
    uniform = uniform + np.diag(1.0 - uniform.sum(axis=1)) if fastest > 0.0 else uniform
    x = fastest * step
    term, probabilities = np.eye(len(moves)), np.zeros_like(moves)
    drift, once, twice = surplus.copy(), np.zeros_like(surplus), np.zeros_like(surplus)
    weight = math.exp(-x)
    for n in range(_TERMS):
        probabilities = probabilities + weight * term
        term, weight = term @ uniform, weight * x / (n + 1)
        once = once + drift * (step / math.factorial(n + 1))
        twice = twice + drift * (step * step / math.factorial(n + 2))
        drift = step * (moves @ drift - leaving * drift)
    for _ in range(doublings):
        probabilities = probabilities / probabilities.sum(axis=1, keepdims=True)
        twice = twice + step * once + probabilities @ twice
        once = once + probabilities @ once
        once, twice = once - shares @ once, twice - shares @ twice
        probabilities = probabilities @ probabilities
        step *= 2.0
    return twice


def map_dispersion_limit(silent: Array, arriving: Array) -> float:
    """Index of dispersion for counts in ever longer windows [-].

    Parameters
    ----------
    silent, arriving : ndarray, shape (m, m)
        Rates without and with an arrival [1/s].

    Returns
    -------
    float
        Also the limit of the index of dispersion for intervals.

    Examples
    --------
    >>> map_dispersion_limit(np.zeros((1, 1)), np.array([[0.5]]))
    1.0
    """
    moves = silent + arriving
    np.fill_diagonal(moves, 0.0)
    shares, rates = stationary(moves), arriving.sum(axis=1)
    mean = float(shares @ rates)
    pace = float(moves.sum(axis=1).max()) or 1.0
    generator = (np.diag(moves.sum(axis=1)) - moves) / pace
    # sums of deviations have either sign: no probability is lost to their cancellation
    total = np.linalg.solve(generator + shares[None, :], rates - mean) / pace
    return float(1.0 + 2.0 * (shares @ arriving @ total) / mean)


def _after(silent: Array, arriving: Array) -> Array:
    """Phase just after an arrival."""
    flow: Array = stationary(silent + arriving) @ arriving
    return np.asarray(flow / flow.sum())


__all__ = ["map_autocorrelation", "map_dispersion", "map_dispersion_limit", "map_moments"]
