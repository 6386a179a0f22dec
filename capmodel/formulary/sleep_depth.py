"""How deeply a consumer's core rests when it is woken, if rest comes gradually."""

from __future__ import annotations

import numpy as np

from capmodel.formulary._typing import Array, ArrayLike, asarrays

_SMALL = 0.5  # below, the closed expression cancels and its series is summed
_TERMS = 16  # of that series: the next one is below 1e-19


def mean_sleep_depth(gap: ArrayLike, settle: ArrayLike) -> Array:
    r"""Mean depth of a sleep that ends at a uniformly distributed moment.

    A core that has slept for t rests to the depth :math:`d(t) = 1 - e^{-t/\tau}`; waking it costs
    that share of what waking it from full rest costs. If the sleep ends at a uniform moment of a
    gap g,

    .. math::
        \bar d = \frac1g \int_0^g \left(1 - e^{-t/\tau}\right) dt
               = 1 - \frac{\tau}{g}\left(1 - e^{-g/\tau}\right)

    Parameters
    ----------
    gap : array_like
        Longest sleep g [s], not negative.
    settle : array_like
        Time :math:`\tau` in which the core comes to rest [s], not negative; 0 is at once.

    Returns
    -------
    ndarray
        Depth between 0 and 1 [-]; 1 where `settle` is 0.

    Notes
    -----
    Exact for the law of depth stated, to a few roundings for all gaps. The moment is uniform for
    regular deliveries and a consumer of constant cost, whose lag drifts by a constant step per
    packet (see :func:`capmodel.formulary.poll_miss_probability`).

    Source: derived here; a waking cost that grows with the time asleep is seen in the published
    wakeup latencies (``data/published/wakeup_latency``).

    Examples
    --------
    >>> [float(round(x, 6)) for x in mean_sleep_depth([0.0, 1.0, 1e9], 1.0)]
    [0.0, 0.367879, 1.0]
    """
    length, time = asarrays(gap, settle)
    length, time = np.broadcast_arrays(length, time)
    at_once = time <= 0.0
    with np.errstate(over="ignore"):  # a ratio beyond all numbers is one of full depth
        ratio = np.where(at_once, 1.0, length / np.where(at_once, 1.0, time))
    small = ratio < _SMALL
    x = np.where(small, ratio, 0.0)
    term, series = 0.5 * x, 0.5 * x
    for k in range(3, _TERMS):
        term = -term * x / k
        series = series + term
    large = np.where(small, 1.0, ratio)
    closed = 1.0 + np.expm1(-large) / large
    return np.where(at_once, 1.0, np.where(small, series, closed))
