"""Two cores, a receive ring that is never empty and a finite buffer between kernel and consumer."""

from __future__ import annotations

import math

import numpy as np

from capmodel.formulary._checks import not_negative, positive, whole
from capmodel.formulary._typing import Array, ArrayLike

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)


def saturated_finite_buffer(
    kernel_cost: ArrayLike,
    consumer_cost: ArrayLike,
    wakeup_cost: ArrayLike,
    wakeup_latency: ArrayLike,
    poll_cost: ArrayLike,
    capacity: ArrayLike,
) -> tuple[Array, Array, Array]:
    r"""Carried rate, wakeups and buffer drops of a saturated kernel, all times exponential.

    With :math:`\rho = c_a/c_k`, :math:`r = L/(L + c_k)`, :math:`r_p = P/(P + c_k)` and
    :math:`h_n` the complete homogeneous polynomial of degree n (the sum of all monomials), the
    packets served and dropped in a cycle are

    .. math::
        EN = h_{K-1}(r, \rho, 1) + \tfrac{P}{c_k}\, h_{K-1}(r_p, \rho, 1),\qquad
        ED = d(r) + \tfrac{P}{c_k}\, d(r_p),\quad
        d(x) = \frac{x^K}{1 - x} + \rho\, h_{K-1}(x, \rho)

    in a time :math:`T = w + L + P(1 + P/c_k) + c_k + EN\,c_a`, so that :math:`X = EN/T` and
    :math:`\nu = 1/T`.

    Parameters
    ----------
    kernel_cost : array_like
        Mean kernel time per packet :math:`c_k` [s].
    consumer_cost : array_like
        Mean consumer time per packet :math:`c_a` [s].
    wakeup_cost : array_like
        Mean kernel time per wakeup w [s]; the consumer starts to wake at its end.
    wakeup_latency : array_like
        Mean further time until the consumer runs L [s].
    poll_cost : array_like
        Mean time in ``poll`` before sleep P [s]; deliveries meanwhile avoid the sleep.
    capacity : array_like
        Packets the buffer holds, the one in service included, :math:`K` [-], whole, to 1e7.

    Returns
    -------
    tuple of ndarray
        Carried rate [1/s], wakeups [1/s], packets dropped at the full buffer [1/s].

    Notes
    -----
    Exact; relative accuracy about 1e-12 of all three, drops of 1e-300 and loads within 1e-15 of 1
    included: where the three arguments are closer than 2/K the polynomial is taken as the mean of
    its second derivative over their triangle (Hermite, Genocchi), a positive integral.

    Source: first passage of the birth-death buffer from b packets to none, summed over the law of
    b; divided differences of :math:`x^{K+1}`.

    Examples
    --------
    >>> x, nu, drops = saturated_finite_buffer(1.0, 0.4, 2.0, 16.0, 0.5, 16)
    >>> round(float(x), 15), round(float(nu), 16), round(float(drops), 15)
    (0.678060188573682, 0.0369000468136976, 0.248139717798923)
    """
    columns = np.broadcast_arrays(
        positive("kernel_cost", kernel_cost),
        not_negative("consumer_cost", consumer_cost),
        not_negative("wakeup_cost", wakeup_cost),
        not_negative("wakeup_latency", wakeup_latency),
        not_negative("poll_cost", poll_cost),
        whole("capacity", capacity),
    )
    shape = columns[0].shape
    rows = [_cycle(*row) for row in zip(*(c.ravel().tolist() for c in columns), strict=True)]
    carried, wakes, drops = (
        np.array(rows, dtype=np.float64).reshape(*shape, 3).transpose(-1, *range(len(shape)))
    )
    return carried, wakes, drops


def _cycle(
    kernel: float, consumer: float, wake: float, latency: float, poll: float, capacity: float
) -> tuple[float, float, float]:
    k = int(capacity)
    # every argument x of the polynomials goes with 1 - x, which has no rounding of its own
    load = (consumer / kernel, (kernel - consumer) / kernel)
    start = (latency / (latency + kernel), kernel / (latency + kernel))
    again = (poll / (poll + kernel), kernel / (poll + kernel))
    top = max(load[0], 1.0)
    log_top = math.log(top) if abs(load[1]) > 0.5 else max(math.log1p(-load[1]), 0.0)
    empty = math.exp(-k * log_top)  # everything per cycle is divided by top^K
    served = _three(k - 1, start, load, log_top) / top
    dropped = _full(k, start, load, log_top, top)
    if poll > 0.0:
        served += poll / kernel * _three(k - 1, again, load, log_top) / top
        dropped += poll / kernel * _full(k, again, load, log_top, top)
    still = wake + latency + poll * (1.0 + poll / kernel) + kernel
    time = still * empty + served * consumer
    return served / time, empty / time, dropped / time


Point = tuple[float, float]  # x and 1 - x


def _log(x: Point) -> float:
    if x[0] == 0.0:
        return -math.inf
    return math.log1p(-x[1]) if abs(x[1]) < 0.5 else math.log(x[0])


def _full(k: int, x: Point, load: Point, log_top: float, top: float) -> float:
    """d(x) / top^K."""
    power = math.exp(k * (_log(x) - log_top)) if x[0] > 0.0 else 0.0
    return power / x[1] + load[0] / top * _two(k - 1, x, load, log_top)


def _two(n: int, x: Point, y: Point, log_top: float) -> float:
    """h_n(x, y) / top^n = sum of x^i y^(n-i)."""
    small, large = (x, y) if x[1] > y[1] else (y, x)
    if large[0] == 0.0:
        return 1.0 if n == 0 else 0.0
    gap = (small[1] - large[1]) / large[0]  # 1 - q with q = small/large
    if gap == 0.0:
        terms = n + 1.0
    elif small[0] / large[0] == 0.0:
        terms = 1.0
    else:
        log_q = math.log1p(-gap) if gap < 0.5 else math.log(small[0] / large[0])
        terms = -math.expm1((n + 1) * log_q) / gap
    return math.exp(n * (_log(large) - log_top)) * terms


def _three(n: int, x: Point, y: Point, log_top: float) -> float:
    """h_n(x, y, 1) / top^n."""
    c, b, a = sorted((x, y, (1.0, 0.0)), key=lambda point: point[1])
    spread = (a[1] - c[1]) / c[0]
    if (n + 1) * spread >= 2.0:
        far = _two(n + 1, b, c, log_top) - _two(n + 1, a, b, log_top)
        return math.exp(log_top) * far / (a[1] - c[1])
    u = 0.5 * (1.0 + _NODES)
    inner = 0.5 * _WEIGHTS
    s, t = u[:, None], u[None, :] * (1.0 - u[:, None])  # weights of a and b, the rest is c's
    below = s * spread + t * ((b[1] - c[1]) / c[0])
    area = inner[:, None] * inner[None, :] * (1.0 - u[:, None])
    mean = float(np.sum(area * np.exp(n * np.log1p(-np.minimum(below, 1.0 - 1e-16)))))
    return (n + 1.0) * (n + 2.0) * mean * math.exp(n * (_log(c) - log_top))
