r"""Flows hashed to the queues of a card (RSS) or to the workers of a fanout group.

Each of F flows, share :math:`f_j` of the packets, goes to one of q queues at random, each of
capacity C: one start of the system is one draw. Queue i then receives the share
:math:`p_i` and loses what exceeds C; with the load :math:`\lambda/(q C)` and
:math:`c = 1/(q\,\mathrm{load})`, the captured share is :math:`\sum_i \min(p_i, c)`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from capmodel.formulary._checks import elementwise, not_negative, positive, whole
from capmodel.formulary._typing import Array, ArrayLike

_EXACT = 30  # flows enumerated in two halves of 2^15
_HEAD = 14  # largest flows enumerated where the rest is taken as normal
_MOST_QUEUES = 65_536


@dataclass(frozen=True)
class HashSpread:
    """How captured shares differ between hash seeds.

    Attributes
    ----------
    mean : float
        Mean captured share over the seeds [-].
    sd : float
        Standard deviation between seeds [-].
    captured : ndarray
        Captured share of every seed drawn [-], in the order drawn.
    """

    mean: float
    sd: float
    captured: Array


def zipf_shares(flows: int, exponent: float = 1.0) -> Array:
    r"""Shares of flows after Zipf's law, :math:`f_j \propto j^{-s}`.

    Parameters
    ----------
    flows : int
        Number of flows F [-].
    exponent : float
        s [-]; 0 gives equal flows.

    Returns
    -------
    ndarray, shape (F,)
        Shares, largest first, summing to 1 [-].

    Notes
    -----
    Exact.

    Source: S. Sarvotham, R. Riedi, R. Baraniuk, IMW 2001 (few flows carry most of the traffic);
    G. K. Zipf (1949) for the law.

    Examples
    --------
    >>> zipf_shares(3).round(6).tolist()
    [0.545455, 0.272727, 0.181818]
    """
    count = int(whole("flows", flows))
    weight = np.arange(1.0, count + 1.0) ** -float(not_negative("exponent", exponent))
    shares: Array = weight / weight.sum()
    return shares


def rss_captured(flow_shares: ArrayLike, queues: ArrayLike, load: ArrayLike) -> Array:
    r"""Captured share under random hashing, mean over hash seeds: :math:`q\,E\min(p_1, c)`.

    Parameters
    ----------
    flow_shares : array_like, shape (F,)
        Shares of the flows [-], summing to 1; one list for all queues and loads.
    queues : array_like
        Number of queues or workers q [-], whole.
    load : array_like
        Offered rate over the rate all queues together can take [-]; may exceed 1.

    Returns
    -------
    ndarray
        Captured share of all packets [-].

    Notes
    -----
    Exact (fluid queues) for up to 30 flows, by enumeration of both halves. Beyond, the 14
    largest flows are enumerated and the rest of a queue's share is taken as normal: within 0.1 %
    of Monte Carlo for Zipf's law with exponents of 0.6 to 1.1, within 1 % where equal flows are
    no more than a few for each queue.

    Source: expectation over a uniform hash; symmetry of the queues.

    Examples
    --------
    >>> round(float(rss_captured(zipf_shares(14), 4, 0.8)), 11)
    0.81484752355
    >>> float(rss_captured([1.0], 4, 0.8))
    0.3125
    """
    shares, count, offered = _arguments(flow_shares, queues, load)
    return elementwise(lambda q, rho: _mean(shares, q, rho)[0], count, offered)


def rss_loss(flow_shares: ArrayLike, queues: ArrayLike, load: ArrayLike) -> Array:
    r"""Lost share under random hashing, mean over hash seeds: :math:`q\,E(p_1 - c)^+`.

    Parameters
    ----------
    flow_shares, queues, load : array_like
        As in :func:`rss_captured` [-].

    Returns
    -------
    ndarray
        Lost share of all packets [-]; a small one is not a difference of large ones.

    Notes
    -----
    As :func:`rss_captured`.

    Source: as :func:`rss_captured`.

    Examples
    --------
    >>> float(rss_loss([0.5, 0.5], 2, 0.75)).__round__(12)
    0.166666666667
    """
    shares, count, offered = _arguments(flow_shares, queues, load)
    return elementwise(lambda q, rho: _mean(shares, q, rho)[1], count, offered)


def rss_loss_free_load(queue_shares: ArrayLike) -> Array:
    r"""Highest load without loss for given shares of the queues, :math:`1/(q \max_i p_i)`.

    Parameters
    ----------
    queue_shares : array_like, shape (..., q)
        Shares the queues receive [-], summing to 1 along the last axis.

    Returns
    -------
    ndarray
        Load [-]; 1 where the queues are even, 1/q where one gets all.

    Notes
    -----
    Exact for fluid queues; burstiness within a queue comes on top.

    Source: the fullest queue loses first.

    Examples
    --------
    >>> float(rss_loss_free_load([0.5, 0.25, 0.25, 0.0]))
    0.5
    """
    shares = not_negative("queue_shares", queue_shares)
    if shares.ndim == 0 or not np.all(np.abs(shares.sum(axis=-1) - 1.0) < 1e-6):
        raise ValueError("queue_shares must sum to 1 along the last axis")
    return np.asarray(1.0 / (shares.shape[-1] * shares.max(axis=-1)))


def rss_spread(
    flow_shares: ArrayLike, queues: int, load: float, draws: int = 1000, seed: int = 0
) -> HashSpread:
    """Captured share over random hash seeds: a measured run is one draw of it.

    Parameters
    ----------
    flow_shares, queues, load
        As in :func:`rss_captured`, one number each [-].
    draws : int
        Hash seeds tried [-].
    seed : int
        Of the random numbers; the same seed gives the same draws.

    Returns
    -------
    HashSpread
        Mean, standard deviation, and the draws.

    Notes
    -----
    Monte Carlo: the mean is within ``3 sd / sqrt(draws)`` of :func:`rss_captured`.

    Source: direct simulation of a uniform hash.

    Examples
    --------
    >>> spread = rss_spread(zipf_shares(1000), 8, 0.8, draws=200)
    >>> 0.01 < spread.sd < 0.1
    True
    """
    shares, count, offered = _arguments(flow_shares, queues, load)
    q, tries = int(count), int(whole("draws", draws, 2))
    limit = 1.0 / (q * float(offered))
    rng = np.random.default_rng(seed)
    captured = np.empty(tries)
    for i in range(tries):
        received = np.bincount(rng.integers(q, size=shares.size), shares, q)
        captured[i] = np.minimum(received, limit).sum()
    return HashSpread(float(captured.mean()), float(captured.std(ddof=1)), captured)


def _arguments(
    flow_shares: ArrayLike, queues: ArrayLike, load: ArrayLike
) -> tuple[Array, Array, Array]:
    shares = not_negative("flow_shares", flow_shares)
    if shares.ndim != 1 or not abs(float(shares.sum()) - 1.0) < 1e-6:
        raise ValueError("flow_shares must be one list of shares that sum to 1")
    return shares, whole("queues", queues, most=_MOST_QUEUES), positive("load", load)


def _mean(shares: Array, queues: float, load: float) -> tuple[float, float]:
    """Captured and lost share."""
    chance, limit = 1.0 / queues, 1.0 / (queues * load)
    flows = np.sort(shares)[::-1]
    if flows.size > _EXACT:
        kept, lost = _head_and_tail(flows, chance, limit)
    else:
        kept, lost = _two_halves(flows, chance, limit)
    return min(queues * kept, 1.0), min(queues * lost, 1.0)


def _sums(flows: Array, chance: float) -> tuple[Array, Array]:
    """Every sum of a random subset, and its probability."""
    total, weight = np.zeros(1), np.ones(1)
    for flow in flows:
        total = np.concatenate([total, total + flow])
        weight = np.concatenate([weight * (1.0 - chance), weight * chance])
    return total, weight


def _two_halves(flows: Array, chance: float, limit: float) -> tuple[float, float]:
    """E min(p, c) and E (p - c)^+ with p = u + v, v sorted once."""
    u, u_weight = _sums(flows[::2], chance)
    v, v_weight = _sums(flows[1::2], chance)
    order = np.argsort(v)
    v, v_weight = v[order], v_weight[order]
    zero = np.zeros(1)
    low = np.concatenate([zero, np.cumsum(v_weight)])
    low_sum = np.concatenate([zero, np.cumsum(v_weight * v)])
    high = np.concatenate([np.cumsum(v_weight[::-1])[::-1], zero])
    high_sum = np.concatenate([np.cumsum((v_weight * v)[::-1])[::-1], zero])
    at = np.searchsorted(v, limit - u, side="right")  # v[at:] is above what u leaves
    kept = u_weight @ (low_sum[at] + u * low[at] + limit * high[at])
    lost = u_weight @ np.maximum(high_sum[at] - (limit - u) * high[at], 0.0)
    return float(kept), float(lost)


def _head_and_tail(flows: Array, chance: float, limit: float) -> tuple[float, float]:
    from scipy.special import ndtr

    head, tail = flows[:_HEAD], flows[_HEAD:]
    u, weight = _sums(head, chance)
    mean = u + chance * tail.sum()
    sd = np.sqrt(chance * (1.0 - chance) * (tail @ tail))
    if sd == 0.0:
        over = np.maximum(mean - limit, 0.0)
        return float(weight @ (mean - over)), float(weight @ over)
    z = (mean - limit) / sd
    density = np.exp(-0.5 * z * z) / np.sqrt(2.0 * np.pi)
    over = np.maximum(sd * (density + z * ndtr(z)), 0.0)
    under = np.maximum(sd * (density - z * ndtr(-z)), 0.0)  # what is left of the limit
    normal = np.where(z < 0.0, mean - over, limit - under)
    # a share is not negative, as the normal law would have it
    kept = np.maximum(normal, np.minimum(u, limit))
    over = np.where(kept > normal, np.maximum(mean - kept, 0.0), over)
    return float(weight @ kept), float(weight @ over)
