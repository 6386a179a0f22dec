"""How many packets M/G/1/K holds, and how long they stay."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from capmodel.formulary._checks import elementwise, load_of, positive, probability, whole
from capmodel.formulary._left_behind import departures
from capmodel.formulary._phases import Law, phases_of
from capmodel.formulary._typing import Array, ArrayLike

_MOST = 1_000_000


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
        As in :func:`~capmodel.formulary.loss_mg1k` [-]; the capacity up to 1e6.

    Returns
    -------
    ndarray
        Probability, of a moment and of an arriving packet [-].

    Notes
    -----
    Exact; accuracy as :func:`~capmodel.formulary.loss_mg1k`. Work of order K for each pair of
    load and capacity.

    Source: as :func:`~capmodel.formulary.loss_mg1k`.

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
    Exact; accuracy as :func:`~capmodel.formulary.loss_mg1k`.

    Source: as :func:`~capmodel.formulary.loss_mg1k`.

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
    Exact; accuracy as :func:`~capmodel.formulary.loss_mg1k`. The carried load is taken as the
    probability of a busy server, so nothing cancels.

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

    Source: as :func:`~capmodel.formulary.loss_mg1k`.

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
        return np.append(1.0, np.zeros(capacity))
    one = np.array([0.0, 1.0])
    left, lost = departures(phases_of("service", service), load, capacity, one, 0.0)
    # the server is idle with p_0 = (1 - P) v_0 and busy with rho (1 - P)
    chances = np.append(left / (load + left[0]), lost)
    chances.flags.writeable = False
    return chances
