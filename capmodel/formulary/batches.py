"""Packets lost at a ring that nobody looks at between two interrupts."""

from __future__ import annotations

import numpy as np

from capmodel.formulary._elementwise import each_floats, some, where
from capmodel.formulary._typing import Array, ArrayLike

_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(7)
_SHARES = _WEIGHTS / _WEIGHTS.sum()
_FAR = 6.0  # standard deviations beyond which nothing is lost that is worth the time


def interrupt_batch_loss(
    offered_rate: ArrayLike,
    service_rate: ArrayLike,
    ring: ArrayLike,
    interval: ArrayLike,
    scv: ArrayLike = 0.0,
    service_scv: ArrayLike = 0.0,
) -> Array:
    r"""Share of packets lost because more come between two interrupts than the ring holds.

    The card interrupts at most once in T; the kernel then empties the ring. A ring that is full
    keeps it for B. If that is less than T the next batch gathers for T - B; if not, the packet
    after it interrupts at once, and the next batch gathers for a whole T. From one full ring to the
    next,

    .. math::
        \ell = \frac{E\,\text{lost}}{\lambda\,E\,\text{time}}, \qquad
        \begin{array}{lll}
        B \ge T: & \text{lost} = (N(T) - R)^+, & \text{time} = B + T + 1/\lambda\\
        B < T: & \text{lost} = (N(T - B) - R)^+, & \text{time} = T
        \end{array}

    and where such a batch does not fill the ring but the load is above one half, the batch after it
    may: lost :math:`(N(T - B_2) - R)^+` with :math:`B_2 = \lambda(T - B)/(\mu - \lambda)`, time 2T.
    N(t) is normal with mean :math:`\lambda t` and variance :math:`s_a \lambda t`, and B with mean
    :math:`R/(\mu - \lambda)` and variance :math:`R (s_k + \rho s_a)/\mu^2 (1 - \rho)^3`.

    Parameters
    ----------
    offered_rate : array_like
        Offered rate :math:`\lambda` [1/s], positive.
    service_rate : array_like
        Packets that a busy kernel takes from the ring :math:`\mu` [1/s].
    ring : array_like
        Places of the ring R [slots], at least 1.
    interval : array_like
        Least time between two interrupts T [s]; 0 if there is none.
    scv, service_scv : array_like
        Squared coefficients of variation of interarrival times :math:`s_a` and of the kernel's
        times per packet :math:`s_k` [-].

    Returns
    -------
    ndarray
        Share of the offered packets lost for this reason alone [-]; 0 where the kernel is saturated
        (:math:`\lambda \ge \mu`), because it never turns away from the ring.

    Notes
    -----
    Beside the simulation: within 0.025 for rings from 64 slots on and 0.07 for 40; too little by up
    to 0.16 for 16 slots, whose single busy periods are far from normal. What else a ring loses
    (:func:`~capmodel.formulary.loss_gg1k_diffusion`) is not in it.

    Source: derived here, with mean and variance of a busy period that starts with R packets
    (Takagi, Queueing Analysis 1, 1991).

    Examples
    --------
    >>> round(float(interrupt_batch_loss(0.8, 1.0, 40, 100.0)), 4)
    0.166
    >>> float(interrupt_batch_loss(0.8, 1.0, 128, 100.0))
    0.0
    """
    rate, service, places, period, variation, irregular = each_floats(
        offered_rate, service_rate, ring, interval, scv, service_scv
    )
    come = rate * period
    possible = (come + _FAR * np.sqrt(variation * come) > places) & (rate < service)
    arrays = (rate, service, places, period, variation, irregular)
    if not some(possible):
        return np.zeros(np.broadcast_shapes(*(np.shape(x) for x in arrays)))[()]
    lost = _loss(*(np.asarray(x)[..., None] for x in np.broadcast_arrays(*arrays)))
    return where(possible, lost, 0.0)


def _loss(
    rate: Array, service: Array, places: Array, period: Array, scv: Array, service_scv: Array
) -> Array:
    load = np.minimum(rate / service, 1.0 - 1e-9)
    spare = service * (1.0 - load)
    spread = np.sqrt(places * (service_scv + load * scv) / (1.0 - load) ** 3) / service
    busy = np.maximum(places / spare + spread * _NODES, places / service)
    shorter = np.maximum(period - busy, 0.0)
    long, second = busy >= period, rate * shorter
    turns = ~long & (second < places) & (load >= 0.5)
    after = np.maximum(period - second / spare, 0.0)
    gap = np.where(long, period, np.where(turns, after, shorter))
    time = np.where(long, busy + period + 1.0 / rate, np.where(turns, 2.0 * period, period))
    lost = _excess(rate * gap, scv, places)
    share: Array = (lost * _SHARES).sum(-1) / (rate * time * _SHARES).sum(-1)
    return share


def _excess(mean: Array, scv: Array, places: Array) -> Array:
    """E(N - R)^+ of a normal N; the difference itself where nothing is random."""
    fluid = np.maximum(mean - places, 0.0)
    spread = np.sqrt(scv * mean)
    if not np.any(spread > 0.0):
        return fluid
    from scipy.special import erfc

    u = (mean - places) / np.where(spread > 0.0, spread, 1.0)
    density = np.exp(-0.5 * u * u) / np.sqrt(2.0 * np.pi)
    random = spread * np.maximum(density + 0.5 * u * erfc(-u / np.sqrt(2.0)), 0.0)
    # far below the mean the two terms cancel: there nothing is lost
    return np.where(spread > 0.0, np.where(u < -_FAR, 0.0, random), fluid)
