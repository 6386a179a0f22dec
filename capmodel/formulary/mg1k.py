r"""M/G/1/K: Poisson packets, service of any law, at most K present.

The server is busy for one mean service per packet, so the loss follows from how often a departure
leaves nobody behind; it is computed as packets that overflow over packets offered in a cycle, never
as one minus something. Laws of service: ``"deterministic"``, ``"exponential"``, ``("erlang", k)``
with k phases, ``("hyperexponential", scv)`` with two phases of balanced means.
"""

from __future__ import annotations

import numpy as np

from capmodel.formulary._checks import elementwise, load_of, whole
from capmodel.formulary._crossing import (
    HEAVY,
    given_service,
    phase_sums,
    plain_sums,
    poisson_service,
)
from capmodel.formulary._phases import Law, phases_of
from capmodel.formulary._typing import Array, ArrayLike
from capmodel.formulary.mm1k import loss_mm1k

_VANISHING = 1e-200  # load whose square is no longer a number


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
        if k == 1.0:
            return rho / (1.0 + rho)
        if rho < _VANISHING:
            return 0.0
        if law is not None:
            total, lost = phase_sums(law, rho, int(k))
        elif rho > HEAVY:  # (rho - 1 + P(empty))/rho
            return (rho - 1.0) / rho
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
