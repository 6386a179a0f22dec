r"""M/G/1/K: Poisson packets, service of any law, at most K present.

The server is busy for one mean service per packet, so the loss follows from how often a departure
leaves nobody behind; it is computed as packets that overflow over packets offered in a cycle, never
as one minus something. Laws of service: ``"deterministic"``, ``"exponential"``, ``("erlang", k)``
with k phases, ``("hyperexponential", scv)`` with two phases of balanced means.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from capmodel.formulary._checks import elementwise, load_of, positive, probability, whole
from capmodel.formulary._crossing import (
    HEAVY,
    departures,
    given_service,
    phase_sums,
    plain_sums,
    poisson_service,
)
from capmodel.formulary._phases import Law, phases_of
from capmodel.formulary._typing import Array, ArrayLike
from capmodel.formulary.mm1k import loss_mm1k

_MOST = 1_000_000


def loss_md1k(offered_load: ArrayLike, capacity: ArrayLike) -> Array:
    r"""Loss of M/D/1/K, constant service; :func:`loss_mg1k` with ``"deterministic"``.

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
    Exact; accuracy as :func:`loss_mg1k`.

    Source: J.-M. Garcia, O. Brun, D. Gauchard, J. Appl. Prob. 39 (2002), for the closed form
    in exact arithmetic; level crossings as in :func:`loss_mg1k`.

    Examples
    --------
    >>> bool(np.isclose(float(loss_md1k(0.8, 10)), 0.0036392311402544714, rtol=1e-13))
    True
    >>> bool(np.isclose(float(loss_md1k(0.5, 50)), 6.050268817249584e-28, rtol=1e-12))
    True
    """
    return loss_mg1k(offered_load, capacity)


def loss_mg1k(
    offered_load: ArrayLike, capacity: ArrayLike, service: Law = "deterministic"
) -> Array:
    r"""Loss of M/G/1/K by level crossings.

    With :math:`a_k` and :math:`\bar a_k` the probabilities of k and of more than k arrivals in a
    service, and :math:`v_j` the departures of a cycle that leave j behind, :math:`v_0 = 1`,

    .. math::
        v_{j+1} a_0 = \bar a_j + \sum_{i=1}^{j} v_i\, \bar a_{j-i+1},\qquad
        P = \frac{B}{B + \sum_j v_j},\quad
        B = E(A-K+1)^+ + \sum_{i=1}^{K-1} v_i\, E(A - K + i)^+

    Parameters
    ----------
    offered_load : array_like
        Offered load :math:`\rho` [-], from 0 to 1e9.
    capacity : array_like
        Most packets present, the one in service included, :math:`K` [-], whole, 1 to 1e7.
    service : str or tuple
        Law of the service time: ``"deterministic"``, ``"exponential"``, ``("erlang", k)``,
        ``("hyperexponential", scv)``.

    Returns
    -------
    ndarray
        Share of offered packets lost [-].

    Notes
    -----
    Exact, positive terms only: relative accuracy about 1e-14, plus 1e-16 K where the loss falls or
    the queue grows by a factor with every place; down to 1e-300, below which it is 0. Phase-type
    service takes a matrix power, :math:`O(\log K)`; constant service the recursion until its ratio
    has settled.

    Source: L. Takács, Introduction to the Theory of Queues (1962); H. Takagi, Queueing Analysis
    vol. 2 (1993), chapter 5; level-crossing form: H. C. Tijms, A First Course in Stochastic
    Models (2003), section 9.2.

    Examples
    --------
    >>> loss_mg1k(1.5, 1, ("erlang", 4)).item()
    0.6
    >>> round(float(loss_mg1k(0.95, 10, ("hyperexponential", 4.0))), 11)
    0.14201379643
    """
    load, size = load_of("offered_load", offered_load), whole("capacity", capacity)
    law = phases_of("service", service)
    if service == "exponential":
        return loss_mm1k(load, size)

    def loss(rho: float, k: float) -> float:
        if rho == 0.0:
            return 0.0
        if law is not None:
            total, lost = phase_sums(law, rho, int(k))
        elif rho > HEAVY:  # (rho - 1 + P(empty))/rho
            return rho / (1.0 + rho) if k == 1.0 else (rho - 1.0) / rho
        else:
            total, lost, _ = plain_sums(poisson_service(rho), int(k))
        return lost / (lost + total)

    return elementwise(loss, load, size)


def loss_mg1k_counts(arrivals: ArrayLike, capacity: ArrayLike) -> Array:
    r"""Loss of M/G/1/K whose service is given by the arrivals it sees.

    Parameters
    ----------
    arrivals : array_like
        Probabilities of 0, 1, 2, ... arrivals in a service [-], one law, summing to 1, the
        first positive; their mean is the offered load.
    capacity : array_like
        As in :func:`loss_mg1k` [-].

    Returns
    -------
    ndarray
        Share of offered packets lost [-].

    Notes
    -----
    Exact for the law as given: for a small loss it must reach far into its tail. Accuracy as
    :func:`loss_mg1k`.

    Source: as :func:`loss_mg1k`.

    Examples
    --------
    >>> float(loss_mg1k_counts([0.5, 0.25, 0.25], 1))
    0.42857142857142855
    """
    law = np.asarray(arrivals, dtype=np.float64)
    if law.ndim != 1 or law.size < 2 or not np.all(law >= 0.0) or not law[0] > 0.0:
        raise ValueError("arrivals must be probabilities of 0, 1, ... arrivals, the first positive")
    if not abs(law.sum() - 1.0) < 1e-9:
        raise ValueError(f"arrivals must sum to 1, not {law.sum():.12g}")
    counts, size = given_service(law), whole("capacity", capacity)

    def loss(k: float) -> float:
        total, lost, _ = plain_sums(counts, int(k))
        return lost / (lost + total)

    return elementwise(loss, size)


def occupancy_mg1k(
    packets: ArrayLike,
    offered_load: ArrayLike,
    capacity: ArrayLike,
    service: Law = "deterministic",
) -> Array:
    r"""Probability of n packets in M/G/1/K.

    :math:`p_n = (1 - P) v_n / \sum_j v_j` below the capacity and :math:`p_K = P`, since Poisson
    arrivals see what an outside observer sees.

    Parameters
    ----------
    packets : array_like
        Number present n [-], whole; probability 0 beyond the capacity.
    offered_load, capacity, service
        As in :func:`loss_mg1k` [-]; the capacity up to 1e6.

    Returns
    -------
    ndarray
        Probability, of a moment and of an arriving packet [-].

    Notes
    -----
    Exact; accuracy as :func:`loss_mg1k`. O(K) for each pair of load and capacity.

    Source: as :func:`loss_mg1k`.

    Examples
    --------
    >>> occupancy_mg1k([0, 1], 2.0, 1).round(6).tolist()
    [0.333333, 0.666667]
    """
    count = whole("packets", packets, 0)
    load, size = load_of("offered_load", offered_load), whole("capacity", capacity, most=_MOST)
    phases_of("service", service)

    def chance(n: float, rho: float, k: float) -> float:
        return float(_occupancy(rho, int(k), service)[int(n)]) if n <= k else 0.0

    return elementwise(chance, count, load, size)


def mean_occupancy_mg1k(
    offered_load: ArrayLike, capacity: ArrayLike, service: Law = "deterministic"
) -> Array:
    r"""Mean number of packets in M/G/1/K, :math:`\sum_n n p_n`.

    Parameters
    ----------
    offered_load, capacity, service
        As in :func:`occupancy_mg1k` [-].

    Returns
    -------
    ndarray
        Mean number present, the one in service included [-].

    Notes
    -----
    Exact; accuracy as :func:`loss_mg1k`.

    Source: as :func:`loss_mg1k`.

    Examples
    --------
    >>> float(mean_occupancy_mg1k(1.0, 1))
    0.5
    """
    load, size = load_of("offered_load", offered_load), whole("capacity", capacity, most=_MOST)
    phases_of("service", service)

    def mean(rho: float, k: float) -> float:
        return float(np.arange(k + 1.0) @ _occupancy(rho, int(k), service))

    return elementwise(mean, load, size)


def mean_sojourn_time_mg1k(
    offered_load: ArrayLike,
    capacity: ArrayLike,
    service_time: ArrayLike = 1.0,
    service: Law = "deterministic",
) -> Array:
    r"""Mean time an accepted packet spends in M/G/1/K, :math:`E n\, c / (\rho (1 - P))`.

    Parameters
    ----------
    offered_load, capacity, service
        As in :func:`occupancy_mg1k` [-]; at load 0 one service.
    service_time : array_like
        Mean service time c [s].

    Returns
    -------
    ndarray
        Mean sojourn time [s], service included.

    Notes
    -----
    Exact; accuracy as :func:`loss_mg1k`. The carried load is taken as the probability of a busy
    server, so nothing cancels.

    Source: J. D. C. Little, Operations Research 9 (1961).

    Examples
    --------
    >>> float(mean_sojourn_time_mg1k(3.0, 1, 2.0))
    2.0
    """
    load, size = load_of("offered_load", offered_load), whole("capacity", capacity, most=_MOST)
    phases_of("service", service)

    def time(rho: float, k: float) -> float:
        chances = _occupancy(rho, int(k), service)
        busy = float(chances[1:].sum())
        return float(np.arange(k + 1.0) @ chances) / busy if busy else 1.0

    return positive("service_time", service_time) * elementwise(time, load, size)


def occupancy_quantile_mg1k(
    probability_below: ArrayLike,
    offered_load: ArrayLike,
    capacity: ArrayLike,
    service: Law = "deterministic",
) -> Array:
    r"""Smallest n with :math:`P(N \le n) \ge p` in M/G/1/K.

    Parameters
    ----------
    probability_below : array_like
        p [-], between 0 and 1.
    offered_load, capacity, service
        As in :func:`occupancy_mg1k` [-].

    Returns
    -------
    ndarray
        Number present [-], whole.

    Notes
    -----
    Exact up to a rounding error of p.

    Source: as :func:`loss_mg1k`.

    Examples
    --------
    >>> occupancy_quantile_mg1k([0.3, 0.9], 2.0, 1).tolist()
    [0.0, 1.0]
    """
    p = probability("probability_below", probability_below)
    load, size = load_of("offered_load", offered_load), whole("capacity", capacity, most=_MOST)
    phases_of("service", service)

    def level(below: float, rho: float, k: float) -> float:
        summed = np.cumsum(_occupancy(rho, int(k), service))
        return min(float(np.searchsorted(summed, below * (1.0 - 4e-16))), k)

    return elementwise(level, p, load, size)


@lru_cache(maxsize=16)
def _occupancy(load: float, capacity: int, service: Law) -> Array:
    """All probabilities of 0 .. K; kept, because several questions are asked of the same queue."""
    if load == 0.0:
        return np.eye(capacity + 1)[0] if capacity < 2 else np.append(1.0, np.zeros(capacity))
    starts = np.zeros(capacity + 1)
    starts[1] = 1.0
    left, lost = departures(phases_of("service", service), load, capacity, starts, 0.0)
    carried = 1.0 - lost if lost < 0.5 else math.nan
    if math.isnan(carried):  # 1 - P = (1 - p_0)/rho, from p_0 = (1 - P) v_0
        carried = 1.0 / (load + float(left[0]))
    chances = np.append(left * carried, lost)
    chances.flags.writeable = False
    return chances
