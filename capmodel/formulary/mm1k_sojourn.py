"""How long an accepted packet stays in M/M/1/K."""

from __future__ import annotations

import math

import numpy as np

from capmodel.formulary._checks import (
    elementwise,
    load_of,
    not_negative,
    positive,
    probability,
    whole,
)
from capmodel.formulary._poisson import poisson_pmf
from capmodel.formulary._typing import Array, ArrayLike
from capmodel.formulary.mm1k import mean_occupancy_mm1k


def mean_sojourn_time_mm1k(
    offered_load: ArrayLike, capacity: ArrayLike, service_time: ArrayLike = 1.0
) -> Array:
    r"""Mean time an accepted packet spends in M/M/1/K, by Little's law.

    :math:`E T = E n / (\lambda (1 - P)) = c\,(1 + E n_{K-1})`: an accepted packet finds the
    occupancy of a queue with one place less.

    Parameters
    ----------
    offered_load, capacity : array_like
        As in :func:`loss_mm1k` [-].
    service_time : array_like
        Mean service time c [s].

    Returns
    -------
    ndarray
        Mean sojourn time [s], service included.

    Notes
    -----
    Exact; relative accuracy about 1e-15.

    Source: J. D. C. Little, Operations Research 9 (1961); L. Kleinrock (1975).

    Examples
    --------
    >>> float(mean_sojourn_time_mm1k(1.0, 101, 2.0))
    102.0
    """
    size = whole("capacity", capacity)
    found = mean_occupancy_mm1k(offered_load, np.maximum(size - 1.0, 1.0))
    return positive("service_time", service_time) * np.where(size > 1.0, 1.0 + found, 1.0)


def sojourn_time_survival_mm1k(
    time: ArrayLike, offered_load: ArrayLike, capacity: ArrayLike, service_time: ArrayLike = 1.0
) -> Array:
    r"""Probability that an accepted packet of M/M/1/K stays longer than t.

    A packet that finds j < K stays for j + 1 exponential services; with :math:`\tau = t/c`,

    .. math::
        P(T > t) = \sum_{j=0}^{K-1} e^{-\tau} \frac{\tau^j}{j!}\;
        \rho^j \frac{1 - \rho^{K-j}}{1 - \rho^K}

    Parameters
    ----------
    time : array_like
        t [s], not negative.
    offered_load, capacity, service_time : array_like
        As in :func:`mean_sojourn_time_mm1k` [-], [-], [s].

    Returns
    -------
    ndarray
        Probability [-].

    Notes
    -----
    Exact, a sum of positive terms over the :math:`O(\sqrt K)` that matter (the summand is
    log-concave in j); relative accuracy about 1e-13.

    Source: mixture of Erlang laws over the occupancy an accepted packet finds, summed by parts;
    D. Gross, C. M. Harris, Fundamentals of Queueing Theory, section 2.5.

    Examples
    --------
    >>> bool(np.isclose(sojourn_time_survival_mm1k(2.0, 0.7, 1), np.exp(-2.0)))
    True
    """
    t = not_negative("time", time)
    load, size = load_of("offered_load", offered_load), whole("capacity", capacity)
    return elementwise(_survival, t / positive("service_time", service_time), load, size)


def sojourn_time_quantile_mm1k(
    probability_below: ArrayLike,
    offered_load: ArrayLike,
    capacity: ArrayLike,
    service_time: ArrayLike = 1.0,
) -> Array:
    r"""Time within which a share p of the accepted packets of M/M/1/K is done.

    Parameters
    ----------
    probability_below : array_like
        p [-], between 0 and 1.
    offered_load, capacity, service_time : array_like
        As in :func:`mean_sojourn_time_mm1k` [-], [-], [s].

    Returns
    -------
    ndarray
        Quantile of the sojourn time [s].

    Notes
    -----
    Root of :func:`sojourn_time_survival_mm1k` to 1e-13.

    Source: as :func:`sojourn_time_survival_mm1k`.

    Examples
    --------
    >>> round(float(sojourn_time_quantile_mm1k(0.5, 0.3, 1, 2.0)), 6)
    1.386294
    """
    p = probability("probability_below", probability_below)
    load, size = load_of("offered_load", offered_load), whole("capacity", capacity)
    return positive("service_time", service_time) * elementwise(_quantile, p, load, size)


def _survival(tau: float, load: float, capacity: float) -> float:
    if tau == 0.0:
        return 1.0
    # the largest summand is near min(load, 1) tau, or at the end of the range
    middle = min(min(load, 1.0) * tau, capacity - 1.0)
    reach = 12.0 * math.sqrt(middle) + 60.0
    low = max(0.0, math.floor(middle - reach))
    j = np.arange(low, min(capacity, math.ceil(middle + reach) + 1.0))
    with np.errstate(under="ignore", divide="ignore", invalid="ignore"):
        if load == 1.0:
            share = (capacity - j) / capacity
        elif load > 1.0:
            x = math.log(load)
            share = np.expm1(-(capacity - j) * x) / math.expm1(-capacity * x)
        else:
            x = math.log(load) if load > 0.0 else -math.inf
            power = np.where(j > 0.0, np.exp(np.where(j > 0.0, j, 1.0) * x), 1.0)
            share = power * np.expm1((capacity - j) * x) / math.expm1(capacity * x)
        return float(min(np.sum(poisson_pmf(j, tau) * share), 1.0))


def _quantile(p: float, load: float, capacity: float) -> float:
    from scipy.optimize import brentq

    target = math.log1p(-p)

    def off(tau: float) -> float:
        return math.log(max(_survival(tau, load, capacity), 1e-320)) - target

    high = 1.0
    while off(high) > 0.0:
        high *= 2.0
    return float(brentq(off, 0.0, high, xtol=1e-300, rtol=1e-14))
