"""Several capture processes on one core, each woken by the kernel on its own."""

from __future__ import annotations

import numpy as np

from capmodel.formulary._typing import Array, ArrayLike, asarrays

_GRID = 96
_BISECTIONS = 40
_INNER = 10


def shared_core_carried_rate(
    offered_rate: ArrayLike,
    processes: ArrayLike,
    kernel_cost: ArrayLike,
    consumer_cost: ArrayLike,
    wakeup_cost: ArrayLike,
    wakeup_latency: ArrayLike,
    idle_time: ArrayLike,
    switch_cost: ArrayLike,
) -> tuple[Array, Array]:
    r"""Rate each of n capture processes receives when they share one core (mean field).

    The largest X that the kernel can pay for, :math:`X c_k(n) + n\nu w \le 1`, where each process
    sleeps

    .. math::
        \nu = \min\left[\frac{1 - X c_a}{S},\ \frac{1 - nXc_a}{n s}\right],\quad
        S = w\frac{m+1}{2} + L + I + J,\quad m = 1 + (n-1)\nu J,\quad
        J = c_k + \min(1,(n-1)\nu w)\frac{w}{2}

    A kernel that wakes one process makes the others wait (:math:`m`), and no process can sleep
    more often than the shared core has time to switch.

    Parameters
    ----------
    offered_rate : array_like
        Offered rate [1/s].
    processes : array_like
        Number of capture processes n [-].
    kernel_cost : array_like
        Kernel time per packet for all n sockets :math:`c_k(n)` [s].
    consumer_cost : array_like
        One process's time per packet [s].
    wakeup_cost, wakeup_latency : array_like
        Kernel time per wakeup, and delay until the process runs [s].
    idle_time : array_like
        Time between finding the buffer empty and sleeping :math:`I` [s] (poll entries); the gap
        to the waking packet is :math:`J`.
    switch_cost : array_like
        Time of the consumer core per sleep: poll entry and context switch [s].

    Returns
    -------
    tuple of ndarray
        Carried rate per process [1/s] and wakeups per second of all processes [1/s].

    Notes
    -----
    Up to 6 % below event simulation at n <= 3 and 15 % at n = 4 for exponential services (constant
    ones can fall into lockstep and carry less). Near the point where the shared core saturates two
    regimes can coexist, and the larger one is reported. At n = 1 it is the saturated law of one
    consumer.

    Source: mean-field balance of the kernel core and the shared core.

    Examples
    --------
    >>> x, _ = shared_core_carried_rate(1.27, 2, 0.66, 0.1, 1.5, 4.0, 0.64, 0.6)
    >>> bool(0.9 < x < 1.0)
    True
    """
    arrays = np.broadcast_arrays(
        *asarrays(
            offered_rate,
            processes,
            kernel_cost,
            consumer_cost,
            wakeup_cost,
            wakeup_latency,
            idle_time,
            switch_cost,
        )
    )
    offered, n, kernel, consumer, wake, latency, idle, switch = arrays

    def sleeps(rate: Array) -> Array:
        """Wakeups per second of one process at a carried rate."""
        free = np.maximum(1.0 - n * rate * consumer, 0.0) / (n * np.maximum(switch, 1e-300))
        nu = np.zeros_like(rate)
        for _ in range(_INNER):
            gap = kernel + np.minimum(1.0, (n - 1.0) * nu * wake) * wake / 2.0
            ahead = 1.0 + (n - 1.0) * nu * gap
            away = wake * (ahead + 1.0) / 2.0 + latency + idle + gap
            nu = (1.0 - np.minimum(rate * consumer, 1.0)) / np.maximum(away, 1e-300)
            nu = np.minimum(nu, free)
        return np.minimum(nu, rate)

    def excess(rate: Array) -> Array:
        return np.asarray(rate * kernel + n * sleeps(rate) * wake - 1.0)

    with np.errstate(divide="ignore"):
        top = np.minimum(offered, 1.0 / (n * np.maximum(consumer, 1e-300)))
        top = np.minimum(top, 1.0 / kernel)
    # the largest feasible rate may lie below an infeasible stretch: look at the whole range at once
    steps = np.linspace(0.0, 1.0, _GRID + 1).reshape(-1, *(1,) * top.ndim)
    feasible = excess(steps * top) <= 0.0
    last = _GRID - np.argmax(feasible[::-1], axis=0)
    low = last / _GRID * top
    high = np.minimum(last + 1, _GRID) / _GRID * top
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        fits = excess(middle) <= 0.0
        low = np.where(fits, middle, low)
        high = np.where(fits, high, middle)
    return low, n * sleeps(low)
