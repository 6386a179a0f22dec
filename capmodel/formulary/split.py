"""Kernel and consumer on different cores (A:B): who is slowed by the wakeups, and by how much.

The kernel serves one packet in ``kernel_cost`` and pays ``wakeup_cost`` whenever it must wake a
sleeping consumer; the consumer serves one packet in ``consumer_cost`` and is away from the buffer
for ``off_time`` in every sleep cycle. Balance of both cores' time gives every law in this file.
"""

from __future__ import annotations

import numpy as np

from capmodel.formulary._elementwise import clip, each_floats, maximum, where
from capmodel.formulary._typing import Array, ArrayLike

# A poll that is certain to be interrupted never ends in sleep; the limit is taken as a tiny chance.
_NEVER = 1e-9


def carried_rate_saturated(
    kernel_cost: ArrayLike, consumer_cost: ArrayLike, wakeup_cost: ArrayLike, off_time: ArrayLike
) -> Array:
    r"""Rate carried when packets always wait in the receive ring.

    .. math::
        X = \max\left(\frac{1}{c_k + w},\; \frac{S - w}{S c_k - w c_a}\right)\ (c_a < c_k),
        \qquad X = 1/c_a\ (c_a \ge c_k)

    The middle branch rises with :math:`c_a`: a slower consumer sleeps less often, so the kernel
    pays for fewer wakeups. That is the paradox of Braun et al. (IMC 2010).

    Parameters
    ----------
    kernel_cost : array_like
        Kernel time per packet without wakeups :math:`c_k` [s], positive.
    consumer_cost : array_like
        Consumer time per packet :math:`c_a` [s], not negative.
    wakeup_cost : array_like
        Kernel time to wake the consumer once :math:`w` [s], not negative.
    off_time : array_like
        Time :math:`S` [s] from the consumer finding the buffer empty until it takes the next
        packet, the wakeup included; must exceed `wakeup_cost` for the amortised branch.

    Returns
    -------
    ndarray
        Carried rate [1/s].

    Notes
    -----
    Exact for a saturated kernel and an unlimited buffer by balance of times (no distribution is
    assumed once :math:`S` is given). Where :math:`S \le w` every packet pays one wakeup.

    Source: L. Braun et al., IMC 2010, section 4.3 (mechanism); G. Lettieri, V. Maffione, L. Rizzo,
    Computer Journal 61(6), 2018, regime nFC (deterministic special case).

    Examples
    --------
    >>> [float(round(x, 4)) for x in carried_rate_saturated(1.0, [0.0, 0.5, 1.0, 2.0], 2.0, 6.0)]
    [0.6667, 0.8, 1.0, 0.5]
    """
    kernel, consumer, wake, off = each_floats(kernel_cost, consumer_cost, wakeup_cost, off_time)
    excess = off - wake
    with np.errstate(divide="ignore", invalid="ignore"):
        amortised = where(excess > 0, excess / (off * kernel - wake * consumer), 0.0)
        bound = 1.0 / maximum(consumer, kernel)
    return where(consumer < kernel, maximum(1.0 / (kernel + wake), amortised), bound)


def wakeup_rate_saturated(
    kernel_cost: ArrayLike, consumer_cost: ArrayLike, wakeup_cost: ArrayLike, off_time: ArrayLike
) -> Array:
    r"""Wakeups per second of a saturated kernel, :math:`\nu = (1 - X c_k)/w`.

    Written as :math:`(c_k - c_a)/(S c_k - w c_a)` so that nothing cancels and a free wakeup
    (:math:`w = 0`) is allowed; at most one wakeup per packet.

    Parameters
    ----------
    kernel_cost, consumer_cost, wakeup_cost, off_time : array_like
        As in :func:`carried_rate_saturated` [s].

    Returns
    -------
    ndarray
        Wakeups [1/s]; 0 where the consumer is the slower of the two.

    Notes
    -----
    Exact under the conditions of :func:`carried_rate_saturated`.

    Source: time balance of both cores, derived with :func:`carried_rate_saturated`.

    Examples
    --------
    >>> float(wakeup_rate_saturated(1.0, 0.5, 2.0, 6.0))
    0.1
    """
    kernel, consumer, wake, off = each_floats(kernel_cost, consumer_cost, wakeup_cost, off_time)
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = (kernel - consumer) / (off * kernel - wake * consumer)
    every = 1.0 / (kernel + wake)
    amortised = (off > wake) & (off - wake > kernel - consumer)
    return where(consumer < kernel, where(amortised, rate, every), 0.0)


def packets_per_wakeup(
    kernel_cost: ArrayLike, consumer_cost: ArrayLike, wakeup_cost: ArrayLike, off_time: ArrayLike
) -> Array:
    r"""Packets handled per wakeup of a saturated kernel, :math:`(S - w)/(c_k - c_a)`, at least 1.

    Parameters
    ----------
    kernel_cost, consumer_cost, wakeup_cost, off_time : array_like
        As in :func:`carried_rate_saturated` [s].

    Returns
    -------
    ndarray
        Packets per wakeup [-]; infinite where the consumer never sleeps.

    Notes
    -----
    Exact under the conditions of :func:`carried_rate_saturated`.

    Source: Wald's identity on the lag of the consumer; nFC regime of Lettieri et al. 2018.

    Examples
    --------
    >>> float(packets_per_wakeup(1.0, 0.5, 2.0, 6.0))
    8.0
    """
    kernel, consumer, wake, off = each_floats(kernel_cost, consumer_cost, wakeup_cost, off_time)
    with np.errstate(divide="ignore", invalid="ignore"):
        batch = maximum((off - wake) / (kernel - consumer), 1.0)
    return where(consumer < kernel, batch, np.inf)


def kappa_effective(wakeup_cost: ArrayLike, off_time: ArrayLike) -> Array:
    r"""Kernel work caused by one unit of consumer idleness, :math:`\kappa = w/(S - w)`.

    With it every policy has one law, :math:`X = 1/(c_k + \kappa (c_k - c_a)^+)`.

    Parameters
    ----------
    wakeup_cost, off_time : array_like
        As in :func:`carried_rate_saturated` [s]; `off_time` above `wakeup_cost`.

    Returns
    -------
    ndarray
        Dimensionless factor [-], infinite at ``off_time == wakeup_cost``.

    Notes
    -----
    A rewriting of :func:`carried_rate_saturated`; exact where that is.

    Source: derived from :func:`carried_rate_saturated`.

    Examples
    --------
    >>> float(kappa_effective(2.0, 6.0))
    0.5
    """
    wake, off = each_floats(wakeup_cost, off_time)
    with np.errstate(divide="ignore"):
        return where(off > wake, wake / maximum(off - wake, 0.0), np.inf)


def critical_rate(kernel_cost: ArrayLike, wakeup_cost: ArrayLike, off_time: ArrayLike) -> Array:
    r"""Offered rate below which more work per packet never captures more.

    :math:`\lambda_{crit} = \max(1/(c_k + w), (1 - w/S)/c_k)`, the saturated rate at no work.

    Parameters
    ----------
    kernel_cost, wakeup_cost, off_time : array_like
        As in :func:`carried_rate_saturated` [s].

    Returns
    -------
    ndarray
        Rate [1/s].

    Notes
    -----
    Exact where :func:`carried_rate_saturated` is: it is that law at no consumer cost.

    Source: derived from :func:`carried_rate_saturated`.

    Examples
    --------
    >>> round(float(critical_rate(1.0, 2.0, 6.0)), 4)
    0.6667
    """
    return carried_rate_saturated(kernel_cost, 0.0, wakeup_cost, off_time)


def optimal_consumer_cost(
    offered_rate: ArrayLike, kernel_cost: ArrayLike, wakeup_cost: ArrayLike, off_time: ArrayLike
) -> Array:
    r"""Least consumer time per packet that captures the most.

    Above the kernel's own rate (:math:`\lambda c_k \ge 1`) this is :math:`c_k` itself; below it
    the least cost on the loss-free plateau, :math:`(S c_k - (S - w)/\lambda)/w`, and 0 where
    nothing is lost without any work.

    Parameters
    ----------
    offered_rate : array_like
        Offered rate [1/s], positive.
    kernel_cost, wakeup_cost, off_time : array_like
        As in :func:`carried_rate_saturated` [s].

    Returns
    -------
    ndarray
        Consumer cost [s].

    Notes
    -----
    Solves :func:`carried_rate_saturated` for the consumer cost at which it equals the offered
    rate; exact where that is.

    Source: derived from :func:`carried_rate_saturated`.

    Examples
    --------
    >>> round(float(optimal_consumer_cost(0.8, 1.0, 2.0, 6.0)), 4)
    0.5
    >>> float(optimal_consumer_cost(1.3, 1.0, 2.0, 6.0))
    1.0
    """
    offered, kernel, wake, off = each_floats(offered_rate, kernel_cost, wakeup_cost, off_time)
    with np.errstate(divide="ignore", invalid="ignore"):
        plateau = (off * kernel - (off - wake) / offered) / wake
    least = where(offered <= critical_rate(kernel, wake, off), 0.0, plateau)
    return where(offered * kernel >= 1.0, kernel, clip(least, 0.0, kernel))


def poll_miss_probability(
    interval: ArrayLike, consumer_cost: ArrayLike, poll_cost: ArrayLike, scv: ArrayLike
) -> Array:
    r"""Probability that no packet is delivered while the consumer enters ``poll``.

    Exponential delivery intervals give :math:`e^{-P/a}`, deterministic ones
    :math:`(1 - P/(a - c_a))^+`; in between the two are mixed by the squared coefficient of
    variation.

    Parameters
    ----------
    interval : array_like
        Mean time between deliveries to the buffer :math:`a` [s].
    consumer_cost : array_like
        Consumer time per packet [s], below `interval`.
    poll_cost : array_like
        Time to enter ``poll`` before sleeping :math:`P` [s].
    scv : array_like
        Squared coefficient of variation of the delivery interval [-]; above 1 counts as 1.

    Returns
    -------
    ndarray
        Probability in [1e-9, 1] [-]; the floor stands for "never sleeps".

    Notes
    -----
    Exact at scv 0 (deterministic consumer) and 1; an interpolation between.

    Source: overshoot of the lag random walk (Wald, ladder heights); deterministic case:
    Lettieri et al. 2018.

    Examples
    --------
    >>> round(float(poll_miss_probability(1.0, 0.4, 0.3, 0.0)), 12)
    0.5
    >>> bool(np.isclose(poll_miss_probability(1.0, 0.4, 0.3, 1.0), np.exp(-0.3)))
    True
    """
    gap, consumer, poll, variation = each_floats(interval, consumer_cost, poll_cost, scv)
    mix = clip(variation, 0.0, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        fixed = where(gap > consumer, maximum(1.0 - poll / (gap - consumer), 0.0), 0.0)
        random = where(poll > 0.0, np.exp(-poll / gap), 1.0)
    return maximum(mix * random + (1.0 - mix) * fixed, _NEVER)
