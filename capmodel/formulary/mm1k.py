r"""M/M/1/K: Poisson packets, exponential service, at most K present (the one in service included).

Everything is written in :math:`x = \log\rho` with ``expm1``, so that load 1, loads within 1e-15 of
it, and losses of 1e-300 all keep their digits.
"""

from __future__ import annotations

import numpy as np

from capmodel.formulary._checks import load_of, probability, whole
from capmodel.formulary._typing import Array, ArrayLike

# B_{2k} / (2k)! of 1/(e^x - 1) - 1/x + 1/2 = sum over k >= 1 of these times x^(2k-1)
_BERNOULLI = (
    1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160, -691 / 1307674368000,
    1 / 74724249600, -3617 / 10670622842880000, 43867 / 5109094217170944000,
    -174611 / 802857662698291200000,
)  # fmt: skip


def loss_mm1k(offered_load: ArrayLike, capacity: ArrayLike) -> Array:
    r"""Loss of M/M/1/K.

    .. math::
        P = \rho^K \frac{1 - \rho}{1 - \rho^{K+1}},\qquad P \to \frac{1}{K+1}\ (\rho \to 1)

    Parameters
    ----------
    offered_load : array_like
        Offered load :math:`\rho` [-], from 0 to 1e9.
    capacity : array_like
        Most packets present, the one in service included, :math:`K` [-], whole, 1 to 1e7.

    Returns
    -------
    ndarray
        Share of offered packets lost [-].

    Notes
    -----
    Exact; relative accuracy about 1e-15 + 3e-16 times the logarithm of the result, at any load.

    Source: L. Kleinrock, Queueing Systems I (1975), section 3.6.

    Examples
    --------
    >>> float(loss_mm1k(1.0, 9))
    0.1
    >>> bool(np.isclose(float(loss_mm1k(0.5, 600)), 0.5**601, rtol=1e-12))
    True
    """
    load, size = load_of("offered_load", offered_load), whole("capacity", capacity)
    return _probability(size, load, size)


def occupancy_mm1k(packets: ArrayLike, offered_load: ArrayLike, capacity: ArrayLike) -> Array:
    r"""Probability of n packets in M/M/1/K, :math:`p_n = \rho^n (1-\rho)/(1-\rho^{K+1})`.

    Parameters
    ----------
    packets : array_like
        Number present n [-], whole; 0 beyond the capacity.
    offered_load, capacity : array_like
        As in :func:`loss_mm1k` [-].

    Returns
    -------
    ndarray
        Probability, of a moment and (Poisson arrivals) of an arriving packet [-].

    Notes
    -----
    Exact; accuracy as :func:`loss_mm1k`.

    Source: L. Kleinrock, Queueing Systems I (1975), section 3.6.

    Examples
    --------
    >>> occupancy_mm1k([0, 1, 2, 3], 0.5, 2).round(6).tolist()
    [0.571429, 0.285714, 0.142857, 0.0]
    """
    count = whole("packets", packets, 0)
    load, size = load_of("offered_load", offered_load), whole("capacity", capacity)
    return np.where(count <= size, _probability(np.minimum(count, size), load, size), 0.0)


def mean_occupancy_mm1k(offered_load: ArrayLike, capacity: ArrayLike) -> Array:
    r"""Mean number of packets in M/M/1/K.

    .. math::
        E n = \frac{\rho}{1-\rho} - \frac{(K+1)\rho^{K+1}}{1-\rho^{K+1}}

    Parameters
    ----------
    offered_load, capacity : array_like
        As in :func:`loss_mm1k` [-].

    Returns
    -------
    ndarray
        Mean number present, the one in service included [-].

    Notes
    -----
    Exact; relative accuracy about 1e-15. Near load 1 both terms are expanded about their common
    pole, above it the empty places are counted instead (:math:`n \to K - n`, load
    :math:`1/\rho`).

    Source: L. Kleinrock, Queueing Systems I (1975), section 3.6.

    Examples
    --------
    >>> float(mean_occupancy_mm1k(1.0, 100))
    50.0
    """
    load, size = load_of("offered_load", offered_load), whole("capacity", capacity)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        x = np.abs(np.log(load))  # the smaller of the load and its inverse is e^-x
        n = size + 1.0
        far = 1.0 / np.expm1(x) - n / np.expm1(n * x)
        near = 0.5 * size + _pole_free(x) - n * _pole_free(n * x)
    below = np.where(n * x < 1.0, near, far)
    return np.where(load > 1.0, size - below, below)


def occupancy_quantile_mm1k(
    probability_below: ArrayLike, offered_load: ArrayLike, capacity: ArrayLike
) -> Array:
    r"""Smallest n with :math:`P(N \le n) \ge p` in M/M/1/K.

    Parameters
    ----------
    probability_below : array_like
        p [-], between 0 and 1.
    offered_load, capacity : array_like
        As in :func:`loss_mm1k` [-].

    Returns
    -------
    ndarray
        Number present [-], whole.

    Notes
    -----
    Exact up to a rounding error of p: :math:`P(N \le n) = (1-\rho^{n+1})/(1-\rho^{K+1})` is
    inverted and the neighbours are tried.

    Source: L. Kleinrock, Queueing Systems I (1975), section 3.6.

    Examples
    --------
    >>> occupancy_quantile_mm1k([0.5, 0.9, 0.99], 0.5, 20).tolist()
    [0.0, 3.0, 6.0]
    """
    p = probability("probability_below", probability_below)
    load, size = load_of("offered_load", offered_load), whole("capacity", capacity)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore", under="ignore"):
        x, n = np.log(load), size + 1.0
        rising = n + np.log1p(-(1.0 - p) * -np.expm1(-n * np.abs(x))) / x
        falling = np.log1p(-p * -np.expm1(-n * np.abs(x))) / x
        level = np.where(x > 0.0, rising, np.where(x < 0.0, falling, p * n))
    level = np.where(load == 0.0, 1.0, level)
    guess = np.clip(np.ceil(level) - 1.0, 0.0, size)
    down = np.where(_below(guess - 1.0, x, size) >= p, guess - 1.0, guess)
    up = np.where(_below(down, x, size) < p * (1.0 - 4e-16), down + 1.0, down)
    return np.clip(up, 0.0, size)


def _probability(n: Array, load: Array, size: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore", under="ignore", over="ignore"):
        x = np.log(load)
        # above load 1 counted from the full end; e^-|x| is the smaller of the load and its inverse
        first = np.where(load > 1.0, (load - 1.0) / load, 1.0 - load)
        power = np.where(load > 1.0, -(size - n) * x, np.where(n > 0.0, n * x, 0.0))
        ratio = first / -np.expm1(-(size + 1.0) * np.abs(x))
        return np.where(load == 1.0, 1.0 / (size + 1.0), np.exp(power) * ratio)


def _below(n: Array, x: Array, size: Array) -> Array:
    """P(N <= n)."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore"):
        down = np.expm1(-(n + 1.0) * np.abs(x)) / np.expm1(-(size + 1.0) * np.abs(x))
        up = np.exp(-(size - n) * np.abs(x)) * down
        even = (n + 1.0) / (size + 1.0)
        return np.where(n < 0.0, 0.0, np.where(x == 0.0, even, np.where(x > 0.0, up, down)))


def _pole_free(x: Array) -> Array:
    """1/(e^x - 1) - 1/x + 1/2 for 0 <= x <= 1."""
    inside = np.minimum(x, 1.0)
    total = np.zeros_like(inside)
    for coefficient in reversed(_BERNOULLI):
        total = total * inside * inside + coefficient
    return total * inside
