"""What a buffer holds on average while bursts fill it and the pauses drain it."""

from __future__ import annotations

import numpy as np

from capmodel.formulary._typing import Array, ArrayLike, asarrays


def mean_backlog_on_off_fluid(
    peak_rate: ArrayLike,
    service_rate: ArrayLike,
    leave_on: ArrayLike,
    leave_off: ArrayLike,
    capacity: ArrayLike,
) -> Array:
    r"""Mean content of a finite buffer behind an exponential on-off source (fluid).

    With :math:`\eta = \alpha/(h - c) - \beta/c` the content has densities
    :math:`f_{off} \propto e^{-\eta x}` and :math:`f_{on} = f_{off}\,c/(h - c)`, and is 0 with
    :math:`c f_{off}(0)/\beta` and K with :math:`c f_{off}(K)/\alpha`, so

    .. math::
        E Q = \frac{\frac{h}{h-c} \int_0^K x e^{-\eta x} dx + K \frac{c}{\alpha} e^{-\eta K}}
        {\frac{c}{\beta} + \frac{h}{h-c} \int_0^K e^{-\eta x} dx + \frac{c}{\alpha} e^{-\eta K}}

    Parameters
    ----------
    peak_rate, service_rate : array_like
        Rate while on h and drain rate c [1/s].
    leave_on, leave_off : array_like
        Rates out of the on and off states, :math:`\alpha = 1/T_{on}`, :math:`\beta = 1/T_{off}`
        [1/s].
    capacity : array_like
        Buffer K [packets].

    Returns
    -------
    ndarray
        Mean content [packets]; 0 where the drain keeps up with the peak.

    Notes
    -----
    Exact for fluid; the packets of which it consists add about one.

    Source: Anick, Mitra, Sondhi, Bell Syst. Tech. J. 61 (1982), one source; finite buffer as in
    :func:`~capmodel.formulary.loss_on_off_fluid`.

    Examples
    --------
    >>> round(float(mean_backlog_on_off_fluid(2.0, 1.0, 1.0, 0.5, 1e9)), 6)
    1.333333
    """
    peak, drain, alpha, beta, size = asarrays(
        peak_rate, service_rate, leave_on, leave_off, capacity
    )
    rises = peak > drain
    up = np.where(rises, peak - drain, 1.0)
    decay = alpha / up - beta / drain
    whole, first = _exponential_integrals(decay * size)
    last = np.exp(-np.maximum(decay * size, 0.0))  # e^(-eta K) over the larger of it and 1
    start = np.exp(np.minimum(decay * size, 0.0))
    between = peak / up
    held = between * size * size * first + size * drain / alpha * last
    weight = drain / beta * start + between * size * whole + drain / alpha * last
    return np.where(rises, held / weight, 0.0)


def _exponential_integrals(y: Array) -> tuple[Array, Array]:
    """Integrals of e^(-yx) and x e^(-yx) over x from 0 to 1, over the larger of e^(-y) and 1."""
    negative, size = y < 0.0, np.abs(y)
    safe = np.where(size < 1e-3, 1.0, size)
    falling = np.where(size < 1e-3, 1.0 - size / 2.0 + size**2 / 6.0, -np.expm1(-safe) / safe)
    small = 0.5 - size / 3.0 + size**2 / 8.0 - size**3 / 30.0
    plain = (-np.expm1(-safe) - safe * np.exp(-safe)) / safe**2
    first = np.where(size < 1e-3, small, plain)
    # for growing ones the same seen from the other end: x becomes 1 - x
    return falling, np.where(negative, falling - first, first)


def mean_backlog_on_off_deterministic(
    peak_rate: ArrayLike,
    service_rate: ArrayLike,
    on_time: ArrayLike,
    off_time: ArrayLike,
    capacity: ArrayLike,
) -> Array:
    r"""Mean content of a finite buffer behind bursts of fixed length and spacing (fluid).

    The content rises at :math:`h - c` from what the pause has left,
    :math:`q = \max(K - c T_{off}, 0)` where bursts refill the buffer and 0 else, to
    :math:`Q = \min(q + (h - c) T_{on}, K)`, stays there, and falls at c.

    Parameters
    ----------
    peak_rate, service_rate : array_like
        Rate during a burst h and drain rate c [1/s].
    on_time, off_time : array_like
        Length of bursts and gaps [s].
    capacity : array_like
        Buffer K [packets].

    Returns
    -------
    ndarray
        Mean content [packets]; 0 where the drain keeps up with the peak.

    Notes
    -----
    Exact for the periodic fluid model in its steady state; where pauses drain just what bursts
    bring it is that of a content that began empty.

    Source: periodic fluid balance.

    Examples
    --------
    >>> float(mean_backlog_on_off_deterministic(2.0, 1.0, 10.0, 20.0, 100.0))
    3.3333333333333335
    """
    peak, drain, on, off, size = asarrays(peak_rate, service_rate, on_time, off_time, capacity)
    rises = peak > drain
    up = np.where(rises, peak - drain, 1.0)
    surplus = up * on
    low = np.where(surplus > drain * off, np.maximum(size - drain * off, 0.0), 0.0)
    top = np.minimum(low + surplus, size)
    rising = (top - low) / up
    falling = np.minimum((top - low) / drain, off)
    area = 0.5 * (low + top) * (rising + falling) + top * (on - rising) + low * (off - falling)
    return np.where(rises, area / (on + off), 0.0)
