"""Kernel and consumer on one core (A:A): priority, starvation, livelock."""

from __future__ import annotations

import numpy as np

from capmodel.formulary._elementwise import each_floats, maximum, minimum, where
from capmodel.formulary._typing import Array, ArrayLike


def same_core_carried_rate(
    offered_rate: ArrayLike,
    kernel_cost: ArrayLike,
    consumer_cost: ArrayLike,
    drop_cost: ArrayLike,
    kernel_share: ArrayLike = 1.0,
    interrupt_share: ArrayLike = 0.0,
) -> Array:
    r"""Carried rate of one core whose kernel work has preemptive priority.

    .. math::
        X = \begin{cases} \lambda & \lambda (c_k + c_a) \le 1 - \omega\\
        \max\left(\frac{1 - \omega - \lambda c_d}{c_k + c_a - c_d},\;
        \min\left(\frac{1 - \phi}{c_a}, \frac{1 - \omega}{c_k + c_a}\right), 0\right)
        & \text{else} \end{cases}

    Past :math:`(1 - \omega)/(c_k + c_a)` (the most a core can carry without loss) the kernel takes
    packets only to throw them away at the full buffer. A scheduler that holds a persistent softirq
    to the share :math:`\phi` leaves the rest to the consumer. Interrupts go on at the pace that
    the kernel empties the ring, whatever the consumer has left to do.

    Parameters
    ----------
    offered_rate : array_like
        Offered rate [1/s].
    kernel_cost, consumer_cost : array_like
        Time per packet of kernel and consumer on this core [s].
    drop_cost : array_like
        Kernel time for a packet that finds the buffer full :math:`c_d` [s], at most `kernel_cost`.
    kernel_share : array_like
        Largest share of the core that persistent kernel work may take [-]; 1 is strict priority.
    interrupt_share : array_like
        Share of the core's time that interrupts take :math:`\omega` [-], from 0 to 1.

    Returns
    -------
    ndarray
        Carried rate [1/s].

    Notes
    -----
    Fluid limit: exact for constant rates and a large buffer. With random arrivals and a ring of
    R the approach to the limit is rounded over a load range of order 1/R.

    Source: J. Mogul, K. Ramakrishnan, ACM TOCS 15(3), 1997 (livelock); F. Schneider et al., PAM
    2007; Braun et al., IMC 2010, section 4.1.

    Examples
    --------
    >>> [float(round(x, 4)) for x in same_core_carried_rate([0.5, 1.0, 1.5], 0.6, 0.8, 0.6)]
    [0.5, 0.5, 0.125]
    """
    offered, kernel, consumer, drop, share, interrupts = each_floats(
        offered_rate, kernel_cost, consumer_cost, drop_cost, kernel_share, interrupt_share
    )
    both, room = kernel + consumer, 1.0 - interrupts
    with np.errstate(divide="ignore", invalid="ignore"):
        left = maximum(room - offered * drop, 0.0)
        priority = where(both > drop, left / (both - drop), 0.0)
        floor = minimum((1.0 - share) / consumer, room / both)
    # both costs zero or a free consumer leave nothing to share
    floor = where(consumer > 0.0, floor, room / where(both > 0.0, both, 1.0))
    overload = minimum(maximum(priority, floor), offered)
    return where(offered * both <= room, offered, overload)
