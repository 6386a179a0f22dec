"""A server that stands still for a while, and the backlog that it has to work off."""

from __future__ import annotations

import math

import numpy as np

from capmodel.formulary._checks import (
    elementwise,
    not_negative,
    positive,
    probability,
    whole,
)
from capmodel.formulary._phases import Law, phases_of
from capmodel.formulary._poisson import poisson_pmf, poisson_reach
from capmodel.formulary._typing import Array, ArrayLike

_MOST = 1_000_000
_WIDE = 12.0  # standard deviations
_LAWS = "'deterministic', 'exponential' or ('erlang', r)"


def stall_drops(offered_rate: ArrayLike, stall: ArrayLike, room: ArrayLike) -> Array:
    r"""Mean packets lost while nothing is served, :math:`E(N - B)^+` with N Poisson.

    Parameters
    ----------
    offered_rate : array_like
        Poisson arrivals :math:`\lambda` [1/s], not negative.
    stall : array_like
        Time in which nothing is served x [s], not negative; at most 1e9 packets come.
    room : array_like
        Free places at its beginning B [packets], whole, 0 to 1e7.

    Returns
    -------
    ndarray
        Packets lost [-] (a count).

    Notes
    -----
    Exact; a sum of positive terms, relative accuracy about 1e-13. In the fluid limit
    :math:`(\lambda x - B)^+`.

    Source: the definition of the Poisson process; derivation in ``derivations/recovery.py``.

    Examples
    --------
    >>> float(stall_drops(2.0, 3.0, 0))
    6.0
    >>> round(float(stall_drops(1000.0, 0.1, 80)), 6)
    20.066802
    """
    mean = _came(offered_rate, stall)
    return elementwise(_beyond, mean, whole("room", room, 0))


def loss_in_stalls(
    offered_rate: ArrayLike, stall_rate: ArrayLike, stall_time: ArrayLike, room: ArrayLike
) -> Array:
    r"""Share of packets lost in stalls of exponential length that are far apart.

    .. math::
        \ell = r T e^{-B / (\lambda T)}

    Parameters
    ----------
    offered_rate : array_like
        Packets at constant intervals :math:`\lambda` [1/s].
    stall_rate : array_like
        Stalls per second r [1/s].
    stall_time : array_like
        Their mean length T [s].
    room : array_like
        Free places when one begins B [packets].

    Returns
    -------
    ndarray
        Share of all packets [-].

    Raises
    ------
    ValueError
        If a rate, time or room is negative or not finite.

    Notes
    -----
    Exact for a fluid, if the backlog of a stall is worked off before the next begins; one packet
    more or less in a stall besides. A room that is partly taken is to be given as what is free.

    Source: the mean of an exponential length beyond a threshold; derivation in
    ``derivations/recovery.py``.

    Examples
    --------
    >>> round(float(loss_in_stalls(3e5, 0.25, 1.7e-3, 256)), 6)
    0.000257
    """
    arrivals, often, mean, places = (
        not_negative(name, value)
        for name, value in (
            ("offered_rate", offered_rate), ("stall_rate", stall_rate),
            ("stall_time", stall_time), ("room", room),
        )
    )  # fmt: skip
    brought = arrivals * mean
    # nothing comes in no time: the guard keeps the quotient finite, and its exponential at 0
    return np.asarray(often * mean * np.exp(-places / np.maximum(brought, 1e-290)))


def stall_loss_probability(offered_rate: ArrayLike, stall: ArrayLike, room: ArrayLike) -> Array:
    r"""Probability that a stall loses any packet, :math:`P(N > B)` with N Poisson.

    Parameters
    ----------
    offered_rate, stall, room : array_like
        As in :func:`stall_drops` [1/s], [s], [packets].

    Returns
    -------
    ndarray
        Probability [-].

    Notes
    -----
    Exact: the regularised incomplete gamma function :math:`P(B + 1, \lambda x)`.

    Source: as :func:`stall_drops`.

    Examples
    --------
    >>> bool(np.isclose(stall_loss_probability(1.0, 2.0, 1), 1.0 - 3.0 * np.exp(-2.0)))
    True
    """
    from scipy.special import gammainc

    mean = _came(offered_rate, stall)
    return np.asarray(gammainc(whole("room", room, 0) + 1.0, mean))


def mean_recovery_time_mg1(
    backlog: ArrayLike, offered_load: ArrayLike, service_time: ArrayLike = 1.0
) -> Array:
    r"""Mean time until a queue that starts with b packets is empty, :math:`b\,c/(1-\rho)`.

    Parameters
    ----------
    backlog : array_like
        Packets present as a service begins b [-], not negative.
    offered_load : array_like
        Offered load :math:`\rho` [-], 0 or more.
    service_time : array_like
        Mean service time c [s].

    Returns
    -------
    ndarray
        Mean time [s]; infinite from load 1 on.

    Notes
    -----
    Exact for Poisson arrivals, any service and a buffer that does not overflow meanwhile; also the
    fluid limit of any arrivals.

    Source: L. Takacs, Introduction to the Theory of Queues (1962), chapter 1: b busy periods.

    Examples
    --------
    >>> mean_recovery_time_mg1(100, [0.5, 1.0], 0.01).tolist()
    [2.0, inf]
    """
    waiting, load = not_negative("backlog", backlog), not_negative("offered_load", offered_load)
    with np.errstate(divide="ignore", invalid="ignore"):
        time = waiting / (1.0 - load)
    time = np.where(load < 1.0, time, np.where(waiting > 0.0, np.inf, 0.0))
    return positive("service_time", service_time) * time


def variance_recovery_time_mg1(
    backlog: ArrayLike, offered_load: ArrayLike, service_time: ArrayLike = 1.0,
    service_scv: ArrayLike = 0.0,
) -> Array:  # fmt: skip
    r"""Variance of the time until a queue that starts with b packets is empty.

    .. math::
        Var\,T = b\,c^2\,\frac{c_S^2 + \rho}{(1 - \rho)^3}

    Parameters
    ----------
    backlog, offered_load, service_time : array_like
        As in :func:`mean_recovery_time_mg1` [-], [-], [s].
    service_scv : array_like
        Squared coefficient of variation of the service :math:`c_S^2` [-].

    Returns
    -------
    ndarray
        Variance [s^2]; infinite from load 1 on.

    Notes
    -----
    Exact for Poisson arrivals and a buffer that does not overflow meanwhile. With the mean it gives
    the inverse Gaussian law of large backlogs
    (:func:`~capmodel.formulary.first_passage_cdf_brownian`), whose distribution function is within
    0.02 of the exact one from 100 packets on and within 0.007 from 1000 on (loads 0.1 to 0.95,
    constant services; a quarter of that for exponential ones).

    Source: as :func:`mean_recovery_time_mg1`.

    Examples
    --------
    >>> float(variance_recovery_time_mg1(10, 0.5, 1.0, 1.0))
    120.0
    """
    waiting, load = not_negative("backlog", backlog), not_negative("offered_load", offered_load)
    cost, scv = positive("service_time", service_time), not_negative("service_scv", service_scv)
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = waiting * (scv + load) / (1.0 - load) ** 3
    return cost**2 * np.where(load < 1.0, spread, np.where(waiting > 0.0, np.inf, 0.0))


def recovery_time_cdf_mg1(
    time: ArrayLike,
    backlog: ArrayLike,
    offered_load: ArrayLike,
    service_time: ArrayLike = 1.0,
    service: Law = "deterministic",
) -> Array:
    r"""Probability that a queue that starts with b packets has been empty by t.

    .. math::
        P(T \le t) = \sum_{n \ge b} \frac bn \int_0^t P(A(u) = n - b)\,dF^{n*}(u)

    Parameters
    ----------
    time : array_like
        t [s], not negative.
    backlog : array_like
        Packets present as a service begins b [-], whole, 0 to 1e6.
    offered_load, service_time : array_like
        As in :func:`mean_recovery_time_mg1` [-], [s]; loads below 1.
    service : str or tuple
        Law of the service: "deterministic", "exponential" or ("erlang", r).

    Returns
    -------
    ndarray
        Probability [-].

    Notes
    -----
    Exact for Poisson arrivals and a buffer that does not overflow meanwhile: n services are done,
    n - b packets came. A sum of positive terms, relative accuracy about 1e-15 times b/(1 - rho)
    times its logarithm.

    Source: L. Takacs, Introduction to the Theory of Queues (1962), chapter 1 (ballot theorem); for
    constant services E. Borel, Comptes Rendus 214, 1942 and J. C. Tanner, Biometrika 40, 1953.

    Examples
    --------
    >>> bool(np.isclose(recovery_time_cdf_mg1(1.5, 1, 0.5), np.exp(-0.5)))  # nobody came
    True
    >>> bool(np.isclose(recovery_time_cdf_mg1(3.0, 1, 0.0, 1.0, "exponential"), 1 - np.exp(-3)))
    True
    """
    t = not_negative("time", time) / positive("service_time", service_time)
    waiting, load = whole("backlog", backlog, 0, _MOST), _stable(offered_load)
    order = _order(service)

    def chance(at: float, b: float, rho: float) -> float:
        return _done(at, b, rho, order)

    return elementwise(chance, t, waiting, load)


def recovery_time_quantile_mg1(
    probability_below: ArrayLike,
    backlog: ArrayLike,
    offered_load: ArrayLike,
    service_time: ArrayLike = 1.0,
    service: Law = "deterministic",
) -> Array:
    r"""Time within which a queue that starts with b packets is empty with probability p.

    Parameters
    ----------
    probability_below : array_like
        p [-], between 0 and 1.
    backlog, offered_load, service_time, service
        As in :func:`recovery_time_cdf_mg1` [-], [-], [s].

    Returns
    -------
    ndarray
        Time [s].

    Notes
    -----
    Least t with :func:`recovery_time_cdf_mg1` at p or above; a whole number of services where
    these are constant.

    Source: as :func:`recovery_time_cdf_mg1`.

    Examples
    --------
    >>> recovery_time_quantile_mg1([0.5, 0.99], 100, 0.5).tolist()
    [199.0, 252.0]
    """
    p = probability("probability_below", probability_below)
    waiting, load = whole("backlog", backlog, 0, _MOST), _stable(offered_load)
    order = _order(service)

    def at(below: float, b: float, rho: float) -> float:
        return _when(below, b, rho, order)

    return positive("service_time", service_time) * elementwise(at, p, waiting, load)


def _came(offered_rate: ArrayLike, stall: ArrayLike) -> Array:
    mean = not_negative("offered_rate", offered_rate) * not_negative("stall", stall)
    if np.any(mean > 1e9):
        raise ValueError(
            f"stall must be shorter: at most 1e9 packets may come, not {float(np.max(mean)):g}"
        )
    return np.asarray(mean)


def _beyond(mean: float, room: float) -> float:
    low = max(room, mean - _WIDE * math.sqrt(mean) - 40.0)
    # what is certain to come counts whole
    high = max(poisson_reach(mean), room + 200.0 + 12.0 * math.sqrt(max(mean, room)))
    k = np.arange(math.floor(low) + 1.0, high + 1.0)
    return float((k - room) @ poisson_pmf(k, mean))


def _stable(offered_load: ArrayLike) -> Array:
    load = not_negative("offered_load", offered_load)
    if np.any(load >= 1.0):
        raise ValueError(
            f"offered_load must be below 1 for a backlog to end, got {float(np.max(load)):g}"
        )
    return load


def _order(service: Law) -> int:
    """Stages of an Erlang service; 0 if it is constant."""
    law = phases_of("service", service)
    if law is None:
        return 0
    if not isinstance(service, str) and service[0] != "erlang":
        raise ValueError(f"service must be {_LAWS} here, not {service!r}")
    return law.order


def _counts(most: float, b: float, load: float) -> Array:
    """Numbers of services n that matter."""
    middle, spread = b / (1.0 - load), math.sqrt(b * (load + 1.0) / (1.0 - load) ** 3)
    reach = min(most, middle + (80.0 + _WIDE * _WIDE) / (1.0 - load) ** 2 + 30.0 * spread)
    return np.arange(max(b, math.floor(middle - _WIDE * spread) - 40.0), math.floor(reach) + 1.0)


def _done(t: float, b: float, load: float, order: int) -> float:
    from scipy.special import gammainc
    from scipy.stats import binom, poisson

    if b == 0.0:
        return 1.0
    if order == 0:
        n = _counts(t * (1.0 + 4e-16), b, load)
        return min(float(np.sum(b / n * poisson.pmf(n - b, n * load))), 1.0)
    n = _counts(t + 40.0 + 14.0 * math.sqrt(t), b, load)
    stages, came = n * order, n - b
    # n services of r stages and n - b arrivals in one order of r n + n - b events
    with np.errstate(under="ignore"):
        share = binom.pmf(came, stages + came, load / (load + order)) * stages / (stages + came)
        return min(float(np.sum(b / n * share * gammainc(stages + came, (load + order) * t))), 1.0)


def _when(p: float, b: float, load: float, order: int) -> float:
    from scipy.optimize import brentq

    if b == 0.0:
        return 0.0
    high = max(b / (1.0 - load), 1.0)
    while _done(high, b, load, order) < p:
        high *= 1.5
    if order == 0:
        n = np.arange(b, math.floor(high) + 1.0)
        low, top = 0, len(n) - 1
        while low < top:
            middle = (low + top) // 2
            if _done(float(n[middle]), b, load, order) >= p * (1.0 - 4e-16):
                top = middle
            else:
                low = middle + 1
        return float(n[low])
    return float(brentq(lambda t: _done(t, b, load, order) - p, 0.0, high, rtol=1e-13))
