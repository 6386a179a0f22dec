r"""GI/M/1/K: packets at independent intervals of any law, exponential service, at most K present.

Seen from its empty places this is a queue of another kind: places are freed at a constant rate, and
an arrival takes one. So the level crossings of M/G/1/K apply with load and inverse load exchanged,
and again only positive terms occur.
"""

from __future__ import annotations

import math

import numpy as np

from capmodel.formulary._checks import elementwise, load_of, whole
from capmodel.formulary._crossing import HEAVY, plain_sums, poisson_service
from capmodel.formulary._phases import Law, phases_of, scaled_power
from capmodel.formulary._typing import Array, ArrayLike
from capmodel.formulary.mm1k import loss_mm1k
from capmodel.numerics.gth import ginverse, stationary
from capmodel.numerics.phase_type import PhaseType

_VANISHING = 1e-250  # loss that counts as none


def loss_gim1k(
    offered_load: ArrayLike, capacity: ArrayLike, arrivals: Law = "deterministic"
) -> Array:
    r"""Loss of GI/M/1/K: the share of arrivals that find K packets present.

    Constant intervals: with :math:`v_j` the level-crossing sums of M/D/1/(K+1) at load
    :math:`1/\rho`, :math:`P = 1/\sum_{j=0}^{K} v_j`. Phase-type intervals, with start
    probabilities :math:`\alpha`, generator T, ends t and service rate :math:`\mu`: the probability
    row of n packets is

    .. math::
        \pi_n = \pi_{n+1}\,\mu\,[\mu (I - e\alpha) - T]^{-1}\ (0 < n < K),\qquad
        \pi_0 = \mu\,\pi_1 (-T)^{-1},\qquad P = \frac{\pi_K t}{\sum_n \pi_n t}

    Parameters
    ----------
    offered_load : array_like
        Mean service time over mean interval :math:`\rho` [-], from 0 to 1e9.
    capacity : array_like
        Most packets present, the one in service included, :math:`K` [-], whole, 1 to 1e7.
    arrivals : str or tuple
        Law of the interval: ``"deterministic"``, ``"exponential"``, ``("erlang", k)``,
        ``("hyperexponential", scv)`` with balanced means.

    Returns
    -------
    ndarray
        Share of offered packets lost [-].

    Notes
    -----
    Exact, positive terms only: relative accuracy about 1e-14, plus 1e-16 K where the loss falls by
    a factor with every place; down to 1e-250, below which it may be 0.

    Source: D. G. Kendall, Ann. Math. Statist. 24 (1953), embedded chain of GI/M/1; L. Takács (1962)
    for the finite queue; duality of M/G/1 and GI/M/1 by counting empty places.

    Examples
    --------
    >>> bool(np.isclose(loss_gim1k(0.5, 1), np.exp(-2.0)))
    True
    >>> round(float(loss_gim1k(1.0, 9, "exponential")), 12)
    0.1
    """
    load, size = load_of("offered_load", offered_load), whole("capacity", capacity)
    law = phases_of("arrivals", arrivals)
    if arrivals == "exponential":
        return loss_mm1k(load, size)

    def loss(rho: float, k: float) -> float:
        if rho < 1.0 / HEAVY and law is None:  # the interval outlasts K services but for e^-600
            return _sparse(rho, int(k))
        if rho == 0.0:
            return 0.0
        if law is None:
            total, _, scale = plain_sums(poisson_service(1.0 / rho), int(k) + 1)
            return math.exp(-scale) / total
        return _by_phase(law.scaled(rho), int(k))

    return elementwise(loss, load, size)


def _sparse(load: float, capacity: int) -> float:
    """Constant interval of more than 600 mean services: exp(-interval) of it, K = 1, is left."""
    return math.exp(-1.0 / load) if capacity == 1 and load > 0.0 else 0.0


def _by_phase(law: PhaseType, capacity: int) -> float:
    size = law.order
    # unit of time is the mean service; a second place loses about the square of what one does
    one_place = law.start @ ginverse(law.rates, law.exits + 1.0) @ law.exits
    if one_place < (_VANISHING if capacity == 1 else math.sqrt(_VANISHING)):
        return 0.0
    jumps = np.outer(np.ones(size), law.start)
    # a full buffer restarts the interval with every lost packet; up and down balance across the cut
    full = stationary(law.rates + jumps + np.outer(law.exits, law.start))
    step = ginverse(law.rates + jumps, law.exits)
    both = np.block([[step, np.eye(size)], [np.zeros((size, size)), np.eye(size)]])
    power, scale = scaled_power(both, capacity - 1)  # step^(K-1) and the sum of lower powers
    lost = float(full @ law.exits)
    with np.errstate(under="ignore"):
        low = full @ power[:size, :size]  # one packet present
        above = full @ power[:size, size:] + low  # 1 .. K packets
        empty = low @ ginverse(law.rates, law.exits)
        offered = float((above + empty) @ law.exits)
        return lost * math.exp(-scale) / offered
