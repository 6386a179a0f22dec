r"""The longest sleep that a buffer allows at a given loss."""

from __future__ import annotations

import math

import numpy as np

from capmodel.formulary._checks import elementwise, positive, probability, whole
from capmodel.formulary._phases import Law, phases_of
from capmodel.formulary._typing import Array, ArrayLike
from capmodel.formulary.mg1k import loss_mg1k
from capmodel.formulary.vacations import fixed_sleep

_MOST = 100_000


def optimal_sleep(
    offered_rate: ArrayLike,
    capacity: ArrayLike,
    consumer_cost: ArrayLike,
    loss: ArrayLike,
    service: Law = "deterministic",
) -> Array:
    r"""Longest fixed sleep V with a loss of at most :math:`\epsilon`: least overhead of sleeping.

    Root of the loss of :func:`~capmodel.formulary.fixed_sleep`. It goes as :math:`1/\lambda`: a
    sleep tuned at one rate loses at a higher one.

    Parameters
    ----------
    offered_rate, capacity, consumer_cost, service
        As in :func:`~capmodel.formulary.fixed_sleep` [1/s], [-], [s]; capacity up to 1e5.
    loss : array_like
        Loss allowed :math:`\epsilon` [-], between 0 and 1.

    Returns
    -------
    ndarray
        Sleep [s]; 0 where even a consumer that never sleeps loses more.

    Notes
    -----
    Exact; relative accuracy about 1e-11.

    Source: L. Deri, Improving Passive Packet Capture (2004), for the sleep; root of the exact
    queue with multiple vacations.

    Examples
    --------
    >>> round(float(optimal_sleep(0.5, 64, 1.0, 1e-3)), 3)
    99.477
    """
    from scipy.optimize import brentq

    arrays = (
        positive("offered_rate", offered_rate),
        whole("capacity", capacity, most=_MOST),
        positive("consumer_cost", consumer_cost),
        probability("loss", loss),
    )
    phases_of("service", service)

    def longest(rate: float, size: float, cost: float, allowed: float) -> float:
        if float(loss_mg1k(rate * cost, size, service)) >= allowed:
            return 0.0
        target = math.log(allowed)

        def off(sleep: float) -> float:
            lost = float(fixed_sleep(rate, size, cost, sleep, service).loss)
            return math.log(max(lost, 1e-320)) - target

        high = size / rate
        while off(high) < 0.0:
            high *= 2.0
        low = high
        while off(low) > 0.0:
            low *= 0.5
            if low < 1e-9 * high:  # no sleep worth the name
                return 0.0
        return float(brentq(off, low, max(high, 2.0 * low), rtol=1e-12, xtol=1e-300))

    return elementwise(longest, *arrays)


def optimal_sleep_normal(
    offered_rate: ArrayLike, capacity: ArrayLike, consumer_cost: ArrayLike, loss: ArrayLike
) -> Array:
    r"""Longest fixed sleep at a given loss, arrivals in a sleep taken as normal.

    With :math:`x = \lambda V` and :math:`Q \sim N(x, x)` it solves

    .. math::
        \frac{(1-\rho)\, E(Q - K)^+}{x} = \epsilon,\qquad V \approx \frac{K - z\sqrt K}{\lambda}

    Parameters
    ----------
    offered_rate, capacity, consumer_cost, loss : array_like
        As in :func:`optimal_sleep` [1/s], [-], [s], [-].

    Returns
    -------
    ndarray
        Sleep [s]; 0 at loads of 1 and more.

    Notes
    -----
    Too long: by 3 to 7 % at K = 64, by 0.1 to 0.3 % at K >= 1024, since it leaves out the
    packets that come during the service of the batch.

    Source: normal approximation of a Poisson count; derived from :func:`optimal_sleep`.

    Examples
    --------
    >>> round(float(optimal_sleep_normal(0.5, 1024, 1.0, 1e-3) / 1973.91), 3)
    1.001
    """
    from scipy.optimize import brentq
    from scipy.special import erfcx

    def longest(rate: float, size: float, cost: float, allowed: float) -> float:
        idle = 1.0 - rate * cost
        if idle <= allowed:
            return 0.0

        def off(x: float) -> float:
            u = (size - x) / math.sqrt(x)
            if u < 0.0:
                tail = 0.5 * math.erfc(u / math.sqrt(2.0))
                mean = math.exp(-0.5 * u * u) / math.sqrt(2.0 * math.pi) - u * tail
                return math.log(idle * mean / (math.sqrt(x) * allowed))
            # (phi(u) - u Q(u)) / phi(u); its asymptote where the difference would cancel
            rest = 1.0 - u * math.sqrt(np.pi / 2) * float(erfcx(u / math.sqrt(2.0)))
            rest = rest if u < 50.0 else 1.0 / (u * u)
            return math.log(idle * rest / math.sqrt(2.0 * math.pi * x) / allowed) - 0.5 * u * u

        high = size
        while off(high) < 0.0:
            high *= 2.0
        low = high
        while off(low) > 0.0:
            low *= 0.5
        return float(brentq(off, low, high, rtol=1e-13)) / rate

    return elementwise(
        longest,
        positive("offered_rate", offered_rate),
        whole("capacity", capacity),
        positive("consumer_cost", consumer_cost),
        probability("loss", loss),
    )
